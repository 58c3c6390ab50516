//go:build postgres

package postgres_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/sqlgen/postgres"
	"github.com/kalamdb/kalam-go/wire"
)

// These tests run what the target prints on a PostgreSQL server, which psql
// finds by PGHOST, PGUSER and PGDATABASE. They need the build tag postgres;
// .ci/postgres starts a server for them.

// columns are those that the recorded cases use, with the values of the one
// row that they are evaluated on.
var columns = []struct {
	name  string
	t     wire.Type
	value string // "" is NULL
}{
	{"b", kind(wire.Boolean), "true"},
	{"i2", kind(wire.SmallInt), "7"},
	{"i4", kind(wire.Int), "42"},
	{"i8", kind(wire.BigInt), "5000000000"},
	{"f4", kind(wire.Float), "1.5"},
	{"f8", kind(wire.Double), "2.25"},
	{"d", wire.Type{Kind: wire.Decimal, Precision: 10, Scale: 2}, "12.50"},
	{"t", kind(wire.Text), "Hello"},
	{"dt", kind(wire.Date), "2024-02-29"},
	{"ts", kind(wire.Timestamp), "2024-02-29 13:14:15.123456"},
	{"tz", kind(wire.DateTime), "2024-02-29 13:14:15.123456+00"},
	{"tm", kind(wire.Time), "13:14:15"},
	{"j", kind(wire.JSON), `{"a": {"b": [1, 2.50, "x", null, true]}, "s": "str"}`},
	{"u", kind(wire.UUID), "01890a5d-ac96-774b-bcce-b302099a8057"},
	{"y", kind(wire.Bytes), `\x00ff`},
	{"n", kind(wire.Int), ""},
	{"tn", kind(wire.Text), ""},
	{"dn", wire.Type{Kind: wire.Decimal, Precision: 10, Scale: 2}, ""},
}

func kind(k wire.Kind) wire.Type { return wire.Type{Kind: k} }

type names struct{}

func (names) Column(name dialect.Name) (*expr.Column, error) {
	for i, c := range columns {
		if c.name == name[0].Name {
			return &expr.Column{Index: i, Name: c.name, T: c.t, SQL: "r." + c.name}, nil
		}
	}
	return nil, wire.NewError(wire.CodeColumnNotFound, "No field named ", name[0].Name)
}

// ask runs queries of one value, each by itself, and returns the values; an
// error is "! SQLSTATE message".
func ask(t *testing.T, setup string, queries []string) []string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`SET TimeZone = 'UTC'; SET extra_float_digits = 1; SET statement_timeout = '60s'; SET client_min_messages = error;
CREATE FUNCTION pg_temp.try(q text) RETURNS text LANGUAGE plpgsql AS $try$
DECLARE result text;
BEGIN
	EXECUTE q INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN '! ' || SQLSTATE || ' ' || replace(SQLERRM, chr(10), ' ');
END $try$;
`)
	b.WriteString(setup)
	for _, q := range queries {
		b.WriteString("SELECT pg_temp.try($case$" + q + "$case$);\n")
	}
	cmd := exec.Command("psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1")
	cmd.Stdin = strings.NewReader(b.String())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(queries) {
		t.Fatalf("psql gave %d lines for %d queries", len(lines), len(queries))
	}
	return lines
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

// printed writes an expression for the server, its arguments in their places.
func printed(n expr.Node, env *expr.Env) string {
	p := expr.NewPrinter(postgres.Target{})
	p.Node(n)
	return placeholder.ReplaceAllStringFunc(p.SQL(), func(mark string) string {
		i, _ := strconv.Atoi(mark[1:])
		a := p.Args()[i-1]
		v := a.Resolve(env)
		if v.IsNull() {
			return "NULL"
		}
		return "'" + strings.ReplaceAll(postgres.Text(v, a.Type), "'", "''") + "'"
	})
}

// unprinted reads the cases that cannot be printed yet, each with the reason.
func unprinted(t *testing.T) map[string]string {
	f, err := os.Open("testdata/unprinted.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]string{}
	reason := ""
	for s := bufio.NewScanner(f); s.Scan(); {
		if text, ok := strings.CutPrefix(s.Text(), "# "); ok {
			reason = text
		} else if s.Text() != "" {
			out[s.Text()] = reason
		}
	}
	return out
}

var ourTypes = map[string]string{
	"boolean": "BOOLEAN", "smallint": "SMALLINT", "integer": "INT", "bigint": "BIGINT", "real": "FLOAT", "double precision": "DOUBLE",
	"text": "TEXT", "name": "TEXT", "character varying": "TEXT", "character": "TEXT", "date": "DATE", "timestamp without time zone": "TIMESTAMP",
	"timestamp with time zone": "DATETIME", "time without time zone": "TIME", "jsonb": "JSON", "json": "JSON", "uuid": "UUID", "bytea": "BYTES",
	"numeric": "DECIMAL", "interval": "INTERVAL", "real[]": "EMBEDDING",
}

// shown writes an answer of the server as the case files do.
func shown(got string) string {
	var pair [2]*string
	if json.Unmarshal([]byte(got), &pair) != nil || pair[0] == nil {
		return got
	}
	base := ourTypes[*pair[0]]
	switch {
	case pair[1] == nil:
		return base + " NULL"
	case base == "TEXT" || base == "JSON":
		return base + " " + strconv.Quote(*pair[1])
	}
	if base == "EMBEDDING" {
		return base + " [" + strings.Trim(*pair[1], "{}") + "]"
	}
	return base + " " + *pair[1]
}

func table() string {
	target := postgres.Target{}
	var defs, values []string
	for _, c := range columns {
		defs = append(defs, c.name+" "+target.Type(c.t))
		if c.value == "" {
			values = append(values, "NULL")
		} else {
			values = append(values, "'"+strings.ReplaceAll(c.value, "'", "''")+"'")
		}
	}
	return "CREATE TEMP TABLE r (" + strings.Join(defs, ", ") + ");\nINSERT INTO r VALUES (" + strings.Join(values, ", ") + ");\n"
}

// TestPostgreSQLEvaluatesPrintedExpressions prints every recorded case that has
// a value and compares what the server makes of it with the record.
func TestPostgreSQLEvaluatesPrintedExpressions(t *testing.T) {
	files, err := filepath.Glob("../../expr/testdata/cases/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	skip := unprinted(t)
	env := &expr.Env{
		User: "alice", Role: "user", NextID: func() int64 { return 7 },
		Now: time.Date(2024, 2, 29, 13, 14, 15, 123456000, time.UTC),
	}
	type testCase struct{ where, sql, want, query string }
	var cases []testCase
	var queries []string
	refused := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(b), "\n") {
			sql, want, ok := strings.Cut(line, "  =>  ")
			if !ok || strings.HasPrefix(line, "#") {
				continue
			}
			x, err := dialect.ParseExpr(sql)
			if err != nil {
				refused++
				continue
			}
			n, err := expr.Bind(x, expr.BindOptions{Names: names{}, Params: &expr.Params{}})
			if err != nil {
				refused++ // before anything is printed
				continue
			}
			c := testCase{filepath.Base(file) + ":" + strconv.Itoa(i+1), sql, want, printed(n, env)}
			cases = append(cases, c)
			queries = append(queries, "SELECT json_build_array(pg_typeof(x)::text, x::text)::text FROM (SELECT ("+c.query+") AS x FROM r) q")
		}
	}
	equal := 0
	for i, got := range ask(t, postgres.Definitions+table(), queries) {
		c := cases[i]
		got = shown(got)
		same := got == c.want || strings.HasPrefix(c.want, "! ") && strings.HasPrefix(got, "! ") && !strings.HasPrefix(got, "! 42")
		_, listed := skip[c.sql]
		switch {
		case same && listed:
			t.Errorf("%s: %s is equal now and still listed in testdata/unprinted.txt", c.where, c.sql)
		case same:
			equal++
		case !listed:
			t.Errorf("%s: %s\nprinted %s\nPostgreSQL %s\n  recorded %s", c.where, c.sql, c.query, got, c.want)
		}
		delete(skip, c.sql)
	}
	for sql := range skip {
		t.Errorf("testdata/unprinted.txt names no case: %s", sql)
	}
	t.Logf("%d cases printed, %d equal, %d refused before printing", len(cases), equal, refused)
}
