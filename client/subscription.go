package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// subscription is one live query: what was asked, how far it has come, and the
// queue to its consumer.
type subscription struct {
	sql         string
	params      []wire.Value
	namespace   string
	batchSize   int
	lastRows    int
	changesOnly bool
	born        time.Time

	// events is the bounded queue to the consumer. What happens when it is full
	// is with socket.enqueue.
	events chan item

	once    sync.Once
	done    chan struct{} // closed when the subscription has ended
	err     error         // why; set before done closes
	discard bool          // what is queued must not be shown; set before done closes

	// Below: the socket's goroutine only, but for what its mu guards.

	id          string    // on the current connection; empty when the server does not have it
	sent        time.Time // when it was sent there
	acked       bool      // accepted on the current connection
	connected   bool      // accepted at any time
	user        string    // who it belongs to, once it was sent
	resumed     bool      // it was sent with a position
	loading     bool      // its snapshot is under way
	schema      []wire.Field
	position    int64 // of the last event that was queued
	hasPosition bool
	wait        backoff
	retryAt     time.Time

	// Guarded by socket.mu:
	asleep bool // off the server until its consumer has caught up
	anew   bool // its rows are to be sent again
}

// item is an event in the queue. Rows are made of it by the consumer.
type item struct {
	kind     EventType
	rows     []wire.Row
	old      []wire.Row
	schema   []wire.Field
	ready    bool
	position int64
	last     bool // the subscription sleeps until this one is taken
}

// end ends the subscription with err; only the first call counts.
func (s *subscription) end(err error, discard bool) {
	s.once.Do(func() {
		s.err, s.discard = err, discard
		close(s.done)
	})
}

// next takes the next item. When the subscription has ended, what is still
// queued comes first, unless it belongs to somebody else.
func (s *subscription) next(ctx context.Context) (item, error) {
	select {
	case it := <-s.events:
		return s.check(it)
	case <-ctx.Done():
		return item{}, ctx.Err()
	case <-s.done:
	}
	if !s.discard {
		select {
		case it := <-s.events:
			return it, nil
		default:
		}
	}
	return item{}, s.err
}

// check looks whether the subscription was ended for good while an item
// was being taken.
func (s *subscription) check(it item) (item, error) {
	select {
	case <-s.done:
		if s.discard {
			return item{}, s.err
		}
	default:
	}
	return it, nil
}

// frame makes the message that asks the server for this subscription, from
// where it stands.
func (s *subscription) frame() *wire.ClientFrame {
	f := &wire.ClientFrame{Type: "subscribe", Subscription: wire.Subscription{ID: s.id, SQL: s.sql, Params: s.params, Namespace: s.namespace}}
	s.resumed = s.hasPosition
	switch {
	case s.hasPosition:
		f.Subscription.Options = &wire.SubscribeOptions{BatchSize: s.batchSize, LastRows: s.lastRows, From: s.position, HasFrom: true}
	case !s.changesOnly:
		f.Subscription.Options = &wire.SubscribeOptions{BatchSize: s.batchSize, LastRows: s.lastRows}
	}
	return f
}

// advance moves the position over the rows of an event.
func (s *subscription) advance(rows []wire.Row) {
	for i := range rows {
		j := slices.Index(rows[i].Names, "_seq")
		if j < 0 {
			continue
		}
		v := wire.TypeCell(wire.Type{Kind: wire.BigInt}, rows[i].Values[j])
		if v.Tag() == wire.TagInt {
			s.reach(v.Int())
		}
	}
}

// reach moves the position to n, if that is further.
func (s *subscription) reach(n int64) {
	if n > 0 && (!s.hasPosition || n > s.position) {
		s.position, s.hasPosition = n, true
	}
}

// interrupted notes that the server no longer has the subscription. A snapshot
// that was cut off begins again, so that nobody takes a part for the whole.
func (s *subscription) interrupted() {
	s.id, s.acked = "", false
	if s.loading {
		s.loading, s.hasPosition = false, false
	}
}

// restart lets the subscription begin with a snapshot when it is sent next.
func (s *subscription) restart() {
	s.id, s.acked, s.loading, s.hasPosition = "", false, false, false
}
