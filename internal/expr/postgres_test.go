//go:build postgres

package expr_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

// These tests compare the recorded cases with a PostgreSQL server, which psql
// finds by the variables PGHOST, PGPORT, PGUSER and PGDATABASE. They need the
// build tag postgres; .ci/postgres starts a server for them.

// postgres runs queries of one value, each by itself, and returns the values;
// an error is "! SQLSTATE message".
func postgres(t *testing.T, tables string, queries []string) []string {
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
	b.WriteString(tables)
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

// postgresTypes are PostgreSQL's types of the columns and results.
var postgresTypes = map[wire.Kind]string{
	wire.Boolean: "boolean", wire.SmallInt: "smallint", wire.Int: "integer", wire.BigInt: "bigint", wire.Float: "real", wire.Double: "double precision",
	wire.Text: "text", wire.Date: "date", wire.Timestamp: "timestamp", wire.DateTime: "timestamptz", wire.Time: "time", wire.JSON: "jsonb",
	wire.UUID: "uuid", wire.Bytes: "bytea", wire.Decimal: "numeric(10,2)",
}

var ourTypes = map[string]string{
	"boolean": "BOOLEAN", "smallint": "SMALLINT", "integer": "INT", "bigint": "BIGINT", "real": "FLOAT", "double precision": "DOUBLE",
	"text": "TEXT", "name": "TEXT", "character varying": "TEXT", "character": "TEXT", "date": "DATE", "timestamp without time zone": "TIMESTAMP",
	"timestamp with time zone": "DATETIME", "time without time zone": "TIME", "jsonb": "JSON", "json": "JSON", "uuid": "UUID", "bytea": "BYTES",
	"numeric": "DECIMAL", "interval": "INTERVAL",
}

// ourCodes are the codes that may stand for a SQLSTATE.
var ourCodes = map[string][]wire.Code{
	"0A000": {wire.CodeInvalidParameter, wire.CodeUnsupported}, // feature not supported
	"21000": {wire.CodeSQLExecution},                           // more than one row from a sub-query
	"22003": {wire.CodeNumericOutOfRange},
	"22007": {wire.CodeInvalidText},                             // invalid datetime format
	"22008": {wire.CodeInvalidText, wire.CodeNumericOutOfRange}, // datetime field overflow
	"22011": {wire.CodeInvalidParameter},                        // substring error
	"22012": {wire.CodeDivisionByZero},
	"22014": {wire.CodeInvalidParameter},  // argument of ntile
	"22015": {wire.CodeNumericOutOfRange}, // interval field overflow
	"22016": {wire.CodeInvalidParameter},  // argument of nth_value
	"2201B": {wire.CodeInvalidParameter},  // invalid regular expression
	"2201E": {wire.CodeNumericOutOfRange}, // argument of a logarithm
	"2201F": {wire.CodeNumericOutOfRange}, // argument of a power
	"2201G": {wire.CodeInvalidParameter},  // argument of width_bucket
	"22023": {wire.CodeInvalidParameter, wire.CodeInvalidText},
	"22025": {wire.CodeInvalidText}, // invalid escape
	"2202E": {wire.CodeInvalidParameter},
	"22P02": {wire.CodeInvalidText},
	"42601": {wire.CodeInvalidSQL},
	"42704": {wire.CodeInvalidSQL},
	"42725": {wire.CodeTypeMismatch}, // ambiguous function
	"42803": {wire.CodeInvalidSQL},   // grouping error
	"42804": {wire.CodeTypeMismatch},
	"42809": {wire.CodeInvalidSQL},
	"42846": {wire.CodeTypeMismatch},                            // cannot cast
	"42883": {wire.CodeFunctionNotFound, wire.CodeTypeMismatch}, // undefined function or operator
	"42P20": {wire.CodeInvalidSQL},                              // windowing error
	"54000": {wire.CodeInvalidParameter},
}

// postgresTable creates a table of the test columns.
func postgresTable(name string, rows ...map[string]string) string {
	var cols []string
	for _, c := range columns {
		cols = append(cols, c.name+" "+postgresTypes[c.t.Kind])
	}
	sql := "CREATE TEMP TABLE " + name + " (" + strings.Join(cols, ", ") + ", id smallint GENERATED ALWAYS AS (i2) STORED);\n"
	for _, row := range rows {
		var names, values []string
		for _, c := range columns {
			if v := row[c.name]; v != "" {
				names = append(names, c.name)
				values = append(values, "'"+strings.ReplaceAll(v, "'", "''")+"'")
			}
		}
		sql += "INSERT INTO " + name + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ");\n"
	}
	return sql
}

// sameError reports whether a recorded refusal may stand for PostgreSQL's.
func sameError(want, got string) bool {
	code, ok := strings.CutPrefix(want, "! ")
	f := strings.Fields(got)
	return ok && len(f) > 1 && f[0] == "!" && slices.Contains(ourCodes[f[1]], wire.Code(code))
}

func TestPostgreSQLGivesTheRecordedValues(t *testing.T) {
	row := make(map[string]string)
	for _, c := range columns {
		row[c.name] = c.value
	}
	var cases []testCase
	var queries []string
	for _, c := range readCases(t) {
		if strings.HasPrefix(c.where, "ours.txt") {
			continue // what is ours, on purpose; the file says why
		}
		cases = append(cases, c)
		queries = append(queries, "SELECT json_build_array(pg_typeof(x)::text, x::text)::text FROM (SELECT ("+c.sql+") AS x FROM r) q")
	}
	for i, got := range postgres(t, postgresTable("r", row), queries) {
		c := cases[i]
		var pair [2]*string
		if json.Unmarshal([]byte(got), &pair) == nil {
			base := ourTypes[*pair[0]]
			switch {
			case pair[1] == nil:
				got = base + " NULL"
			case base == "TEXT" || base == "JSON":
				got = base + " " + strconv.Quote(*pair[1])
			default:
				got = base + " " + *pair[1]
			}
		}
		if got != c.want && !sameError(c.want, got) {
			t.Errorf("%s: %s\nPostgreSQL %s\n  recorded %s", c.where, c.sql, got, c.want)
		}
	}
	t.Logf("%d cases agree with PostgreSQL %s", len(cases), os.Getenv("PGHOST"))
}

func TestPostgreSQLGivesTheRecordedSets(t *testing.T) {
	for _, file := range []string{"aggregates.txt", "windows.txt", "queries.txt"} {
		var cases []testCase
		var queries []string
		readSet(t, file, func(where, sql, want string) {
			cases = append(cases, testCase{where, sql, want})
			inner := "SELECT (" + sql + ") AS x, id FROM many AS r"
			if file == "aggregates.txt" {
				inner = "SELECT (" + sql + ") AS x, 1 AS id FROM many AS r"
			}
			queries = append(queries, "SELECT json_build_array(min(pg_typeof(x)::text), json_agg(x::text ORDER BY id))::text FROM ("+inner+") q")
		})
		for i, got := range postgres(t, postgresTable("many", setRows...), queries) {
			c := cases[i]
			var typ string
			var values []*string
			if json.Unmarshal([]byte(got), &[]any{&typ, &values}) == nil {
				var shown []string
				for _, v := range values {
					if v == nil {
						shown = append(shown, "NULL")
					} else {
						shown = append(shown, *v)
					}
				}
				got = ourTypes[typ] + " " + strings.Join(shown, " | ")
			}
			if got != c.want && !sameError(c.want, got) {
				t.Errorf("%s: %s\nPostgreSQL %s\n  recorded %s", c.where, c.sql, got, c.want)
			}
		}
	}
}
