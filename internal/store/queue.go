package store

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

const (
	// maxWaiting is how many writes wait at most. One sender may have no more of
	// them than there are places left, so that the first one to come cannot take
	// all; the next is refused.
	maxWaiting = 8192
	// shareable is how long the last write of a sender may have taken for its next
	// one to share a transaction with those of others, who wait for all of it.
	shareable = time.Millisecond
	// restful is for how long a write may make others wait without a consequence.
	// Who makes them wait longer begins nothing for restFactor times as long, and
	// longestRest at most: so that slow writes, each of which may hold others up
	// for a moment, do not do so one after the other.
	restful     = 5 * time.Millisecond
	restFactor  = 10
	longestRest = 2 * time.Second
)

// writeQueue is the writes that wait for the writer. Those of the server itself
// go first: sign-ins, refreshes, revocations. Users take turns, whatever each of
// them has waiting.
type writeQueue struct {
	able    atomic.Int32  // writes that may begin
	awaited atomic.Int32  // how many of them the writer waits for; 0: for none
	arrived chan struct{} // takes a word when so many are there

	mu      sync.Mutex
	closed  bool               // mu guards it and the rest; nothing more is taken
	own     []*write           // of the server
	senders map[string]*sender // users who have something waiting, or had lately
	turns   []*sender          // those of them who have and do not, in the order of their turns
	waiting int                // writes of users, those of who rests included

	running *write        // the writer is at it
	began   time.Time     // with running
	since   time.Time     // others wait for running to end; zero: nobody does
	long    chan struct{} // closed, and made anew, when running has been for longer than slice
	watched bool          // watch will look
}

// sender is a user who writes.
type sender struct {
	user    string
	writes  []*write
	slow    bool // the last write took longer than shareable
	resting bool
}

func (q *writeQueue) init() {
	q.arrived = make(chan struct{}, 1)
	q.senders = make(map[string]*sender)
	q.long = make(chan struct{})
}

// add queues w for user, or for the server itself when that is "". long is closed
// when what the writer is at takes long: w may wait for the write that it was
// called in.
func (q *writeQueue) add(w *write, user string) (long <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	if user == "" {
		q.own = append(q.own, w)
		q.able.Add(1)
		q.noteWaiting(nil)
		return q.long, nil
	}
	s := q.sender(user)
	if len(s.writes) >= maxWaiting-q.waiting {
		return nil, wire.NewError(wire.CodeRateLimited, "too many of your writes wait for those before them; wait for their answers")
	}
	w.sender = s
	s.writes = append(s.writes, w)
	q.waiting++
	if !s.resting {
		q.able.Add(1)
		if len(s.writes) == 1 {
			q.turns = append(q.turns, s)
		}
		q.noteWaiting(s)
	}
	return q.long, nil
}

// noteWaiting notes that s, or the server itself, waits for what runs. The
// caller holds mu.
func (q *writeQueue) noteWaiting(s *sender) {
	if q.running != nil && q.since.IsZero() && (s == nil || s != q.running.sender) {
		q.since = time.Now()
	}
}

// sender finds or makes the sender of a user. Those who have nothing waiting are
// kept until they are many: most of them come back. The caller holds mu.
func (q *writeQueue) sender(user string) *sender {
	s := q.senders[user]
	if s != nil {
		return s
	}
	if len(q.senders) >= 2*maxWaiting {
		maps.DeleteFunc(q.senders, func(_ string, s *sender) bool { return len(s.writes) == 0 && !s.resting })
	}
	s = &sender{user: user}
	q.senders[user] = s
	return s
}

// remove takes a write out that its caller has left.
func (q *writeQueue) remove(w *write) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := w.sender
	if s == nil {
		return // of the server itself: few, and soon at their turn
	}
	i := slices.Index(s.writes, w)
	if i < 0 {
		return
	}
	s.writes = slices.Delete(s.writes, i, i+1)
	q.waiting--
	if s.resting {
		return
	}
	q.able.Add(-1)
	if len(s.writes) == 0 {
		q.turns = slices.DeleteFunc(q.turns, func(have *sender) bool { return have == s })
	}
}

// take returns the write whose turn it is, or nil when none may begin, or none
// that goes with those of batch into one transaction.
func (q *writeQueue) take(batch []*write) *write {
	if q.able.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.own) > 0 {
		w := q.own[0]
		if !goTogether(batch, nil) {
			return nil
		}
		q.own = slices.Delete(q.own, 0, 1)
		q.able.Add(-1)
		return w
	}
	if len(q.turns) == 0 {
		return nil
	}
	s := q.turns[0]
	if !goTogether(batch, s) {
		return nil
	}
	w := s.writes[0]
	s.writes = slices.Delete(s.writes, 0, 1)
	q.waiting--
	q.able.Add(-1)
	if len(q.turns) > 1 || len(s.writes) == 0 {
		q.turns = slices.Delete(q.turns, 0, 1)
		if len(s.writes) > 0 {
			q.turns = append(q.turns, s)
		}
	}
	return w
}

// goTogether reports whether a write of s may share the transaction of batch:
// nobody waits for the commit of somebody else's slow write.
func goTogether(batch []*write, s *sender) bool {
	if len(batch) == 0 {
		return true
	}
	last := batch[len(batch)-1].sender // a slow one shares with its own sender only
	return last == s || (s == nil || !s.slow) && (last == nil || !last.slow)
}

// begin notes that w runs now. others is true when members of the transaction
// that are of other senders wait for it.
func (q *writeQueue) begin(w *write, others bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running, q.began, q.since = w, time.Now(), time.Time{}
	if !q.watched {
		q.watched = true
		time.AfterFunc(slice, q.watch)
	}
	queued := len(q.own) > 0 || len(q.turns) > 1 || len(q.turns) == 1 && q.turns[0] != w.sender
	if others || queued {
		q.since = q.began
	}
}

// watch tells those who wait that the write that runs takes long. It looks again
// and again while the writer is busy.
func (q *writeQueue) watch() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.watched = q.running != nil
	if !q.watched {
		return
	}
	if time.Since(q.began) >= slice {
		close(q.long)
		q.long = make(chan struct{})
	}
	time.AfterFunc(slice, q.watch)
}

// ended notes that what ran has ended. A sender that made others wait for long
// rests.
func (q *writeQueue) ended() {
	q.mu.Lock()
	defer q.mu.Unlock()
	s, now := q.running.sender, time.Now()
	q.running = nil
	if s == nil {
		return
	}
	s.slow = now.Sub(q.began) > shareable
	waited := now.Sub(q.since)
	if q.since.IsZero() || waited <= restful || s.resting || q.closed {
		return
	}
	s.resting = true
	q.able.Add(-int32(len(s.writes)))
	q.turns = slices.DeleteFunc(q.turns, func(have *sender) bool { return have == s })
	time.AfterFunc(min(restFactor*waited, longestRest), func() { q.rested(s) })
}

// rested lets a sender take turns again.
func (q *writeQueue) rested(s *sender) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wakeUp(s)
}

// wakeUp is rested for a caller that holds mu.
func (q *writeQueue) wakeUp(s *sender) {
	if !s.resting {
		return
	}
	s.resting = false
	if len(s.writes) > 0 {
		q.able.Add(int32(len(s.writes)))
		q.turns = append(q.turns, s)
		q.noteWaiting(s)
		q.tell()
	}
}

// othersWaited is for how long others have been waiting for what runs.
func (q *writeQueue) othersWaited() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running == nil || q.running.sender == nil || q.since.IsZero() {
		return 0
	}
	return time.Since(q.since)
}

// tell wakes the writer when as many writes have come as it waits for.
func (q *writeQueue) tell() {
	if n := q.awaited.Load(); n > 0 && q.able.Load() >= n {
		select {
		case q.arrived <- struct{}{}:
		default:
		}
	}
}

// close refuses further writes. Nobody rests any more.
func (q *writeQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, s := range q.senders {
		q.wakeUp(s)
	}
	select {
	case q.arrived <- struct{}{}:
	default:
	}
}

// over reports whether the queue is closed and empty.
func (q *writeQueue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && q.able.Load() == 0
}
