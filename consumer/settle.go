package consumer

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// gather is how long acknowledgements wait for others to travel with; while
// there is more to ask for, gatherLong, because the next request takes them along.
const (
	gather     = 5 * time.Millisecond
	gatherLong = 30 * time.Millisecond
)

func (x *Consumer) gather() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.more && !x.closed && x.flushing == 0 {
		return gatherLong
	}
	return gather
}

// keep tells the server what was settled and extends leases, until stop.
func (x *Consumer) keep(stop, done chan struct{}) {
	defer close(done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	wait := backoff{first: 50 * time.Millisecond, most: 5 * time.Second, multiplier: 2, jitter: 1}
	for {
		timer := time.NewTimer(x.untilExtend())
		select {
		case <-x.kick:
			timer.Stop()
			if sleep(ctx, x.gather()) != nil {
				return
			}
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		err := x.tell(ctx)
		if e := x.extend(ctx); err == nil {
			err = e
		}
		if err == nil {
			wait.attempts = 0
			continue
		}
		if sleep(ctx, wait.next()) != nil {
			return
		}
		x.mu.Lock()
		again := len(x.settled) > 0
		x.mu.Unlock()
		if again {
			x.wake()
		}
	}
}

// takeAcks takes the acknowledgements that are to be sent.
func (x *Consumer) takeAcks() []settled {
	x.mu.Lock()
	defer x.mu.Unlock()
	var acks, rest []settled
	for _, s := range x.settled {
		if s.delay == isAck {
			acks = append(acks, s)
		} else {
			rest = append(rest, s)
		}
	}
	x.settled = rest
	x.sending += len(acks)
	return acks
}

// sent notes what became of what was taken. What did not arrive is sent again;
// what the server refuses for good is not.
func (x *Consumer) sent(list []settled, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sending -= len(list)
	if err != nil {
		x.failed = err
		if passes(err) || errors.Is(err, context.Canceled) {
			x.settled = append(list, x.settled...)
			x.wake()
		}
	}
	x.flushed.Broadcast()
}

// tell sends what was settled.
func (x *Consumer) tell(ctx context.Context) error {
	if err := x.send(ctx, x.takeAcks(), isAck); err != nil {
		return err
	}
	x.mu.Lock()
	list := x.settled
	x.settled = nil
	x.sending += len(list)
	x.mu.Unlock()
	// In the order of the offsets: nobody gets a later message of a row while an
	// earlier one is still ours.
	sortPlaces(list)
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].part == list[0].part && list[n].delay == list[0].delay && list[n].unused == list[0].unused {
			n++
		}
		if err := x.send(ctx, list[:n:n], list[0].delay); err != nil {
			x.sent(list[n:], err)
			return err
		}
		list = list[n:]
	}
	return nil
}

// send acknowledges messages, or gives them back after a delay.
func (x *Consumer) send(ctx context.Context, list []settled, delay time.Duration) error {
	groups := grouped(list)
	for i, g := range groups {
		r := &wire.AckRequest{Topic: x.options.Topic, Group: x.options.Group, Partition: g.part, Consumer: x.id, Ranges: g.ranges}
		call := x.c.Ack
		if delay != isAck {
			call, r.DelayMS, r.Unused = x.c.Nack, delay.Milliseconds(), g.list[0].unused
		}
		_, err := call(ctx, r)
		x.sent(g.list, err)
		if err != nil {
			for _, rest := range groups[i+1:] {
				x.sent(rest.list, context.Canceled) // not tried
			}
			return err
		}
	}
	return nil
}

// runs are the offsets of one partition.
type runs struct {
	part   int
	ranges []wire.TopicRange
	list   []settled
}

func sortPlaces(list []settled) {
	slices.SortFunc(list, func(a, b settled) int {
		return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(a.offset, b.offset))
	})
}

// grouped puts messages together by partition, runs of offsets as one.
func grouped(list []settled) []runs {
	sortPlaces(list)
	var out []runs
	for _, s := range list {
		if n := len(out); n == 0 || out[n-1].part != s.part {
			out = append(out, runs{part: s.part})
		}
		g := &out[len(out)-1]
		g.list = append(g.list, s)
		if n := len(g.ranges); n > 0 && g.ranges[n-1].Last+1 == s.offset {
			g.ranges[n-1].Last++
		} else {
			g.ranges = append(g.ranges, wire.TopicRange{First: s.offset, Last: s.offset})
		}
	}
	return out
}

// untilExtend is when the next lease is to be extended: a third before it ends.
func (x *Consumer) untilExtend() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	wait := x.lease / 3
	for _, m := range x.held {
		if time.Since(m.came) < x.options.MaxHold {
			wait = min(wait, time.Until(m.until)-x.lease/3)
		}
	}
	return max(wait, 10*time.Millisecond)
}

// extend extends the leases that end soon, and forgets those that have ended.
func (x *Consumer) extend(ctx context.Context) error {
	now := time.Now()
	var due []settled
	x.mu.Lock()
	lease := x.lease
	for p, m := range x.held {
		switch {
		case now.After(m.until):
			x.lost(m)
		case now.Sub(m.came) >= x.options.MaxHold:
		case m.until.Sub(now) <= lease/3+lease/6:
			due = append(due, settled{place: p})
		}
	}
	x.mu.Unlock()
	for _, g := range grouped(due) {
		asked := time.Now()
		resp, err := x.c.Extend(ctx, &wire.AckRequest{Topic: x.options.Topic, Group: x.options.Group, Partition: g.part, Consumer: x.id, Ranges: g.ranges})
		if err != nil {
			if !passes(err) && !errors.Is(err, client.ErrClosed) && ctx.Err() == nil {
				x.forget(g.part, g.ranges) // the topic or the right to it is gone
			}
			return err
		}
		x.mu.Lock()
		for _, s := range g.list {
			if m := x.held[s.place]; m != nil {
				m.until = asked.Add(time.Duration(resp.Lease) * time.Millisecond)
			}
		}
		x.mu.Unlock()
		x.forget(g.part, resp.Lost)
	}
	return nil
}

// forget drops messages that are no longer ours.
func (x *Consumer) forget(part int, ranges []wire.TopicRange) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, m := range x.held {
		for _, r := range ranges {
			if m.Partition == part && m.Offset >= r.First && m.Offset <= r.Last {
				x.lost(m)
				break
			}
		}
	}
}
