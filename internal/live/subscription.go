package live

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Subscription is one live query of one socket.
type Subscription struct {
	ID string

	hub    *Hub
	who    *identity.Principal
	sql    string
	params []wire.Value
	option *wire.SubscribeOptions // nil: no snapshot
	watch  *engine.Watch          // of its goroutine, and of its group once it has joined
	outlet Outlet
	head   []byte // of its change frames

	left    atomic.Bool // it is not in the hub any more; set under the hub's mu
	dropped atomic.Bool // nobody wants its frames any more

	// The hub's mu guards these.
	group    *group
	cancel   context.CancelFunc // ends its goroutine
	position store.Seq          // everything up to here was queued
}

// Subscribe starts a live query for who. Its frames go to outlet, the
// acknowledgement first. An error means that there is no subscription; it has
// one of the codes of protocol 2.6.
func (h *Hub) Subscribe(who *identity.Principal, req *wire.Subscription, outlet Outlet) (*Subscription, error) {
	if strings.TrimSpace(req.ID) == "" {
		return nil, wire.NewError(wire.CodeInvalidSubscriptionID, "the subscription needs an id that is not blank")
	}
	if err := h.checkOptions(req.Options); err != nil {
		return nil, err
	}
	watch, err := h.engine.Watch(who, req.SQL, req.Params)
	if err != nil {
		return nil, subscribeError(err)
	}
	sub := &Subscription{ID: req.ID, hub: h, who: who, sql: req.SQL, params: req.Params, option: req.Options, watch: watch, outlet: outlet}
	sub.head = append([]byte(`{"type":"change","subscription_id":`), wire.AppendString(nil, req.ID)...)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.enter(who); err != nil {
		return nil, err
	}
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
		if err := s.start(ctx, reset); err != nil && ctx.Err() == nil {
			s.quit()
			s.fail(asError(err), wire.CodeSubscriptionFailed)
		}
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
	out := *e
	switch e.Code {
	case wire.CodeTableNotFound, wire.CodeNamespaceNotFound:
		out.Code = wire.CodeNotFound
	case wire.CodePermissionDenied:
		out.Code = wire.CodeUnauthorized
	default:
		out.Code = wire.CodeInvalidSQL
	}
	return &out
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
	s.cancel()
	s.hub.leave(s)
}

// Dropped reports whether End was called. A subscription that ended for another
// reason still has its queued frames sent, and then the error.
func (s *Subscription) Dropped() bool { return s.dropped.Load() }

// Ended reports whether nothing more comes from the subscription.
func (s *Subscription) Ended() bool { return s.left.Load() }

// errReset means that the client cannot go on from where it is: the log no
// longer reaches back to there, or the table was altered.
var errReset = errors.New("the subscription starts again")

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
	watch, err := s.hub.engine.Watch(s.who, s.sql, s.params)
	if err != nil {
		return subscribeError(err)
	}
	s.watch = watch
	pos, _, err := watch.Newest(ctx)
	if err == nil {
		err = s.snapshot(ctx, pos, true)
	}
	if err != nil {
		return err
	}
	return s.catchUp(ctx, pos)
}

// begin sends the acknowledgement and what comes before the changes after pos.
func (s *Subscription) begin(ctx context.Context) error {
	newest, floor, err := s.watch.Newest(ctx)
	if err != nil {
		return err
	}
	pos, o := newest, s.option
	switch {
	case o == nil:
		err = s.send(ctx, s.ack(wire.BatchControl{Status: "ready", LastSeqID: newest, HasLastSeqID: true}, false))
	case o.HasFrom && o.From > 0 && o.From >= floor && o.From <= newest:
		pos = o.From
		ready := wire.BatchControl{Status: "ready", LastSeqID: pos, HasLastSeqID: true}
		if err = s.send(ctx, s.ack(ready, false)); err == nil {
			err = s.send(ctx, s.batch(nil, ready))
		}
	default:
		err = s.snapshot(ctx, newest, o.HasFrom && o.From > 0)
	}
	if err != nil {
		return err
	}
	return s.catchUp(ctx, pos)
}

// snapshot sends the rows as of position upTo, batch after batch.
func (s *Subscription) snapshot(ctx context.Context, upTo store.Seq, reset bool) error {
	var o wire.SubscribeOptions
	if s.option != nil {
		o = *s.option
	}
	size := o.BatchSize
	if size <= 0 {
		size = s.hub.options.DefaultRows
	}
	size = min(size, s.hub.options.MaxRows)
	var after store.Seq
	for n := 0; ; n++ {
		var page engine.Page
		var err error
		if o.LastRows > 0 {
			page, err = s.watch.Latest(ctx, upTo, o.LastRows)
		} else {
			page, err = s.watch.Page(ctx, after, upTo, size)
		}
		if err != nil {
			return err
		}
		control := wire.BatchControl{BatchNum: n, HasMore: page.More, Status: "ready", LastSeqID: upTo, HasLastSeqID: true}
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
			if err := s.send(ctx, s.ack(head, reset)); err != nil {
				return err
			}
		}
		if err := s.send(ctx, s.batch(page.Rows, control)); err != nil {
			return err
		}
		if !page.More {
			return nil
		}
		after = page.Last
	}
}

const catchUpChunk = 500

// catchUp sends the changes after pos and joins the hub at the end of the log.
func (s *Subscription) catchUp(ctx context.Context, pos store.Seq) error {
	for {
		upTo, err := s.hub.join(s, pos)
		if err != nil || upTo == 0 {
			return err
		}
		for pos < upTo {
			changes, err := s.watch.Log(ctx, pos, upTo, catchUpChunk)
			if err != nil {
				return err
			}
			// Asked afterwards: what was there then was read.
			_, floor, err := s.watch.Newest(ctx)
			if err != nil {
				return err
			}
			if floor > pos {
				return errReset
			}
			for _, c := range changes {
				if c.Version != s.watch.Table.Version {
					return errReset
				}
				ev, ok, err := s.watch.Event(c)
				if err != nil {
					return err
				}
				if !ok {
					continue
				}
				if err := s.send(ctx, s.frame(changeTail(s.watch, ev))); err != nil {
					return err
				}
			}
			if len(changes) < catchUpChunk {
				pos = upTo
			} else {
				pos = changes[len(changes)-1].Seq
			}
		}
	}
}

func (s *Subscription) send(ctx context.Context, frame []byte) error {
	return s.outlet.Wait(ctx, s, frame)
}

// fail tells the client that the subscription has ended.
func (s *Subscription) fail(e *wire.Error, code wire.Code) {
	if e.Code != "" && code == wire.CodeSubscriptionFailed && e.Code != wire.CodeInternal {
		code = e.Code
	}
	s.last(&wire.ServerFrame{Type: "error", SubscriptionID: s.ID, Code: code, Message: e.Error()})
}

// slow ends a subscription whose reader does not keep up. The caller holds the
// hub's mu.
func (s *Subscription) slow() {
	s.last(&wire.ServerFrame{
		Type: "error", SubscriptionID: s.ID, Code: wire.CodeSlowConsumer,
		Message:   "the client reads more slowly than rows change; subscribe again from last_seq_id",
		LastSeqID: s.position, HasLastSeqID: true,
	})
}

// last queues the frame that ends the subscription, behind those before it.
func (s *Subscription) last(f *wire.ServerFrame) {
	s.outlet.End(s, wire.AppendServerFrame(nil, f))
}
