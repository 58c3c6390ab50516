//go:build postgres

package engine_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/internal/sqlgen/postgres"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var placeholder = regexp.MustCompile(`\$(\d+)`)

// literal writes a value for the server to read.
func literal(v wire.Value, t wire.Type) string {
	if v.IsNull() {
		return "NULL"
	}
	return "'" + strings.ReplaceAll(postgres.Text(v, t), "'", "''") + "'"
}

// printedFor binds a query as root runs it and prints it for PostgreSQL, with its
// arguments in their places; "" for what is no query, or is refused.
func printedFor(t *testing.T, db *store.DB, sql string) string {
	source, err := dialect.Parse(sql)
	if err != nil || len(source.Statements) != 1 {
		return ""
	}
	q, ok := source.Statements[0].(*dialect.Query)
	if !ok {
		return ""
	}
	b := bind.Binder{Catalog: db.Catalog(), Namespace: "default", Params: &expr.Params{}, Source: sql}
	bound, err := b.Select(q)
	if err != nil {
		return ""
	}
	p := bound.Printed(postgres.Target{})
	env := &expr.Env{User: root.UserID, Role: root.Role, Now: time.Now(), NextID: db.NextID}
	return placeholder.ReplaceAllStringFunc(p.SQL, func(mark string) string {
		i, _ := strconv.Atoi(mark[1:])
		return literal(p.Args[i-1].Resolve(env), p.Args[i-1].Type)
	})
}

// copied is the SQL that makes the tables anew on the server, with their rows.
func copied(t *testing.T, db *store.DB) string {
	t.Helper()
	script := "DROP SCHEMA IF EXISTS copied CASCADE; CREATE SCHEMA copied; SET search_path = copied, kalam;\n"
	for _, table := range db.Catalog().All() {
		if table.Kind == catalog.System {
			continue
		}
		for _, sql := range (postgres.Target{}).CreateTable(table) {
			script += sql + ";\n"
		}
		cols := []string{sqlgen.UserColumn, catalog.SeqColumn}
		s := &store.Stmt{Cols: []wire.Type{{Kind: wire.Text}, {Kind: wire.BigInt}}}
		for i := range table.Columns {
			cols = append(cols, table.Columns[i].Physical())
			s.Cols = append(s.Cols, table.Columns[i].Type)
		}
		s.SQL = "SELECT " + strings.Join(cols, ",") + " FROM " + table.Physical()
		err := db.Query(context.Background(), s, nil, func(row []wire.Value) error {
			values := make([]string, len(row))
			for i, v := range row {
				values[i] = literal(v, s.Cols[i])
			}
			script += "INSERT INTO " + table.Physical() + "(" + strings.Join(cols, ",") + ") VALUES(" + strings.Join(values, ",") + ");\n"
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return script
}

// The reasons why a query that is printed for PostgreSQL means something else
// there.
const (
	dependent = "the key of a private table begins with the user, so GROUP BY its key does not determine the other columns"
	document  = "a JSON value is jsonb there, which writes its own spaces"
	set       = "string_agg(DISTINCT ... ORDER BY ...) prints as a function of ours"
	precision = "a TIMESTAMP(n) prints as a function of ours"
)

var different = map[string]string{
	"SELECT oid AS id, count(*) FROM ans.i GROUP BY id ORDER BY 1":                                                                                                                                                                                                   dependent,
	"SELECT u.id, u.email, COUNT(p.id) AS post_count FROM blog.users u LEFT JOIN blog.posts p ON p.user_id = u.id GROUP BY u.id ORDER BY post_count DESC, u.id":                                                                                                      dependent,
	"SELECT p.id, p.title, count(c.id) FROM blog.posts p LEFT JOIN blog.comments c ON c.post_id = p.id GROUP BY p.id HAVING p.views >= 0 ORDER BY p.views, p.id":                                                                                                     dependent,
	"SELECT e.user_id, e.kind, e.n, count(*) FROM blog.events e JOIN blog.users u ON u.id = e.user_id GROUP BY e.user_id, e.day, e.kind ORDER BY e.user_id, e.day, e.kind":                                                                                           dependent,
	"SELECT u.name, (SELECT count(*) FROM blog.posts p WHERE p.user_id = u.id AND u.name IS NOT NULL) FROM blog.users u GROUP BY u.id ORDER BY u.id":                                                                                                                 dependent,
	"SELECT json_agg(json_build_object('id', id, 'title', title) ORDER BY id) FROM blog.posts WHERE user_id = 1":                                                                                                                                                     document,
	"SELECT string_agg(DISTINCT status, '|' ORDER BY status) FROM blog.posts":                                                                                                                                                                                        set,
	"SELECT now()::timestamp(0) = date_trunc('second', now()::timestamp(0)), extract(microseconds FROM now()::timestamptz(3))::bigint % 1000":                                                                                                                        precision,
	"SELECT extract(microseconds FROM current_timestamp(2))::bigint % 10000, extract(microseconds FROM localtimestamp(0))::bigint % 1000000, extract(microseconds FROM current_time(0))::bigint % 1000000, extract(microseconds FROM localtime(1))::bigint % 100000": precision,
}

// TestPostgreSQLRunsPrintedQueries prints the recorded queries for PostgreSQL and
// runs them there, on copies of USER tables that hold rows of two users.
func TestPostgreSQLRunsPrintedQueries(t *testing.T) {
	ran := 0
	for _, file := range statementFiles(t) {
		ran += runPrinted(t, file)
	}
	t.Logf("%d queries", ran)
}

func runPrinted(t *testing.T, file string) int {
	const mark = "-- end of query "
	_, list := readStatements(t, file)
	e, db := startWith(t, engine.Options{}, store.Options{})
	script := "SET TimeZone = 'UTC'; SET client_min_messages = error; SET extra_float_digits = 1;\n\\pset null NULL\n" + postgres.Definitions
	at := store.Seq(-1)
	var known *catalog.Snapshot
	var queries []*statement
	for i := 0; i < len(list); i++ {
		group := list[i : i+1]
		if list[i].sql == "BEGIN" {
			for list[i].sql != "COMMIT" && list[i].sql != "ROLLBACK" {
				i++
				group = group[:len(group)+1]
			}
		}
		if sql := printedFor(t, db, group[0].sql); sql != "" {
			if at != db.Newest() || known != db.Catalog() {
				script += copied(t, db)
				at, known = db.Newest(), db.Catalog()
			}
			s := *group[0]
			script += "\\echo '" + mark + "'\n" + sql + ";\n\\echo '" + mark + "' :SQLSTATE :LAST_ERROR_MESSAGE\n"
			s.sql += "\nprinted " + sql
			queries = append(queries, &s)
		}
		var texts []string
		for _, s := range group {
			texts = append(texts, strings.Replace(s.sql, "CREATE TABLE", "CREATE USER TABLE", 1))
		}
		e.Run(t.Context(), root, &wire.Request{SQL: strings.Join(texts, ";\n")})
		compareNone(e, "USER", group)
	}
	cmd := exec.Command("psql", "-X", "-A", "-t", "-q", "-F", " | ")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("psql: %v", err)
	}
	parts := strings.Split(string(out), mark)
	if len(parts) != 2*len(queries)+1 {
		t.Fatalf("%s: psql gave %d answers for %d queries:\n%s", file, (len(parts)-1)/2, len(queries), parts[0])
	}
	for i, s := range queries {
		rows := strings.Trim(parts[2*i+1], "\n")
		state, _, _ := strings.Cut(parts[2*i+2], "\n")
		state = strings.TrimSpace(state)
		failed := !strings.HasPrefix(state, "00000")
		want := strings.Join(s.want, "\n")
		same := !failed && rows == want || failed && want == "!"
		if asked, _, _ := strings.Cut(s.sql, "\nprinted "); different[asked] != "" {
			if same {
				t.Errorf("%s:%d: %s is the same now and still listed as different", filepath.Base(file), s.line, asked)
			}
		} else if !same {
			t.Errorf("%s:%d: %s\nPostgreSQL: %s\n%s\nrecorded:\n%s", filepath.Base(file), s.line, s.sql, state, rows, want)
		}
	}
	return len(queries)
}
