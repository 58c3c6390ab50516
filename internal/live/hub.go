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
	Push(sub *Subscription, f *Frame) bool
	// End queues the frame that ends sub, whatever waits before it.
	End(sub *Subscription, f *Frame)
	// Turn waits until little is queued and no other subscription of the socket
	// has its turn, so that of all their snapshots one page is in memory. It
	// fails when ctx ends. The turn lasts until done is called.
	Turn(ctx context.Context) (done func(), err error)
	// Pass queues a frame for sub during its turn. It fails when the socket is
	// closed.
	Pass(sub *Subscription, f *Frame) error
	// Waiting tells what waits for sub.
	Waiting(sub *Subscription) Waiting
}

// Waiting is what an outlet knows of a subscription.
type Waiting struct {
	Socket   string    // its number
	LastSeen time.Time // when its client last showed that it is there
	Bytes    int       // that wait for the client to read
	Oldest   time.Time // when the first of them was queued; zero when nothing waits
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
	pos     store.Seq               // mu guards it and the rest; every change up to pos was handed out, if there are subs
	feeds   map[scope]*feed         // who watches what
	subs    map[int64]*Subscription // all there are, by Number
	perUser map[string]int
	closed  bool

	wake    chan struct{}     // takes a word for the first of subs
	catalog *catalog.Snapshot // what the tables were compared with last; the tail's
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
		db: db, engine: e, options: o, cancel: cancel, wake: make(chan struct{}, 1),
		feeds: make(map[scope]*feed), subs: make(map[int64]*Subscription), perUser: make(map[string]int),
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

// tail hands every change to the groups of its scope. While there are no
// subscriptions it sleeps, and commits do not wake it.
func (h *Hub) tail(ctx context.Context) {
	tick := time.NewTicker(tableCheck)
	defer tick.Stop()
	for ctx.Err() == nil {
		h.checkTables()
		h.mu.Lock()
		pos, idle := h.pos, len(h.subs) == 0
		h.mu.Unlock()
		if idle {
			select {
			case <-h.wake:
			case <-tick.C:
			case <-ctx.Done():
			}
			continue
		}
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
			if c.Seq > h.pos { // else it has slept in between
				h.deliver(c)
				h.pos = c.Seq
			}
		}
		h.mu.Unlock()
	}
}

// deliver encodes a change once for each group, and queues it for each of its
// subscriptions. The caller holds mu; queues never block.
func (h *Hub) deliver(c *store.Change) {
	f := h.feeds[scope{c.Table, c.User}]
	if f == nil {
		return
	}
	if c.Version != f.table.Version {
		h.restart(f, c.Seq)
		return
	}
	var slow []*Subscription
	f.concerned(c, func(g *group) {
		ev, ok, err := g.watch.Event(c)
		if err == nil && !ok {
			return
		}
		var tail []byte
		for _, b := range g.bunches {
			var frame *Frame
			for _, sub := range b.subs {
				if c.Seq <= sub.position || sub.unknown(c) {
					continue // its snapshot is newer than what the hub has read
				}
				if err != nil {
					sub.failed = asError(err)
					slow = append(slow, sub)
					continue
				}
				if tail == nil {
					tail = changeTail(g.watch, ev)
				}
				if frame == nil {
					frame = &Frame{JSON: append(b.head[:len(b.head):len(b.head)], tail...), Made: time.Now()}
				}
				if !sub.outlet.Push(sub, frame) {
					slow = append(slow, sub)
					continue
				}
				sub.position = c.Seq
				sub.changes.Add(1)
			}
		}
	})
	for _, sub := range slow {
		h.leave(sub)
		if sub.failed != nil {
			sub.fail(sub.failed, wire.CodeConversionError)
		} else {
			sub.slow(max(sub.position, h.pos))
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
	for _, f := range h.feeds {
		if now.TableByID(f.table.ID) != f.table {
			h.restart(f, math.MaxInt64)
		}
	}
}

// restart starts the subscriptions of a feed again that have not come as far as
// upTo. The caller holds mu.
func (h *Hub) restart(f *feed, upTo store.Seq) {
	for _, sub := range f.all() {
		if sub.position < upTo {
			h.part(sub)
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
	table := sub.watch.Table
	if h.db.Catalog().TableByID(table.ID) != table {
		return 0, errReset
	}
	if h.pos > pos {
		return h.pos, nil
	}
	if sub.left.Load() {
		return 0, nil
	}
	key := scope{table.ID, sub.watch.Scope}
	f := h.feeds[key]
	if f != nil && f.table != table {
		h.restart(f, math.MaxInt64) // those who are there are bound to the table as it was
		f = nil
	}
	if f == nil {
		f = &feed{table: table, groups: make(map[string]*group), equal: make(map[int]map[wire.Value][]*group)}
		h.feeds[key] = f
	}
	sub.position = pos
	f.join(sub)
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
	delete(h.subs, sub.Number)
	h.part(sub)
}

// part takes a subscription out of its feed. The caller holds mu.
func (h *Hub) part(sub *Subscription) {
	f := sub.feed
	if f == nil {
		return
	}
	key := scope{f.table.ID, sub.watch.Scope}
	f.leave(sub)
	if len(f.groups) == 0 && h.feeds[key] == f {
		delete(h.feeds, key)
	}
}

// enter counts a new subscription of a user against the limit; before the first
// of all it wakes the tail. The caller holds mu.
func (h *Hub) enter(who *identity.Principal) error {
	if h.closed {
		return wire.NewError(wire.CodeSubscriptionFailed, "the server is shutting down")
	}
	if h.perUser[who.UserID] >= h.options.MaxPerUser {
		return wire.NewError(wire.CodeSubscriptionLimit, "a user has at most ", strconv.Itoa(h.options.MaxPerUser), " subscriptions; unsubscribe from some first")
	}
	h.perUser[who.UserID]++
	if len(h.subs) == 0 {
		h.pos = h.db.Newest()
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
	return nil
}
