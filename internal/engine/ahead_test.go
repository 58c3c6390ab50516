package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

// TestARefusedStatementLetsNothingOfItsTextRun sends texts whose last statement
// the caller may not run.
func TestARefusedStatementLetsNothingOfItsTextRun(t *testing.T) {
	e := open(t)
	for _, sql := range []string{
		"CREATE NAMESPACE app", "CREATE NAMESPACE other",
		"CREATE SHARED TABLE app.vault (id INT PRIMARY KEY)",
		"CREATE SHARED TABLE other.vault (id INT PRIMARY KEY)",
		"CREATE USER TABLE app.mine (id INT PRIMARY KEY)",
	} {
		do(t, e, root, sql)
	}
	do(t, e, bob, "CREATE USER TABLE app.bobs (id INT PRIMARY KEY)")
	do(t, e, alice, "INSERT INTO app.bobs VALUES (1)")
	for _, last := range []string{
		"SELECT * FROM vault", "INSERT INTO mine SELECT id FROM vault", "USE other; SELECT * FROM vault",
		"BEGIN; DELETE FROM vault; COMMIT", "CREATE NAMESPACE n", "DROP TABLE vault", "CREATE INDEX ON mine (id)",
		"EXECUTE AS USER 'alice' (SELECT * FROM mine)", "EXPLAIN SELECT 1", "DROP TABLE bobs",
		"EXECUTE AS USER 'bob' (SELECT * FROM vault)", "EXECUTE AS USER $1 (SELECT 1)", "CREATE USER TABLE x (id INT PRIMARY KEY) WITH (TYPE = 'SHARED')",
	} {
		_, err := e.Run(context.Background(), bob, &wire.Request{SQL: "INSERT INTO mine VALUES (1); " + last, Namespace: "app"})
		var refused *wire.Error
		if !errors.As(err, &refused) || refused.Statement < 2 {
			t.Errorf("%s: got %v", last, err)
		}
		if rows := do(t, e, bob, "SELECT * FROM app.mine").Rows; len(rows) != 0 {
			t.Fatalf("%s: the statement before it ran", last)
		}
	}
}

// TestAStatementIsJudgedWhenItsTurnHasCome sends texts whose statements need what
// those before them define.
func TestAStatementIsJudgedWhenItsTurnHasCome(t *testing.T) {
	e := open(t)
	for _, sql := range []string{
		"CREATE NAMESPACE a; USE a; CREATE SHARED TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); SELECT * FROM t",
		"ALTER TABLE a.t ADD COLUMN b INT; SELECT b FROM a.t; ALTER TABLE a.t DROP COLUMN b; DESCRIBE TABLE a.t",
		"SELECT * FROM a.t; DROP TABLE a.t; CREATE USER TABLE a.t (x TEXT PRIMARY KEY); INSERT INTO a.t VALUES ('y'); SELECT x FROM a.t",
	} {
		if _, err := e.Run(context.Background(), root, &wire.Request{SQL: sql}); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	// USE decides which table a name stands for.
	do(t, e, root, "CREATE NAMESPACE b; CREATE SHARED TABLE b.t (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'dba')")
	if _, err := e.Run(context.Background(), alice, &wire.Request{SQL: "USE a; SELECT * FROM t", Namespace: "b"}); err != nil {
		t.Errorf("alice's own table in namespace a: %v", err)
	}
}
