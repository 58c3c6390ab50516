//go:build !js

package consumer_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/consumer"
	"github.com/kalamdb/kalam-go/internal/testsize"
)

// record is what the members of a group have handled.
type record struct {
	mu     sync.Mutex
	done   map[string]int // by row: the highest value that was handled
	busy   map[string]int // by row: the member that is handling it
	total  int
	again  int
	errors []string
}

func (r *record) fail(parts ...string) {
	text := ""
	for _, p := range parts {
		text += p
	}
	r.errors = append(r.errors, text)
}

// handle notes one message. stalled reports that the member is dead: what it
// does no longer counts.
func (r *record) handle(ctx context.Context, member int, m *consumer.Message, pause time.Duration) {
	var row struct {
		N int `json:"n"`
	}
	if err := json.Unmarshal(m.Payload, &row); err != nil {
		r.mu.Lock()
		r.fail(err.Error())
		r.mu.Unlock()
		return
	}
	r.mu.Lock()
	if other, there := r.busy[m.Key]; there && m.Deliveries == 1 {
		r.fail("row ", m.Key, " is with members ", strconv.Itoa(other), " and ", strconv.Itoa(member))
	}
	r.busy[m.Key] = member
	r.mu.Unlock()
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, m.Key)
	if ctx.Err() != nil {
		return
	}
	before, there := r.done[m.Key]
	switch {
	case there && row.N <= before:
		r.again++
		if m.Deliveries == 1 {
			r.fail("row ", m.Key, " has ", strconv.Itoa(row.N), " again, as a first delivery")
		}
		return
	case !there && row.N != 0, there && row.N != before+1:
		r.fail("row ", m.Key, " has ", strconv.Itoa(row.N), " after ", strconv.Itoa(before))
	}
	r.done[m.Key] = row.N
	r.total++
}

// TestGroupHandlesEverythingInOrder lets members of a group join, leave and die
// while rows change: every change is handled, those of a row in their order and
// by one member at a time. KALAM_GROUP_CHANGES sets how many.
func TestGroupHandlesEverythingInOrder(t *testing.T) {
	changes := testsize.Of(t, "KALAM_GROUP_CHANGES", 600)
	w := newWorld(t, "3", 2)
	rng := rand.New(rand.NewPCG(3, uint64(time.Now().UnixNano())))
	r := &record{done: make(map[string]int), busy: make(map[string]int)}

	written := make(chan map[string]int)
	go func() {
		last := make(map[string]int)
		rnd := rand.New(rand.NewPCG(5, 5))
		for range changes {
			id := rnd.IntN(25)
			key := strconv.Itoa(id)
			var err error
			if n, there := last[key]; there {
				_, err = w.admin.Exec(t.Context(), "UPDATE shop.orders SET n = $2 WHERE id = $1", id, n+1)
				last[key] = n + 1
			} else {
				_, err = w.admin.Exec(t.Context(), "INSERT INTO shop.orders VALUES ($1, 'x', 0)", id)
				last[key] = 0
			}
			if err != nil {
				t.Errorf("write: %v", err)
				break
			}
		}
		written <- last
	}()

	var running sync.WaitGroup
	type member struct {
		stop context.CancelFunc
		die  func()
	}
	var members []member
	join := func() {
		number := len(members)
		c := w.client("admin")
		ctx, stop := context.WithCancel(t.Context())
		handling, dead := context.WithCancel(t.Context())
		x, err := consumer.On(c, consumer.Options{
			Topic: "shop.events", Group: "g", Start: consumer.Earliest, BatchSize: 1 + number%7, Concurrency: 1 + number%3,
		})
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, member{stop: stop, die: func() {
			dead()
			c.Close() // nothing of it reaches the server any more
			stop()
		}})
		pause := time.Duration(rng.IntN(3)) * time.Millisecond
		running.Go(func() {
			x.Run(ctx, func(ctx context.Context, m *consumer.Message) error {
				both, end := context.WithCancel(ctx)
				defer end()
				defer context.AfterFunc(handling, end)()
				r.handle(both, number, m, pause)
				return nil
			})
			go x.Close() // what a dead one is to tell takes as long as it takes
		})
	}
	handled := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.total
	}
	join()
	join()
	left := 0
	for left < 6 {
		at := handled()
		wait(t, func() bool { return handled() > at+20 || handled() >= changes*3/4 })
		join()
		if m := members[left]; left%2 == 0 {
			m.die()
		} else {
			m.stop()
		}
		left++
	}
	last := <-written
	wait(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.errors) > 0 {
			return true
		}
		for key, n := range last {
			if got, there := r.done[key]; !there || got < n {
				return false
			}
		}
		return true
	})
	for _, m := range members[left:] {
		m.stop()
	}
	running.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.errors {
		t.Error(e)
	}
	if r.total != changes {
		t.Errorf("%d changes were handled, %d were made", r.total, changes)
	}
	t.Logf("%d changes by %d members, %d of them handled again", r.total, len(members), r.again)
}

// wait waits for a condition.
func wait(t testing.TB, fn func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !fn(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come")
		}
	}
}
