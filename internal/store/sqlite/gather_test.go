package sqlite

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// TestGatheredLog gives the writing connection a cache of a few pages, so that a
// transaction's pages go to the log, come back and go again all the time, and
// compares what it and a copy of the files hold with a model. Savepoints and
// whole transactions are thrown away now and then.
func TestGatheredLog(t *testing.T) {
	countMemory() // before the engine starts, for the other tests of the process
	path := filepath.Join(t.TempDir(), fileName)
	c := mustConn(t, path, true)
	for _, s := range []string{"CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT NOT NULL)", "PRAGMA cache_size=5", "PRAGMA cache_spill=1"} {
		mustRun(t, c, s)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	put := &store.Stmt{SQL: "INSERT OR REPLACE INTO t VALUES(?1, ?2)", Args: []wire.Type{{Kind: wire.BigInt}, {Kind: wire.Text}}}
	model := make(map[int64]string)
	for range 30 {
		mustRun(t, c, "BEGIN IMMEDIATE")
		now, kept := maps.Clone(model), map[int64]string(nil)
		for range rnd.IntN(200) {
			switch n := rnd.IntN(40); {
			case n == 0 && kept == nil:
				mustRun(t, c, "SAVEPOINT s")
				kept = maps.Clone(now)
			case n == 1 && kept != nil:
				mustRun(t, c, "ROLLBACK TO s")
				mustRun(t, c, "RELEASE s")
				now, kept = kept, nil
			case n == 2:
				wantRows(t, c, now)
			default:
				id, body := rnd.Int64N(100), strings.Repeat(fmt.Sprintf("%d ", rnd.Uint32()), 1+rnd.IntN(800))
				if _, err := c.Exec(put, []wire.Value{wire.IntValue(id), wire.TextValue(body)}); err != nil {
					t.Fatal(err)
				}
				now[id] = body
			}
		}
		if rnd.IntN(3) == 0 {
			mustRun(t, c, "ROLLBACK")
		} else {
			mustRun(t, c, "COMMIT")
			model = now
		}
		wantRows(t, c, model)
		wantRows(t, mustConn(t, copyFiles(t, path), false), model)
	}
}

func mustConn(t *testing.T, path string, write bool) *conn {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE, 0o600)
	if err == nil {
		f.Close()
	}
	c, err := openConn(path, write)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.close() })
	c.write = true // without the snapshots of a pool
	return c
}

func mustRun(t *testing.T, c *conn, sql string) {
	t.Helper()
	if err := c.run(sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// wantRows compares the table t with what it should hold.
func wantRows(t *testing.T, c *conn, want map[int64]string) {
	t.Helper()
	all := &store.Stmt{SQL: "SELECT id, body FROM t", Cols: []wire.Type{{Kind: wire.BigInt}, {Kind: wire.Text}}}
	n := 0
	err := c.Query(all, nil, func(row []wire.Value) error {
		n++
		if want[row[0].Int()] != row[1].Text() {
			t.Errorf("row %d is another one than was written", row[0].Int())
		}
		return nil
	})
	if err != nil || n != len(want) {
		t.Fatalf("%d rows and error %v, want %d", n, err, len(want))
	}
	whole := &store.Stmt{SQL: "PRAGMA integrity_check", Cols: []wire.Type{{Kind: wire.Text}}}
	err = c.Query(whole, nil, func(row []wire.Value) error {
		if got := row[0].Text(); got != "ok" {
			t.Errorf("the data file: %s", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copyFiles copies the data file and its log as they are on disk.
func copyFiles(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), fileName)
	for _, end := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + end)
		if err == nil {
			err = os.WriteFile(to+end, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}
