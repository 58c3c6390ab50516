// Package topic turns committed changes of rows into durable messages and hands
// them to consumer groups.
//
// One flow: a write routes what it has changed (Router, which is pure) and
// stores the messages in its own transaction; a consumer leases messages behind
// its group's cursor and waits for some when there are none; an acknowledgement
// ends the lease, and a lease that runs out is given to somebody else.
//
// Where a group stands is a cursor (cursor.go), stored row by row, so that it
// survives a restart. In memory are only those who wait. Who may consume is
// decided by the engine.
package topic

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Options configure a Service. The zero value works.
type Options struct {
	Visibility time.Duration // how long a consumer has for what it leased; default 60 s
	MaxPayload int           // bytes of a message; default 1 MiB
	MaxAnswer  int           // bytes of the payloads of one answer, and one message more; default 4 MiB
	MaxWait    time.Duration // for a message; default 60 s
	// RetentionSeconds and RetentionBytes are what a new topic keeps; default 7
	// days and 1 GiB in each partition.
	RetentionSeconds int64
	RetentionBytes   int64
	RetainEvery      time.Duration // between looks for messages to remove; default 10 s; below 0: never
	Logger           *slog.Logger
}

// Service keeps the topics of one database. It is safe for concurrent use.
type Service struct {
	db      *store.DB
	options Options
	router  atomic.Pointer[Router]
	waiting waiting
	turn    atomic.Uint64 // where the next lease of all partitions begins
	closing chan struct{}
	done    sync.WaitGroup
	once    sync.Once
}

// New makes the service of a database and starts what removes old messages.
func New(db *store.DB, o Options) *Service {
	def(&o.Visibility, time.Minute)
	def(&o.MaxPayload, 1<<20)
	def(&o.MaxAnswer, 4<<20)
	def(&o.MaxWait, time.Minute)
	def(&o.RetentionSeconds, 7*24*3600)
	def(&o.RetentionBytes, 1<<30)
	def(&o.RetainEvery, 10*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{db: db, options: o, closing: make(chan struct{})}
	if o.RetainEvery > 0 {
		s.done.Go(s.retain)
	}
	return s
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Release answers everybody who waits for a message, now and from here on.
func (s *Service) Release() { s.once.Do(func() { close(s.closing) }) }

// Close releases who waits and ends what runs in the background. It is
// idempotent.
func (s *Service) Close() error {
	s.Release()
	s.done.Wait()
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }

// Retention is what a new topic keeps: seconds, and bytes in each partition.
func (s *Service) Retention() (seconds, bytes int64) {
	return s.options.RetentionSeconds, s.options.RetentionBytes
}

// Create prepares the partitions of a topic that tx has just created.
func (s *Service) Create(tx *store.Tx, t *catalog.Topic) error {
	for part := range t.Partitions {
		if _, err := tx.Exec(partInsert, wire.IntValue(t.ID), wire.IntValue(int64(part))); err != nil {
			return err
		}
	}
	return nil
}

// Route stores the messages of what tx has changed. It is called once, when all
// of the transaction's changes are made. actor is who made them.
func (s *Service) Route(tx *store.Tx, actor, role string) error {
	snapshot := tx.Catalog()
	changes := tx.Written()
	if len(changes) == 0 || !snapshot.Routed() {
		return nil
	}
	router := s.router.Load()
	if router == nil || router.snapshot != snapshot {
		router = NewRouter(snapshot, s.options.MaxPayload)
		s.router.Store(router)
	}
	env := &expr.Env{User: actor, Role: role, Now: s.db.Now(), NextID: s.db.NextID}
	var list []Message
	for _, c := range changes {
		messages, err := router.Route(c, env)
		if err != nil {
			return err
		}
		list = append(list, messages...)
	}
	if len(list) == 0 {
		return nil
	}
	touched, err := appendMessages(tx, list)
	if err != nil {
		return err
	}
	tx.AfterCommit(func() {
		for _, k := range touched {
			s.waiting.arrived(k.topic, k.part)
		}
	})
	return nil
}

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

// Consume leases messages for a consumer and waits for the first one as long as
// the request says. allowed is asked before each attempt.
func (s *Service) Consume(ctx context.Context, r *wire.ConsumeRequest, allowed func() (*catalog.Topic, error)) (*Lease, error) {
	t, err := allowed()
	if err != nil {
		return nil, err
	}
	if r.Peek {
		// Each one who only looks sees everything.
		own := *r
		own.Group, own.Acks = "\x00"+strconv.FormatUint(s.turn.Add(1), 10), nil
		r = &own
	}
	w := s.waiting.join(t.ID, r.Group, partOf(r))
	defer func() { s.waiting.leave(w) }()
	var timeout <-chan time.Time
	acks := r.Acks
	for {
		l, err := s.apart(func() (*Lease, error) { return s.attempt(ctx, t, r, acks) })
		if err == nil && len(l.runs) > 0 && ctx.Err() != nil {
			s.undo(t, r, l)
			err = context.Cause(ctx)
		}
		if err != nil || len(l.Messages) > 0 || r.Timeout <= 0 || r.Limit == 0 {
			return l, err
		}
		acks = nil
		if timeout == nil {
			timer := time.NewTimer(min(time.Duration(r.Timeout)*time.Second, s.options.MaxWait))
			defer timer.Stop()
			timeout = timer.C
		}
		s.waiting.at(t.ID, r.Group, l.expire, s.db.Now().UnixMilli())
		select {
		case <-w.wake:
		case <-timeout:
			return l, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.closing:
			return nil, wire.NewError(wire.CodeUnavailable, "the server is shutting down")
		}
		again, err := allowed()
		if err != nil {
			return nil, err
		}
		if again.ID != t.ID { // dropped and made anew
			s.waiting.leave(w)
			w = s.waiting.join(again.ID, r.Group, partOf(r))
		}
		t = again
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
				s.options.Logger.Error("panic while consuming", "panic", p, "stack", string(debug.Stack()))
				err = wire.NewError(wire.CodeInternal, "internal error")
			}
		}()
		l, err = fn()
	}()
	<-done
	return l, err
}

// partOf is the partition of a request, -1 for all.
func partOf(r *wire.ConsumeRequest) int {
	if r.AllPartitions {
		return -1
	}
	return r.Partition
}

// attempt leases what there is now.
func (s *Service) attempt(ctx context.Context, t *catalog.Topic, r *wire.ConsumeRequest, acks []wire.TopicAck) (*Lease, error) {
	if r.Peek {
		return s.peek(ctx, t, r)
	}
	var l *Lease
	begin := int(s.turn.Add(1))
	if len(acks) == 0 {
		// A look costs less than a write, and most who ask find nothing.
		err := s.db.Read(ctx, func(tx *store.Tx) error {
			var err error
			l, err = s.look(tx, t, r, begin, false)
			return err
		})
		if err != nil || len(l.runs) == 0 && !l.fresh {
			return l, err
		}
	}
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		if err := s.ackAll(tx, t, r, acks); err != nil {
			return err
		}
		var err error
		l, err = s.look(tx, t, r, begin, true)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, t, r, l); err != nil {
		s.undo(t, r, l)
		return nil, err
	}
	if l.More || len(acks) > 0 {
		s.waiting.returned(t.ID, r.Group)
	}
	if len(l.runs) > 0 {
		now := s.db.Now()
		s.waiting.at(t.ID, r.Group, now.Add(s.options.Visibility).UnixMilli(), now.UnixMilli())
	}
	return l, nil
}

// peek looks without leasing anything. What comes after it begins where it ends.
func (s *Service) peek(ctx context.Context, t *catalog.Topic, r *wire.ConsumeRequest) (*Lease, error) {
	l := &Lease{}
	err := s.db.Read(ctx, func(tx *store.Tx) error {
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
func (s *Service) fill(ctx context.Context, t *catalog.Topic, r *wire.ConsumeRequest, l *Lease) error {
	room := s.options.MaxAnswer
	var over []run
	for _, x := range l.runs {
		if room > 0 {
			var err error
			before := len(l.Messages)
			room, err = read(func(st *store.Stmt, args []wire.Value, fn func([]wire.Value) error) error {
				return s.db.Query(ctx, st, args, fn)
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
	return s.db.Write(ctx, func(tx *store.Tx) error { return s.giveBack(tx, t, r, over) })
}

// undo gives back what a consumer was leased that went away meanwhile, so that
// nobody waits for its lease to run out.
func (s *Service) undo(t *catalog.Topic, r *wire.ConsumeRequest, l *Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.db.Write(ctx, func(tx *store.Tx) error { return s.giveBack(tx, t, r, l.runs) })
	if err != nil {
		s.options.Logger.Warn("give back messages of a consumer that went away", "topic", t.FullName(), "error", err)
		return
	}
	s.waiting.returned(t.ID, r.Group)
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
	return nil
}

// Settle is what an acknowledgement does to messages that a consumer has.
type Settle uint8

// The kinds of Settle.
const (
	Ack    Settle = iota // they are done
	Nack                 // somebody shall have them again
	Extend               // the lease begins anew
)

// Settle acknowledges, gives back or extends what a consumer has.
func (s *Service) Settle(ctx context.Context, t *catalog.Topic, r *wire.AckRequest, kind Settle) (*wire.AckResponse, error) {
	resp := &wire.AckResponse{}
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		var err error
		resp, err = s.settle(tx, t, r, kind)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.wakeAfter(t, r, kind)
	return resp, nil
}

func (s *Service) wakeAfter(t *catalog.Topic, r *wire.AckRequest, kind Settle) {
	now := s.db.Now().UnixMilli()
	switch {
	case kind == Extend:
	case kind == Nack && r.DelayMS > 0:
		s.waiting.at(t.ID, r.Group, now+r.DelayMS, now)
	default:
		s.waiting.returned(t.ID, r.Group)
	}
}

// SettleIn is Settle inside a transaction.
func (s *Service) SettleIn(tx *store.Tx, t *catalog.Topic, r *wire.AckRequest, kind Settle) (*wire.AckResponse, error) {
	resp, err := s.settle(tx, t, r, kind)
	if err == nil {
		tx.AfterCommit(func() { s.wakeAfter(t, r, kind) })
	}
	return resp, err
}

func (s *Service) settle(tx *store.Tx, t *catalog.Topic, r *wire.AckRequest, kind Settle) (*wire.AckResponse, error) {
	if r.Partition >= t.Partitions {
		return nil, errPartition(t, r.Partition)
	}
	m, err := open(tx, t, r.Group, r.Partition)
	if err != nil {
		return nil, err
	}
	if !m.known {
		return nil, wire.NewError(wire.CodeGroupNotFound, "consumer group '", r.Group, "' has consumed nothing from partition ", itoa(r.Partition), " of topic ", t.FullName())
	}
	ranges := make([]Range, 0, len(r.Ranges)+1)
	for _, x := range r.Ranges {
		ranges = append(ranges, Range(x))
	}
	if r.HasUpTo {
		ranges = append(ranges, Range{0, r.UpTo})
	}
	ranges = sortRanges(ranges)
	if last := ranges[len(ranges)-1].Last; last >= m.next {
		return nil, wire.NewError(wire.CodeNotDelivered, "offset ", strconv.FormatInt(last, 10), " of partition ", itoa(r.Partition), " was not delivered to group '", r.Group,
			"': the next one to be is ", strconv.FormatInt(m.next, 10), "; to skip messages, reset the group")
	}
	now := s.db.Now()
	resp := &wire.AckResponse{Success: true}
	var lost []Range
	for _, x := range ranges {
		var gone []Range
		switch kind {
		case Ack:
			_, gone = m.ack(r.Consumer, x)
		case Nack:
			gone = m.release(r.Consumer, x, now.UnixMilli()+min(r.DelayMS, maxDelay.Milliseconds()), r.Unused)
		case Extend:
			gone = m.extend(r.Consumer, x, now.Add(s.options.Visibility).UnixMilli())
			resp.Lease = s.options.Visibility.Milliseconds()
		}
		lost = append(lost, gone...)
	}
	resp.Acknowledged = m.committed() - 1
	if r.HasUpTo {
		resp.Acknowledged = r.UpTo
		lost = nil // it is about what this consumer has, wherever that is
	}
	for _, x := range sortRanges(slices.Clone(lost)) {
		resp.Lost = append(resp.Lost, wire.TopicRange(x))
	}
	return resp, m.save()
}

// maxDelay bounds how long a message that is given back stays away.
const maxDelay = 24 * time.Hour

// Committed is the last offset up to which a group has acknowledged everything,
// -1 for none.
func (s *Service) Committed(tx *store.Tx, t *catalog.Topic, group string, part int) (int64, error) {
	m, err := open(tx, t, group, part)
	if err != nil {
		return 0, err
	}
	return m.committed() - 1, nil
}

// LeaseIn leases messages inside a transaction, for CONSUME.
func (s *Service) LeaseIn(tx *store.Tx, t *catalog.Topic, r *wire.ConsumeRequest) (*Lease, error) {
	l, err := s.look(tx, t, r, int(s.turn.Add(1)), true)
	if err != nil {
		return nil, err
	}
	for _, x := range l.runs {
		if _, err := read(tx.Query, t, x.part, Range{x.first, x.last}, x.deliveries, 1<<62, &l.Messages); err != nil {
			return nil, err
		}
	}
	expires := s.db.Now().Add(s.options.Visibility).UnixMilli()
	tx.AfterCommit(func() { s.waiting.at(t.ID, r.Group, expires, s.db.Now().UnixMilli()) })
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

// Reset makes a group go on from a position in one partition, or in all for -1.
// What its consumers have leased is no longer theirs.
func (s *Service) Reset(tx *store.Tx, t *catalog.Topic, group string, part int, to wire.TopicStart) error {
	if part >= t.Partitions {
		return errPartition(t, part)
	}
	for p := range t.Partitions {
		if part >= 0 && p != part {
			continue
		}
		m, err := open(tx, t, group, p)
		if err != nil {
			return err
		}
		if err := m.reset(to); err != nil {
			return err
		}
	}
	tx.AfterCommit(func() { s.waiting.returned(t.ID, group) })
	return nil
}

// Visibility is how long a consumer has for what it leased.
func (s *Service) Visibility() time.Duration { return s.options.Visibility }
