package identity_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

func TestFirstStartMakesRootWithoutPassword(t *testing.T) {
	s := fresh(t, identity.Options{})
	u, err := s.User(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	if u.Role != identity.RoleSystem || u.AuthType != identity.AuthInternal || u.Email != "root@localhost" {
		t.Fatalf("root is %+v", u)
	}
	needed, err := s.NeedsSetup(t.Context())
	if err != nil || !needed {
		t.Fatalf("needs setup: %v, %v", needed, err)
	}
	for _, user := range []string{"root", "alice"} {
		for _, password := range []string{"", "something"} {
			_, err := s.Login(t.Context(), user, password, "")
			wantCode(t, err, wire.CodeSetupRequired)
		}
	}
	_, err = s.Verify(t.Context(), "some.thing.else")
	wantCode(t, err, wire.CodeSetupRequired)
}

func TestSetupMakesDBAAndRootPassword(t *testing.T) {
	s := fresh(t, identity.Options{})
	u, err := s.Setup(t.Context(), "admin", "first admin's", "root's password", "a@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if u.ID != "admin" || u.Role != identity.RoleDBA || u.Email != "a@example.com" || !u.CreatedAt.Equal(s.clock.now()) {
		t.Fatalf("made %+v", u)
	}
	if needed, _ := s.NeedsSetup(t.Context()); needed {
		t.Fatal("setup is still needed")
	}
	if g := s.login("admin", "first admin's"); s.verify(g.AccessToken).Role != identity.RoleDBA {
		t.Fatal("admin is no dba")
	}
	s.login("root", "root's password")
	for _, password := range []string{"first admin's", "weak"} { // said before anything else
		_, err = s.Setup(t.Context(), "other", password, "root's password", "")
		wantCode(t, err, identity.CodeAlreadyConfigured)
	}
	s.restart()
	if needed, _ := s.NeedsSetup(t.Context()); needed {
		t.Fatal("setup is needed again after a restart")
	}
}

func TestSetupRefusals(t *testing.T) {
	s := fresh(t, identity.Options{})
	s.create(identity.NewUser{Name: "taken", Auth: "INTERNAL"})
	tests := []struct {
		user, password, rootPassword, email string
		code                                wire.Code
		message                             string
	}{
		{"admin", "short", "long enough 1", "", wire.CodeWeakPassword, "DBA user password: "},
		{"admin", "long enough 1", "12345678", "", wire.CodeWeakPassword, "Root password: "},
		{"admin", "admin", "short", "", wire.CodeWeakPassword, "; Root password: "},
		{"admin:x", "short", "long enough 1", "", wire.CodeWeakPassword, "DBA user password: "},
		{"admin:x", "long enough 1", "long enough 2", "", identity.CodeInvalidUser, "colon"},
		{"root", "long enough 1", "long enough 2", "", identity.CodeInvalidUser, "root"},
		{" ", "long enough 1", "long enough 2", "", identity.CodeInvalidUser, "empty"},
		{"taken", "long enough 1", "long enough 2", "", identity.CodeUserExists, "taken"},
	}
	for _, test := range tests {
		_, err := s.Setup(t.Context(), test.user, test.password, test.rootPassword, test.email)
		wantCode(t, err, test.code)
		if !strings.Contains(err.Error(), test.message) {
			t.Errorf("%q: got %q, want it to hold %q", test.user, err, test.message)
		}
	}
	// Nothing of a failed setup remains: it can be repeated.
	if needed, _ := s.NeedsSetup(t.Context()); !needed {
		t.Fatal("a failed setup left a root password")
	}
	if _, err := s.Setup(t.Context(), "admin", "long enough 1", "long enough 2", ""); err != nil {
		t.Fatal(err)
	}
}

func TestOneOfTwoSetupsAtOnceWins(t *testing.T) {
	s := fresh(t, identity.Options{})
	errs := make([]error, 2)
	var all sync.WaitGroup
	for i, name := range []string{"ann", "ben"} {
		all.Go(func() { _, errs[i] = s.Setup(t.Context(), name, "long enough 1", "long enough 2", "") })
	}
	all.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("both had the outcome %v", errs[0])
	}
	for _, err := range errs {
		if err != nil {
			wantCode(t, err, identity.CodeAlreadyConfigured)
		}
	}
	if n := len(s.text("SELECT user_id FROM users")); n != 2 {
		t.Fatalf("%d users", n)
	}
}

func TestRootPasswordFromOptions(t *testing.T) {
	s := fresh(t, identity.Options{})
	s.options.RootPassword = rootPassword
	s.restart()
	if needed, _ := s.NeedsSetup(t.Context()); needed {
		t.Fatal("setup is needed with a configured root password")
	}
	s.login("root", rootPassword)

	s.options.RootPassword = "another password"
	s.restart()
	s.login("root", rootPassword) // one that was set stays

	if _, err := identity.New(s.db, identity.Options{KeyDir: t.TempDir(), RootPassword: "x"}); err != nil {
		t.Fatalf("a root password that is not used was checked: %v", err)
	}
	s.exec("UPDATE users SET password_hash = '' WHERE user_id = 'root'")
	_, err := identity.New(s.db, identity.Options{KeyDir: t.TempDir(), RootPassword: "x"})
	wantCode(t, err, wire.CodeWeakPassword)
}
