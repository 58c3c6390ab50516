package identity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

func TestCreatedUserIsStored(t *testing.T) {
	s := configured(t, identity.Options{})
	s.create(identity.NewUser{Name: "svc", Auth: "password", Secret: alicePassword, Role: "Developer", Email: "svc@example.com"})
	u, err := s.User(t.Context(), "svc")
	if err != nil {
		t.Fatal(err)
	}
	now := s.clock.now()
	if u.ID != "svc" || u.Role != identity.RoleService || u.Email != "svc@example.com" || u.AuthType != identity.AuthPassword ||
		u.Disabled || !u.CreatedAt.Equal(now) || !u.UpdatedAt.Equal(now) || !u.LastLoginAt.IsZero() {
		t.Fatalf("user is %+v", u)
	}
	_, err = s.User(t.Context(), "nobody")
	wantCode(t, err, wire.CodeUserNotFound)
	wantCode(t, s.tryCreate(root, identity.NewUser{Name: "svc", Auth: "INTERNAL"}), wire.CodeAlreadyExists)
}

func TestUserNames(t *testing.T) {
	s := configured(t, identity.Options{})
	for _, name := range []string{
		"", " ", " x", "x ", "a:b", "a..b", "a/b", `a\b`, "a\x00b", "a\nb", "a\u200bb", "a\u202eb", "a\xffb", strings.Repeat("x", 129),
	} {
		wantCode(t, s.tryCreate(root, identity.NewUser{Name: name, Auth: "INTERNAL"}), identity.CodeInvalidUser)
	}
	for _, name := range []string{"a.b", "O'Brien", "名前", "a b", "x@example.com", strings.Repeat("x", 128)} {
		s.create(identity.NewUser{Name: name, Auth: "INTERNAL"})
	}
	s.create(identity.NewUser{Name: "ju\u0308rgen", Auth: "PASSWORD", Secret: alicePassword})
	wantCode(t, s.tryCreate(root, identity.NewUser{Name: "j\u00fcrgen", Auth: "INTERNAL"}), wire.CodeAlreadyExists)
	for _, name := range []string{"j\u00fcrgen", "ju\u0308rgen"} {
		if g := s.login(name, alicePassword); g.User.ID != "j\u00fcrgen" {
			t.Errorf("logged in as %q", g.User.ID)
		}
	}
}

func TestOIDCUsersAreIssuerAndSubject(t *testing.T) {
	s := configured(t, identity.Options{})
	oidc := func(name, data string) error {
		return s.tryCreate(root, identity.NewUser{Name: name, Auth: "OIDC", Secret: data})
	}
	for _, data := range []string{
		"", "{}", "x", `{"issuer":"https://id.example"}`, `{"subject":"1"}`, `{"issuer":"kalamdb","subject":"1"}`,
		`{"issuer":"https://id.example","subject":"1"} x`, `{"issuer":"https://id.example","subject":"1","role":"dba"}`,
	} {
		wantCode(t, oidc("ext", data), wire.CodeInvalidInput)
	}
	if err := oidc("corp:ext", `{ "subject" : "1", "issuer" : "https://id.example" }`); err != nil {
		t.Fatal(err)
	}
	if data := s.text("SELECT auth_data FROM users WHERE user_id = 'corp:ext'")[0]; data != `{"issuer":"https://id.example","subject":"1"}` {
		t.Errorf("stored %s", data)
	}
	wantCode(t, oidc("other", `{"issuer":"https://id.example","subject":"1"}`), wire.CodeAlreadyExists)
	if err := oidc("old", `{"provider":"google","subject":"1"}`); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.tryAlter(root, "old", "PASSWORD", alicePassword), wire.CodeInvalidInput)
}

func TestOnlyAdminsManageUsers(t *testing.T) {
	s := configured(t, identity.Options{})
	s.create(identity.NewUser{Name: "boss", Auth: "INTERNAL", Role: "system"})
	for _, actor := range []*identity.Principal{nil, {UserID: "alice", Role: identity.RoleUser}, {UserID: "w", Role: identity.RoleService}} {
		wantCode(t, s.tryCreate(actor, identity.NewUser{Name: "x", Auth: "INTERNAL"}), wire.CodePermissionDenied)
		wantCode(t, s.drop(actor, "alice"), wire.CodePermissionDenied)
		wantCode(t, s.drop(actor, "nobody"), wire.CodePermissionDenied) // says nothing of who exists
		if actor != nil {
			wantCode(t, s.tryAlter(actor, "alice", "PASSWORD", "a new password"), wire.CodePermissionDenied)
		}
	}
	// A dba neither makes nor touches a system user.
	wantCode(t, s.tryCreate(dba, identity.NewUser{Name: "x", Auth: "INTERNAL", Role: "system"}), wire.CodePermissionDenied)
	wantCode(t, s.tryAlter(dba, "alice", "ROLE", "system"), wire.CodePermissionDenied)
	for _, name := range []string{"root", "boss"} {
		wantCode(t, s.tryAlter(dba, name, "PASSWORD", "a new password"), wire.CodePermissionDenied)
		wantCode(t, s.tryAlter(dba, name, "EMAIL", "x@example.com"), wire.CodePermissionDenied)
		wantCode(t, s.drop(dba, name), wire.CodePermissionDenied)
	}
	if err := s.tryCreate(dba, identity.NewUser{Name: "second", Auth: "INTERNAL", Role: "admin"}); err != nil {
		t.Fatal(err)
	}
	// Root stays what it is, also for itself.
	wantCode(t, s.tryAlter(root, "root", "ROLE", "dba"), wire.CodePermissionDenied)
	wantCode(t, s.tryAlter(root, "root", "DISABLE", ""), wire.CodePermissionDenied)
	wantCode(t, s.drop(root, "root"), wire.CodePermissionDenied)
	s.alter(root, "root", "ROLE", "system")

	wantCode(t, s.tryAlter(root, "nobody", "ROLE", "dba"), wire.CodeUserNotFound)
	wantCode(t, s.tryAlter(root, "alice", "ROLE", "king"), wire.CodeInvalidInput)
	wantCode(t, s.tryAlter(root, "alice", "SHOES", "blue"), wire.CodeInvalidInput)
	wantCode(t, s.tryAlter(root, "alice", "EMAIL", "a\nb"), wire.CodeInvalidInput)
	wantCode(t, s.drop(root, "nobody"), wire.CodeUserNotFound)
}

func TestChangesThatEndAllSessions(t *testing.T) {
	tests := map[string]struct {
		change func(s *server) error
		login  bool // possible afterwards
	}{
		"role":     {func(s *server) error { return s.tryAlter(dba, "alice", "ROLE", "service") }, true},
		"disable":  {func(s *server) error { return s.tryAlter(dba, "alice", "DISABLE", "") }, false},
		"password": {func(s *server) error { return s.tryAlter(dba, "alice", "PASSWORD", "new "+alicePassword) }, false},
		"drop":     {func(s *server) error { return s.drop(dba, "alice") }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := configured(t, identity.Options{})
			s.create(identity.NewUser{Name: "bob", Auth: "PASSWORD", Secret: alicePassword})
			bob := s.login("bob", alicePassword)
			one, two := s.login("alice", alicePassword), s.login("alice", alicePassword)
			held, other := s.verify(one.AccessToken), s.verify(bob.AccessToken)
			changed := s.Watch()
			if err := test.change(s); err != nil {
				t.Fatal(err)
			}
			wantClosed(t, changed)
			if s.Valid(held) || !s.Valid(other) {
				t.Errorf("valid: alice %v, bob %v", s.Valid(held), s.Valid(other))
			}
			for _, g := range []*identity.Grant{one, two} {
				s.refusedToken(g.AccessToken, wire.CodeInvalidCredentials)
				s.refusedRefresh(g.RefreshToken)
			}
			s.verify(bob.AccessToken)
			_, err := s.Login(t.Context(), "alice", alicePassword, "")
			if (err == nil) != test.login {
				t.Errorf("login afterwards: %v", err)
			}
			s.restart()
			s.refusedToken(one.AccessToken, wire.CodeInvalidCredentials)
			s.verify(bob.AccessToken)
		})
	}
}

func TestDisabledUserComesBack(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	s.alter(dba, "alice", "DISABLE", "")
	if u, err := s.User(t.Context(), "alice"); err != nil || !u.Disabled {
		t.Fatalf("%+v, %v", u, err)
	}
	s.alter(dba, "alice", "ENABLE", "")
	s.refusedToken(g.AccessToken, wire.CodeInvalidCredentials) // ended is ended
	s.verify(s.login("alice", alicePassword).AccessToken)
}

func TestOwnPasswordEndsTheOtherSessions(t *testing.T) {
	s := configured(t, identity.Options{})
	s.create(identity.NewUser{Name: "admin", Auth: "PASSWORD", Secret: "first password", Role: "dba"})
	here, there := s.login("admin", "first password"), s.login("admin", "first password")
	me, other := s.verify(here.AccessToken), s.verify(there.AccessToken)
	s.alter(me, "admin", "PASSWORD", "second password")
	if !s.Valid(me) || s.Valid(other) {
		t.Fatalf("valid: this session %v, the other %v", s.Valid(me), s.Valid(other))
	}
	s.verify(here.AccessToken)
	s.refresh(here.RefreshToken)
	s.refusedToken(there.AccessToken, wire.CodeInvalidCredentials)
	s.refusedRefresh(there.RefreshToken)
	s.login("admin", "second password")
}

func TestAddressChangeEndsNothing(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	p := s.verify(g.AccessToken)
	s.alter(dba, "alice", "EMAIL", "new@example.com")
	s.alter(dba, "alice", "ROLE", "user") // which it is already
	if !s.Valid(p) {
		t.Error("the session ended")
	}
	if g = s.refresh(g.RefreshToken); g.User.Email != "new@example.com" {
		t.Errorf("address is %q", g.User.Email)
	}
	s.alter(dba, "alice", "EMAIL", "")
	if u, _ := s.User(t.Context(), "alice"); u.Email != "" {
		t.Errorf("address is %q", u.Email)
	}
}

func TestChangeRolledBackRevokesNothing(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	p := s.verify(g.AccessToken)
	stop := errors.New("stop")
	err := s.Write(t.Context(), func(tx *store.Tx, trail *identity.Trail) error {
		if err := s.DropUser(tx, trail, dba, "alice", "", false); err != nil {
			return err
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if !s.Valid(p) {
		t.Fatal("revoked by a transaction that was rolled back")
	}
	s.refresh(g.RefreshToken)
}

func TestDroppedUserIsGoneButKeepsTheName(t *testing.T) {
	s := configured(t, identity.Options{})
	if err := s.drop(dba, "alice"); err != nil {
		t.Fatal(err)
	}
	_, err := s.User(t.Context(), "alice")
	wantCode(t, err, wire.CodeUserNotFound)
	_, err = s.User(t.Context(), "alice")
	wantCode(t, err, wire.CodeUserNotFound)
	wantCode(t, s.drop(dba, "alice"), wire.CodeUserNotFound)
	wantCode(t, s.tryAlter(dba, "alice", "ENABLE", ""), wire.CodeUserNotFound)
	wantCode(t, s.tryCreate(dba, identity.NewUser{Name: "alice", Auth: "INTERNAL"}), wire.CodeAlreadyExists)
	if kept := s.text("SELECT user_id || password_hash FROM users WHERE deleted_at IS NOT NULL"); len(kept) != 1 || kept[0] != "alice" {
		t.Fatalf("kept %v", kept)
	}
}

func TestPasswordChangedDuringLogin(t *testing.T) {
	s := configured(t, identity.Options{})
	changed := false
	s.clock.interrupt(1, func() {
		s.alter(dba, "alice", "PASSWORD", "changed by an admin")
		changed = true
	})
	_, err := s.Login(t.Context(), "alice", alicePassword, "")
	wantCode(t, err, wire.CodeInvalidCredentials)
	if open := s.text("SELECT session_id FROM sessions WHERE ended_at IS NULL"); !changed || len(open) != 0 {
		t.Fatalf("changed %v, open sessions %v", changed, open)
	}
}

func TestRevocationDuringVerify(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	for n := 1; n <= 2; n++ { // before and after the look into the database
		s.restart() // nothing is cached
		g = s.login("alice", alicePassword)
		done := false
		s.clock.interrupt(n, func() {
			s.logout(g.RefreshToken)
			done = true
		})
		s.refusedToken(g.AccessToken, wire.CodeInvalidCredentials)
		if !done {
			t.Fatal("nothing happened meanwhile")
		}
	}
}
