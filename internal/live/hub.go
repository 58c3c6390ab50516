// Package live serves live queries: a snapshot of the rows that match, and then
// every committed change, exactly once and in order.
//
// One flow: a subscription is a cursor in the change log. It takes its snapshot
// at a position S, reads the log from S until it has caught up, and joins the
// hub, whose one goroutine tails the log for all and routes each change to the
// groups of equal queries that it may concern. The worker of a group evaluates
// and encodes, outside the hub's lock, in turns with the other groups of its
// user: what belongs to one user costs that user. Frames go into the bounded
// queue of the socket, whose one writer takes them out. A full queue ends the
// subscription with SLOW_CONSUMER and its last position; nothing is dropped
// silently.
package live

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/watch"
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

// Binder binds the live queries that clients send.
type Binder interface {
	Bind(ctx context.Context, who *identity.Principal, namespace, sql string, params []wire.Value) (watch.Query, error)
}

// Options limit subscriptions. The zero value works.
type Options struct {
	Binder Binder // default: package watch

	MaxPerUser  int // default 1,000
	DefaultRows int // rows of a snapshot batch when the client names none; default 1,000
	MaxRows     int // rows of a batch at most; default 10,000
	MaxReplaced int // rows yet to be sent of a snapshot that may have changed; default 200,000, 16 bytes each
	// EvaluationShare is how long evaluating the live queries of a user may take
	// each second, on average of ten; default 250 ms.
	EvaluationShare time.Duration
	Logger          *slog.Logger
}

// Hub owns the subscriptions of a server. It is safe for concurrent use.
type Hub struct {
	db      *store.DB
	engine  *engine.Engine
	log     *watch.Service // reads the change log
	options Options
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu      sync.Mutex
	read    store.Seq               // mu guards it and the rest; how far the tail has read, if there are subs
	feeds   map[scope]*feed         // who watches what
	groups  map[string]*group       // by the keys of their queries
	subs    map[int64]*Subscription // all there are, by Number
	users   map[string]*account     // of those who have subscriptions, or had and still owe time
	resting []string                // users without a subscription
	closed  bool

	news    *store.Listener   // of definitions and of live queries that are ended
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
	if o.EvaluationShare == 0 {
		o.EvaluationShare = 250 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	log := watch.New(db, e, watch.Options{MaxReplaced: o.MaxReplaced})
	if o.Binder == nil {
		o.Binder = log
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &Hub{
		db: db, engine: e, log: log, options: o, cancel: cancel, wake: make(chan struct{}, 1),
		news:  db.Listen(store.AboutCatalog | store.AboutKilled),
		feeds: make(map[scope]*feed), groups: make(map[string]*group), subs: make(map[int64]*Subscription), users: make(map[string]*account),
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
	// forgetEvery is how often the accounts of users who owe nothing are dropped.
	forgetEvery = 500 * time.Millisecond
)

// tail routes every change. While there are no subscriptions it sleeps, and
// commits of rows do not wake it.
func (h *Hub) tail(ctx context.Context) {
	defer h.news.Close()
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := h.step(ctx, tick.C); err != nil && ctx.Err() == nil {
			h.options.Logger.Error("read the change log", "error", err)
			select {
			case <-time.After(tailRetry):
			case <-ctx.Done():
			}
		}
	}
}

// step routes the next changes, or waits for some.
func (h *Hub) step(ctx context.Context, tick <-chan time.Time) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = h.engine.Panicked("the hub of live queries", p)
		}
	}()
	h.catchUp()
	h.checkTables()
	pos, idle := h.where()
	var changes []*store.Change
	var wait <-chan struct{}
	if !idle {
		changes, wait, err = h.db.Changes(ctx, pos, 1024)
		if errors.Is(err, store.ErrLogTrimmed) {
			h.skip(pos)
			return nil
		}
		if err != nil {
			return err
		}
	}
	if len(changes) > 0 {
		h.route(ctx, changes)
		return nil
	}
	if idle {
		wait = h.wake
	}
	select {
	case <-wait:
	case <-h.news.Wake:
	case <-tick:
		h.forget()
	case <-ctx.Done():
	}
	return nil
}

// catchUp ends the live queries that administrators have ended up to now.
func (h *Hub) catchUp() {
	if h.news.Behind() {
		h.news.Read(func(n store.Notice) {
			for _, number := range n.Killed {
				h.kill(number)
			}
		})
	}
}

// where is how far the hub has come, and whether nobody waits for more.
func (h *Hub) where() (pos store.Seq, idle bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.read, len(h.subs) == 0
}

// route hands changes to the groups that they may concern.
func (h *Hub) route(ctx context.Context, changes []*store.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range changes {
		if c.Seq <= h.read {
			continue // it has slept in between
		}
		h.read = c.Seq
		f := h.feeds[scope{c.Table, c.User}]
		if f == nil {
			continue
		}
		f.at = c.Seq
		if c.Version != f.table.Version {
			h.restart(f.all(), c.Seq)
			continue
		}
		f.concerned(c, func(g *group) {
			if f.groups[g].Decides {
				h.loosen(g, c)
			}
			h.add(ctx, g, c)
		})
	}
}

// skip goes on at the end of the log when changes behind pos have left it before
// the hub has read them. Every live query that may have missed one starts again.
func (h *Hub) skip(pos store.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.read != pos {
		return // it has slept in between
	}
	h.options.Logger.Warn("the change log was trimmed before its changes were delivered; all live queries start again")
	h.read = h.db.Newest()
	for _, f := range h.feeds {
		f.at = h.read // who is on the way reads the log to here, or hears that it was trimmed
		h.restart(f.all(), math.MaxInt64)
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
			h.restart(f.all(), math.MaxInt64)
		}
	}
}

// restart starts subscriptions again that have not come as far as upTo. The
// caller holds mu.
func (h *Hub) restart(subs []*Subscription, upTo store.Seq) {
	for _, sub := range subs {
		if sub.position < upTo {
			if sub.query.Governed() {
				sub.cut.Add(1)
			}
			h.part(sub)
			sub.launch(true)
		}
	}
}

// join adds a subscription that has caught up to pos, unless its feeds have moved
// on: then it returns where to. It fails with errReset when the table is not the
// one that the subscription was bound for.
func (h *Hub) join(sub *Subscription, pos store.Seq) (behind store.Seq, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sources := sub.query.Sources()
	for _, of := range sources {
		if h.db.Catalog().TableByID(of.Table.ID) != of.Table {
			return 0, errReset
		}
	}
	if at := h.at(sources); at > pos {
		return at, nil
	}
	if sub.left.Load() {
		return 0, nil
	}
	g := h.groups[sub.query.Key()]
	if g == nil {
		g = &group{query: sub.query, payers: make(map[*account]int, 1), bunches: make(map[string]*bunch, 1)}
		h.groups[sub.query.Key()] = g
		h.enterAll(g, sources)
	}
	sub.position = pos
	g.join(sub)
	h.unfollow(sub)
	return 0, nil
}

// leave removes a subscription. The caller holds mu.
func (h *Hub) leave(sub *Subscription) {
	if sub.left.Swap(true) {
		return
	}
	if sub.account.subs--; sub.account.subs == 0 {
		h.resting = append(h.resting, sub.who.UserID)
	}
	delete(h.subs, sub.Number)
	h.unfollow(sub)
	h.part(sub)
}

// part takes a subscription out of its group. The caller holds mu.
func (h *Hub) part(sub *Subscription) {
	g := sub.group
	if g == nil || !g.leave(sub) {
		return
	}
	delete(h.groups, g.query.Key())
	h.exitAll(g)
}

// forget drops the accounts of users who have no subscription and owe nothing.
func (h *Hub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.resting = slices.DeleteFunc(h.resting, func(user string) bool {
		a := h.users[user]
		if a == nil || a.subs > 0 {
			return true
		}
		if !a.rested(&h.options, now) {
			return false
		}
		delete(h.users, user)
		return true
	})
}

// admit counts a new subscription of a user against the limit; before the first
// of all it wakes the tail. The caller holds mu.
func (h *Hub) admit(who *identity.Principal) (*account, error) {
	if h.closed {
		return nil, wire.NewError(wire.CodeSubscriptionFailed, "the server is shutting down")
	}
	a := h.users[who.UserID]
	if a == nil {
		a = &account{user: who.UserID, turns: h.db.Turns(), among: h.db.Turns().Of(who.UserID)}
		h.users[who.UserID] = a
	}
	if a.subs >= h.options.MaxPerUser {
		return nil, wire.NewError(wire.CodeSubscriptionLimit, "a user has at most ", strconv.Itoa(h.options.MaxPerUser), " subscriptions; unsubscribe from some first")
	}
	a.subs++
	if len(h.subs) == 0 {
		h.read = h.db.Newest()
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
	return a, nil
}
