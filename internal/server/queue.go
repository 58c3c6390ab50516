package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"sync"

	"github.com/kalamdb/kalam-go/internal/live"
)

const (
	// maxQueue is how many bytes wait for one socket; when they are more, Push
	// refuses.
	maxQueue = 4 << 20
	// easyQueue is how many bytes may wait before the next page of a snapshot is
	// added, so that snapshots go at the pace of their readers.
	easyQueue = 256 << 10
	// gzipFrom is the size from which frames are compressed.
	gzipFrom = 512
)

var errSocketClosed = errors.New("the socket is closed")

// frame is something to write to a socket.
type frame struct {
	sub   *live.Subscription // whose it is; nil: the socket's
	data  []byte
	op    frameOp
	code  uint16 // of a close
	plain bool   // never compressed
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
	write func(frame) error // writes one frame; called by one goroutine at a time
	ended func()            // called once, when a write failed or a close was written

	mu      sync.Mutex
	frames  []frame       // mu guards this and the rest
	bytes   int           // of data in frames and in the frame being written
	writing bool          // the writer runs
	closed  bool          // nothing more is taken
	space   chan struct{} // closed when bytes falls below easyQueue; nil when nobody waits
}

// put adds a frame unless the queue is full or closed.
func (q *queue) put(f frame) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.bytes+len(f.data) > maxQueue {
		return false
	}
	q.add(f)
	return true
}

// add queues f and sees to a writer. The caller holds mu.
func (q *queue) add(f frame) {
	q.frames = append(q.frames, f)
	q.bytes += len(f.data)
	if f.op == opClose {
		q.closed = true
		q.wake()
	}
	if !q.writing {
		q.writing = true
		go q.drain()
	}
}

// wait adds a frame as soon as little waits before it.
func (q *queue) wait(ctx context.Context, f frame) error {
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return errSocketClosed
		}
		if q.bytes <= easyQueue {
			q.add(f)
			q.mu.Unlock()
			return nil
		}
		if q.space == nil {
			q.space = make(chan struct{})
		}
		space := q.space
		q.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// clear drops what waits, so that nothing of it is sent any more.
func (q *queue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.frames {
		q.bytes -= len(q.frames[i].data)
	}
	q.frames = nil
	q.wake()
}

// close refuses everything from now on and drops what waits.
func (q *queue) close() {
	q.clear()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake()
}

// wake tells those in wait to look again. The caller holds mu.
func (q *queue) wake() {
	if q.space != nil {
		close(q.space)
		q.space = nil
	}
}

// drain is the writer: it writes what waits and ends.
func (q *queue) drain() {
	for {
		q.mu.Lock()
		if len(q.frames) == 0 {
			q.frames = nil
			q.writing = false
			q.mu.Unlock()
			return
		}
		f := q.frames[0]
		q.frames[0] = frame{}
		q.frames = q.frames[1:]
		q.mu.Unlock()

		var err error
		if f.sub == nil || !f.sub.Dropped() {
			err = q.write(f)
		}

		q.mu.Lock()
		q.bytes -= len(f.data)
		if q.bytes <= easyQueue {
			q.wake()
		}
		q.mu.Unlock()
		if err != nil || f.op == opClose {
			q.close()
			q.mu.Lock()
			q.writing = false
			q.mu.Unlock()
			q.ended()
			return
		}
	}
}

// packers holds gzip writers between frames.
var packers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return z
}}

// pack compresses a frame and reports whether that made it smaller.
func pack(data []byte) ([]byte, bool) {
	var out bytes.Buffer
	out.Grow(len(data) / 2)
	z := packers.Get().(*gzip.Writer)
	defer packers.Put(z)
	z.Reset(&out)
	z.Write(data)
	if err := z.Close(); err != nil || out.Len() >= len(data) {
		return data, false
	}
	return out.Bytes(), true
}
