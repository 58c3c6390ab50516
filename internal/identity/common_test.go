package identity_test

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// TestCommonPasswordsAreThousands looks for some of each kind that people
// choose, and that what is only like one of them is let through.
func TestCommonPasswordsAreThousands(t *testing.T) {
	if n := identity.CommonPasswords(); n < 3000 {
		t.Fatalf("%d common passwords are known", n)
	}
	s := configured(t, identity.Options{})
	try := func(password string) error {
		return s.tryCreate(root, identity.NewUser{Name: "eve", Auth: "PASSWORD", Email: "eve@example.com", Secret: password})
	}
	for _, bad := range []string{
		"password", "Password", "PASSWORD1", "12345678", "qwertyuiop", "iloveyou", "1q2w3e4r", "liverpool1", "princess", "football1", "trustno1",
		"ｐａｓｓｗｏｒｄ", "kalamdb1", "KalamDB!", "kalamkalam", "kalamdb2026!", "EVE@example.com",
	} {
		err := try(bad)
		if err == nil {
			t.Fatalf("%q was accepted", bad)
		}
		wantCode(t, err, wire.CodeWeakPassword)
		if bad != "password" && strings.Contains(err.Error(), bad) {
			t.Errorf("the refusal quotes the password: %v", err)
		}
	}
	// Whole passwords count, not parts of them.
	if err := try("Secret123!"); err != nil {
		t.Error(err)
	}
	for i, good := range []string{"my password is long", "kalamdb is where eve's data is"} {
		if err := s.tryCreate(root, identity.NewUser{Name: "eve" + string(rune('a'+i)), Auth: "PASSWORD", Secret: good}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}
