package engine_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// occupy takes all places of the processors until free is called.
func occupy(t *testing.T, db *store.DB) (free func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var holders, placed sync.WaitGroup
	for range runtime.NumCPU() {
		placed.Add(1)
		holders.Go(func() {
			b := budget.New(context.Background(), time.Hour, nil)
			b.TakeTurns(db.Turns(), db.Turns().Of("mallory"), true, nil)
			b.Place()
			placed.Done()
			<-ctx.Done()
			b.End()
		})
	}
	placed.Wait()
	return func() { stop(); holders.Wait() }
}

// Whatever takes long in Go waits for a place: decoding and parsing a large text,
// binding it, and evaluating outside the engine.
func TestWhatGoComputesTakesTurns(t *testing.T) {
	e, db := startWith(t, engine.Options{}, store.Options{})
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, n INT)")
	do(t, e, alice, "INSERT INTO app.t VALUES (1, 1)")
	in := " IN (0" + strings.Repeat(", 1", 10_000) + ")"
	for what, work := range map[string]func() error{
		"decoding": func() error {
			_, err := e.Decode(t.Context(), alice, wire.AppendRequest(nil, &wire.Request{SQL: "SELECT 1" + in}))
			return err
		},
		"parsing": func() error {
			_, err := e.Run(t.Context(), alice, &wire.Request{SQL: "SELECT 1" + in})
			return err
		},
		"a live query's text": func() error {
			_, _, err := e.BindLive(t.Context(), alice, "", "SELECT * FROM app.t WHERE id"+in, nil)
			return err
		},
		"a constant": func() error {
			_, err := e.Run(t.Context(), alice, &wire.Request{SQL: "SELECT regexp_count(repeat('ab', 100000), '(a|b)*?(a?){20}c')"})
			return err
		},
		"a function that the engine calls": func() error {
			_, err := e.Run(t.Context(), alice, &wire.Request{SQL: "SELECT regexp_count(repeat('ab', 100000 + n), '(a|b)*?(a?){20}c') FROM app.t"})
			return err
		},
	} {
		free := occupy(t, db)
		ended := make(chan error, 1)
		go func() { ended <- work() }()
		for db.Turns().Parked() == 0 {
			select {
			case err := <-ended:
				free()
				t.Fatalf("%s: ended without a place (%v)", what, err)
			default:
				runtime.Gosched()
			}
		}
		do(t, e, bob, "SELECT id, n FROM app.t") // needs none
		free()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if n := db.Turns().Parked(); n > 0 {
			t.Errorf("%s: %d still wait", what, n)
		}
	}
}
