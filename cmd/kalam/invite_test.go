package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestInvitesAreCreatedListedAndRevoked does it all from the command line, and
// signs somebody up with one of the secrets.
func TestInvitesAreCreatedListedAndRevoked(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) {
		c.Auth.Accounts.SignUp, c.Auth.Accounts.Email = "invite", "none"
	}})
	signUp := func(user, invite string) int {
		t.Helper()
		body := `{"user":"` + user + `","password":"correct-horse-9","invite":"` + strings.TrimSpace(invite) + `"}`
		resp, err := http.Post(s.URL+"/v1/api/auth/signup", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	newPerson(t, "KALAM_URL="+s.URL).fails(exitFailed, "nobody is signed in", "invite", "list")
	signedIn(t, s, "alice").fails(exitFailed, "Admin privileges", "invite", "create")

	p := signedIn(t, s, "admin")
	if out := p.ok("", "invite", "list"); !strings.Contains(out, "no invitations") {
		t.Errorf("none: %s", out)
	}
	p.fails(exitUsage, "role", "invite", "create", "--role", "dba")
	p.fails(exitFailed, "a minute", "invite", "create", "--expires", "1s")
	p.fails(exitFailed, "name@example.com", "invite", "create", "--email", "carol")

	made := p.run("", "invite", "create", "--role", "service", "--expires", "24h")
	if made.code != 0 || !regexp.MustCompile(`^inv_\w+\n$`).MatchString(made.out) || !strings.Contains(made.err, "role service") {
		t.Fatalf("create: %+v", made)
	}
	if status := signUp("carol", made.out); status != http.StatusCreated {
		t.Errorf("sign up: %d", status)
	}
	open := p.run("", "invite", "create", "--email", "dan@example.com")
	id := regexp.MustCompile(`Invitation (\w+),`).FindStringSubmatch(open.err)
	if open.code != 0 || id == nil {
		t.Fatalf("create: %+v", open)
	}
	list := p.ok("", "invite", "list")
	for _, want := range []string{"used by usr_", "dan@example.com", "anybody", "open", "admin", id[1]} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
	if strings.Contains(list, "inv_") {
		t.Errorf("the list shows a secret:\n%s", list)
	}

	free := p.run("", "invite", "create")
	freeID := regexp.MustCompile(`Invitation (\w+),`).FindStringSubmatch(free.err)[1]
	if out := p.ok("", "invite", "revoke", freeID); !strings.Contains(out, freeID) {
		t.Errorf("revoke: %s", out)
	}
	if status := signUp("eve", free.out); status != http.StatusForbidden {
		t.Errorf("sign up with a revoked invitation: %d", status)
	}
	p.fails(exitFailed, "kalam invite list", "invite", "revoke", freeID)
	p.fails(exitFailed, "kalam invite list", "invite", "revoke", "../me")
}
