package store

import (
	"fmt"

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
}

// Query runs s and calls row for each row; the slice is reused for the next.
func (tx *Tx) Query(s *Stmt, args []wire.Value, row func([]wire.Value) error) error {
	if err := tx.open(); err != nil {
		return err
	}
	return tx.session.Query(s, args, row)
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

// AfterCommit calls fn once the transaction is on disk and before its caller is
// answered. fn is quick and waits for nothing.
func (tx *Tx) AfterCommit(fn func()) {
	tx.write.after = append(tx.write.after, fn)
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
	changes, after, defined, total := len(tx.write.changes), len(tx.write.after), len(tx.write.defined), tx.db.logTotal
	err := fn()
	if err == nil {
		_, err = tx.exec(releaseInner, nil)
		return err
	}
	if tx.session.Active() {
		tx.session.Exec(rollbackInner, nil)
		tx.session.Exec(releaseInner, nil)
	}
	tx.write.changes, tx.write.after = tx.write.changes[:changes], tx.write.after[:after]
	tx.write.defined, tx.db.logTotal = tx.write.defined[:defined], total
	return err
}

var (
	innerSavepoint = &Stmt{SQL: "SAVEPOINT inner_"}
	releaseInner   = &Stmt{SQL: "RELEASE inner_"}
	rollbackInner  = &Stmt{SQL: "ROLLBACK TO inner_"}
)

// Insert adds a row to t and to the change log. The row has a value for each of
// t.Columns, already of its type; user is the owner, "" for a SHARED table.
func (tx *Tx) Insert(t *catalog.Table, user string, row []wire.Value) (Seq, error) {
	s := tx.db.tableStmts(t)
	seq := tx.db.clock.next()
	if _, err := tx.exec(s.insert, s.rowArgs(user, row, seq)); err != nil {
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
	args := append(s.rowArgs(user, row, seq), s.keyArgs(user, old, oldSeq)...)
	if err := one(tx.exec(s.update, args)); err != nil {
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
	if err := one(tx.exec(s.delete, s.keyArgs(user, old, oldSeq))); err != nil {
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
	err := tx.Query(findStmt(t, cols), args, func(cells []wire.Value) error {
		n := len(cells) - 1
		found, seq = append([]wire.Value{}, cells[:n]...), cells[n].Int()
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

// ---- the change log on disk

var (
	logInsert = &Stmt{
		SQL: "INSERT INTO changes(seq, tbl, usr, ver, op, old_seq, old, new, total) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
		Args: types(wire.BigInt, wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt,
			wire.Bytes, wire.Bytes, wire.BigInt),
	}
	logNewest = &Stmt{SQL: "SELECT max(seq) FROM changes", Cols: types(wire.BigInt)}
	logTotal  = &Stmt{SQL: "SELECT total FROM changes ORDER BY seq DESC LIMIT 1", Cols: types(wire.BigInt)}
	logTrim   = &Stmt{SQL: "SELECT value FROM meta WHERE key = 'log_floor'", Cols: types(wire.Bytes)}
	logAll    = &Stmt{
		SQL:  "SELECT seq, tbl, usr, ver, op, old_seq, old, new FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2",
		Args: types(wire.BigInt, wire.BigInt), Cols: changeCols,
	}
	logScope = &Stmt{
		SQL:  "SELECT seq, tbl, usr, ver, op, old_seq, old, new FROM changes WHERE tbl = ?1 AND usr = ?2 AND seq > ?3 AND seq <= ?4 ORDER BY seq LIMIT ?5",
		Args: types(wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt), Cols: changeCols,
	}
	logNewestOf = &Stmt{
		SQL:  "SELECT coalesce(max(seq), 0) FROM changes WHERE tbl = ?1 AND usr = ?2",
		Args: types(wire.BigInt, wire.Text), Cols: types(wire.BigInt),
	}
	changeCols = types(wire.BigInt, wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt, wire.Bytes, wire.Bytes)
)

func types(kinds ...wire.Kind) []wire.Type {
	out := make([]wire.Type, len(kinds))
	for i, k := range kinds {
		out[i].Kind = k
	}
	return out
}

// log appends c to the change log of the transaction.
func (tx *Tx) log(c *Change) error {
	old, new := wire.Null, wire.Null
	n := 64
	if c.Old != nil {
		b := appendRow(nil, c.Old)
		n += len(b)
		old = wire.BytesValue(b)
	}
	if c.New != nil {
		b := appendRow(nil, c.New)
		n += len(b)
		new = wire.BytesValue(b)
	}
	// A change stays in memory until it is committed and handed on.
	if err := tx.Budget().Charge(n); err != nil {
		return err
	}
	tx.db.logTotal += int64(n)
	_, err := tx.exec(logInsert, []wire.Value{
		wire.IntValue(c.Seq), wire.IntValue(c.Table), wire.TextValue(c.User), wire.IntValue(int64(c.Version)),
		wire.IntValue(int64(c.Op)), wire.IntValue(c.OldSeq), old, new, wire.IntValue(tx.db.logTotal),
	})
	if err != nil {
		return err
	}
	tx.write.changes = append(tx.write.changes, c)
	return nil
}

// Newest is the position of the newest change in this snapshot.
func (tx *Tx) Newest() (Seq, error) {
	var newest Seq
	err := tx.Query(logNewest, nil, func(row []wire.Value) error {
		newest = row[0].Int()
		return nil
	})
	if err != nil || newest > 0 {
		return newest, err
	}
	return tx.Floor()
}

// NewestOf is the position of the newest change of one table and user that the
// log holds; 0 for none.
func (tx *Tx) NewestOf(table int64, user string) (Seq, error) {
	var newest Seq
	err := tx.Query(logNewestOf, []wire.Value{wire.IntValue(table), wire.TextValue(user)}, func(row []wire.Value) error {
		newest = row[0].Int()
		return nil
	})
	return newest, err
}

// Floor is the position up to which the log has been trimmed: a reader that
// stands below it has missed changes.
func (tx *Tx) Floor() (Seq, error) {
	var floor Seq
	err := tx.Query(logTrim, nil, func(row []wire.Value) error {
		v, err := decodeRow(row[0].Raw())
		if err == nil && len(v) == 1 {
			floor = v[0].Int()
		}
		return err
	})
	return floor, err
}

func (tx *Tx) logTotal() (int64, error) {
	var total int64
	err := tx.Query(logTotal, nil, func(row []wire.Value) error {
		total = row[0].Int()
		return nil
	})
	return total, err
}

// Changes calls fn for the changes of one table and user with after < Seq <=
// upTo in order, limit at most.
func (tx *Tx) Changes(table int64, user string, after, upTo Seq, limit int, fn func(*Change) error) error {
	args := []wire.Value{wire.IntValue(table), wire.TextValue(user), wire.IntValue(after), wire.IntValue(upTo), wire.IntValue(int64(limit))}
	return tx.Query(logScope, args, changeFn(fn))
}

// changes is Changes for all tables and users.
func (tx *Tx) changes(after Seq, limit int, fn func(*Change) error) error {
	return tx.Query(logAll, []wire.Value{wire.IntValue(after), wire.IntValue(int64(limit))}, changeFn(fn))
}

func changeFn(fn func(*Change) error) func([]wire.Value) error {
	return func(row []wire.Value) error {
		c := &Change{
			Seq: row[0].Int(), Table: row[1].Int(), User: row[2].Text(),
			Version: int(row[3].Int()), Op: Op(row[4].Int()), OldSeq: row[5].Int(),
		}
		var err error
		if !row[6].IsNull() {
			if c.Old, err = decodeRow(row[6].Raw()); err != nil {
				return err
			}
		}
		if !row[7].IsNull() {
			if c.New, err = decodeRow(row[7].Raw()); err != nil {
				return err
			}
		}
		return fn(c)
	}
}

// Catalog returns the catalog that the transaction works on. Inside a writing
// transaction it is the newest one.
func (tx *Tx) Catalog() *catalog.Snapshot { return tx.db.Catalog() }
