package sqlite_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
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

// TestEngineAndGoShareOneLimit fills the account of Go, and what the engine holds:
// what either takes in one piece is refused before it is made when both together
// would hold too much, and small statements run on.
func TestEngineAndGoShareOneLimit(t *testing.T) {
	driver, db := limited(t, 100<<20)
	s, err := driver.Begin(t.Context(), store.Reading, "mallory") // without a bound, which the watchdog would look after
	if err != nil {
		t.Fatal(err)
	}
	large := &store.Stmt{SQL: "SELECT length(hex(zeroblob(15000000)))", Cols: number}
	if err := s.Query(large, nil, ignore); err != nil {
		t.Fatalf("alone: %v", err)
	}
	held := fill(t, db, 48<<20)
	larger := &store.Stmt{SQL: "SELECT length(hex(zeroblob(20000000)))", Cols: number} // with its result 60 MB
	if err := s.Query(larger, nil, ignore); err == nil || driver.Reason(err) != store.ReasonMemory {
		t.Errorf("beside a full account: %v", err)
	}
	if err := s.Query(one, nil, ignore); err != nil {
		t.Errorf("a small statement: %v", err)
	}
	s.End(false)
	held()

	defer fill(t, db, 24<<20)()
	err = db.Query(t.Context(), &store.Stmt{SQL: "WITH v(x) AS MATERIALIZED (SELECT zeroblob(36000000)) SELECT length(x) FROM v", Cols: number}, nil, func([]wire.Value) error {
		other := db.Budget(t.Context())
		defer other.End()
		return other.Charge(16 << 20)
	})
	if coded := (*wire.Error)(nil); !errors.As(err, &coded) || coded.Code != wire.CodeResultTooLarge {
		t.Errorf("Go beside a full engine: %v", err)
	}
}

// TestLargeCellsAreChargedBeforeTheyAreCopied reads a large value when there is
// no room for its copy.
func TestLargeCellsAreChargedBeforeTheyAreCopied(t *testing.T) {
	_, db := limited(t, 200<<20)
	text := &store.Stmt{SQL: "SELECT hex(zeroblob(5000000))", Cols: []wire.Type{{Kind: wire.Text}}}
	read := func() (rows int, err error) {
		err = db.Query(t.Context(), text, nil, func([]wire.Value) error {
			rows++
			return nil
		})
		return rows, err
	}
	for range 20 { // and it is released again
		if rows, err := read(); rows != 1 || err != nil {
			t.Fatalf("%d rows: %v", rows, err)
		}
	}
	if n := db.Account().Held(); n != 0 {
		t.Errorf("%d bytes are charged at the end", n)
	}
	defer fill(t, db, 96<<20)()
	rows, err := read()
	if coded := (*wire.Error)(nil); rows != 0 || !errors.As(err, &coded) || coded.Code != wire.CodeResultTooLarge {
		t.Errorf("without room: %d rows, %v", rows, err)
	}
}

func limited(t *testing.T, limit int64) (*sqlite.Driver, *store.DB) {
	t.Helper()
	driver, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	driver.MemoryLimit = limit
	db, err := store.Open(t.Context(), driver, store.Options{ReadTimeout: time.Minute, WriteTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return driver, db
}

// fill charges bytes, as many statements, until the function that it returns is
// called.
func fill(t *testing.T, db *store.DB, bytes int) (release func()) {
	t.Helper()
	var budgets []*budget.Budget
	for ; bytes > 0; bytes -= 8 << 20 {
		b := db.Budget(t.Context())
		if err := b.Charge(min(bytes, 8<<20)); err != nil {
			t.Fatal(err)
		}
		budgets = append(budgets, b)
	}
	return func() {
		for _, b := range budgets {
			b.End()
		}
	}
}
