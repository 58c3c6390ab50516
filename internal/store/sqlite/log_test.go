package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// logged is a database with a table whose rows are large, to see what becomes of
// the engine's log.
type logged struct {
	t     *testing.T
	dir   string
	db    *store.DB
	table *catalog.Table
}

func newLogged(t *testing.T) *logged {
	l := &logged{t: t, dir: t.TempDir()}
	l.db = mustOpen(t, l.dir)
	write(t, l.db, func(tx *store.Tx) error {
		return tx.CreateTable(&catalog.Table{
			Namespace: "default", Name: "notes", Kind: catalog.Shared, Key: []int{0},
			Columns: []catalog.Column{
				{ID: 1, Name: "id", Type: wire.Type{Kind: wire.BigInt}, NotNull: true},
				{ID: 2, Name: "body", Type: wire.Type{Kind: wire.Text}},
			},
		})
	})
	l.table = l.db.Catalog().Table("default", "notes")
	return l
}

// last is the id of the newest row that a reader sees, 0 if there is none.
func (l *logged) last() (id int64) {
	s := &store.Stmt{SQL: "SELECT coalesce(max(c1), 0) FROM " + l.table.Physical(), Cols: []wire.Type{{Kind: wire.BigInt}}}
	err := l.db.Query(l.t.Context(), s, nil, func(row []wire.Value) error {
		id = row[0].Int()
		return nil
	})
	if err != nil {
		l.t.Error(err)
	}
	return id
}

// rows is how many rows fill writes: 60 MB, and as much again for the changes.
const rows = 300

func (l *logged) fill(after func(id int64)) {
	body := wire.TextValue(strings.Repeat("x", 200_000))
	for id := int64(1); id <= rows; id++ {
		write(l.t, l.db, func(tx *store.Tx) error {
			_, err := tx.Insert(l.table, "", []wire.Value{wire.IntValue(id), body})
			return err
		})
		after(id)
	}
}

// wantShort fails when the log holds most of what was written.
func (l *logged) wantShort() {
	info, err := os.Stat(filepath.Join(l.dir, dataFile+"-wal"))
	if err != nil {
		l.t.Fatal(err)
	}
	if info.Size() > 64<<20 {
		l.t.Errorf("the log has %d MB after 120 MB of writes", info.Size()>>20)
	}
}

// TestLogBeginsAnewBesideReaders writes far more than the engine's log should
// hold, while others read all the time. Who reads after a write sees it, and
// nobody sees less than before.
func TestLogBeginsAnewBesideReaders(t *testing.T) {
	l := newLogged(t)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for before := int64(0); ; {
				select {
				case <-done:
					return
				default:
				}
				now := l.last()
				if now < before {
					t.Errorf("a reader saw %d after %d", now, before)
				}
				before = now
			}
		})
	}
	l.fill(func(id int64) {
		if got := l.last(); got != id {
			t.Errorf("after the write of %d a reader sees %d", id, got)
		}
	})
	close(done)
	readers.Wait()
	l.wantShort()
}

// TestLogBeginsAnewBesideIdleReaders is the same with connections that have read
// once and then nothing any more.
func TestLogBeginsAnewBesideIdleReaders(t *testing.T) {
	l := newLogged(t)
	l.readTogether(4)
	l.fill(func(int64) {})
	l.wantShort()
}

// readTogether makes n connections read, one inside the other.
func (l *logged) readTogether(n int) {
	if n == 0 {
		return
	}
	err := l.db.Read(l.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Newest()
		l.readTogether(n - 1)
		return err
	})
	if err != nil {
		l.t.Error(err)
	}
}

// TestSnapshotHoldsWhatWasKnown begins to read on connections that keep a
// snapshot, learns of a commit, and must find it.
func TestSnapshotHoldsWhatWasKnown(t *testing.T) {
	l := newLogged(t)
	l.readTogether(8)
	err := l.db.Read(t.Context(), func(tx *store.Tx) error {
		write(t, l.db, func(tx *store.Tx) error { return tx.CreateTable(accounts()) })
		table := tx.Catalog().Table("default", "accounts")
		if table == nil {
			t.Fatal("the catalog does not have the new table")
		}
		s := &store.Stmt{SQL: "SELECT count(*) FROM " + table.Physical(), Cols: []wire.Type{{Kind: wire.BigInt}}}
		return tx.Query(s, nil, func([]wire.Value) error { return nil })
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFlushMovesTheLogToTheDataFile opens a copy of the data file alone, without
// the log: it has the row only after a flush, whatever idle readers keep.
func TestFlushMovesTheLogToTheDataFile(t *testing.T) {
	l := newLogged(t)
	write(t, l.db, func(tx *store.Tx) error {
		_, err := tx.Insert(l.table, "", []wire.Value{wire.IntValue(7), wire.TextValue("seven")})
		return err
	})
	l.readTogether(4)
	if err := l.db.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(l.dir, dataFile))
	if err != nil {
		t.Fatal(err)
	}
	alone := t.TempDir()
	if err := os.WriteFile(filepath.Join(alone, dataFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := (&logged{t: t, db: mustOpen(t, alone), table: l.table}).last(); got != 7 {
		t.Errorf("the newest row of the data file is %d, want 7", got)
	}
	// The log goes on after that.
	write(t, l.db, func(tx *store.Tx) error {
		_, err := tx.Insert(l.table, "", []wire.Value{wire.IntValue(8), wire.TextValue("eight")})
		return err
	})
	if got := l.last(); got != 8 {
		t.Errorf("after another write a reader sees %d", got)
	}
}
