package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/store"
)

func TestSystemLiveShowsEverySubscription(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := mint(t, "admin")
	k, other := open(t, s, "alice"), open(t, s, "bob")
	k.subscribe("a", "SELECT id FROM chat.messages WHERE id > 0", `{"batch_size":5}`)
	k.snapshot("a")
	k.subscribe("b", "SELECT body FROM chat.messages", "")
	k.want("subscription_ack")
	other.subscribe("a", "SELECT body FROM chat.messages", "")
	other.want("subscription_ack")
	const all = "SELECT user_id, subscription_id, namespace_id, table_name, query, options, status, changes FROM system.live ORDER BY user_id, subscription_id"
	shows := func(want string) {
		t.Helper()
		var got string
		wait(t, func() bool { // a subscription is active soon after its acknowledgement
			got = rows(t, query(t, s, admin, all))
			return !strings.Contains(got, "loading")
		})
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	run(t, s, mint(t, "alice"), "INSERT INTO chat.messages (id, body) VALUES (7, 'x')")
	for range 2 { // in either order
		k.want("change")
	}
	const first = `["alice","a","chat","messages","SELECT id FROM chat.messages WHERE id > 0","{\"batch_size\":5}","active","1"]`
	const second = `["alice","b","chat","messages","SELECT body FROM chat.messages",null,"active","1"]`
	const third = `["bob","a","chat","messages","SELECT body FROM chat.messages",null,"active","0"]`
	shows("[" + first + "," + second + "," + third + "]")
	if got := rows(t, query(t, s, admin, "SELECT count(*) FROM system.live WHERE lag_bytes = 0 AND lag_ms = 0 AND position > 0 AND last_update >= created_at - interval '1 second'")); got != `[["3"]]` {
		t.Errorf("got %s", got)
	}
	k.unsubscribe("b")
	other.c.CloseNow()
	wait(t, func() bool { return rows(t, query(t, s, admin, all)) == "["+first+"]" })
	wantError(t, query(t, s, mint(t, "alice"), "SELECT * FROM system.live"), 403, "PERMISSION_DENIED", "")
}

func TestKillLiveQuery(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	k := open(t, s, "alice")
	for _, id := range []string{"a", "b"} {
		k.subscribe(id, "SELECT id FROM chat.messages", "")
		k.want("subscription_ack")
	}
	id := strings.Trim(rows(t, query(t, s, admin, "SELECT live_id FROM system.live WHERE subscription_id = 'a'")), `[]"`)
	wantError(t, query(t, s, alice, "KILL LIVE QUERY '"+id+"'"), 403, "PERMISSION_DENIED", "")
	run(t, s, admin, "KILL LIVE QUERY '"+id+"'")
	k.wantError("a", "LIVE_QUERY_KILLED")
	for _, gone := range []string{id, "0", "a", ""} {
		wantError(t, query(t, s, admin, "KILL LIVE QUERY '"+gone+"'"), 400, "NOT_FOUND", "system.live")
	}
	run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (1, 'x')")
	k.wantChange("b", "insert") // the socket and its neighbours go on
}

func TestLagIsShownAndABusySubscriptionDoesNotEndItsNeighbours(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{MaxQueue: 1 << 20, ClientTimeout: time.Minute})
	if err := s.db.AddSystem(t.Context(), s.hub.System()); err != nil {
		t.Fatal(err)
	}
	alice := mint(t, "alice")
	k := dial(t, s.Server, "?compress=false")
	k.authenticate(alice, "{}")
	k.want("auth_success")
	k.subscribe("busy", "SELECT id, body FROM chat.messages", "")
	k.want("subscription_ack")
	k.subscribe("quiet", "SELECT id FROM chat.messages", "")
	k.want("subscription_ack")
	// Nobody reads, and each change is large for one of them only.
	big := strings.Repeat("x", 100_000)
	const n = 40
	for i := 1; i <= n; i++ {
		run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", i, big)
	}
	lag := rows(t, query(t, s.Server, mint(t, "admin"), "SELECT subscription_id, lag_bytes > 0 AND lag_bytes < 8000, lag_ms >= 0 FROM system.live"))
	if lag != `[["quiet",true,true]]` {
		t.Errorf("got %s", lag)
	}
	next := 1
	ended := false
	for next <= n {
		f := k.next()
		switch {
		case f.Type == "error" && f.Code == "SLOW_CONSUMER" && f.SubscriptionID == "busy":
			ended = true
		case f.Type != "change":
			t.Fatalf("got %.300s", f.raw)
		case f.SubscriptionID == "quiet":
			if got := column(f.Rows, "id"); got != fmt.Sprint(next) {
				t.Fatalf("got row %s, want %d", got, next)
			}
			next++
		}
	}
	if !ended {
		t.Error("the busy one was not ended")
	}
}
