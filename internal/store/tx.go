package store

import (
	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/wire"
)

// Tx is a transaction: a snapshot in DB.Read, a writing one in DB.Write. It is
// valid until the function that got it returns.
type Tx struct {
	db      *DB
	session Session
	write   *write // nil when reading
	logged  int64  // bytes ever written to the change log before the write
}

// Query runs s and calls row for each row, which may be kept.
func (tx *Tx) Query(s *Stmt, args []wire.Value, row func([]wire.Value) error) error {
	if err := tx.open(); err != nil {
		return err
	}
	return tx.session.Query(s, args, row)
}

// Explain says how the engine would run s now, in lines for people.
func (tx *Tx) Explain(s *Stmt, args []wire.Value) ([]string, error) {
	if err := tx.open(); err != nil {
		return nil, err
	}
	return tx.session.Explain(s, args)
}

// Exec runs s and returns how many rows it changed. It is for the server's own
// tables: rows of users go through Insert, Update and Delete, which keep the
// change log.
func (tx *Tx) Exec(s *Stmt, args ...wire.Value) (int64, error) {
	return tx.exec(s, args)
}

func (tx *Tx) exec(s *Stmt, args []wire.Value) (int64, error) {
	if err := tx.open(); err != nil {
		return 0, err
	}
	return tx.session.Exec(s, args)
}

// script runs a definition.
func (tx *Tx) script(sql string) error {
	if err := tx.open(); err != nil {
		return err
	}
	return tx.session.Script(sql)
}

// open fails when the engine has dropped a writing transaction: what a function
// that overlooked that error still did would be committed by itself.
func (tx *Tx) open() error {
	if tx.write != nil && !tx.session.Active() {
		return errEnded
	}
	return nil
}

// Budget bounds what the caller evaluates in the transaction.
func (tx *Tx) Budget() *budget.Budget { return tx.session.Budget() }

// DB returns the database of the transaction.
func (tx *Tx) DB() *DB { return tx.db }

// Savepoint runs fn so that its changes go when it fails, and only those.
func (tx *Tx) Savepoint(fn func() error) error {
	if _, err := tx.exec(innerSavepoint, nil); err != nil {
		return err
	}
	before := tx.write.did
	err := fn()
	if err == nil {
		_, err = tx.exec(releaseInner, nil)
		return err
	}
	if tx.session.Active() {
		tx.session.Exec(rollbackInner, nil)
		tx.session.Exec(releaseInner, nil)
	}
	tx.write.did = before
	return err
}

var (
	innerSavepoint = &Stmt{SQL: "SAVEPOINT inner_"}
	releaseInner   = &Stmt{SQL: "RELEASE inner_"}
	rollbackInner  = &Stmt{SQL: "ROLLBACK TO inner_"}
)

// Catalog returns the catalog that the transaction works on. Inside a writing
// transaction it is the newest one.
func (tx *Tx) Catalog() *catalog.Snapshot { return tx.db.Catalog() }

func types(kinds ...wire.Kind) []wire.Type {
	out := make([]wire.Type, len(kinds))
	for i, k := range kinds {
		out[i].Kind = k
	}
	return out
}
