package store

import (
	"context"
	"slices"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

// eraseRows is how much of one user is removed in one write, so that others get
// in between.
const eraseRows = 500

var (
	eraseRefs = &Stmt{
		SQL:  "SELECT file FROM file_refs WHERE tbl = $1 AND usr = $2 AND file > $3 ORDER BY file LIMIT $4",
		Args: types(wire.BigInt, wire.Text, wire.BigInt, wire.BigInt), Cols: types(wire.BigInt),
	}
	eraseRef      = &Stmt{SQL: "DELETE FROM file_refs WHERE file = $1 AND tbl = $2 AND usr = $3", Args: types(wire.BigInt, wire.BigInt, wire.Text)}
	eraseCounters = &Stmt{SQL: "DELETE FROM counters WHERE usr = $1", Args: types(wire.Text)}
	eraseChanges  = &Stmt{
		SQL:  "SELECT seq FROM changes WHERE usr = $1 AND seq > $2 ORDER BY seq LIMIT $3",
		Args: types(wire.Text, wire.BigInt, wire.BigInt), Cols: types(wire.BigInt),
	}
	// The newest change stays, so that positions never start again; it says
	// nothing any more.
	eraseChange = &Stmt{SQL: "DELETE FROM changes WHERE seq = $1 AND seq < (SELECT max(seq) FROM changes)", Args: types(wire.BigInt)}
	blankChange = &Stmt{SQL: "UPDATE changes SET tbl = 0, usr = '', old = NULL, new = NULL WHERE seq = $1", Args: types(wire.BigInt)}
)

// EraseUser removes all that USER and STREAM tables hold of a user who writes no
// more: the rows, the files that no other row refers to, the numbers of SERIAL
// columns, and the changes in the log. No live query and no topic hears of it. It
// goes in steps, and what an interrupted one has left is done by the next.
func (db *DB) EraseUser(ctx context.Context, user string) error {
	for _, t := range db.Catalog().All() {
		if !t.Kind.Private() {
			continue
		}
		if err := db.eraseRows(ctx, t, user); err != nil {
			return err
		}
		if err := db.eraseFiles(ctx, t, user); err != nil {
			return err
		}
	}
	err := db.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(eraseCounters, wire.TextValue(user))
		return err
	})
	if err != nil {
		return err
	}
	if err := db.eraseChanges(ctx, user); err != nil {
		return err
	}
	if err := db.driver.Scrub(ctx); err != nil {
		return db.engineError(ctx, err, StopNone)
	}
	return nil
}

// eraseRows removes the rows of a user in one table.
func (db *DB) eraseRows(ctx context.Context, t *catalog.Table, user string) error {
	some := &Stmt{
		SQL: "DELETE FROM " + t.Physical() + " WHERE " + sqlgen.UserColumn + " = $1 AND " + catalog.SeqColumn + " IN (SELECT " + catalog.SeqColumn +
			" FROM " + t.Physical() + " WHERE " + sqlgen.UserColumn + " = $1 ORDER BY " + catalog.SeqColumn + " LIMIT $2)",
		Args: types(wire.Text, wire.BigInt),
	}
	for {
		n, err := Write(ctx, db, func(tx *Tx) (int64, error) {
			if tx.Catalog().TableByID(t.ID) == nil {
				return 0, nil // its rows are gone with it
			}
			return tx.Exec(some, wire.TextValue(user), wire.IntValue(eraseRows))
		})
		if err != nil || n < eraseRows {
			return err
		}
	}
}

// eraseFiles takes the references of the user's rows in one table.
func (db *DB) eraseFiles(ctx context.Context, t *catalog.Table, user string) error {
	args := []wire.Value{wire.IntValue(t.ID), wire.TextValue(user)}
	return db.eraseEach(ctx, eraseRefs, args, func(tx *Tx, file wire.Value) error {
		tx.touchFile(file.Int())
		_, err := tx.Exec(eraseRef, file, args[0], args[1])
		return err
	})
}

// eraseChanges removes what the log says of the user's rows, those of tables
// that are gone included.
func (db *DB) eraseChanges(ctx context.Context, user string) error {
	return db.eraseEach(ctx, eraseChanges, []wire.Value{wire.TextValue(user)}, func(tx *Tx, seq wire.Value) error {
		n, err := tx.Exec(eraseChange, seq)
		if err == nil && n == 0 {
			_, err = tx.Exec(blankChange, seq)
		}
		return err
	})
}

// eraseEach calls erase for each number that list finds beyond the last one. The
// looking happens beside the writer.
func (db *DB) eraseEach(ctx context.Context, list *Stmt, args []wire.Value, erase func(tx *Tx, n wire.Value) error) error {
	last := wire.IntValue(-1)
	for {
		var found []wire.Value
		err := db.Query(ctx, list, append(slices.Clip(args), last, wire.IntValue(eraseRows)), func(row []wire.Value) error {
			found = append(found, row[0])
			return nil
		})
		if err != nil || len(found) == 0 {
			return err
		}
		err = db.Write(ctx, func(tx *Tx) error {
			for _, n := range found {
				if err := erase(tx, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		last = found[len(found)-1]
	}
}
