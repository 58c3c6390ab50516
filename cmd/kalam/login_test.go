package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

func (p *person) sessionFile() string { return filepath.Join(p.home, "kalam", "session.json") }

func (p *person) sessions() *sessions {
	p.t.Helper()
	b, err := os.ReadFile(p.sessionFile())
	if err != nil {
		p.t.Fatal(err)
	}
	all := &sessions{}
	if err := json.Unmarshal(b, all); err != nil {
		p.t.Fatal(err)
	}
	return all
}

// session is the one of the current server.
func (p *person) session() *session {
	p.t.Helper()
	all := p.sessions()
	return all.Sessions[all.Current]
}

// edit changes the current session.
func (p *person) edit(change func(*session)) {
	p.t.Helper()
	all := p.sessions()
	s := all.Sessions[all.Current]
	delete(all.Sessions, all.Current)
	change(s)
	all.Sessions[s.URL], all.Current = s, s.URL
	b, err := json.Marshal(all)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.sessionFile(), b, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestLoginKeepsTheSessionForItsOwner(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := newPerson(t)
	out := p.ok(servertest.Password+"\n", "login", "--url", s.URL, "alice")
	if out != "Signed in to "+s.URL+" as alice (role user).\n" {
		t.Errorf("got %q", out)
	}
	if m := mode(t, p.sessionFile()); m != 0o600 {
		t.Errorf("the session has mode %o", m)
	}
	if m := mode(t, filepath.Dir(p.sessionFile())); m != 0o700 {
		t.Errorf("its folder has mode %o", m)
	}
	if b, _ := os.ReadFile(p.sessionFile()); strings.Contains(string(b), servertest.Password) {
		t.Error("the password is in the file")
	}
	// The kept session knows its server.
	if out := p.ok("", "sql", "--csv", "-e", "SELECT CURRENT_USER() AS who"); out != "who\nalice\n" {
		t.Errorf("got %q", out)
	}
}

func TestLoginAsksForTheUser(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := newPerson(t, "KALAM_URL="+s.URL)
	p.ok("bob\n"+servertest.Password+"\n", "login")
	if got := p.session().User; got != "bob" {
		t.Errorf("signed in as %s", got)
	}
}

func TestFailedLoginKeepsTheFormerSession(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	for _, stdin := range []string{"wrong-password\n", ""} {
		if o := p.run(stdin, "login", "bob"); o.code != 1 {
			t.Errorf("login with %q: exit code %d", stdin, o.code)
		}
	}
	if out := p.ok("", "sql", "--csv", "-e", "SELECT CURRENT_USER() AS who"); out != "who\nalice\n" {
		t.Errorf("got %q", out)
	}
}

func TestLogoutEndsTheSessionOnTheServer(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	token := p.session().Access
	p.ok("", "logout")
	if _, err := os.Stat(p.sessionFile()); err == nil {
		t.Error("the session is still there")
	}
	c, err := client.New(s.URL, auth.Static(auth.JWT(token)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Query(t.Context(), "SELECT 1"); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("the token is still good: %v", err)
	}
	p.fails(1, "nobody is signed in", "sql", "--url", s.URL, "-e", "SELECT 1")
	if out := p.ok("", "logout"); out != "Nobody is signed in.\n" {
		t.Errorf("got %q", out)
	}
}

func TestLoginEndsTheSessionBefore(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	token := p.session().Access
	p.ok(servertest.Password+"\n", "login", "bob")
	p.edit(func(s *session) { s.Access, s.Refresh = token, "" })
	p.fails(1, "kalam login", "sql", "-e", "SELECT 1")
}

// TestKeptSessionOutlivesItsToken keeps a token that the server does not take,
// as after its keys were revoked.
func TestKeptSessionOutlivesItsToken(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	for _, command := range [][]string{{"auth", "status"}, {"sessions"}, {"sql", "-e", "SELECT 1"}} {
		p.edit(func(k *session) { k.Access += "x" })
		before := p.session()
		p.ok("", command...)
		if p.session().Refresh == before.Refresh {
			t.Errorf("%v: the session was not renewed", command)
		}
	}
}

func TestKeptSessionIsRenewedByUse(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	before := p.session()
	p.edit(func(s *session) { s.RenewAt = time.Now().Add(-time.Minute) })
	var together sync.WaitGroup
	for range 4 {
		together.Go(func() {
			if o := p.run("", "sql", "-e", "SELECT 1"); o.code != 0 {
				t.Errorf("exit code %d: %s", o.code, o.err)
			}
		})
	}
	together.Wait()
	after := p.session()
	if after.Refresh == before.Refresh || !after.RenewAt.After(time.Now()) {
		t.Errorf("not renewed: %v", after.RenewAt)
	}
	if m := mode(t, p.sessionFile()); m != 0o600 {
		t.Errorf("the session has mode %o", m)
	}
	p.ok("", "sql", "-e", "SELECT 1")
}

func TestEndedSessionSaysToSignInAgain(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	signedIn(t, s, "admin").ok("", "sql", "-e", "ALTER USER alice SET PASSWORD 'Another123!'")
	p.fails(1, "sign in again with kalam login", "sql", "-e", "SELECT 1")
	p.edit(func(s *session) { s.RenewAt = time.Now().Add(-time.Minute) })
	p.fails(1, "sign in again with kalam login", "sql", "-e", "SELECT 1")
}

func TestDamagedSessionSaysSo(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	if err := os.WriteFile(p.sessionFile(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.fails(1, "damaged", "sql", "-e", "SELECT 1")
}

func TestSessionGoesToItsServerOnly(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	p.fails(1, "nobody is signed in to http://127.0.0.1:1", "sql", "--url", "http://127.0.0.1:1", "-e", "SELECT 1")
}

// TestSessionsOfSeveralServersLiveSideBySide signs in to two servers, uses each,
// and signs out of one.
func TestSessionsOfSeveralServersLiveSideBySide(t *testing.T) {
	one, two := servertest.Start(t, servertest.Options{}), servertest.Start(t, servertest.Options{})
	p := newPerson(t)
	p.ok(servertest.Password+"\n", "login", "--url", one.URL, "alice")
	p.ok(servertest.Password+"\n", "login", "--url", two.URL, "bob")
	who := func(args ...string) string {
		t.Helper()
		out := p.ok("", append([]string{"sql", "--csv", "-e", "SELECT CURRENT_USER() AS who"}, args...)...)
		return strings.TrimSpace(strings.TrimPrefix(out, "who\n"))
	}
	if got := who(); got != "bob" { // the last one is meant without --url
		t.Errorf("without --url: %s", got)
	}
	if got := who("--url", one.URL); got != "alice" {
		t.Errorf("with --url: %s", got)
	}
	if out := p.ok("", "auth", "status", "--url", one.URL); !strings.Contains(out, "User:     alice") || !strings.Contains(out, "Also:     bob at "+two.URL) {
		t.Errorf("status: %s", out)
	}
	// A session is renewed in its place.
	all := p.sessions()
	all.Sessions[one.URL].RenewAt = time.Now().Add(-time.Minute)
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.sessionFile(), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := who("--url", one.URL); got != "alice" || p.sessions().Sessions[one.URL].Access == all.Sessions[one.URL].Access {
		t.Errorf("after the renewal: %s", got)
	}
	if out := p.ok("", "logout"); out != "Signed out of "+two.URL+".\n" {
		t.Errorf("logout: %s", out)
	}
	p.fails(1, "nobody is signed in to "+two.URL+": run kalam login --url "+two.URL, "sql", "--url", two.URL, "-e", "SELECT 1")
	if got := who("--url", one.URL); got != "alice" {
		t.Errorf("after signing out of the other: %s", got)
	}
	p.ok(servertest.Password+"\n", "login", "--url", two.URL, "bob")
	if out := p.ok("", "logout", "--all"); !strings.Contains(out, one.URL) || !strings.Contains(out, two.URL) {
		t.Errorf("logout --all: %s", out)
	}
	if _, err := os.Stat(p.sessionFile()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

// TestAuthTokenPrintsOneThatIsGood also where the one that is kept has run out.
func TestAuthTokenPrintsOneThatIsGood(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	for range 2 {
		token := strings.TrimSpace(p.ok("", "auth", "token"))
		if me, err := whoIs(t.Context(), s.URL, token); err != nil || me.ID != "alice" {
			t.Errorf("%v, %v", me, err)
		}
		before := p.session().Access
		p.edit(func(k *session) { k.RenewAt, k.Access = time.Now().Add(-time.Minute), "over" })
		if now := strings.TrimSpace(p.ok("", "auth", "token")); now == before || now == "over" {
			t.Error("it was not renewed")
		}
	}
	newPerson(t).fails(1, "run kalam login", "auth", "token")
}
