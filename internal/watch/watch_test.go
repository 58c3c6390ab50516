package watch_test

import (
	"context"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/internal/watch"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	root  = &identity.Principal{UserID: "root", Role: identity.RoleSystem}
	alice = &identity.Principal{UserID: "alice", Role: identity.RoleUser}
)

// open starts an engine and the live queries on it.
func open(t testing.TB) (*engine.Engine, *watch.Service) {
	dir := t.TempDir()
	driver, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), driver, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	users, err := identity.New(db, identity.Options{KeyDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { users.Close() })
	e := engine.New(db, users, engine.Options{})
	return e, watch.New(db, e, watch.Options{})
}

func do(t testing.TB, e *engine.Engine, who *identity.Principal, sql string) {
	t.Helper()
	if _, err := e.Run(context.Background(), who, &wire.Request{SQL: sql}); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
