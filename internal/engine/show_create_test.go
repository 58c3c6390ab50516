package engine_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// TestShowCreateTableDefinesTheSameTable drops each table and makes it again
// from what SHOW CREATE TABLE says.
func TestShowCreateTableDefinesTheSameTable(t *testing.T) {
	e, db := startWith(t, engine.Options{}, store.Options{})
	do(t, e, root, "CREATE NAMESPACE app")
	for _, sql := range []string{
		"CREATE USER TABLE app.t (id BIGINT PRIMARY KEY)",
		"CREATE USER TABLE app.t (id BIGSERIAL PRIMARY KEY, n SERIAL, k INT GENERATED ALWAYS AS IDENTITY, b BIGINT GENERATED ALWAYS AS IDENTITY)",
		"CREATE TABLE app.t (a INT, \"B c\" TEXT NOT NULL DEFAULT 'it''s', d DECIMAL(10,2) DEFAULT 1.50, v VARCHAR(20) UNIQUE, j JSON, f FILE, e EMBEDDING(3), ts TIMESTAMP DEFAULT NOW(), " +
			"PRIMARY KEY (\"B c\", a), CONSTRAINT positive CHECK (d > 0 AND a <> 3), UNIQUE (a, d)) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'public', FLUSH_POLICY = 'rows:10'); " +
			"CREATE INDEX \"by Date\" ON app.t (ts, \"B c\"); CREATE UNIQUE INDEX once ON app.t (ts)",
		"CREATE STREAM TABLE app.t (\"select\" UUID, x DOUBLE) WITH (TTL_SECONDS = 60)",
		"CREATE SHARED TABLE app.t (id INT PRIMARY KEY, gone TEXT); ALTER TABLE app.t DROP COLUMN gone; ALTER TABLE app.t ADD COLUMN more TEXT NOT NULL DEFAULT ''",
	} {
		do(t, e, root, sql)
		before := db.Catalog().Table("app", "t").Clone()
		text := do(t, e, root, "SHOW CREATE TABLE app.t").Rows[0][1].Text()
		do(t, e, root, "DROP TABLE app.t")
		if _, err := e.Run(context.Background(), root, &wire.Request{SQL: text}); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		again := do(t, e, root, "SHOW CREATE TABLE app.t").Rows[0][1].Text()
		if again != text {
			t.Errorf("%s\nbecame\n%s", text, again)
		}
		after := db.Catalog().Table("app", "t")
		if before.Kind != after.Kind || before.TTL != after.TTL || before.Access != after.Access || len(before.Columns) != len(after.Columns) ||
			len(before.Indexes) != len(after.Indexes) || len(before.Checks) != len(after.Checks) {
			a, _ := json.Marshal(before)
			b, _ := json.Marshal(after)
			t.Errorf("%s\nbecame\n%s", a, b)
		}
		for i, c := range after.Columns {
			o := before.Columns[i]
			if o.Name != c.Name || o.Type != c.Type || o.Limit != c.Limit || o.NotNull != c.NotNull || o.Default != c.Default || o.Always != c.Always || (o.Serial > 0) != (c.Serial > 0) {
				t.Errorf("column %+v became %+v", o, c)
			}
		}
		do(t, e, root, "DROP TABLE app.t")
	}
}
