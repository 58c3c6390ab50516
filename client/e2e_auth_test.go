//go:build !js

package client_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

const sharedSecret = "0f5c9d2ab8e74d13965a2c7be1f80347"

// mint makes a token as an application that shares the server's secret does.
func mint(user string, life time.Duration) string {
	enc := base64.RawURLEncoding.EncodeToString
	now := time.Now().Unix()
	body := enc([]byte(`{"typ":"JWT","alg":"HS256"}`)) + "." + enc(fmt.Appendf(nil,
		`{"sub":%q,"iss":"kalamdb","iat":%d,"exp":%d,"role":"user","token_type":"access","email":null}`, user, now, now+int64(life.Seconds())))
	mac := hmac.New(sha256.New, []byte(sharedSecret))
	mac.Write([]byte(body))
	return body + "." + enc(mac.Sum(nil))
}

func sharingServer(t *testing.T) *servertest.Server {
	return servertest.Start(t, servertest.Options{Config: func(c *config.Config) { c.Auth.JWTSecret = sharedSecret }})
}

// B13: tokens that live for two seconds, under load, for two lives: no query
// fails, and the socket is the same from beginning to end.
func TestShortTokensUnderLoad(t *testing.T) {
	t.Parallel()
	s := sharingServer(t)
	ctx := within(t)
	var asked, sockets atomic.Int64
	pool := &http.Transport{MaxIdleConnsPerHost: 8}
	defer pool.CloseIdleConnections()
	counting := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/v1/ws" {
			sockets.Add(1)
		}
		return pool.RoundTrip(r)
	})}
	provider := auth.ProviderFunc(func(context.Context) (auth.Auth, error) {
		asked.Add(1)
		return auth.JWT(mint("alice", 2*time.Second)), nil
	})
	c, err := client.New(s.URL, provider, client.Options{Native: client.Native{HTTPClient: counting}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var events, resets atomic.Int64
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	ready := make(chan struct{})
	wg.Go(func() {
		for e, err := range c.Subscribe(watching, "SELECT id FROM chat.messages WHERE room = 'load'", client.SubscribeOptions{}) {
			if err != nil {
				if watching.Err() == nil {
					t.Errorf("subscription: %v", err)
				}
				return
			}
			switch {
			case e.Type == client.EventReset:
				resets.Add(1)
			case e.Type == client.EventInsert:
				events.Add(1)
			case e.Ready:
				close(ready)
			}
		}
	})
	<-ready
	var writes atomic.Int64
	until := time.Now().Add(4 * time.Second)
	for w := range 4 {
		wg.Go(func() {
			for time.Now().Before(until) {
				id := writes.Add(1)*4 + int64(w)
				if _, err := c.Exec(ctx, "INSERT INTO chat.messages (id, room, body) VALUES ($1, 'load', 'x')", id<<3|int64(w)); err != nil {
					t.Errorf("insert: %v", err)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for events.Load() < writes.Load() || time.Now().Before(until) {
		if ctx.Err() != nil {
			t.Fatalf("%d of %d changes", events.Load(), writes.Load())
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	wg.Wait()
	if resets.Load() != 0 || events.Load() != writes.Load() {
		t.Errorf("%d changes of %d, %d resets", events.Load(), writes.Load(), resets.Load())
	}
	if sockets.Load() != 1 {
		t.Errorf("%d sockets", sockets.Load())
	}
	if n := asked.Load(); n < 2 || n > 100 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// B01, A13: a password that an admin set ends the sessions of the user, and the
// live query says so instead of trying for ever.
func TestNewPasswordEndsTheLiveQuery(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c, admin := signIn(t, s.URL, "alice"), signIn(t, s.URL, "admin")
	var last error
	for _, err := range c.Live(ctx, "SELECT * FROM chat.messages", client.LiveOptions{}) {
		if last = err; err != nil {
			break
		}
		mustExec(t, ctx, admin, "ALTER USER alice SET PASSWORD 'Another456!'")
	}
	if !errors.Is(last, client.ErrUnauthenticated) {
		t.Errorf("got %v", last)
	}
	if _, err := c.Query(ctx, "SELECT 1"); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("got %v", err)
	}
}

// A session that was ended while the password is still good is made anew, and
// the live query goes on.
func TestEndedSessionIsMadeAnew(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c, other, admin := signIn(t, s.URL, "alice"), signIn(t, s.URL, "alice"), signIn(t, s.URL, "admin")
	sets := follow(ctx, t, c, "SELECT * FROM chat.messages WHERE room = 'r'", client.LiveOptions{})
	until(ctx, t, sets, "")
	mustExec(t, ctx, admin, "ALTER USER alice SET ROLE service")
	mustExec(t, ctx, other, "INSERT INTO chat.messages (id, room, body) VALUES (1, 'r', 'one')")
	until(ctx, t, sets, "1=one")
}

func TestProviderThatBecomesAnotherUser(t *testing.T) {
	s := sharingServer(t)
	ctx := within(t)
	p := newCutter(t, s.URL)
	var user atomic.Value
	user.Store("alice")
	c, err := client.New(p.URL, auth.ProviderFunc(func(context.Context) (auth.Auth, error) {
		return auth.JWT(mint(user.Load().(string), time.Hour)), nil
	}), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var last error
	seen := 0
	for rows, err := range c.Live(ctx, "SELECT * FROM chat.messages", client.LiveOptions{}) {
		if last = err; err != nil {
			break
		}
		if seen++; len(rows) != 1 || rows[0].Text("body") != "Only alice sees this row." {
			t.Errorf("got %s", show(rows))
		}
		user.Store("bob")
		p.cut()
	}
	if !errors.Is(last, client.ErrIdentityChanged) || seen != 1 {
		t.Errorf("got %v after %d sets", last, seen)
	}
	for rows, err := range c.Live(ctx, "SELECT * FROM chat.messages", client.LiveOptions{}) {
		if err != nil || len(rows) != 1 || rows[0].Text("body") != "Only bob sees this row." {
			t.Errorf("got %s, %v", show(rows), err)
		}
		break
	}
}

// The server ends a session whose replaced refresh token is used again, so the
// client uses the one that came of it.
func TestReplacedRefreshTokenEndsNoSession(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c, err := client.New(s.URL, auth.Static(auth.Basic("alice", servertest.Password)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kept, err := c.Login(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := c.RefreshToken(ctx, kept.RefreshToken); err != nil {
			t.Fatal(err)
		}
	}
	admin, err := client.New(s.URL, auth.Static(auth.Basic("admin", servertest.Password)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	row, err := admin.QueryRow(ctx, `SELECT count(*) FILTER (WHERE state = 'open') AS n,
		(SELECT count(*) FROM system.audit_log WHERE action = 'REFRESH_REUSED') AS alarms FROM system.sessions WHERE user_id = 'alice'`)
	if err != nil {
		t.Fatal(err)
	}
	var open, alarms int
	if err := row.Scan(&open, &alarms); err != nil || open != 1 || alarms != 0 {
		t.Errorf("%d open sessions of alice, %d alarms: %v", open, alarms, err)
	}
}

func TestExecAsTakesTheUserAsAnArgument(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	admin, err := client.New(s.URL, auth.Static(auth.Basic("admin", servertest.Password)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, sql := range []string{
		"SELECT CURRENT_USER() AS me, $1::INT AS n",
		"SELECT CURRENT_USER() AS me, $1::INT AS n;",
		"SELECT CURRENT_USER() AS me, $1::INT AS n -- who am I",
		"SELECT CURRENT_USER() AS me, $1::INT AS n; -- who am I",
		"SELECT CURRENT_USER() AS me, $1::INT AS n /* who am I */",
	} {
		r, err := admin.ExecAs(ctx, "alice", sql, 7)
		if err != nil || r.AsUser != "alice" || len(r.Rows()) != 1 {
			t.Errorf("%s: %v, %v", sql, r, err)
		}
	}
	if _, err := admin.ExecAs(ctx, "alice' (SELECT 1); DROP USER bob; --", "SELECT 1"); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("a name that is SQL: %v", err)
	}
}
