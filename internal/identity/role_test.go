package identity_test

import (
	"testing"

	"github.com/kalamdb/kalam-go/internal/identity"
)

func TestRoleWords(t *testing.T) {
	words := map[string]string{
		"user": "user", "viewer": "user", "readonly": "user", "service": "service", "developer": "service",
		"analyst": "service", "dba": "dba", "admin": "dba", "system": "system", "Admin": "dba",
		"anonymous": "", "": "", "root": "",
	}
	for word, want := range words {
		if role, ok := identity.ParseRole(word); role != want || ok != (want != "") {
			t.Errorf("%q is %q, %v", word, role, ok)
		}
	}
}

func TestImpersonationMatrix(t *testing.T) {
	targets := []string{"system", "dba", "service", "user", "anonymous", ""}
	matrix := map[string][]bool{
		"system":    {true, true, true, true, false, false},
		"dba":       {false, true, true, true, false, false},
		"service":   {false, false, true, true, false, false},
		"user":      {false, false, false, false, false, false},
		"anonymous": {false, false, false, false, false, false},
		"":          {false, false, false, false, false, false},
	}
	for actor, row := range matrix {
		for i, target := range targets {
			if got := identity.MayImpersonate(actor, target); got != row[i] {
				t.Errorf("%q as %q: %v", actor, target, got)
			}
		}
	}
}
