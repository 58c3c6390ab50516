package topic

import (
	"context"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Lease is what a consumer got.
type Lease struct {
	Messages []wire.TopicMessage
	Next     int64 // behind the last message; without messages where the group stands
	More     bool
	Lag      int64 // messages that the group has not acknowledged

	runs   []run
	expire int64 // when something comes back by itself; milliseconds, 0 for never
	fresh  bool  // the group's place is to be stored
}

// run is a leased claim of a partition.
type run struct {
	part int
	claim
}

// Consumer is a request to consume that is under way. It is used by one
// goroutine:
//
//	for again := true; again && err == nil; {
//		if lease, err = c.Lease(ctx, user, topic); err == nil {
//			again, err = c.Wait(ctx)
//		}
//	}
type Consumer struct {
	s       *Service
	r       *wire.ConsumeRequest
	acks    []wire.TopicAck // that have not been stored
	waiter  *waiter         // nil before the first Lease
	last    *Lease
	timeout *time.Timer // of the first Wait
}

// Consume begins what a request asks for. The caller ends it.
func (s *Service) Consume(r *wire.ConsumeRequest) *Consumer {
	if r.Peek {
		// Each one who only looks sees everything.
		own := *r
		own.Group, own.Acks = "\x00"+strconv.FormatUint(s.turn.Add(1), 10), nil
		r = &own
	}
	return &Consumer{s: s, r: r, acks: r.Acks}
}

// End ends the request.
func (c *Consumer) End() {
	if c.waiter != nil {
		c.s.waiting.leave(c.waiter)
	}
	if c.timeout != nil {
		c.timeout.Stop()
	}
}

// Lease leases for user the messages of t that there are now.
func (c *Consumer) Lease(ctx context.Context, user string, t *catalog.Topic) (*Lease, error) {
	if c.waiter != nil && c.waiter.topic != t.ID { // dropped and made anew
		c.s.waiting.leave(c.waiter)
		c.waiter = nil
	}
	if c.waiter == nil {
		c.waiter = c.s.join(t.ID, c.r.Group, partOf(c.r))
	}
	db := c.s.db.For(user)
	l, err := c.s.apart(func() (*Lease, error) { return c.s.attempt(ctx, db, t, c.r, c.acks) })
	if err == nil && len(l.runs) > 0 && ctx.Err() != nil {
		c.s.undo(db, t, c.r, l)
		err = context.Cause(ctx)
	}
	if err == nil {
		c.acks = nil
	}
	c.last = l
	return l, err
}

// Wait waits, when the last Lease has found no message, until there may be some.
// It reports whether the caller shall look again: not when there were messages,
// when the request does not wait, or when its time is over.
func (c *Consumer) Wait(ctx context.Context) (again bool, err error) {
	if len(c.last.Messages) > 0 || c.r.Timeout <= 0 || c.r.Limit == 0 {
		return false, nil
	}
	s := c.s
	if c.timeout == nil {
		c.timeout = time.NewTimer(min(time.Duration(c.r.Timeout)*time.Second, s.options.MaxWait))
	}
	s.waiting.at(c.waiter.topic, c.r.Group, c.last.expire, s.db.Now().UnixMilli())
	select {
	case <-c.waiter.wake:
		return true, nil
	case <-c.timeout.C:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-s.closing:
		return false, wire.NewError(wire.CodeUnavailable, "the server is shutting down")
	}
}

// apart runs an attempt in a goroutine of its own. The engine's calls go deep,
// and a stack that has grown stays large as long as the consumer waits.
func (s *Service) apart(fn func() (*Lease, error)) (l *Lease, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				err = s.panicked("panic while consuming", p)
			}
		}()
		l, err = fn()
	}()
	<-done
	return l, err
}

// panicked logs what was recovered from a panic, and returns the error for the
// caller, with the id that is in the log.
func (s *Service) panicked(what string, recovered any) error {
	id := strconv.FormatInt(s.db.NextID(), 10)
	s.options.Logger.Error(what, "id", id, "panic", recovered, "stack", string(debug.Stack()))
	return wire.NewError(wire.CodeInternal, "internal error; the server's log has it under id ", id)
}

// partOf is the partition of a request, -1 for all.
func partOf(r *wire.ConsumeRequest) int {
	if r.AllPartitions {
		return -1
	}
	return r.Partition
}

// attempt leases what there is now.
func (s *Service) attempt(ctx context.Context, db store.Share, t *catalog.Topic, r *wire.ConsumeRequest, acks []wire.TopicAck) (*Lease, error) {
	if r.Peek {
		return s.peek(ctx, db, t, r)
	}
	begin := int(s.turn.Add(1))
	if len(acks) == 0 {
		// A look costs less than a write, and most who ask find nothing.
		var l *Lease
		err := db.Read(ctx, func(tx *store.Tx) error {
			var err error
			l, err = s.look(tx, t, r, begin, false)
			return err
		})
		if err != nil || len(l.runs) == 0 && !l.fresh {
			return l, err
		}
	}
	l, err := store.Write(ctx, db, func(tx *store.Tx) (*Lease, error) {
		if err := s.ackAll(tx, t, r, acks); err != nil {
			return nil, err
		}
		return s.lease(tx, t, r, begin)
	})
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, db, t, r, l); err != nil {
		s.undo(db, t, r, l)
		return nil, err
	}
	if l.More {
		s.waiting.returned(t.ID, r.Group)
	}
	return l, nil
}

// lease leases what there is, and tells when it may come again.
func (s *Service) lease(tx *store.Tx, t *catalog.Topic, r *wire.ConsumeRequest, begin int) (*Lease, error) {
	l, err := s.look(tx, t, r, begin, true)
	if err == nil && len(l.runs) > 0 {
		tellAt(tx, t, r.Group, s.db.Now().Add(s.options.Visibility).UnixMilli())
	}
	return l, err
}

// peek looks without leasing anything. What comes after it begins where it ends.
func (s *Service) peek(ctx context.Context, db store.Share, t *catalog.Topic, r *wire.ConsumeRequest) (*Lease, error) {
	l := &Lease{}
	err := db.Read(ctx, func(tx *store.Tx) error {
		var err error
		*l = Lease{}
		l.Messages, l.Next, err = s.Peek(tx, t, r, s.options.MaxAnswer)
		if err != nil || r.AllPartitions {
			return err
		}
		_, head, err := ends(tx, t, r.Partition)
		l.More = l.Next < head
		return err
	})
	if !r.AllPartitions {
		r.Start = wire.TopicStart{HasOffset: true, Offset: l.Next}
	}
	return l, err
}

func (s *Service) ackAll(tx *store.Tx, t *catalog.Topic, r *wire.ConsumeRequest, acks []wire.TopicAck) error {
	for _, a := range acks {
		if a.Partition >= t.Partitions {
			return errPartition(t, a.Partition)
		}
		m, err := open(tx, t, r.Group, a.Partition)
		if err != nil {
			return err
		}
		for _, x := range a.Ranges {
			m.ack(r.Consumer, Range(x))
		}
		if m.known {
			if err := m.save(); err != nil {
				return err
			}
		}
	}
	if len(acks) > 0 {
		tellReturned(tx, t, r.Group)
	}
	return nil
}

// look leases messages in the transaction, or without save only looks what
// there is.
func (s *Service) look(tx *store.Tx, t *catalog.Topic, r *wire.ConsumeRequest, begin int, save bool) (*Lease, error) {
	parts, first := 1, r.Partition
	if r.AllPartitions {
		parts, first = t.Partitions, begin%t.Partitions
	} else if r.Partition >= t.Partitions {
		return nil, errPartition(t, r.Partition)
	}
	now := s.db.Now()
	l := &Lease{}
	left := r.Limit
	for i := range parts {
		m, err := open(tx, t, r.Group, (first+i)%t.Partitions)
		if err != nil {
			return nil, err
		}
		if !m.known {
			m.begin(r.Start)
			l.fresh = true
		}
		ask := take{now: now.UnixMilli(), until: now.Add(s.options.Visibility).UnixMilli(), owner: r.Consumer, limit: left, head: m.head, keys: m.keys}
		if left == 0 && r.Limit > 0 {
			// Enough: only whether there is more. It is not stored.
			l.More = l.More || m.next < m.head
			l.Lag += m.lag()
			if !m.known && save {
				if err := m.save(); err != nil {
					return nil, err
				}
			}
			continue
		}
		got, more, err := m.lease(ask)
		if err != nil {
			return nil, err
		}
		for _, x := range got {
			left -= int(x.last - x.first + 1)
			l.runs = append(l.runs, run{m.part, x})
		}
		l.More = l.More || more
		l.Lag += m.lag()
		if at := m.expires(now.UnixMilli()); at > 0 && (l.expire == 0 || at < l.expire) {
			l.expire = at
		}
		if len(got) > 0 {
			l.Next = got[len(got)-1].last + 1
		} else if len(l.runs) == 0 {
			l.Next = m.next
		}
		if save {
			if err := m.save(); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

func errPartition(t *catalog.Topic, part int) error {
	return wire.NewError(wire.CodePartition, "topic ", t.FullName(), " has no partition ", itoa(part), ": they are 0 to ", itoa(t.Partitions-1))
}

// fill reads the messages of a lease. What does not fit into an answer is given
// back.
func (s *Service) fill(ctx context.Context, db store.Share, t *catalog.Topic, r *wire.ConsumeRequest, l *Lease) error {
	room := s.options.MaxAnswer
	var over []run
	for _, x := range l.runs {
		if room > 0 {
			var err error
			before := len(l.Messages)
			room, err = read(func(st *store.Stmt, args []wire.Value, fn func([]wire.Value) error) error {
				return db.Query(ctx, st, args, fn)
			}, t, x.part, Range{x.first, x.last}, x.deliveries, room, &l.Messages)
			if err != nil {
				return err
			}
			x.first += int64(len(l.Messages) - before)
		}
		if x.first <= x.last {
			over = append(over, x)
		}
	}
	if len(over) == 0 {
		return nil
	}
	if n := len(l.Messages); n > 0 {
		l.Next = l.Messages[n-1].Offset + 1
	}
	l.More = true
	return db.Write(ctx, func(tx *store.Tx) error { return s.giveBack(tx, t, r, over) })
}

// undo gives back what a consumer was leased that went away meanwhile, so that
// nobody waits for its lease to run out.
func (s *Service) undo(db store.Share, t *catalog.Topic, r *wire.ConsumeRequest, l *Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := db.Write(ctx, func(tx *store.Tx) error { return s.giveBack(tx, t, r, l.runs) })
	if err != nil {
		s.options.Logger.Warn("give back messages of a consumer that went away", "topic", t.FullName(), "error", err)
	}
}

// giveBack releases runs as if they had not been leased.
func (s *Service) giveBack(tx *store.Tx, t *catalog.Topic, r *wire.ConsumeRequest, runs []run) error {
	for _, x := range runs {
		m, err := open(tx, t, r.Group, x.part)
		if err != nil {
			return err
		}
		m.release(r.Consumer, Range{x.first, x.last}, 0, true)
		if err := m.save(); err != nil {
			return err
		}
	}
	tellReturned(tx, t, r.Group)
	return nil
}

// LeaseIn leases messages inside a transaction, for CONSUME.
func (s *Service) LeaseIn(tx *store.Tx, t *catalog.Topic, r *wire.ConsumeRequest) (*Lease, error) {
	l, err := s.lease(tx, t, r, int(s.turn.Add(1)))
	if err != nil {
		return nil, err
	}
	for _, x := range l.runs {
		if _, err := read(tx.Query, t, x.part, Range{x.first, x.last}, x.deliveries, 1<<62, &l.Messages); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Peek reads messages without a group: from a position in one partition, or in
// all of them one after the other, room bytes and one message more at most. next
// is the position behind what it read in the last one.
func (s *Service) Peek(tx *store.Tx, t *catalog.Topic, r *wire.ConsumeRequest, room int) (out []wire.TopicMessage, next int64, err error) {
	if !r.AllPartitions && r.Partition >= t.Partitions {
		return nil, 0, errPartition(t, r.Partition)
	}
	for part := range t.Partitions {
		if !r.AllPartitions && part != r.Partition {
			continue
		}
		floor, head, err := ends(tx, t, part)
		if err != nil {
			return nil, 0, err
		}
		m := member{cursor: cursor{next: floor}, head: head}
		m.begin(r.Start)
		next = m.next
		last := min(m.head, m.next+int64(r.Limit-len(out))) - 1
		if last < m.next {
			continue
		}
		if room, err = read(tx.Query, t, part, Range{m.next, last}, 0, room, &out); err != nil {
			return nil, 0, err
		}
		if n := len(out); n > 0 {
			next = out[n-1].Offset + 1
		}
	}
	return out, next, nil
}
