package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

const (
	expireEvery = 2 * time.Second
	expireRows  = 500     // of one write, so that others get in between
	expireBytes = 4 << 20 // of the rows of one write
)

// Ended is the version below which the rows of a STREAM table have lived their
// time.
func Ended(t *catalog.Table, now time.Time) Seq {
	return SeqAt(now.Add(-time.Duration(t.TTL) * time.Second))
}

// Expire deletes rows of STREAM tables that have lived their time, some hundred
// of each table at most, and reports whether there are more. Each is a delete
// in the change log, as if its owner had deleted it. The server calls it by
// itself; until then queries do not show such rows.
func (db *DB) Expire(ctx context.Context) (more bool, err error) {
	for _, t := range db.Catalog().All() {
		if t.Kind != catalog.Stream || t.TTL == 0 {
			continue
		}
		ended := false
		err := db.Query(ctx, oldestStmt(t), []wire.Value{wire.IntValue(Ended(t, db.Now()))}, func([]wire.Value) error {
			ended = true
			return nil
		})
		if db.Catalog().TableByID(t.ID) != t {
			more = true // it has changed meanwhile
			continue
		}
		if err == nil && ended {
			ended, err = db.expire(ctx, t.ID)
		}
		if err != nil {
			return false, err
		}
		more = more || ended
	}
	return more, nil
}

var errEnough = errors.New("store: enough for one write")

// expire is one step for one table.
func (db *DB) expire(ctx context.Context, table int64) (more bool, err error) {
	return Write(ctx, db, func(tx *Tx) (more bool, err error) {
		t := tx.Catalog().TableByID(table)
		if t == nil || t.Kind != catalog.Stream || t.TTL == 0 {
			return false, nil
		}
		type row struct {
			user  string
			seq   Seq
			cells []wire.Value
		}
		var rows []row
		bytes := 0
		n := len(t.Columns)
		args := []wire.Value{wire.IntValue(Ended(t, db.Now())), wire.IntValue(expireRows + 1)}
		err = tx.Query(endedStmt(t), args, func(cells []wire.Value) error {
			if len(rows) == expireRows || bytes > expireBytes {
				more = true
				return errEnough
			}
			rows = append(rows, row{cells[n].Text(), cells[n+1].Int(), cells[:n:n]})
			for _, v := range cells {
				bytes += 32 + len(v.Raw())
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return false, err
		}
		for _, r := range rows {
			if err := tx.Delete(t, r.user, r.seq, r.cells); err != nil {
				return false, err
			}
		}
		return more, nil
	})
}

// oldestStmt asks for a row whose version is below $1.
func oldestStmt(t *catalog.Table) *Stmt {
	return &Stmt{SQL: "SELECT 1 FROM " + t.Physical() + " WHERE " + catalog.SeqColumn + " < $1 LIMIT 1", Args: types(wire.BigInt), Cols: types(wire.Int)}
}

// endedStmt reads the rows whose version is below $1, $2 at most, the oldest
// first: the columns, the owner, the version.
func endedStmt(t *catalog.Table) *Stmt {
	s := &Stmt{Args: types(wire.BigInt, wire.BigInt)}
	cols := make([]string, 0, len(t.Columns)+2)
	for i := range t.Columns {
		cols = append(cols, t.Columns[i].Physical())
		s.Cols = append(s.Cols, t.Columns[i].Type)
	}
	cols = append(cols, sqlgen.UserColumn, catalog.SeqColumn)
	s.Cols = append(s.Cols, wire.Type{Kind: wire.Text}, wire.Type{Kind: wire.BigInt})
	s.SQL = "SELECT " + strings.Join(cols, ",") + " FROM " + t.Physical() + " WHERE " + catalog.SeqColumn + " < $1 ORDER BY " + catalog.SeqColumn + " LIMIT $2"
	return s
}
