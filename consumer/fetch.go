package consumer

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// Messages gives messages as they come, until ctx ends or the loop is left. Each
// one is to be settled with Ack or Nack, in the loop or later. Failures that
// pass, such as a server that starts again, are waited out; one that does not,
// such as a topic that is not there, is the last thing that comes.
//
// What has come and was not handed to the loop is given back when it ends.
func (x *Consumer) Messages(ctx context.Context) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		for m, err := range x.messages(ctx) {
			if (err != nil || x.hand(m)) && !yield(m, err) {
				return
			}
		}
	}
}

// messages is Messages without handing them over.
func (x *Consumer) messages(ctx context.Context) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		if err := x.begin(stop); err != nil {
			yield(nil, err)
			return
		}
		f := &fetcher{x: x, want: make(chan int, 1), batches: make(chan batch)}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			f.run(ctx)
		}()
		defer func() {
			stop()
			<-ended
			x.end()
		}()
		asked, more := false, 1
		for {
			if !asked {
				f.want <- more
			}
			asked, more = false, 1
			var b batch
			select {
			case b = <-f.batches:
			case <-ctx.Done():
				b.err = ctx.Err()
			}
			if x.isClosed() {
				b.err = client.ErrClosed
			}
			if b.err != nil {
				if ctx.Err() == nil || x.isClosed() {
					yield(nil, b.err)
				}
				return
			}
			began := time.Now()
			for i, m := range b.messages {
				// Where messages are handled quickly the next ones come meanwhile.
				// Otherwise they are better with others of the group.
				if i == len(b.messages)/2 && time.Since(began) < quick {
					if b.more {
						more = ahead
					}
					f.want <- more
					asked = true
				}
				if ctx.Err() != nil {
					return
				}
				if !yield(m, nil) {
					return
				}
			}
		}
	}
}

// quick is the time for half of what came in which it pays to have more ready,
// and ahead how many batches are then asked for at once: each request costs the
// server a commit.
const (
	quick = 50 * time.Millisecond
	ahead = 16
)

// end gives back what nobody was handed.
func (x *Consumer) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy = false
	for _, m := range x.held {
		if !m.handed {
			x.settle(m, 0)
		}
	}
}

type batch struct {
	messages []*Message
	more     bool // the server has more
	err      error
}

// fetcher asks the server for messages, and only when asked.
type fetcher struct {
	x       *Consumer
	want    chan int // how many batches are to come at once; of 1, nobody asks twice
	batches chan batch
}

func (f *fetcher) run(ctx context.Context) {
	for {
		var b batch
		select {
		case n := <-f.want:
			b = f.fetch(ctx, n)
		case <-ctx.Done():
			return
		}
		select {
		case f.batches <- b:
		case <-ctx.Done():
			return
		}
		if b.err != nil {
			return
		}
	}
}

// fetch gets the next messages, n batches at most, however long it takes.
func (f *fetcher) fetch(ctx context.Context, n int) batch {
	x := f.x
	wait := backoff{first: 100 * time.Millisecond, most: 10 * time.Second, multiplier: 2, jitter: 1}
	for {
		asked := time.Now()
		resp, err := x.consume(ctx, n)
		switch {
		case ctx.Err() != nil:
			return batch{err: ctx.Err()}
		case err != nil && !passes(err):
			return batch{err: err}
		case err != nil:
			if sleep(ctx, wait.next()) != nil {
				return batch{err: ctx.Err()}
			}
			continue
		}
		n, wait.attempts = 1, 0
		x.mu.Lock()
		if lease := time.Duration(resp.Lease) * time.Millisecond; lease > 0 && lease != x.lease {
			x.lease = lease
			x.wake() // the keeper sleeps by another one
		}
		x.stats.Lag, x.more = resp.Lag, resp.HasMore
		if len(resp.Messages) > 0 {
			asked = latest(asked, time.Now().Add(-x.lease/4)) // it may have waited at the server
		}
		messages := x.receive(resp.Messages, asked)
		closed := x.closed
		if closed {
			for _, m := range messages {
				x.settle(m, 0)
			}
		}
		x.mu.Unlock()
		if closed {
			return batch{err: client.ErrClosed}
		}
		if len(messages) > 0 {
			return batch{messages: messages, more: resp.HasMore}
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// passes reports whether trying again may help.
func passes(err error) bool {
	return errors.Is(err, client.ErrUnavailable) || errors.Is(err, client.ErrRateLimited) || errors.Is(err, context.DeadlineExceeded)
}

// consume does one request for n batches at most, which carries what is to be
// acknowledged.
func (x *Consumer) consume(ctx context.Context, n int) (*wire.ConsumeResponse, error) {
	o := &x.options
	r := &wire.ConsumeRequest{
		Topic: o.Topic, Group: o.Group, Start: o.Start.at, Limit: n * o.BatchSize, AllPartitions: o.Partition == nil,
		Timeout: int((o.PollTimeout + time.Second - 1) / time.Second), Consumer: x.id,
	}
	if o.Partition != nil {
		r.Partition = *o.Partition
	}
	acks := x.takeAcks()
	if len(acks) > 0 {
		r.Timeout = 0 // somebody may wait to hear that they arrived
	}
	for _, g := range grouped(acks) {
		r.Acks = append(r.Acks, wire.TopicAck{Partition: g.part, Ranges: g.ranges})
	}
	resp, err := x.c.Consume(ctx, r)
	x.sent(acks, err)
	return resp, err
}
