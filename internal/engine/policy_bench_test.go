package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// BenchmarkPointSelectUnderPolicies reads one row by its key without policies, under
// that of an owner and under a membership. The ratios are what matters.
func BenchmarkPointSelectUnderPolicies(b *testing.B) {
	e := open(b)
	do := func(who *identity.Principal, sql string, params ...wire.Value) {
		if _, err := e.Run(context.Background(), who, &wire.Request{SQL: sql, Params: params}); err != nil {
			b.Fatal(sql, err)
		}
	}
	do(root, "CREATE NAMESPACE app")
	do(root, "CREATE SHARED TABLE app.members (room INT, person TEXT, PRIMARY KEY (person, room))")
	for _, name := range []string{"open", "owned", "rooms"} {
		do(root, "CREATE SHARED TABLE app."+name+" (id INT PRIMARY KEY, room INT, owner TEXT, body TEXT) WITH (ACCESS_LEVEL = 'public')")
		for from := 0; from < 10_000; from += 1000 {
			do(root, fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO app.%s SELECT i, i %% 100, 'alice', 'some text of a message' FROM n", from, from+999, name))
		}
	}
	do(root, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) INSERT INTO app.members SELECT i % 100, 'u' || (i / 10) FROM n")
	do(root, "DELETE FROM app.members WHERE person = 'alice'")
	do(root, "INSERT INTO app.members VALUES (0, 'alice'), (1, 'alice'), (2, 'alice'), (3, 'alice'), (4, 'alice')")
	do(root, "CREATE POLICY own ON app.owned USING (owner = CURRENT_USER())")
	do(root, "CREATE POLICY member ON app.rooms USING (room IN (SELECT room FROM app.members WHERE person = CURRENT_USER()))")
	alice := &identity.Principal{UserID: "alice", Role: identity.RoleUser, Issuer: identity.Issuer}
	for _, name := range []string{"open", "owned", "rooms"} {
		b.Run(name, func(b *testing.B) {
			sql := "SELECT id, room, body FROM app." + name + " WHERE id = $1"
			for i := range b.N {
				do(alice, sql, wire.IntValue(int64(i%100*100+i%5)))
			}
		})
	}
}
