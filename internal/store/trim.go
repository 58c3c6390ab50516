package store

import (
	"context"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

const (
	trimEvery = time.Minute
	trimChunk = 2000 // changes removed in one write, so that others get in between
)

var (
	trimUpTo = &Stmt{
		// The newest change stays, so that positions never start again.
		SQL: `SELECT max(seq) FROM (SELECT seq, total FROM changes WHERE seq < (SELECT max(seq) FROM changes) ORDER BY seq LIMIT $1) AS oldest
			WHERE seq < $2 OR total <= $3`,
		Args: types(wire.BigInt, wire.BigInt, wire.BigInt), Cols: types(wire.BigInt),
	}
	trimDelete = &Stmt{SQL: "DELETE FROM changes WHERE seq <= $1", Args: types(wire.BigInt)}
	trimFloor  = &Stmt{SQL: "INSERT INTO meta(key, value) VALUES('log_floor', $1) ON CONFLICT(key) DO UPDATE SET value = excluded.value", Args: types(wire.Bytes)}
)

// Trim removes changes that are too old or too many, some thousands at most,
// and reports whether there are more. The server calls it by itself.
func (db *DB) Trim(ctx context.Context) (more bool, err error) {
	return Write(ctx, db, func(tx *Tx) (more bool, err error) {
		before := SeqAt(db.Now().Add(-db.options.LogMaxAge))
		args := []wire.Value{wire.IntValue(trimChunk), wire.IntValue(before), wire.IntValue(tx.logged - db.options.LogMaxSize)}
		var upTo Seq
		err = tx.Query(trimUpTo, args, func(row []wire.Value) error {
			upTo = row[0].Int()
			return nil
		})
		if err != nil || upTo == 0 {
			return false, err
		}
		n, err := tx.Exec(trimDelete, wire.IntValue(upTo))
		if err != nil {
			return false, err
		}
		_, err = tx.Exec(trimFloor, wire.BytesValue(appendRow(nil, []wire.Value{wire.IntValue(upTo)})))
		return n == trimChunk, err
	})
}
