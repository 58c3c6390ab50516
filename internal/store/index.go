package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

// CreateIndex makes the engine's index for ix, per user in a private table.
func (tx *Tx) CreateIndex(t *catalog.Table, ix *catalog.Index) error {
	return tx.script(tx.db.Target().CreateIndex(t, ix))
}

// DropIndex removes the engine's index for ix.
func (tx *Tx) DropIndex(t *catalog.Table, ix *catalog.Index) error {
	if err := tx.script("DROP INDEX IF EXISTS " + sqlgen.Quoted(ix.Physical(t))); err != nil {
		return err
	}
	return tx.unguard(t, ix)
}

// markedUnique reads the columns that definitions of older versions marked as
// unique as the constraints that they are.
func markedUnique(t *catalog.Table, definition string) error {
	var old struct {
		Columns []struct {
			Unique bool `json:"unique"`
		} `json:"columns"`
	}
	if err := json.Unmarshal([]byte(definition), &old); err != nil {
		return fmt.Errorf("definition of a table: %w", err)
	}
	for i, c := range old.Columns {
		if c.Unique {
			id := t.Columns[i].ID
			t.Indexes = append(t.Indexes, catalog.Index{
				Name: t.Name + "_" + t.Columns[i].Name + "_key", Columns: []int{id}, Unique: true,
				Engine: t.Physical() + "_u" + strconv.Itoa(id),
			})
		}
	}
	return nil
}

// unenforced lists the indexes that definitions claim and the engine lacks:
// CREATE TABLE of older versions made none for UNIQUE (a, b).
func (tx *Tx) unenforced() (map[*catalog.Table][]*catalog.Index, error) {
	made := make(map[string]bool)
	err := tx.Query(&Stmt{SQL: tx.db.Target().Indexes(), Cols: types(wire.Text)}, nil, func(row []wire.Value) error {
		made[row[0].Text()] = true
		return nil
	})
	missing := make(map[*catalog.Table][]*catalog.Index)
	for _, t := range tx.Catalog().All() {
		if t.Kind == catalog.System {
			continue
		}
		for i := range t.Indexes {
			if ix := &t.Indexes[i]; !made[ix.Physical(t)] {
				missing[t] = append(missing[t], ix)
			}
		}
	}
	return missing, err
}

// enforceUnique makes the indexes that are missing, before the writer starts
// and without its time limit. Where rows conflict already, it refuses further
// ones and logs which they are.
func (db *DB) enforceUnique(ctx context.Context) error {
	var missing map[*catalog.Table][]*catalog.Index
	err := db.Read(ctx, func(tx *Tx) (err error) {
		missing, err = tx.unenforced()
		return err
	})
	if err != nil || len(missing) == 0 {
		return err
	}
	session, err := db.driver.Begin(ctx, Writing, "")
	if err != nil {
		return err
	}
	tx := &Tx{db: db, session: session, write: &write{ctx: ctx}}
	for t, list := range missing {
		for _, ix := range list {
			if err == nil {
				err = tx.enforce(t, ix)
			}
		}
	}
	return errors.Join(err, session.End(err == nil))
}

// enforce makes the engine's index for ix, or guards it.
func (tx *Tx) enforce(t *catalog.Table, ix *catalog.Index) error {
	err := tx.Savepoint(func() error {
		if err := tx.CreateIndex(t, ix); err != nil {
			return err
		}
		return tx.unguard(t, ix)
	})
	if tx.db.driver.Reason(err) == ReasonUnique {
		err = tx.guard(t, ix)
	}
	if err != nil {
		err = fmt.Errorf("index %s of %s: %w", ix.Name, t.FullName(), err)
	}
	return err
}

// guard refuses rows that conflict with others by ix, whose index cannot be
// made because of the rows that are there.
func (tx *Tx) guard(t *catalog.Table, ix *catalog.Index) error {
	if err := tx.scripts(tx.db.Target().Guard(t, ix)); err != nil {
		return err
	}
	versions, err := tx.conflicting(t, sqlgen.IndexColumns(tx.db.Target(), t, ix))
	if err != nil {
		return err
	}
	tx.db.options.Logger.Warn("rows conflict with a UNIQUE constraint that was not enforced before; it is enforced for new rows now, "+
		"and for all once these are mended and the server is started again",
		"table", t.FullName(), "constraint", ix.Name, "_seq", versions)
	return nil
}

// unguard removes what guard has made, if it has.
func (tx *Tx) unguard(t *catalog.Table, ix *catalog.Index) error {
	return tx.scripts(tx.db.Target().Unguard(t, ix))
}

// scripts runs definitions in turn.
func (tx *Tx) scripts(sqls []string) error {
	for _, sql := range sqls {
		if err := tx.script(sql); err != nil {
			return err
		}
	}
	return nil
}

// maxConflicting bounds how many rows the log names.
const maxConflicting = 100

// conflicting are the versions of rows that have the same values in cols. They
// tell which rows they are without what is in them.
func (tx *Tx) conflicting(t *catalog.Table, cols []string) ([]Seq, error) {
	var same []string
	for _, c := range cols {
		same = append(same, "a."+c+" = b."+c)
	}
	s := &Stmt{
		SQL: "SELECT _seq FROM " + t.Physical() + " AS a WHERE EXISTS (SELECT 1 FROM " + t.Physical() + " AS b WHERE " +
			strings.Join(same, " AND ") + " AND a._seq <> b._seq) LIMIT " + strconv.Itoa(maxConflicting),
		Cols: types(wire.BigInt),
	}
	var out []Seq
	err := tx.Query(s, nil, func(row []wire.Value) error {
		out = append(out, row[0].Int())
		return nil
	})
	slices.Sort(out)
	return out, err
}
