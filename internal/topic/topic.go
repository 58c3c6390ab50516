// Package topic turns changes of rows into messages, with the commit of the
// changes, and hands the messages to consumer groups.
//
// One flow: a write routes what it has changed (Router, which is pure) and
// stores the messages in its own transaction; a consumer leases messages behind
// its group's cursor and waits for some when there are none; an acknowledgement
// ends the lease, and a lease that runs out is given to somebody else.
//
// Where a group stands is a cursor (cursor.go), stored row by row, so that it
// survives a restart. In memory are only those who wait. Who may consume is
// decided by the engine.
package topic

import (
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Options configure a Service. The zero value works.
type Options struct {
	Visibility time.Duration // how long a consumer has for what it leased; default 60 s
	MaxPayload int           // bytes of a message; default 1 MiB
	MaxAnswer  int           // bytes of the payloads of one answer, and one message more; default 4 MiB
	MaxWait    time.Duration // for a message; default 60 s
	// RetentionSeconds and RetentionBytes are what a new topic keeps; default 7
	// days and 1 GiB in each partition.
	RetentionSeconds int64
	RetentionBytes   int64
	RetainEvery      time.Duration // between looks for messages to remove; default 10 s; below 0: never
	Logger           *slog.Logger
}

// Service keeps the topics of one database. It is safe for concurrent use.
type Service struct {
	db      *store.DB
	options Options
	router  atomic.Pointer[Router]
	waiting waiting
	turn    atomic.Uint64 // where the next lease of all partitions begins
	closing chan struct{}
	done    sync.WaitGroup
	once    sync.Once
	follow  sync.Once // with the first who waits
}

// New makes the service of a database and starts what removes old messages.
func New(db *store.DB, o Options) *Service {
	def(&o.Visibility, time.Minute)
	def(&o.MaxPayload, 1<<20)
	def(&o.MaxAnswer, 4<<20)
	def(&o.MaxWait, time.Minute)
	def(&o.RetentionSeconds, 7*24*3600)
	def(&o.RetentionBytes, 1<<30)
	def(&o.RetainEvery, 10*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{db: db, options: o, closing: make(chan struct{})}
	if o.RetainEvery > 0 {
		s.done.Go(s.retain)
	}
	return s
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Release answers everybody who waits for a message, now and from here on.
func (s *Service) Release() { s.once.Do(func() { close(s.closing) }) }

// Close releases who waits and ends what runs in the background. It is
// idempotent.
func (s *Service) Close() error {
	s.Release()
	s.done.Wait()
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }

// Retention is what a new topic keeps: seconds, and bytes in each partition.
func (s *Service) Retention() (seconds, bytes int64) {
	return s.options.RetentionSeconds, s.options.RetentionBytes
}

// Create prepares the partitions of a topic that tx has just created.
func (s *Service) Create(tx *store.Tx, t *catalog.Topic) error {
	for part := range t.Partitions {
		if _, err := tx.Exec(partInsert, wire.IntValue(t.ID), wire.IntValue(int64(part))); err != nil {
			return err
		}
	}
	return nil
}

// Route stores the messages of what tx has changed. It is called once, when all
// of the transaction's changes are made. actor is who made them.
func (s *Service) Route(tx *store.Tx, actor, role string) error {
	snapshot := tx.Catalog()
	changes := tx.Written()
	if len(changes) == 0 || !snapshot.Routed() {
		return nil
	}
	router := s.router.Load()
	if router == nil || router.snapshot != snapshot {
		router = NewRouter(snapshot, s.options.MaxPayload)
		s.router.Store(router)
	}
	env := &expr.Env{User: actor, Role: role, Now: s.db.Now(), NextID: s.db.NextID, Budget: tx.Budget()}
	var list []Message
	for _, c := range changes {
		messages, err := router.Route(c, env)
		if err != nil {
			return err
		}
		list = append(list, messages...)
	}
	if len(list) == 0 {
		return nil
	}
	touched, err := appendMessages(tx, list)
	if err != nil {
		return err
	}
	news := make([]store.TopicNotice, len(touched))
	for i, k := range touched {
		news[i] = store.TopicNotice{Topic: k.topic, Part: k.part}
	}
	tx.Tell(store.Notice{Topics: news})
	return nil
}

// Visibility is how long a consumer has for what it leased.
func (s *Service) Visibility() time.Duration { return s.options.Visibility }
