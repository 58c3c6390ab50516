package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestAPIKeyFromTheCommandLine creates a key, uses it as a machine does, and
// revokes it.
func TestAPIKeyFromTheCommandLine(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	if out := p.ok("", "apikey", "list"); !strings.Contains(out, "no API keys") {
		t.Errorf("none: %s", out)
	}
	made := p.run("", "apikey", "create", "ci", "--read-only", "--namespace", "chat", "--expires", "90 days")
	if made.code != 0 || !regexp.MustCompile(`^kalam_\w{57}\n$`).MatchString(made.out) || !strings.Contains(made.err, "API key ci") {
		t.Fatalf("create: %+v", made)
	}
	p.fails(exitFailed, "already exists", "apikey", "create", "ci")
	p.fails(exitFailed, "only dba and system", "apikey", "create", "ci", "--for", "bob")
	p.fails(exitFailed, "INTERVAL", "apikey", "create", "x", "--expires", "soon")
	p.fails(exitFailed, "does not exist", "apikey", "create", "x", "--namespace", `wom"bat`)
	p.fails(exitFailed, "does not exist", "apikey", "create", "x", "--topic", "chat.wombat")
	p.fails(exitUsage, "app.jobs", "apikey", "create", "x", "--topic", "wombat")

	machine := newPerson(t, "KALAM_URL="+s.URL)
	machine.ok(made.out, "login", "--with-token")
	machine.ok("", "sql", "-e", "SELECT body FROM chat.messages")
	machine.fails(exitFailed, "only reads", "sql", "-e", "DELETE FROM chat.messages")
	machine.fails(exitFailed, "sign in", "apikey", "create", "more")
	machine.fails(exitFailed, "an API key cannot do this", "sessions")

	list := p.ok("", "apikey", "list")
	for _, want := range []string{"alice", "ci", "reading, chat", "good", strings.TrimSpace(made.out)[:14]} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
	if strings.Contains(list, strings.TrimSpace(made.out)) {
		t.Errorf("the list shows the key:\n%s", list)
	}
	signedIn(t, s, "admin").ok("", "apikey", "revoke", "ci", "--for", "alice")
	machine.fails(exitFailed, "does not accept the session", "sql", "-e", "SELECT 1")
	p.fails(exitFailed, "alice has no API key ci", "apikey", "revoke", "ci")
}

func TestSignUpFromTheCommandLine(t *testing.T) {
	mail := servertest.StartMail(t)
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) {
		mail.Config(c)
		c.Auth.Accounts.SignUp = "open"
	}})
	p := newPerson(t, "KALAM_URL="+s.URL)
	const address = "dora@example.com"
	o := p.run("correct-horse-9\n", "signup", address, "--name", "Dora")
	if o.code != exitFailed || !strings.Contains(o.err, "A code is on its way") || !strings.Contains(o.err, "--redeem") {
		t.Fatalf("without the code: %+v", o)
	}
	code := mail.Wait(address, 1).Code()
	if o := p.run("12345\n", "signup", address, "--redeem"); o.code != exitFailed || !strings.Contains(o.err, "wrong or too old") {
		t.Errorf("wrong code: %+v", o)
	}
	if out := p.ok(code+"\n", "signup", address, "--redeem"); !strings.Contains(out, "as usr_") {
		t.Errorf("signed up: %s", out)
	}
	if out := p.ok("", "auth", "status"); !strings.Contains(out, address) {
		t.Errorf("status: %s", out)
	}
	p.ok("", "logout")
	p.ok("correct-horse-9\n", "login", address)
}

func TestSignUpWithAnInvitation(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) {
		c.Auth.Accounts.SignUp, c.Auth.Accounts.Email = "invite", "none"
	}})
	secret := signedIn(t, s, "admin").ok("", "invite", "create", "--role", "service")
	p := newPerson(t, "KALAM_URL="+s.URL)
	if o := p.run("correct-horse-9\n", "signup", "emil"); o.code != exitFailed || !strings.Contains(o.err, "invit") {
		t.Errorf("without: %+v", o)
	}
	if out := p.ok(secret+"correct-horse-9\n", "signup", "emil", "--invite"); !strings.Contains(out, "(role service)") {
		t.Errorf("signed up: %s", out)
	}
	if out := p.ok("", "sql", "-e", "SELECT name, role FROM system.me"); !strings.Contains(out, "emil") {
		t.Errorf("me: %s", out)
	}
}
