package live

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/watch"
	"github.com/kalamdb/kalam-go/wire"
)

// Subscription is one live query of one socket.
type Subscription struct {
	ID     string // the client's, of its socket
	Number int64  // the server's, of all there ever were

	// Queued is how many bytes wait for it; the queue of its socket keeps it.
	Queued int

	hub       *Hub
	who       *identity.Principal
	namespace string
	sql       string
	params    []wire.Value
	option    *wire.SubscribeOptions // nil: no snapshot
	query     watch.Query            // of its goroutine, and of its group once it has joined
	outlet    Outlet
	since     time.Time
	account   *account
	table     [2]string // namespace and name, as it was subscribed

	left    atomic.Bool  // it is not in the hub any more; set under the hub's mu
	dropped atomic.Bool  // nobody wants its frames any more
	cut     atomic.Int64 // how often what was queued for it was taken back
	changes atomic.Int64 // how many were queued

	// The hub's mu guards these.
	cancel   context.CancelFunc // ends its goroutine; nil when there is none
	position store.Seq          // everything up to here was queued
	ended    store.Seq          // rows of lower versions had ended when its snapshot was taken
	failed   *wire.Error        // why it is about to be ended
	group    *group             // where it is, with slot as its place in bunch; nil before it joins
	bunch    *bunch
	slot     int
	follows  []*feed // before it joins
}

// Subscribe starts a live query for who. Its frames go to outlet, the
// acknowledgement first. An error means that there is no subscription; it has
// one of the codes of protocol 2.6.
func (h *Hub) Subscribe(ctx context.Context, who *identity.Principal, req *wire.Subscription, outlet Outlet) (*Subscription, error) {
	if strings.TrimSpace(req.ID) == "" {
		return nil, wire.NewError(wire.CodeInvalidSubscriptionID, "the subscription needs an id that is not blank")
	}
	if err := h.checkOptions(req.Options); err != nil {
		return nil, err
	}
	query, err := h.options.Binder.Bind(ctx, who, req.Namespace, req.SQL, req.Params)
	if err != nil {
		return nil, subscribeError(err)
	}
	first := query.Sources()[0].Table
	sub := &Subscription{
		ID: req.ID, Number: h.db.NextID(), hub: h, who: who, namespace: req.Namespace, sql: req.SQL, params: req.Params, option: req.Options,
		query: query, outlet: outlet, since: h.db.Now(), table: [2]string{first.Namespace, first.Name},
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if sub.account, err = h.admit(who); err != nil {
		return nil, err
	}
	h.subs[sub.Number] = sub
	h.follow(sub)
	sub.launch(false)
	return sub, nil
}

// launch starts the goroutine that brings the subscription into the hub; with
// reset the client forgets its rows first. The caller holds the hub's mu.
func (s *Subscription) launch(reset bool) {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.hub.done.Go(func() {
		defer cancel()
		err := s.startGuarded(ctx, reset)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.quit()
		if errors.Is(err, watch.ErrTooSlow) {
			s.slow(0)
			return
		}
		e := asError(err)
		s.fail(e, cmp.Or(e.Code, wire.CodeSubscriptionFailed))
	})
}

func (h *Hub) checkOptions(o *wire.SubscribeOptions) error {
	if o == nil {
		return nil
	}
	size := h.options.MaxRows
	if o.BatchSize > 0 {
		size = min(size, o.BatchSize)
	}
	if o.LastRows > size {
		return wire.NewError(wire.CodeUnsupportedOption, "last_rows (", strconv.Itoa(o.LastRows), ") cannot exceed batch_size (", strconv.Itoa(size), ")")
	}
	return nil
}

// subscribeError gives an error of the engine the code of a subscribe.
func subscribeError(err error) error {
	var e *wire.Error
	if !errors.As(err, &e) {
		return &wire.Error{Code: wire.CodeSubscriptionFailed, Message: "the subscription failed"}
	}
	return fault.Change(err, func(e *wire.Error) { e.Code = fault.AnswerOf(fault.Subscribe, e.Code).Code })
}

func asError(err error) *wire.Error {
	var e *wire.Error
	if errors.As(err, &e) {
		return e
	}
	return &wire.Error{Message: "internal error"}
}

// End removes the subscription on the client's wish: no frame of it is queued
// afterwards, and those in the queue are not for sending.
func (s *Subscription) End() {
	s.dropped.Store(true)
	s.quit()
}

func (s *Subscription) quit() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
	s.hub.leave(s)
}

// Dropped reports whether End was called. A subscription that ended for another
// reason still has its queued frames sent, and then the error.
func (s *Subscription) Dropped() bool { return s.dropped.Load() }

// Cuts is how often what was queued for the subscription was taken back: a frame
// that was queued before the last time is not for sending.
func (s *Subscription) Cuts() int64 { return s.cut.Load() }

// Ended reports whether nothing more comes from the subscription.
func (s *Subscription) Ended() bool { return s.left.Load() }

// errReset means that the client cannot go on from where it is: the log no
// longer reaches back to there, or the table was altered.
var errReset = errors.New("the subscription starts again")

// startGuarded is start, with a panic as an error: one subscription's bug ends
// that subscription.
func (s *Subscription) startGuarded(ctx context.Context, reset bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.hub.engine.Panicked("a live query", p)
		}
	}()
	return s.start(ctx, reset)
}

// start sends the snapshot, catches up with the log and joins the hub.
func (s *Subscription) start(ctx context.Context, reset bool) error {
	err := errReset
	if !reset {
		err = s.begin(ctx)
	}
	for errors.Is(err, errReset) {
		err = s.again(ctx)
	}
	return err
}

// again binds the query to the table as it is now and sends all rows.
func (s *Subscription) again(ctx context.Context) error {
	query, err := s.hub.options.Binder.Bind(ctx, s.who, s.namespace, s.sql, s.params)
	if err != nil {
		return subscribeError(err)
	}
	if !s.follow(query) {
		return nil
	}
	pos, err := s.snapshot(ctx, true)
	if err != nil {
		return err
	}
	return s.catchUp(ctx, pos, pos)
}

// follow makes query the one that the subscription sends, and reports whether the
// subscription is still in the hub.
func (s *Subscription) follow(query watch.Query) bool {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.query = query
	if s.left.Load() {
		return false
	}
	s.hub.follow(s)
	return true
}

// begin sends the acknowledgement and what comes before the changes after pos.
func (s *Subscription) begin(ctx context.Context) error {
	at, err := s.query.Position(ctx)
	if err != nil {
		return err
	}
	pos, o := at.Newest, s.option
	resumes := o != nil && o.HasFrom && o.From > 0 && o.From >= at.Floor && o.From <= at.Mark
	if resumes {
		if resumes, err = s.query.Resumes(ctx, o.From); err != nil {
			return err
		}
	}
	switch {
	case o == nil:
		err = s.inTurn(ctx, func() error {
			return s.pass(s.ack(wire.BatchControl{Status: "ready", LastSeqID: at.Mark, HasLastSeqID: true}, false))
		})
	case resumes:
		pos = o.From
		ready := wire.BatchControl{Status: "ready", LastSeqID: pos, HasLastSeqID: true}
		err = s.inTurn(ctx, func() error {
			if err := s.pass(s.ack(ready, false)); err != nil {
				return err
			}
			return s.pass(s.batch(nil, ready))
		})
	default:
		pos, err = s.snapshot(ctx, o.HasFrom && o.From > 0)
	}
	if err != nil {
		return err
	}
	return s.catchUp(ctx, pos, at.Newest)
}

// snapshot sends the rows as they are at the position that it returns, batch
// after batch.
func (s *Subscription) snapshot(ctx context.Context, reset bool) (store.Seq, error) {
	var o wire.SubscribeOptions
	if s.option != nil {
		o = *s.option
	}
	size := o.BatchSize
	if size <= 0 {
		size = s.hub.options.DefaultRows
	}
	size = min(size, s.hub.options.MaxRows)
	rows := s.query.Snapshot()
	for n, more := 0, true; more; n++ {
		err := s.inTurn(ctx, func() (err error) {
			var page watch.Page
			if o.LastRows > 0 {
				page, err = rows.Latest(ctx, o.LastRows)
			} else {
				page, err = rows.Next(ctx, size)
			}
			if err != nil {
				return err
			}
			control := wire.BatchControl{BatchNum: n, HasMore: page.More, Status: "ready", LastSeqID: rows.Mark(), HasLastSeqID: true}
			if page.More {
				control.LastSeqID = page.Last
				control.Status = "loading_batch"
				if n == 0 {
					control.Status = "loading"
				}
			}
			if n == 0 {
				// The rows are not there yet: the acknowledgement names no position.
				head := control
				head.LastSeqID, head.HasLastSeqID = 0, false
				if err := s.pass(s.ack(head, reset)); err != nil {
					return err
				}
			}
			more = page.More
			return s.pass(s.batch(page.Rows, control))
		})
		switch {
		case errors.Is(err, store.ErrLogTrimmed), errors.Is(err, watch.ErrAltered):
			return 0, errReset
		case err != nil:
			return 0, err
		}
	}
	s.ended = rows.Ended()
	return rows.At(), nil
}

// unknown reports whether a change is the end of a row that had lived its time
// when the snapshot was taken: the client has never had it.
func (s *Subscription) unknown(c *store.Change) bool { return c.Old != nil && c.OldSeq < s.ended }

const catchUpChunk = 500

// catchUp sends the changes after pos, up to a position that was the newest since
// the subscription follows its feeds, and joins the hub where those are then.
func (s *Subscription) catchUp(ctx context.Context, pos, upTo store.Seq) error {
	for {
		for pos < upTo {
			err := s.inTurn(ctx, func() error {
				changes, reached, err := s.hub.log.Log(ctx, s.who.UserID, s.query.Sources(), pos, upTo, catchUpChunk)
				if errors.Is(err, store.ErrLogTrimmed) {
					return errReset
				}
				if err != nil {
					return err
				}
				for _, c := range changes {
					if err := s.change(ctx, c); err != nil {
						return err
					}
				}
				pos = reached
				return nil
			})
			if err != nil {
				return err
			}
		}
		var err error
		if upTo, err = s.hub.join(s, pos); err != nil || upTo == 0 {
			return err
		}
	}
}

// change sends a change of the log.
func (s *Subscription) change(ctx context.Context, c *store.Change) error {
	if watch.Altered(s.query.Sources(), c) {
		return errReset
	}
	if s.unknown(c) {
		return nil
	}
	tails, hidden, unpaid, failed := s.hub.encode(ctx, s.account, s.query, c)
	if startsAgain(failed) {
		return errReset
	}
	if hidden && s.outlet.Waiting(s).Bytes > 0 {
		s.cut.Add(1)
		return errReset
	}
	if err := cmp.Or(failed, unpaid); err != nil {
		e := asError(err)
		return &wire.Error{Code: evaluationCode(e), Message: e.Error()}
	}
	for _, tail := range tails {
		s.changes.Add(1)
		if err := s.pass(&Frame{JSON: append(s.changeHead(), tail...), Made: time.Now()}); err != nil {
			return err
		}
	}
	return nil
}

// inTurn runs fn in a turn of the subscription.
func (s *Subscription) inTurn(ctx context.Context, fn func() error) error {
	done, err := s.outlet.Turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	return fn()
}

func (s *Subscription) pass(f *Frame) error { return s.outlet.Pass(s, f) }

// push queues frames and reports whether there was room. A socket that panics
// loses this subscription.
func (s *Subscription) push(frames []*Frame) (room bool, failed *wire.Error) {
	defer func() {
		if p := recover(); p != nil {
			failed = s.hub.engine.Panicked("the queue of a socket", p)
		}
	}()
	for _, f := range frames {
		if !s.outlet.Push(s, f) {
			return false, nil
		}
	}
	return true, nil
}

// evaluationCode is the code of an error in evaluating a live query.
func evaluationCode(e *wire.Error) wire.Code { return fault.AnswerOf(fault.Live, e.Code).Code }

// fail tells the client that the subscription has ended.
func (s *Subscription) fail(e *wire.Error, code wire.Code) {
	s.last(&wire.ServerFrame{Type: "error", SubscriptionID: s.ID, Code: code, Message: e.Error()})
}

// slow ends a subscription whose reader does not keep up. Position 0 stands for
// a snapshot that is not complete.
func (s *Subscription) slow(position store.Seq) {
	s.last(&wire.ServerFrame{
		Type: "error", SubscriptionID: s.ID, Code: wire.CodeSlowConsumer,
		Message:   "the client reads more slowly than rows change; subscribe again from last_seq_id",
		LastSeqID: position, HasLastSeqID: true,
	})
}

// last queues the frame that ends the subscription, behind those before it.
func (s *Subscription) last(f *wire.ServerFrame) {
	defer func() {
		if p := recover(); p != nil {
			s.hub.engine.Panicked("the queue of a socket", p)
		}
	}()
	s.outlet.End(s, newFrame(f))
}
