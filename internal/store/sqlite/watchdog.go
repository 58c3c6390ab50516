package sqlite

import (
	"slices"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
)

// watchdog interrupts statements whose bound is reached, and the one that holds
// most when the engine holds too much memory. One goroutine looks after
// all connections, and only while one of them is bound: that costs a statement
// less than a timer and a context of its own.
type watchdog struct {
	limit   int64           // bytes that the engine and the account may hold together
	account *budget.Account // of what Go holds for statements
	shed    func()          // frees what idle connections can do without
	awake   chan struct{}   // holds one token when a connection was bound
	stop    chan struct{}
	done    chan struct{}

	mu    sync.Mutex
	conns []*conn // mu guards it
}

const (
	watchEvery = 50 * time.Millisecond // between looks at the bounds
	shedEvery  = time.Second           // between calls of watchdog.shed at least
)

func newWatchdog(limit int64, shed func()) *watchdog {
	return &watchdog{limit: limit, account: budget.NewAccount(limit/2, &engineHeld), shed: shed, awake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

func (w *watchdog) add(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
}

func (w *watchdog) remove(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = slices.DeleteFunc(w.conns, func(have *conn) bool { return have == c })
}

// wake sees to it that the bounds are checked.
func (w *watchdog) wake() {
	select {
	case w.awake <- struct{}{}:
	default:
	}
}

// run checks the bounds of the connections until close.
func (w *watchdog) run() {
	defer close(w.done)
	defer w.account.Watch()()
	held := newMemory()
	defer held.close()
	var shed time.Time
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		tick.Stop()
		select {
		case <-w.awake:
		case <-w.stop:
			return
		}
		tick.Reset(watchEvery)
		for bound := true; bound; {
			select {
			case <-tick.C:
			case <-w.stop:
				return
			}
			if held.used() > w.limit && time.Since(shed) > shedEvery {
				shed = time.Now()
				w.shed()
			}
			bound = w.check(held.used()+w.account.Held() > w.limit)
		}
	}
}

// worthEnding is how many bytes a statement holds that is ended for them: to end
// a small one because of what others hold would free nothing.
const worthEnding = ownBytes

// check looks at every connection once and reports whether one is bound. With
// tooMuch it ends the statement that holds most.
func (w *watchdog) check(tooMuch bool) (bound bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	var greedy *conn
	var began time.Time
	var most int64
	for _, c := range w.conns {
		since, running := c.check(now)
		if !running {
			continue
		}
		bound = true
		if holds := c.held.Load() + c.budget.Held(); holds > max(most, worthEnding) {
			greedy, began, most = c, since, holds
		}
	}
	if tooMuch && greedy != nil {
		greedy.tooMuch(began)
	}
	return bound
}

func (w *watchdog) close() {
	close(w.stop)
	<-w.done
}
