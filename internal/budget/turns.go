package budget

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// freeTime is for how long work goes on without a place. Quick work ends within
	// it.
	freeTime = 2 * time.Millisecond
	// turnTime is for how long work keeps its place while others wait.
	turnTime = 5 * time.Millisecond
	// lately is for how long somebody who has begun something counts as there.
	lately = time.Second
	// shareTime is the time between two looks at who uses more than their share.
	shareTime = 50 * time.Millisecond
	// maxUsers is how many users are remembered.
	maxUsers = 16384
)

// Turns shares the processors among what users have computed for long: the
// statements of the engine, and what Go parses, binds and evaluates for them. It
// takes a place to go on after freeTime, and from the beginning for a user who
// has used more than their share lately. There are as many places as processors.
// Threads that work in a place run behind the others, and where the system does
// not allow that there is one place less while several users are there: so the
// next quick statement, a sign-in or a commit finds a processor, and
// does not wait for all the slow ones to be preempted. Work without a place stands
// still in the middle of what it does. Users take turns, however much each of them
// has begun. The server itself takes no turns.
//
// It is safe for concurrent use; a nil Turns has a place for everybody.
type Turns struct {
	places int
	behind bool // what has a place runs behind what needs none

	// The last two who have begun something.
	newest, before atomic.Pointer[User]

	mu      sync.Mutex
	users   map[string]*User // mu guards it and the rest
	taken   int
	waiting []*User // whose work is parked, in the order of their turns
	sharing bool    // share will be called
}

// User is a user who takes turns.
type User struct {
	seen  atomic.Int64 // when their last work began, in Unix nanoseconds
	used  atomic.Int64 // nanoseconds of work that ended since share was called last
	begun atomic.Int32 // what runs, or stands still
	heavy atomic.Bool  // they have used more than their share lately

	recent int64   // of used, a moving average; guarded by Turns.mu
	parked []*turn // guarded by Turns.mu
}

// NewTurns returns Turns for so many processors.
func NewTurns(processors int) *Turns {
	return &Turns{places: processors, behind: runsBehind(), users: make(map[string]*User)}
}

// Of returns the user of that name; nil for "", the server itself.
func (t *Turns) Of(name string) *User {
	if t == nil || name == "" {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.users[name]
	if u != nil {
		return u
	}
	if len(t.users) >= maxUsers {
		old := time.Now().Add(-lately).UnixNano()
		maps.DeleteFunc(t.users, func(_ string, u *User) bool { return u.begun.Load() == 0 && u.seen.Load() < old })
	}
	u = &User{}
	t.users[name] = u
	return u
}

// saw notes that u begins something.
func (t *Turns) saw(u *User, now time.Time) {
	u.seen.Store(now.UnixNano())
	if last := t.newest.Load(); last != u {
		t.before.Store(last)
		t.newest.Store(u)
	}
}

// others reports whether somebody else than u was there lately.
func (t *Turns) others(u *User, now time.Time) bool {
	there := func(other *User) bool {
		return other != nil && other != u && now.UnixNano()-other.seen.Load() < int64(lately)
	}
	return there(t.newest.Load()) || there(t.before.Load())
}

// allowed is how many places there are for u.
func (t *Turns) allowed(u *User, now time.Time) int {
	if t.others(u, now) {
		return max(1, t.places-1)
	}
	return t.places
}

// fill gives the places that are free to those whose turn it is. The caller
// holds mu.
func (t *Turns) fill(now time.Time) {
	for len(t.waiting) > 0 && t.taken < t.allowed(t.waiting[0], now) {
		u := t.waiting[0]
		w := u.parked[0]
		t.waiting = slices.Delete(t.waiting, 0, 1)
		u.parked = slices.Delete(u.parked, 0, 1)
		if len(u.parked) > 0 {
			t.waiting = append(t.waiting, u)
		}
		t.taken++
		w.placed = true
		w.word <- struct{}{}
	}
}

// Parked returns how much work stands still.
func (t *Turns) Parked() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range t.users {
		n += len(u.parked)
	}
	return n
}

// unpark takes w off those that wait. The caller holds mu.
func (t *Turns) unpark(w *turn) {
	i := slices.Index(w.user.parked, w)
	if i < 0 {
		return
	}
	w.user.parked = slices.Delete(w.user.parked, i, i+1)
	if len(w.user.parked) == 0 {
		t.waiting = slices.DeleteFunc(t.waiting, func(u *User) bool { return u == w.user })
	}
}

// littleUse is how much of shareTime anybody may use.
const littleUse = shareTime / 10

// worked notes that work of u took so long, and starts share while several users
// are there.
func (t *Turns) worked(u *User, took time.Duration, now time.Time) {
	if u.used.Add(int64(took)) < int64(littleUse) || !t.others(u, now) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.sharing {
		t.sharing = true
		time.AfterFunc(shareTime, t.share)
	}
}

// share finds out who uses more than their share. It runs again and again while
// anybody does much.
func (t *Turns) share() {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, total, since := 0, int64(0), time.Now().Add(-lately).UnixNano()
	for _, u := range t.users {
		u.recent += (u.used.Swap(0) - u.recent) / 4
		if u.seen.Load() > since {
			n++
			total += u.recent
		}
	}
	busy := false
	for _, u := range t.users {
		// A share is the mean of what the users who are there have used.
		heavy := n > 1 && u.recent > int64(littleUse) && u.recent*4*int64(n) > total*5
		u.heavy.Store(heavy)
		busy = busy || heavy || u.recent > int64(littleUse)
	}
	t.sharing = busy
	if busy {
		time.AfterFunc(shareTime, t.share)
	}
}

// turn is one piece of work of a user, from begin to leave. It belongs to one
// goroutine. The zero turn is the server's own work.
type turn struct {
	of     *Turns
	user   *User
	first  bool          // it waits for nobody: others wait for it
	began  time.Time     // less the time that it stood still
	at     time.Time     // when it got its place
	placed bool          // of.mu guards it while the work is parked
	word   chan struct{} // takes a word when the work has a place
}

// begin begins work of u.
func (w *turn) begin(t *Turns, u *User, first bool) {
	if w.of = t; u == nil {
		w.of = nil
	}
	if w.user, w.first = u, first; w.of == nil {
		return
	}
	w.began = time.Now()
	u.begun.Add(1)
	t.saw(u, w.began)
}

// eager reports whether the work takes a place before it does anything.
func (w *turn) eager() bool { return w.of != nil && w.user.heavy.Load() }

// free is for how long the work goes on without a place: no longer than it takes
// to look, when its user has begun more than there are processors.
func (w *turn) free() time.Duration {
	switch {
	case w.user.heavy.Load():
		return 0
	case int(w.user.begun.Load()) > w.of.places:
		return freeTime / 10
	}
	return freeTime
}

// pass is called every now and then while the work goes on. It returns when the
// work may go on, or need not because one of the channels was closed.
func (w *turn) pass(done, kill <-chan struct{}) {
	if w.of == nil {
		return
	}
	now := time.Now()
	switch {
	case w.placed && (w.first || now.Sub(w.at) < turnTime):
	case !w.placed && now.Sub(w.began) < w.free():
	default:
		w.take(done, kill, now)
	}
}

// take waits for a place.
func (w *turn) take(done, kill <-chan struct{}, now time.Time) {
	t := w.of
	w.yield()
	t.mu.Lock()
	if w.first {
		w.placed, w.at = true, now
		t.taken++ // beyond what is allowed, so that others make room
		t.mu.Unlock()
		return
	}
	if w.word == nil {
		w.word = make(chan struct{}, 1)
	}
	w.user.parked = append(w.user.parked, w)
	if len(w.user.parked) == 1 {
		t.waiting = append(t.waiting, w.user)
	}
	t.fill(now)
	t.mu.Unlock()
	select {
	case <-w.word:
	case <-done:
	case <-kill:
	}
	t.mu.Lock()
	t.unpark(w)
	placed := w.placed
	select {
	case <-w.word: // it was given just now
	default:
	}
	t.mu.Unlock()
	w.at = time.Now()
	w.began = w.began.Add(w.at.Sub(now))
	if placed {
		stepBack()
	}
}

// yield gives back the place.
func (w *turn) yield() {
	if !w.placed {
		return
	}
	if !w.first {
		stepForward()
	}
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	w.placed = false
	w.of.taken--
	w.of.fill(time.Now())
}

// leave ends the work. It is idempotent.
func (w *turn) leave() {
	if w.of == nil {
		return
	}
	w.yield()
	now := time.Now()
	w.user.begun.Add(-1)
	w.of.worked(w.user, now.Sub(w.began), now)
	w.of = nil
}
