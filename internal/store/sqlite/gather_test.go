package sqlite

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
	zs "zombiezen.com/go/sqlite"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// TestGatheredLog gives the writing connection a cache of a few pages, so that a
// transaction's pages go to the log, come back and go again all the time, and
// compares what it and a copy of the files hold with a model. Savepoints and
// whole transactions are thrown away now and then.
func TestGatheredLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	c, put := smallCache(t, path)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
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
				if err := put(id, body); err != nil {
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

// TestGatheredPagesOutliveAFullDisk lets a statement find the disk full when it
// reads, behind one whose pages are gathered. The transaction goes on without
// it, and the disk has room again when it commits.
func TestGatheredPagesOutliveAFullDisk(t *testing.T) {
	c, put := smallCache(t, filepath.Join(t.TempDir(), FileName))
	mustRun(t, c, "BEGIN IMMEDIATE")
	model := make(map[int64]string)
	for id := range int64(12) {
		model[id] = strings.Repeat("x", 3000)
		if err := put(id, model[id]); err != nil {
			t.Fatal(err)
		}
	}
	if c.log.n == 0 {
		t.Fatal("nothing is gathered")
	}
	mustRun(t, c, "SAVEPOINT s")
	own := c.log.write
	c.log.write = func(*libc.TLS, uintptr, uintptr, int32, int64) int32 { return lib.SQLITE_FULL }
	err := c.run("INSERT INTO t SELECT id + 1000, body FROM t")
	c.log.write = own
	if zs.ErrCode(err) != zs.ResultFull || !c.Active() {
		t.Fatalf("error %v, and the transaction is open: %t", err, c.Active())
	}
	mustRun(t, c, "ROLLBACK TO s")
	mustRun(t, c, "COMMIT")
	wantRows(t, c, model)
}

// TestFullDiskTakesWhatFits rolls a transaction back that the disk had no room
// for. The next one is smaller.
func TestFullDiskTakesWhatFits(t *testing.T) {
	c, put := smallCache(t, filepath.Join(t.TempDir(), FileName))
	c.pool = &pool{writer: make(chan *conn, 2)}
	own := c.log.write
	c.log.write = func(tls *libc.TLS, file, data uintptr, n int32, at int64) int32 {
		if at+int64(n) > 256<<10 {
			return lib.SQLITE_FULL
		}
		return own(tls, file, data, n, at)
	}
	mustRun(t, c, "BEGIN IMMEDIATE")
	var err error
	for id := int64(0); err == nil; id++ {
		err = put(id, strings.Repeat("x", 3000))
	}
	if zs.ErrCode(err) != zs.ResultFull {
		t.Fatal(err)
	}
	c.End(false)
	mustRun(t, c, "BEGIN IMMEDIATE")
	if err := put(1, "small"); err != nil {
		t.Fatal(err)
	}
	if err := c.End(true); err != nil {
		t.Fatal(err)
	}
	wantRows(t, c, map[int64]string{1: "small"})
}

// smallCache is a writing connection with the table t and a cache of a few
// pages, and how a row gets in.
func smallCache(t *testing.T, path string) (c *conn, put func(id int64, body string) error) {
	countMemory() // before the engine starts, for the other tests of the process
	c = mustConn(t, path, true)
	for _, s := range []string{"CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT NOT NULL)", "PRAGMA cache_size=5", "PRAGMA cache_spill=1"} {
		mustRun(t, c, s)
	}
	insert := &store.Stmt{SQL: "INSERT OR REPLACE INTO t VALUES($1, $2)", Args: []wire.Type{{Kind: wire.BigInt}, {Kind: wire.Text}}}
	return c, func(id int64, body string) error {
		_, err := c.Exec(insert, []wire.Value{wire.IntValue(id), wire.TextValue(body)})
		return err
	}
}

func mustConn(t *testing.T, path string, write bool) *conn {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE, 0o600)
	if err == nil {
		f.Close()
	}
	c, err := openConn(path, write, keptPages)
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
	to := filepath.Join(t.TempDir(), FileName)
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
