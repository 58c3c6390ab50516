// Package store is the database: transactions, the change log and the server's
// own tables, over an engine that a Driver supplies.
//
// One flow: a caller passes a function to DB.Write; the writer runs it with
// others that wait, commits them together, and only then answers. What the
// functions did to rows stands in the change log, written by the same
// transaction; after the commit it goes to the ring in memory, where live
// readers take it.
//
// The package knows rows, not statements: it neither parses nor decides who
// may see what. Package bind prints bound queries.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("store: the database is closed")
	// ErrNewerVersion means that the data was written by a newer server.
	ErrNewerVersion = errors.New("the data folder was written by a newer version of kalam; use that version or a backup")
	// ErrTimeout means that a transaction ran longer than the options allow.
	ErrTimeout = errors.New("store: the transaction took too long")
	// ErrMemory means that a transaction held more memory than the engine may.
	ErrMemory = errors.New("store: the transaction holds too much memory")
	// ErrYielded means that a write of a user was rolled back because it made
	// others wait for longer than a tenth of a second.
	ErrYielded = errors.New("store: others waited for the write")
	// ErrLogTrimmed means that changes above a reader's position have left the
	// change log: what the reader has is no longer whole, and it begins again.
	ErrLogTrimmed = errors.New("store: the change log no longer reaches back to the position")
	// ErrLocked means that another server has the data folder open.
	ErrLocked = errors.New("another server is using the data folder")
)

// Options configure a DB. The zero value works.
type Options struct {
	RingBytes    int           // changes kept in memory; default 32 MiB
	LogMaxAge    time.Duration // changes kept on disk; default 7 days
	LogMaxSize   int64         // bytes of changes kept on disk; default 1 GiB
	BatchLimit   int           // writes that share one commit at most; default 256
	ReadTimeout  time.Duration // of a statement or transaction that reads; default 30 s
	WriteTimeout time.Duration // of a transaction that writes, once it runs; default 5 s
	Now          func() time.Time
	Logger       *slog.Logger
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	driver  Driver
	options Options
	clock   clock
	ring    ring
	catalog atomic.Pointer[catalog.Snapshot]
	stmts   sync.Map // *catalog.Table -> *tableStmts
	writes  writeQueue
	yield   func() bool   // db.othersWait
	closing chan struct{} // closed by Close
	done    sync.WaitGroup
	once    sync.Once

	opened    time.Time
	logged    int64           // bytes ever written to the change log and committed; the writer's
	writing   atomic.Value    // the goroutine of the writer, a string
	pace      pace            // the writer's
	args      [2][]wire.Value // of statements of the writer, used again
	encoded   []byte          // and of a row that it logs
	listeners listeners       // of what commits tell
}

// Open migrates the database behind driver to this version and opens it. The
// DB owns the driver from then on, also when Open fails.
func Open(ctx context.Context, driver Driver, o Options) (*DB, error) {
	if o.RingBytes == 0 {
		o.RingBytes = 32 << 20
	}
	if o.LogMaxAge == 0 {
		o.LogMaxAge = 7 * 24 * time.Hour
	}
	if o.LogMaxSize == 0 {
		o.LogMaxSize = 1 << 30
	}
	if o.BatchLimit == 0 {
		o.BatchLimit = 256
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = 30 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	db := &DB{
		driver:  driver,
		options: o,
		closing: make(chan struct{}),
	}
	db.yield = db.othersWait
	db.writes.init()
	db.clock.now = o.Now
	db.opened = o.Now()
	db.ring.limit = o.RingBytes
	if err := db.start(ctx); err != nil {
		driver.Close()
		return nil, err
	}
	db.done.Go(db.writer)
	db.done.Go(func() { db.repeat(trimEvery, "trim the change log", db.Trim) })
	db.done.Go(func() { db.repeat(expireEvery, "delete rows that have lived their time", db.Expire) })
	return db, nil
}

// repeat takes all steps that there are from time to time, until Close.
func (db *DB) repeat(every time.Duration, what string, step func(context.Context) (more bool, err error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-db.closing:
			return
		}
		for more := true; more; {
			var err error
			if more, err = step(context.Background()); err != nil {
				if !errors.Is(err, ErrClosed) {
					db.options.Logger.Error(what, "error", err)
				}
				break
			}
		}
	}
}

func (db *DB) start(ctx context.Context) error {
	if err := db.driver.Migrate(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	var newest Seq
	err := db.Read(ctx, func(tx *Tx) error {
		var err error
		if newest, err = tx.Newest(); err != nil {
			return err
		}
		if db.logged, err = tx.logTotal(); err != nil {
			return err
		}
		next, err := db.readCatalog(tx)
		if err != nil {
			return err
		}
		db.useCatalog(next)
		return nil
	})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if err := db.enforceUnique(ctx); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	db.clock.raise(newest)
	db.ring.floor, db.ring.newest = newest, newest
	return nil
}

// Close finishes the writes that were accepted and closes the engine. It is
// idempotent.
func (db *DB) Close() error {
	var err error
	db.once.Do(func() {
		close(db.closing)
		db.writes.close()
		db.done.Wait()
		err = db.driver.Close()
	})
	return err
}

// Catalog returns what exists now.
func (db *DB) Catalog() *catalog.Snapshot { return db.catalog.Load() }

// Target says which SQL bound statements are printed in.
func (db *DB) Target() sqlgen.Target { return db.driver.Target() }

// Budget returns a budget for what is evaluated outside of a transaction, with
// the time of a statement that reads. The caller ends it.
func (db *DB) Budget(ctx context.Context) *budget.Budget {
	return budget.New(ctx, db.options.ReadTimeout, db.driver.Account())
}

// Turns shares the processors among what users compute.
func (db *DB) Turns() *budget.Turns { return db.driver.Turns() }

// Account counts what Go holds for statements.
func (db *DB) Account() *budget.Account { return db.driver.Account() }

// Stopped returns what became of a statement whose Budget has ended: the error
// of ctx, or ErrTimeout. Any other err it returns as it is.
func (db *DB) Stopped(ctx context.Context, err error) error {
	return db.engineError(ctx, err, StopNone)
}

// NextID returns a new id, larger than all before it, of the same kind as Seq.
func (db *DB) NextID() int64 { return db.clock.next() }

// Now is the time by the database's clock.
func (db *DB) Now() time.Time { return db.options.Now() }

// Newest is the position of the newest commit.
func (db *DB) Newest() Seq {
	db.ring.mu.Lock()
	defer db.ring.mu.Unlock()
	return db.ring.newest
}

// Changes returns up to limit changes of all tables above pos, in order, from
// memory or from disk. When there is none yet it returns a channel that is
// closed at the next commit. It fails with ErrLogTrimmed when the log has been
// trimmed beyond pos.
func (db *DB) Changes(ctx context.Context, pos Seq, limit int) ([]*Change, <-chan struct{}, error) {
	out, ok, wait := db.ring.after(pos, limit)
	if ok {
		return out, wait, nil
	}
	err := db.Read(ctx, func(tx *Tx) error {
		out = out[:0]
		if err := tx.Reaches(pos); err != nil {
			return err
		}
		return tx.changes(pos, limit, func(c *Change) error {
			out = append(out, c)
			return nil
		})
	})
	return out, nil, err
}

// Backup writes a consistent copy of the database to a new file, while others
// read and write.
func (db *DB) Backup(ctx context.Context, path string) error {
	select {
	case <-db.closing:
		return ErrClosed
	default:
	}
	if err := db.driver.Backup(ctx, path); err != nil {
		return db.engineError(ctx, err, StopNone)
	}
	return nil
}

// Read runs fn on a snapshot of the database. It is for the server itself and
// waits for no user's statement; those come through For.
func (db *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	return db.read(ctx, "", fn)
}

// Query runs one statement that reads and calls row for each row, which may be
// kept. It costs less than a Read with one Tx.Query. Like Read it
// is for the server itself.
func (db *DB) Query(ctx context.Context, s *Stmt, args []wire.Value, row func([]wire.Value) error) error {
	return db.query(ctx, "", s, args, row)
}

// For returns the database as it serves one user: all who want it take turns.
func (db *DB) For(user string) Share { return Share{db, user} }

// Share is a user's share of a database. Whoever is alone has all of it. What a
// user sends beyond what can wait is refused with RATE_LIMITED.
type Share struct {
	db   *DB
	user string
}

// Budget is DB.Budget for what takes turns with the work of other users.
func (s Share) Budget(ctx context.Context) *budget.Budget {
	b := s.db.Budget(ctx)
	t := s.db.Turns()
	b.TakeTurns(t, t.Of(s.user), false, nil)
	return b
}

// Write is DB.Write. When others wait for it for too long, it fails with
// ErrYielded, and what the user writes next waits for a while.
func (s Share) Write(ctx context.Context, fn func(tx *Tx) error) error {
	return s.submit(ctx, plain(fn))
}

func (s Share) submit(ctx context.Context, j job) error { return s.db.enqueue(ctx, s.user, j) }

// Read is DB.Read.
func (s Share) Read(ctx context.Context, fn func(tx *Tx) error) error {
	return s.db.read(ctx, s.user, fn)
}

// Query is DB.Query.
func (s Share) Query(ctx context.Context, st *Stmt, args []wire.Value, row func([]wire.Value) error) error {
	return s.db.query(ctx, s.user, st, args, row)
}

func (db *DB) read(ctx context.Context, user string, fn func(tx *Tx) error) error {
	session, err := db.driver.Begin(ctx, Reading, user)
	if err != nil {
		return db.engineError(ctx, err, StopNone)
	}
	session.Bound(ctx, db.options.ReadTimeout, nil)
	defer session.End(false)
	err = fn(&Tx{db: db, session: session})
	stop := session.Unbound()
	if err != nil {
		return db.engineError(ctx, err, stop)
	}
	return nil
}

func (db *DB) query(ctx context.Context, user string, s *Stmt, args []wire.Value, row func([]wire.Value) error) error {
	session, err := db.driver.Begin(ctx, Reading, user)
	if err != nil {
		return db.engineError(ctx, err, StopNone)
	}
	defer session.End(false)
	session.Bound(ctx, db.options.ReadTimeout, nil)
	err = session.Query(s, args, row)
	stop := session.Unbound()
	if err != nil {
		return db.engineError(ctx, err, stop)
	}
	return nil
}

// engineError gives an error of the engine the code that callers act on. stop
// is why the session was interrupted.
func (db *DB) engineError(ctx context.Context, err error, stop Stop) error {
	var coded *wire.Error
	if errors.As(err, &coded) {
		return err
	}
	reason := db.driver.Reason(err)
	if errors.Is(err, budget.ErrStopped) {
		if reason = ReasonInterrupted; stop == StopNone {
			stop = StopLate // it was quicker than the watchdog
		}
	}
	switch reason {
	case ReasonInterrupted:
		if e := context.Cause(ctx); e != nil {
			return e
		}
		switch stop {
		case StopLate:
			return ErrTimeout
		case StopMemory:
			return ErrMemory
		case StopYield:
			return ErrYielded
		}
	case ReasonMemory:
		return ErrMemory
	case ReasonTooLong:
		return &wire.Error{Code: wire.CodeResultTooLarge, Message: "a value of the statement is longer than the server can hold"}
	case ReasonFull:
		return &wire.Error{Code: wire.CodeDatabaseUnavailable, Message: "the disk of the server is full; nothing was written"}
	}
	return err
}
