package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/kalamdb/kalam-go/wire"
)

// write is one waiting call of DB.Write.
type write struct {
	ctx  context.Context
	fn   func(tx *Tx) error
	err  error // of fn; the transaction goes on without it
	done chan error

	changes []*Change
	after   []func()
	defined bool // it changed the catalog
}

// Write runs fn in a transaction and returns when it is committed and on disk.
// When fn or the commit fails, nothing of it remains. Writes of several callers
// share a commit; each sees those before it. fn may run more than once, so it
// changes nothing but the database.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	w := &write{ctx: ctx, fn: fn, done: make(chan error, 1)}
	select {
	case <-db.closing:
		return ErrClosed
	default:
	}
	select {
	case db.writes <- w:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-db.closing:
		return ErrClosed
	}
	select {
	case err := <-w.done:
		return err
	case <-db.closing:
	}
	// The writer may have ended without seeing w, or may have answered it.
	db.done.Wait()
	select {
	case err := <-w.done:
		return err
	default:
		return ErrClosed
	}
}

// writer is the one goroutine that changes the database.
func (db *DB) writer() {
	for {
		select {
		case w := <-db.writes:
			db.commit(w)
		case <-db.closing:
			for {
				select {
				case w := <-db.writes:
					db.commit(w)
				default:
					return
				}
			}
		}
	}
}

// commit runs first and whatever waits behind it in one transaction.
func (db *DB) commit(first *write) {
	session, err := db.driver.Begin(context.Background(), true)
	if err != nil {
		first.done <- db.engineError(first.ctx, fmt.Errorf("begin: %w", err))
		return
	}
	batch := []*write{first}
	db.run(session, first)
	for len(batch) < db.options.BatchLimit && session.Active() && !batch[len(batch)-1].defined {
		var w *write
		select {
		case w = <-db.writes:
		default:
		}
		if w == nil {
			break
		}
		batch = append(batch, w)
		db.run(session, w)
	}
	if !session.Active() {
		// The last member's failure made the engine drop the whole transaction:
		// the others run again in a new one.
		session.End(false)
		db.again(batch)
		return
	}
	db.end(session, batch)
}

// again commits the members of a dropped transaction that had not failed.
func (db *DB) again(batch []*write) {
	var rest []*write
	for _, w := range batch {
		if w.err != nil {
			w.done <- w.err
			continue
		}
		rest = append(rest, w)
	}
	if len(rest) == 0 {
		return
	}
	session, err := db.driver.Begin(context.Background(), true)
	if err != nil {
		for _, w := range rest {
			w.done <- db.engineError(w.ctx, fmt.Errorf("begin: %w", err))
		}
		return
	}
	for _, w := range rest {
		db.run(session, w)
		if !session.Active() {
			session.End(false)
			db.again(rest)
			return
		}
	}
	db.end(session, rest)
}

// end commits the transaction, hands on what it changed and answers everybody.
func (db *DB) end(session Session, batch []*write) {
	defined := false
	var changes []*Change
	for _, w := range batch {
		if w.err == nil {
			defined = defined || w.defined
			changes = append(changes, w.changes...)
		}
	}
	if err := session.End(true); err != nil {
		for _, w := range batch {
			if w.err == nil {
				w.err = db.engineError(w.ctx, fmt.Errorf("commit: %w", err))
			}
			w.done <- w.err
		}
		// What logTotal counted did not happen.
		db.recount()
		return
	}
	if defined {
		err := db.Read(context.Background(), db.loadCatalog)
		if err != nil {
			db.options.Logger.Error("load the catalog after a definition", "error", err)
		}
	}
	db.ring.publish(changes)
	for _, w := range batch {
		if w.err == nil {
			for _, fn := range w.after {
				fn()
			}
		}
		w.done <- w.err
	}
}

// run executes one member inside the open transaction, in a savepoint of its
// own, and leaves its outcome in w.
func (db *DB) run(session Session, w *write) {
	w.err, w.changes, w.after, w.defined = nil, nil, nil, false
	if w.ctx.Err() != nil {
		w.err = context.Cause(w.ctx)
		return
	}
	if _, err := session.Exec(savepoint, nil); err != nil {
		w.err = db.engineError(w.ctx, fmt.Errorf("savepoint: %w", err))
		return
	}
	total := db.logTotal
	release := session.Bound(w.ctx)
	tx := &Tx{db: db, session: session, write: w}
	err := call(w.fn, tx)
	release()
	end := releaseSavepoint
	if err != nil {
		w.err = db.engineError(w.ctx, err)
		db.logTotal = total
		end = rollbackSavepoint
	}
	if !session.Active() {
		if w.err == nil {
			w.err = errors.New("store: the transaction ended inside a write")
		}
		return
	}
	if _, err := session.Exec(end, nil); err != nil && w.err == nil {
		w.err = db.engineError(w.ctx, fmt.Errorf("end of savepoint: %w", err))
		db.logTotal = total
	}
	if err != nil {
		session.Exec(releaseSavepoint, nil)
	}
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
	return fn(tx)
}

// recount reads the size of the log again after a failed commit.
func (db *DB) recount() {
	err := db.Read(context.Background(), func(tx *Tx) error {
		var err error
		db.logTotal, err = tx.logTotal()
		return err
	})
	if err != nil {
		db.options.Logger.Error("read the size of the change log", "error", err)
	}
}

var (
	savepoint         = &Stmt{SQL: "SAVEPOINT member"}
	releaseSavepoint  = &Stmt{SQL: "RELEASE member"}
	rollbackSavepoint = &Stmt{SQL: "ROLLBACK TO member"}
)
