package store

import "github.com/kalamdb/kalam-go/wire"

var (
	logReplaced = &Stmt{
		SQL: `SELECT seq, old_seq FROM changes WHERE tbl = ?1 AND usr = ?2 AND seq > ?3 AND seq <= ?4
			AND old_seq > ?5 AND old_seq <= ?6 ORDER BY seq LIMIT ?7`,
		Args: types(wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt),
		Cols: types(wire.BigInt, wire.BigInt),
	}
	logAt = &Stmt{
		SQL:  "SELECT seq, tbl, usr, ver, op, old_seq, old, new FROM changes WHERE seq = ?1",
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
