package identity_test

import (
	"context"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// makeKey makes an API key of root.
func makeKey(tb testing.TB, s *identity.Service, n identity.NewAPIKey) string {
	tb.Helper()
	g, err := s.Login(tb.Context(), "root", rootPassword, "")
	if err != nil {
		tb.Fatal(err)
	}
	root, err := s.Verify(tb.Context(), g.AccessToken)
	if err != nil {
		tb.Fatal(err)
	}
	key := ""
	err = s.Write(tb.Context(), func(tx *store.Tx, trail *identity.Trail) (err error) {
		_, key, err = s.CreateAPIKey(tx, trail, root, &n, "192.0.2.1")
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// A key is found by secret scanners: it has one mark, one length, and a checksum
// that follows from the rest.
func TestAPIKeyHasOneForm(t *testing.T) {
	s, db := open(t)
	defer db.Close()
	defer s.Close()
	form := regexp.MustCompile(`^kalam_[0-9A-Za-z]{57}$`)
	seen := make(map[string]bool)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		key := makeKey(t, s, identity.NewAPIKey{Name: name})
		if !form.MatchString(key) || seen[key[6:14]] {
			t.Errorf("key %q", key)
		}
		seen[key[6:14]] = true
		for i := 6; i < len(key); i++ { // no character may change
			other := "a"
			if key[i] == 'a' {
				other = "b"
			}
			if p, err := s.Verify(t.Context(), key[:i]+other+key[i+1:]); err == nil {
				t.Fatalf("a key with another character at %d is that of %s", i, p.UserID)
			}
		}
		if _, err := s.Verify(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
}

var selectLastUse = &store.Stmt{SQL: "SELECT last_used_at FROM api_keys", Cols: []wire.Type{{Kind: wire.BigInt}}}

// The last use of a key is known to the minute, with a write of its own for no
// request: thousands in a minute are one.
func TestLastUseOfAPIKeyIsRecordedNowAndThen(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		driver, err := sqlite.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		db, err := store.Open(context.Background(), driver, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		s, err := identity.New(db, identity.Options{KeyDir: t.TempDir(), RootPassword: rootPassword})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		key := makeKey(t, s, identity.NewAPIKey{Name: "ci"})
		recorded := func() (at int64) {
			t.Helper()
			if err := s.RecordKeyUses(t.Context()); err != nil {
				t.Fatal(err)
			}
			err := db.Query(t.Context(), selectLastUse, nil, func(row []wire.Value) error {
				at = row[0].Int()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		use := func() {
			t.Helper()
			if _, err := s.Verify(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		if at := recorded(); at != 0 {
			t.Errorf("never used, but at %d", at)
		}
		first := time.Now().UnixMicro()
		use()
		if at := recorded(); at != first {
			t.Errorf("used at %d, recorded %d", first, at)
		}
		for range 59 {
			time.Sleep(time.Second)
			use()
		}
		if at := recorded(); at != first {
			t.Errorf("a use within the minute is recorded: %d after the first", at-first)
		}
		time.Sleep(time.Second)
		second := time.Now().UnixMicro()
		for range 1000 {
			use()
		}
		if at := recorded(); at != second {
			t.Errorf("used at %d, recorded %d", second, at)
		}
		time.Sleep(time.Hour)
		third := time.Now().UnixMicro()
		use()
		if err := s.Close(); err != nil { // writes down the rest
			t.Fatal(err)
		}
		if at := recorded(); at != third {
			t.Errorf("used at %d, recorded %d", third, at)
		}
	})
}

// A key that was verified before costs a hash and a look-up.
func BenchmarkVerifyAPIKey(b *testing.B) {
	s, db := open(b)
	defer db.Close()
	key := makeKey(b, s, identity.NewAPIKey{Name: "ci", Namespaces: []string{"app"}, ExpiresAt: time.Now().Add(time.Hour)})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(b.Context(), key); err != nil {
			b.Fatal(err)
		}
	}
}
