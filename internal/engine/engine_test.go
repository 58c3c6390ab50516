package engine_test

import (
	"context"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	root  = &identity.Principal{UserID: "root", Role: identity.RoleSystem}
	alice = &identity.Principal{UserID: "alice", Role: identity.RoleUser}
	bob   = &identity.Principal{UserID: "bob", Role: identity.RoleUser}
)

func open(t testing.TB) *engine.Engine {
	t.Helper()
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
	return engine.New(db, users, engine.Options{})
}

// do runs a statement that must succeed and returns its last result.
func do(t testing.TB, e *engine.Engine, who *identity.Principal, sql string, params ...wire.Value) wire.Result {
	t.Helper()
	res, err := e.Run(context.Background(), who, &wire.Request{SQL: sql, Params: params})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return res[len(res)-1]
}

func TestEachUserSeesOwnRows(t *testing.T) {
	e := open(t)
	do(t, e, root, "CREATE NAMESPACE chat")
	do(t, e, root, "CREATE USER TABLE chat.messages (id BIGINT PRIMARY KEY, body TEXT NOT NULL)")
	do(t, e, alice, "INSERT INTO chat.messages VALUES (1, 'from alice')")
	do(t, e, bob, "INSERT INTO chat.messages VALUES ($1, $2)", wire.IntValue(1), wire.TextValue("from bob"))
	for who, want := range map[*identity.Principal]string{alice: "from alice", bob: "from bob"} {
		res := do(t, e, who, "SELECT body FROM chat.messages WHERE id = 1")
		if len(res.Rows) != 1 || res.Rows[0][0].Text() != want {
			t.Errorf("%s sees %v, want %q", who.UserID, res.Rows, want)
		}
	}
	if res := do(t, e, root, "SELECT count(*) FROM chat.messages"); res.Rows[0][0].Int() != 0 {
		t.Errorf("root counts %v rows of others", res.Rows)
	}
	if res := do(t, e, bob, "UPDATE chat.messages SET body = 'x'"); res.RowCount != 1 {
		t.Errorf("bob updated %d rows, want his one", res.RowCount)
	}
	if res := do(t, e, alice, "DELETE FROM chat.messages RETURNING *"); res.RowCount != 1 || res.Rows[0][1].Text() != "from alice" {
		t.Errorf("alice deleted %v", res.Rows)
	}
}
