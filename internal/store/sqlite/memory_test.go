package sqlite_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// TestStatementThatHoldsTooMuch runs a query that holds more and more, and one
// that holds nothing beside it: the first ends, the second does not.
func TestStatementThatHoldsTooMuch(t *testing.T) {
	driver, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	driver.MemoryLimit = 100 << 20 // much more than the rest holds
	db, err := store.Open(t.Context(), driver, store.Options{ReadTimeout: time.Minute, WriteTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	number := []wire.Type{{Kind: wire.BigInt}}
	ignore := func([]wire.Value) error { return nil }
	const greedy = "SELECT count(*) FROM (WITH RECURSIVE n(i, t) AS (SELECT 1, '' UNION SELECT i + 1, hex(zeroblob(100000)) || i FROM n) SELECT i FROM n)"

	ctx, stop := context.WithCancel(t.Context())
	var modest sync.WaitGroup
	modest.Go(func() {
		for ctx.Err() == nil {
			if err := db.Query(t.Context(), &store.Stmt{SQL: "SELECT 1", Cols: number}, nil, ignore); err != nil {
				t.Errorf("a modest statement: %v", err)
				return
			}
		}
	})
	if err := db.Query(t.Context(), &store.Stmt{SQL: greedy, Cols: number}, nil, ignore); !errors.Is(err, store.ErrMemory) {
		t.Errorf("a statement that holds too much: %v", err)
	}
	// In a transaction, and while writing, the same.
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.Query(&store.Stmt{SQL: greedy, Cols: number}, nil, ignore)
	})
	if !errors.Is(err, store.ErrMemory) {
		t.Errorf("a write that holds too much: %v", err)
	}
	stop()
	modest.Wait()
}
