package store

import (
	"sync"
	"sync/atomic"

	"github.com/kalamdb/kalam-go/internal/catalog"
)

// Notice is what a commit tells others. It is a hint: the truth is in tables,
// where a reader that has missed a notice finds it.
type Notice struct {
	Changes []*Change         // of rows, in the order of their positions
	Catalog *catalog.Snapshot // what exists now; nil when no definition has changed
	Revoked []string          // what principals hang on that ended; package identity names it
	Topics  []TopicNotice
	Files   []*File // that no row refers to any more
	Killed  []int64 // live queries that an administrator has ended, by their numbers
	Mail    bool    // mails were queued
	Missed  bool    // notices before this one were lost, because the reader was slow
}

// TopicNotice says that there may be something to consume.
type TopicNotice struct {
	Topic int64  // catalog.Topic.ID
	Part  int    // -1 for any
	Group string // the consumer group that may have more than before; "" for all
	At    int64  // when it will, in milliseconds since 1970; 0 for now
}

// About is what a reader wants to know of a commit.
type About uint8

// What a notice may be about.
const (
	AboutCatalog About = 1 << iota
	AboutRevoked
	AboutTopics
	AboutFiles
	AboutKilled
	AboutMail
)

// only returns of n what is about something, and how many parts that has.
func (n *Notice) only(about About) (out Notice, parts int) {
	if about&AboutCatalog != 0 && n.Catalog != nil {
		out.Catalog, parts = n.Catalog, 1
	}
	if about&AboutRevoked != 0 {
		out.Revoked = n.Revoked
	}
	if about&AboutTopics != 0 {
		out.Topics = n.Topics
	}
	if about&AboutFiles != 0 {
		out.Files = n.Files
	}
	if about&AboutKilled != 0 {
		out.Killed = n.Killed
	}
	if about&AboutMail != 0 && n.Mail {
		out.Mail, parts = true, parts+1
	}
	return out, parts + len(out.Revoked) + len(out.Topics) + len(out.Files) + len(out.Killed)
}

// add puts what m says behind what n says.
func (n *Notice) add(m *Notice) {
	n.Changes = append(n.Changes, m.Changes...)
	n.Revoked = append(n.Revoked, m.Revoked...)
	n.Topics = append(n.Topics, m.Topics...)
	n.Files = append(n.Files, m.Files...)
	n.Killed = append(n.Killed, m.Killed...)
	n.Mail = n.Mail || m.Mail
}

// Tell adds n to the notice of the commit. Nothing of it is told when the
// transaction, or the savepoint that is open, is rolled back. What the store
// knows by itself (changes of rows, the catalog, files) is there already.
func (tx *Tx) Tell(n Notice) { tx.write.did.notice.add(&n) }

// Listener is one reader of notices. It is told of each commit once, in the order
// of the commits, before the callers of the commit are answered: whoever calls
// Read after an answer has seen what led to it. It never holds up a commit. A
// reader that is too slow loses notices, and is told so.
type Listener struct {
	db    *DB
	about About
	// Wake takes a word when there may be something to read.
	Wake chan struct{}

	told atomic.Uint64 // how many notices were told
	read atomic.Uint64 // how many of them were read, and what they say done

	reading sync.Mutex // held by the one who reads

	mu     sync.Mutex // guards what follows
	queue  []Notice
	parts  int // of queue
	missed bool
}

// maxParts is how many parts of notices wait for a reader. When there are more,
// all of them are lost.
const maxParts = 1 << 16

// Listen returns a reader of what commits say of something from here on. Close
// ends it.
func (db *DB) Listen(about About) *Listener {
	l := &Listener{db: db, about: about, Wake: make(chan struct{}, 1)}
	db.listeners.change(func(list []*Listener) []*Listener { return append(list, l) })
	return l
}

// Close ends the reader: nothing more waits for it.
func (l *Listener) Close() {
	l.db.listeners.change(func(list []*Listener) []*Listener {
		for i, have := range list {
			if have == l {
				return append(list[:i], list[i+1:]...)
			}
		}
		return list
	})
}

// Behind reports whether there is something to read, or somebody is reading it.
func (l *Listener) Behind() bool { return l.read.Load() != l.told.Load() }

// Read calls fn for each notice that has not been read, one after the other. When
// it returns, all that was told before the call has been read.
func (l *Listener) Read(fn func(n Notice)) {
	l.reading.Lock()
	defer l.reading.Unlock()
	l.mu.Lock()
	queue, missed, told := l.queue, l.missed, l.told.Load()
	l.queue, l.parts, l.missed = nil, 0, false
	l.mu.Unlock()
	if missed {
		fn(Notice{Missed: true})
	}
	for _, n := range queue {
		fn(n)
	}
	l.read.Store(told)
}

// tell queues what a commit says for the reader.
func (l *Listener) tell(n *Notice) {
	own, parts := n.only(l.about)
	if parts == 0 {
		return
	}
	l.mu.Lock()
	if l.parts += parts; l.parts > maxParts && len(l.queue) > 0 {
		l.queue, l.parts, l.missed = nil, parts, true
	}
	l.queue = append(l.queue, own)
	l.told.Add(1)
	l.mu.Unlock()
	select {
	case l.Wake <- struct{}{}:
	default:
	}
}

// listeners are the readers of notices.
type listeners struct {
	mu   sync.Mutex // held by who changes the list
	list atomic.Pointer[[]*Listener]
}

func (ls *listeners) change(fn func([]*Listener) []*Listener) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var list []*Listener
	if old := ls.list.Load(); old != nil {
		list = append(list, *old...)
	}
	list = fn(list)
	ls.list.Store(&list)
}

// publish tells everybody what a commit has done. Commits publish one after the
// other, before their callers are answered.
func (db *DB) publish(n *Notice) {
	if n.Catalog != nil {
		db.useCatalog(n.Catalog)
	}
	db.ring.publish(n.Changes)
	if list := db.listeners.list.Load(); list != nil {
		for _, l := range *list {
			l.tell(n)
		}
	}
}
