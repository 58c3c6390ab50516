package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/watch"
)

const (
	// easyQueue is how many bytes may wait before the next page of a snapshot is
	// added, so that snapshots go at the pace of their readers.
	easyQueue = 256 << 10
	// frameCost is what a frame takes beside its data.
	frameCost = 64
	// shares is into how many parts the queue of a socket is divided: no
	// subscription may fill more than one, so that a busy one does not end its
	// neighbours.
	shares = 4
)

var errSocketClosed = errors.New("the socket is closed")

// errUnread means that what the user's sockets have not read takes as much memory
// as there is for one user.
var errUnread = fmt.Errorf("frames that nobody reads: %w", watch.ErrTooSlow)

// frame is something to write to a socket.
type frame struct {
	sub   *live.Subscription // whose it is; nil: the socket's
	msg   *live.Frame        // of opData
	data  []byte             // of the others
	op    frameOp
	code  uint16 // of a close
	plain bool   // JSON text, whatever was agreed on
	paced bool   // it was added by pass
	cuts  int64  // of sub, when it was added
}

func (f *frame) cost() int {
	n := len(f.data) + frameCost
	if f.msg != nil {
		n += len(f.msg.JSON)
	}
	return n
}

// held is what a frame takes of the memory of its user: its JSON, and as much for
// the form in which it is sent. Sockets of several users that are sent the same
// frame share it.
func (f *frame) held() int {
	if f.msg == nil {
		return f.cost()
	}
	return frameCost + 2*len(f.msg.JSON)/max(1, f.msg.Shared)
}

type frameOp uint8

const (
	opData frameOp = iota
	opPing
	opPong
	opClose
)

// queue is what waits for one socket. Its writer is a goroutine that runs only
// while something waits, so that an idle socket costs none.
type queue struct {
	// limit is how many bytes of changes wait; when they are more, put refuses.
	// What pass adds goes at the pace of the reader and is not counted: a large
	// page of a snapshot makes nobody a slow reader.
	limit int
	write func(frame) error // writes one frame; called by one goroutine at a time
	ended func()            // called once, when a write failed
	// panicked is called with what was recovered when a write panicked, which
	// ends the socket.
	panicked func(recovered any)

	mu      sync.Mutex
	frames  []frame         // mu guards this and the rest
	bytes   int             // cost of frames and of the frame being written
	pushed  int             // the part of bytes that is not paced
	held    int             // what of the frames is counted in hold
	hold    engine.Hold     // of the user who has signed in; nobody counts the little before
	writing bool            // the writer runs
	current frame           // what it writes
	closed  bool            // nothing more is taken
	space   chan struct{}   // closed when bytes falls below easyQueue; nil when nobody waits
	turns   []chan struct{} // of those who wait for the turn, closed when it is theirs
	taken   bool            // somebody has the turn
}

// put adds a frame unless the queue, the share of its subscription or that of its
// user in the server's memory is full, or the queue closed. One frame always fits
// the first two.
func (q *queue) put(f frame) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.pushed > 0 && q.pushed+f.cost() > q.limit {
		return false
	}
	if f.sub != nil && f.sub.Queued > 0 && f.sub.Queued+f.cost() > q.limit/shares {
		return false
	}
	if q.hold.Set(q.held+f.held()) != nil {
		return false
	}
	q.add(f)
	return true
}

// countFor counts what waits for a user from now on.
func (q *queue) countFor(h engine.Hold) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hold = h
}

// last adds a frame that ends something, however full the queue is, unless it
// is closed. Frames of this sort are small, and as few as what they end.
func (q *queue) last(f frame) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.add(f)
	return true
}

// over reports whether nothing more is taken.
func (q *queue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// add queues f and sees to a writer. The caller holds mu.
func (q *queue) add(f frame) {
	if f.sub != nil {
		f.cuts = f.sub.Cuts()
	}
	q.frames = append(q.frames, f)
	q.bytes += f.cost()
	q.held += f.held()
	if !f.paced {
		q.pushed += f.cost()
		if f.sub != nil {
			f.sub.Queued += f.cost()
		}
	}
	if f.op == opClose {
		q.closed = true
		q.wake()
	}
	if !q.writing {
		q.writing = true
		go q.drain()
	}
}

// leave takes the cost of a frame that is gone off. The caller holds mu.
func (q *queue) leave(f frame) {
	q.bytes -= f.cost()
	q.held -= f.held()
	q.hold.Set(q.held)
	if !f.paced {
		q.pushed -= f.cost()
		if f.sub != nil {
			f.sub.Queued -= f.cost()
		}
	}
	if q.bytes <= easyQueue {
		q.wake()
	}
}

// turn waits until nobody else has the turn and little waits to be written.
func (q *queue) turn(ctx context.Context) (done func(), err error) {
	q.mu.Lock()
	if q.taken {
		mine := make(chan struct{})
		q.turns = append(q.turns, mine)
		q.mu.Unlock()
		select {
		case <-mine:
		case <-ctx.Done():
			q.mu.Lock()
			if i := slices.Index(q.turns, mine); i >= 0 {
				q.turns = slices.Delete(q.turns, i, i+1)
				q.mu.Unlock()
			} else {
				q.mu.Unlock()
				q.next() // it was just given
			}
			return nil, context.Cause(ctx)
		}
		q.mu.Lock()
	}
	q.taken = true
	for !q.closed && q.bytes > easyQueue {
		if q.space == nil {
			q.space = make(chan struct{})
		}
		space := q.space
		q.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			q.next()
			return nil, context.Cause(ctx)
		}
		q.mu.Lock()
	}
	q.mu.Unlock()
	return q.next, nil
}

// next gives the turn to whoever has waited longest.
func (q *queue) next() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 {
		q.turns, q.taken = nil, false
		return
	}
	close(q.turns[0])
	q.turns = q.turns[1:]
}

// pass adds a frame during a turn.
func (q *queue) pass(f frame) error {
	f.paced = true
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errSocketClosed
	}
	if q.hold.Set(q.held+f.held()) != nil {
		return errUnread
	}
	q.add(f)
	return nil
}

// clear drops what waits, so that nothing of it is sent any more.
func (q *queue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range q.frames {
		q.leave(f)
	}
	q.frames = nil
}

// close refuses everything from now on and drops what waits.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, f := range q.frames {
		q.leave(f)
	}
	q.frames = nil
	q.wake()
}

// wake tells who has the turn to look again. The caller holds mu.
func (q *queue) wake() {
	if q.space != nil {
		close(q.space)
		q.space = nil
	}
}

// waiting tells how many bytes wait for a subscription, and since when.
func (q *queue) waiting(sub *live.Subscription) (bytes int, oldest time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	count := func(f *frame) {
		if f.sub != sub {
			return
		}
		if bytes == 0 {
			oldest = f.msg.Made
		}
		bytes += len(f.msg.JSON)
	}
	count(&q.current)
	for i := range q.frames {
		count(&q.frames[i])
	}
	return bytes, oldest
}

// drain is the writer: it writes what waits and ends.
func (q *queue) drain() {
	defer func() {
		if p := recover(); p != nil {
			q.panicked(p)
			q.close()
			q.ended()
		}
	}()
	for {
		q.mu.Lock()
		if len(q.frames) == 0 {
			q.frames = nil
			q.writing = false
			q.mu.Unlock()
			return
		}
		f := q.frames[0]
		q.current, q.frames[0] = f, frame{}
		q.frames = q.frames[1:]
		q.mu.Unlock()

		var err error
		if f.sub == nil || !f.sub.Dropped() && f.cuts == f.sub.Cuts() {
			err = q.write(f)
		}

		q.mu.Lock()
		q.current = frame{}
		q.leave(f)
		q.mu.Unlock()
		if err != nil {
			q.close()
			q.ended()
		}
	}
}
