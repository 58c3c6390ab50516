package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

const appSecret = "a-secret-of-the-tests-that-is-long-enough"

// minted is a token that an application makes with the server's secret.
func minted(t *testing.T, user string, life time.Duration) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(appSecret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	token, err := jwt.Signed(signer).Claims(map[string]any{
		"sub": user, "iss": "kalamdb", "iat": now.Unix(), "exp": now.Add(life).Unix(), "role": "user", "token_type": "access", "email": nil,
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestStatusSaysWhoIsSignedIn(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	newPerson(t).fails(1, "nobody is signed in", "auth", "status")
	p := signedIn(t, s, "alice")
	out := p.ok("", "auth", "status")
	if !strings.Contains(out, s.URL) || !strings.Contains(out, "alice (role user)") || !strings.Contains(out, "alice@example.com") {
		t.Errorf("got %s", out)
	}
	p.ok("", "logout")
	p.fails(1, "nobody is signed in", "auth", "status")
}

func TestTokenOfAnApplicationIsKept(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) { c.Auth.JWTSecret = appSecret }})
	p := newPerson(t)
	out := p.ok(minted(t, "alice", time.Hour)+"\n", "login", "--url", s.URL, "--with-token")
	if !strings.Contains(out, "as alice (role user) with a token") {
		t.Errorf("got %s", out)
	}
	if out := p.ok("", "sql", "--format", "csv", "-e", "SELECT CURRENT_USER() AS me"); out != "me\nalice\n" {
		t.Errorf("got %q", out)
	}
	if out := p.ok("", "auth", "status"); !strings.Contains(out, "without a session") {
		t.Errorf("got %s", out)
	}
	if out := p.ok("", "sessions"); out != "You are signed in with a token, which has no session here.\n" {
		t.Errorf("got %q", out)
	}
	if out := p.ok("", "auth", "doctor"); !strings.Contains(out, "open and signed in") || !strings.Contains(out, "not renewed") {
		t.Errorf("got %s", out)
	}
	o := p.run(minted(t, "alice", -time.Hour)+"\n", "login", "--url", s.URL, "--with-token")
	if o.code != 1 || !strings.Contains(o.err, "does not accept this token") {
		t.Errorf("got %d %s", o.code, o.err)
	}
	p.ok("", "auth", "status") // the kept one is as it was
	p.edit(func(k *session) { k.RenewAt = time.Now().Add(-time.Minute) })
	p.fails(1, "the token is over", "sql", "-e", "SELECT 1")
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	access := p.session().Access
	out := p.ok("", "auth", "doctor")
	for _, step := range []string{"ok    resolve", "ok    server", "ok    clock", "ok    options  one signs in with: password", "ok    refresh", "ok    token", "ok    accept", "ok    socket"} {
		if !strings.Contains(out, step) {
			t.Errorf("no %q in\n%s", step, out)
		}
	}
	if secret := access[strings.LastIndexByte(access, '.')+1:]; strings.Contains(out, secret) || strings.Contains(out, p.session().Refresh) {
		t.Errorf("a secret is shown: %s", out)
	}
	finds := func(want string) {
		t.Helper()
		o := p.run("", "auth", "doctor")
		if o.code != 1 || !strings.Contains(o.out, want) {
			t.Errorf("exit code %d, no %q in\n%s%s", o.code, want, o.out, o.err)
		}
	}
	// The session has ended.
	other := signedIn(t, s, "alice")
	other.ok("", "sessions", "--end-others")
	finds("its session has ended")
	// The keys were revoked.
	p = signedIn(t, s, "alice")
	if out := p.ok("", "keys", "rotate", "--revoke", "--data", s.Dir); !strings.Contains(out, "signs now") {
		t.Errorf("got %s", out)
	}
	// The token is void, the session is not.
	for deadline := time.Now().Add(time.Minute); ; {
		o := p.run("", "auth", "doctor")
		if strings.Contains(o.out, "the keys were revoked") {
			if o.code != 0 || !strings.Contains(o.out, "has been renewed") || !strings.Contains(o.out, "open and signed in") {
				t.Errorf("exit code %d: %s", o.code, o.out)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server takes tokens of a revoked key")
		}
	}
	p.edit(func(k *session) { k.RenewAt = time.Time{} })
	if out := p.ok("", "auth", "doctor"); !strings.Contains(out, "has been renewed") {
		t.Errorf("got %s", out)
	}
	// Others can read the file.
	if err := os.Chmod(p.sessionFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	finds("can be read by others")
	s.Close()
	finds("cannot reach")
}

func TestSessionsAreListedAndEndedFromTheCommandLine(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p, other := signedIn(t, s, "alice"), signedIn(t, s, "alice")
	out := p.ok("", "sessions")
	if strings.Count(out, "password") != 2 || strings.Count(out, "(this one)") != 1 {
		t.Errorf("got %s", out)
	}
	if out := p.ok("", "sessions", "--end-others"); out != "Ended 1 session(s).\n" {
		t.Errorf("got %s", out)
	}
	other.fails(1, "sign in again", "auth", "status")
	p.ok("", "auth", "status")
	p.fails(1, "there is no open session", "sessions", "--end", "nonesuch")
}

func TestPasswdChangesThePassword(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	for stdin, says := range map[string]string{
		"wrong password\nSecret456!\n":          "the current password is not right",
		servertest.Password + "\npassword\n":    "common",
		servertest.Password + "\n":              "ended before",
		servertest.Password + "\nSecret456!\nx": "more lines",
	} {
		if o := p.run(stdin, "passwd"); o.code != 1 || !strings.Contains(o.err, says) {
			t.Errorf("%q: %d %s", stdin, o.code, o.err)
		}
	}
	if out := p.ok(servertest.Password+"\nSecret456!\n", "passwd"); !strings.Contains(out, "is changed") {
		t.Errorf("got %s", out)
	}
	p.ok("", "auth", "status")
	newPerson(t).ok("Secret456!\n", "login", "--url", s.URL, "alice")
}

func TestLostRootPasswordIsSetOnAStoppedServer(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := newPerson(t)
	if o := p.run("another good one\n", "user", "set-password", "root", "--data", s.Dir); o.code != 1 || !strings.Contains(o.err, s.Dir) {
		t.Errorf("on a running server: %d %s", o.code, o.err)
	}
	s.Close()
	if o := p.run("password\n", "user", "set-password", "root", "--data", s.Dir); o.code != 1 || !strings.Contains(o.err, "common") {
		t.Errorf("a weak one: %d %s", o.code, o.err)
	}
	p.ok("another good one\n", "user", "set-password", "root", "--data", s.Dir)
	s = servertest.Start(t, servertest.Options{Dir: s.Dir})
	p.ok("another good one\n", "login", "--url", s.URL, "root")
}

func TestKeysRotateWithOverlap(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	if out := p.ok("", "keys", "rotate", "--data", s.Dir); !strings.Contains(out, "is published and signs from") {
		t.Errorf("got %s", out)
	}
	if out := p.ok("", "keys", "list", "--data", s.Dir); strings.Count(out, "\n") != 2 || strings.Count(out, "(signs now)") != 1 {
		t.Errorf("got %s", out)
	}
	p.fails(1, "about to sign", "keys", "rotate", "--data", s.Dir)
	p.ok("", "auth", "status")
	list, err := filepath.Glob(filepath.Join(s.Dir, "keys", "signing-key*.pem"))
	if err != nil || len(list) != 2 {
		t.Errorf("%v %v", list, err)
	}
}
