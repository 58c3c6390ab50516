//go:build postgres

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/testsize"
	"github.com/kalamdb/kalam-go/wire"
)

// TestRandomPoliciesMeanWhatPostgreSQLsDo runs random statements of several users
// under random policies, which change meanwhile, here and under the row-level
// security of a server that psql finds. KALAM_POLICY_STATEMENTS says how many; a
// failure names its seed.
func TestRandomPoliciesMeanWhatPostgreSQLsDo(t *testing.T) {
	const each = 200
	for seed := range (testsize.Of(t, "KALAM_POLICY_STATEMENTS", 1000) + each - 1) / each {
		g := &policyGenerator{Rand: rand.New(rand.NewPCG(uint64(seed), 18)), schema: fmt.Sprintf("p%d", seed)}
		list := g.statements(each)
		want := inPostgreSQL(t, g.schema, forPostgreSQL(list))
		e := open(t)
		for i, s := range list {
			who := &identity.Principal{UserID: s.who, Role: roleOfUser(s.who), Issuer: identity.Issuer}
			got, expected := policyAnswer(t, e, who, s.sql), want[3*i+1]
			if strings.HasPrefix(got, "!") && strings.HasPrefix(expected, "!") && s.several {
				continue // which of several rows fails first is nobody's business
			}
			if sorted(got) != sorted(expected) {
				t.Fatalf("seed %d, statement %d, %s: %s\ngot:\n%s\nPostgreSQL:\n%s\npolicies:\n%s", seed, i, s.who, s.sql, got, expected, policyAnswer(t, e, root, "SHOW POLICIES"))
			}
		}
	}
}

// policyStatement is a statement of a user. several says that it may fail on one of
// several rows.
type policyStatement struct {
	who, sql string
	several  bool
}

func roleOfUser(name string) string {
	switch name {
	case "root":
		return identity.RoleSystem
	case "svc":
		return identity.RoleService
	}
	return identity.RoleUser
}

// forPostgreSQL writes the statements for PostgreSQL: three for each.
func forPostgreSQL(list []policyStatement) []string {
	var out []string
	for _, s := range list {
		sql := s.sql
		if rest, ok := strings.CutPrefix(sql, "CREATE NAMESPACE "); ok {
			sql = "CREATE SCHEMA " + rest + "; " + policyRoles + "GRANT USAGE ON SCHEMA " + rest + " TO PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA " + rest + " GRANT ALL ON TABLES TO PUBLIC"
		}
		if before, options, ok := strings.Cut(sql, " WITH (ACCESS"); ok && strings.HasPrefix(sql, "CREATE SHARED") {
			_, name, _ := strings.Cut(before, " TABLE ")
			name, _, _ = strings.Cut(name, " ")
			sql = before
			if strings.Contains(options, "policies") {
				sql += "; ALTER TABLE " + name + " ENABLE ROW LEVEL SECURITY"
			}
		}
		sql = strings.Replace(sql, "CREATE SHARED TABLE", "CREATE TABLE", 1)
		if strings.Contains(sql, " POLICY ") {
			sql = strings.NewReplacer(" TO user, service", " TO kuser, kservice", " TO user", " TO kuser", " TO service", " TO kservice").Replace(sql)
		}
		role := s.who
		if role == "root" {
			role = "kalam"
		}
		out = append(out, "SET ROLE "+role, sql, "RESET ROLE")
	}
	return out
}

const policyRoles = `DO $$ BEGIN
	IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'kuser') THEN
		CREATE ROLE kuser; CREATE ROLE kservice; CREATE ROLE alice IN ROLE kuser; CREATE ROLE bob IN ROLE kuser; CREATE ROLE carol IN ROLE kuser; CREATE ROLE svc IN ROLE kservice;
	END IF; END $$; `

func policyAnswer(t *testing.T, e *engine.Engine, who *identity.Principal, sql string) string {
	results, err := e.Run(context.Background(), who, &wire.Request{SQL: sql})
	if err == nil {
		return strings.Join(psqlRows(t, results[0]), "\n")
	}
	var coded *wire.Error
	if errors.As(err, &coded) {
		for _, kind := range errorKinds {
			if string(coded.Code) == kind {
				return "! " + kind
			}
		}
	}
	return "! " + err.Error()
}

// policyGenerator writes random policies and statements under them. A table t is
// governed; memberships of it are in m, of these in n, and of these in o.
type policyGenerator struct {
	*rand.Rand
	schema   string
	policies int
	names    []string
}

func (g *policyGenerator) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g *policyGenerator) number() string { return fmt.Sprint(g.IntN(5)) }

func (g *policyGenerator) user() string { return g.pick("alice", "bob", "carol", "svc") }

func (g *policyGenerator) table(name string) string { return g.schema + "." + name }

func (g *policyGenerator) statements(n int) []policyStatement {
	list := []policyStatement{{who: "root", sql: "CREATE NAMESPACE " + g.schema}}
	root := func(sql string) { list = append(list, policyStatement{who: "root", sql: sql}) }
	root("CREATE SHARED TABLE " + g.table("t") + " (id INT PRIMARY KEY, a INT, b INT, owner TEXT, flag BOOLEAN NOT NULL, c INT UNIQUE, CHECK (b < 9)) WITH (ACCESS_LEVEL = 'policies')")
	root("CREATE SHARED TABLE " + g.table("m") + " (a INT, who TEXT, r INT, PRIMARY KEY (a, who)) WITH (ACCESS_LEVEL = 'public')")
	root("CREATE SHARED TABLE " + g.table("n") + " (r INT, s INT, who TEXT, PRIMARY KEY (r, s, who)) WITH (ACCESS_LEVEL = 'public')")
	root("CREATE SHARED TABLE " + g.table("o") + " (s INT, k INT, PRIMARY KEY (s, k)) WITH (ACCESS_LEVEL = 'public')")
	for range 4 {
		root(g.createPolicy())
		root(g.member())
	}
	for i := range 8 {
		root(fmt.Sprintf("INSERT INTO %s VALUES (%d, %s, %s, %s, %s, %s)", g.table("t"), 100+i, g.value(), g.value(), g.owner(), g.pick("TRUE", "FALSE"), "NULL"))
	}
	for len(list) < n {
		switch g.IntN(12) {
		case 0:
			root(g.changePolicy())
		case 1:
			root(g.member())
		case 2, 3, 4:
			list = append(list, g.insert())
		case 5, 6:
			list = append(list, g.update())
		case 7:
			list = append(list, g.delete())
		default:
			list = append(list, policyStatement{who: g.pick("alice", "bob", "carol", "svc", "root"), sql: g.query()})
		}
	}
	return list
}

func (g *policyGenerator) value() string { return g.pick(g.number(), g.number(), g.number(), "NULL") }

func (g *policyGenerator) owner() string {
	return g.pick("'alice'", "'bob'", "'carol'", "'svc'", "NULL")
}

// condition is a condition of a policy.
func (g *policyGenerator) condition(depth int) string {
	if depth > 0 && g.IntN(2) == 0 {
		return "(" + g.condition(depth-1) + g.pick(" AND ", " OR ") + g.condition(depth-1) + ")"
	}
	inner := "who = CURRENT_USER"
	switch g.IntN(4) {
	case 0:
		inner += " AND r > " + g.number()
	case 1:
		inner += " AND r IN (SELECT r FROM " + g.table("n") + " WHERE " + g.pick("who = CURRENT_USER", "s > 1", "s IN (SELECT s FROM "+g.table("o")+" WHERE k > 1)") + ")"
	case 2:
		inner = "(who = CURRENT_USER OR r IN (SELECT n.r FROM " + g.table("n") + " WHERE EXISTS (SELECT 1 FROM " + g.table("o") + " x WHERE x.s = n.s AND x.k = " + g.number() + ")))"
	}
	switch g.IntN(12) {
	case 0:
		return "TRUE"
	case 1, 2:
		return "owner = CURRENT_USER"
	case 3:
		return "flag"
	case 4:
		return "NOT (a = " + g.number() + ")"
	case 5:
		return "b BETWEEN 1 AND " + g.number()
	case 6:
		return "owner LIKE '%a%'"
	case 7:
		return "(a, owner) IN (SELECT a, who FROM " + g.table("m") + " WHERE r > " + g.number() + ")"
	case 8:
		return "EXISTS (SELECT 1 FROM " + g.table("m") + " x WHERE x.a = t.a AND x.who = CURRENT_USER AND x.r <> " + g.number() + ")"
	case 9:
		return "EXISTS (SELECT 1 FROM " + g.table("m") + " WHERE m.a = b AND t.owner = who)"
	}
	return g.pick("a", "b") + " IN (SELECT a FROM " + g.table("m") + " WHERE " + inner + ")"
}

func (g *policyGenerator) createPolicy() string {
	g.policies++
	name := fmt.Sprintf("p%d", g.policies)
	g.names = append(g.names, name)
	sql := "CREATE POLICY " + name + " ON " + g.table("t")
	if g.IntN(4) == 0 {
		sql += " AS RESTRICTIVE"
	}
	command := g.pick("ALL", "ALL", "SELECT", "INSERT", "UPDATE", "DELETE")
	sql += " FOR " + command + g.pick("", "", " TO PUBLIC", " TO user", " TO service", " TO user, service")
	if command != "INSERT" && g.IntN(8) > 0 {
		sql += " USING (" + g.condition(1) + ")"
	}
	if command == "INSERT" || command != "SELECT" && command != "DELETE" && g.IntN(2) == 0 {
		sql += " WITH CHECK (" + g.condition(1) + ")"
	}
	return sql
}

func (g *policyGenerator) changePolicy() string {
	if len(g.names) < 3 || g.IntN(3) > 0 && len(g.names) < 8 {
		return g.createPolicy()
	}
	i := g.IntN(len(g.names))
	name := g.names[i]
	g.names = append(g.names[:i:i], g.names[i+1:]...)
	return "DROP POLICY " + name + " ON " + g.table("t")
}

// member changes memberships.
func (g *policyGenerator) member() string {
	switch g.IntN(5) {
	case 0:
		return "DELETE FROM " + g.table("m") + " WHERE a = " + g.number()
	case 1:
		return "INSERT INTO " + g.table("n") + " VALUES (" + g.number() + ", " + g.number() + ", '" + g.user() + "') ON CONFLICT DO NOTHING"
	case 2:
		return "INSERT INTO " + g.table("o") + " VALUES (" + g.number() + ", " + g.number() + ") ON CONFLICT DO NOTHING"
	}
	return "INSERT INTO " + g.table("m") + " VALUES (" + g.number() + ", '" + g.user() + "', " + g.number() + ") ON CONFLICT DO NOTHING"
}

// where is a condition of a statement. A division fails on rows with b = 0, and on
// none that the user does not see.
func (g *policyGenerator) where() string {
	return g.pick("id > 0", "a = "+g.number(), "b < "+g.number()+" OR flag", "10 / b > 1", "length(owner) > 3 AND id > 0", "owner = CURRENT_USER",
		"a IN (SELECT b FROM "+g.table("t")+")", "NOT flag", "id = 100 + "+g.number())
}

func (g *policyGenerator) returning() string {
	return g.pick("", " RETURNING id, a", " RETURNING id, owner, 1 + b")
}

func (g *policyGenerator) insert() policyStatement {
	s := policyStatement{who: g.user()}
	rows := 1 + g.IntN(2)
	s.several = rows > 1
	s.sql = "INSERT INTO " + g.table("t") + " (id, a, b, owner, flag, c) "
	if g.IntN(5) == 0 {
		s.several = true
		s.sql += "SELECT id + 20, a, b, " + g.pick("owner", "CURRENT_USER") + ", flag, NULL FROM " + g.table("t") + " WHERE " + g.where()
	} else {
		for i := range rows {
			s.sql += g.pick("VALUES ", "VALUES ")[7*min(i, 1):]
			if i > 0 {
				s.sql = strings.TrimSpace(s.sql) + ", "
			}
			owner := g.pick("'"+s.who+"'", "'"+s.who+"'", g.owner())
			s.sql += "(" + fmt.Sprint(95+g.IntN(40)) + ", " + g.value() + ", " + g.pick(g.value(), "9") + ", " + owner + ", " + g.pick("TRUE", "FALSE", "TRUE", "FALSE", "NULL") + ", " + g.pick("NULL", g.number()) + ")"
		}
	}
	// DO UPDATE has no WHERE: PostgreSQL evaluates it on a conflicting row that the
	// user may not see, and refuses only what passes; ours refuses the row first.
	s.sql += g.pick("", "", "", " ON CONFLICT DO NOTHING", " ON CONFLICT (id) DO NOTHING", " ON CONFLICT (c) DO NOTHING",
		" ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a", " ON CONFLICT (id) DO UPDATE SET b = t.b + 1, owner = EXCLUDED.owner", " ON CONFLICT (c) DO UPDATE SET owner = EXCLUDED.owner")
	s.sql += g.returning()
	return s
}

func (g *policyGenerator) update() policyStatement {
	set := g.pick("a = "+g.value(), "b = b + 1", "owner = "+g.owner(), "flag = NOT flag", "a = b, b = a", "c = "+g.number(), "flag = NULL")
	from, where := "", g.where()
	if g.IntN(5) == 0 {
		from, where = " FROM "+g.table("m")+" x", "x.a = t.b AND x.who = CURRENT_USER AND id > 0"
	}
	return policyStatement{g.user(), "UPDATE " + g.table("t") + " SET " + set + from + " WHERE " + where + g.pick("", " RETURNING t.id, t.b"), true}
}

func (g *policyGenerator) delete() policyStatement {
	return policyStatement{g.user(), "DELETE FROM " + g.table("t") + " WHERE id = 95 + " + fmt.Sprint(g.IntN(40)) + " AND " + g.pick("flag", "a < 4", "id > 0") + g.returning(), true}
}

func (g *policyGenerator) query() string {
	t := g.table("t")
	switch g.IntN(11) {
	case 0:
		return "SELECT x.id, y.id FROM " + t + " x JOIN " + t + " y ON x.a = y.b"
	case 1:
		return "SELECT x.a, y.id, y.owner FROM " + g.table("m") + " x LEFT JOIN " + t + " y ON y.a = x.a AND 10 / (y.id - 99) < 3"
	case 2:
		return "SELECT x.id, y.a FROM " + t + " x FULL JOIN " + g.table("m") + " y ON y.a = x.a"
	case 3:
		return "WITH q AS (SELECT * FROM " + t + " WHERE " + g.where() + ") SELECT a, count(*) FROM q GROUP BY a"
	case 4:
		// No division: a side that cannot matter need not be computed.
		where := func() string { return strings.Replace(g.where(), "10 / b", "b", 1) }
		return "SELECT id FROM " + t + " WHERE " + where() + g.pick(" UNION ", " EXCEPT ", " INTERSECT ") + "SELECT id FROM " + t + " WHERE " + where()
	case 5:
		return "SELECT (SELECT count(*) FROM " + t + "), (SELECT max(id) FROM " + t + " WHERE flag), EXISTS (SELECT 1 FROM " + t + " WHERE id = 101)"
	case 6:
		return "SELECT d.x FROM (SELECT 10 / b AS x, flag FROM " + t + " WHERE b <> 0) d WHERE d.x > 1"
	case 7:
		return "SELECT v.x, (SELECT count(*) FROM " + t + " WHERE t.a = v.x) FROM (VALUES (0), (1), (2)) AS v(x)"
	case 8:
		return "SELECT count(*), sum(b), min(owner) FROM " + t + " WHERE " + g.where()
	}
	return "SELECT id, a, b, owner, flag FROM " + t + " WHERE " + g.where()
}
