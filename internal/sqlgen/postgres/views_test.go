//go:build postgres

package postgres_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/internal/sqlgen/postgres"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// opened is a database on SQLite, and the queries of its system tables as target
// writes them.
func opened(t *testing.T, target func(sqlgen.Target) sqlgen.Target) (*store.DB, []*catalog.Table) {
	t.Helper()
	dir := t.TempDir()
	driver, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), speaking{driver, target(driver.Target())}, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	users, err := identity.New(db, identity.Options{KeyDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { users.Close() })
	var tables []*catalog.Table
	for _, table := range append(db.Catalog().All(), users.System()...) {
		if table.Kind == catalog.System && table.View() != "" {
			tables = append(tables, table)
		}
	}
	return db, tables
}

// speaking is a driver that claims to have another target.
type speaking struct {
	store.Driver
	target sqlgen.Target
}

func (s speaking) Target() sqlgen.Target { return s.target }

// mixed runs on SQLite and writes the queries of system tables for PostgreSQL.
type mixed struct{ sqlgen.Target }

func (mixed) Definitions(table string) string { return postgres.Target{}.Definitions(table) }
func (mixed) Micros() string                  { return postgres.Target{}.Micros() }

func fields(table *catalog.Table) []wire.Field {
	var out []wire.Field
	for _, c := range table.Columns {
		out = append(out, wire.Field{Name: c.Name, Type: c.Type})
	}
	return out
}

// define makes tables and a topic whose definitions have a bit of everything.
func define(t *testing.T, db *store.DB) {
	t.Helper()
	column := func(id int, name string, k wire.Kind) catalog.Column {
		return catalog.Column{ID: id, Name: name, Type: kind(k), SQLType: name}
	}
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		all := &catalog.Table{Namespace: "default", Name: "all", Kind: catalog.Shared, Key: []int{2, 0}, Access: "public", Owner: "root",
			Options: map[string]string{"flush": "it's"}}
		for k := wire.Boolean; k <= wire.File; k++ {
			c := column(int(k), wire.Type{Kind: k}.Kind.String(), k)
			switch k {
			case wire.Decimal:
				c.Type.Precision, c.Type.Scale = 12, 2
			case wire.Embedding:
				c.Type.Dim = 3
			}
			c.NotNull = k%3 == 0
			c.Default = []string{"", "TRUE", "now()", "'it''s'", "-12", "1.5"}[int(k)%6]
			all.Columns = append(all.Columns, c)
		}
		all.Indexes = []catalog.Index{{Name: "two", Columns: []int{3, 2}}, {Name: "one", Columns: []int{4}, Unique: true}}
		all.LastID = len(all.Columns)
		bare := &catalog.Table{Namespace: "default", Name: "bare", Kind: catalog.Stream, TTL: 60, Owner: "root", Columns: []catalog.Column{column(1, "a", wire.Text)}}
		own := &catalog.Table{Namespace: "default", Name: "own", Kind: catalog.User, Key: []int{0}, Owner: "root", Columns: []catalog.Column{column(1, "a", wire.Text)}}
		for _, table := range []*catalog.Table{all, bare, own} {
			if err := tx.CreateTable(table); err != nil {
				return err
			}
		}
		topic := &catalog.Topic{Namespace: "default", Name: "events", Partitions: 2, RetentionSeconds: 3600,
			Sources: []catalog.Source{{Table: all.ID, Op: "insert", Where: "Int > 1", Payload: "full"}, {Table: own.ID, Op: "delete", Payload: "key"}},
			Grants:  []catalog.Grant{{To: "alice"}, {Role: true, To: "user"}}}
		if err := tx.CreateTopic(topic); err != nil {
			return err
		}
		return tx.CreateTopic(&catalog.Topic{Namespace: "default", Name: "quiet", Partitions: 1})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPostgreSQLShowsTheServersOwnTables compares what the two engines make of
// the queries behind the system tables, from the same rows.
func TestPostgreSQLShowsTheServersOwnTables(t *testing.T) {
	db, tables := opened(t, func(own sqlgen.Target) sqlgen.Target { return own })
	define(t, db)
	var setup strings.Builder
	setup.WriteString(postgres.Definitions + "CREATE SCHEMA own; SET search_path = own, kalam;\n" + postgres.Schema)
	setup.WriteString("DELETE FROM namespaces;\n")
	copied := map[string][]string{
		"namespaces": {"name", "created_at"}, "tables": {"id", "namespace", "name", "definition"},
		"table_versions": {"table_id", "version", "definition"}, "topics": {"id", "namespace", "name", "definition"},
		"users": {"user_id", "password_hash", "role", "email", "auth_type", "created_at", "updated_at"},
	}
	for table, cols := range copied {
		s := &store.Stmt{SQL: "SELECT " + strings.Join(cols, ",") + " FROM " + table, Cols: make([]wire.Type, len(cols))}
		for i := range s.Cols {
			s.Cols[i] = kind(wire.Text)
		}
		rows(t, db, s, func(row []string) {
			for i, v := range row {
				row[i] = "'" + strings.ReplaceAll(v, "'", "''") + "'"
			}
			setup.WriteString("INSERT INTO " + table + "(" + strings.Join(cols, ",") + ") VALUES(" + strings.Join(row, ",") + ");\n")
		})
	}
	_, printed := opened(t, func(own sqlgen.Target) sqlgen.Target { return mixed{own} })

	var queries []string
	want := make([][]string, len(tables))
	for i, table := range tables {
		s := &store.Stmt{SQL: db.Target().View(fields(table), table.View())}
		var casts, types []string
		for _, c := range table.Columns {
			s.Cols = append(s.Cols, c.Type)
			casts = append(casts, "CAST("+sqlgen.Quoted(c.Name)+" AS text)")
			types = append(types, "CAST(pg_typeof("+sqlgen.Quoted(c.Name)+") AS text)")
		}
		rows(t, db, s, func(row []string) { want[i] = append(want[i], document(t, table, row)) })
		slices.Sort(want[i])
		view := printed[i].View()
		if printed[i].FullName() != table.FullName() {
			t.Fatalf("table %d is %s and %s", i, table.FullName(), printed[i].FullName())
		}
		view = " FROM (" + postgres.Target{}.View(fields(table), view) + ") AS v"
		queries = append(queries,
			"SELECT coalesce(jsonb_agg(jsonb_build_array("+strings.Join(casts, ",")+")), '[]')"+view,
			"SELECT jsonb_build_array("+strings.Join(types, ",")+")"+strings.Replace(view, " FROM (", " FROM (VALUES (1)) AS one LEFT JOIN (", 1)+" ON TRUE LIMIT 1")
	}
	shown := 0
	for i, got := range ask(t, setup.String(), queries) {
		table := tables[i/2]
		if strings.HasPrefix(got, "! ") {
			t.Errorf("%s: %s", table.FullName(), got)
			continue
		}
		if i%2 == 1 {
			checkTypes(t, table, got)
			continue
		}
		var cells [][]*string
		if err := json.Unmarshal([]byte(got), &cells); err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, row := range cells {
			list = append(list, document(t, table, deref(row)))
		}
		slices.Sort(list)
		if diff := cmp.Diff(want[i/2], list); diff != "" {
			t.Errorf("%s on SQLite (-) and on PostgreSQL (+):\n%s", table.FullName(), diff)
		}
		shown += len(list)
	}
	if shown < 30 {
		t.Errorf("only %d rows were compared", shown)
	}
}

func checkTypes(t *testing.T, table *catalog.Table, got string) {
	t.Helper()
	var types []string
	if err := json.Unmarshal([]byte(got), &types); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"timestamp without time zone": "timestamp"}
	for i, c := range table.Columns {
		is := types[i]
		if short := names[is]; short != "" {
			is = short
		}
		if want := (postgres.Target{}).Type(c.Type); is != want {
			t.Errorf("%s.%s has type %s, want %s", table.FullName(), c.Name, is, want)
		}
	}
}

// rows runs s on SQLite and calls fn with the cells as texts, "NULL" for NULL.
func rows(t *testing.T, db *store.DB, s *store.Stmt, fn func(row []string)) {
	t.Helper()
	err := db.Query(context.Background(), s, nil, func(row []wire.Value) error {
		out := make([]string, len(row))
		for i, v := range row {
			out[i] = "NULL"
			if !v.IsNull() {
				out[i] = postgres.Text(v, s.Cols[i])
			}
		}
		fn(out)
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", s.SQL, err)
	}
}

func deref(row []*string) []string {
	out := make([]string, len(row))
	for i, v := range row {
		out[i] = "NULL"
		if v != nil {
			out[i] = *v
		}
	}
	return out
}

// document writes a row, its documents in one form.
func document(t *testing.T, table *catalog.Table, row []string) string {
	t.Helper()
	for i, c := range table.Columns {
		if !strings.HasPrefix(row[i], "{") && !strings.HasPrefix(row[i], "[") {
			continue
		}
		var v any
		if err := json.Unmarshal([]byte(row[i]), &v); err != nil {
			t.Fatalf("%s.%s: %v in %s", table.FullName(), c.Name, err, row[i])
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		row[i] = string(b)
	}
	return strings.Join(row, " | ")
}
