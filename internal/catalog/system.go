package catalog

import (
	"math"
	"strconv"

	"github.com/kalamdb/kalam-go/wire"
)

// The namespaces of the server's own tables.
const (
	SystemNamespace      = "system"
	InformationNamespace = "information_schema"
)

// OwnNamespace reports whether a namespace is the server's own: nobody makes,
// drops or alters anything in it.
func OwnNamespace(name string) bool {
	return name == SystemNamespace || name == InformationNamespace
}

// NewSystem makes a table of the server's own, which administrators read and
// nobody writes. Its rows come from a query of the engine (sql, columns in the
// order of cols, "" for none), from memory (rows, called when a statement that
// reads the table starts; nil for none), or from both.
func NewSystem(namespace, name string, cols []Column, sql string, rows func() [][]wire.Value) *Table {
	t := &Table{Namespace: namespace, Name: name, Kind: System, Version: 1, Columns: cols, view: sql, rows: rows}
	for i := range cols {
		if k := cols[i].Type.Kind; rows != nil && (k == wire.Decimal || k == wire.Bytes || k == wire.Embedding) {
			panic("catalog: a column of " + t.FullName() + " has a type that rows from memory cannot have")
		}
	}
	return t
}

// OfUsers makes a system table one that every role reads, each user their own
// rows: column says whose a row is. Administrators see all rows where all is set.
func (t *Table) OfUsers(column string, all bool) *Table {
	t.ofUsers, t.toAdmin = column, all
	return t
}

// RowsOf is the column of a system table that says whose a row is, "" for none,
// and whether administrators see all rows.
func (t *Table) RowsOf() (column string, all bool) { return t.ofUsers, t.toAdmin }

// Col is a column of a system table.
func Col(name string, k wire.Kind, notNull bool) Column {
	return Column{Name: name, Type: wire.Type{Kind: k}, NotNull: notNull}
}

// View returns the query behind a system table, "" where all its rows are in
// memory.
func (t *Table) View() string { return t.view }

// InMemory reports whether rows of a system table come from memory.
func (t *Table) InMemory() bool { return t.rows != nil }

// Rows returns the rows of a system table that are in memory now.
func (t *Table) Rows() [][]wire.Value {
	if t.rows == nil {
		return nil
	}
	return t.rows()
}

// RowsJSON gives the rows that are in memory now as a JSON array of arrays,
// values in the form in which the engine stores them.
func (t *Table) RowsJSON() string {
	b := []byte{'['}
	for i, row := range t.Rows() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		for k, v := range row {
			if k > 0 {
				b = append(b, ',')
			}
			b = appendStored(b, v)
		}
		b = append(b, ']')
	}
	return string(append(b, ']'))
}

func appendStored(b []byte, v wire.Value) []byte {
	switch v.Tag() {
	case wire.TagBool:
		if v.Bool() {
			return append(b, '1')
		}
		return append(b, '0')
	case wire.TagInt:
		return strconv.AppendInt(b, v.Int(), 10)
	case wire.TagFloat:
		if f := v.Float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return strconv.AppendFloat(b, f, 'e', -1, 64)
		}
	case wire.TagText:
		return wire.AppendCell(b, wire.Type{Kind: wire.Text}, v)
	}
	return append(b, "null"...)
}
