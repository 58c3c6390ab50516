package server_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/store"
)

// sharedRooms are messages that the members of their room see.
const sharedRooms = "CREATE NAMESPACE share; " + sharedUsers +
	"CREATE SHARED TABLE share.members (room INT, person TEXT, PRIMARY KEY (person, room)); " +
	"CREATE SHARED TABLE share.messages (id INT PRIMARY KEY, room INT, body TEXT); " +
	"CREATE POLICY seen ON share.messages USING (room IN (SELECT room FROM share.members WHERE person = CURRENT_USER()))"

// startRooms starts a server with two rooms: alice is in both, bob in the first.
func startRooms(t *testing.T) (s *servertest.Server, admin string) {
	s, admin = start(t), mint(t, "admin")
	run(t, s, admin, sharedRooms)
	run(t, s, admin, "INSERT INTO share.members VALUES (1, 'alice'), (2, 'alice'), (1, 'bob')")
	run(t, s, admin, "INSERT INTO share.messages VALUES (10, 1, 'one'), (20, 2, 'two')")
	return s, admin
}

func TestALiveQueryObeysPoliciesOnTheRow(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, sharedNotes)
	run(t, s, alice, "INSERT INTO share.notes VALUES (1, 'alice', 'a', FALSE), (2, 'alice', 'b', TRUE)")
	k := open(t, s, "bob")
	k.subscribe("n", "SELECT id, body FROM share.notes", "{}")
	if _, all, _ := k.snapshot("n"); column(all, "id") != "2" {
		t.Fatalf("bob sees %v", all)
	}
	run(t, s, alice, "UPDATE share.notes SET body = 'hidden' WHERE id = 1")
	run(t, s, alice, "INSERT INTO share.notes VALUES (3, 'alice', 'hidden', FALSE)")
	run(t, s, alice, "UPDATE share.notes SET open = TRUE WHERE id = 3")
	if f := k.wantChange("n", "insert"); column(f.Rows, "id") != "3" {
		t.Errorf("%s", f.raw)
	}
	run(t, s, alice, "UPDATE share.notes SET open = FALSE, body = 'changed while hidden' WHERE id = 3")
	if f := k.wantChange("n", "delete"); column(f.OldValues, "id") != "3" || strings.Contains(f.raw, "changed while hidden") {
		t.Errorf("%s", f.raw)
	}
	run(t, s, alice, "DELETE FROM share.notes WHERE id = 1")
	run(t, s, mint(t, "bob"), "INSERT INTO share.notes VALUES (4, 'bob', 'mine', FALSE)")
	if f := k.wantChange("n", "insert"); column(f.Rows, "id") != "4" {
		t.Errorf("%s", f.raw)
	}
}

func TestJoiningAndLeavingOnTheOpenSubscription(t *testing.T) {
	s, admin := startRooms(t)
	k := open(t, s, "bob")
	k.subscribe("m", "SELECT id, body FROM share.messages", "{}")
	if _, all, _ := k.snapshot("m"); column(all, "id") != "10" {
		t.Fatalf("bob sees %v", all)
	}
	run(t, s, admin, "INSERT INTO share.messages VALUES (21, 2, 'not for bob')")
	run(t, s, admin, "INSERT INTO share.messages VALUES (11, 1, 'for bob')")
	if f := k.wantChange("m", "insert"); column(f.Rows, "id") != "11" {
		t.Errorf("%s", f.raw)
	}
	run(t, s, admin, "INSERT INTO share.members VALUES (2, 'bob')")
	first, second := k.wantChange("m", "insert"), k.wantChange("m", "insert")
	if got := column(first.Rows, "id") + " " + column(second.Rows, "id"); got != "20 21" && got != "21 20" {
		t.Errorf("on joining: %s", got)
	}
	run(t, s, admin, "INSERT INTO share.messages VALUES (22, 2, 'for bob now')")
	if f := k.wantChange("m", "insert"); column(f.Rows, "id") != "22" {
		t.Errorf("%s", f.raw)
	}
	run(t, s, admin, "DELETE FROM share.members WHERE person = 'bob' AND room = 1")
	gone := map[string]bool{}
	for range 2 {
		f := k.wantChange("m", "delete")
		gone[column(f.OldValues, "id")] = true
		if strings.Contains(f.raw, `"one"`) || strings.Contains(f.raw, "for bob") {
			t.Errorf("a row that is hidden is shown once more: %s", f.raw)
		}
	}
	if !gone["10"] || !gone["11"] {
		t.Errorf("on leaving: %v", gone)
	}
	run(t, s, admin, "INSERT INTO share.messages VALUES (12, 1, 'not for bob')")
	run(t, s, admin, "DELETE FROM share.messages WHERE id = 10")
	run(t, s, admin, "UPDATE share.messages SET body = 'x' WHERE room = 1")
	run(t, s, admin, "UPDATE share.messages SET room = 1, body = 'moved' WHERE id = 22")
	if f := k.wantChange("m", "delete"); column(f.OldValues, "id") != "22" || strings.Contains(f.raw, "moved") {
		t.Errorf("%s", f.raw)
	}
	wantRows(t, s, mint(t, "bob"), "SELECT id FROM share.messages", "[[20],[21]]")
}

func TestChangedPoliciesOnTheOpenSubscription(t *testing.T) {
	s, admin := startRooms(t)
	k := open(t, s, "bob")
	k.subscribe("m", "SELECT id FROM share.messages", "{}")
	if _, all, _ := k.snapshot("m"); column(all, "id") != "10" {
		t.Fatalf("bob sees %v", all)
	}
	run(t, s, admin, "ALTER POLICY seen ON share.messages USING (room = 2)")
	if ack, all, _ := k.snapshot("m"); !ack.Reset || column(all, "id") != "20" {
		t.Errorf("after ALTER POLICY: %s %v", ack.raw, all)
	}
	run(t, s, admin, "DROP POLICY seen ON share.messages")
	if ack, all, _ := k.snapshot("m"); !ack.Reset || len(all) != 0 {
		t.Errorf("after DROP POLICY: %s %v", ack.raw, all)
	}
	run(t, s, admin, "INSERT INTO share.messages VALUES (30, 1, 'for nobody')")
	run(t, s, admin, "CREATE POLICY everyone ON share.messages USING (TRUE)")
	if ack, all, _ := k.snapshot("m"); !ack.Reset || column(all, "id") != "10 20 30" {
		t.Errorf("after CREATE POLICY: %s %v", ack.raw, all)
	}
}

// TestAResumeFromBehindAChangeOfRightsIsAReset resumes with and without a change
// of memberships or policies in between.
func TestAResumeFromBehindAChangeOfRightsIsAReset(t *testing.T) {
	s, admin := startRooms(t)
	subscribe := func(options string) (frame, []map[string]any, string) {
		k := open(t, s, "bob")
		defer k.c.CloseNow()
		k.subscribe("m", "SELECT id FROM share.messages", options)
		return k.snapshot("m")
	}
	_, _, position := subscribe("{}")
	from := func() (bool, string) {
		ack, all, next := subscribe(`{"from":` + position + `}`)
		position = next
		return ack.Reset, column(all, "id")
	}
	run(t, s, admin, "INSERT INTO share.members VALUES (5, 'carol')")
	if reset, all := from(); reset || all != "" {
		t.Errorf("another's membership: reset %v, rows %s", reset, all)
	}
	run(t, s, admin, "INSERT INTO share.members VALUES (2, 'bob')")
	if reset, all := from(); !reset || all != "10 20" {
		t.Errorf("a membership: reset %v, rows %s", reset, all)
	}
	run(t, s, admin, "INSERT INTO share.messages VALUES (40, 1, 'later')")
	_, _, position = subscribe("{}")
	run(t, s, admin, "ALTER POLICY seen ON share.messages USING (room = 2)")
	if reset, all := from(); !reset || all != "20" {
		t.Errorf("a policy: reset %v, rows %s", reset, all)
	}
}

// TestNothingQueuedOutlivesARight fills the queue of a socket that nobody reads,
// takes the right to it, and reads: what was waiting is not sent.
func TestNothingQueuedOutlivesARight(t *testing.T) {
	e := startEdge(t, store.Options{}, live.Options{}, server.Options{MaxQueue: 64 << 20})
	if err := e.db.AddSystem(t.Context(), e.hub.System()); err != nil {
		t.Fatal(err)
	}
	s, admin := e.Server, mint(t, "admin")
	run(t, s, admin, "CREATE USER bob WITH PASSWORD 'Secret123!'; "+sharedRooms)
	run(t, s, admin, "INSERT INTO share.members VALUES (1, 'bob')")
	k := open(t, s, "bob")
	k.subscribe("m", "SELECT id, body FROM share.messages", "{}")
	k.snapshot("m")
	const many = 100
	random := rand.NewChaCha8([32]byte{})
	for i := range many {
		body := make([]byte, 20_000) // which compression leaves as large: 3 MB in all, of which the connection takes a small part
		random.Read(body)
		run(t, s, admin, "INSERT INTO share.messages VALUES ($1, 1, $2)", 1000+i, base64.StdEncoding.EncodeToString(body))
	}
	run(t, s, admin, "DELETE FROM share.members WHERE person = 'bob'")
	run(t, s, admin, "INSERT INTO share.messages VALUES (2000, 1, 'secret')")
	wantStartedAgain(t, s, admin)
	run(t, s, admin, "INSERT INTO share.members VALUES (3, 'bob')")
	run(t, s, admin, "INSERT INTO share.messages VALUES (3000, 3, 'the end')")
	last, shown := "", 0
	rows := map[string]bool{}
	for last != "3000" {
		f := k.next()
		if strings.Contains(f.raw, "secret") {
			t.Fatal("a message came after the right to it had gone")
		}
		if f.Reset {
			clear(rows)
		}
		for _, r := range f.Rows {
			last = fmt.Sprint(r["id"])
			rows[last] = true
			shown++
		}
		for _, r := range f.OldValues {
			delete(rows, fmt.Sprint(r["id"]))
		}
	}
	if shown >= many {
		t.Errorf("all %d frames came that waited when the right had gone", shown)
	}
	if len(rows) != 1 {
		t.Errorf("in the end there are %v", rows)
	}
}

// wantStartedAgain waits until every subscription is about to send its rows anew:
// what was queued is not sent any more.
func wantStartedAgain(t *testing.T, s *servertest.Server, admin string) {
	t.Helper()
	for range 2000 {
		if rows(t, run(t, s, admin, "SELECT 1 FROM system.live WHERE status <> 'loading'")) == "[]" {
			return
		}
	}
	t.Error("the subscription did not start again")
}

func TestALivePolicyThatFailsEndsItsSubscriptionAlone(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, "CREATE NAMESPACE share; "+sharedUsers+"CREATE SHARED TABLE share.t (id INT PRIMARY KEY, n INT, owner TEXT); "+
		"CREATE POLICY risky ON share.t USING (CASE WHEN CURRENT_USER() = 'bob' THEN 10 / n > 1 ELSE TRUE END)")
	bob, alice := open(t, s, "bob"), open(t, s, "alice")
	for _, k := range []*sock{bob, alice} {
		k.subscribe("t", "SELECT id FROM share.t", "{}")
		k.snapshot("t")
	}
	run(t, s, admin, "INSERT INTO share.t VALUES (1, 0, 'x')")
	if f := bob.wantError("t", "CONVERSION_ERROR"); !strings.Contains(f.Message, "share.t") {
		t.Errorf("%s", f.raw)
	}
	alice.wantChange("t", "insert")
	wantError(t, query(t, s, mint(t, "bob"), "SELECT * FROM share.t"), 400, "DIVISION_BY_ZERO", "")
	wantRows(t, s, mint(t, "alice"), "SELECT id FROM share.t", "[[1]]")
}
