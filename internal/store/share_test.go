package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

func open(t *testing.T) *store.DB {
	t.Helper()
	driver, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), driver, store.Options{ReadTimeout: time.Minute, WriteTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// endless is a statement that ends when it is made to.
var endless = &store.Stmt{
	SQL:  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i % 1000 = 0",
	Cols: []wire.Type{{Kind: wire.BigInt}},
}

var one = &store.Stmt{SQL: "SELECT 1", Cols: []wire.Type{{Kind: wire.BigInt}}}

func ignore([]wire.Value) error { return nil }

// holdWriter keeps the writer until it is let go.
func holdWriter(t *testing.T, db *store.DB) (letGo func()) {
	t.Helper()
	begun, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	done := make(chan error, 1)
	go func() {
		done <- db.Write(context.Background(), func(*store.Tx) error {
			once.Do(func() { close(begun) })
			<-gate
			return nil
		})
	}()
	<-begun
	return sync.OnceFunc(func() {
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// order is in which order writes ran.
type order struct {
	mu    sync.Mutex
	names []string
	wait  sync.WaitGroup
}

// queue sends a write and returns when it waits.
func (o *order) queue(t *testing.T, db *store.DB, user, name string) {
	t.Helper()
	before := db.Waiting()
	write := db.For(user).Write
	if user == "" {
		write = db.Write
	}
	o.wait.Go(func() {
		err := write(t.Context(), func(*store.Tx) error {
			o.mu.Lock()
			defer o.mu.Unlock()
			if !slices.Contains(o.names, name) { // it may run again
				o.names = append(o.names, name)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	for db.Waiting() == before {
		time.Sleep(time.Millisecond)
	}
}

func TestUsersTakeTurnsInTheWriterAndTheServerGoesFirst(t *testing.T) {
	db := open(t)
	letGo := holdWriter(t, db)
	defer letGo()
	var o order
	for i := range 20 {
		o.queue(t, db, "mallory", fmt.Sprint("mallory ", i))
	}
	o.queue(t, db, "alice", "alice")
	o.queue(t, db, "bob", "bob")
	o.queue(t, db, "", "login")
	letGo()
	o.wait.Wait()
	want := []string{"login", "mallory 0", "alice", "bob", "mallory 1"}
	if got := o.names[:len(want)]; !slices.Equal(got, want) {
		t.Errorf("they ran in the order %q, want %q", got, want)
	}
}

func TestSlowWriteMakesRoomForOthers(t *testing.T) {
	db := open(t)
	begun := make(chan struct{})
	var once sync.Once
	slow := make(chan error, 1)
	go func() {
		slow <- db.For("mallory").Write(context.Background(), func(tx *store.Tx) error {
			once.Do(func() { close(begun) })
			return tx.Query(endless, nil, ignore)
		})
	}()
	<-begun
	if err := db.For("alice").Write(t.Context(), func(*store.Tx) error { return nil }); err != nil {
		t.Errorf("alice: %v", err)
	}
	if err := <-slow; !errors.Is(err, store.ErrYielded) {
		t.Errorf("the slow write: %v, want ErrYielded", err)
	}
}

func TestSlowWriteEndsWhenNobodyWaits(t *testing.T) {
	db := open(t)
	began := time.Now()
	enough := errors.New("enough")
	err := db.For("mallory").Write(t.Context(), func(tx *store.Tx) error {
		err := tx.Query(endless, nil, func([]wire.Value) error {
			if time.Since(began) > 500*time.Millisecond {
				return enough
			}
			return nil
		})
		if errors.Is(err, enough) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSlowWriteDoesNotFailItsNeighbours lets a slow write come behind others in
// one transaction: these are committed, once.
func TestSlowWriteDoesNotFailItsNeighbours(t *testing.T) {
	db := open(t)
	letGo := holdWriter(t, db)
	defer letGo()
	var o order
	o.queue(t, db, "alice", "alice")
	slow := make(chan error, 1)
	before := db.Waiting()
	go func() {
		slow <- db.For("mallory").Write(context.Background(), func(tx *store.Tx) error { return tx.Query(endless, nil, ignore) })
	}()
	for db.Waiting() == before {
		time.Sleep(time.Millisecond)
	}
	o.queue(t, db, "bob", "bob")
	letGo()
	o.wait.Wait()
	if err := <-slow; !errors.Is(err, store.ErrYielded) {
		t.Errorf("the slow write: %v, want ErrYielded", err)
	}
}

func TestSlowStatementsLeaveConnectionsToOthers(t *testing.T) {
	db := open(t)
	ctx, stop := context.WithCancel(t.Context())
	var slow, running sync.WaitGroup
	defer slow.Wait()
	defer stop()
	running.Add(20)
	var begun atomic.Int32
	for range 80 {
		slow.Go(func() {
			began := sync.OnceFunc(func() {
				if begun.Add(1) <= 20 {
					running.Done()
				}
			})
			db.For("mallory").Query(ctx, endless, nil, func([]wire.Value) error {
				began()
				return nil
			})
		})
	}
	running.Wait()
	for range 100 {
		if err := db.For("alice").Query(t.Context(), one, nil, ignore); err != nil {
			t.Fatalf("alice: %v", err)
		}
		if err := db.Query(t.Context(), one, nil, ignore); err != nil {
			t.Fatalf("the server itself: %v", err)
		}
	}
}
