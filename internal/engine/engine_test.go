package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

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

func open(t testing.TB) *engine.Engine { return start(t, engine.Options{}, nil) }

func openWith(t testing.TB, o engine.Options) *engine.Engine { return start(t, o, nil) }

func openAt(t testing.TB, now func() time.Time) *engine.Engine {
	return start(t, engine.Options{}, now)
}

func start(t testing.TB, o engine.Options, now func() time.Time) *engine.Engine {
	t.Helper()
	e, _ := startWith(t, o, store.Options{Now: now})
	return e
}

func startWith(t testing.TB, o engine.Options, so store.Options) (*engine.Engine, *store.DB) {
	t.Helper()
	dir := t.TempDir()
	driver, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), driver, so)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	users, err := identity.New(db, identity.Options{KeyDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { users.Close() })
	if err := db.AddSystem(t.Context(), users.System()...); err != nil {
		t.Fatal(err)
	}
	return engine.New(db, users, o), db
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

// fails runs a request that must fail and returns the error.
func fails(t *testing.T, e *engine.Engine, who *identity.Principal, req *wire.Request) *wire.Error {
	t.Helper()
	_, err := e.Run(context.Background(), who, req)
	var coded *wire.Error
	if !errors.As(err, &coded) {
		t.Fatalf("%v: got %v, want a coded error", req, err)
	}
	return coded
}

func notes(t *testing.T) *engine.Engine {
	e := open(t)
	do(t, e, root, "CREATE NAMESPACE app")
	do(t, e, root, "CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT, at TIMESTAMP, price DECIMAL(8,2))")
	return e
}

func TestParametersTakeTheTypeOfTheirPlace(t *testing.T) {
	e := notes(t)
	do(t, e, alice, "INSERT INTO app.notes VALUES ($1, $2, $3, $4)",
		wire.TextValue("9007199254740993"), wire.TextValue("x"), wire.TextValue("2024-01-31T12:00:00Z"), wire.FloatValue(1.5))
	res := do(t, e, alice, "SELECT id, at, price FROM app.notes WHERE id = $1 AND price < $2", wire.TextValue("9007199254740993"), wire.IntValue(2))
	if len(res.Rows) != 1 || res.Rows[0][0].Int() != 9007199254740993 || res.Rows[0][1].Int() != 1706702400000000 || res.Rows[0][2].Text() != "1.50" {
		t.Errorf("got %v", res.Rows)
	}
	// The same text again, with a parameter of another form.
	if res := do(t, e, alice, "SELECT id FROM app.notes WHERE id = $1 AND price < $2", wire.IntValue(9007199254740993), wire.TextValue("1.51")); len(res.Rows) != 1 {
		t.Errorf("got %v", res.Rows)
	}
}

func TestWrongParametersAreRefused(t *testing.T) {
	e := notes(t)
	many := make([]wire.Value, 51)
	for name, c := range map[string]struct {
		req  wire.Request
		code wire.Code
	}{
		"too few":        {wire.Request{SQL: "SELECT $1, $2", Params: many[:1]}, wire.CodeParameterCount},
		"too many":       {wire.Request{SQL: "SELECT $1", Params: many[:2]}, wire.CodeParameterCount},
		"over the limit": {wire.Request{SQL: "SELECT 1", Params: many}, wire.CodeInvalidParameter},
		"too large":      {wire.Request{SQL: "SELECT $1", Params: []wire.Value{wire.TextValue(strings.Repeat("x", 512<<10+1))}}, wire.CodeInvalidParameter},
		"with a batch":   {wire.Request{SQL: "SELECT $1; SELECT 2", Params: many[:1]}, wire.CodeParamsWithBatch},
		"not a number":   {wire.Request{SQL: "SELECT * FROM app.notes WHERE id = $1", Params: []wire.Value{wire.TextValue("one")}}, wire.CodeInvalidText},
		"out of range":   {wire.Request{SQL: "SELECT * FROM app.notes WHERE id = $1", Params: []wire.Value{wire.TextValue("9223372036854775808")}}, wire.CodeNumericOutOfRange},
	} {
		t.Run(name, func(t *testing.T) {
			if err := fails(t, e, alice, &c.req); err.Code != c.code {
				t.Errorf("got %s %s, want %s", err.Code, err.Message, c.code)
			}
		})
	}
}

func TestStatementsAreOneTransaction(t *testing.T) {
	e := notes(t)
	insert := "INSERT INTO app.notes (id, body) VALUES ($1, $2)"
	batch := func(ids ...int64) *wire.Request {
		req := &wire.Request{IsBatch: true}
		for _, id := range ids {
			req.Statements = append(req.Statements, wire.Statement{SQL: insert, Params: []wire.Value{wire.IntValue(id), wire.TextValue("x")}})
		}
		return req
	}
	res, err := e.Run(context.Background(), alice, batch(1, 2))
	if err != nil || len(res) != 2 {
		t.Fatalf("got %v, %v", res, err)
	}
	if err := fails(t, e, alice, batch(3, 1)); err.Code != wire.CodeUniqueViolation || err.Statement != 2 {
		t.Errorf("got %+v", err)
	}
	if res := do(t, e, alice, "SELECT count(*) FROM app.notes"); res.Rows[0][0].Int() != 2 {
		t.Errorf("the failed transaction left something: %v", res.Rows)
	}
	if err := fails(t, e, alice, &wire.Request{IsBatch: true, Statements: []wire.Statement{{SQL: "DROP TABLE app.notes"}}}); err.Code != wire.CodeUnsupported {
		t.Errorf("got %+v", err)
	}
}

func TestPlansFollowTheCatalog(t *testing.T) {
	e := notes(t)
	sql := "SELECT body FROM app.notes"
	do(t, e, alice, sql)
	do(t, e, root, "DROP TABLE app.notes")
	if err := fails(t, e, alice, &wire.Request{SQL: sql}); err.Code != wire.CodeTableNotFound {
		t.Errorf("got %+v", err)
	}
	do(t, e, root, "CREATE USER TABLE app.notes (id INT PRIMARY KEY, body INT DEFAULT 7)")
	do(t, e, alice, "INSERT INTO app.notes (id) VALUES (1)")
	if res := do(t, e, alice, sql); res.Rows[0][0].Int() != 7 {
		t.Errorf("got %v", res.Rows)
	}
}

func TestResultsHaveALimit(t *testing.T) {
	e := openWith(t, engine.Options{MaxRows: 3})
	do(t, e, root, "CREATE NAMESPACE app")
	do(t, e, root, "CREATE SHARED TABLE app.t (id INT PRIMARY KEY)")
	do(t, e, root, "INSERT INTO app.t VALUES (1), (2), (3), (4)")
	if err := fails(t, e, root, &wire.Request{SQL: "SELECT * FROM app.t"}); err.Code != wire.CodeResultTooLarge {
		t.Errorf("got %+v", err)
	}
	if res := do(t, e, root, "SELECT * FROM app.t LIMIT 3"); len(res.Rows) != 3 {
		t.Errorf("got %v", res.Rows)
	}
}

func TestExpiredStreamRowsAreNotRead(t *testing.T) {
	now := time.Now()
	e := openAt(t, func() time.Time { return now })
	do(t, e, root, "CREATE NAMESPACE app")
	do(t, e, root, "CREATE STREAM TABLE app.typing (id INT PRIMARY KEY) WITH (TTL_SECONDS = 10)")
	do(t, e, alice, "INSERT INTO app.typing VALUES (1)")
	now = now.Add(9 * time.Second)
	if res := do(t, e, alice, "SELECT * FROM app.typing"); len(res.Rows) != 1 {
		t.Errorf("a row within its time is gone: %v", res.Rows)
	}
	now = now.Add(2 * time.Second)
	if res := do(t, e, alice, "SELECT * FROM app.typing"); len(res.Rows) != 0 {
		t.Errorf("an expired row is read: %v", res.Rows)
	}
}
