package store

import (
	"fmt"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/wire"
)

// Insert adds a row to t and to the change log. The row has a value for each of
// t.Columns, already of its type; user is the owner, "" for a SHARED table.
func (tx *Tx) Insert(t *catalog.Table, user string, row []wire.Value) (Seq, error) {
	s := tx.db.tableStmts(t)
	seq := tx.db.clock.next()
	args := s.rowArgs(tx.db.args[1][:0], user, row, seq)
	_, err := tx.exec(s.insert, args)
	tx.db.reuse(1, args)
	if err != nil {
		return 0, err
	}
	if err := tx.countFiles(s, user, nil, row); err != nil {
		return 0, err
	}
	return seq, tx.log(&Change{Seq: seq, Table: t.ID, Version: t.Version, User: user, Op: OpInsert, New: row})
}

// Update replaces the row whose version is oldSeq. When the key changes the log
// gets a delete and an insert.
func (tx *Tx) Update(t *catalog.Table, user string, oldSeq Seq, old, row []wire.Value) (Seq, error) {
	s := tx.db.tableStmts(t)
	if !sameKey(t, old, row) {
		if err := tx.Delete(t, user, oldSeq, old); err != nil {
			return 0, err
		}
		return tx.Insert(t, user, row)
	}
	seq := tx.db.clock.next()
	args := s.keyArgs(s.rowArgs(tx.db.args[1][:0], user, row, seq), user, old, oldSeq)
	err := one(tx.exec(s.update, args))
	tx.db.reuse(1, args)
	if err != nil {
		return 0, err
	}
	if err := tx.countFiles(s, user, old, row); err != nil {
		return 0, err
	}
	return seq, tx.log(&Change{Seq: seq, Table: t.ID, Version: t.Version, User: user, Op: OpUpdate, OldSeq: oldSeq, Old: old, New: row})
}

// Delete removes the row whose version is oldSeq.
func (tx *Tx) Delete(t *catalog.Table, user string, oldSeq Seq, old []wire.Value) error {
	s := tx.db.tableStmts(t)
	args := s.keyArgs(tx.db.args[1][:0], user, old, oldSeq)
	err := one(tx.exec(s.delete, args))
	tx.db.reuse(1, args)
	if err != nil {
		return err
	}
	if err := tx.countFiles(s, user, old, nil); err != nil {
		return err
	}
	seq := tx.db.clock.next()
	return tx.log(&Change{Seq: seq, Table: t.ID, Version: t.Version, User: user, Op: OpDelete, OldSeq: oldSeq, Old: old})
}

// one takes the outcome of a statement that is about one row. A row that is not
// there must not get into the change log.
func one(n int64, err error) error {
	if err == nil && n != 1 {
		err = fmt.Errorf("store: a change of one row found %d", n)
	}
	return err
}

// Find returns the row of user whose values in cols are those of row, and its
// version; nil if there is none. NULL equals nothing.
func (tx *Tx) Find(t *catalog.Table, user string, cols []int, row []wire.Value) ([]wire.Value, Seq, error) {
	var args []wire.Value
	if t.Kind.Private() {
		args = append(args, wire.TextValue(user))
	}
	for _, c := range cols {
		if row[c].IsNull() {
			return nil, 0, nil
		}
		args = append(args, row[c])
	}
	var found []wire.Value
	var seq Seq
	err := tx.Query(findStmt(tx.db.Target(), t, cols), args, func(cells []wire.Value) error {
		n := len(cells) - 1
		found, seq = cells[:n:n], cells[n].Int()
		return nil
	})
	return found, seq, err
}

func sameKey(t *catalog.Table, a, b []wire.Value) bool {
	for _, k := range t.Key {
		if a[k] != b[k] {
			return false
		}
	}
	return true
}
