package budget_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/wire"
)

const (
	mib   = 1 << 20
	limit = 64 * mib
)

func start(a *budget.Account) *budget.Budget {
	return budget.New(context.Background(), time.Minute, a)
}

// TestGarbageCountsUntilItIsCollected lets statements make and drop far more than
// the account may hold: none is refused, and none makes anything before what was
// dropped is off the heap.
func TestGarbageCountsUntilItIsCollected(t *testing.T) {
	a := budget.NewAccount(limit, new(atomic.Int64))
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for range 20 {
				b := start(a)
				n := (2 + rand.IntN(10)) * mib
				if err := b.Charge(n); err != nil {
					t.Errorf("%d MiB: %v", n/mib, err)
				}
				if has := a.Held() + a.Garbage(); has > limit+4*12*mib { // those that are being taken back are in it
					t.Errorf("%d MiB are held or garbage", has/mib)
				}
				b.End()
			}
		})
	}
	users.Wait()
	if a.Held() != 0 {
		t.Errorf("%d bytes are held by nobody", a.Held())
	}
	a.Collect()
	if a.Garbage() != 0 {
		t.Errorf("%d bytes of garbage are left by a collection", a.Garbage())
	}
}

func TestWhatIsHeldIsRefusedAtOnce(t *testing.T) {
	a := budget.NewAccount(limit, new(atomic.Int64))
	one, two, three := start(a), start(a), start(a)
	for _, b := range []*budget.Budget{one, two} {
		if err := b.Charge(limit / 2); err != nil {
			t.Fatal(err)
		}
	}
	var e *wire.Error
	if err := three.Charge(2 * mib); !errors.As(err, &e) || e.Code != wire.CodeResultTooLarge {
		t.Errorf("beyond the limit: %v", err)
	}
	if err := three.Charge(mib / 2); err != nil {
		t.Errorf("a small statement has a reserve: %v", err)
	}
	one.Free(limit / 2)
	if a.Garbage() != 0 {
		t.Errorf("what was not Go's is %d bytes of garbage", a.Garbage())
	}
	if err := three.Charge(2 * mib); err != nil {
		t.Errorf("within the limit: %v", err)
	}
}

// TestRequestsLeaveLessToStatements has requests hold most of what there is.
func TestRequestsLeaveLessToStatements(t *testing.T) {
	a := budget.NewAccount(limit, new(atomic.Int64))
	a.Beside(2*limit - 4*mib)
	b := start(a)
	if err := b.Charge(8 * mib); err == nil {
		t.Error("a statement holds what requests hold already")
	}
	if a.Room(8 * mib) {
		t.Error("the engine holds what requests hold already")
	}
	a.Beside(4*mib - 2*limit)
	if err := b.Charge(8 * mib); err != nil {
		t.Errorf("once the requests have ended: %v", err)
	}
}

// TestCollectionsOfGosOwnCount lets Go collect by itself.
func TestCollectionsOfGosOwnCount(t *testing.T) {
	a := budget.NewAccount(limit, new(atomic.Int64))
	defer a.Watch()()
	b := start(a)
	if err := b.Charge(8 * mib); err != nil {
		t.Fatal(err)
	}
	b.End()
	for deadline := time.Now().Add(time.Minute); a.Garbage() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes of garbage are still counted", a.Garbage())
		}
		waste = make([]byte, mib)
	}
}

var waste []byte
