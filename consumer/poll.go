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
		f := &fetcher{x: x, want: make(chan struct{}, 1), batches: make(chan batch)}
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
		asked := false
		for {
			if !asked {
				f.want <- struct{}{}
			}
			asked = false
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
					f.want <- struct{}{}
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

// quick is the time for half a batch in which it pays to have the next one ready.
const quick = 50 * time.Millisecond

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
	err      error
}

// fetcher asks the server for messages, one batch at a time and only when asked.
type fetcher struct {
	x       *Consumer
	want    chan struct{} // of 1; there is never more than one batch asked for
	batches chan batch
}

func (f *fetcher) run(ctx context.Context) {
	for {
		select {
		case <-f.want:
		case <-ctx.Done():
			return
		}
		b := f.fetch(ctx)
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

// fetch gets the next messages, however long it takes.
func (f *fetcher) fetch(ctx context.Context) batch {
	x := f.x
	wait := backoff{first: 100 * time.Millisecond, most: 10 * time.Second, multiplier: 2, jitter: 1}
	for {
		asked := time.Now()
		resp, err := x.consume(ctx)
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
		wait.attempts = 0
		x.mu.Lock()
		if lease := time.Duration(resp.Lease) * time.Millisecond; lease > 0 && lease != x.lease {
			x.lease = lease
			x.wake() // the keeper sleeps by another one
		}
		x.stats.Lag = resp.Lag
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
			return batch{messages: messages}
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

// consume does one request, which carries what is to be acknowledged.
func (x *Consumer) consume(ctx context.Context) (*wire.ConsumeResponse, error) {
	o := &x.options
	r := &wire.ConsumeRequest{
		Topic: o.Topic, Group: o.Group, Start: o.Start.at, Limit: o.BatchSize, AllPartitions: o.Partition == nil,
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
