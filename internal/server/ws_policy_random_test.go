package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/testsize"
)

// livePolicies are sets of policies on share.t, of which a random one is in force.
var livePolicies = []string{
	"a IN (SELECT a FROM share.m WHERE who = CURRENT_USER())",
	"owner = CURRENT_USER() OR EXISTS (SELECT 1 FROM share.m x WHERE x.a = t.a AND x.who = CURRENT_USER() AND x.r > 1)",
	"open AND a IN (SELECT a FROM share.m WHERE who = CURRENT_USER() AND r IN (SELECT r FROM share.n WHERE who = CURRENT_USER() AND s IN (SELECT s FROM share.o)))",
	"(a, owner) IN (SELECT a, who FROM share.m WHERE r > 0) OR b IN (SELECT s FROM share.n WHERE who = CURRENT_USER())",
	"a IN (SELECT a FROM share.m WHERE who = CURRENT_USER()) AND b IN (SELECT b FROM share.own)",
	"open OR owner = CURRENT_USER()",
}

// TestLiveRowsAreThoseOfTheSELECT changes rows, memberships and policies at random,
// and after each transaction waits until what each subscriber has is what its user
// selects. KALAM_LIVE_POLICY_CHANGES says how many transactions there are.
func TestLiveRowsAreThoseOfTheSELECT(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 18))
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, "CREATE NAMESPACE share; CREATE SHARED TABLE share.t (id INT PRIMARY KEY, a INT, b INT, owner TEXT, open BOOLEAN) WITH (ACCESS_LEVEL = 'policies'); "+
		"CREATE SHARED TABLE share.m (a INT, who TEXT, r INT, PRIMARY KEY (who, a)); CREATE SHARED TABLE share.n (r INT, s INT, who TEXT, PRIMARY KEY (r, s, who)); "+
		"CREATE SHARED TABLE share.o (s INT PRIMARY KEY); CREATE USER TABLE share.own (b INT PRIMARY KEY); CREATE POLICY p ON share.t USING ("+livePolicies[0]+")")
	var subs []*liveRows
	for _, user := range []string{"alice", "bob"} {
		for _, where := range []string{"", " WHERE b > 1"} {
			sub := &liveRows{sock: open(t, s, user), token: mint(t, user), sql: "SELECT id, a, b, owner FROM share.t" + where, rows: map[string]string{}}
			sub.subscribe("t", sub.sql, "{}")
			subs = append(subs, sub)
		}
	}
	for range testsize.Of(t, "KALAM_LIVE_POLICY_CHANGES", 150) {
		who, sql := admin, randomLiveChange(random)
		if random.IntN(12) == 0 {
			who, sql = mint(t, []string{"alice", "bob"}[random.IntN(2)]), fmt.Sprintf("INSERT INTO share.own VALUES (%d) ON CONFLICT (b) DO NOTHING", random.IntN(4))
		}
		if random.IntN(4) == 0 {
			sql = "BEGIN; " + sql + "; " + randomRow(random) + "; " + randomRow(random) + "; COMMIT"
			if strings.Contains(sql, "POLICY") || who != admin {
				continue
			}
		}
		run(t, s, who, sql)
		for _, sub := range subs {
			sub.settle(t, s, sql)
		}
	}
}

func randomRow(random *rand.Rand) string {
	n := func() int { return random.IntN(4) }
	owner := []string{"alice", "bob", "carol"}[random.IntN(3)]
	switch random.IntN(4) {
	case 0:
		return fmt.Sprintf("DELETE FROM share.t WHERE id = %d", random.IntN(30))
	case 1:
		return fmt.Sprintf("UPDATE share.t SET a = %d, owner = '%s' WHERE id < %d", n(), owner, random.IntN(30))
	case 2:
		return fmt.Sprintf("UPDATE share.t SET open = NOT open, b = %d WHERE a = %d", n(), n())
	}
	return fmt.Sprintf("INSERT INTO share.t VALUES (%d, %d, %d, '%s', %v) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a", random.IntN(30), n(), n(), owner, random.IntN(2) == 0)
}

func randomLiveChange(random *rand.Rand) string {
	n := func() int { return random.IntN(4) }
	who := []string{"alice", "bob", "carol"}[random.IntN(3)]
	switch random.IntN(14) {
	case 0:
		return "ALTER POLICY p ON share.t USING (" + livePolicies[random.IntN(len(livePolicies))] + ")"
	case 1, 2, 3:
		return fmt.Sprintf("INSERT INTO share.m VALUES (%d, '%s', %d) ON CONFLICT (who, a) DO UPDATE SET r = EXCLUDED.r", n(), who, n())
	case 4, 5:
		return fmt.Sprintf("DELETE FROM share.m WHERE a = %d AND who = '%s'", n(), who)
	case 6:
		return fmt.Sprintf("INSERT INTO share.n VALUES (%d, %d, '%s') ON CONFLICT DO NOTHING", n(), n(), who)
	case 7:
		return fmt.Sprintf("DELETE FROM share.n WHERE r = %d", n())
	case 8:
		return fmt.Sprintf("INSERT INTO share.o VALUES (%d) ON CONFLICT DO NOTHING", n())
	case 9:
		return fmt.Sprintf("DELETE FROM share.o WHERE s = %d", n())
	}
	return randomRow(random)
}

// liveRows is a subscriber with the rows that it has.
type liveRows struct {
	*sock
	token, sql string
	rows       map[string]string // by id
	loading    bool
}

// settle reads frames until the rows are those of the SELECT.
func (l *liveRows) settle(t *testing.T, s *servertest.Server, after string) {
	t.Helper()
	var in struct{ Results []struct{ Rows [][]any } }
	if err := json.Unmarshal([]byte(run(t, s, l.token, l.sql).body), &in); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, r := range in.Results[0].Rows {
		want[fmt.Sprint(r[0])] = fmt.Sprintln(r[1:]...)
	}
	for l.loading || !maps.Equal(l.rows, want) {
		f, err := l.read()
		if err != nil {
			t.Fatalf("%s: after %s there are %v, the SELECT gives %v (%v)", l.sql, after, l.rows, want, err)
		}
		l.apply(t, f)
	}
}

func (l *liveRows) apply(t *testing.T, f frame) {
	t.Helper()
	put := func(r map[string]any) { l.rows[fmt.Sprint(r["id"])] = fmt.Sprintln(r["a"], r["b"], r["owner"]) }
	switch f.Type {
	case "subscription_ack":
		clear(l.rows)
		l.loading = true
	case "initial_data_batch":
		l.loading = f.Control.HasMore
		for _, r := range f.Rows {
			put(r)
		}
	case "change":
		for _, r := range f.OldValues {
			if id := fmt.Sprint(r["id"]); f.ChangeType == "delete" {
				if _, ok := l.rows[id]; !ok {
					t.Errorf("%s: a row is deleted that is not there: %s", l.sql, f.raw)
				}
				delete(l.rows, id)
			}
		}
		for _, r := range f.Rows {
			if _, ok := l.rows[fmt.Sprint(r["id"])]; ok != (f.ChangeType == "update") {
				t.Errorf("%s: %s of a row that is there: %v", l.sql, f.raw, ok)
			}
			put(r)
		}
	default:
		t.Fatalf("%s: %s", l.sql, f.raw)
	}
}
