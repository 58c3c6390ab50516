//go:build postgres

package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/internal/sqlgen/postgres"
	"github.com/kalamdb/kalam-go/wire"
)

// randomTable returns a table of any kind with columns of any types. Those of
// its key and indexes have types that an index takes.
func randomTable(r *rand.Rand, id int64) *catalog.Table {
	t := &catalog.Table{ID: id, Kind: catalog.Kind(1 + r.IntN(3))}
	for i := range 1 + r.IntN(12) {
		c := catalog.Column{ID: i + 1, Name: fmt.Sprint("col", i), Type: kind(wire.Boolean + wire.Kind(r.IntN(int(wire.File))))}
		switch c.Type.Kind {
		case wire.Decimal:
			c.Type.Precision, c.Type.Scale = 12, uint8(r.IntN(5))
		case wire.Embedding:
			c.Type.Dim = 3
		}
		t.Columns = append(t.Columns, c)
		if r.IntN(3) == 0 {
			t.Key = append(t.Key, i)
		} else if r.IntN(2) == 0 {
			t.Indexes = append(t.Indexes, catalog.Index{Name: fmt.Sprint("ix", i), Columns: []int{i + 1}, Unique: r.IntN(2) == 0})
		}
	}
	return t
}

// TestPostgreSQLCreatesRandomTables runs the printed definitions and reads from
// the server's catalog what they made.
func TestPostgreSQLCreatesRandomTables(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 17))
	target := postgres.Target{}
	var setup strings.Builder
	setup.WriteString("CREATE SCHEMA tables; SET search_path = tables;\n")
	var queries, want []string
	for id := int64(1); id <= 60; id++ {
		table := randomTable(r, id)
		for _, sql := range target.CreateTable(table) {
			setup.WriteString(sql + ";\n")
		}
		added := catalog.Column{ID: 90, Name: "added", Type: kind(wire.Text)}
		table.Columns = append(table.Columns, added)
		setup.WriteString(target.AddColumn(table, len(table.Columns)-1, wire.TextValue("it's")) + ";\n")

		name := table.Physical()
		columns := len(table.Columns) + 1 // _seq
		if table.Kind.Private() {
			columns++
		}
		indexes := 1 + len(table.Indexes) // the primary key
		if len(table.Key) > 0 {
			indexes++
		}
		if table.Kind == catalog.Stream {
			indexes++
		}
		queries = append(queries, fmt.Sprintf(`SELECT concat_ws('|',
			(SELECT count(*) FROM pg_attribute WHERE attrelid = '%[1]s'::regclass AND attnum > 0 AND NOT attisdropped),
			(SELECT count(*) FROM pg_index WHERE indrelid = '%[1]s'::regclass),
			(SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(num, n), pg_attribute a
				WHERE i.indrelid = '%[1]s'::regclass AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.num))`, name))
		want = append(want, fmt.Sprint(columns, "|", indexes, "|", strings.Join(sqlgen.KeyColumns(table), ",")))
	}
	for i, got := range ask(t, setup.String(), queries) {
		if got != want[i] {
			t.Errorf("table %d has columns, indexes and key %s, want %s", i+1, got, want[i])
		}
	}
}
