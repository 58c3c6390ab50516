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
	job    job
	sender *sender       // nil: the server itself
	err    error         // of job; the transaction goes on without it
	done   chan struct{} // takes a word when the outcome is in err

	// state is queued until the writer begins it or its caller leaves, whoever is
	// first: what has begun is waited for, and what was left never begins.
	state atomic.Int32

	did work // in the transaction that is open
}

// job is what a write does in its transaction.
type job interface{ run(tx *Tx) error }

// plain is a job without a result.
type plain func(tx *Tx) error

func (fn plain) run(tx *Tx) error { return fn(tx) }

// yielding is a job with a result.
type yielding[T any] struct {
	fn     func(tx *Tx) (T, error)
	result T
}

func (j *yielding[T]) run(tx *Tx) (err error) {
	j.result, err = j.fn(tx)
	return err
}

// answer tells the caller of w the outcome.
func (w *write) answer(err error) {
	w.err = err
	w.done <- struct{}{}
}

// work is what a member of a transaction has done so far. It is one value, so that
// a savepoint keeps it and puts it back whole.
type work struct {
	notice  Notice               // what its commit will tell
	defined []catalog.Definition // how it changed the catalog
	files   map[int64]bool       // whose references it changed
	logged  int64                // bytes that it has added to the change log
}

// The states of a write.
const (
	queued int32 = iota
	begun
	left
)

// transaction is what the writer has open.
type transaction struct {
	session Session
	members []*write
	ran     int   // how many of them have begun
	logged  int64 // bytes that members who have not failed have added to the log
	over    bool  // its members are answered, or belong to another one
}

// last is the member that runs, or was the last to run.
func (t *transaction) last() *write { return t.members[t.ran-1] }

// without returns the members but the last one that has run.
func (t *transaction) without() []*write {
	return slices.Concat(t.members[:t.ran-1], t.members[t.ran:])
}

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

// Writer runs writes: a DB, or a user's Share of one.
type Writer interface {
	submit(ctx context.Context, j job) error
}

// Write runs fn in a transaction and returns its result when that is committed
// and on disk. When fn or the commit fails, nothing of it remains. Writes of
// several callers share a commit; each sees those before it. fn may run more than
// once, so it changes nothing but the database, and what it finds out it returns.
// When ctx ends before fn has begun, Write returns at once and fn never runs;
// later it returns what became of it. Inside a write, where it would wait for
// itself, it fails after a moment.
func Write[T any](ctx context.Context, db Writer, fn func(tx *Tx) (T, error)) (T, error) {
	j := &yielding[T]{fn: fn}
	if err := db.submit(ctx, j); err != nil {
		var none T
		return none, err
	}
	return j.result, nil
}

// Write is the function Write for what has no result. It is for the server
// itself and goes before the writes of users, which come through For.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	return db.submit(ctx, plain(fn))
}

func (db *DB) submit(ctx context.Context, j job) error { return db.enqueue(ctx, "", j) }

// enqueue queues a job for user and waits for its outcome.
func (db *DB) enqueue(ctx context.Context, user string, j job) error {
	w := &write{ctx: ctx, job: j, done: make(chan struct{}, 1)}
	long, err := db.writes.add(w, user)
	if err != nil {
		return err
	}
	db.writes.tell()
	for {
		select {
		case <-w.done:
			return w.err
		case <-ctx.Done():
			if !db.leave(w) {
				<-w.done
				return w.err
			}
			return context.Cause(ctx)
		case <-long:
			if goroutine() == db.writing.Load() && db.leave(w) {
				return errNested
			}
			long = nil
		}
	}
}

// leave takes a write out of the queue, unless it has begun.
func (db *DB) leave(w *write) bool {
	if !w.state.CompareAndSwap(queued, left) {
		return false
	}
	db.writes.remove(w)
	return true
}

// writer is the one goroutine that changes the database. When the function of a
// write ends it, another one goes on.
func (db *DB) writer() {
	db.writing.Store(goroutine())
	over := false
	defer func() {
		if !over {
			db.done.Go(db.writer)
		}
	}()
	for {
		if w := db.writes.take(nil); w != nil {
			db.commit(w)
			continue
		}
		if over = db.writes.over(); over {
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
	t := db.begin([]*write{first})
	if t == nil {
		return
	}
	defer db.exited(t)
	began, mixed := time.Now(), false
	ok := db.run(t, false, false)
	for ok && len(t.members) < db.options.BatchLimit && t.session.Budget().Held() < maxBatchBytes && len(t.last().did.defined) == 0 {
		if mixed && time.Since(began) > longestShared {
			break
		}
		w := db.next(t.members)
		if w == nil {
			break
		}
		t.members = append(t.members, w)
		mixed = mixed || w.sender != first.sender
		ok = db.run(t, mixed, false)
	}
	if ok {
		db.end(t)
		return
	}
	t.session.End(false)
	t.over = true
	if last := t.last(); len(t.members) == 1 || errors.Is(last.err, ErrYielded) {
		last.answer(last.err) // it would make the others wait once more
		db.again(t.without())
		return
	}
	db.again(t.members)
}

// begin opens a transaction for members, or answers them when it cannot.
func (db *DB) begin(members []*write) *transaction {
	session, err := db.driver.Begin(context.Background(), Writing, members[0].user())
	if err == nil {
		return &transaction{session: session, members: members}
	}
	for _, w := range members {
		w.answer(db.engineError(w.ctx, fmt.Errorf("begin: %w", err), StopNone))
	}
	return nil
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
func (db *DB) again(members []*write) {
	if len(members) == 0 {
		return
	}
	t := db.begin(members)
	if t == nil {
		return
	}
	defer db.exited(t)
	mixed := slices.ContainsFunc(members, func(w *write) bool { return w.sender != members[0].sender })
	for _, w := range members {
		if db.run(t, mixed, true) {
			continue
		}
		t.session.End(false)
		t.over = true
		w.answer(w.err)
		db.again(t.without())
		return
	}
	db.end(t)
}

// exited does what is left to do when the last member has ended the writer's
// goroutine (runtime.Goexit, as a test that fails inside a write does): its
// neighbours are committed without it. Another writer takes this one's place.
func (db *DB) exited(t *transaction) {
	if t.over {
		return
	}
	t.session.Unbound()
	db.writes.ended()
	t.session.End(false)
	t.over = true
	t.last().answer(errExited)
	db.again(t.without())
}

// end commits the transaction, tells others what it has done and answers
// everybody.
func (db *DB) end(t *transaction) {
	t.over = true
	began := time.Now()
	err := t.session.End(true)
	db.pace.ended(time.Since(began), len(t.members)+int(db.writes.able.Load()))
	if err != nil {
		for _, w := range t.members {
			if w.err == nil {
				w.err = db.engineError(w.ctx, fmt.Errorf("commit: %w", err), StopNone)
			}
			w.answer(w.err)
		}
		return
	}
	db.logged += t.logged
	n := db.noticeOf(t)
	db.publish(&n)
	for _, w := range t.members {
		w.answer(w.err)
	}
}

// noticeOf is what the commit of a transaction tells.
func (db *DB) noticeOf(t *transaction) (n Notice) {
	var defined []catalog.Definition
	for _, w := range t.members {
		if w.err == nil {
			n.add(&w.did.notice)
			defined = append(defined, w.did.defined...)
		}
	}
	if len(defined) > 0 {
		n.Catalog = db.Catalog().With(defined)
	}
	return n
}

var (
	errExited = errors.New("store: the function of a write has ended the goroutine that runs it")
	errNested = errors.New("store: Write was called inside a write, where it would wait for itself; use the Tx that is open")
)

var errEnded = errors.New("store: the engine has dropped the transaction")

// slice is for how long a write of a user may make others wait. When it is over
// the write is rolled back, however long it might have run without them.
const slice = 100 * time.Millisecond

// othersWait reports whether the write that runs has to make room.
func (db *DB) othersWait() bool { return db.writes.othersWaited() > slice }

// run executes the next member of the open transaction and leaves its outcome in
// it. With guard it does so in a savepoint, and a failed member leaves nothing
// behind. others is true when members of other senders wait for the commit. It
// reports whether the transaction is still good.
func (db *DB) run(t *transaction, others, guard bool) bool {
	t.ran++
	w, session := t.last(), t.session
	w.err, w.did = nil, work{}
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
	db.writes.begin(w, others)
	session.Bound(w.ctx, db.options.WriteTimeout, db.yield)
	err := call(w.job, &Tx{db: db, session: session, write: w, logged: db.logged + t.logged})
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
	if w.err == nil {
		t.logged += w.did.logged
	}
	if !guard {
		return w.err == nil
	}
	if w.err != nil {
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

// call runs a job and turns a panic into an error, so that one caller's bug does
// not end the writer. What ends the goroutine without a panic is exited's.
func call(j job, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			tx.db.options.Logger.Error("panic in a write", "panic", p, "stack", string(debug.Stack()))
			err = &wire.Error{Code: wire.CodeInternal, Message: "internal error in a write"}
		}
	}()
	if err := j.run(tx); err != nil {
		return err
	}
	return tx.releaseFiles()
}

var (
	savepoint         = &Stmt{SQL: "SAVEPOINT member"}
	releaseSavepoint  = &Stmt{SQL: "RELEASE member"}
	rollbackSavepoint = &Stmt{SQL: "ROLLBACK TO member"}
)
