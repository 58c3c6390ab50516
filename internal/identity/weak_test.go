package identity_test

import (
	"context"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

func TestWeakRootPasswordIsForThisMachineOnly(t *testing.T) {
	for weak, key := range map[string]string{"kalamdb123": "auth.disable_common_password_check", "password": "auth.disable_common_password_check", "x7#k": "auth.min_password_length"} {
		s := fresh(t, identity.Options{})
		start := func(o identity.Options) error {
			o.KeyDir, o.Now, o.Logger = s.options.KeyDir, s.options.Now, s.options.Logger
			service, err := identity.New(s.db, o)
			if err == nil {
				s.Service = service
				t.Cleanup(func() { service.Close() })
			}
			return err
		}
		refused := func(o identity.Options) {
			t.Helper()
			err := start(o)
			if err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), weak) && weak != "password" {
				t.Errorf("%s: got %v, want a refusal that names %s", weak, err, key)
			}
		}
		refused(identity.Options{RootPassword: weak})
		if err := start(identity.Options{RootPassword: weak, Loopback: true}); err != nil {
			t.Fatal(err)
		}
		if log := s.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, key) || strings.Contains(log, "="+weak) {
			t.Errorf("%s: the log has %s", weak, log)
		}
		s.login("root", weak)
		// It is still weak when others reach the server, whether or not it is configured again.
		refused(identity.Options{RootPassword: weak})
		refused(identity.Options{})
		if err := start(identity.Options{CommonPasswords: true, MinPasswordLength: 4}); err != nil {
			t.Errorf("%s: permitted: %v", weak, err)
		}
		if err := start(identity.Options{Loopback: true}); err != nil {
			t.Fatal(err)
		}
		if err := s.ResetPassword(context.Background(), "root", "a much better one"); err != nil {
			t.Fatal(err)
		}
		if err := start(identity.Options{}); err != nil {
			t.Errorf("%s: with a better password: %v", weak, err)
		}
	}
	// What no key permits is refused here too.
	s := fresh(t, identity.Options{})
	for _, bad := range []string{"root@localhost", strings.Repeat("x", 300), "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, err := identity.New(s.db, identity.Options{KeyDir: s.options.KeyDir, RootPassword: bad, Loopback: true}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestOperatorChoosesThePasswordRules(t *testing.T) {
	s := configured(t, identity.Options{CommonPasswords: true, MinPasswordLength: 6})
	for password, good := range map[string]bool{"kalamdb123": true, "password": true, "123456": true, "12345": false, "": false, "eve": false} {
		err := s.tryCreate(root, identity.NewUser{Name: "eve" + password, Auth: "PASSWORD", Secret: password})
		if good && err != nil {
			t.Errorf("CREATE USER with %q: %v", password, err)
		}
		if !good {
			wantCode(t, err, wire.CodeWeakPassword)
		}
	}
	s.alter(root, "alice", "PASSWORD", "kalamdb123")
	wantCode(t, s.tryAlter(root, "alice", "PASSWORD", "short"), wire.CodeWeakPassword)
	p := s.verify(s.login("alice", "kalamdb123").AccessToken)
	if err := s.ChangePassword(t.Context(), p, "kalamdb123", "password", ""); err != nil {
		t.Error(err)
	}
	wantCode(t, s.ChangePassword(t.Context(), p, "password", "12345", ""), wire.CodeWeakPassword)
	// Without the operator's word they are refused, short ones that are common too.
	s = configured(t, identity.Options{MinPasswordLength: 6})
	wantCode(t, s.tryAlter(root, "alice", "PASSWORD", "123456"), wire.CodeWeakPassword)
	wantCode(t, s.tryAlter(root, "alice", "PASSWORD", "kalamdb123"), wire.CodeWeakPassword)
}

func TestPasswordThatIsTheSameEndsNoSession(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	p := s.verify(g.AccessToken)
	s.alter(root, "alice", "PASSWORD", alicePassword)
	if err := s.ResetPassword(t.Context(), "alice", alicePassword); err != nil {
		t.Fatal(err)
	}
	if !s.Valid(p) {
		t.Error("the session has ended")
	}
	g = s.refresh(g.RefreshToken)
	s.login("alice", alicePassword)
	s.alter(root, "alice", "PASSWORD", "another one of hers")
	if s.Valid(p) {
		t.Error("the session is there after another password")
	}
	s.refusedRefresh(g.RefreshToken)
}
