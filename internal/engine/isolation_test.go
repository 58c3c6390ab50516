package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/testsize"
)

// statements makes random statements on the tables app.a, app.b and app.s, with
// keys from so small a range that users' keys meet all the time.
type statements struct{ r *rand.Rand }

func (g statements) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func (g statements) key() string { return strconv.Itoa(g.r.IntN(6)) }

func (g statements) word() string { return g.pick("'x'", "'y'", "'z'", "NULL", "'x' || 'y'") }

func (g statements) table() string { return g.pick("app.a", "app.b", "app.s") }

// condition is over a table called t.
func (g statements) condition(depth int) string {
	if depth > 2 {
		return "t.id = " + g.key()
	}
	switch g.r.IntN(11) {
	case 9:
		return "t.id " + g.pick("=", "<>", "<", ">=") + g.pick(" ANY", " ALL") + " (SELECT id FROM " + g.table() + " AS t WHERE " + g.condition(depth+1) + ")"
	case 0:
		return g.condition(depth+1) + " AND " + g.condition(depth+1)
	case 1:
		return "(" + g.condition(depth+1) + " OR " + g.condition(depth+1) + ")"
	case 2:
		return "NOT (" + g.condition(depth+1) + ")"
	case 3:
		return "t.id " + g.pick("IN", "NOT IN") + " (SELECT id FROM " + g.table() + " AS t WHERE " + g.condition(depth+1) + ")"
	case 4:
		return g.pick("EXISTS", "NOT EXISTS") + " (SELECT 1 FROM " + g.table() + " AS i WHERE i.id " + g.pick("=", "<", "<>") + " t.id)"
	case 5:
		return "t.v IS " + g.pick("NULL", "NOT NULL")
	case 6:
		return "t.id " + g.pick("<", ">", "<=", "=", "<>") + " (SELECT " + g.pick("max(id)", "min(id)", "count(*)") + " FROM " + g.table() + ")"
	case 7:
		return "t.v = " + g.word()
	case 8:
		return "true"
	}
	return "t.id " + g.pick("=", "<", ">") + " " + g.key()
}

// query gives two columns, id and v, in an order of their own.
func (g statements) query(depth int) string {
	where := " WHERE " + g.condition(1)
	if depth > 2 {
		return "SELECT t.id, t.v FROM " + g.table() + " AS t" + where
	}
	switch g.r.IntN(11) {
	case 9:
		return "SELECT DISTINCT ON (t.v) t.id, t.v FROM " + g.table() + " AS t" + where + " ORDER BY t.v, t.id"
	case 10:
		return "WITH RECURSIVE w(id, v) AS (SELECT t.id, t.v FROM " + g.table() + " AS t UNION SELECT w.id + 1, t.v FROM w JOIN " + g.table() + " AS t ON t.id = w.id AND w.id < 9) SELECT id, v FROM w"
	case 0:
		return "SELECT t.id, u.v FROM " + g.table() + " AS t " + g.pick("JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN") + " " + g.table() + " AS u ON t.id = u.id"
	case 1:
		return "SELECT t.id, t.v FROM (" + g.query(depth+1) + ") AS t" + where
	case 2:
		return "WITH w AS (" + g.query(depth+1) + ") SELECT t.id, t.v FROM w AS t, " + g.table() + " AS o"
	case 3:
		return "SELECT t.id, t.v FROM " + g.table() + " AS t " + g.pick("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL") + " SELECT t.id, t.v FROM " + g.table() + " AS t" + where
	case 4:
		return "SELECT count(*) AS id, max(t.v) AS v FROM " + g.table() + " AS t" + where + " GROUP BY t.v"
	case 5:
		return "SELECT t.id, (SELECT max(v) FROM " + g.table() + " AS i WHERE i.id = t.id) AS v FROM " + g.table() + " AS t" + where
	case 6:
		return "SELECT t.id, max(t.v) OVER (PARTITION BY t.v) AS v FROM " + g.table() + " AS t" + where
	}
	return "SELECT t.id, t.v FROM " + g.table() + " AS t" + where
}

func (g statements) next() string {
	table := g.pick("app.a", "app.b")
	name := table[len("app."):]
	switch g.r.IntN(21) {
	case 17:
		return g.pick("INSERT INTO app.c (v) VALUES ("+g.word()+"), ("+g.word()+") RETURNING n, v",
			"INSERT INTO app.c (v) SELECT t.v FROM "+g.table()+" AS t WHERE "+g.condition(1)+" ORDER BY t.id, t.v LIMIT 2 RETURNING n",
			"DELETE FROM app.c WHERE n % 3 = "+g.key()+" RETURNING n, v", "BEGIN; INSERT INTO app.c (v) VALUES ('c') RETURNING n; ROLLBACK")
	case 14:
		return "UPDATE " + table + " AS t SET (v, u) = (SELECT max(i.v), max(i.id) FROM " + g.table() + " AS i WHERE i.id " + g.pick("=", "<=") + " t.id) WHERE " + g.condition(1) +
			" RETURNING t.id, (SELECT count(*) FROM " + g.table() + " AS i WHERE i.v = t.v), t.id IN (SELECT u FROM " + table + ")"
	case 15:
		return "DELETE FROM " + table + " AS t WHERE " + g.condition(1) + " RETURNING t.v, (SELECT string_agg(q.v, ',' ORDER BY q.id, q.v) FROM (" + g.query(1) + ") AS q WHERE q.id <> t.id)"
	case 16:
		return "INSERT INTO " + table + " (id, v) VALUES (" + g.key() + ", " + g.word() + ") ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v RETURNING v, (SELECT count(*) FROM " + g.table() + " AS t WHERE " + g.condition(1) + ")"
	case 10:
		return "WITH w AS (" + g.query(1) + ") UPDATE " + table + " AS t SET (v, u) = (w.v, t.id) FROM w WHERE w.id = t.id AND t.id <> " + g.key() + " RETURNING t.id, t.u"
	case 11:
		return "WITH w AS (SELECT max(id) AS id FROM " + g.table() + ") DELETE FROM " + table + " AS t USING w WHERE w.id = t.id RETURNING t.id, w.id"
	case 12: // keys that others have too, and probes of what is unique
		return "UPDATE " + table + " AS t SET " + g.pick("id", "u") + " = " + g.key() + " WHERE " + g.condition(1) + " RETURNING t.id, t.u"
	case 13:
		return "BEGIN; UPDATE " + table + " SET v = 'in' WHERE id = " + g.key() + "; SELECT count(*) FROM " + table + " WHERE v = 'in'; " +
			"SAVEPOINT s; DELETE FROM " + table + "; ROLLBACK TO s; SELECT count(*) FROM " + table + "; " + g.pick("COMMIT", "ROLLBACK")
	case 0, 1:
		return "INSERT INTO " + table + " (id, v, u) VALUES (" + g.key() + ", " + g.word() + ", " + g.pick("NULL", g.key()) + ") RETURNING id, v"
	case 2:
		return "INSERT INTO " + table + " (id, v) VALUES (" + g.key() + ", " + g.word() + ") ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v || coalesce(" + name + ".v, '-') RETURNING id, v"
	case 3:
		return "INSERT INTO " + table + " (id, v, u) VALUES (" + g.key() + ", 'n', " + g.key() + ") ON CONFLICT DO NOTHING"
	case 4:
		return "INSERT INTO " + table + " (id, v) SELECT DISTINCT q.id + 6, q.v FROM (" + g.query(1) + ") AS q WHERE q.id IS NOT NULL ON CONFLICT DO NOTHING"
	case 5:
		return "UPDATE " + table + " AS t SET v = " + g.word() + " WHERE " + g.condition(0) + " RETURNING t.id, t.v"
	case 6:
		return "UPDATE " + table + " AS t SET v = (SELECT min(v) FROM " + g.table() + ") WHERE " + g.condition(1)
	case 7:
		return "UPDATE " + table + " AS t SET v = o.v FROM (SELECT id, max(v) AS v FROM " + g.table() + " GROUP BY id) AS o WHERE o.id = t.id AND " + g.condition(1)
	case 8:
		return "DELETE FROM " + table + " AS t WHERE " + g.condition(0) + " RETURNING t.id, t.v"
	case 9:
		if g.r.IntN(2) == 0 { // so that the table does not grow with n
			return "DELETE FROM app.s AS t WHERE " + g.condition(0)
		}
		return "INSERT INTO app.s (id, v) VALUES (" + g.key() + ", " + g.word() + ")"
	}
	return "SELECT q.id, q.v FROM (" + g.query(0) + ") AS q ORDER BY q.id, q.v"
}

// define is a definition that changes no row.
func (g statements) define() string {
	table := g.pick("app.a", "app.b")
	return g.pick(
		"CREATE INDEX IF NOT EXISTS by_v_"+table[4:]+" ON "+table+" (v)", "DROP INDEX IF EXISTS app.by_v_"+table[4:],
		"ALTER TABLE "+table+" ADD COLUMN IF NOT EXISTS w TEXT DEFAULT 'd'", "ALTER TABLE "+table+" DROP COLUMN IF EXISTS w",
	)
}

// TestUsersAreAsIfAlone runs random statements of three users on one server,
// and each of them also on a server that its user has alone: every answer is
// the same, errors included. Some are run by root in the name of another, and
// some define something, on all servers. KALAM_ISOLATION_STATEMENTS sets how many.
func TestUsersAreAsIfAlone(t *testing.T) {
	n := testsize.Of(t, "KALAM_ISOLATION_STATEMENTS", 2000)
	seed := rand.Uint64()
	g := statements{rand.New(rand.NewPCG(seed, 1))}
	prepare := func() *engine.Engine {
		e := open(t)
		for _, sql := range []string{
			"CREATE NAMESPACE app",
			"CREATE USER alice WITH INTERNAL ROLE user", "CREATE USER bob WITH INTERNAL ROLE user",
			"CREATE USER TABLE app.a (id INT PRIMARY KEY, v TEXT, u INT UNIQUE)",
			"CREATE USER TABLE app.b (id BIGINT PRIMARY KEY, v TEXT, u INT UNIQUE)",
			"CREATE USER TABLE app.c (n SERIAL PRIMARY KEY, v TEXT)",
			"CREATE STREAM TABLE app.s (id INT, v TEXT) WITH (TTL_SECONDS = 3600)",
		} {
			do(t, e, root, sql)
		}
		return e
	}
	shared := prepare()
	users := []*identity.Principal{alice, bob, root}
	alone := make([]*engine.Engine, len(users))
	for i := range users {
		alone[i] = prepare()
	}
	seen := make(map[string]int)
	for i := range n {
		if g.r.IntN(max(50, n/400)) == 0 { // some hundred at most: a dropped column keeps its place in the table
			sql := g.define()
			for _, e := range append(alone, shared) {
				if err := answer(e, root, sql); strings.HasPrefix(err[0], "!") {
					t.Fatalf("seed %d, %s: %v", seed, sql, err)
				}
				if err := answer(e, alice, sql); !strings.HasPrefix(err[0], "! PERMISSION_DENIED") && !strings.Contains(err[0], "does not exist") {
					t.Fatalf("seed %d, alice, %s: %v", seed, sql, err)
				}
			}
		}
		who := g.r.IntN(len(users))
		sql, actor := g.next(), users[who]
		if g.r.IntN(8) == 0 && !strings.HasPrefix(sql, "BEGIN") {
			sql, actor = "EXECUTE AS USER '"+users[who].UserID+"' ("+sql+")", root
		}
		got, want := answer(shared, actor, sql), answer(alone[who], actor, sql)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d, statement %d by %s: %s\nwith others: %q\nalone:       %q", seed, i, users[who].UserID, sql, got, want)
		}
		kind, _, _ := strings.Cut(strings.Join(got, ""), " ")
		seen[strings.SplitN(sql, " ", 2)[0]+" "+map[bool]string{true: "failed", false: "done"}[kind == "!"]]++
	}
	// A generator whose statements all fail would prove nothing.
	for _, kind := range []string{"SELECT done", "INSERT done", "INSERT failed", "UPDATE done", "DELETE done", "WITH done", "BEGIN; done", "EXECUTE done"} {
		if seen[kind] < n/200 {
			t.Errorf("only %d of %d statements were %q: %v", seen[kind], n, kind, seen)
		}
	}
}
