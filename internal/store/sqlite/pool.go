package sqlite

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

const (
	maxReaders = 64                    // reading connections that users hold at most
	spared     = 2                     // of those that are kept, nobody takes the last ones who has many
	ownReaders = 16                    // for the server itself, beside maxReaders
	growAfter  = 20 * time.Millisecond // of waiting for a free one
	maxWaiting = 4096                  // who wait for one at most

	// Bytes of pages that a connection keeps: the one that writes, a reading one of
	// those that are kept, and one that comes and goes.
	writerPages = 32_000 << 10
	keptPages   = 8_000 << 10
	otherPages  = 2_000 << 10
)

// pool is the connections of a driver: one that writes and a few that read.
// When all that read are busy for long, as slow statements keep them, the pool
// opens another one, so that these do not stop the quick ones; it goes when it
// is needed no more.
//
// Users share the reading connections: nobody holds more of them than are left
// for others, and who waits takes turns with other users. The server itself
// waits for no user.
type pool struct {
	path   string
	dog    *watchdog
	keep   int        // reading connections that are kept open
	writer chan *conn // holds the writing connection while it is free
	turns  *budget.Turns

	commits atomic.Int64 // counts when a commit begins and when it has ended
	moved   bool         // all of the log is in the data file; the writer's
	sized   time.Time    // when the size of the log was looked at; the writer's

	mu      sync.Mutex
	closed  bool    // mu guards it and the rest; no more are opened
	count   int     // connections there are
	free    []*conn // reading connections that nobody holds
	used    int     // reading connections that users hold
	users   map[string]*user
	own     user    // the server itself
	queue   []*user // who wait, in the order of their turns
	waiting int     // those who wait, of all users
}

// user is who reads. What it holds is guarded by pool.mu.
type user struct {
	name  string
	held  atomic.Int32
	waits []*wait
	turns *budget.User
}

// wait is somebody who waits for a connection.
type wait struct{ got chan *conn }

// open opens the connections.
func (p *pool) open(path string, dog *watchdog) error {
	p.path, p.dog = path, dog
	p.keep = max(4, 2*runtime.GOMAXPROCS(0)) + spared
	p.writer = make(chan *conn, 1)
	p.users = make(map[string]*user)
	p.turns = budget.NewTurns(runtime.NumCPU())
	w, err := p.add(true)
	if err != nil {
		return err
	}
	p.writer <- w
	for range p.keep {
		r, err := p.add(false)
		if err != nil {
			return err
		}
		p.free = append(p.free, r)
	}
	return nil
}

// add opens one more connection, which the caller has.
func (p *pool) add(write bool) (*conn, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, store.ErrClosed
	}
	p.count++
	pages := keptPages
	if write {
		pages = writerPages
	} else if p.count > p.keep+1 {
		pages = otherPages
	}
	p.mu.Unlock()
	c, err := openConn(p.path, write, pages)
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.count--
		return nil, err
	}
	c.pool, c.dog, c.held.account = p, p.dog, p.dog.account
	p.dog.add(c)
	return c, nil
}

// user finds or makes a user. The caller holds mu.
func (p *pool) user(name string) *user {
	if name == "" {
		return &p.own
	}
	u := p.users[name]
	if u != nil {
		return u
	}
	if len(p.users) >= 2*maxWaiting {
		maps.DeleteFunc(p.users, func(_ string, u *user) bool { return u.held.Load() == 0 && len(u.waits) == 0 })
	}
	u = &user{name: name, turns: p.turns.Of(name)}
	p.users[name] = u
	return u
}

// may reports whether u may hold one more connection. The caller holds mu.
func (p *pool) may(u *user) bool {
	if u == &p.own {
		return u.held.Load() < ownReaders
	}
	return int(u.held.Load()) < maxReaders-p.used
}

// mayTake reports whether u may have one of those that are open. The caller
// holds mu.
func (p *pool) mayTake(u *user) bool {
	few := u == &p.own || int(u.held.Load()) < p.keep-spared
	return p.may(u) && (few || len(p.free) >= spared)
}

// hold counts a connection that u has from now on. The caller holds mu.
func (p *pool) hold(u *user) {
	u.held.Add(1)
	if u != &p.own {
		p.used++
	}
}

// takeWriter waits for the connection that writes.
func (p *pool) takeWriter(ctx context.Context, name string, closed <-chan struct{}) (*conn, error) {
	select {
	case c := <-p.writer:
		p.mu.Lock()
		c.user = p.user(name)
		p.mu.Unlock()
		return c, nil
	case <-closed:
		return nil, store.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// take waits for a connection that reads, for a user or for the server itself.
func (p *pool) take(ctx context.Context, name string, closed <-chan struct{}) (*conn, error) {
	p.mu.Lock()
	u := p.user(name)
	n := len(p.free)
	if n > 0 && len(u.waits) == 0 && (u == &p.own || int(u.held.Load()) < p.keep-spared) && p.may(u) {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		p.hold(u)
		p.mu.Unlock()
		c.user = u
		return c, nil
	}
	if p.waiting >= maxWaiting || len(u.waits) >= maxWaiting-p.waiting {
		p.mu.Unlock()
		return nil, wire.NewError(wire.CodeRateLimited, "too many of your statements wait for those before them; wait for their answers")
	}
	w := &wait{got: make(chan *conn, 1)}
	u.waits = append(u.waits, w)
	p.waiting++
	if len(u.waits) == 1 {
		p.queue = append(p.queue, u)
	}
	p.mu.Unlock()
	c, err := p.await(ctx, u, w, closed)
	if err == nil {
		c.user = u
	}
	return c, err
}

// await waits for a connection that is given to w, or opens one.
func (p *pool) await(ctx context.Context, u *user, w *wait, closed <-chan struct{}) (*conn, error) {
	timer := time.NewTimer(growAfter)
	defer timer.Stop()
	if u == &p.own {
		timer.Reset(0)
	}
	for {
		var err error
		select {
		case c := <-w.got:
			return c, nil
		case <-closed:
			err = store.ErrClosed
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-timer.C:
			timer.Reset(growAfter)
			p.mu.Lock()
			grow := len(w.got) == 0 && p.may(u)
			if grow {
				p.leave(u, w)
				p.hold(u)
			}
			p.mu.Unlock()
			if !grow {
				continue
			}
			c, err := p.add(false)
			if err != nil {
				p.mu.Lock()
				p.release(u)
				p.mu.Unlock()
			}
			return c, err
		}
		p.mu.Lock()
		p.leave(u, w)
		p.mu.Unlock()
		select {
		case c := <-w.got: // it has just come
			c.user = u
			p.give(c)
		default:
		}
		return nil, err
	}
}

// leave takes w off those who wait. The caller holds mu.
func (p *pool) leave(u *user, w *wait) {
	i := slices.Index(u.waits, w)
	if i < 0 {
		return
	}
	u.waits = slices.Delete(u.waits, i, i+1)
	p.waiting--
	if len(u.waits) == 0 {
		p.queue = slices.DeleteFunc(p.queue, func(have *user) bool { return have == u })
	}
}

// release is the end of hold. The caller holds mu.
func (p *pool) release(u *user) {
	u.held.Add(-1)
	if u != &p.own {
		p.used--
	}
}

// give takes a connection back.
func (p *pool) give(c *conn) {
	switch {
	case c.broken:
		p.replace(c)
	case c.write:
		c.user = nil
		p.writer <- c
	default:
		p.mu.Lock()
		if c.user != nil {
			p.release(c.user)
			c.user = nil
		}
		if w := p.next(); w != nil {
			w.got <- c
			p.mu.Unlock()
			return
		}
		surplus := len(p.free) >= p.keep
		if !surplus {
			p.free = append(p.free, c)
		}
		p.mu.Unlock()
		if surplus {
			p.drop(c)
		}
	}
}

// next takes who is to have a connection off those who wait: the server itself
// before any user; nil when nobody may have one. The caller holds mu.
func (p *pool) next() *wait {
	if len(p.queue) == 0 {
		return nil
	}
	i := slices.Index(p.queue, &p.own)
	if i < 0 || !p.may(&p.own) {
		i = slices.IndexFunc(p.queue, p.mayTake)
	}
	if i < 0 {
		return nil
	}
	u := p.queue[i]
	w := u.waits[0]
	p.queue = slices.Delete(p.queue, i, i+1)
	u.waits = slices.Delete(u.waits, 0, 1)
	p.waiting--
	if len(u.waits) > 0 {
		p.queue = append(p.queue, u)
	}
	p.hold(u)
	return w
}

// replace ends a connection whose state nobody knows any more.
func (p *pool) replace(c *conn) {
	if c.user != nil {
		p.mu.Lock()
		p.release(c.user)
		c.user = nil
		p.mu.Unlock()
	}
	p.drop(c)
	if !c.write {
		return
	}
	for {
		next, err := p.add(true)
		if err == nil {
			p.writer <- next
			return
		}
		if errors.Is(err, store.ErrClosed) {
			return
		}
		time.Sleep(growAfter) // without a writer there is nothing else to do
	}
}

// logPages is how many pages of the engine's log are moved to the data file at
// once: each time costs two syncs. sizeEvery is how long the size of the log is
// not looked at again, which costs as much as two rows: in that time no disk
// takes more than a few thousand pages.
const (
	logPages  = 4000
	sizeEvery = 10 * time.Millisecond
)

var (
	logSize = &store.Stmt{SQL: "PRAGMA wal_checkpoint(NOOP)", Cols: []wire.Type{{Kind: wire.BigInt}, {Kind: wire.BigInt}, {Kind: wire.BigInt}}}
	logMove = &store.Stmt{SQL: "PRAGMA wal_checkpoint(PASSIVE)", Cols: logSize.Cols}
)

// trimLog moves a long log to the data file, so that the next transaction begins
// it anew. It runs between two writing transactions and not, as the engine would
// by itself, within a commit: there the snapshots that connections keep would be
// old and hold up the log.
func (p *pool) trimLog(writer *conn) {
	now := time.Now()
	if now.Sub(p.sized) < sizeEvery {
		return
	}
	p.sized = now
	var pages int64
	size := func(row []wire.Value) error { // busy, pages in the log, pages moved
		pages = row[1].Int()
		return nil
	}
	// An error here is no loss: the log is as good as the file, and the next
	// commit will say what is wrong.
	if writer.Query(logSize, nil, size) == nil && pages >= logPages {
		p.moveLog(writer)
	}
}

// moveLog moves the log to the data file as far as running readers permit.
func (p *pool) moveLog(writer *conn) error {
	var pages, moved int64
	p.forget()
	err := writer.Query(logMove, nil, func(row []wire.Value) error {
		pages, moved = row[1].Int(), row[2].Int()
		return nil
	})
	if err == nil && moved == pages {
		// From now on snapshots do without the log. Those that are kept do not:
		// none of them may be there when the next commit wants to begin it anew.
		p.commits.Add(2)
		p.moved = true
	}
	return err
}

// committing is called by the writer before it commits.
func (p *pool) committing() {
	p.commits.Add(1)
	if p.moved {
		p.moved = false
		p.forget()
	}
}

// committed is called by the writer when the commit has ended.
func (p *pool) committed() { p.commits.Add(1) }

// forget lets go of the snapshots that idle connections keep.
func (p *pool) forget() { p.idle((*conn).forget) }

// shed frees what idle connections hold and could do without.
func (p *pool) shed() { p.idle((*conn).shed) }

// idle calls fn for each reading connection that nobody holds.
func (p *pool) idle(fn func(*conn)) {
	p.mu.Lock()
	list := p.free
	p.free = nil
	p.mu.Unlock()
	for _, c := range list {
		fn(c)
		p.give(c)
	}
}

// drop closes a connection that is in nobody's hands.
func (p *pool) drop(c *conn) error {
	p.dog.remove(c)
	err := c.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count--
	return err
}

// close closes every connection, once it is given back.
func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	var err error
	for {
		p.mu.Lock()
		n, idle := p.count, p.free
		p.free = nil
		p.mu.Unlock()
		if n == 0 {
			return err
		}
		for _, c := range idle {
			err = errors.Join(err, p.drop(c))
		}
		select {
		case c := <-p.writer:
			err = errors.Join(err, p.drop(c))
		case <-time.After(10 * time.Millisecond): // somebody still holds one
		}
	}
}
