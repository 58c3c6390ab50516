package engine_test

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/store"
)

// TestExplainKnowsNewIndexes explains a query on each of several connections,
// before and after there is an index for it.
func TestExplainKnowsNewIndexes(t *testing.T) {
	e, db := startWith(t, engine.Options{}, store.Options{})
	do(t, e, root, "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY, v INT, name TEXT)")
	var each func(n int, word string)
	each = func(n int, word string) {
		res := do(t, e, root, "EXPLAIN SELECT name FROM app.t WHERE v = 7")
		if plan := res.Rows[1][1].Text(); !strings.Contains(plan, word) {
			t.Errorf("on connection %d the plan is %q, want %s", n, plan, word)
		}
		if n == 0 {
			return
		}
		// A read keeps its connection, so that the next one has another.
		err := db.Read(t.Context(), func(*store.Tx) error { each(n-1, word); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	each(3, "SCAN")
	do(t, e, root, "CREATE INDEX t_v ON app.t (v)")
	each(3, "SEARCH")
	do(t, e, root, "DROP INDEX app.t_v")
	each(3, "SCAN")
}
