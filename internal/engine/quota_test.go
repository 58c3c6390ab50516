package engine_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/ddl"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/wire"
)

func TestUsersDefineNoMoreThanTheirQuota(t *testing.T) {
	e := openWith(t, engine.Options{Quota: ddl.Quota{Tables: 3, Columns: 12, Indexes: 3}})
	do(t, e, root, "CREATE NAMESPACE app")
	refused := func(sql, key string) {
		t.Helper()
		err := fails(t, e, alice, &wire.Request{SQL: sql})
		if err.Code != wire.CodeQuotaExceeded || !strings.Contains(err.Message, "limits."+key) {
			t.Errorf("%s: got %v", sql, err)
		}
	}
	for i := range 3 {
		do(t, e, alice, fmt.Sprintf("CREATE USER TABLE app.t%d (id INT PRIMARY KEY, a INT)", i))
	}
	refused("CREATE USER TABLE app.t3 (id INT PRIMARY KEY)", "max_tables_per_user")
	refused("CREATE STREAM TABLE app.t3 (id INT PRIMARY KEY) WITH (TTL_SECONDS = 60)", "max_tables_per_user")
	do(t, e, alice, "CREATE USER TABLE IF NOT EXISTS app.t2 (id INT PRIMARY KEY)")
	do(t, e, bob, "CREATE USER TABLE app.other (id INT PRIMARY KEY)")
	do(t, e, alice, "DROP TABLE app.t2")
	do(t, e, alice, "CREATE USER TABLE app.t2 (id INT PRIMARY KEY, a INT)")

	for i := range 6 {
		do(t, e, alice, fmt.Sprintf("ALTER TABLE app.t0 ADD COLUMN b%d INT", i))
	}
	refused("ALTER TABLE app.t0 ADD COLUMN c INT", "max_columns_per_user")
	// What was dropped takes room in the table still.
	do(t, e, alice, "ALTER TABLE app.t0 DROP COLUMN b0")
	refused("ALTER TABLE app.t1 ADD COLUMN c INT", "max_columns_per_user")
	refused("ALTER TABLE app.t0 MODIFY COLUMN b1 TEXT", "max_columns_per_user")

	do(t, e, alice, "CREATE INDEX i1 ON app.t0 (a)")
	do(t, e, alice, "CREATE UNIQUE INDEX i2 ON app.t1 (a)")
	do(t, e, alice, "ALTER TABLE app.t2 ADD UNIQUE (a)")
	refused("CREATE INDEX i4 ON app.t2 (a)", "max_indexes_per_user")
	refused("ALTER TABLE app.t0 ADD UNIQUE (b1)", "max_indexes_per_user")
	// What makes it no worse goes on.
	do(t, e, alice, "ALTER TABLE app.t0 RENAME COLUMN b1 TO d")
	do(t, e, alice, "DROP INDEX app.i1")

	for i := range 5 {
		do(t, e, root, fmt.Sprintf("CREATE USER TABLE app.r%d (id INT PRIMARY KEY, a INT UNIQUE, b INT UNIQUE)", i))
	}
}

// allocated is how much fn allocates.
func allocated(fn func()) (bytes, objects uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs
}

// columns are n column definitions.
func columns(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ", c%d INT", i)
	}
	return b.String()
}

func TestDefinitionCostsWhatItChanges(t *testing.T) {
	e := open(t)
	do(t, e, root, "CREATE NAMESPACE app")
	define := func(n int) uint64 {
		bytes, _ := allocated(func() {
			do(t, e, alice, fmt.Sprintf("CREATE USER TABLE app.small%d (id INT PRIMARY KEY)", n))
			do(t, e, alice, fmt.Sprintf("ALTER TABLE app.small%d ADD COLUMN a INT", n))
			do(t, e, alice, fmt.Sprintf("DROP TABLE app.small%d", n))
		})
		return bytes
	}
	define(0)
	alone := define(1)
	for i := range 60 {
		do(t, e, root, fmt.Sprintf("CREATE USER TABLE app.big%d (id INT PRIMARY KEY%s)", i, columns(300)))
	}
	if among := define(2); among > 2*alone+500_000 {
		t.Errorf("definitions allocate %d bytes among large tables, and %d alone", among, alone)
	}
}

func TestPlansOutliveDefinitionsOfOtherTables(t *testing.T) {
	e := open(t)
	do(t, e, root, "CREATE NAMESPACE app")
	do(t, e, root, "CREATE USER TABLE app.t (id INT PRIMARY KEY, a INT)")
	query := "SELECT id" + strings.Repeat(", a + 1", 1000) + " FROM app.t"
	ask := func() uint64 {
		_, objects := allocated(func() { do(t, e, alice, query) })
		return objects
	}
	bound := ask()
	do(t, e, alice, "CREATE USER TABLE app.other (id INT PRIMARY KEY)")
	do(t, e, alice, "ALTER TABLE app.other ADD COLUMN a INT")
	do(t, e, alice, "DROP TABLE app.other")
	if again := ask(); again > bound/2 {
		t.Errorf("binding allocates %d objects, and the same query after definitions of other tables %d", bound, again)
	}
	// Those of its own table are noticed.
	do(t, e, alice, "INSERT INTO app.t VALUES (1, 0)")
	do(t, e, root, "ALTER TABLE app.t RENAME COLUMN a TO b")
	if err := fails(t, e, alice, &wire.Request{SQL: query}); err.Code != wire.CodeColumnNotFound {
		t.Errorf("got %v", err)
	}
	do(t, e, root, "ALTER TABLE app.t RENAME TO former")
	if err := fails(t, e, alice, &wire.Request{SQL: query}); err.Code != wire.CodeTableNotFound {
		t.Errorf("got %v", err)
	}
	do(t, e, root, "CREATE USER TABLE app.t (id INT PRIMARY KEY, a INT)")
	if res := do(t, e, alice, query); res.RowCount != 0 {
		t.Errorf("got %v", res.Rows)
	}
}

func TestHistoryOfATableHasAnEnd(t *testing.T) {
	e := open(t)
	do(t, e, root, "CREATE NAMESPACE app")
	do(t, e, alice, "CREATE USER TABLE app.t (id INT PRIMARY KEY, a INT)")
	for i := range 120 {
		do(t, e, alice, fmt.Sprintf("ALTER TABLE app.t ALTER COLUMN a SET DEFAULT %d", i))
	}
	if res := do(t, e, alice, "DESCRIBE TABLE app.t HISTORY"); res.RowCount != 2*100 {
		t.Errorf("got %d rows", res.RowCount)
	}
}
