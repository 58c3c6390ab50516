package budget_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
)

// work begins work of a user, in whose goroutine it is to stay.
func work(t *budget.Turns, user string, first bool) *budget.Budget {
	b := budget.New(context.Background(), time.Hour, nil)
	b.TakeTurns(t, t.Of(user), first, nil)
	return b
}

// compute computes for so long, and looks for its turn every 100 us.
func compute(b *budget.Budget, d time.Duration) {
	for ; d > 0; d -= 100 * time.Microsecond {
		time.Sleep(100 * time.Microsecond)
		b.Pass()
	}
}

func TestLongWorkTakesTurnsByUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := budget.NewTurns(1)
		var mu sync.Mutex
		var ended []string
		var all sync.WaitGroup
		for _, user := range []string{"mallory", "mallory", "mallory", "mallory", "alice"} {
			all.Go(func() {
				b := work(turns, user, false)
				compute(b, 20*time.Millisecond)
				b.End()
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, user)
			})
		}
		all.Wait()
		// Each has half of the time while both are there.
		if at := slices.Index(ended, "alice"); at > 1 {
			t.Errorf("ended in the order %v", ended)
		}
		if n := turns.Parked(); n > 0 {
			t.Errorf("%d stand still at the end", n)
		}
	})
}

func TestQuickWorkNeedsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := budget.NewTurns(1)
		var all sync.WaitGroup
		defer all.Wait()
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		for range 8 {
			all.Go(func() {
				b := work(turns, "mallory", false)
				defer b.End()
				for ctx.Err() == nil {
					compute(b, time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		began := time.Now()
		b := work(turns, "alice", false)
		compute(b, time.Millisecond)
		b.End()
		if took := time.Since(began); took > time.Millisecond {
			t.Errorf("a millisecond took %v", took)
		}
		stop()
	})
}

// A user whose many statements are each quick has no more of the processors than
// one whose statements are slow.
func TestHeavyUserTakesAPlaceFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := budget.NewTurns(2)
		var all sync.WaitGroup
		defer all.Wait()
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		for user, n := range map[string]int{"mallory": 8, "alice": 1} {
			for range n {
				all.Go(func() {
					for ctx.Err() == nil {
						b := work(turns, user, false)
						compute(b, 100*time.Microsecond)
						b.End()
						time.Sleep(100 * time.Microsecond)
					}
				})
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := turns.Parked(); n == 0 {
			t.Error("nothing of mallory's waits for a place")
		}
		began := time.Now()
		for range 1000 {
			b := work(turns, "alice", false)
			compute(b, 100*time.Microsecond)
			b.End()
		}
		if took := time.Since(began); took > 101*time.Millisecond {
			t.Errorf("alice's work of 100 ms took %v", took)
		}
		stop()
	})
}

// Users who use the same are never heavy, however much that is.
func TestEqualUsersWaitForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := budget.NewTurns(2)
		for range 20 {
			var all sync.WaitGroup
			for user := range 16 {
				all.Go(func() {
					for range 50 {
						b := work(turns, string(rune('a'+user)), false)
						compute(b, 200*time.Microsecond)
						b.End()
						if n := turns.Parked(); n > 0 {
							t.Errorf("%d wait", n)
						}
					}
				})
			}
			all.Wait()
		}
	})
}

// Who is alone again waits for nobody.
func TestShareIsOfThoseWhoAreThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := budget.NewTurns(2)
		load := func(d time.Duration, users ...string) {
			var all sync.WaitGroup
			for _, user := range users {
				for range 3 {
					all.Go(func() {
						for end := time.Now().Add(d); time.Now().Before(end); {
							b := work(turns, user, false)
							compute(b, 100*time.Microsecond)
							b.End()
						}
					})
				}
			}
			all.Wait()
		}
		load(time.Second, "alice", "bob", "carol", "dave")
		load(2*time.Second, "mallory")
		if turns.Heavy("mallory") {
			t.Error("a user who is alone has more than their share")
		}
	})
}

// What others wait for does not wait, and takes a place away.
func TestWriterWaitsForNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := budget.NewTurns(1)
		var all sync.WaitGroup
		defer all.Wait()
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		for _, user := range []string{"mallory", "carol"} {
			all.Go(func() {
				b := work(turns, user, false)
				defer b.End()
				for ctx.Err() == nil {
					compute(b, time.Millisecond)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		b := work(turns, "mallory", true)
		compute(b, 50*time.Millisecond)
		if n := turns.Parked(); n != 2 {
			t.Errorf("%d stand still while the writer has the one place; want 2", n)
		}
		b.End()
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("50 ms in the writer took %v", took)
		}
		stop()
	})
}

func TestWorkThatIsStoppedWaitsNoLonger(t *testing.T) {
	turns := budget.NewTurns(1)
	holder := work(turns, "alice", false)
	holder.Place()
	defer holder.End()
	ended := make(chan error, 2)
	ctx, cancel := context.WithCancel(context.Background())
	kill := make(chan struct{})
	wait := func(ctx context.Context, kill chan struct{}) {
		b := budget.New(ctx, time.Hour, nil)
		b.TakeTurns(turns, turns.Of("mallory"), false, kill)
		b.Place()
		b.End()
		ended <- ctx.Err()
	}
	go wait(ctx, nil)
	go wait(context.Background(), kill)
	for turns.Parked() < 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("the work whose context lives on ended first")
	}
	close(kill)
	<-ended
	if n := turns.Parked(); n > 0 {
		t.Errorf("%d still wait", n)
	}
}
