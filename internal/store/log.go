package store

import "github.com/kalamdb/kalam-go/wire"

// Op is what a change did.
type Op uint8

// The operations of a change.
const (
	OpInsert Op = iota + 1
	OpUpdate
	OpDelete
)

// String gives the operation as change frames name it.
func (o Op) String() string {
	switch o {
	case OpInsert:
		return "insert"
	case OpUpdate:
		return "update"
	}
	return "delete"
}

// Change is one entry of the change log: what one statement did to one row.
// It is immutable once it is committed.
type Change struct {
	Seq     Seq    // its position, and the version of the new row
	Table   int64  // catalog.Table.ID
	Version int    // of the table's definition that Old and New follow
	User    string // whose row; "" in a SHARED table
	Op      Op
	OldSeq  Seq          // the version that was replaced or deleted
	Old     []wire.Value // the row before: nil for an insert
	New     []wire.Value // the row after: nil for a delete
}

// Size is roughly what a change takes in memory.
func (c *Change) Size() int {
	n := 128
	for _, row := range [2][]wire.Value{c.Old, c.New} {
		for _, v := range row {
			n += 32 + len(v.Raw())
		}
	}
	return n
}

var (
	logInsert = &Stmt{
		SQL: "INSERT INTO changes(seq, tbl, usr, ver, op, old_seq, old, new, total) VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9)",
		Args: types(wire.BigInt, wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt,
			wire.Bytes, wire.Bytes, wire.BigInt),
	}
	logNewest = &Stmt{SQL: "SELECT max(seq) FROM changes", Cols: types(wire.BigInt)}
	logTotal  = &Stmt{SQL: "SELECT total FROM changes ORDER BY seq DESC LIMIT 1", Cols: types(wire.BigInt)}
	logTrim   = &Stmt{SQL: "SELECT value FROM meta WHERE key = 'log_floor'", Cols: types(wire.Bytes)}
	logAll    = &Stmt{
		SQL:  "SELECT seq, tbl, usr, ver, op, old_seq, old, new FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2",
		Args: types(wire.BigInt, wire.BigInt), Cols: changeCols,
	}
	logScope = &Stmt{
		SQL:  "SELECT seq, tbl, usr, ver, op, old_seq, old, new FROM changes WHERE tbl = $1 AND usr = $2 AND seq > $3 AND seq <= $4 ORDER BY seq LIMIT $5",
		Args: types(wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt), Cols: changeCols,
	}
	logNewestOf = &Stmt{
		SQL:  "SELECT coalesce(max(seq), 0) FROM changes WHERE tbl = $1 AND usr = $2",
		Args: types(wire.BigInt, wire.Text), Cols: types(wire.BigInt),
	}
	changeCols = types(wire.BigInt, wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt, wire.Bytes, wire.Bytes)
)

// log appends c to the change log of the transaction.
func (tx *Tx) log(c *Change) error {
	old, new := tx.encoded(c.Old), tx.encoded(c.New)
	n := 64 + len(old.Raw()) + len(new.Raw())
	// A change stays in memory until it is committed and handed on.
	if err := tx.Budget().Charge(n); err != nil {
		return err
	}
	tx.write.did.logged += int64(n)
	args := append(tx.db.args[0][:0],
		wire.IntValue(c.Seq), wire.IntValue(c.Table), wire.TextValue(c.User), wire.IntValue(int64(c.Version)),
		wire.IntValue(int64(c.Op)), wire.IntValue(c.OldSeq), old, new, wire.IntValue(tx.logged+tx.write.did.logged))
	_, err := tx.exec(logInsert, args)
	tx.db.reuse(0, args)
	if err != nil {
		return err
	}
	tx.write.did.notice.Changes = append(tx.write.did.notice.Changes, c)
	return nil
}

// encoded is a row as the log holds it; NULL for none.
func (tx *Tx) encoded(row []wire.Value) wire.Value {
	if row == nil {
		return wire.Null
	}
	tx.db.encoded = appendRow(tx.db.encoded[:0], row)
	v := wire.BytesValue(tx.db.encoded)
	if cap(tx.db.encoded) > reusedBytes {
		tx.db.encoded = nil
	}
	return v
}

// reusedBytes is how much of a buffer of the writer is kept to be used again.
const reusedBytes = 64 << 10

// reuse keeps the arguments of a statement of the writer for the next one, and
// nothing of what they held.
func (db *DB) reuse(i int, args []wire.Value) {
	clear(args)
	db.args[i] = args
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

// Reaches fails with ErrLogTrimmed when the log has lost changes above pos.
func (tx *Tx) Reaches(pos Seq) error {
	floor, err := tx.Floor()
	if err == nil && floor > max(pos, 0) {
		err = ErrLogTrimmed
	}
	return err
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

var (
	logReplaced = &Stmt{
		SQL: `SELECT seq, old_seq FROM changes WHERE tbl = $1 AND usr = $2 AND seq > $3 AND seq <= $4
			AND old_seq > $5 AND old_seq <= $6 ORDER BY seq LIMIT $7`,
		Args: types(wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt),
		Cols: types(wire.BigInt, wire.BigInt),
	}
	logAt = &Stmt{
		SQL:  "SELECT seq, tbl, usr, ver, op, old_seq, old, new FROM changes WHERE seq = $1",
		Args: types(wire.BigInt), Cols: changeCols,
	}
)

// Replaced calls fn for the changes of one table and user with after < Seq <=
// upTo that ended a version of a row with oldAfter < version <= oldUpTo, in
// order, limit at most.
func (tx *Tx) Replaced(table int64, user string, after, upTo, oldAfter, oldUpTo Seq, limit int, fn func(seq, oldSeq Seq)) error {
	args := []wire.Value{
		wire.IntValue(table), wire.TextValue(user), wire.IntValue(after), wire.IntValue(upTo),
		wire.IntValue(oldAfter), wire.IntValue(oldUpTo), wire.IntValue(int64(limit)),
	}
	return tx.Query(logReplaced, args, func(row []wire.Value) error {
		fn(row[0].Int(), row[1].Int())
		return nil
	})
}

// Change returns the change at a position; nil when the log has none there.
func (tx *Tx) Change(at Seq) (*Change, error) {
	var found *Change
	err := tx.Query(logAt, []wire.Value{wire.IntValue(at)}, changeFn(func(c *Change) error {
		found = c
		return nil
	}))
	return found, err
}
