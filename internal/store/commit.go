package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/wire"
)

// write is one waiting call of DB.Write.
type write struct {
	ctx    context.Context
	fn     func(tx *Tx) error
	sender *sender // nil: the server itself
	err    error   // of fn; the transaction goes on without it
	done   chan error

	// state is queued until the writer begins it or its caller leaves, whoever is
	// first: what has begun is waited for, and what was left never begins.
	state atomic.Int32

	changes  []*Change
	after    []func()
	defined  []catalog.Definition // how it changed the catalog
	files    map[int64]bool       // whose references it changed
	released []*File              // that it ended
}

// The states of a write.
const (
	queued int32 = iota
	begun
	left
)

// begin reports whether w may run, for the first time or again.
func (w *write) begin() bool {
	return w.ctx.Err() == nil && (w.state.CompareAndSwap(queued, begun) || w.state.Load() == begun)
}

// user is who sent w, "" for the server itself.
func (w *write) user() string {
	if w.sender == nil {
		return ""
	}
	return w.sender.user
}

// Write runs fn in a transaction and returns when it is committed and on disk.
// When fn or the commit fails, nothing of it remains. Writes of several callers
// share a commit; each sees those before it. fn may run more than once, so it
// changes nothing but the database. When ctx ends before fn has begun, Write
// returns at once and fn never runs; later it returns what became of it.
//
// It is for the server itself and goes before the writes of users, which come
// through For.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	return db.write(ctx, "", fn)
}

func (db *DB) write(ctx context.Context, user string, fn func(tx *Tx) error) error {
	w := &write{ctx: ctx, fn: fn, done: make(chan error, 1)}
	if err := db.writes.add(w, user); err != nil {
		return err
	}
	db.writes.tell()
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		if w.state.CompareAndSwap(queued, left) {
			db.writes.remove(w)
			return context.Cause(ctx)
		}
		return <-w.done
	}
}

// writer is the one goroutine that changes the database.
func (db *DB) writer() {
	for {
		if w := db.writes.take(nil); w != nil {
			db.commit(w)
			continue
		}
		if db.writes.over() {
			return
		}
		db.writes.awaited.Store(1)
		if db.writes.able.Load() == 0 {
			<-db.writes.arrived
		}
		db.writes.awaited.Store(0)
	}
}

// commit runs first and whatever waits behind it in one transaction. Members
// seldom fail, so they run without savepoints, which cost more than a row; when
// one does fail, all of them run again in savepoints of their own.
func (db *DB) commit(first *write) {
	db.pace.begin()
	db.await(1)
	session, err := db.driver.Begin(context.Background(), Write, first.user())
	if err != nil {
		first.done <- db.engineError(first.ctx, fmt.Errorf("begin: %w", err), StopNone)
		return
	}
	total := db.logTotal
	batch := []*write{first}
	began, mixed := time.Now(), false
	ok := db.run(session, first, false, false)
	for ok && len(batch) < db.options.BatchLimit && session.Budget().Held() < maxBatchBytes && len(batch[len(batch)-1].defined) == 0 {
		if mixed && time.Since(began) > longestShared {
			break
		}
		w := db.next(batch)
		if w == nil {
			break
		}
		batch = append(batch, w)
		mixed = mixed || w.sender != first.sender
		ok = db.run(session, w, mixed, false)
	}
	if ok {
		db.end(session, batch, total)
		return
	}
	session.End(false)
	db.logTotal = total
	last := batch[len(batch)-1]
	if len(batch) == 1 || errors.Is(last.err, ErrYielded) {
		last.done <- last.err // it would make the others wait once more
		batch = batch[:len(batch)-1]
	}
	if len(batch) > 0 {
		db.again(batch)
	}
}

// longestShared is for how long members of several senders run before they are
// committed: each of them waits for all.
const longestShared = 5 * time.Millisecond

// maxBatchBytes is how many bytes the writes of a transaction hold before no
// other joins them: they hold them until it is committed.
const maxBatchBytes = 16 << 20

// next returns the write that shares the commit as the next member, or nil when
// it is time to commit.
func (db *DB) next(batch []*write) *write {
	for {
		if w := db.writes.take(batch); w != nil {
			return w
		}
		if db.writes.able.Load() > 0 || !db.await(len(batch)) {
			return nil
		}
	}
}

// stride is how many writes the writer lets come before it goes on: to wake it
// for each of them costs more than it gains.
const stride = 4

// await waits until some more writes have come for a transaction of so many
// members, as long as pace allows. It reports whether it has waited.
func (db *DB) await(members int) bool {
	wait := db.pace.wait(members)
	if wait <= 0 {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	n := int32(min(db.pace.expected-members, stride))
	db.writes.awaited.Store(n)
	defer db.writes.awaited.Store(0)
	for db.writes.able.Load() < n {
		select {
		case <-db.writes.arrived:
		case <-timer.C:
			return true
		}
	}
	return true
}

// again runs members in savepoints of their own and commits those that do not
// fail. An engine may drop the whole transaction when one fails: then the
// others start again without it.
func (db *DB) again(batch []*write) {
	session, err := db.driver.Begin(context.Background(), Write, batch[0].user())
	if err != nil {
		for _, w := range batch {
			w.done <- db.engineError(w.ctx, fmt.Errorf("begin: %w", err), StopNone)
		}
		return
	}
	total := db.logTotal
	mixed := slices.ContainsFunc(batch, func(w *write) bool { return w.sender != batch[0].sender })
	for i, w := range batch {
		if db.run(session, w, mixed, true) {
			continue
		}
		session.End(false)
		db.logTotal = total
		w.done <- w.err
		if rest := append(batch[:i:i], batch[i+1:]...); len(rest) > 0 {
			db.again(rest)
		}
		return
	}
	db.end(session, batch, total)
}

// end commits the transaction, hands on what it changed and answers everybody.
// total is the size of the log before the transaction.
func (db *DB) end(session Session, batch []*write, total int64) {
	var defined []catalog.Definition
	var changes []*Change
	for _, w := range batch {
		if w.err == nil {
			defined = append(defined, w.defined...)
			changes = append(changes, w.changes...)
		}
	}
	began := time.Now()
	err := session.End(true)
	db.pace.ended(time.Since(began), len(batch)+int(db.writes.able.Load()))
	if err != nil {
		db.logTotal = total
		for _, w := range batch {
			if w.err == nil {
				w.err = db.engineError(w.ctx, fmt.Errorf("commit: %w", err), StopNone)
			}
			w.done <- w.err
		}
		return
	}
	if len(defined) > 0 {
		db.useCatalog(db.Catalog().With(defined))
	}
	db.ring.publish(changes)
	for _, w := range batch {
		if w.err == nil {
			for _, fn := range w.after {
				fn()
			}
			db.releases.add(w.released)
		}
		w.done <- w.err
	}
}

var errEnded = errors.New("store: the engine has dropped the transaction")

// slice is for how long a write of a user may make others wait. When it is over
// the write is rolled back, however long it might have run without them.
const slice = 100 * time.Millisecond

// othersWait reports whether the write that runs has to make room.
func (db *DB) othersWait() bool { return db.writes.othersWaited() > slice }

// run executes one member inside the open transaction and leaves its outcome in
// w. With guard it does so in a savepoint, and a failed member leaves nothing
// behind. others is true when members of other senders wait for the commit. It
// reports whether the transaction is still good.
func (db *DB) run(session Session, w *write, others, guard bool) bool {
	w.err, w.changes, w.after, w.defined = nil, nil, nil, nil
	w.files, w.released = nil, nil
	if !w.begin() {
		w.err = context.Cause(w.ctx)
		return true
	}
	if guard {
		if _, err := session.Exec(savepoint, nil); err != nil {
			w.err = db.engineError(w.ctx, fmt.Errorf("savepoint: %w", err), StopNone)
			return false
		}
	}
	total := db.logTotal
	db.writes.begin(w, others)
	session.Bound(w.ctx, db.options.WriteTimeout, db.yield)
	err := call(w.fn, &Tx{db: db, session: session, write: w})
	stop := session.Unbound()
	db.writes.ended()
	if err != nil {
		w.err = db.engineError(w.ctx, err, stop)
	}
	if !session.Active() {
		if w.err == nil {
			w.err = errEnded
		}
		return false
	}
	if !guard {
		return w.err == nil
	}
	if w.err != nil {
		db.logTotal = total
		if _, err := session.Exec(rollbackSavepoint, nil); err != nil {
			return false
		}
	}
	if _, err := session.Exec(releaseSavepoint, nil); err != nil {
		if w.err == nil {
			w.err = db.engineError(w.ctx, fmt.Errorf("end of savepoint: %w", err), StopNone)
		}
		return false
	}
	return true
}

// call runs fn and turns a panic into an error, so that one caller's bug does
// not end the writer.
func call(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			tx.db.options.Logger.Error("panic in a write", "panic", p, "stack", string(debug.Stack()))
			err = &wire.Error{Code: wire.CodeInternal, Message: "internal error in a write"}
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.releaseFiles()
}

var (
	savepoint         = &Stmt{SQL: "SAVEPOINT member"}
	releaseSavepoint  = &Stmt{SQL: "RELEASE member"}
	rollbackSavepoint = &Stmt{SQL: "ROLLBACK TO member"}
)
