package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// links returns WITH c0, c1, ..., c<n> in which each query joins the two before it.
func links(n int, first string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "WITH c0 AS (%s), c1 AS (SELECT * FROM c0)", first)
	for i := 2; i <= n; i++ {
		fmt.Fprintf(&b, ", c%d AS (SELECT a.id, a.v, b.d FROM c%d a JOIN c%d b ON a.id = b.id)", i, i-1, i-2)
	}
	return b.String()
}

func TestLongChainOfQueriesIsAnswered(t *testing.T) {
	for _, kind := range []string{"USER", "SHARED"} {
		t.Run(kind, func(t *testing.T) {
			e := open(t)
			run := func(sql string, params ...wire.Value) string {
				t.Helper()
				results, err := e.Run(context.Background(), root, &wire.Request{SQL: sql, Params: params})
				if err != nil {
					t.Fatalf("%.200s: %v", sql, err)
				}
				return strings.Join(psqlRows(t, results[len(results)-1]), "\n")
			}
			run("CREATE " + kind + " TABLE t (id INT PRIMARY KEY, v TEXT, d DECIMAL(10,2))")
			run("CREATE " + kind + " TABLE u (id INT PRIMARY KEY, v TEXT, d DECIMAL(10,2))")
			run("INSERT INTO t VALUES (1, 'a', 1.50), (2, NULL, -2.25), (3, 'c', NULL)")
			all := "1 | a | 1.50\n2 | NULL | -2.25\n3 | c | NULL"
			for _, n := range []int{5, 13, 14, 40, 60} {
				if got := run(links(n, "SELECT id, v, d FROM t") + fmt.Sprintf(" SELECT * FROM c%d ORDER BY id", n)); got != all {
					t.Errorf("%d links:\n%s", n, got)
				}
			}
			last := " SELECT * FROM c60 ORDER BY id"
			if got := run("SELECT count(*), sum(d) FROM ("+links(60, "SELECT id, v, d FROM t WHERE id < $1")+last+") q", wire.IntValue(3)); got != "2 | -0.75" {
				t.Errorf("in FROM: %s", got)
			}
			if got := run("SELECT o.id FROM t o WHERE o.d = (" + links(60, "SELECT id, v, d FROM t") + " SELECT max(d) FROM c60)"); got != "1" {
				t.Errorf("in WHERE: %s", got)
			}
			if got := run("SELECT o.id, (" + links(8, "SELECT id, v, d FROM t WHERE t.id = o.id") + " SELECT v FROM c8) FROM t o ORDER BY 1"); got != "1 | a\n2 | NULL\n3 | c" {
				t.Errorf("correlated:\n%s", got)
			}
			run("INSERT INTO u " + links(60, "SELECT id, v, d FROM t") + last)
			if got := run("SELECT id, v, d FROM u ORDER BY id"); got != all {
				t.Errorf("INSERT ... SELECT:\n%s", got)
			}
			run(links(60, "SELECT id, v, d FROM t") + " UPDATE u SET v = c60.v || '!' FROM c60 WHERE c60.id = u.id")
			run(links(60, "SELECT id, v, d FROM t WHERE id = 3") + " DELETE FROM u USING c60 WHERE c60.id = u.id")
			if got := run("SELECT id, v, d FROM u ORDER BY id"); got != "1 | a! | 1.50\n2 | NULL | -2.25" {
				t.Errorf("UPDATE and DELETE:\n%s", got)
			}
			if got := run("UPDATE u SET d = 0 WHERE id = 1 RETURNING (" + links(60, "SELECT id, v, d FROM t") + " SELECT max(d) FROM c60)"); got != "1.50" {
				t.Errorf("RETURNING: %s", got)
			}
			run("EXPLAIN " + links(60, "SELECT id, v, d FROM t") + last)
			run("EXPLAIN ANALYZE " + links(60, "SELECT id, v, d FROM t") + last)
		})
	}
}

func TestQueriesThatDoubleAreComputedOnce(t *testing.T) {
	e := open(t)
	twice, sum := "WITH w0 AS (SELECT 1 AS x)", "WITH w0 AS (SELECT 1 AS x)"
	for i := range 40 {
		twice += fmt.Sprintf(", w%d AS (SELECT l.x FROM w%d l, w%d r)", i+1, i, i)
		sum += fmt.Sprintf(", w%d AS (SELECT x + x AS x FROM w%d)", i+1, i)
	}
	if got := answerIn(t, e, twice+" SELECT x FROM w40"); got != "1" {
		t.Errorf("each query names the one before twice: %s", got)
	}
	if got := answerIn(t, e, sum+" SELECT x FROM w30"); got != "1073741824" {
		t.Errorf("each query doubles the one before: %s", got)
	}
	if err := fails(t, e, root, &wire.Request{SQL: sum + " SELECT x FROM w40"}); err.Code != wire.CodeNumericOutOfRange {
		t.Errorf("an INT is doubled 40 times: %v", err)
	}
}

// TestStagesKeepEveryValue passes each type through a query that runs by itself.
func TestStagesKeepEveryValue(t *testing.T) {
	e := open(t)
	first := `SELECT 1 AS i, 9223372036854775807 AS b, 0.1::float8 + 0.2 AS f, 1.50::numeric AS d,
		'\x00ff'::bytea AS y, true AS t, DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29 12:34:56.789' AS at,
		INTERVAL '1 month 2 days' AS span, '{"a": [1]}'::jsonb AS j, 'it''s "é" \' AS s, NULL AS n`
	with := "WITH w0 AS (" + first + ")"
	for i := range 40 {
		with += fmt.Sprintf(", w%d AS (SELECT l.* FROM w%d l, w%d r)", i+1, i, i)
	}
	want := answerIn(t, e, first)
	if got := answerIn(t, e, with+" SELECT * FROM w40"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := answerIn(t, e, with+" SELECT f = 0.1::float8 + 0.2, d = 1.5, y = '\\x00ff'::bytea, day + span FROM w40"); got != answerIn(t, e, "WITH q AS ("+first+") SELECT true, true, true, day + span FROM q") {
		t.Errorf("compared: %s", got)
	}
}

// TestStagesAreOfTheirUser runs the same chain for two users.
func TestStagesAreOfTheirUser(t *testing.T) {
	e := open(t)
	do(t, e, root, "CREATE NAMESPACE app")
	do(t, e, root, "CREATE USER TABLE app.t (id INT PRIMARY KEY, v TEXT, d INT)")
	do(t, e, alice, "INSERT INTO app.t VALUES (1, 'alice', 0)")
	do(t, e, bob, "INSERT INTO app.t VALUES (1, 'bob', 0), (2, 'bob', 0)")
	sql := links(40, "SELECT id, v, d FROM app.t") + " SELECT v, count(*) FROM c40 GROUP BY v"
	for who, want := range map[*identity.Principal]string{alice: "alice | 1", bob: "bob | 2"} {
		results, err := e.Run(context.Background(), who, &wire.Request{SQL: sql})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(psqlRows(t, results[0]), "\n"); got != want {
			t.Errorf("%s: got %s, want %s", who.UserID, got, want)
		}
	}
}

func answerIn(t *testing.T, e *engine.Engine, sql string) string {
	t.Helper()
	results, err := e.Run(context.Background(), root, &wire.Request{SQL: sql})
	if err != nil {
		t.Fatalf("%.200s: %v", sql, err)
	}
	return strings.Join(psqlRows(t, results[0]), "\n")
}
