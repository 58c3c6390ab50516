// Package sqlgen says what an engine has to know how to write. Each engine has a
// package of its own below this one; everything else speaks SQL that all of them
// understand.
package sqlgen

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// UserColumn is the physical column that says whose a private row is.
const UserColumn = "_user"

// Target writes SQL for one engine.
type Target interface {
	expr.Target

	// CreateTable returns the statements that create a table with all its indexes,
	// clustered by user and key, and with an index that returns the rows of a
	// scope in the order of their versions.
	CreateTable(t *catalog.Table) []string
	// AddColumn returns the statement that adds column i. Rows that are there read
	// as value.
	AddColumn(t *catalog.Table, i int, value wire.Value) string
	// CreateIndex returns the statement that creates an index, per user in a
	// private table.
	CreateIndex(t *catalog.Table, ix *catalog.Index) string
	// IndexKey returns what an index on a column holds, by which equal values are
	// equal, and what a value is compared as.
	IndexKey(sql string, t wire.Type) string
	// Indexes returns a query of the names of the indexes that the engine has.
	Indexes() string
	// Guard returns the statements that make the engine refuse further rows that
	// conflict by an index, which it cannot make since rows do already, with the
	// error of that index. There is none for an engine whose tables have had
	// their indexes from the beginning.
	Guard(t *catalog.Table, ix *catalog.Index) []string
	// Unguard returns the statements that remove what Guard has made, if it has.
	Unguard(t *catalog.Table, ix *catalog.Index) []string

	// Definitions returns the query over the documents that define tables and
	// topics: system.tables, columns and schemas, or for "topics" id, name,
	// partitions, retention_seconds, retention_max_bytes, routes, created_at,
	// updated_at and grants.
	Definitions(table string) string
	// Micros returns the time now, in microseconds since 1970.
	Micros() string

	// MostColumns is how many columns a table may have, unused ones included.
	MostColumns() int
}

// KeyColumns returns the physical columns that identify a row of t.
func KeyColumns(t *catalog.Table) []string {
	var cols []string
	if t.Kind.Private() {
		cols = append(cols, UserColumn)
	}
	for _, k := range t.Key {
		cols = append(cols, t.Columns[k].Physical())
	}
	if len(t.Key) == 0 {
		cols = append(cols, catalog.SeqColumn)
	}
	return cols
}

// IndexColumns returns what an index of t holds.
func IndexColumns(target Target, t *catalog.Table, ix *catalog.Index) []string {
	var cols []string
	if t.Kind.Private() {
		cols = append(cols, UserColumn)
	}
	for _, id := range ix.Columns {
		column := "c" + strconv.Itoa(id)
		if i := t.ByID(id); i >= 0 {
			column = target.IndexKey(column, t.Columns[i].Type)
		}
		cols = append(cols, column)
	}
	return cols
}

// Quoted writes a name as an identifier.
func Quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
