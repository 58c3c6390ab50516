package identity_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/kalamdb/kalam-go/internal/identity"
)

func TestKeyIsMadeOnceAndClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "keys")
	s := configured(t, identity.Options{KeyDir: dir})
	g := s.login("alice", alicePassword)
	set := s.JWKS()
	wantMode := func(path string, mode os.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("mode of %s is %v", filepath.Base(path), info.Mode())
		}
	}
	file := filepath.Join(dir, "signing-key.pem")
	wantMode(dir, 0o700)
	wantMode(file, 0o600)
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	s.restart()
	wantMode(file, 0o600)
	if !strings.Contains(s.log.String(), "open to other users") {
		t.Errorf("nobody was warned: %q", s.log)
	}
	s.verify(g.AccessToken)
	if !bytes.Equal(set, s.JWKS()) {
		t.Error("the key set changed")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDamagedKeyStopsTheStart(t *testing.T) {
	s := fresh(t, identity.Options{})
	dir := t.TempDir()
	for _, content := range []string{"", "rubbish", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(filepath.Join(dir, "signing-key.pem"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.New(s.db, identity.Options{KeyDir: dir}); err == nil {
			t.Errorf("started with the key %q", content)
		}
	}
	if _, err := identity.New(s.db, identity.Options{}); err == nil {
		t.Error("started without any key")
	}
}

func TestKeySetIsPublic(t *testing.T) {
	s := configured(t, identity.Options{})
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(s.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 1 || !set.Keys[0].IsPublic() || set.Keys[0].Algorithm != "EdDSA" || set.Keys[0].Use != "sig" {
		t.Fatalf("key set is %s", s.JWKS())
	}
	g := s.login("alice", alicePassword)
	parsed, err := jose.ParseSignedCompact(g.AccessToken, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsed.Verify(set.Key(parsed.Signatures[0].Header.KeyID)[0]); err != nil {
		t.Fatalf("a token does not verify with the published key: %v", err)
	}
}

func TestWeakTokenSecretsAreRefused(t *testing.T) {
	s := fresh(t, identity.Options{})
	for _, secret := range []string{
		jwtSecret[:31], "CHANGE_ME_IN_PRODUCTION_PLEASE_NOW_123", "your-256-bit-secret-your-256-bit-secret",
		"kalamdb-dev-secret-key-change-in-production", strings.Repeat("a", 64), strings.Repeat("abc123", 10),
	} {
		_, err := identity.New(s.db, identity.Options{JWTSecret: secret})
		if err == nil {
			t.Errorf("started with %q", secret)
			continue
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	if _, err := identity.New(s.db, identity.Options{JWTSecret: jwtSecret}); err != nil {
		t.Fatal(err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	s := configured(t, identity.Options{JWTSecret: jwtSecret})
	g := s.login("alice", alicePassword)
	n := identity.NewUser{Name: "bob", Auth: "PASSWORD", Secret: "bob's password"}
	prepared, err := s.PrepareUser(t.Context(), root, n)
	if err != nil {
		t.Fatal(err)
	}
	change := identity.UserChange{Name: "alice", Action: "PASSWORD", Value: "bob's password"}
	preparedChange, err := s.PrepareChange(t.Context(), root, change)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, v := range []any{*g, g, n, &n, prepared, *prepared, change, preparedChange, s.options, &s.options, s.Service} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
			fmt.Fprintf(&out, format, v)
		}
		fmt.Fprintf(&out, "%v", []any{v})
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	printed := out.String() + s.log.String()
	for _, secret := range []string{g.AccessToken, g.RefreshToken, "bob's password", "argon2id", jwtSecret, rootPassword} {
		if strings.Contains(printed, secret) || strings.Contains(printed, fmt.Sprintf("%x", secret)) {
			t.Errorf("%q was printed", secret)
		}
	}
}
