package server_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
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

func TestNoRowLeavesAfterTheSessionHasEnded(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{ClientTimeout: time.Minute}).Server
	access, _ := session(t, s, "alice")
	alice := mint(t, "alice")
	k := dial(t, s, "?compress=false")
	k.authenticate(access, "{}")
	k.want("auth_success")
	k.subscribe("a", "SELECT id, body FROM chat.messages", "")
	k.want("subscription_ack")
	// Rows wait in the queue of a socket that nobody reads.
	big := strings.Repeat("x", 60_000)
	for i := range 40 {
		run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", 100+i, big)
	}
	do(t, "POST", s.URL+"/v1/api/auth/logout", nil, "Authorization", "Bearer "+access)
	run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (1, 'after')")
	seen := 0
	for {
		f := k.next()
		if f.Type == "auth_error" {
			if f.Code != "SESSION_ENDED" {
				t.Errorf("got %s", f.raw)
			}
			break
		}
		if seen++; column(f.Rows, "id") == "1" {
			t.Error("a row that came after the logout was sent")
		}
	}
	// The kernel's buffers hold some; the queue's were not sent.
	if seen == 40 {
		t.Error("all that waited was sent after the logout")
	}
	k.wantClose(1008, "SESSION_ENDED")
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
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{MaxQueue: 1 << 20})
	alice := mint(t, "alice")
	k := open(t, s.Server, "alice")
	k.subscribe("a", "SELECT id, body FROM chat.messages", "")
	k.want("subscription_ack")
	noise := make([]byte, 50_000) // which gzip does not make small
	rand.Read(noise)
	for i := range 20 {
		run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", i, hex.EncodeToString(noise))
	}
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
