package consumer

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// RetryPolicy says how often and how soon a handler that fails is called again.
// The zero policy works.
type RetryPolicy struct {
	Attempts   int           // calls in all before a message is given up; default 3
	Initial    time.Duration // before the second call; default 300 ms
	Max        time.Duration // between calls at most; default 5 s
	Multiplier float64       // of the time from one call to the next; default 2
	// Jitter is the random part of the time, from 0 to 1. Default 0.2; below 0
	// for none.
	Jitter float64
	// Retryable reports whether calling again may help. Default: always.
	Retryable func(error) bool
}

func (p *RetryPolicy) defaults() {
	def(&p.Attempts, 3)
	def(&p.Initial, 300*time.Millisecond)
	def(&p.Max, 5*time.Second)
	if p.Multiplier < 1 {
		p.Multiplier = 2
	}
	switch {
	case p.Jitter == 0:
		p.Jitter = 0.2
	case p.Jitter < 0:
		p.Jitter = 0
	}
	p.Jitter = min(p.Jitter, 1)
}

// Handler handles one message. Its context ends when the consumer is told to
// stop for too long, or when the message is no longer ours.
type Handler func(ctx context.Context, m *Message) error

// Run calls handle for each message as it comes, and acknowledges the message
// when that returns nil, unless Options.ManualAck leaves that to the handler. A handler that fails is called again as Options.Retry
// says; its key waits meanwhile. A handler may also settle its message itself.
//
// When ctx ends, Run gives back what no handler has begun with, waits for those
// that run (Options.DrainTimeout), tells the server what they did and returns
// nil. It returns earlier with an error that does not pass.
func (x *Consumer) Run(ctx context.Context, handle Handler) error {
	// Handlers go on for a while when ctx ends.
	handling, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	n := x.options.Concurrency
	queues := make([]chan *Message, n)
	var workers sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan *Message)
		workers.Go(func() {
			for m := range queues[i] {
				x.handle(ctx, handling, m, handle)
			}
		})
	}
	err := x.dispatch(ctx, queues)
	for _, q := range queues {
		close(q)
	}
	drain := time.AfterFunc(x.options.DrainTimeout, abort)
	workers.Wait()
	drain.Stop()
	x.giveBack()
	if errors.Is(err, ErrBusy) {
		return err
	}
	flushing, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if x.isClosed() {
		return err
	}
	return errors.Join(err, x.Flush(flushing))
}

// dispatch gives messages to workers, those of a key always to the same one.
func (x *Consumer) dispatch(ctx context.Context, queues []chan *Message) error {
	next := 0
	for m, err := range x.messages(ctx) {
		if err != nil {
			return err
		}
		i := next % len(queues)
		if m.hasKey {
			i = int(hash(m.User, m.Key) % uint64(len(queues)))
		} else {
			next++
		}
		select {
		case queues[i] <- m:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// giveBack gives back what no handler has settled.
func (x *Consumer) giveBack() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, m := range x.held {
		x.settle(m, 0)
	}
}

// hash is FNV-1a of a key.
func hash(user, key string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range [2]string{user, key} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h *= 1099511628211
	}
	return h
}

// handle calls the handler until it succeeds or the policy gives up. stop ends
// the waiting between calls, handling the calls themselves.
func (x *Consumer) handle(stop, handling context.Context, m *Message, handle Handler) {
	x.mu.Lock()
	if m.gone || x.held[m.place()] != m {
		x.mu.Unlock()
		return
	}
	m.handed = true
	ctx, cancel := context.WithCancelCause(handling)
	m.cancel = func() { cancel(ErrLeaseLost) }
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		m.cancel = nil
		x.mu.Unlock()
		cancel(nil)
	}()
	p := &x.options.Retry
	wait := backoff{first: p.Initial, most: p.Max, multiplier: p.Multiplier, jitter: p.Jitter}
	for attempt := 1; ; attempt++ {
		err := call(ctx, m, handle)
		if err == nil {
			if !x.options.ManualAck {
				m.Ack()
			}
			return
		}
		x.mu.Lock()
		x.stats.Failed++
		mine := x.held[m.place()] == m
		x.mu.Unlock()
		switch {
		case !mine: // lost, or settled by the handler
			return
		case ctx.Err() != nil || stop.Err() != nil:
			m.Nack(0)
			return
		case attempt >= p.Attempts || p.Retryable != nil && !p.Retryable(err):
			if give := x.options.GiveUp; give != nil && call(ctx, m, func(ctx context.Context, m *Message) error { return give(ctx, m, err) }) == nil {
				m.Ack()
			} else {
				m.Nack(p.Max)
			}
			return
		}
		if sleep(stop, wait.next()) != nil {
			m.Nack(0)
			return
		}
	}
}

// ErrPanic is the failure of a handler that panicked.
var ErrPanic = errors.New("the handler panicked")

func call(ctx context.Context, m *Message, handle Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = ErrPanic
			if e, ok := p.(error); ok {
				err = errors.Join(ErrPanic, e)
			}
		}
	}()
	return handle(ctx, m)
}

// backoff is how long to wait between attempts: a time that grows from first to
// most, of which the part jitter is random.
type backoff struct {
	first, most        time.Duration
	multiplier, jitter float64
	attempts           int
}

func (b *backoff) next() time.Duration {
	d := float64(b.first)
	for range b.attempts {
		if d *= b.multiplier; d >= float64(b.most) {
			d = float64(b.most)
			break
		}
	}
	b.attempts++
	return time.Duration(d*(1-b.jitter)+d*b.jitter*rand.Float64()) + 1
}

// sleep waits, or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
