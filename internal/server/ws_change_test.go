package server_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/store"
)

func TestChangesEnterAndLeaveTheFilter(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	fill(t, s, alice, 0)
	k := open(t, s, "alice")
	k.subscribe("a", "SELECT id, body FROM chat.messages WHERE body LIKE 'in%' AND id < 100", "{}")
	k.snapshot("a")
	last := int64(0)
	step := func(sql, change string) frame {
		t.Helper()
		run(t, s, alice, sql)
		f := k.wantChange("a", change)
		rows := f.Rows
		if change == "delete" {
			rows = f.OldValues
			if f.Rows != nil || rows[0]["_deleted"] != true {
				t.Errorf("a delete is %s", f.raw)
			}
		}
		seq, err := strconv.ParseInt(rows[0]["_seq"].(string), 10, 64)
		if err != nil || seq <= last {
			t.Errorf("_seq %v after %d: %s", rows[0]["_seq"], last, f.raw)
		}
		last = seq
		return f
	}
	f := step("INSERT INTO chat.messages (id, body) VALUES (500, 'in'), (1, 'out'), (2, 'in')", "insert")
	if column(f.Rows, "id") != "2" || f.OldValues != nil {
		t.Errorf("got %s", f.raw)
	}
	f = step("UPDATE chat.messages SET body = 'in again' WHERE id = 2", "update")
	if column(f.Rows, "body") != "in again" || column(f.OldValues, "body") != "in" || column(f.OldValues, "id") != "2" || f.OldValues[0]["_seq"] == nil {
		t.Errorf("got %s", f.raw)
	}
	f = step("UPDATE chat.messages SET body = 'in' WHERE id = 1", "insert") // enters
	if column(f.Rows, "id") != "1" || f.OldValues != nil {
		t.Errorf("got %s", f.raw)
	}
	f = step("UPDATE chat.messages SET body = 'out' WHERE id = 2", "delete") // leaves
	if column(f.OldValues, "id") != "2" || column(f.OldValues, "body") != "in again" {
		t.Errorf("got %s", f.raw)
	}
	run(t, s, alice, "UPDATE chat.messages SET body = 'still out' WHERE id = 2; DELETE FROM chat.messages WHERE id = 2") // unseen
	f = step("UPDATE chat.messages SET id = 3 WHERE id = 1", "delete")                                                   // the key changes
	if column(f.OldValues, "id") != "1" {
		t.Errorf("got %s", f.raw)
	}
	if f = k.wantChange("a", "insert"); column(f.Rows, "id") != "3" || column(f.Rows, "body") != "in" {
		t.Errorf("got %s", f.raw)
	}
	f = k.frameAfter(func() { run(t, s, alice, "DELETE FROM chat.messages WHERE id = 3") })
	if f.ChangeType != "delete" || column(f.OldValues, "id") != "3" || column(f.OldValues, "body") != "in" {
		t.Errorf("got %s", f.raw)
	}
	// A transaction is seen whole and after its end; one that fails is not seen.
	run(t, s, alice, "BEGIN; INSERT INTO chat.messages (id, body) VALUES (10, 'in'); UPDATE chat.messages SET body = 'in2' WHERE id = 10; DELETE FROM chat.messages WHERE id = 10; ROLLBACK")
	query(t, s, alice, "BEGIN; INSERT INTO chat.messages (id, body) VALUES (10, 'in'); SELECT 1/0; COMMIT")
	run(t, s, alice, "BEGIN; INSERT INTO chat.messages (id, body) VALUES (11, 'in'); UPDATE chat.messages SET body = 'in2' WHERE id = 11; COMMIT")
	if f := k.wantChange("a", "insert"); column(f.Rows, "id") != "11" || column(f.Rows, "body") != "in" {
		t.Errorf("got %s", f.raw)
	}
	k.wantChange("a", "update")
	// Another user's rows are nobody else's.
	run(t, s, mint(t, "bob"), "INSERT INTO chat.messages (id, body) VALUES (12, 'in')")
	run(t, s, mint(t, "admin"), "INSERT INTO chat.messages (id, body) VALUES (12, 'in')")
	run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (13, 'in')")
	if f := k.wantChange("a", "insert"); column(f.Rows, "id") != "13" {
		t.Errorf("got %s", f.raw)
	}
}

// frameAfter does something and reads the next frame.
func (k *sock) frameAfter(do func()) frame {
	k.t.Helper()
	do()
	return k.next()
}

func TestProjectionsAliasesNullsAndParameters(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, alice, "CREATE TABLE chat.items (id INT PRIMARY KEY, name TEXT, n BIGINT, price DECIMAL(10,2), done BOOLEAN) WITH (TYPE='USER')")
	run(t, s, alice, "INSERT INTO chat.items VALUES (1, 'one', 10, 1.5, true), (2, NULL, 9007199254740993, NULL, NULL)")
	k := open(t, s, "alice")
	k.send(`{"type":"subscribe","subscription":{"id":"a","sql":"SELECT upper(name) AS title, n * $2 AS twice, price FROM chat.items WHERE n >= $1 OR name IS NULL","params":[10,2],"options":{}}}`)
	ack, all, _ := k.snapshot("a")
	var names []string
	for _, f := range ack.Schema {
		names = append(names, fmt.Sprint(f.Name, ":", f.Type))
	}
	if got := strings.Join(names, " "); got != "title:Text twice:BigInt price:map[Decimal:map[precision:10 scale:2]] id:Int _seq:BigInt" {
		t.Errorf("schema %s", got)
	}
	if got := column(all, "title") + "," + column(all, "twice") + "," + column(all, "price") + "," + column(all, "id"); got != "ONE <nil>,20 18014398509481986,1.50 <nil>,1 2" {
		t.Errorf("got %s", got)
	}
	run(t, s, alice, "UPDATE chat.items SET price = NULL WHERE id = 1")
	f := k.wantChange("a", "update")
	if v, ok := f.Rows[0]["price"]; v != nil || !ok || f.Rows[0]["title"] != "ONE" || column(f.OldValues, "price") != "1.50" {
		t.Errorf("a column set to NULL: %s", f.raw)
	}
	if _, ok := f.OldValues[0]["title"]; ok {
		t.Errorf("old values hold what did not change: %s", f.raw)
	}
	run(t, s, alice, "UPDATE chat.items SET done = false WHERE id = 1") // not projected, still a new version
	if f := k.wantChange("a", "update"); f.Rows[0]["title"] != "ONE" {
		t.Errorf("got %s", f.raw)
	}
	// A comparison with NULL is not true, with big integers exact, with times an order.
	k.subscribe("b", "SELECT id FROM chat.items WHERE n != 9007199254740992 AND done <> true", "{}")
	if _, all, _ := k.snapshot("b"); column(all, "id") != "1" {
		t.Errorf("got %v", all)
	}
	k.unsubscribe("b")
	k.subscribe("c", "SELECT id FROM chat.items WHERE n = 9007199254740992 OR n BETWEEN 5 AND 6 OR id IN (7, 8) OR name ILIKE 'X_z'", "{}")
	if _, all, _ := k.snapshot("c"); len(all) != 0 {
		t.Errorf("got %v", all)
	}
	run(t, s, alice, "INSERT INTO chat.items VALUES (3, 'xyz', 1, NULL, NULL), (7, '', 2, NULL, NULL), (9, '', 3, NULL, NULL), (10, '', 5, NULL, NULL)")
	for _, id := range []string{"3", "7", "10"} {
		if f := k.wantChange("c", "insert"); column(f.Rows, "id") != id {
			t.Errorf("got %s, want %s", f.raw, id)
		}
	}
}

func TestARowThatCannotBeMatchedEndsTheSubscription(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	fill(t, s, alice, 0)
	k := open(t, s, "alice")
	k.subscribe("a", "SELECT id FROM chat.messages WHERE 10 / id > 1", "{}")
	k.snapshot("a")
	k.subscribe("b", "SELECT id FROM chat.messages", "")
	k.want("subscription_ack")
	run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (0, 'x')")
	got := map[string]frame{}
	for range 2 {
		f := k.next()
		got[f.SubscriptionID] = f
	}
	if got["a"].Code != "CONVERSION_ERROR" || got["b"].ChangeType != "insert" {
		t.Errorf("got %s and %s", got["a"].raw, got["b"].raw)
	}
}

func TestSharedTablesAreWatchedByAll(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, "CREATE SHARED TABLE chat.open (id INT PRIMARY KEY, owner TEXT) WITH (ACCESS_LEVEL='public')")
	alice, bob := open(t, s, "alice"), open(t, s, "bob")
	for _, k := range []*sock{alice, bob} {
		k.subscribe("all", "SELECT * FROM chat.open", "{}")
		k.snapshot("all")
		k.subscribe("mine", "SELECT * FROM chat.open WHERE owner = CURRENT_USER()", "{}")
		k.snapshot("mine")
	}
	run(t, s, admin, "INSERT INTO chat.open VALUES (1, 'bob'), (2, 'nobody')")
	for _, want := range []string{"all 1", "all 2"} {
		if f := alice.wantChange("all", "insert"); f.SubscriptionID+" "+column(f.Rows, "id") != want {
			t.Errorf("alice got %s", f.raw)
		}
	}
	got := map[string]int{}
	for range 3 {
		f := bob.want("change")
		got[f.SubscriptionID+" "+column(f.Rows, "id")]++
	}
	if got["all 1"] != 1 || got["all 2"] != 1 || got["mine 1"] != 1 {
		t.Errorf("bob got %v", got)
	}
}

func TestLargeFramesAreCompressed(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	fill(t, s, alice, 0)
	insert := func(n int) {
		run(t, s, alice, "INSERT INTO chat.messages (body) VALUES ($1)", strings.Repeat("x", n))
	}
	for _, c := range []struct {
		name, query, protocol string
		binary                bool
	}{
		{"by default", "", "{}", true},
		{"as asked", "", `{"serialization":"json","compression":"gzip"}`, true},
		{"compress=false", "?compress=false", "{}", false},
		{"COMPRESS=False", "?a=b&COMPRESS=False", "{}", false},
		{"compression none", "", `{"serialization":"json","compression":"none"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := dial(t, s, c.query)
			k.authenticate(mint(t, "alice"), c.protocol)
			if f := k.want("auth_success"); f.binary {
				t.Error("auth_success is binary")
			}
			k.subscribe("a", "SELECT body FROM chat.messages", "")
			k.want("subscription_ack")
			insert(1)
			if f := k.wantChange("a", "insert"); f.binary {
				t.Errorf("a small frame is binary")
			}
			insert(2000)
			if f := k.wantChange("a", "insert"); f.binary != c.binary || len(column(f.Rows, "body")) != 2000 {
				t.Errorf("binary is %v", f.binary)
			}
		})
	}
}

func TestUnsubscribeEndsFrames(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	k := open(t, s, "alice")
	k.subscribe("a", "SELECT body FROM chat.messages", "")
	k.want("subscription_ack")
	k.subscribe("b", "SELECT body FROM chat.messages", "")
	k.want("subscription_ack")
	k.unsubscribe("a")
	k.send(`{"type":"next_batch","subscription_id":"a"}`)
	k.wantError("a", "BATCH_FETCH_FAILED")
	run(t, s, alice, "INSERT INTO chat.messages (body) VALUES ('x')")
	k.wantChange("b", "insert")
	run(t, s, alice, "INSERT INTO chat.messages (body) VALUES ('y')")
	k.wantChange("b", "insert")
}

func TestTheSameIDReplaces(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	fill(t, s, alice, 3)
	k := open(t, s, "alice")
	k.subscribe("a", "SELECT id FROM chat.messages", "{}")
	k.subscribe("a", "SELECT id FROM chat.messages WHERE id = 2", "{}")
	// The first may have come as far as it could; after the second
	// acknowledgement everything is the second's.
	acks := 0
	for {
		f := k.next()
		if f.Type == "subscription_ack" {
			acks++
		}
		if f.Type == "initial_data_batch" && column(f.Rows, "id") == "2" {
			break
		}
	}
	if acks > 2 {
		t.Errorf("%d acknowledgements", acks)
	}
	run(t, s, alice, "UPDATE chat.messages SET body = 'x' WHERE id = 1; UPDATE chat.messages SET body = 'x' WHERE id = 2; UPDATE chat.messages SET body = 'y' WHERE id = 2")
	k.wantChange("a", "update")
	k.wantChange("a", "update")
}

// change reads a change frame and says what it is, as in "insert 7".
func (k *sock) change() string {
	k.t.Helper()
	f := k.want("change")
	return f.ChangeType + " " + column(append(f.Rows, f.OldValues...)[:1], "id")
}

func TestResumeGivesEveryChangeOnce(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	fill(t, s, alice, 3)
	k := open(t, s, "alice")
	const sql = "SELECT id, body FROM chat.messages WHERE body <> 'out'"
	k.subscribe("a", sql, "{}")
	_, _, position := k.snapshot("a")
	k.c.CloseNow()
	run(t, s, alice, "UPDATE chat.messages SET body = 'x' WHERE id = 1; DELETE FROM chat.messages WHERE id = 2; UPDATE chat.messages SET body = 'out' WHERE id = 3")
	run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (4, 'new'), (5, 'out'); UPDATE chat.messages SET body = 'in' WHERE id = 5; UPDATE chat.messages SET id = 6 WHERE id = 5")
	run(t, s, mint(t, "bob"), "INSERT INTO chat.messages (id, body) VALUES (4, 'his')")
	want := "update 1, delete 2, delete 3, insert 4, insert 5, delete 5, insert 6"

	for i, from := range []string{`{"from":` + position + `}`, `{"from":"` + position + `"}`, `{"from_seq_id":` + position + `,"last_rows":1,"batch_size":10}`} {
		k := open(t, s, "alice")
		k.subscribe("a", sql, from)
		ack := k.want("subscription_ack")
		if ack.Reset || ack.Control.position() != position || ack.Control.Status != "ready" || ack.Control.HasMore {
			t.Errorf("got %s", ack.raw)
		}
		f := k.want("initial_data_batch")
		if len(f.Rows) != 0 || f.Rows == nil || f.Control.Status != "ready" || f.Control.position() != position {
			t.Errorf("got %s", f.raw)
		}
		var got []string
		for range strings.Count(want, ",") + 1 {
			got = append(got, k.change())
		}
		if g := strings.Join(got, ", "); g != want {
			t.Errorf("got %s, want %s", g, want)
		}
		k.subscribe("a", sql, `{"from":0}`)
		ack, all, newest := k.snapshot("a")
		if ack.Reset || len(all) != 3 {
			t.Errorf("from 0: %s %v", ack.raw, all)
		}
		// From the newest position nothing is missing, also none of what comes.
		k.subscribe("a", sql, `{"from":`+newest+`}`)
		if ack := k.want("subscription_ack"); ack.Reset || ack.Control.position() != newest {
			t.Errorf("got %s", ack.raw)
		}
		k.want("initial_data_batch")
		run(t, s, alice, "UPDATE chat.messages SET body = $1 WHERE id = 4", fmt.Sprint("now ", i))
		if got := k.change(); got != "update 4" {
			t.Errorf("got %s", got)
		}
		want += ", update 4"
	}
}

func TestResumeFromWhereTheLogIsNot(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	fill(t, s, alice, 3)
	for _, from := range []string{"9223372036854775807", "1"} {
		k := open(t, s, "alice")
		k.subscribe("a", "SELECT id FROM chat.messages", `{"from":`+from+`}`)
		ack, all, _ := k.snapshot("a")
		if from == "1" && !ack.Reset {
			continue // the whole log is there
		}
		if !ack.Reset || column(all, "id") != "1 2 3" {
			t.Errorf("from %s: %s %v", from, ack.raw, all)
		}
	}
}

func TestResumeBelowTheTrimmedLogIsAReset(t *testing.T) {
	clock := &clock{}
	s := startEdge(t, store.Options{LogMaxAge: time.Hour, Now: clock.now}, live.Options{}, server.Options{})
	alice := mint(t, "alice")
	run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES (1, 'a')")
	k := open(t, s.Server, "alice")
	k.subscribe("a", "SELECT id FROM chat.messages", "{}")
	_, _, first := k.snapshot("a")
	run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES (2, 'b')")
	second := k.wantChange("a", "insert").Rows[0]["_seq"].(string)
	clock.add(2 * time.Hour)
	run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES (3, 'c')")
	k.wantChange("a", "insert")
	if _, err := s.db.Trim(context.Background()); err != nil {
		t.Fatal(err)
	}
	// The trimmed part ends with the second row.
	k.subscribe("a", "SELECT id FROM chat.messages", `{"from":`+first+`}`)
	ack, all, _ := k.snapshot("a")
	if !ack.Reset || column(all, "id") != "1 2 3" {
		t.Errorf("below the floor: %s %v", ack.raw, all)
	}
	k.subscribe("a", "SELECT id FROM chat.messages", `{"from":`+second+`}`)
	if ack := k.want("subscription_ack"); ack.Reset || ack.Control.position() != second {
		t.Errorf("at the floor: %s", ack.raw)
	}
	k.want("initial_data_batch")
	if got := k.change(); got != "insert 3" {
		t.Errorf("got %s", got)
	}
	// A reset keeps what the client asked for.
	k.subscribe("a", "SELECT id FROM chat.messages", `{"from":`+first+`,"last_rows":1}`)
	if ack, all, _ := k.snapshot("a"); !ack.Reset || column(all, "id") != "3" {
		t.Errorf("%s %v", ack.raw, all)
	}
}

// TestSnapshotIsOfOneMoment changes rows while a snapshot that they belong to
// waits for its reader: they are in it as they were, and then they change.
func TestSnapshotIsOfOneMoment(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{ClientTimeout: time.Minute}).Server
	alice := mint(t, "alice")
	big := strings.Repeat("x", 50_000)
	const n = 60
	for i := 1; i <= n; i++ {
		run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", i, big)
	}
	for _, options := range []string{`{"batch_size":1}`, `{"batch_size":7}`, `{}`} {
		k := dial(t, s, "?compress=false")
		k.authenticate(alice, "{}")
		k.want("auth_success")
		k.subscribe("a", "SELECT id, body FROM chat.messages WHERE body <> 'hidden' AND id < 1000", options)
		ack := k.want("subscription_ack")
		// Nearly all of it is yet to come.
		run(t, s, alice, "DELETE FROM chat.messages WHERE id = 60; UPDATE chat.messages SET body = 'y' WHERE id IN (1, 59); UPDATE chat.messages SET body = 'hidden' WHERE id IN (57, 58); UPDATE chat.messages SET body = 'z' WHERE id = 59; UPDATE chat.messages SET id = 61 WHERE id = 56; INSERT INTO chat.messages (id, body) VALUES (999, 'end')")
		var ids, changes []string
		for {
			f := k.want("initial_data_batch")
			ids = append(ids, column(f.Rows, "id"))
			for _, r := range f.Rows {
				if r["body"] != big {
					t.Errorf("%s: row %v is a later one", options, r["id"])
				}
			}
			if !f.Control.HasMore {
				break
			}
		}
		var want []string
		for i := 1; i <= n; i++ {
			want = append(want, fmt.Sprint(i))
		}
		if got := strings.Join(ids, " "); got != strings.Join(want, " ") {
			t.Errorf("%s: got %s after %s", options, got, ack.raw)
		}
		for len(changes) == 0 || changes[len(changes)-1] != "insert 999" {
			changes = append(changes, k.change())
		}
		if got := strings.Join(changes, ", "); got != "delete 60, update 1, update 59, delete 57, delete 58, update 59, delete 56, insert 61, insert 999" {
			t.Errorf("%s: got %s", options, got)
		}
		k.c.CloseNow()
		run(t, s, alice, "DELETE FROM chat.messages")
		for i := 1; i <= n; i++ {
			run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", i, big)
		}
	}
}
