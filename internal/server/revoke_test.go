package server_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/issuer"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/store"
)

// TestRevocationReachesTheLastRow stops the reader of a socket, lets more than
// 1 MiB queue up, takes the right away, and reads on: after the error frame
// comes no row, and what was written after the revocation never comes at all.
// So it is for every kind of session and every way to end one.
func TestRevocationReachesTheLastRow(t *testing.T) {
	t.Parallel()
	provider := servertest.StartProvider(t, time.Hour)
	foreign := provider.SignIn(t, servertest.ProviderUser2).AccessToken
	s := startEdgeWith(t, store.Options{}, live.Options{}, roomy, identity.Options{
		Issuers: []issuer.Options{issuer.Options(provider.Issuer)},
	}).Server
	admin := mint(t, "admin")
	user := func(name string) string {
		run(t, s, admin, "CREATE USER "+name+" WITH PASSWORD 'Secret123!' ROLE user")
		return name
	}
	logout := func(_, token string) {
		do(t, "POST", s.URL+"/v1/api/auth/logout", nil, "Authorization", "Bearer "+token)
	}
	disable := func(user, _ string) { run(t, s, admin, `ALTER USER "`+user+`" DISABLE`) }
	role := func(user, _ string) { run(t, s, admin, `ALTER USER "`+user+`" SET ROLE service`) }
	drop := func(user, _ string) { run(t, s, admin, `DROP USER "`+user+`"`) }
	password := func(name string) func() (string, string) {
		return func() (string, string) {
			name := user(name)
			access, _ := session(t, s, name)
			return name, access
		}
	}
	minted := func(name string) func() (string, string) {
		return func() (string, string) { return user(name), mint(t, name) }
	}
	keyed := func(name string) func() (string, string) {
		return func() (string, string) { return user(name), makeKey(t, s, admin, "CREATE API KEY ci FOR USER "+name) }
	}
	cases := []struct {
		name  string
		begin func() (user, token string)
		end   func(user, token string)
	}{
		{"password, logout", password("ann"), logout},
		{"password, disabled", password("ben"), disable},
		{"password, role", password("cem"), role},
		{"password, dropped", password("dan"), drop},
		{"minted by an app, logout", minted("eli"), logout},
		{"minted by an app, disabled", minted("fay"), disable},
		{"API key, dropped", keyed("gus"), func(user, _ string) { run(t, s, admin, "DROP API KEY ci FOR USER "+user) }},
		{"API key, disabled", keyed("hal"), disable},
		{"of an issuer, logout", func() (string, string) { return "test:id2", foreign }, logout},
		{"of an issuer, disabled", func() (string, string) {
			return "test:id1", provider.SignIn(t, servertest.ProviderUser).AccessToken
		}, disable},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			who, token := c.begin()
			k := dial(t, s, "?compress=false")
			k.authenticate(token, "{}")
			write := func(id int, body string) answer {
				return query(t, s, admin, fmt.Sprintf(`EXECUTE AS USER '%s' (INSERT INTO chat.messages (id, body) VALUES (%d, '%s'))`, who, id, body))
			}
			k.queueUp(func(id int, body string) {
				if a := write(id, body); a.status != 200 {
					t.Fatalf("%d %s", a.status, a.body)
				}
			})
			c.end(who, token)
			// From here on nothing starts ...
			wantError(t, query(t, s, token, "SELECT 1"), 401, "INVALID_CREDENTIALS", "")
			write(1, "after") // refused where the user is gone
			// ... and nothing leaves.
			k.wantLastRows("SESSION_ENDED")
		})
	}
}

// TestRevokedActorsImpersonateNobody: a statement as another user needs the
// actor's session, and ends with it.
func TestRevokedActorsImpersonateNobody(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, "CREATE USER svc WITH PASSWORD 'Secret123!' ROLE service")
	access, _ := session(t, s, "svc")
	const as = "EXECUTE AS USER 'alice' (SELECT id FROM chat.messages)"
	run(t, s, access, as)
	run(t, s, admin, "ALTER USER svc SET ROLE user")
	wantError(t, query(t, s, access, as), 401, "INVALID_CREDENTIALS", "")
	access, _ = session(t, s, "svc")
	if a := query(t, s, access, as); a.status != 403 {
		t.Errorf("role user: %d %s", a.status, a.body)
	}
}

// TestTokensOfARealProvider signs people in at a real OpenID provider and uses
// its access tokens as they are.
func TestTokensOfARealProvider(t *testing.T) {
	t.Parallel()
	provider := servertest.StartProvider(t, time.Hour)
	corp := provider.Issuer
	corp.RoleClaim, corp.Roles = "groups", map[string]string{"operators": "dba"}
	s := startEdgeWith(t, store.Options{}, live.Options{}, server.Options{}, identity.Options{
		Issuers: []issuer.Options{issuer.Options(corp)},
	}).Server
	signed := provider.SignIn(t, servertest.ProviderUser)
	a := do(t, "GET", s.URL+"/v1/api/auth/me", nil, "Authorization", "Bearer "+signed.AccessToken)
	var me struct {
		User struct{ ID, Role string }
	}
	if err := json.Unmarshal([]byte(a.body), &me); err != nil || a.status != 200 || me.User.ID != "test:id1" || me.User.Role != "dba" {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	second := provider.SignIn(t, servertest.ProviderUser2).AccessToken
	run(t, s, second, "INSERT INTO chat.messages (id, body) VALUES (5, 'mine')")
	if got := compact(t, rows(t, run(t, s, second, "SELECT id, CURRENT_USER() FROM chat.messages"))); got != `[["5","test:id2"]]` {
		t.Errorf("rows %s", got)
	}
	if got := compact(t, rows(t, run(t, s, signed.AccessToken, "SELECT id FROM chat.messages"))); got != `[]` {
		t.Errorf("another user sees %s", got)
	}
	// Its ID token and its refresh token are no access tokens.
	id, _ := signed.Extra("id_token").(string)
	for name, token := range map[string]string{"ID token": id, "refresh token": signed.RefreshToken, "nothing": "x.y.z"} {
		if token == "" {
			t.Errorf("no %s", name)
		}
		wantError(t, query(t, s, token, "SELECT 1"), 401, "INVALID_CREDENTIALS", "")
	}
	k := dial(t, s, "", "Authorization", "Bearer "+second)
	if f := k.want("auth_success"); f.User != "test:id2" {
		t.Errorf("%s", f.raw)
	}
}
