package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/testsize"
)

// TestRefusalsNameTheClause is what a live query cannot have, and the word for
// it that the refusal must hold.
func TestRefusalsNameTheClause(t *testing.T) {
	s := start(t)
	k := open(t, s, "alice")
	for _, c := range []struct{ sql, word string }{
		{"SELECT * FROM chat.messages ORDER BY id", "ORDER BY"},
		{"SELECT * FROM chat.messages LIMIT 1", "LIMIT"},
		{"SELECT * FROM chat.messages OFFSET 1", "OFFSET"},
		{"SELECT * FROM chat.messages FETCH FIRST 1 ROW ONLY", "LIMIT"},
		{"SELECT DISTINCT body FROM chat.messages", "DISTINCT"},
		{"SELECT body FROM chat.messages GROUP BY body", "GROUP BY"},
		{"SELECT body FROM chat.messages HAVING true", "HAVING"},
		{"SELECT count(*) FROM chat.messages", "aggregate"},
		{"SELECT sum(id) AS s FROM chat.messages", "aggregate"},
		{"SELECT * FROM chat.messages WHERE count(*) > 1", "aggregate"},
		{"SELECT row_number() OVER () AS n FROM chat.messages", "window"},
		{"SELECT * FROM chat.messages a JOIN chat.messages b ON a.id = b.id", "JOIN"},
		{"SELECT * FROM chat.messages, chat.messages", "list of tables"},
		{"SELECT * FROM (SELECT * FROM chat.messages) x", "sub-query"},
		{"SELECT * FROM chat.messages WHERE id IN (SELECT 1)", "sub-query"},
		{"SELECT (SELECT 1) AS x FROM chat.messages", "sub-query"},
		{"SELECT * FROM chat.messages WHERE EXISTS (SELECT 1)", "sub-query"},
		{"WITH x AS (SELECT 1) SELECT * FROM chat.messages", "WITH"},
		{"SELECT * FROM chat.messages UNION SELECT * FROM chat.messages", "set operation"},
		{"VALUES (1)", "VALUES"},
		{"SELECT 1", "table"},
		{"INSERT INTO chat.messages (body) VALUES ('x')", "SELECT"},
		{"SELECT * FROM messages", "namespace.table"},
		{"SELECT nope FROM chat.messages", "nope"},
		{"SELECT * FROM chat.messages WHERE id < extract(epoch FROM now() - interval '1 hour')", "NOW"},
		{"SELECT * FROM chat.messages WHERE body = CURRENT_TIMESTAMP::text", "CURRENT_TIMESTAMP"},
		{"SELECT * FROM chat.messages WHERE body < current_date::text OR true", "CURRENT_DATE"},
		{"SELECT *, random() AS r FROM chat.messages", "RANDOM"},
		{"SELECT * FROM chat.messages WHERE id = snowflake_id()", "SNOWFLAKE_ID"},
	} {
		k.subscribe("a", c.sql, "{}")
		if f := k.wantError("a", "INVALID_SQL"); !strings.Contains(f.Message, c.word) {
			t.Errorf("%s: %q does not name %s", c.sql, f.Message, c.word)
		}
	}
}

// TestSubscribeFloodLeavesTheServerUnharmed subscribes as fast as it can, to
// what there is and to what there is not, and reads nothing.
func TestSubscribeFloodLeavesTheServerUnharmed(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{MaxPerUser: 50}, server.Options{MessageRate: 100_000, MaxSubscriptions: 30, MaxQueue: 128 << 10})
	alice := mint(t, "alice")
	for i := range 20 {
		run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", i, strings.Repeat("x", 50_000))
	}
	k := dial(t, s.Server, "?compress=false")
	k.authenticate(alice, "{}")
	k.want("auth_success")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sent := 0
	for ; sent < 20_000; sent++ {
		sql := []string{"SELECT * FROM chat.messages", "SELECT * FROM chat.nothing", "SELECT"}[sent%3]
		m := fmt.Sprintf(`{"type":"subscribe","subscription":{"id":"%d","sql":%q,"options":{"batch_size":1}}}`, sent, sql)
		if err := k.c.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
			break // the server has cut it off
		}
	}
	if sent == 20_000 {
		t.Error("a client that reads no answers may send for ever")
	}
	k.c.CloseNow()
	wait(t, func() bool { return s.hub.Len() == 0 && s.edge.Sockets() == 0 })
	other := open(t, s.Server, "alice")
	other.subscribe("a", "SELECT id FROM chat.messages", "{}")
	if _, all, _ := other.snapshot("a"); len(all) != 20 {
		t.Errorf("got %d rows", len(all))
	}
}

// TestStalledSnapshotsTakeLittleMemory asks for many large snapshots and reads
// none of them; one is then read to its end. KALAM_SNAPSHOT_ROWS is how many
// thousand rows the table has.
func TestStalledSnapshotsTakeLittleMemory(t *testing.T) {
	thousands := testsize.Of(t, "KALAM_SNAPSHOT_ROWS", 30)
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{ClientTimeout: time.Hour})
	alice := mint(t, "alice")
	thousand := "INSERT INTO chat.messages (body) VALUES ($1)" + strings.Repeat(", ($1)", 999)
	for range thousands { // of 300 kB each
		run(t, s.Server, alice, thousand, strings.Repeat("x", 300))
	}
	stalled := func() *sock {
		k := dial(t, s.Server, "?compress=false")
		k.authenticate(alice, "{}")
		k.want("auth_success")
		return k
	}
	k, reader := stalled(), stalled()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	const n = 100
	for i := range n {
		k.subscribe(fmt.Sprint(i), "SELECT * FROM chat.messages", `{"batch_size":1000}`)
	}
	reader.subscribe("all", "SELECT id FROM chat.messages", "{}")
	reader.want("subscription_ack") // its first page is read
	wait(t, func() bool { return s.hub.Len() == n+1 })
	// Somebody else is served meanwhile.
	other := open(t, s.Server, "alice")
	other.subscribe("a", "SELECT id FROM chat.messages WHERE id < 0", "{}")
	other.snapshot("a")
	run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES (-1, 'x')")
	other.wantChange("a", "insert")
	small := func(when string) {
		t.Helper()
		if now := heap(); now > before+12<<20 {
			t.Errorf("%s, %d snapshots that nobody reads take %d MB", when, n, (now-before)>>20)
		}
	}
	small("at the beginning")
	rows := 0
	for batch := 0; ; batch++ {
		f := reader.want("initial_data_batch")
		if rows += len(f.Rows); !f.Control.HasMore {
			break
		}
		if batch == thousands/2 {
			small("in the middle of the one that is read")
		}
	}
	if rows != thousands*1000 {
		t.Errorf("the snapshot that was read has %d rows, want %d", rows, thousands*1000)
	}
	reader.wantChange("all", "insert")
	k.c.CloseNow()
	wait(t, func() bool { return s.hub.Len() == 2 })
}

// TestSocketsHaveALimit opens more sockets than the server takes.
func TestSocketsHaveALimit(t *testing.T) {
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{MaxSockets: 5, MaxUnknown: 3, AuthTimeout: time.Minute})
	refused := func(why string) {
		t.Helper()
		_, resp, err := tryDial(t, s.Server, "")
		if err == nil || resp == nil {
			t.Fatalf("got %v %v, want a refusal: %s", resp, err, why)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), `{"error":"busy"`) || !strings.Contains(string(body), why) {
			t.Fatalf("got %d %s, want a refusal: %s", resp.StatusCode, body, why)
		}
	}
	var silent []*sock
	for range 3 {
		silent = append(silent, dial(t, s.Server, ""))
	}
	refused("have not signed in")
	for _, k := range silent[:2] {
		k.authenticate(mint(t, "alice"), "{}")
		k.want("auth_success")
	}
	wrong := dial(t, s.Server, "")
	wrong.authenticate("wrong", "{}")
	wrong.wantEnd("INVALID_CREDENTIALS")
	wrong.c.CloseNow()
	// Two of three are known, and one has gone.
	wait(t, func() bool { return s.edge.Sockets() == 3 })
	for _, user := range []string{"root", "admin"} {
		k, _, err := tryDial(t, s.Server, "", "Authorization", "Bearer "+mint(t, user))
		for deadline := time.Now().Add(patience); err != nil && time.Now().Before(deadline); {
			k, _, err = tryDial(t, s.Server, "", "Authorization", "Bearer "+mint(t, user))
		}
		if err != nil {
			t.Fatal(err)
		}
		k.want("auth_success")
	}
	refused("as many connections as it takes")
	silent[0].c.CloseNow()
	wait(t, func() bool { return s.edge.Sockets() == 4 })
	wait(t, func() bool {
		_, _, err := tryDial(t, s.Server, "")
		return err == nil
	})
}

// TestStrangersSendLittle has clients that have not signed in send what would
// take memory.
func TestStrangersSendLittle(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{AuthTimeout: time.Minute}).Server
	k := dial(t, s, "")
	k.send(strings.Repeat("x", 33<<10))
	k.wantEnd("MESSAGE_TOO_LARGE")
	k = dial(t, s, "") // many small ones
	for range 9 {
		k.subscribe("a", strings.Repeat("x", 4000), "")
	}
	for f := k.next(); f.Type != "auth_error"; f = k.next() {
		if f.Code != "AUTH_REQUIRED" {
			t.Fatalf("got %s", f.raw)
		}
	}
	k.wantClose(1008, "MESSAGE_TOO_LARGE")
	// A claim alone, byte for byte.
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReader(c)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("got %v %v", resp, err)
	}
	for _, b := range []byte{0x81, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4} {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := io.ReadAll(r); err != nil || !strings.Contains(string(all), "MESSAGE_TOO_LARGE") {
		t.Errorf("got %q, %v", all, err)
	}
	// Who has signed in may send more.
	k = dial(t, s, "", "Authorization", "Bearer "+mint(t, "alice"))
	k.want("auth_success")
	k.send(`{"type":"ping","pad":"` + strings.Repeat("x", 500_000) + `"}`)
	k.subscribe("a", "SELECT id FROM chat.messages", "{}")
	k.snapshot("a")
}

// TestFramesThatAreTooLargeEndTheSocket sends frames that claim more than the
// server reads.
func TestFramesThatAreTooLargeEndTheSocket(t *testing.T) {
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{})
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	c.Write([]byte{0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}) // 2^62 bytes
	all, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the socket stays: %v", err)
	}
	if !strings.Contains(string(all), "101 Switching") {
		t.Errorf("got %q", all)
	}
	open(t, s.Server, "alice")
}

// TestFramesThatComeWithTheUpgradeAreRead sends frames in one packet with the
// request, before the server has answered it.
func TestFramesThatComeWithTheUpgradeAreRead(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{})
	text := func(message string) string {
		return "\x81\xfe" + string([]byte{byte(len(message) >> 8), byte(len(message))}) + "\x00\x00\x00\x00" + message
	}
	for _, c := range []struct{ frames, want string }{
		{text(`{"type":"authenticate","token":` + quote(mint(t, "alice")) + `}`), `"auth_success"`},
		{text(`{"type":"authenticate","token":"nonsense"}`), `"auth_error"`},
		{text(`{"type":"nonsense"}`), `"PROTOCOL"`},
		{"\x81\xff\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", `"MESSAGE_TOO_LARGE"`},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"+c.frames)
		var got []byte
		for b := make([]byte, 4096); err == nil && !strings.Contains(string(got), c.want); {
			var n int
			n, err = conn.Read(b)
			got = append(got, b[:n]...)
		}
		if err != nil {
			t.Errorf("%q: got %q, %v", c.frames, got, err)
		}
	}
}

// TestExpiredRowsAreDeletes watches a STREAM table whose rows live a second.
func TestExpiredRowsAreDeletes(t *testing.T) {
	t.Parallel()
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, mint(t, "admin"), "CREATE STREAM TABLE chat.typing (id INT PRIMARY KEY, who TEXT) WITH (TTL_SECONDS = 1)")
	k := open(t, s, "alice")
	k.subscribe("a", "SELECT * FROM chat.typing WHERE who = 'x'", "{}")
	k.snapshot("a")
	run(t, s, alice, "INSERT INTO chat.typing (id, who) VALUES (1, 'x'), (2, 'y'), (3, 'x')")
	k.wantChange("a", "insert")
	k.wantChange("a", "insert")
	for _, id := range []string{"1", "3"} {
		f := k.wantChange("a", "delete")
		if got := column(f.OldValues, "id") + " " + column(f.OldValues, "_deleted"); got != id+" true" {
			t.Errorf("got %s", f.raw)
		}
	}
}

// TestRowsThatHadEndedAreNoDeletes subscribes when rows have lived their time
// and are not yet removed: they are not in the snapshot, so nobody is told when
// they go.
func TestRowsThatHadEndedAreNoDeletes(t *testing.T) {
	t.Parallel()
	clock := &clock{}
	s := startEdge(t, store.Options{Now: clock.now}, live.Options{}, server.Options{})
	alice := mintFor(t, "alice", time.Hour)
	run(t, s.Server, mint(t, "admin"), "CREATE STREAM TABLE chat.typing (id INT PRIMARY KEY) WITH (TTL_SECONDS = 60)")
	ks := []*sock{open(t, s.Server, "alice"), open(t, s.Server, "alice")}
	ks[0].subscribe("a", "SELECT * FROM chat.typing", "{}")
	ks[0].snapshot("a")
	run(t, s.Server, alice, "INSERT INTO chat.typing (id) VALUES (1)")
	clock.add(61 * time.Second)
	run(t, s.Server, alice, "INSERT INTO chat.typing (id) VALUES (2)")
	ks[1].subscribe("a", "SELECT * FROM chat.typing", "{}")
	if _, all, _ := ks[1].snapshot("a"); len(all) != 1 {
		t.Errorf("the snapshot has %v", all)
	}
	for more := true; more; {
		var err error
		if more, err = s.db.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run(t, s.Server, alice, "INSERT INTO chat.typing (id) VALUES (3)")
	for i, want := range [][]string{{"delete 1", "insert 1", "insert 2", "insert 3"}, {"insert 3"}} {
		var got []string
		for range want {
			got = append(got, ks[i].change())
		}
		if slices.Sort(got); !slices.Equal(got, want) { // the server itself may have removed row 1 before 2 came
			t.Errorf("socket %d: got %v, want %v", i, got, want)
		}
	}
}
