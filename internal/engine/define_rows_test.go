package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// TestDefinitionsTellNothingOfTheRowsOfOthers changes the definition of a table
// in every way that looks at rows, as somebody who may, and compares what is said
// about rows that differ only in what is secret.
func TestDefinitionsTellNothingOfTheRowsOfOthers(t *testing.T) {
	e := open(t)
	service := &identity.Principal{UserID: "service", Role: identity.RoleService, Issuer: identity.Issuer}
	do(t, e, root, "CREATE NAMESPACE app")
	audited := func() string {
		var out []string
		for _, row := range do(t, e, root, "SELECT actor_user_id, target, outcome, details FROM system.audit_log WHERE action = 'DEFINE_OVER_ROWS' ORDER BY timestamp, length(audit_id), audit_id").Rows {
			out = append(out, row[0].Text()+" "+row[1].Text()+" "+row[2].Text()+" "+row[3].Text())
		}
		return strings.Join(out, "\n")
	}
	n := 0
	for _, sql := range []string{
		"ALTER TABLE app.t ADD CONSTRAINT c CHECK (body::int > 0)",
		"ALTER TABLE app.t ADD CONSTRAINT c CHECK (1 / length(body) < 0)",
		"ALTER TABLE app.t ADD CONSTRAINT c CHECK (body <> 'treasure' AND body <> 'gold')",
		"ALTER TABLE app.t ADD CONSTRAINT c CHECK (repeat(body, 1000000000) IS NULL)",
		"ALTER TABLE app.t ADD CONSTRAINT c CHECK (regexp_like('x', '(' || body))",
		"ALTER TABLE app.t ADD CONSTRAINT c CHECK (CASE WHEN body = 'gold' THEN 1/0 = 1 ELSE body::json IS NULL END)",
		"ALTER TABLE app.t MODIFY COLUMN body INT",
		"ALTER TABLE app.t MODIFY COLUMN body TIMESTAMP",
		"ALTER TABLE app.t MODIFY COLUMN body UUID",
		"ALTER TABLE app.t MODIFY COLUMN body JSON",
		"ALTER TABLE app.t MODIFY COLUMN body BOOLEAN",
		"ALTER TABLE app.t MODIFY COLUMN n SMALLINT",
		"ALTER TABLE app.t MODIFY COLUMN n DECIMAL(3,1)",
		"ALTER TABLE app.t ALTER COLUMN nothing SET NOT NULL",
		"ALTER TABLE app.t MODIFY COLUMN nothing TEXT NOT NULL",
		"ALTER TABLE app.t ADD COLUMN more TEXT NOT NULL",
		"ALTER TABLE app.t ADD COLUMN more INT DEFAULT 1 CHECK (more + body::int > 0)",
		"ALTER TABLE app.t ADD COLUMN more INT DEFAULT 1 UNIQUE",
		"ALTER TABLE app.t ADD CONSTRAINT u UNIQUE (same)",
		"ALTER TABLE app.t ADD UNIQUE (same, nothing_not)",
		"CREATE UNIQUE INDEX i ON app.t (same)",
	} {
		var said []string
		for _, secret := range []string{"'treasure', 471100000", "'gold', 815000000"} {
			do(t, e, root, "CREATE USER TABLE app.t (id INT PRIMARY KEY, body TEXT, n INT, nothing TEXT, nothing_not INT DEFAULT 1, same INT DEFAULT 7)")
			for _, id := range []string{"1", "2"} {
				do(t, e, alice, "INSERT INTO app.t (id, body, n) VALUES ("+id+", "+secret+")")
			}
			before := audited()
			_, err := e.Run(context.Background(), service, &wire.Request{SQL: sql})
			var refused *wire.Error
			if !errors.As(err, &refused) {
				t.Fatalf("%s: not refused: %v", sql, err)
			}
			said = append(said, string(refused.Code)+" "+err.Error())
			n++
			if now := audited(); now == before || !strings.Contains(now[len(before):], "service table:app.t rolled back ") {
				t.Errorf("%s: the audit log gained %q", sql, now[len(before):])
			}
			do(t, e, root, "DROP TABLE app.t")
		}
		if said[0] != said[1] {
			t.Errorf("%s: the answers differ:\n%s\n%s", sql, said[0], said[1])
		}
		for _, secret := range []string{"alice", "treasure", "gold", "4711", "815"} {
			if strings.Contains(said[0], secret) || strings.Contains(audited(), secret) {
				t.Errorf("%s: %s tells of %s", sql, said[0], secret)
			}
		}
	}
	// One that works is recorded too, and one over no rows of others is not.
	do(t, e, root, "CREATE USER TABLE app.t (id INT PRIMARY KEY, body TEXT)")
	do(t, e, service, "ALTER TABLE app.t ADD COLUMN own TEXT")
	before := audited()
	do(t, e, alice, "INSERT INTO app.t (id, body) VALUES (1, 'x')")
	do(t, e, service, "ALTER TABLE app.t ADD CONSTRAINT c CHECK (length(body) = 1)")
	if now := audited(); strings.Count(before, "\n") != n-1 || !strings.Contains(now[len(before):], "service table:app.t ok ALTER") {
		t.Errorf("%d rows before; the audit log gained %q", strings.Count(before, "\n"), now[len(before):])
	}
}
