package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/watch"
	"github.com/kalamdb/kalam-go/wire"
)

// slow takes minutes inside one call of a function.
const slow = "regexp_count(repeat('ab', 2000000), '(a|b)*?(a?){300}c')"

// slowOn is slow, and no constant.
func slowOn(column string) string {
	return "regexp_count(repeat('ab', 2000000 + " + column + "), '(a|b)*?(a?){300}c')"
}

// Whatever evaluates an expression in Go stops when the time of its statement is
// over, in the middle of a call too.
func TestEvaluationStopsWithItsStatement(t *testing.T) {
	e, _ := startWith(t, engine.Options{}, store.Options{WriteTimeout: 200 * time.Millisecond, ReadTimeout: 200 * time.Millisecond})
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, n INT)")
	do(t, e, root, "CREATE USER TABLE app.d (id INT PRIMARY KEY, n INT DEFAULT "+slow+")")
	do(t, e, root, "CREATE USER TABLE app.c (id INT PRIMARY KEY, n INT, CHECK ("+slowOn("n")+" >= 0))")
	do(t, e, root, "CREATE TOPIC app.events; CREATE USER TABLE app.routed (id INT PRIMARY KEY, n INT)")
	do(t, e, root, "ALTER TOPIC app.events ADD SOURCE app.routed ON INSERT WHERE "+slowOn("n")+" >= 0")
	do(t, e, alice, "INSERT INTO app.t VALUES (1, 1)")
	do(t, e, root, "INSERT INTO app.t VALUES (1, 1)")
	for what, sql := range map[string]string{
		"VALUES":               "INSERT INTO app.t VALUES (2, " + slow + ")",
		"SET":                  "UPDATE app.t SET n = " + slowOn("n"),
		"DEFAULT":              "INSERT INTO app.d (id) VALUES (1)",
		"CHECK":                "INSERT INTO app.c VALUES (1, 1)",
		"RETURNING":            "INSERT INTO app.t VALUES (3, 1) RETURNING " + slowOn("n"),
		"RETURNING of DELETE":  "DELETE FROM app.t RETURNING " + slowOn("n"),
		"ON CONFLICT":          "INSERT INTO app.t VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = " + slowOn("excluded.n"),
		"ON CONFLICT WHERE":    "INSERT INTO app.t VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = 1 WHERE " + slowOn("excluded.n") + " > 0",
		"INSERT SELECT":        "INSERT INTO app.t SELECT 9, " + slowOn("n") + " FROM app.t",
		"filter of a topic":    "INSERT INTO app.routed VALUES (1, 1)",
		"LIMIT":                "SELECT id FROM app.t LIMIT " + slow,
		"select list":          "SELECT " + slowOn("n") + " FROM app.t",
		"WHERE":                "SELECT id FROM app.t WHERE " + slowOn("n") + " > 0",
		"sub-query":            "UPDATE app.t SET n = (SELECT max(" + slowOn("n") + ") FROM app.t)",
		"LIKE":                 "SELECT id FROM app.t WHERE (repeat('a', 3000000) || n) LIKE '%' || repeat('a', 1000000) || 'b'",
		"a document's content": "SELECT (('[' || repeat(n || ',', 90000) || '2]')::json @> ('[' || repeat('2,', 90000) || '3]')::json) FROM app.t",
		"many digits":          "SELECT " + strings.Repeat("power(1."+strings.Repeat("7", 990)+" + n, 1.5), ", 900) + "1 FROM app.t",
		"block":                "BEGIN; INSERT INTO app.t VALUES (7, 1); UPDATE app.t SET n = " + slowOn("n") + "; COMMIT",
	} {
		err := fails(t, e, alice, &wire.Request{SQL: sql})
		if err.Code != wire.CodeStatementTimeout {
			t.Errorf("%s: got %v", what, err)
		}
	}
	for what, sql := range map[string]string{
		"ALTER ADD CHECK":  "ALTER TABLE app.t ADD CONSTRAINT k CHECK (" + slowOn("n") + " < 0)",
		"ALTER ADD COLUMN": "ALTER TABLE app.t ADD COLUMN m INT DEFAULT " + slow,
	} {
		if err := fails(t, e, root, &wire.Request{SQL: sql}); err.Code != wire.CodeStatementTimeout {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if res := do(t, e, alice, "SELECT id, n FROM app.t"); len(res.Rows) != 1 || res.Rows[0][1].Int() != 1 {
		t.Errorf("what was stopped left its mark: %v", res.Rows)
	}
}

func TestEvaluationStopsWhenItsClientGoes(t *testing.T) {
	e, _ := startWith(t, engine.Options{}, store.Options{WriteTimeout: time.Hour, ReadTimeout: time.Hour})
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, n INT)")
	do(t, e, alice, "INSERT INTO app.t VALUES (1, 1)")
	for _, sql := range []string{
		"INSERT INTO app.t VALUES (2, " + slow + ")",
		"SELECT " + slowOn("n") + " FROM app.t",
		"SELECT id FROM app.t LIMIT " + slow,
	} {
		ctx, leave := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := e.Run(ctx, alice, &wire.Request{SQL: sql})
		leave()
		var coded *wire.Error
		if !errors.As(err, &coded) || !strings.Contains(coded.Message, "cancelled") {
			t.Errorf("%s: got %v", sql, err)
		}
	}
	do(t, e, alice, "INSERT INTO app.t VALUES (2, 2)")
}

// TestTrimCostsWhatItsTextsDo trims by a set of a million characters, which SQLite
// would compare with each character of the text, for minutes, without a look at
// the clock.
func TestTrimCostsWhatItsTextsDo(t *testing.T) {
	e, _ := startWith(t, engine.Options{}, store.Options{ReadTimeout: time.Minute})
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, s TEXT)")
	do(t, e, alice, "INSERT INTO app.t VALUES (1, 'x')")
	for _, name := range []string{"trim", "btrim", "ltrim", "rtrim"} {
		res := do(t, e, alice, "SELECT "+name+"(repeat(s, 2000000), repeat('yzé', 700000) || s) FROM app.t")
		if res.Rows[0][0].Text() != "" {
			t.Errorf("%s leaves %.20q", name, res.Rows[0][0].Text())
		}
	}
}

// A live query that takes too many steps for one change says so; it does not
// hold up those who watch beside it.
func TestLiveQueryThatTakesTooManySteps(t *testing.T) {
	e, db := startWith(t, engine.Options{}, store.Options{})
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, n INT)")
	w, err := watch.New(db, e, watch.Options{}).Bind(t.Context(), alice, "", "SELECT id FROM app.t WHERE "+slowOn("n")+" >= 0", nil)
	if err != nil {
		t.Fatal(err)
	}
	do(t, e, alice, "INSERT INTO app.t VALUES (1, 1)")
	changes, _, err := db.Changes(t.Context(), 0, math.MaxInt32)
	i := slices.IndexFunc(changes, func(c *store.Change) bool { return c.Table == w.Sources()[0].Table.ID })
	if err != nil || i < 0 {
		t.Fatal("no change", err)
	}
	_, err = w.Apply(t.Context(), changes[i])
	var coded *wire.Error
	if !errors.As(err, &coded) || coded.Code != wire.CodeStatementTimeout || !strings.Contains(coded.Message, "steps") {
		t.Errorf("got %v", err)
	}
}

// Values that a statement makes in Go, and those that constants would stand for,
// are counted before they are made.
func TestValuesBeyondTheMemoryOfAStatement(t *testing.T) {
	e, _ := startWith(t, engine.Options{}, store.Options{WriteTimeout: time.Hour, ReadTimeout: time.Hour}) // a slow machine is no reason to refuse them
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, v TEXT)")
	series := " FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) SELECT i FROM n) s"
	list := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for what, sql := range map[string]string{
		"VALUES":            "INSERT INTO app.t VALUES " + list(120, "(%d, repeat('x', 60000000))"),
		"one value":         "INSERT INTO app.t VALUES (1, " + strings.Repeat("repeat('x', 60000000) || ", 119) + "'x')",
		"RETURNING":         "INSERT INTO app.t VALUES " + list(20, "(%d, 'x')") + " RETURNING repeat(v, 60000000)",
		"json_agg":          "SELECT " + list(60, "length(json_agg(repeat('x', 100000) || '%d')::text)") + series,
		"json_object_agg":   "SELECT " + list(60, "length(jsonb_object_agg(i, repeat('x', 100000) || '%d')::text)") + series,
		"string_agg set":    "SELECT " + list(60, "length(string_agg(DISTINCT repeat('x', 100000) || i || '%d', ','))") + series,
		"a document":        "SELECT jsonb_typeof(('[' || repeat('1,', 25000000) || '1]')::json)",
		"replace":           "SELECT length(replace(repeat('a', 30000000), 'a', repeat('b', 30000000)))",
		"regexp_replace":    `SELECT length(regexp_replace(repeat('ab', 300000), '.*', repeat('\&', 300000)))`,
		"format":            "SELECT format(repeat('%1$60000000s', 100), 'x')",
		"lpad":              "SELECT length(lpad('x', 60000000, 'ä')) + length(lpad('x', 60000000, 'ä') || lpad('x', 60000000, 'ö') || lpad('x', 60000000, 'ö'))",
		"indented document": "SELECT length(jsonb_pretty((repeat('[', 9000) || repeat('1,', 100000) || '1' || repeat(']', 9000))::jsonb))",
	} {
		if err := fails(t, e, alice, &wire.Request{SQL: sql}); err.Code != wire.CodeResultTooLarge {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if res := do(t, e, alice, "SELECT count(*) FROM app.t"); res.Rows[0][0].Int() != 0 {
		t.Error("a refused statement left rows")
	}
}

func TestPatternsHaveALimit(t *testing.T) {
	e := open(t)
	for _, pattern := range []string{strings.Repeat("x{1000}", 100), strings.Repeat(`\w`, 9000), strings.Repeat(`[^\w]{900}`, 200), "((((a{30}){30}){30}){30}){30}"} {
		err := fails(t, e, alice, &wire.Request{SQL: "SELECT id ~ $1 FROM (SELECT 'a' AS id) q", Params: []wire.Value{wire.TextValue(pattern)}})
		if err.Code != wire.CodeStatementTooLarge && err.Code != wire.CodeInvalidParameter || !strings.Contains(err.Message, "regular expression") {
			t.Errorf("%.20s: got %v", pattern, err)
		}
	}
}

// Every limit of the engine that a statement can reach is named, and is the
// caller's mistake.
func TestLimitsOfTheEngineAreNamed(t *testing.T) {
	e := open(t)
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, n INT, v TEXT)")
	do(t, e, alice, "INSERT INTO app.t VALUES (1, 1, 'x')")
	list := func(n int, format, separator string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = strings.ReplaceAll(format, "#", fmt.Sprint(i))
		}
		return strings.Join(parts, separator)
	}
	nest := func(n int, open, inner, end string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for sql, limit := range map[string]string{
		"SELECT 1 FROM app.t WHERE v IN (" + list(33000, "'a#'", ",") + ")":                         "32,766",
		"DELETE FROM app.t WHERE v IN (" + list(33000, "'a#'", ",") + ")":                           "32,766",
		"UPDATE app.t SET n = 2 WHERE v IN (" + list(33000, "'a#'", ",") + ")":                      "32,766",
		"INSERT INTO app.t SELECT 2, 1, v FROM app.t WHERE v IN (" + list(33000, "'a#'", ",") + ")": "32,766",
		"VALUES " + list(33000, "('a#')", ","):                                                      "32,766",
		list(502, "SELECT #", " UNION ALL "):                                                        "500",
		list(502, "SELECT #", " INTERSECT "):                                                        "500",
		"SELECT 1 FROM " + list(65, "app.t t#", ", "):                                               "64 tables",
		"SELECT 1 FROM app.t a" + list(65, " LEFT JOIN app.t t# ON t#.id = a.id", ""):               "64 tables",
		"DELETE FROM app.t USING " + list(65, "app.t t#", ", "):                                     "64 tables",
		"UPDATE app.t SET n = 1 FROM " + list(65, "app.t t#", ", ") + " WHERE t0.id = 1":            "64 tables",
		"SELECT 1 FROM " + list(201, "app.t t#", ", "):                                              "200",
		"SELECT " + nest(50, "(SELECT ", "1", ")"):                                                  "1,000",
		"SELECT coalesce(" + list(1200, "n", ",") + ") FROM app.t":                                  "1,000 arguments",
		"SELECT n FROM app.t ORDER BY " + list(2500, "n + #", ","):                                  "2,000",
		"SELECT count(*) FROM app.t GROUP BY " + list(2500, "n + #", ","):                           "2,000",
		"SELECT (" + list(600, "n + #", ",") + ") < (" + list(600, "n", ",") + ") FROM app.t":       "nest",
		"SELECT 1 FROM app.t WHERE (" + list(900, "n", ",") + ") <= (" + list(900, "1", ",") + ")":  "nest",
	} {
		err := fails(t, e, alice, &wire.Request{SQL: sql})
		if err.Code != wire.CodeStatementTooLarge || !strings.Contains(err.Message, limit) {
			t.Errorf("%.60s...: got %v, want %s", sql, err, limit)
		}
	}
}

// A short text stands for no larger statement than the engine can do with: what
// doubles at each level is refused, however it is written.
func TestSubQueriesThatDoubleAreRefused(t *testing.T) {
	e := open(t)
	sum, group, distinct, with := "SELECT 1 AS x", "1", "1", "WITH w0 AS (SELECT n AS x)"
	for i := range 40 {
		sum = fmt.Sprintf("SELECT x + x AS x FROM (%s) q%d", sum, i)
		group = "(SELECT " + group + " AS g GROUP BY 1)"
		distinct = "(SELECT DISTINCT ON (1) " + distinct + " AS g)"
		with += fmt.Sprintf(", w%d AS (SELECT l.x FROM w%d l, w%d r)", i+1, i, i)
	}
	for _, sql := range []string{sum, "SELECT " + group, "SELECT " + distinct, "SELECT (" + with + " SELECT x FROM w40) FROM (VALUES (1)) v(n)"} {
		if err := fails(t, e, alice, &wire.Request{SQL: sql}); err.Code != wire.CodeStatementTooLarge {
			t.Errorf("%.60s...: got %v", sql, err)
		}
	}
}

// Plans weigh what their constants do: many that would be kept for their short
// texts do not keep more than the cache may.
func TestKeptPlansWeighTheirConstants(t *testing.T) {
	e := openWith(t, engine.Options{PlanBytes: 4 << 20})
	for i := range 400 {
		var b strings.Builder
		for k := range 200 { // each is a thousand digits
			fmt.Fprintf(&b, ", 1e%d", 900+(i+k)%90)
		}
		do(t, e, alice, fmt.Sprintf("SELECT %d%s", i, b.String()))
	}
	if n := e.Plans(); n > 30 {
		t.Errorf("%d plans with 200 KB of constants each are kept in 4 MiB", n)
	}
}
