package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	number = []wire.Type{{Kind: wire.BigInt}}
	one    = &store.Stmt{SQL: "SELECT 1", Cols: number}
)

func ignore([]wire.Value) error { return nil }

// migrated is a driver without a store on top.
func migrated(t *testing.T) *sqlite.Driver {
	t.Helper()
	d, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func begin(t *testing.T, d *sqlite.Driver, mode store.Mode, user string) store.Session {
	t.Helper()
	s, err := d.Begin(t.Context(), mode, user)
	if err != nil {
		t.Fatal(err)
	}
	s.Bound(t.Context(), 10*time.Minute, nil) // on a busy machine, with the race detector
	return s
}

// large is a statement of that many bytes that is unlike any other.
func large(i, size int) *store.Stmt {
	var b strings.Builder
	fmt.Fprintf(&b, "SELECT %d", i)
	for k := 0; b.Len() < size; k++ {
		fmt.Fprintf(&b, " + (1 = %d)", k)
		if k%500 == 499 {
			b.WriteString(", 1")
		}
	}
	return &store.Stmt{SQL: b.String(), Cols: number}
}

func TestLargeStatementsAreNotKept(t *testing.T) {
	d := migrated(t)
	s := begin(t, d, store.Reading, "mallory")
	defer s.End(false)
	for i := range 5 {
		if err := s.Query(large(i, 150_000), nil, ignore); err != nil {
			t.Fatal(err)
		}
	}
	first := sqlite.Held(s)
	for i := range 20 {
		if err := s.Query(large(5+i, 150_000), nil, ignore); err != nil {
			t.Fatal(err)
		}
	}
	if after := sqlite.Held(s); after > first+1<<20 {
		t.Errorf("the connection holds %d bytes after 5 large statements and %d after 25", first, after)
	}
}

func TestKeptStatementsAreBoundedByBytes(t *testing.T) {
	d := migrated(t)
	s := begin(t, d, store.Reading, "mallory")
	defer s.End(false)
	for i := range 400 {
		if err := s.Query(large(i, 8_000), nil, ignore); err != nil {
			t.Fatal(err)
		}
	}
	if held := sqlite.Held(s); held > 8<<20 {
		t.Errorf("the connection holds %d bytes", held)
	}
}

// TestTheOneThatHoldsMostIsEnded runs a statement that has run for longer than
// the greedy one, and holds little.
func TestTheOneThatHoldsMostIsEnded(t *testing.T) {
	d, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d.MemoryLimit = 150 << 20
	db, err := store.Open(t.Context(), d, store.Options{ReadTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
	const greedy = "SELECT count(*) FROM (WITH RECURSIVE n(i, t) AS (SELECT 1, '' UNION SELECT i + 1, hex(zeroblob(100000)) || i FROM n) SELECT i FROM n)"

	begun, over := make(chan struct{}), make(chan struct{})
	enough := errors.New("enough")
	var modest sync.WaitGroup
	modest.Go(func() {
		began := sync.OnceFunc(func() { close(begun) })
		err := db.For("alice").Query(t.Context(), &store.Stmt{SQL: counting, Cols: number}, nil, func([]wire.Value) error {
			began()
			select {
			case <-over:
				return enough
			default:
				return nil
			}
		})
		if !errors.Is(err, enough) {
			t.Errorf("the older statement, which holds little: %v", err)
		}
	})
	<-begun
	if err := db.For("mallory").Query(t.Context(), &store.Stmt{SQL: greedy, Cols: number}, nil, ignore); !errors.Is(err, store.ErrMemory) {
		t.Errorf("the statement that holds most: %v", err)
	}
	close(over)
	modest.Wait()
	if err := db.For("mallory").Query(t.Context(), one, nil, ignore); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestPanicInAFunctionIsAnErrorOfItsStatement(t *testing.T) {
	d := migrated(t)
	s := begin(t, d, store.Reading, "alice")
	defer s.End(false)
	if err := sqlite.AddFunction(s, "breaks", func() { panic("it broke") }); err != nil {
		t.Fatal(err)
	}
	err := s.Query(&store.Stmt{SQL: "SELECT breaks()", Cols: number}, nil, ignore)
	if err == nil || !strings.Contains(err.Error(), "it broke") {
		t.Errorf("the statement: %v", err)
	}
	if err := s.Query(one, nil, ignore); err != nil {
		t.Errorf("the next one on its connection: %v", err)
	}
}

// TestPanicInTheEngineEndsItsConnection lets the engine itself panic in a
// statement, in the writing connection and in a reading one.
func TestPanicInTheEngineEndsItsConnection(t *testing.T) {
	for _, mode := range []store.Mode{store.Reading, store.Writing} {
		d := migrated(t)
		func() {
			s := begin(t, d, mode, "mallory")
			defer func() {
				if recover() == nil {
					t.Error("there was no panic")
				}
				if s.Active() && mode == store.Writing {
					t.Error("its transaction goes on")
				}
				s.End(false)
			}()
			if err := sqlite.PanicInStep(s); err != nil {
				t.Fatal(err)
			}
			s.Query(&store.Stmt{SQL: "SELECT boom()", Cols: number}, nil, ignore)
		}()
		for range 20 { // whichever connection it gets
			s := begin(t, d, mode, "alice")
			if err := s.Query(one, nil, ignore); err != nil {
				t.Errorf("after a panic in mode %d: %v", mode, err)
			}
			if err := s.End(mode == store.Writing); err != nil {
				t.Errorf("the end of a transaction after a panic: %v", err)
			}
		}
	}
}

// TestSlowStatementsStandStillWhileOthersAreThere counts how many statements of
// one user make progress while another user is there.
func TestSlowStatementsTakeTurns(t *testing.T) {
	d := migrated(t)
	ctx, stop := context.WithCancel(t.Context())
	var slow sync.WaitGroup
	defer slow.Wait()
	defer stop()
	for range 12 {
		slow.Go(func() {
			s, err := d.Begin(ctx, store.Reading, "mallory")
			if err != nil {
				return
			}
			defer s.End(false)
			s.Bound(ctx, time.Minute, nil)
			s.Query(&store.Stmt{SQL: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", Cols: number}, nil, ignore)
		})
	}
	deadline := time.Now().Add(20 * time.Second)
	for most := 0; most < 10; { // waits until the others stand still
		s := begin(t, d, store.Reading, "alice")
		if err := s.Query(one, nil, ignore); err != nil {
			t.Fatal(err)
		}
		s.End(false)
		if most = d.Parked(); time.Now().After(deadline) {
			t.Fatalf("%d of 12 statements stand still", most)
		}
	}
}
