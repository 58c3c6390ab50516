package identity_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/keys"
	"github.com/kalamdb/kalam-go/wire"
)

func published(t *testing.T, s *server) []string {
	t.Helper()
	var set struct {
		Keys []struct{ Kid, D, Kty string }
	}
	if err := json.Unmarshal(s.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, k := range set.Keys {
		if k.D != "" || k.Kty != "OKP" {
			t.Errorf("published %+v", k)
		}
		out = append(out, k.Kid)
	}
	return out
}

// reload makes the service look at its folder now.
func (s *server) reload() {
	s.t.Helper()
	if err := s.ReloadKeys(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func TestRotationOverlaps(t *testing.T) {
	dir := t.TempDir()
	s := configured(t, identity.Options{KeyDir: dir})
	old := s.login("alice", alicePassword)
	if len(published(t, s)) != 1 {
		t.Fatal("more than one key at the start")
	}
	made, err := keys.Rotate(dir, s.clock.now(), false)
	if err != nil {
		t.Fatal(err)
	}
	s.reload()
	if got := published(t, s); len(got) != 2 || got[1] != made.ID {
		t.Fatalf("published %v", got)
	}
	if _, err := keys.Rotate(dir, s.clock.now(), false); err == nil {
		t.Error("rotated again before the new key signed")
	}
	before := s.login("alice", alicePassword)
	s.clock.advance(keys.Lead + time.Minute)
	after := s.login("alice", alicePassword)
	if a, b := kid(t, before.AccessToken), kid(t, after.AccessToken); a == b || b != made.ID || a != kid(t, old.AccessToken) {
		t.Errorf("signed by %s before and %s after the change to %s", a, b, made.ID)
	}
	s.verify(before.AccessToken)
	s.verify(after.AccessToken)
	s.restart() // both go on from the files
	s.verify(before.AccessToken)
	s.verify(after.AccessToken)
	// The old key ends with the last token it signed.
	s.clock.advance(time.Hour - keys.Lead)
	s.refusedToken(before.AccessToken, wire.CodeTokenExpired)
	s.refresh(before.RefreshToken)
	for _, name := range []string{"signing-key.pem", filepath.Base(files(t, dir)[0])} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "signing-key-*.pem"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no rotated key: %v", err)
	}
	return list
}

func kid(t *testing.T, token string) string {
	t.Helper()
	header := segment(t, token, 0)
	id, _ := header["kid"].(string)
	return id
}

func TestEmergencyRotationVoidsEveryAccessToken(t *testing.T) {
	dir := t.TempDir()
	s := configured(t, identity.Options{KeyDir: dir})
	g := s.login("alice", alicePassword)
	p := s.verify(g.AccessToken)
	changed := s.Watch()
	if _, err := keys.Rotate(dir, s.clock.now(), true); err != nil {
		t.Fatal(err)
	}
	s.reload()
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was told")
	}
	if s.Valid(p) {
		t.Error("a token of the removed key is valid")
	}
	s.refusedToken(g.AccessToken, wire.CodeInvalidCredentials)
	s.verify(s.refresh(g.RefreshToken).AccessToken)
	if got := published(t, s); len(got) != 1 {
		t.Errorf("published %v", got)
	}
}

// TestRunningServerNoticesRotation waits for the service to look by itself.
func TestRunningServerNoticesRotation(t *testing.T) {
	dir := t.TempDir()
	s := configured(t, identity.Options{KeyDir: dir})
	if _, err := keys.Rotate(dir, s.clock.now(), false); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); len(published(t, s)) != 2; {
		if time.Now().After(deadline) {
			t.Fatal("the new key is not published")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
