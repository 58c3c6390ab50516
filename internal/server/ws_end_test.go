package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/store"
)

func TestSlowReaderIsToldAndResumesWithoutLoss(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{MaxQueue: 256 << 10, ClientTimeout: time.Minute}).Server
	alice := mint(t, "alice")
	k := dial(t, s, "?compress=false")
	k.authenticate(alice, "{}")
	k.want("auth_success")
	k.subscribe("a", "SELECT id, body FROM chat.messages", "")
	k.want("subscription_ack")
	k.subscribe("small", "SELECT id FROM chat.messages WHERE id = -1", "")
	k.want("subscription_ack")
	// Nobody reads: what the kernel and the queue hold fills up.
	big := strings.Repeat("x", 60_000)
	const n = 40
	for i := 1; i <= n; i++ {
		run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", i, big)
	}
	next := 1
	position := ""
	for position == "" {
		f := k.next()
		switch {
		case f.Type == "change":
			if got := column(f.Rows, "id"); got != fmt.Sprint(next) {
				t.Fatalf("got row %s, want %d", got, next)
			}
			next++
		case f.Type == "error" && f.Code == "SLOW_CONSUMER" && f.SubscriptionID == "a":
			position = string(f.LastSeqID)
			if !strings.HasPrefix(position, `"`) {
				t.Errorf("last_seq_id is no string: %s", f.raw)
			}
		default:
			t.Fatalf("got %.300s", f.raw)
		}
	}
	if next == 1 || next > n {
		t.Fatalf("the subscription ended before row %d", next)
	}
	k.subscribe("a", "SELECT id, body FROM chat.messages", `{"from":`+position+`}`)
	if ack := k.want("subscription_ack"); ack.Reset {
		t.Errorf("got %s", ack.raw)
	}
	k.want("initial_data_batch")
	for ; next <= n; next++ {
		if got := k.change(); got != fmt.Sprint("insert ", next) {
			t.Fatalf("got %s, want row %d", got, next)
		}
	}
	// Only that subscription had ended.
	run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (-1, 'x')")
	got := k.change() + k.change()
	if got != "insert -1insert -1" {
		t.Errorf("got %s", got)
	}
}

func TestSnapshotWaitsForASlowReader(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{MaxQueue: 4 << 20}).Server
	alice := mint(t, "alice")
	big := strings.Repeat("x", 50_000)
	const n = 50
	for i := 1; i <= n; i++ {
		run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", i, big)
	}
	for _, options := range []string{`{"batch_size":5}`, `{}`, `{"last_rows":50}`} {
		k := dial(t, s, "?compress=false")
		k.authenticate(alice, "{}")
		k.want("auth_success")
		run(t, s, alice, "DELETE FROM chat.messages WHERE id = 999")
		k.subscribe("a", "SELECT id, body FROM chat.messages", options)
		// These come while most of the snapshot still waits, and after it.
		for i := 1; i <= 3; i++ {
			run(t, s, alice, "UPDATE chat.messages SET body = $1 WHERE id = $2", fmt.Sprint(options, big, i), i)
		}
		_, all, _ := k.snapshot("a")
		seen := map[string]int{}
		for _, r := range all {
			seen[fmt.Sprint(r["id"])]++
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("%s: row %s came %d times", options, id, times)
			}
		}
		// Each of the three is new in the snapshot, or comes as a change.
		run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (999, 'end')")
		for {
			f := k.want("change")
			rows := append(f.Rows, f.OldValues...)
			if id := fmt.Sprint(rows[0]["id"]); id == "999" && f.ChangeType == "insert" {
				break
			} else if f.ChangeType == "insert" || f.ChangeType == "update" {
				seen[id] = 1
			}
		}
		for i := 1; i <= n; i++ {
			if seen[fmt.Sprint(i)] != 1 {
				t.Errorf("%s: row %d is missing", options, i)
			}
		}
		k.c.CloseNow()
	}
}

// TestSnapshotThatChangesTooMuchIsASlowConsumer changes more rows of a snapshot
// than the server remembers, before its reader has come to them.
func TestSnapshotThatChangesTooMuchIsASlowConsumer(t *testing.T) {
	t.Parallel()
	s := startEdgeWith(t, store.Options{}, live.Options{MaxReplaced: 10}, server.Options{ClientTimeout: time.Minute}, identity.Options{}, engine.Options{}).Server
	alice := mint(t, "alice")
	big := strings.Repeat("x", 60_000)
	const n = 40
	for i := 1; i <= n; i++ {
		run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", i, big)
	}
	const sql = "SELECT id, body FROM chat.messages"
	k := dial(t, s, "?compress=false")
	k.authenticate(alice, "{}")
	k.want("auth_success")
	k.subscribe("a", sql, `{"batch_size":1}`)
	k.want("subscription_ack")
	run(t, s, alice, "UPDATE chat.messages SET body = 'small'")
	for next := 1; ; next++ {
		f := k.next()
		if f.Type == "error" && f.Code == "SLOW_CONSUMER" && string(f.LastSeqID) == `"0"` {
			break
		}
		if f.Type != "initial_data_batch" || !f.Control.HasMore || column(f.Rows, "id") != fmt.Sprint(next) {
			t.Fatalf("got %.300s, want row %d or the end", f.raw, next)
		}
	}
	k.subscribe("a", sql, `{"from":"0"}`)
	if _, all, _ := k.snapshot("a"); len(all) != n {
		t.Errorf("the new snapshot has %d rows", len(all))
	}
}

func TestLogTrimmedUnderASlowReaderIsAReset(t *testing.T) {
	t.Parallel()
	clock := &clock{}
	s := startEdge(t, store.Options{LogMaxAge: time.Hour, Now: clock.now}, live.Options{}, server.Options{})
	alice := mintFor(t, "alice", 24*time.Hour)
	big := strings.Repeat("x", 60_000)
	for i := 1; i <= 60; i++ {
		run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", i, big)
	}
	k := dial(t, s.Server, "?compress=false")
	k.authenticate(alice, "{}")
	k.want("auth_success")
	k.subscribe("a", "SELECT id, body FROM chat.messages", `{"batch_size":1}`)
	k.want("subscription_ack")
	// Meanwhile rows change, and that they did is forgotten again.
	run(t, s.Server, alice, "DELETE FROM chat.messages WHERE id > 1; UPDATE chat.messages SET body = 'small' WHERE id = 1")
	clock.add(2 * time.Hour)
	run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES (1000, 'new')")
	if _, err := s.db.Trim(context.Background()); err != nil {
		t.Fatal(err)
	}
	for {
		f := k.next()
		if f.Type == "initial_data_batch" {
			continue
		}
		if f.Type != "subscription_ack" || !f.Reset {
			t.Fatalf("got %.300s", f.raw)
		}
		break
	}
	var ids []string
	for {
		f := k.want("initial_data_batch")
		ids = append(ids, column(f.Rows, "id"))
		if !f.Control.HasMore {
			break
		}
	}
	if got := strings.Join(ids, " "); got != "1 1000" {
		t.Errorf("got %s", got)
	}
	run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES (1001, 'new')")
	if got := k.change(); got != "insert 1001" {
		t.Errorf("got %s", got)
	}
}

func TestTheEndOfASessionClosesItsSockets(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := mint(t, "admin")
	for name, end := range map[string]func(user, access, refresh string){
		"logout": func(_, access, _ string) {
			do(t, "POST", s.URL+"/v1/api/auth/logout", nil, "Authorization", "Bearer "+access)
		},
		"logout by refresh token": func(_, _, refresh string) {
			do(t, "POST", s.URL+"/v1/api/auth/logout", nil, "Authorization", "Bearer "+refresh)
		},
		"role change":           func(user, _, _ string) { run(t, s, admin, "ALTER USER "+user+" SET ROLE service") },
		"password by the admin": func(user, _, _ string) { run(t, s, admin, "ALTER USER "+user+" SET PASSWORD 'Secret456!'") },
		"drop":                  func(user, _, _ string) { run(t, s, admin, "DROP USER "+user) },
	} {
		t.Run(name, func(t *testing.T) {
			user := strings.ReplaceAll("eve "+name, " ", "_")
			run(t, s, admin, "CREATE USER "+user+" WITH PASSWORD 'Secret123!' ROLE user")
			access, refresh := session(t, s, user)
			ks := []*sock{dial(t, s, "?compress=false"), dial(t, s, "?compress=false")}
			for _, k := range ks {
				k.authenticate(access, "{}")
				k.want("auth_success")
				k.subscribe("a", "SELECT id, body FROM chat.messages", "")
				k.want("subscription_ack")
			}
			other := open(t, s, "alice")
			end(user, access, refresh)
			for _, k := range ks {
				k.wantEnd("SESSION_ENDED")
			}
			other.subscribe("a", "SELECT id FROM chat.messages", "")
			other.want("subscription_ack")
		})
	}
}

// roomy lets more than 1 MiB wait for one live query.
var roomy = server.Options{MaxQueue: 16 << 20, ClientTimeout: time.Minute}

// bigRows is how many rows of 60 kB a test lets wait for a reader that is
// stopped.
const bigRows = 40

// queueUp watches messages on a socket that nobody reads from now on, while rows
// for it are written.
func (k *sock) queueUp(write func(id int, body string)) {
	k.t.Helper()
	k.want("auth_success")
	k.subscribe("a", "SELECT id, body FROM chat.messages", "")
	k.want("subscription_ack")
	for i := range bigRows {
		write(100+i, strings.Repeat("x", 60_000))
	}
}

// wantLastRows reads on: some rows that were in the kernel's buffers, then the
// error and the close. What waited in the queue is not sent, nor is what was
// written later, which has id 1.
func (k *sock) wantLastRows(code string) {
	k.t.Helper()
	for rows := 0; ; rows++ {
		f := k.next()
		if f.Type == "auth_error" && f.Code == code {
			if rows == bigRows {
				k.t.Error("all that waited was sent after the end")
			}
			break
		}
		if f.Type != "change" || column(f.Rows, "id") == "1" {
			k.t.Fatalf("got %.300s, want rows from before the end, or %s", f.raw, code)
		}
	}
	k.wantClose(1008, code)
}

func insertAs(t testing.TB, s *servertest.Server, token string) func(id int, body string) {
	return func(id int, body string) {
		t.Helper()
		run(t, s, token, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", id, body)
	}
}

func TestNoRowLeavesAfterTheSessionHasEnded(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, roomy).Server
	access, _ := session(t, s, "alice")
	write := insertAs(t, s, mint(t, "alice"))
	k := dial(t, s, "?compress=false")
	k.authenticate(access, "{}")
	k.queueUp(write)
	do(t, "POST", s.URL+"/v1/api/auth/logout", nil, "Authorization", "Bearer "+access)
	write(1, "after")
	k.wantLastRows("SESSION_ENDED")
}

// TestNoRowLeavesAfterTheTokenHasEnded is the same for a token that nobody has
// renewed in time.
func TestNoRowLeavesAfterTheTokenHasEnded(t *testing.T) {
	t.Parallel()
	o := roomy
	o.TokenGrace = 300 * time.Millisecond
	s := startEdge(t, store.Options{}, live.Options{}, o)
	write := insertAs(t, s.Server, mint(t, "alice"))
	k := dial(t, s.Server, "?compress=false")
	k.authenticate(mintFor(t, "alice", 6*time.Second), "{}")
	k.queueUp(write)
	wait(t, func() bool { return s.hub.Len() == 0 })
	write(1, "after")
	k.wantLastRows("TOKEN_EXPIRED")
}

func TestShutdownSaysGoingAway(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	k, fresh := open(t, s, "alice"), dial(t, s, "")
	k.subscribe("a", "SELECT id FROM chat.messages", "")
	k.want("subscription_ack")
	run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (7, 'last')")
	if got := k.change(); got != "insert 7" {
		t.Errorf("got %s", got)
	}
	closed := make(chan struct{})
	go func() {
		s.Close()
		close(closed)
	}()
	k.wantClose(1001, "Server shutting down")
	fresh.wantClose(1001, "Server shutting down")
	select {
	case <-closed:
	case <-time.After(patience):
		t.Error("the server does not end")
	}
	s.Close() // again: nothing happens
}

func TestShutdownCutsSocketsThatDoNotRead(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{})
	k := open(t, s.Server, "alice")
	k.subscribe("a", "SELECT id, body FROM chat.messages", "")
	k.want("subscription_ack")
	stuck := make(chan struct{})
	var once sync.Once
	s.listener.before(func(closed <-chan struct{}) {
		once.Do(func() { close(stuck) })
		<-closed
	})
	s.as(t, "alice", "INSERT INTO chat.messages (id, body) VALUES (1, 'x')")
	<-stuck
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s.edge.Close(ctx) // returns, and goleak sees what stays
	for {
		f, err := k.read()
		if err != nil {
			if websocket.CloseStatus(err) >= 0 {
				t.Errorf("the socket was closed in order after %s: %v", f.Type, err)
			}
			break
		}
	}
}

func TestSocketsThatComeAndGoWhileTheServerEnds(t *testing.T) {
	s := start(t)
	var all sync.WaitGroup
	stop := make(chan struct{})
	token := mint(t, "alice")
	for range 8 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				header := []string{"Authorization", "Bearer " + token}
				k, _, err := tryDial(t, s, "", header...)
				if err != nil {
					continue
				}
				k.c.Write(context.Background(), 1, []byte(`{"type":"subscribe","subscription":{"id":"a","sql":"SELECT * FROM chat.messages","options":{}}}`))
				k.read()
				k.c.CloseNow()
			}
		})
	}
	for range 20 {
		open(t, s, "bob").c.CloseNow()
	}
	s.Close()
	close(stop)
	all.Wait()
}

func TestBrokenHandshakes(t *testing.T) {
	s := start(t)
	for name, header := range map[string][]string{
		"no key":       {"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13"},
		"old version":  {"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "8", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
		"no Upgrade":   {"Connection", "Upgrade"},
		"no handshake": nil,
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/v1/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode/100 != 4 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
}

func TestPanicInAWriterEndsItsSocketOnly(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{})
	k := open(t, s.Server, "alice")
	k.subscribe("a", "SELECT id, body FROM chat.messages", "")
	k.want("subscription_ack")
	s.listener.before(func(<-chan struct{}) {
		s.listener.beforeWrite.Store(nil)
		panic("a bug in the writer")
	})
	s.as(t, "alice", "INSERT INTO chat.messages (id, body) VALUES (1, 'x')")
	if f, err := k.read(); err == nil {
		t.Errorf("got %s", f.raw)
	}
	other := open(t, s.Server, "alice")
	other.subscribe("a", "SELECT id, body FROM chat.messages", "{}")
	other.snapshot("a")
	wait(t, func() bool { return s.hub.Len() == 1 })
}
