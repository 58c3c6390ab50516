package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// TestSystemTableFromMemory adds a table whose rows are in memory and reads it
// as any other.
func TestSystemTableFromMemory(t *testing.T) {
	e, db := startWith(t, engine.Options{}, store.Options{})
	sockets := [][]wire.Value{
		{wire.TextValue("a \"quoted\"\nline ü"), wire.IntValue(1 << 62), wire.BoolValue(true), wire.FloatValue(2), wire.IntValue(1_795_639_811_904_135)},
		{wire.TextValue(""), wire.Null, wire.BoolValue(false), wire.FloatValue(0.1), wire.Null},
	}
	table := catalog.NewSystem(catalog.SystemNamespace, "sockets", []catalog.Column{
		catalog.Col("group", wire.Text, true), catalog.Col("size", wire.BigInt, false), catalog.Col("open", wire.Boolean, true),
		catalog.Col("load", wire.Double, true), catalog.Col("at", wire.Timestamp, false),
	}, "SELECT user_id, 7, 1, 0.5, created_at FROM users WHERE user_id = 'root'", func() [][]wire.Value { return sockets })
	if err := db.AddSystem(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	rows := func(sql string, params ...wire.Value) [][]wire.Value { return do(t, e, root, sql, params...).Rows }

	if d := cmp.Diff(sockets, rows(`SELECT * FROM system.sockets WHERE "group" <> 'root' ORDER BY size`), cmp.Comparer(func(a, b wire.Value) bool { return a == b })); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
	count := func(sql string, want int64, params ...wire.Value) {
		t.Helper()
		if got := rows(sql, params...)[0][0].Int(); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
	count("SELECT count(*) FROM system.sockets", 3)
	count("SELECT count(*) FROM system.sockets a JOIN system.sockets b ON a.size = b.size WHERE a.open AND b.load > $1", 1, wire.FloatValue(1))
	count(`SELECT count(*) FROM system.users u WHERE user_id IN (SELECT "group" FROM system.sockets)`, 1)
	count("SELECT count(*) FROM information_schema.columns WHERE table_name = 'sockets' AND data_type = 'DOUBLE'", 1)

	sockets = sockets[:1] // the next statement sees it, also from a plan that was kept
	count("SELECT count(*) FROM system.sockets", 2)

	var coded *wire.Error
	if _, err := e.Run(context.Background(), alice, &wire.Request{SQL: "SELECT 1 FROM system.sockets"}); !errors.As(err, &coded) || coded.Code != wire.CodePermissionDenied {
		t.Errorf("a user reads it: %v", err)
	}
}
