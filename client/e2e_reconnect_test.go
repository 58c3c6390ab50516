//go:build !js

package client_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/testsize"
)

// TestReconnectingAfterARestartIsNoLogin: clients with user and password that
// come back after a restart of the server go on with the sessions they have. No
// password is checked. KALAM_RECONNECT_CLIENTS sets how many there are.
func TestReconnectingAfterARestartIsNoLogin(t *testing.T) {
	n := testsize.Of(t, "KALAM_RECONNECT_CLIENTS", 12)
	s := servertest.Start(t, servertest.Options{})
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	admin := signIn(t, s.URL, "admin")
	logins := func() int64 {
		row, err := admin.QueryRow(ctx, "SELECT count(*) AS n FROM system.audit_log WHERE action = 'LOGIN'")
		if err != nil {
			t.Fatal(err)
		}
		return row.Int("n")
	}
	var watching, seen sync.WaitGroup
	watching.Add(n)
	seen.Add(n)
	slots := make(chan struct{}, 8) // who sign in at once
	for range n {
		c := signIn(t, s.URL, "alice")
		go func() {
			slots <- struct{}{}
			ready := false
			for rows, err := range c.Live(ctx, "SELECT id FROM chat.messages WHERE room = 'r'", client.LiveOptions{}) {
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				if !ready {
					ready = true
					<-slots
					watching.Done()
				}
				if len(rows) == 1 {
					seen.Done()
					return
				}
			}
		}()
	}
	await(ctx, t, &watching)
	before := logins()
	if before < int64(n) {
		t.Fatalf("%d logins of %d clients", before, n)
	}
	s.Close()
	servertest.Start(t, servertest.Options{Dir: s.Dir, Port: s.Port})
	began := time.Now()
	mustExec(t, ctx, signInAgain(t, admin), "EXECUTE AS USER 'alice' (INSERT INTO chat.messages (id, room, body) VALUES (1, 'r', 'one'))")
	await(ctx, t, &seen)
	if got := logins(); got != before {
		t.Errorf("%d logins for %d clients that came back", got-before, n)
	}
	t.Logf("%d clients were back after %v", n, time.Since(began).Round(time.Millisecond))
}

// signInAgain waits until a client reaches its server again.
func signInAgain(t testing.TB, c *client.Client) *client.Client {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		_, err := c.Query(t.Context(), "SELECT 1")
		if err == nil {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func await(ctx context.Context, t testing.TB, wg *sync.WaitGroup) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("not all clients have got there")
	}
}
