package sqlite

import (
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
)

// Indexes reads the schema; those of tables of users are named after them.
func (Target) Indexes() string {
	return "SELECT name FROM sqlite_schema WHERE type = 'index' AND name GLOB 't[0-9]*'"
}

// guards are the triggers that stand in for a unique index.
var guards = []string{"INSERT", "UPDATE"}

func guardName(t *catalog.Table, ix *catalog.Index, on string) string {
	return sqlgen.Quoted(ix.Physical(t) + "_" + strings.ToLower(on))
}

func lookupName(t *catalog.Table, ix *catalog.Index) string {
	return sqlgen.Quoted(ix.Physical(t) + "_lookup")
}

// Guard returns triggers, and an index for them: CREATE TABLE of older versions
// made none for UNIQUE (a, b).
func (target Target) Guard(t *catalog.Table, ix *catalog.Index) []string {
	cols := sqlgen.IndexColumns(target, t, ix)
	same, changed, named := make([]string, len(cols)), make([]string, len(cols)), make([]string, len(cols))
	for i, c := range cols {
		same[i] = c + " = NEW." + c
		changed[i] = "NEW." + c + " IS NOT OLD." + c
		named[i] = t.Physical() + "." + c
	}
	sqls := []string{"CREATE INDEX IF NOT EXISTS " + lookupName(t, ix) + " ON " + t.Physical() + "(" + strings.Join(cols, ",") + ")"}
	for _, on := range guards {
		when := "EXISTS (SELECT 1 FROM " + t.Physical() + " WHERE " + strings.Join(same, " AND ") + ")"
		if on == "UPDATE" {
			when = "(" + strings.Join(changed, " OR ") + ") AND " + when
		}
		sqls = append(sqls, "CREATE TRIGGER IF NOT EXISTS "+guardName(t, ix, on)+" BEFORE "+on+" ON "+t.Physical()+" WHEN "+when+
			" BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: "+strings.Join(named, ", ")+"'); END")
	}
	return sqls
}

// Unguard returns the statements that drop the triggers and their index.
func (Target) Unguard(t *catalog.Table, ix *catalog.Index) []string {
	var sqls []string
	for _, on := range guards {
		sqls = append(sqls, "DROP TRIGGER IF EXISTS "+guardName(t, ix, on))
	}
	return append(sqls, "DROP INDEX IF EXISTS "+lookupName(t, ix))
}
