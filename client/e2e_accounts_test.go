//go:build !js

package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/wire"
)

// withoutProvider is a client whose people sign in with its accounts only.
func withoutProvider(t *testing.T, url string, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(url, auth.Static(auth.Auth{}), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func openAccounts(c *config.Config) {
	c.Auth.Accounts.SignUp, c.Auth.Accounts.Anonymous = "open", true
}

func whoAmI(ctx context.Context, t *testing.T, c *client.Client) string {
	t.Helper()
	row, err := c.QueryRow(ctx, "SELECT CURRENT_USER() AS me")
	if err != nil {
		t.Fatal(err)
	}
	return row.Text("me")
}

// hasCode fails unless err is an answer of the server with a code.
func hasCode(t *testing.T, what string, err error, code wire.Code) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

func TestAccountFromSignUpToDeletion(t *testing.T) {
	t.Parallel()
	mail := servertest.StartMail(t)
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) { mail.Config(c); openAccounts(c) }})
	ctx := within(t)
	c := withoutProvider(t, s.URL, client.Options{})
	accounts := c.Accounts()
	if _, err := c.Me(ctx); !errors.Is(err, client.ErrLoginRequired) {
		t.Errorf("before: %v", err)
	}
	const address = "carol@example.com"
	if l, err := accounts.SignUp(ctx, client.SignUp{Email: address, Password: "correct-horse-9", Name: "Carol"}); l != nil || err != nil {
		t.Fatalf("sign-up: %v, %v", l, err)
	}
	_, err := accounts.RedeemCode(ctx, client.Code{Email: address, Code: "12345x", Purpose: "verify"})
	hasCode(t, "wrong code", err, wire.CodeInvalidCode)
	l, err := accounts.RedeemCode(ctx, client.Code{Email: address, Code: mail.Wait(address, 1).Code(), Purpose: "verify"})
	if err != nil || l.AccessToken == "" {
		t.Fatalf("redeem: %v, %v", l, err)
	}
	id := whoAmI(ctx, t, c)
	me, err := c.Me(ctx)
	if err != nil || me.ID != id || me.Email != address || !me.Verified || me.Name != "Carol" || me.Role != "user" || me.CreatedAt == "" {
		t.Errorf("me: %+v, %v", me, err)
	}
	name := "Carol C."
	if me, err = accounts.UpdateProfile(ctx, client.Profile{Name: &name}); err != nil || me.Name != name {
		t.Errorf("new name: %+v, %v", me, err)
	}
	moved := "carol@other.example"
	if me, err = accounts.UpdateProfile(ctx, client.Profile{Email: &moved}); err != nil || me != nil {
		t.Errorf("new address: %+v, %v", me, err)
	}
	l, err = accounts.RedeemCode(ctx, client.Code{Email: moved, Code: mail.Wait(moved, 1).Code(), Purpose: "verify"})
	if err != nil || l.AccessToken != "" || l.User.Email != moved || l.User.ID != id {
		t.Errorf("redeem the new address: %v, %v", l, err)
	}
	// A reset on another device ends this session.
	other := withoutProvider(t, s.URL, client.Options{})
	if err := other.Accounts().SendCode(ctx, moved, "reset", ""); err != nil {
		t.Fatal(err)
	}
	if _, err = other.Accounts().RedeemCode(ctx, client.Code{Email: moved, Code: mail.Wait(moved, 2).Code(), Purpose: "reset", Password: "another-horse-9"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Query(ctx, "SELECT 1"); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("after a reset elsewhere: %v", err)
	}
	hasCode(t, "wrong password", other.ChangePassword(ctx, "wrong-horse-9", "third-horse-9"), wire.CodeWrongPassword)
	if err := other.ChangePassword(ctx, "another-horse-9", "third-horse-9"); err != nil {
		t.Error(err)
	}
	if err := other.Accounts().DeleteAccount(ctx, "third-horse-9"); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Me(ctx); !errors.Is(err, client.ErrLoginRequired) {
		t.Errorf("after the deletion: %v", err)
	}
}

// An anonymous account that gets an address keeps its id, its session and its
// live queries.
func TestUpgradeKeepsSessionAndLiveQueries(t *testing.T) {
	t.Parallel()
	mail := servertest.StartMail(t)
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) { mail.Config(c); openAccounts(c) }})
	ctx := within(t)
	c := withoutProvider(t, s.URL, client.Options{})
	if _, err := c.Accounts().SignInAnonymously(ctx); err != nil {
		t.Fatal(err)
	}
	id := whoAmI(ctx, t, c)
	sets := follow(ctx, t, c, "SELECT * FROM chat.messages", client.LiveOptions{})
	until(ctx, t, sets, "")
	const address = "dora@example.com"
	if u, err := c.Accounts().Upgrade(ctx, client.SignUp{Email: address, Password: "correct-horse-9"}); u != nil || err != nil {
		t.Fatalf("upgrade: %v, %v", u, err)
	}
	l, err := c.Accounts().RedeemCode(ctx, client.Code{Email: address, Code: mail.Wait(address, 1).Code(), Purpose: "verify"})
	if err != nil || l.User.ID != id || l.AccessToken != "" {
		t.Fatalf("redeem: %v, %v", l, err)
	}
	mustExec(t, ctx, c, "INSERT INTO chat.messages (id, room, body) VALUES (1, 'r', 'one')")
	until(ctx, t, sets, "1=one")
	list, err := c.Sessions(ctx)
	if err != nil || len(list) != 1 || !list[0].Current || list[0].AuthMethod != "anonymous" {
		t.Errorf("sessions: %+v, %v", list, err)
	}
}

// A session that the client began by itself renews itself.
func TestSessionWithoutProviderRenewsItself(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) {
		openAccounts(c)
		c.Auth.Accounts.Email = "none"
	}})
	ctx := within(t)
	kept := make(chan string, 64)
	c := withoutProvider(t, s.URL, client.Options{OnAuth: func(e client.AuthEvent) { kept <- e.RefreshToken() }})
	l, err := c.Accounts().SignUp(ctx, client.SignUp{User: "emil", Password: "correct-horse-9"})
	if err != nil || l == nil || l.RefreshToken == "" {
		t.Fatalf("sign-up: %v, %v", l, err)
	}
	first := <-kept
	if first != l.RefreshToken {
		t.Error("the event has another refresh token than the answer")
	}
	for range 3 {
		before, err := c.AccessToken(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		if now, err := c.AccessToken(ctx, before); err != nil || now == before {
			t.Fatalf("a refused token is not replaced: %v", err)
		}
		if next := <-kept; next == first || next == "" {
			t.Error("the event has no new refresh token")
		} else {
			first = next
		}
		if who := whoAmI(ctx, t, c); who != l.User.ID {
			t.Fatalf("signed in as %s", who)
		}
	}
	if list, err := c.Sessions(ctx); err != nil || len(list) != 1 {
		t.Errorf("sessions: %+v, %v", list, err)
	}
}

func TestLogoutEndsTheSessionAtTheServer(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	events := make(chan client.AuthEvent, 64)
	c, err := client.New(s.URL, auth.Static(auth.Basic("alice", servertest.Password)), client.Options{OnAuth: func(e client.AuthEvent) { events <- e }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	other := signIn(t, s.URL, "alice")
	whoAmI(ctx, t, other)
	var ended error
	for _, err := range c.Live(ctx, "SELECT * FROM chat.messages WHERE room = 'r'", client.LiveOptions{}) {
		if ended = err; err != nil {
			break
		}
		if err := c.Logout(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if !errors.Is(ended, client.ErrSessionEnded) {
		t.Errorf("the live query ended with %v", ended)
	}
	list, err := other.Sessions(ctx)
	if err != nil || len(list) != 1 || !list[0].Current {
		t.Errorf("open sessions: %+v, %v", list, err)
	}
	for e := range events {
		if e.State == client.StateSignedOut {
			if e.RefreshToken() != "" {
				t.Error("the event still has a refresh token")
			}
			break
		}
	}
	// The client is as new.
	if who := whoAmI(ctx, t, c); who != "alice" {
		t.Errorf("signed in as %s", who)
	}
	if list, err = c.Sessions(ctx); err != nil || len(list) != 2 {
		t.Errorf("sessions: %+v, %v", list, err)
	}
	i := slices.IndexFunc(list, func(s wire.SessionInfo) bool { return !s.Current })
	if err := c.EndSession(ctx, list[i].ID); err != nil {
		t.Error(err)
	}
	hasCode(t, "an ended session", c.EndSession(ctx, list[i].ID), wire.CodeNotFound)
	hasCode(t, "no session", c.EndSession(ctx, "../password"), wire.CodeNotFound)
	whoAmI(ctx, t, other) // signs in again
	if n, err := c.EndOtherSessions(ctx); n != 1 || err != nil {
		t.Errorf("ended %d, %v", n, err)
	}
}

// A session that could not be ended at the server is still there.
func TestLogoutWithoutAnswerKeepsTheSession(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	whoAmI(ctx, t, c)
	s.Close()
	if err := c.Logout(ctx); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	again := servertest.Start(t, servertest.Options{Dir: s.Dir, Port: s.Port})
	list, err := c.Sessions(ctx)
	if err != nil || len(list) != 1 || !list[0].Current {
		t.Errorf("sessions: %+v, %v", list, err)
	}
	if err := c.Logout(ctx); err != nil {
		t.Error(err)
	}
	other := signIn(t, again.URL, "alice")
	if list, err := other.Sessions(ctx); err != nil || len(list) != 1 {
		t.Errorf("sessions: %+v, %v", list, err)
	}
}

func TestAccountValuesPrintNoSecret(t *testing.T) {
	for _, v := range []any{
		client.SignUp{Email: "a@b.example", Password: "hunter2", Invite: "hunter2"},
		client.Code{Email: "a@b.example", Code: "hunter2", Password: "hunter2"},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "hunter2") || !strings.Contains(got, "a@b.example") {
				t.Errorf("%s: %s", verb, got)
			}
		}
	}
}

// The server closes the socket of a session that ends, and refuses its token.
// Neither makes a client whose provider has the password sign in again: not the
// live query, whose end comes before the answer, and not a query under way.
func TestLogoutBeginsNoNewSession(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	pool := &http.Transport{}
	defer pool.CloseIdleConnections()
	logins, liveEnded, queried, loggedOut := make(chan bool, 8), make(chan bool), make(chan bool), make(chan bool)
	counting := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		switch r.URL.Path {
		case "/v1/api/auth/login":
			logins <- true
		case "/v1/api/sql":
			close(queried)
			<-loggedOut
		case "/v1/api/auth/logout":
			resp, err := pool.RoundTrip(r)
			select {
			case <-liveEnded:
			case <-logins:
				t.Error("the live query signed in again")
			}
			return resp, err
		}
		return pool.RoundTrip(r)
	})}
	c, err := client.New(s.URL, auth.Static(auth.Basic("alice", servertest.Password)), client.Options{Native: client.Native{HTTPClient: counting}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ready := make(chan bool)
	go func() {
		defer close(liveEnded)
		for _, err := range c.Live(ctx, "SELECT * FROM chat.messages WHERE room = 'r'", client.LiveOptions{}) {
			if err != nil {
				return
			}
			close(ready)
		}
	}()
	<-ready
	<-logins
	answer := make(chan error)
	go func() {
		_, err := c.Query(ctx, "SELECT 1")
		answer <- err
	}()
	<-queried
	if err := c.Logout(ctx); err != nil {
		t.Fatal(err)
	}
	close(loggedOut)
	if err := <-answer; !errors.Is(err, client.ErrSessionEnded) {
		t.Errorf("the query under way: %v", err)
	}
	if len(logins) != 0 {
		t.Error("the query under way signed in again")
	}
}
