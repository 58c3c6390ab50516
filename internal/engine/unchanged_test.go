package engine_test

import (
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/store"
)

// A row that is matched counts, as in PostgreSQL, whether or not it changes. The
// change log, and with it live queries and topics, hear of changes only.
func TestUnchangedRowIsCountedAndNotAnnounced(t *testing.T) {
	for _, kind := range []string{"SHARED", "USER"} {
		e, db := startWith(t, engine.Options{}, store.Options{})
		do(t, e, root, "CREATE NAMESPACE app")
		do(t, e, root, "CREATE "+kind+" TABLE app.t (id INT PRIMARY KEY, done BOOLEAN, n INT UNIQUE)")
		do(t, e, root, "INSERT INTO app.t VALUES (1, true, 1), (2, NULL, 2)")
		version := do(t, e, root, "SELECT _seq FROM app.t WHERE id = 1").Rows[0][0]
		before := db.Newest()
		for sql, want := range map[string]int{
			"UPDATE app.t SET done = true WHERE id = 1 RETURNING id, _seq":                                           1,
			"UPDATE app.t SET id = id, done = done RETURNING id, _seq":                                               2,
			"UPDATE app.t SET done = NULL WHERE id = 2 RETURNING id, _seq":                                           1,
			"UPDATE app.t SET done = o.done FROM app.t o WHERE o.id = app.t.id RETURNING o.id, app.t._seq":           2,
			"UPDATE app.t SET n = (SELECT x.n FROM app.t x WHERE x.id = app.t.id) RETURNING id, _seq":                2,
			"UPDATE app.t SET done = true WHERE id = 9 RETURNING id, _seq":                                           0,
			"INSERT INTO app.t VALUES (1, true, 1) ON CONFLICT (id) DO UPDATE SET done = true RETURNING id, _seq":    1,
			"INSERT INTO app.t VALUES (9, true, 1) ON CONFLICT (n) DO UPDATE SET id = app.t.id RETURNING id, _seq":   1,
			"INSERT INTO app.t VALUES (1, true, 1) ON CONFLICT (id) DO NOTHING RETURNING id, _seq":                   0,
			"INSERT INTO app.t VALUES (1, true, 1) ON CONFLICT (id) DO UPDATE SET n = 7 WHERE false RETURNING id, n": 0,
			"DELETE FROM app.t WHERE id = 9 RETURNING id":                                                            0,
		} {
			res := do(t, e, root, sql)
			if res.RowCount != want || len(res.Rows) != want {
				t.Errorf("%s: count %d, %d rows, want %d", sql, res.RowCount, len(res.Rows), want)
			}
			if want == 1 && res.Rows[0][0].Int() == 1 && res.Rows[0][1] != version {
				t.Errorf("%s: the version of a row that is as it was: %v, want %v", sql, res.Rows[0][1], version)
			}
		}
		if after := db.Newest(); after != before {
			t.Errorf("%s: something was announced", kind)
		}
	}
}
