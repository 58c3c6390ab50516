// Package live serves live queries: a snapshot of the rows that match, and then
// every committed change, exactly once and in order.
//
// One flow: a subscription is a cursor in the change log. It takes its snapshot
// at a position S, reads the log from S until it has caught up, and joins the
// hub, whose one goroutine tails the log for all. Frames go into the bounded
// queue of the socket, whose one writer takes them out. A full queue ends the
// subscription with SLOW_CONSUMER and its last position; nothing is dropped
// silently.
package live

import (
	"context"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Outlet takes the frames of subscriptions: the queue of a socket.
type Outlet interface {
	// Push queues a frame for sub and reports whether there was room.
	Push(sub *Subscription, frame []byte) bool
	// End queues the frame that ends sub, whatever waits before it.
	End(sub *Subscription, frame []byte)
	// Wait queues a frame for sub as soon as there is room. It fails when ctx
	// ends.
	Wait(ctx context.Context, sub *Subscription, frame []byte) error
}

// Options limit subscriptions. The zero value works.
type Options struct {
	MaxPerUser  int // default 1,000
	DefaultRows int // rows of a snapshot batch when the client names none; default 1,000
	MaxRows     int // rows of a batch at most; default 10,000
	Logger      *slog.Logger
}

// Hub owns the subscriptions of a server. It is safe for concurrent use.
type Hub struct {
	db      *store.DB
	engine  *engine.Engine
	options Options
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu      sync.Mutex
	pos     store.Seq          // mu guards it and the rest; every change up to pos was handed out
	scopes  map[scope][]*group // who watches what
	perUser map[string]int
	closed  bool

	catalog *catalog.Snapshot // what the tables were compared with last; the tail's
}

// scope is the part of the change log that a live query reads.
type scope struct {
	table int64
	user  string
}

// group is all subscriptions that send the same rows: matched, projected and
// encoded once.
type group struct {
	watch *engine.Watch
	subs  map[*Subscription]struct{}
}

// New starts a hub. Close ends it.
func New(db *store.DB, e *engine.Engine, o Options) *Hub {
	if o.MaxPerUser == 0 {
		o.MaxPerUser = 1000
	}
	if o.DefaultRows == 0 {
		o.DefaultRows = 1000
	}
	if o.MaxRows == 0 {
		o.MaxRows = 10_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &Hub{
		db: db, engine: e, options: o, cancel: cancel, pos: db.Newest(),
		scopes: make(map[scope][]*group), perUser: make(map[string]int),
	}
	h.done.Go(func() { h.tail(ctx) })
	return h
}

// Close ends the hub's goroutine and waits for those of its subscriptions,
// which end when their sockets do. It is idempotent.
func (h *Hub) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.done.Wait()
	return nil
}

const (
	// tailRetry is how long the tail waits when the log cannot be read.
	tailRetry = 250 * time.Millisecond
	// tableCheck is how soon live queries learn that their table was altered or
	// dropped, when no change tells them before.
	tableCheck = 500 * time.Millisecond
)

// tail hands every change to the groups of its scope.
func (h *Hub) tail(ctx context.Context) {
	pos := h.pos
	tick := time.NewTicker(tableCheck)
	defer tick.Stop()
	for ctx.Err() == nil {
		h.checkTables()
		changes, wait, err := h.db.Changes(ctx, pos, 1024)
		if err != nil {
			if ctx.Err() == nil {
				h.options.Logger.Error("read the change log", "error", err)
			}
			select {
			case <-time.After(tailRetry):
			case <-ctx.Done():
			}
			continue
		}
		if len(changes) == 0 {
			select {
			case <-wait:
			case <-tick.C:
			case <-ctx.Done():
			}
			continue
		}
		h.mu.Lock()
		for _, c := range changes {
			h.deliver(c)
		}
		pos = changes[len(changes)-1].Seq
		h.pos = pos
		h.mu.Unlock()
	}
}

// deliver encodes a change once for each group and queues it for each of its
// subscriptions. The caller holds mu; queues never block.
func (h *Hub) deliver(c *store.Change) {
	for _, g := range h.scopes[scope{c.Table, c.User}] {
		if c.Version != g.watch.Table.Version {
			h.restart(g, c.Seq)
			continue
		}
		ev, ok, err := g.watch.Event(c)
		if err != nil {
			for sub := range g.subs {
				h.leave(sub)
				sub.fail(asError(err), wire.CodeConversionError)
			}
			continue
		}
		if !ok {
			continue
		}
		tail := changeTail(g.watch, ev)
		for sub := range g.subs {
			if c.Seq <= sub.position {
				continue // its snapshot is newer than what the hub has read
			}
			if sub.outlet.Push(sub, sub.frame(tail)) {
				sub.position = c.Seq
				continue
			}
			h.leave(sub)
			sub.slow()
		}
	}
}

// checkTables starts the live queries again whose table is another one than
// they were bound for.
func (h *Hub) checkTables() {
	now := h.db.Catalog()
	if now == h.catalog {
		return
	}
	h.catalog = now
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, groups := range h.scopes {
		for _, g := range groups {
			if t := g.watch.Table; now.TableByID(t.ID) != t {
				h.restart(g, math.MaxInt64)
			}
		}
	}
}

// restart starts the subscriptions of a group again that have not come as far
// as upTo. The caller holds mu.
func (h *Hub) restart(g *group, upTo store.Seq) {
	for sub := range g.subs {
		if sub.position < upTo {
			h.ungroup(sub)
			sub.launch(true)
		}
	}
}

// join adds a subscription that has caught up to pos, unless the log has moved
// on: then it returns where to. It fails with errReset when the table is not the
// one that the subscription was bound for.
func (h *Hub) join(sub *Subscription, pos store.Seq) (behind store.Seq, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.db.Catalog().TableByID(sub.watch.Table.ID) != sub.watch.Table {
		return 0, errReset
	}
	if h.pos > pos {
		return h.pos, nil
	}
	if sub.left.Load() {
		return 0, nil
	}
	sub.position = pos
	key := scope{sub.watch.Table.ID, sub.watch.Scope}
	for _, g := range h.scopes[key] {
		if g.watch.Key == sub.watch.Key && g.watch.Table == sub.watch.Table {
			g.subs[sub] = struct{}{}
			sub.group = g
			return 0, nil
		}
	}
	sub.group = &group{watch: sub.watch, subs: map[*Subscription]struct{}{sub: {}}}
	h.scopes[key] = append(h.scopes[key], sub.group)
	return 0, nil
}

// leave removes a subscription. The caller holds mu.
func (h *Hub) leave(sub *Subscription) {
	if sub.left.Swap(true) {
		return
	}
	if h.perUser[sub.who.UserID]--; h.perUser[sub.who.UserID] <= 0 {
		delete(h.perUser, sub.who.UserID)
	}
	h.ungroup(sub)
}

// ungroup takes a subscription out of its group. The caller holds mu.
func (h *Hub) ungroup(sub *Subscription) {
	g := sub.group
	if g == nil {
		return
	}
	sub.group = nil
	delete(g.subs, sub)
	if len(g.subs) > 0 {
		return
	}
	key := scope{sub.watch.Table.ID, sub.watch.Scope}
	groups := h.scopes[key]
	for i := range groups {
		if groups[i] == g {
			groups = append(groups[:i:i], groups[i+1:]...)
			break
		}
	}
	if len(groups) == 0 {
		delete(h.scopes, key)
	} else {
		h.scopes[key] = groups
	}
}

// enter counts a new subscription of a user against the limit. The caller holds
// mu.
func (h *Hub) enter(who *identity.Principal) error {
	if h.closed {
		return wire.NewError(wire.CodeSubscriptionFailed, "the server is shutting down")
	}
	if h.perUser[who.UserID] >= h.options.MaxPerUser {
		return wire.NewError(wire.CodeSubscriptionLimit, "a user has at most ", strconv.Itoa(h.options.MaxPerUser), " subscriptions; unsubscribe from some first")
	}
	h.perUser[who.UserID]++
	return nil
}
