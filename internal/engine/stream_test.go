package engine_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/watch"
)

// TestEndedStreamRowIsInNobodysWay uses the key of a row that has lived its
// time, before the server has come to delete it.
func TestEndedStreamRowIsInNobodysWay(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli())
	now := func() time.Time { return time.UnixMilli(clock.Load()) }
	e, db := startWith(t, engine.Options{}, store.Options{Now: now})
	do(t, e, root, "CREATE NAMESPACE app; CREATE STREAM TABLE app.s (id INT PRIMARY KEY, code TEXT UNIQUE) WITH (TTL_SECONDS = 60)")
	do(t, e, alice, "INSERT INTO app.s VALUES (1, 'a'), (2, 'b'), (3, 'c')")
	start := db.Newest()
	clock.Add(61_000)
	if res := do(t, e, alice, "SELECT * FROM app.s"); len(res.Rows) > 0 {
		t.Errorf("rows that have lived their time are shown: %v", res.Rows)
	}
	if res := do(t, e, alice, "DELETE FROM app.s"); res.RowCount > 0 {
		t.Errorf("%d of them were deleted by hand", res.RowCount)
	}
	for _, sql := range []string{
		"INSERT INTO app.s VALUES (1, 'b')", // in the way of two rows
		"INSERT INTO app.s VALUES (3, 'x') ON CONFLICT DO NOTHING",
	} {
		if res := do(t, e, alice, sql); res.RowCount != 1 {
			t.Errorf("%s: %d rows", sql, res.RowCount)
		}
	}
	if res := do(t, e, alice, "INSERT INTO app.s VALUES (3, 'y') ON CONFLICT DO NOTHING"); res.RowCount != 0 {
		t.Error("a row that lives is not in the way")
	}
	// Whoever follows the table is told of each row that went.
	deleted := 0
	list, _, err := db.Changes(t.Context(), start, 100)
	for _, c := range list {
		if c.Op == store.OpDelete {
			deleted++
		}
	}
	if err != nil || deleted != 3 {
		t.Errorf("%d deletes in the log, want 3 (%v)", deleted, err)
	}
}

// TestSnapshotIsOfOneMomentWhileRowsEnd reads a snapshot row by row while the
// rows live their time and are removed.
func TestSnapshotIsOfOneMomentWhileRowsEnd(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli())
	now := func() time.Time { return time.UnixMilli(clock.Load()) }
	e, db := startWith(t, engine.Options{}, store.Options{Now: now})
	do(t, e, root, "CREATE NAMESPACE app; CREATE STREAM TABLE app.s (id INT PRIMARY KEY) WITH (TTL_SECONDS = 60)")
	do(t, e, alice, "INSERT INTO app.s VALUES (0)")
	clock.Add(30_000)
	do(t, e, alice, "INSERT INTO app.s VALUES (1), (2), (3)")
	clock.Add(31_000)
	w, err := watch.New(db, e, watch.Options{}).Bind(t.Context(), alice, "", "SELECT id FROM app.s", nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, ids := w.Snapshot(), []int64{}
	for more := true; more; clock.Add(60_000) {
		page, err := rows.Next(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Rows {
			ids = append(ids, row[0].Int())
		}
		if more = page.More; len(ids) == 2 {
			if _, err := db.Expire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(ids, []int64{1, 2, 3}) {
		t.Errorf("the snapshot has %v", ids)
	}
}
