package store

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	tableUpdate     = &Stmt{SQL: "UPDATE tables SET namespace = $2, name = $3, definition = $4 WHERE id = $1", Args: types(wire.BigInt, wire.Text, wire.Text, wire.Text)}
	namespaceUpdate = &Stmt{SQL: "UPDATE namespaces SET options = $2 WHERE name = $1", Args: types(wire.Text, wire.Text)}
)

// Redefine makes t, a changed Clone, the definition of its table. What the
// engine's table needs beside that has its own methods.
func (tx *Tx) Redefine(t *catalog.Table) error {
	t.UpdatedAt = tx.db.Now().UnixMicro()
	if len(t.Policies) > 0 || t.Governed() {
		newest, err := tx.Newest()
		if err != nil {
			return err
		}
		t.Governs = newest
	}
	return tx.define(tableUpdate, t)
}

// SetNamespaceOptions stores the options of a namespace, a JSON object.
func (tx *Tx) SetNamespaceOptions(name, options string) error {
	_, err := tx.Exec(namespaceUpdate, wire.TextValue(name), wire.TextValue(options))
	return err
}

// AddColumn adds column i of t to the engine's table. Rows that are there read
// as value, which costs nothing however many they are, until there are so many
// dropped columns that one of them has to make room: that rewrites the table.
func (tx *Tx) AddColumn(t *catalog.Table, i int, value wire.Value) error {
	if len(t.Columns)+len(t.Unused) >= tx.db.Target().MostColumns() && len(t.Unused) > 0 {
		if err := tx.script("ALTER TABLE " + t.Physical() + " DROP COLUMN c" + strconv.Itoa(t.Unused[0])); err != nil {
			return err
		}
		t.Unused = t.Unused[1:]
	}
	return tx.script(tx.db.Target().AddColumn(t, i, value))
}

// FillColumn computes column i of t, which has been added, for every row of
// every user from the row by the definition before. The changes are not in the
// log: whoever follows the table gets its rows anew with the new definition.
func (tx *Tx) FillColumn(before, t *catalog.Table, i int, value func(row []wire.Value) (wire.Value, error)) error {
	sel := &Stmt{SQL: "SELECT "}
	keys := sqlgen.KeyColumns(before)
	var cols []string
	for k := range before.Columns {
		cols = append(cols, before.Columns[k].Physical())
		sel.Cols = append(sel.Cols, before.Columns[k].Type)
	}
	sel.Cols = append(sel.Cols, keyTypes(before)...)
	sel.SQL += strings.Join(append(cols, keys...), ",") + " FROM " + before.Physical()
	upd := &Stmt{
		SQL:  "UPDATE " + t.Physical() + " SET " + t.Columns[i].Physical() + "=$1 WHERE " + keyWhere(before, 1),
		Args: append([]wire.Type{t.Columns[i].Type}, keyTypes(before)...),
	}
	n := len(before.Columns)
	var pending [][]wire.Value
	err := tx.Query(sel, nil, func(row []wire.Value) error {
		v, err := value(row[:n])
		if err != nil {
			return err
		}
		pending = append(pending, append([]wire.Value{v}, row[n:]...))
		return nil
	})
	for _, args := range pending {
		if err == nil {
			_, err = tx.exec(upd, args)
		}
	}
	return err
}

// HasNull reports whether a row of any user has NULL in column i.
func (tx *Tx) HasNull(t *catalog.Table, i int) (bool, error) {
	found := false
	s := &Stmt{SQL: "SELECT 1 FROM " + t.Physical() + " WHERE " + t.Columns[i].Physical() + " IS NULL LIMIT 1", Cols: types(wire.Int)}
	err := tx.Query(s, nil, func([]wire.Value) error { found = true; return nil })
	return found, err
}

// EachRow calls fn for every row of every user, for a constraint to be checked.
func (tx *Tx) EachRow(t *catalog.Table, fn func(row []wire.Value) error) error {
	s := &Stmt{}
	var cols []string
	for i := range t.Columns {
		cols = append(cols, t.Columns[i].Physical())
		s.Cols = append(s.Cols, t.Columns[i].Type)
	}
	s.SQL = "SELECT " + strings.Join(cols, ",") + " FROM " + t.Physical()
	return tx.Query(s, nil, fn)
}
