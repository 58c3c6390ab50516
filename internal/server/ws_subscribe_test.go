package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// fill empties the table of a user and gives it rows 1 to n.
func fill(t testing.TB, s *servertest.Server, token string, n int) {
	t.Helper()
	run(t, s, token, "DELETE FROM chat.messages")
	for from := 1; from <= n; from += 500 {
		var b strings.Builder
		for i := from; i < from+500 && i <= n; i++ {
			fmt.Fprintf(&b, ",(%d,'b%d')", i, i)
		}
		run(t, s, token, "INSERT INTO chat.messages (id, body) VALUES "+b.String()[1:])
	}
}

// upTo gives "1 2 3" up to n.
func upTo(n int) string {
	var out []string
	for i := 1; i <= n; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return strings.Join(out, " ")
}

func TestWithoutOptionsThereIsNoSnapshot(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	k := open(t, s, "alice")
	for _, options := range []string{"", "null"} {
		k.subscribe("a", "SELECT id, body FROM chat.messages", options)
		ack := k.want("subscription_ack")
		if c := ack.Control; ack.SubscriptionID != "a" || c.BatchNum != 0 || c.HasMore || c.Status != "ready" || ack.Reset {
			t.Errorf("got %s", ack.raw)
		}
		if !strings.Contains(ack.raw, `"total_rows":0`) {
			t.Errorf("got %s", ack.raw)
		}
		run(t, s, alice, "INSERT INTO chat.messages (body) VALUES ('x')")
		k.wantChange("a", "insert")
		k.unsubscribe("a")
	}
}

func TestSnapshotIsScopedFilteredAndTyped(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	fill(t, s, alice, 5)
	k := open(t, s, "alice")
	k.subscribe("a", "SELECT * FROM chat.messages WHERE id > 1 AND id < 4 OR id = 5", "{}")
	ack, all, position := k.snapshot("a")
	if column(all, "id") != "2 3 5" || column(all, "body") != "b2 b3 b5" || position == "" {
		t.Errorf("got %v at %q", all, position)
	}
	var names []string
	for _, f := range ack.Schema {
		names = append(names, fmt.Sprint(f.Name, ":", f.Type))
	}
	if got := strings.Join(names, " "); got != "id:BigInt room:Text body:Text created_at:Timestamp _seq:BigInt _deleted:Boolean" {
		t.Errorf("schema is %s", got)
	}
	if ack.Control.LastSeqID != nil {
		t.Errorf("the acknowledgement moves clients past rows that were not sent: %s", ack.raw)
	}
	for _, r := range all {
		if _, ok := r["_seq"].(string); !ok || r["_deleted"] != false {
			t.Errorf("row %v", r)
		}
		if _, ok := r["id"].(string); !ok {
			t.Errorf("row %v", r)
		}
	}
	// The rows of an empty snapshot are there, and none.
	k.subscribe("b", "SELECT body FROM chat.messages WHERE id = 99", "{}")
	if _, all, _ := k.snapshot("b"); len(all) != 0 {
		t.Errorf("got %v", all)
	}
}

func TestSnapshotGoesOnByItself(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	fill(t, s, alice, 25)
	k := open(t, s, "alice")
	for _, c := range []struct {
		options string
		batches int
	}{{`{"batch_size":10}`, 3}, {`{"batch_size":25}`, 1}, {`{"batch_size":24}`, 2}, {`{"batch_size":1}`, 25}, {`{}`, 1}, {`{"batch_size":4294967295}`, 1}, {`{"batch_size":0}`, 1}} {
		k.subscribe("a", "SELECT id FROM chat.messages", c.options)
		ack := k.want("subscription_ack")
		more := c.batches > 1
		if ack.Control.HasMore != more || ack.Control.LastSeqID != nil {
			t.Errorf("%s: %s", c.options, ack.raw)
		}
		var ids []string
		var position string
		for n := range c.batches {
			f := k.want("initial_data_batch")
			if f.Control.BatchNum != n || f.Control.HasMore != (n < c.batches-1) {
				t.Fatalf("%s: batch %d is %s", c.options, n, f.raw)
			}
			if f.Control.HasMore && f.Control.position() != f.Rows[len(f.Rows)-1]["_seq"] {
				t.Errorf("%s: batch %d ends at %v and says %s", c.options, n, f.Rows[len(f.Rows)-1], f.Control.position())
			}
			ids = append(ids, column(f.Rows, "id"))
			position = f.Control.position()
			// An old client asks for what is on its way.
			k.send(`{"type":"next_batch","subscription_id":"a","last_seq_id":` + position + `}`)
		}
		if got := strings.Join(ids, " "); got != upTo(25) {
			t.Errorf("%s: got %s", c.options, got)
		}
		if position == "" {
			t.Errorf("%s: no position", c.options)
		}
	}
	k.send(`{"type":"next_batch","subscription_id":"nobody","last_seq_id":null}`)
	k.wantError("nobody", "BATCH_FETCH_FAILED")
}

func TestLastRows(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	fill(t, s, alice, 20)
	run(t, s, alice, "UPDATE chat.messages SET body = 'newest' WHERE id = 3")
	k := open(t, s, "alice")
	for options, want := range map[string]string{
		`{"last_rows":3}`:                 "19 20 3",
		`{"last_rows":1,"batch_size":1}`:  "3",
		`{"last_rows":100}`:               "1 2 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 3",
		`{"last_rows":3,"batch_size":10}`: "19 20 3",
	} {
		k.subscribe("a", "SELECT id FROM chat.messages", options)
		ack, all, _ := k.snapshot("a")
		if column(all, "id") != want || ack.Control.HasMore {
			t.Errorf("%s: got %s", options, column(all, "id"))
		}
	}
	k.subscribe("a", "SELECT id FROM chat.messages", `{"last_rows":11,"batch_size":10}`)
	k.wantError("a", "UNSUPPORTED")
	k.subscribe("a", "SELECT id FROM chat.messages", `{"last_rows":4294967295}`)
	k.wantError("a", "UNSUPPORTED")
}

func TestSubscribeRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.RateLimit.MaxSubscriptionsPerUser = 3 })
	run(t, s, mint(t, "admin"), "CREATE SHARED TABLE chat.board (id INT PRIMARY KEY, t TEXT) WITH (ACCESS_LEVEL='private'); CREATE SHARED TABLE chat.open (id INT PRIMARY KEY) WITH (ACCESS_LEVEL='public')")
	k := open(t, s, "alice")
	for _, c := range []struct{ sql, code string }{
		{"SELECT * FROM messages", "INVALID_SQL"},
		{"SELECT * FROM chat.nothing", "NOT_FOUND"},
		{"SELECT * FROM nowhere.nothing", "NOT_FOUND"},
		{"SELECT * FROM system.users", "UNAUTHORIZED"},
		{"SELECT * FROM chat.board", "UNAUTHORIZED"},
		{"", "INVALID_SQL"},
		{"SELECT", "INVALID_SQL"},
		{"SELECT 1", "INVALID_SQL"},
		{"SELECT * FROM chat.messages; SELECT 1", "INVALID_SQL"},
		{"DELETE FROM chat.messages", "INVALID_SQL"},
		{"SELECT nope FROM chat.messages", "INVALID_SQL"},
		{"SELECT * FROM chat.messages WHERE nope = 1", "INVALID_SQL"},
		{"SELECT * FROM chat.messages WHERE body", "INVALID_SQL"},
		{"SELECT * FROM chat.messages WHERE id = $1", "INVALID_SQL"},
		{"SELECT DISTINCT body FROM chat.messages", "INVALID_SQL"},
		{"SELECT * FROM chat.messages ORDER BY id", "INVALID_SQL"},
		{"SELECT * FROM chat.messages LIMIT 1", "INVALID_SQL"},
		{"SELECT * FROM chat.messages OFFSET 1", "INVALID_SQL"},
		{"SELECT count(*) FROM chat.messages", "INVALID_SQL"},
		{"SELECT room FROM chat.messages GROUP BY room", "INVALID_SQL"},
		{"SELECT * FROM chat.messages a JOIN chat.messages b ON a.id = b.id", "INVALID_SQL"},
		{"SELECT * FROM chat.messages, chat.open", "INVALID_SQL"},
		{"SELECT * FROM (SELECT * FROM chat.messages) x", "INVALID_SQL"},
		{"WITH x AS (SELECT 1) SELECT * FROM chat.messages", "INVALID_SQL"},
		{"SELECT * FROM chat.messages UNION SELECT * FROM chat.messages", "INVALID_SQL"},
		{"SELECT * FROM chat.messages WHERE id IN (SELECT id FROM chat.messages)", "INVALID_SQL"},
		{"SELECT row_number() OVER () FROM chat.messages", "INVALID_SQL"},
		{"SELECT " + strings.Repeat("(", 100_000) + "1", "INVALID_SQL"},
	} {
		k.subscribe("a", c.sql, "{}")
		if f := k.wantError("a", c.code); len(f.Message) > 1000 {
			t.Errorf("%s", f.raw)
		}
	}
	for _, id := range []string{"", "  ", "\t\n"} {
		k.subscribe(id, "SELECT * FROM chat.messages", "{}")
		k.wantError("invalid_subscription", "INVALID_SUBSCRIPTION_ID")
	}
	k.send(`{"type":"subscribe","subscription":{"id":"a","sql":"SELECT * FROM chat.messages WHERE id = $1","params":[[1]]}}`)
	k.wantError("a", "INVALID_PARAMETER")
	k.send(`{"type":"subscribe","subscription":{"id":"a","sql":"SELECT * FROM chat.messages WHERE id = $1","params":[1,2]}}`)
	k.wantError("a", "INVALID_SQL")
	k.send(`{"type":"subscribe","subscription":{"id":"a","sql":"SELECT * FROM chat.messages WHERE id = $1","params":["x"]}}`)
	k.wantError("a", "INVALID_SQL")

	// Refused ones count for nothing; ended ones neither; replaced ones once.
	for _, id := range []string{"1", "2", "2", "2", "3", "open"} {
		if id == "open" {
			k.unsubscribe("1")
		}
		k.subscribe(id, "SELECT * FROM chat.open", "")
		k.want("subscription_ack")
	}
	k.unsubscribe("nobody")
	k.unsubscribe("nobody")
	k.subscribe("4", "SELECT * FROM chat.messages", "")
	k.wantError("4", "SUBSCRIPTION_LIMIT_EXCEEDED")
	other := open(t, s, "alice")
	other.subscribe("4", "SELECT * FROM chat.messages", "")
	other.wantError("4", "SUBSCRIPTION_LIMIT_EXCEEDED")
	bob := open(t, s, "bob")
	bob.subscribe("4", "SELECT * FROM chat.messages", "")
	bob.want("subscription_ack")
	// The end of a socket gives its subscriptions back.
	k.c.CloseNow()
	wait(t, func() bool {
		other.subscribe("4", "SELECT * FROM chat.messages", "")
		return other.next().Type == "subscription_ack"
	})
}

func TestIdsMayBeAnyText(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	k := open(t, s, "alice")
	for _, id := range []string{"a\x00b\x1f\"\\\n", "ü🎉", "</script>", "a\u2028b", strings.Repeat("x", 10_000)} {
		k.subscribe(id, "SELECT id FROM chat.messages", "{}")
		k.snapshot(id)
		run(t, s, alice, "INSERT INTO chat.messages (body) VALUES ('x')")
		k.wantChange(id, "insert")
		k.unsubscribe(id)
	}
}

func TestMalformedFramesAreAnsweredAndClosed(t *testing.T) {
	s := start(t)
	for _, text := range []string{
		`x`, `{`, `[]`, `null`, `"a"`, `{}`, `{"type":1}`, `{"type":"nonsense"}`, `{"type":"subscribe"}`, `{"type":"unsubscribe"}`, `{"type":"next_batch"}`,
		`{"type":"subscribe","subscription":{"id":"a"}}`, `{"type":"subscribe","subscription":{"sql":"a"}}`, `{"type":"subscribe","subscription":{"id":1,"sql":"x"}}`,
		`{"type":"subscribe","subscription":{"id":"a","sql":"x","options":{"batch_size":-1}}}`,
		`{"type":"subscribe","subscription":{"id":"a","sql":"x","options":{"from":"abc"}}}`,
		`{"type":"subscribe","subscription":{"id":"a","sql":"x","options":{"from":1e30}}}`,
		`{"type":"authenticate"}`, strings.Repeat(`[`, 30_000), `{"type":"` + strings.Repeat("x", 30_000) + `"}`,
	} {
		for _, in := range []bool{true, false} {
			k := dial(t, s, "")
			if in {
				k.authenticate(mint(t, "alice"), "{}")
				k.want("auth_success")
			}
			k.send(text)
			f := k.wantError("protocol", "PROTOCOL")
			if len(f.raw) > 400 {
				t.Errorf("a long answer: %s", f.raw)
			}
			k.wantClose(1011, "")
		}
	}
}

func TestMessagesThatAreTooLargeOrBinaryAreDropped(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Security.MaxWebSocketMessage = 100 << 10 })
	k := open(t, s, "alice")
	k.send(`{"type":"ping","pad":"` + strings.Repeat("x", 100<<10) + `"}`)
	k.wantError("protocol", "MESSAGE_TOO_LARGE")
	if err := k.c.Write(t.Context(), 2, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	k.wantError("protocol", "UNSUPPORTED_DATA")
	k.send(`{"type":"ping","pad":"` + strings.Repeat("x", 99<<10) + `"}`)
	k.subscribe("a", "SELECT body FROM chat.messages", "")
	k.want("subscription_ack")
}

func TestMessagesOverTheRateAreDropped(t *testing.T) {
	s := start(t, func(c *config.Config) { c.RateLimit.MaxMessagesPerSec = 10 })
	k := open(t, s, "alice")
	for range 30 {
		k.send(`{"type":"ping"}`)
	}
	f := k.wantError("rate_limit", "RATE_LIMIT_EXCEEDED")
	for f.Type == "error" {
		k.subscribe("a", "SELECT body FROM chat.messages", "")
		f = k.next()
	}
	if f.Type != "subscription_ack" {
		t.Errorf("got %s", f.raw)
	}
}
