package sqlite

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// freeTime is for how long a statement runs without a place. Quick ones end
	// within it.
	freeTime = 2 * time.Millisecond
	// turnTime is for how long a statement keeps its place while others wait.
	turnTime = 5 * time.Millisecond
	// turnOps is after how many operations of the engine a statement looks whether
	// its time is over: some 100 us.
	turnOps = 2000
	// lately is for how long somebody who has begun a statement counts as there.
	lately = time.Second
)

// turns shares the processors among the statements that read for long. There are
// as many places as processors, and one less while several users are there: so
// the next quick statement, a sign-in or a commit finds a processor, and does
// not wait for all the slow ones to be preempted. A statement without a place
// stands still in the middle of what it does. Users take turns, however many
// statements each of them has.
type turns struct {
	places int

	// The last two who have begun a statement.
	newest, before atomic.Pointer[user]

	mu      sync.Mutex
	taken   int     // mu guards it and the rest
	waiting []*user // whose statements are parked, in the order of their turns
}

func (t *turns) init() { t.places = runtime.NumCPU() }

// saw notes that u begins a statement.
func (t *turns) saw(u *user) {
	u.seen.Store(time.Now().UnixNano())
	if last := t.newest.Load(); last != u {
		t.before.Store(last)
		t.newest.Store(u)
	}
}

// allowed is how many places there are for u.
func (t *turns) allowed(u *user, now time.Time) int {
	there := func(other *user) bool {
		return other != nil && other != u && now.UnixNano()-other.seen.Load() < int64(lately)
	}
	if there(t.newest.Load()) || there(t.before.Load()) {
		return max(1, t.places-1)
	}
	return t.places
}

// pass is called by the engine every now and then while c runs a statement. It
// returns when c may go on; false when c was interrupted meanwhile.
func (t *turns) pass(c *conn) bool {
	if c.user == &c.pool.own {
		return true
	}
	now := time.Now()
	switch {
	case c.placed && now.Sub(c.turn) < turnTime:
		return true
	case !c.placed && now.Sub(c.began) < t.free(c):
		return true
	}
	t.mu.Lock()
	if c.placed {
		c.placed = false
		t.taken--
	}
	got := c.place
	if got == nil {
		got = make(chan struct{}, 1)
		c.place = got
	}
	c.user.parked = append(c.user.parked, c)
	if len(c.user.parked) == 1 {
		t.waiting = append(t.waiting, c.user)
	}
	t.fill(now)
	t.mu.Unlock()
	select {
	case <-got:
		c.turn = time.Now()
		return true
	case <-c.kill:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unpark(c); c.placed {
		<-got // it was just given
	}
	return false
}

// free is for how long c runs without a place: no longer than it takes to look,
// when its user has more statements than processors.
func (t *turns) free(c *conn) time.Duration {
	if int(c.user.held.Load()) > t.places {
		return freeTime / 10
	}
	return freeTime
}

// fill gives the places that are free to those whose turn it is. The caller
// holds mu.
func (t *turns) fill(now time.Time) {
	for len(t.waiting) > 0 && t.taken < t.allowed(t.waiting[0], now) {
		u := t.waiting[0]
		c := u.parked[0]
		t.waiting = slices.Delete(t.waiting, 0, 1)
		u.parked = slices.Delete(u.parked, 0, 1)
		if len(u.parked) > 0 {
			t.waiting = append(t.waiting, u)
		}
		t.taken++
		c.placed = true
		c.place <- struct{}{}
	}
}

// unpark takes c off those that wait. The caller holds mu.
func (t *turns) unpark(c *conn) {
	i := slices.Index(c.user.parked, c)
	if i < 0 {
		return
	}
	c.user.parked = slices.Delete(c.user.parked, i, i+1)
	if len(c.user.parked) == 0 {
		t.waiting = slices.DeleteFunc(t.waiting, func(u *user) bool { return u == c.user })
	}
}

// leave gives back the place of c, whose statement has ended.
func (t *turns) leave(c *conn) {
	if !c.placed {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c.placed = false
	t.taken--
	t.fill(time.Now())
}
