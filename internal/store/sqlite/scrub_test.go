package sqlite_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// TestScrubLeavesNothingOfTheDeletedAndAllOfTheRest deletes and moves random rows
// of many sizes, scrubs while others write, and looks at the file afterwards.
func TestScrubLeavesNothingOfTheDeletedAndAllOfTheRest(t *testing.T) {
	l := newLogged(t)
	random := rand.New(rand.NewPCG(1, 2))
	want := map[int64]string{}
	body := func(word string, id int64) string {
		sizes := []int{1, 20, 300, 3000, 9000}
		return fmt.Sprintf("%s-%d-%s", word, id, strings.Repeat("x", random.IntN(sizes[random.IntN(len(sizes))])+1))
	}
	change := func(fn func(tx *store.Tx) error) { write(t, l.db, fn) }
	for id := int64(1); id <= 1501; id++ {
		text := body("keep", id)
		if id%3 == 0 {
			text = body("gone", id)
		}
		change(func(tx *store.Tx) error {
			_, err := tx.Insert(l.table, "", []wire.Value{wire.IntValue(id), wire.TextValue(text)})
			return err
		})
		want[id] = text
	}
	// Straight to the table, so that the change log has no part in it.
	exec := func(sql string, args ...wire.Value) {
		types := make([]wire.Type, len(args))
		for i, v := range args {
			types[i] = wire.Type{Kind: map[bool]wire.Kind{true: wire.Text, false: wire.BigInt}[v.Tag() == wire.TagText]}
		}
		change(func(tx *store.Tx) error {
			_, err := tx.Exec(&store.Stmt{SQL: sql, Args: types}, args...)
			return err
		})
	}
	for id := int64(1); id <= 1500; id++ {
		switch {
		case id%3 == 0:
			exec("DELETE FROM "+l.table.Physical()+" WHERE c1 = $1", wire.IntValue(id))
			delete(want, id)
		case id%5 == 0: // moves others about
			want[id] = body("keep", id)
			exec("UPDATE "+l.table.Physical()+" SET c2 = $2 WHERE c1 = $1", wire.IntValue(id), wire.TextValue(want[id]))
		}
	}
	exec("DELETE FROM changes WHERE seq < (SELECT max(seq) FROM changes)")

	var others sync.WaitGroup
	done := make(chan struct{})
	others.Go(func() {
		for id := int64(10_000); ; id++ {
			select {
			case <-done:
				return
			default:
			}
			err := l.db.Write(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Insert(l.table, "", []wire.Value{wire.IntValue(id), wire.TextValue("beside")})
				return err
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	if err := l.db.EraseUser(t.Context(), "nobody"); err != nil {
		t.Fatal(err)
	}
	close(done)
	others.Wait()

	rows := &store.Stmt{SQL: "SELECT c1, c2 FROM " + l.table.Physical() + " WHERE c1 < 10000", Cols: []wire.Type{{Kind: wire.BigInt}, {Kind: wire.Text}}}
	found := 0
	err := l.db.Query(t.Context(), rows, nil, func(row []wire.Value) error {
		if found++; row[1].Text() != want[row[0].Int()] {
			t.Errorf("row %d has changed", row[0].Int())
		}
		return nil
	})
	if err != nil || found != len(want) {
		t.Errorf("%d rows are there, want %d: %v", found, len(want), err)
	}
	sound := ""
	check := &store.Stmt{SQL: "PRAGMA integrity_check", Cols: []wire.Type{{Kind: wire.Text}}}
	err = l.db.Query(t.Context(), check, nil, func(row []wire.Value) error {
		sound += row[0].Text()
		return nil
	})
	if err != nil || sound != "ok" {
		t.Errorf("integrity: %s, %v", sound, err)
	}
	if err := l.db.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(l.dir, dataFile))
	if err != nil {
		t.Fatal(err)
	}
	if i := bytes.Index(file, []byte("gone-")); i >= 0 {
		t.Errorf("at %d the file still has %q", i, file[i:i+20])
	}
}
