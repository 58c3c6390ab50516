package server_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestMailsOfAnAccountGoToItsOwnSpelling asks for codes with an address that is
// only compared as equal: it may be the mailbox of somebody else.
func TestMailsOfAnAccountGoToItsOwnSpelling(t *testing.T) {
	a := startAccounts(t)
	a.signUp("strasse@example.com", "correct-horse-9")
	for i, likes := range []string{"straße@example.com", "ſtrasse@example.com", "STRASSE@example.com"} {
		if i == 0 {
			a.want(202, "signup", fields{"email": likes, "password": "another-horse-9"})
		}
		a.want(202, "code", fields{"email": likes, "purpose": "reset"})
	}
	a.mail.Wait("strasse@example.com", 5)
	for _, likes := range []string{"straße@example.com", "ſtrasse@example.com", "STRASSE@example.com"} {
		if got := a.mail.To(likes); len(got) != 0 {
			t.Errorf("%s got %q", likes, got[0].Text)
		}
	}
}

// TestPasswordOfAStrangerNeverOpensAnAddress signs up with somebody else's
// address in every way that might leave the stranger's password there.
func TestPasswordOfAStrangerNeverOpensAnAddress(t *testing.T) {
	const mine, theirs = "correct-horse-9", "thief-horse-99"
	redeemed := func(t *testing.T, a accounts, email, code string, headers ...string) {
		t.Helper()
		a.ask("code/redeem", fields{"email": email, "code": code, "purpose": "verify"}, headers...)
		if got := login(t, a.Server, email, theirs); got.status != 401 {
			t.Errorf("the stranger's password works: %d %s", got.status, got.body)
		}
	}
	t.Run("after the last mail that is allowed", func(t *testing.T) {
		a := startAccounts(t)
		for range 5 {
			a.want(202, "signup", fields{"email": "x@example.com", "password": theirs})
		}
		a.want(202, "signup", fields{"email": "x@example.com", "password": mine})
		redeemed(t, a, "x@example.com", a.mail.Wait("x@example.com", 5).Code())
	})
	t.Run("at the same time", func(t *testing.T) {
		a := startAccounts(t)
		var both sync.WaitGroup
		for range 2 {
			for _, password := range []string{mine, theirs} {
				both.Go(func() { a.ask("signup", fields{"email": "x@example.com", "password": password}) })
			}
		}
		both.Wait()
		redeemed(t, a, "x@example.com", a.mail.Wait("x@example.com", 4).Code())
		if got := login(t, a.Server, "x@example.com", mine); got.status != 401 {
			t.Errorf("one of two passwords is taken: %d", got.status)
		}
	})
	t.Run("where an account moves to the address", func(t *testing.T) {
		a := startAccounts(t)
		token, _ := a.signUp("y@example.com", mine)["access_token"].(string)
		bearer := []string{"Content-Type", jsonType, "Authorization", "Bearer " + token}
		if got := do(t, "PATCH", a.URL+"/v1/api/auth/me", strings.NewReader(`{"email":"x@example.com"}`), bearer...); got.status != 202 {
			t.Fatal(got.status, got.body)
		}
		a.want(202, "signup", fields{"email": "x@example.com", "password": theirs})
		redeemed(t, a, "x@example.com", a.mail.Wait("x@example.com", 2).Code(), "Authorization", "Bearer "+token)
	})
}

// TestNobodyIsMailedWhoAskedForNothing, however often somebody else asks.
func TestNobodyIsMailedWhoAskedForNothing(t *testing.T) {
	a := startAccounts(t)
	for range 3 {
		for _, purpose := range []string{"verify", "login", "reset"} {
			a.want(202, "code", fields{"email": "nobody@example.com", "purpose": purpose})
		}
	}
	a.want(202, "signup", fields{"email": "z@example.com", "password": "correct-horse-9"})
	a.mail.Wait("z@example.com", 1) // queued after all of those
	if got := a.mail.To("nobody@example.com"); len(got) != 0 {
		t.Errorf("%d mails, the first %q", len(got), got[0].Text)
	}
}

// TestKnownAddressesAreNoLessWork counts what a request writes: a commit more or
// less tells whether an address has an account, whatever the answer says.
func TestKnownAddressesAreNoLessWork(t *testing.T) {
	a := startAccounts(t)
	a.signUp("known@example.com", "correct-horse-9")
	admin := mint(t, "admin")
	// What is stored under an address, by what is asked for; the count of codes
	// and mails stands for the work.
	stored := func() string {
		return compact(t, rows(t, run(t, a.Server, admin, "SELECT count(*) FROM system.mail")))
	}
	grows := func(route string, body fields) bool {
		before := stored()
		a.ask(route, body)
		return stored() != before
	}
	for i := range 6 {
		for _, purpose := range []string{"login", "reset"} {
			known := grows("code", fields{"email": "known@example.com", "purpose": purpose})
			unknown := grows("code", fields{"email": "unknown@example.com", "purpose": purpose})
			if i == 0 && !unknown {
				t.Error("a code for an address without an account is not counted")
			}
			if i == 5 && (known || unknown) {
				t.Errorf("beyond the limit: known %v, unknown %v", known, unknown)
			}
		}
	}
}

// TestNamesLikeAnIDAreTaken, and ids like a name.
func TestNamesLikeAnIDAreTaken(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Auth.Accounts.SignUp, c.Auth.Accounts.Email = "open", "none" })
	a := accounts{s, t, nil}
	admin := mint(t, "admin")
	run(t, s, admin, "CREATE USER \"Élodie\" WITH PASSWORD 'correct-horse-9'; CREATE USER 'Bertha' WITH PASSWORD 'correct-horse-9'")
	for _, name := range []string{"Alice", "ALICE", "ａｌｉｃｅ", "bertha", "BERTHA", "Admin", "Élodie"} {
		if got := a.ask("signup", fields{"user": name, "password": "correct-horse-9"}); got.status != 409 {
			t.Errorf("sign up as %q: %d %s", name, got.status, got.body)
		}
	}
	a.want(201, "signup", fields{"user": "Quinn", "password": "correct-horse-9"})
	for _, name := range []string{"quinn", "Quinn", "QUINN"} {
		wantError(t, query(t, s, admin, "CREATE USER '"+name+"' WITH PASSWORD 'another-horse-9'"), 400, "ALREADY_EXISTS", "")
	}
}

// TestFormsOfOtherSitesBeginNoSession in a browser that has one.
func TestFormsOfOtherSitesBeginNoSession(t *testing.T) {
	a := startAccounts(t)
	for _, route := range []string{"anonymous", "signup", "login", "code", "code/redeem", "upgrade"} {
		for _, from := range [][]string{{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
			for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
				got := do(t, "POST", a.URL+"/v1/api/auth/"+route, strings.NewReader(`{"user":"alice","password":"`+servertest.Password+`"}`), append([]string{"Content-Type", kind}, from...)...)
				if got.status < 400 || strings.Contains(strings.Join(got.header.Values("Set-Cookie"), ";"), "refresh=") {
					t.Errorf("%s as %s from %v: %d %v", route, kind, from, got.status, got.header.Values("Set-Cookie"))
				}
			}
		}
	}
	if got := do(t, http.MethodPost, a.URL+"/v1/api/auth/anonymous", nil); got.status != 201 {
		t.Errorf("without a browser: %d %s", got.status, got.body)
	}
}
