package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/kalamdb/kalam-go/internal/config"
)

func TestAuthenticateByMessage(t *testing.T) {
	s := start(t)
	for name, message := range map[string]string{
		"as old clients do":  `{"type":"authenticate","method":"jwt","token":"TOKEN","protocol":{"serialization":"json","compression":"gzip"}}`,
		"without protocol":   `{"type":"authenticate","method":"jwt","token":"TOKEN"}`,
		"without method":     `{"type":"authenticate","token":"TOKEN","protocol":{}}`,
		"with unknown parts": `{"type":"authenticate","method":"jwt","token":"TOKEN","new":[1,{"a":2}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			k := dial(t, s, "")
			k.send(strings.Replace(message, "TOKEN", mint(t, "admin"), 1))
			f := k.want("auth_success")
			if f.raw != `{"type":"auth_success","user":"admin","role":"dba","protocol":{"serialization":"json","compression":"gzip"}}` || f.binary {
				t.Errorf("got %s", f.raw)
			}
			// A second one is not looked at.
			k.send(`{"type":"authenticate","method":"jwt","token":"nonsense"}`)
			if again := k.want("auth_success"); again.raw != f.raw {
				t.Errorf("got %s", again.raw)
			}
		})
	}
}

func TestAuthenticateByHeader(t *testing.T) {
	s := start(t)
	k := dial(t, s, "", "Authorization", "Bearer "+mint(t, "alice"))
	if f := k.want("auth_success"); f.User != "alice" || f.Role != "user" {
		t.Errorf("got %s", f.raw)
	}
	k.subscribe("a", "SELECT * FROM chat.messages", "{}")
	k.snapshot("a")
	for name, header := range map[string]string{
		"garbage": "Bearer x", "Basic": "Basic YWxpY2U6U2VjcmV0MTIzIQ==", "no scheme": mint(t, "alice"),
		"bad signature": "Bearer " + sign(t, jose.HS256, secret+"x", claims("alice", "user", time.Hour)),
	} {
		t.Run(name, func(t *testing.T) {
			dial(t, s, "", "Authorization", header).wantEnd("INVALID_CREDENTIALS")
		})
	}
	dial(t, s, "", "Authorization", "Bearer "+mintFor(t, "alice", -time.Minute)).wantEnd("TOKEN_EXPIRED")
	dial(t, s, "", "Authorization", "Bearer "+mint(t, "alice"), "Authorization", "Bearer "+mint(t, "bob")).wantEnd("INVALID_CREDENTIALS")
}

func TestAuthenticateRefusals(t *testing.T) {
	s := start(t)
	_, refresh := session(t, s, "alice")
	for _, c := range []struct{ name, token, code string }{
		{"garbage", "x", "INVALID_CREDENTIALS"},
		{"empty", "", "INVALID_CREDENTIALS"},
		{"expired", mintFor(t, "alice", -time.Minute), "TOKEN_EXPIRED"},
		{"refresh token", refresh, "INVALID_CREDENTIALS"},
		{"other role", sign(t, jose.HS256, secret, claims("alice", "dba", time.Hour)), "INVALID_CREDENTIALS"},
		{"unknown user", mint(t, "nobody"), "INVALID_CREDENTIALS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := dial(t, s, "")
			k.authenticate(c.token, "{}")
			// What follows is not heard, and does not eat the answer.
			k.subscribe("a", "SELECT * FROM chat.messages", "{}")
			if f := k.wantEnd(c.code); f.Message != "Invalid credentials" {
				t.Errorf("got %s", f.raw)
			}
		})
	}
	k := dial(t, s, "")
	k.send(`{"type":"authenticate","method":"basic","token":"alice:Secret123!"}`)
	k.wantEnd("INVALID_CREDENTIALS")
}

func TestRefusalArrivesWhateverTheClientSends(t *testing.T) {
	s := start(t)
	for range 20 {
		k := dial(t, s, "")
		k.authenticate("nonsense", "{}")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		for range 50 {
			if k.c.Write(ctx, 1, []byte(`{"type":"ping","pad":"`+strings.Repeat("x", 2000)+`"}`)) != nil {
				break
			}
		}
		cancel()
		k.wantEnd("INVALID_CREDENTIALS")
	}
}

func TestNothingWorksBeforeAuthentication(t *testing.T) {
	s := start(t)
	k := dial(t, s, "")
	k.send(`{"type":"ping"}`)
	k.send(`{"type":"next_batch","subscription_id":"a"}`)
	k.unsubscribe("a")
	k.subscribe("a", "SELECT * FROM chat.messages", "{}")
	k.wantError("subscribe", "AUTH_REQUIRED")
	k.authenticate(mint(t, "alice"), "{}")
	k.want("auth_success")
}

func TestSilentSocketsTimeOut(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.WebSocket.AuthTimeoutSecs = 1 })
	k := dial(t, s, "")
	busy := dial(t, s, "")
	busy.send(`{"type":"ping"}`) // is no authentication
	in := open(t, s, "alice")
	k.wantEnd("AUTH_TIMEOUT")
	busy.wantEnd("AUTH_TIMEOUT")
	in.subscribe("a", "SELECT * FROM chat.messages", "{}")
	in.snapshot("a")
}

func TestGuessingTokensIsSlowedDown(t *testing.T) {
	s := start(t, func(c *config.Config) { c.RateLimit.MaxAuthRequestsPerIPPerSec = 3 })
	for i := 0; ; i++ {
		k := dial(t, s, "")
		k.authenticate("nonsense", "{}")
		f := k.want("auth_error")
		if f.Code == "RATE_LIMITED" {
			k.wantClose(1008, "RATE_LIMITED")
			break
		}
		if i == 100 {
			t.Fatal("100 guesses in a row were let through")
		}
	}
}

func TestSocketOrigins(t *testing.T) {
	t.Parallel()
	s := start(t)
	listed := start(t, func(c *config.Config) { c.Security.CORS.AllowedOrigins = []string{"https://app.example.com"} })
	for _, c := range []struct {
		on      string
		origin  string
		allowed bool
	}{
		{"", "http://localhost:5173", true}, {"", "https://127.0.0.1", true}, {"", "https://evil.example.com", false}, {"", "null", false},
		{"listed", "https://app.example.com", true}, {"listed", "http://localhost:5173", false},
	} {
		server := s
		if c.on != "" {
			server = listed
		}
		_, resp, err := tryDial(t, server, "", "Origin", c.origin)
		if (err == nil) != c.allowed || !c.allowed && resp.StatusCode != 403 {
			t.Errorf("%s %s: %v", c.on, c.origin, err)
		}
	}
	// A page that reaches the server through a name of its own.
	if _, resp, err := tryDial(t, s, "", "Origin", "http://rebound.example.com"); err == nil || resp.StatusCode != 403 {
		t.Errorf("rebound: %v", err)
	}
	if _, resp, err := tryDial(t, s, "?token="+mint(t, "alice")); err == nil || resp.StatusCode != 400 {
		t.Errorf("a token in the URL: %v", err)
	}
}

const renew = `{"serialization":"json","compression":"gzip","renew":true}`

func TestRenewalInBand(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := dial(t, s, "")
	k.authenticate(mintFor(t, "alice", 4*time.Second), renew)
	f := k.want("auth_success")
	if f.Protocol["renew"] != true || f.ExpiresIn == nil || *f.ExpiresIn < 1 || *f.ExpiresIn > 4 {
		t.Fatalf("got %s", f.raw)
	}
	k.subscribe("a", "SELECT body FROM chat.messages", "")
	k.want("subscription_ack")
	if f := k.want("auth_expiring"); f.ExpiresIn == nil || *f.ExpiresIn > 1 || f.binary {
		t.Fatalf("got %s", f.raw)
	}
	k.authenticate(mintFor(t, "alice", time.Hour), renew)
	if f := k.want("auth_success"); f.ExpiresIn == nil || *f.ExpiresIn < 3500 || f.User != "alice" {
		t.Fatalf("got %s", f.raw)
	}
	run(t, s, mint(t, "alice"), "INSERT INTO chat.messages (body) VALUES ('after')")
	k.wantChange("a", "insert")
}

func TestNothingIsLostBetweenExpiryAndRenewal(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := dial(t, s, "")
	token := mintFor(t, "alice", 3*time.Second)
	k.authenticate(token, renew)
	k.want("auth_success")
	k.subscribe("a", "SELECT body FROM chat.messages", "")
	k.want("subscription_ack")
	k.want("auth_expiring")
	wait(t, func() bool { return query(t, s, token, "SELECT 1").status == 401 })
	run(t, s, mint(t, "alice"), "INSERT INTO chat.messages (body) VALUES ('in between')")
	if f := k.wantChange("a", "insert"); f.Rows[0]["body"] != "in between" {
		t.Errorf("got %s", f.raw)
	}
	k.authenticate(mintFor(t, "alice", time.Hour), renew)
	k.want("auth_success")
}

func TestRenewalRefusals(t *testing.T) {
	s := start(t)
	for _, c := range []struct{ name, token, code string }{
		{"another user", mint(t, "bob"), "IDENTITY_CHANGED"},
		{"garbage", "x", "INVALID_CREDENTIALS"},
		{"expired", mintFor(t, "alice", -time.Minute), "TOKEN_EXPIRED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := dial(t, s, "")
			k.authenticate(mint(t, "alice"), renew)
			k.want("auth_success")
			k.subscribe("a", "SELECT body FROM chat.messages", "")
			k.want("subscription_ack")
			k.authenticate(c.token, renew)
			k.wantEnd(c.code)
		})
	}
}

// wait waits until a condition holds.
func wait(t testing.TB, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("what the test waits for does not happen")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
