package sqlite

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

const (
	maxReaders = 64                    // reading connections at most
	growAfter  = 20 * time.Millisecond // of waiting for a free one
)

// pool is the connections of a driver: one that writes and a few that read.
// When all that read are busy for long, as slow statements keep them, the pool
// opens another one, so that these do not stop the quick ones; it goes when it
// is needed no more.
type pool struct {
	path    string
	dog     *watchdog
	keep    int        // reading connections that are kept open
	writer  chan *conn // holds the writing connection while it is free
	readers chan *conn // holds the reading connections that are free

	commits atomic.Int64 // counts when a commit begins and when it has ended
	moved   bool         // all of the log is in the data file; the writer's
	sized   time.Time    // when the size of the log was looked at; the writer's

	mu     sync.Mutex
	count  int  // mu guards it and closed; connections there are
	closed bool // no more are opened
}

// open opens the connections.
func (p *pool) open(path string, dog *watchdog) error {
	p.path, p.dog = path, dog
	p.keep = max(4, 2*runtime.GOMAXPROCS(0))
	p.writer = make(chan *conn, 1)
	p.readers = make(chan *conn, maxReaders)
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
		p.readers <- r
	}
	return nil
}

// add opens one more connection, which the caller has.
func (p *pool) add(write bool) (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, store.ErrClosed
	}
	c, err := openConn(p.path, write)
	if err != nil {
		return nil, err
	}
	c.pool, c.write, c.dog = p, write, p.dog
	p.count++
	p.dog.add(c)
	return c, nil
}

// full reports whether no more connections may be opened.
func (p *pool) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed || p.count > maxReaders
}

// take waits for a connection.
func (p *pool) take(ctx context.Context, write bool, closed <-chan struct{}) (*conn, error) {
	from := p.readers
	if write {
		from = p.writer
	}
	select {
	case c := <-from:
		return c, nil
	default:
	}
	var late <-chan time.Time
	if !write && !p.full() {
		timer := time.NewTimer(growAfter)
		defer timer.Stop()
		late = timer.C
	}
	for {
		select {
		case c := <-from:
			return c, nil
		case <-closed:
			return nil, store.ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-late:
			if !p.full() {
				return p.add(false)
			}
			late = nil
		}
	}
}

// give takes a connection back.
func (p *pool) give(c *conn) {
	switch {
	case c.write:
		p.writer <- c
	case len(p.readers) < p.keep:
		p.readers <- c
	default:
		p.drop(c)
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
func (p *pool) forget() {
	for range len(p.readers) {
		select {
		case c := <-p.readers:
			c.forget()
			p.give(c)
		default:
			return
		}
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
		n := p.count
		p.mu.Unlock()
		if n == 0 {
			return err
		}
		select {
		case c := <-p.readers:
			err = errors.Join(err, p.drop(c))
		case c := <-p.writer:
			err = errors.Join(err, p.drop(c))
		case <-time.After(10 * time.Millisecond): // one was dropped by give
		}
	}
}
