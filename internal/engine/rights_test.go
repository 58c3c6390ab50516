package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/watch"
	"github.com/kalamdb/kalam-go/wire"
)

// TestRightsAreDecidedOnWhatWasBound reaches for a table that role user may not
// read by every way that a statement can name one. No answer tells of it.
func TestRightsAreDecidedOnWhatWasBound(t *testing.T) {
	e, db := startWith(t, engine.Options{}, store.Options{})
	for _, sql := range []string{
		"CREATE NAMESPACE app",
		"CREATE SHARED TABLE app.vault (secretcol INT PRIMARY KEY, combination TEXT) WITH (ACCESS_LEVEL = 'private')",
		"CREATE SHARED TABLE app.board (id INT PRIMARY KEY, body TEXT) WITH (ACCESS_LEVEL = 'public')",
		"CREATE USER TABLE app.mine (id INT PRIMARY KEY, body TEXT)",
		"INSERT INTO app.vault VALUES (4711, 'treasure'), (4712, 'treasure')",
	} {
		do(t, e, root, sql)
	}
	do(t, e, alice, "INSERT INTO app.mine VALUES (1, 'x')")
	for _, sql := range []string{
		"SELECT * FROM app.vault",
		`SELECT * FROM "app"."vault"`,
		"SELECT * FROM APP.Vault",
		"SELECT * FROM vault",
		"SELECT secretco FROM vault",
		"WITH vault AS (SELECT secretco FROM vault) SELECT * FROM vault",
		"WITH vault AS (SELECT * FROM app.vault) SELECT * FROM vault",
		"WITH x AS (WITH vault AS (SELECT 1 AS a) SELECT * FROM vault) SELECT secretco FROM vault",
		"WITH vault AS (SELECT 1 AS a) SELECT * FROM vault WHERE EXISTS (SELECT secretco FROM app.vault)",
		"SELECT (WITH vault AS (SELECT 1 AS a) SELECT a FROM vault) FROM vault",
		"SELECT * FROM (SELECT secretco FROM vault) vault",
		"SELECT 1 FROM app.mine vault JOIN vault AS v ON v.secretco = vault.id",
		"SELECT id FROM app.mine UNION SELECT secretco FROM vault",
		"SELECT id FROM app.mine UNION (WITH vault AS (SELECT 1 AS secretcol) SELECT secretcol FROM vault) UNION SELECT secretco FROM vault",
		"SELECT 1 ORDER BY (SELECT secretco FROM vault)",
		"SELECT 1 LIMIT (SELECT max(secretcol) FROM vault)",
		"SELECT count(*) FROM app.mine GROUP BY (SELECT max(secretco) FROM vault)",
		"VALUES ((SELECT max(secretco) FROM vault))",
		"INSERT INTO app.mine SELECT secretco, combination FROM vault",
		"INSERT INTO app.mine WITH vault AS (SELECT secretco FROM vault) SELECT * FROM vault",
		"WITH vault AS (SELECT 2 AS a, 'x' AS b) INSERT INTO app.mine SELECT secretco, 'x' FROM app.vault",
		"INSERT INTO app.mine VALUES ((SELECT max(secretco) FROM vault), 'x')",
		"INSERT INTO app.mine VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET body = (SELECT max(combinatio) FROM vault)",
		"INSERT INTO app.mine VALUES (2, 'x') RETURNING (SELECT max(secretco) FROM vault)",
		"UPDATE app.mine SET body = (SELECT max(combinatio) FROM vault)",
		"UPDATE app.mine SET body = v.combinatio FROM vault v",
		"UPDATE app.mine SET body = 'y' RETURNING (SELECT max(secretco) FROM vault)",
		"WITH vault AS (SELECT 1 AS a) UPDATE app.mine SET body = (SELECT combinatio FROM app.vault)",
		"DELETE FROM app.mine USING vault v WHERE v.secretco = app.mine.id",
		"DELETE FROM app.mine WHERE id IN (SELECT secretco FROM vault)",
		"INSERT INTO vault VALUES (1, 'x')", "INSERT INTO vault (secretco) VALUES (1)",
		"WITH vault AS (SELECT 1 AS a) INSERT INTO vault (secretco) SELECT a FROM vault",
		"UPDATE vault SET secretco = 1", "DELETE FROM vault WHERE secretco = 1",
		"EXECUTE AS USER 'alice' (SELECT secretco FROM vault)",
		"EXECUTE AS USER 'alice' (WITH vault AS (SELECT secretco FROM vault) SELECT * FROM vault)",
		"SHOW STATS FOR TABLE app.vault", "SHOW STATS FOR TABLE vault", `SHOW STATS FOR TABLE "app"."vault"`,
		"SHOW STATS FOR TABLE system.users", "SHOW STATS FOR TABLE information_schema.tables",
		"SHOW COLUMNS FROM app.vault", "SHOW INDEXES FROM app.vault", "SHOW CONSTRAINTS FROM app.vault", "DESCRIBE TABLE app.vault", "DESCRIBE TABLE app.vault HISTORY", "DESCRIBE app.vault",
		"EXPLAIN SELECT secretco FROM vault", "EXPLAIN ANALYZE SELECT * FROM app.vault",
		"STORAGE FLUSH TABLE app.vault",
		"ALTER TABLE vault DROP COLUMN secretco", "ALTER TABLE app.vault ADD CONSTRAINT c CHECK (secretco > 4711)",
		"CREATE INDEX i ON vault (secretco)", "CREATE UNIQUE INDEX i ON app.vault (combination)", "DROP TABLE vault",
		"SELECT user_id FROM system.users", "WITH users AS (SELECT usernam FROM system.users) SELECT * FROM users",
		"SELECT table_nam FROM information_schema.tables", "SELECT * FROM system.schemas",
		"BEGIN; WITH vault AS (SELECT secretco FROM vault) SELECT * FROM vault; COMMIT",
	} {
		_, err := e.Run(context.Background(), alice, &wire.Request{SQL: sql, Namespace: "app"})
		var refused *wire.Error
		if !errors.As(err, &refused) {
			t.Errorf("%s: not refused: %v", sql, err)
			continue
		}
		if refused.Code != wire.CodePermissionDenied && !strings.Contains(sql, "EXECUTE AS") {
			t.Errorf("%s: refused with %s: %v", sql, refused.Code, err)
		}
		for _, secret := range []string{"secretcol", "combination", "471", "treasure", "username", "table_name"} {
			if strings.Contains(err.Error(), secret) && !strings.Contains(sql, secret) {
				t.Errorf("%s: the answer tells of %s: %v", sql, secret, err)
			}
		}
		_, err = watch.New(db, e, watch.Options{}).Bind(t.Context(), alice, "app", sql, nil)
		if err == nil {
			t.Errorf("%s: taken as a live query", sql)
		} else if strings.Contains(err.Error(), "secretcol") && !strings.Contains(sql, "secretcol") {
			t.Errorf("%s: the live query tells: %v", sql, err)
		}
	}
	// Names that hide a table are no reason to refuse.
	for _, sql := range []string{
		"WITH vault AS (SELECT 1 AS a) SELECT a FROM vault",
		"SELECT vault.id FROM app.mine vault",
		"SELECT a FROM (SELECT 1 AS a) vault",
		"SHOW STATS FOR TABLE app.board", "SHOW STATS FOR TABLE app.mine",
	} {
		if _, err := e.Run(context.Background(), alice, &wire.Request{SQL: sql, Namespace: "app"}); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
