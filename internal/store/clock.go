package store

import (
	"sync"
	"time"
)

// Seq is a position in the change log and the version of the row that the
// change made: milliseconds since 2024-01-01 << 22 | worker << 12 | counter.
type Seq = int64

// Epoch is where the milliseconds of a Seq count from.
var Epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// SeqAt returns the smallest Seq of that moment.
func SeqAt(t time.Time) Seq {
	return max(t.Sub(Epoch).Milliseconds(), 0) << 22
}

// TimeOf returns the moment of a Seq, to the millisecond.
func TimeOf(s Seq) time.Time { return Epoch.Add(time.Duration(s>>22) * time.Millisecond) }

// clock hands out strictly increasing Seqs, also when the system's clock steps
// back. It may be used from several goroutines.
type clock struct {
	mu   sync.Mutex
	last Seq // mu guards last
	now  func() time.Time
}

const counterMask = 1<<12 - 1

func (c *clock) next() Seq {
	s := SeqAt(c.now())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s > c.last:
		c.last = s
	case c.last&counterMask < counterMask:
		c.last++
	default: // the counter of this millisecond is used up
		c.last = (c.last>>22 + 1) << 22
	}
	return c.last
}

// raise makes all later Seqs larger than s.
func (c *clock) raise(s Seq) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last, s)
}
