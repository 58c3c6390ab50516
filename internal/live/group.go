package live

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/watch"
	"github.com/kalamdb/kalam-go/wire"
)

// group is all subscriptions that send the same rows: matched, projected and
// encoded once. A worker of its own does that, outside the hub's lock; it runs
// only while changes wait. The hub's mu guards what a group holds.
type group struct {
	query   watch.Query
	sources []watch.Source    // as they are entered in the feeds
	routed  store.Seq         // the change that was found to concern it last
	loose   store.Seq         // the change that may change the keys of sources, and that is not applied yet; 0: none
	payers  map[*account]int  // its users, and how many of its subscriptions each has
	bunches map[string]*bunch // by id

	pending []*store.Change // that the worker has not taken
	bytes   int             // of pending
	// behind, when it is not 0, says that more changes came than may wait:
	// pending is empty, and the worker reads the log on disk from here.
	behind  store.Seq
	working bool // the worker runs
}

// bunch is the subscriptions of a group that have one id: they send the same
// bytes. A program that runs on many machines gives its subscriptions the same
// ids everywhere.
type bunch struct {
	head []byte // of a change frame
	subs []*Subscription
}

// shared returns how many subscriptions of several users the bunch has, or 0. The
// caller holds the hub's mu.
func (b *bunch) shared() int {
	for _, sub := range b.subs {
		if sub.account != b.subs[0].account {
			return len(b.subs)
		}
	}
	return 0
}

// pendingBytes is how much may wait for the worker of a group. What is beyond it
// is read from disk.
const pendingBytes = 1 << 20

// join adds a subscription to its group.
func (g *group) join(sub *Subscription) {
	g.payers[sub.account]++
	b := g.bunches[sub.ID]
	if b == nil {
		b = &bunch{head: sub.changeHead()}
		g.bunches[sub.ID] = b
	}
	// What is the same for all is kept once.
	sub.query, sub.group, sub.bunch, sub.slot = g.query, g, b, len(b.subs)
	b.subs = append(b.subs, sub)
}

// leave takes a subscription out, and reports whether the group is empty then.
func (g *group) leave(sub *Subscription) (empty bool) {
	b := sub.bunch
	last := len(b.subs) - 1
	b.subs[sub.slot] = b.subs[last]
	b.subs[sub.slot].slot = sub.slot
	b.subs[last] = nil
	b.subs = b.subs[:last]
	if g.payers[sub.account]--; g.payers[sub.account] == 0 {
		delete(g.payers, sub.account)
	}
	sub.group, sub.bunch = nil, nil
	if last == 0 {
		delete(g.bunches, sub.ID)
	}
	return len(g.bunches) == 0
}

// add lets a change wait for the worker, and sees to one. The caller holds mu.
func (h *Hub) add(ctx context.Context, g *group, c *store.Change) {
	if g.behind == 0 {
		g.pending = append(g.pending, c)
		if g.bytes += c.Size(); g.bytes > pendingBytes && len(g.pending) > 1 {
			g.behind = g.pending[0].Seq - 1
			g.pending, g.bytes = nil, 0
		}
	}
	if !g.working {
		g.working = true
		h.done.Go(func() { h.work(ctx, g) })
	}
}

// work delivers what waits for a group, and ends when nothing does.
func (h *Hub) work(ctx context.Context, g *group) {
	defer func() {
		if p := recover(); p != nil {
			h.end(g, nil, math.MaxInt64, h.engine.Panicked("a live query", p))
			h.mu.Lock()
			defer h.mu.Unlock()
			g.working = false
		}
	}()
	var bunches []*bunch // kept to be used again
	for ctx.Err() == nil {
		changes, upTo := h.take(g)
		switch {
		case upTo > 0:
			bunches = h.deliverPage(ctx, g, upTo, bunches)
		case changes == nil:
			return
		default:
			bunches = h.deliverAll(ctx, g, changes, bunches)
		}
	}
}

// deliverPage delivers the next changes of a group that is behind.
func (h *Hub) deliverPage(ctx context.Context, g *group, upTo store.Seq, bunches []*bunch) []*bunch {
	a := h.payer(g)
	if a == nil {
		return bunches // all have left
	}
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	a.page.Lock()
	defer a.page.Unlock()
	changes, err := h.readBehind(ctx, a, g, upTo)
	if err != nil && ctx.Err() == nil {
		h.end(g, nil, math.MaxInt64, asError(err))
	}
	return h.deliverAll(ctx, g, changes, bunches)
}

func (h *Hub) deliverAll(ctx context.Context, g *group, changes []*store.Change, bunches []*bunch) []*bunch {
	for _, c := range changes {
		bunches = h.deliver(ctx, g, c, bunches[:0])
	}
	return bunches
}

// payer is the user who pays for what a group does next: of its users the one
// with the least under way, so that a slow one delays no other. It is nil when
// the group has no subscriptions.
func (h *Hub) payer(g *group) (least *account) {
	h.mu.Lock()
	defer h.mu.Unlock()
	looked := 0
	for a := range g.payers {
		if least == nil || a.waiting.Load() < least.waiting.Load() {
			least = a
		}
		if looked++; looked == payersLooked {
			break
		}
	}
	return least
}

// payersLooked is how many of many users are compared.
const payersLooked = 16

// take takes what waits for a group; or, when it is behind, says up to where it
// reads the log. When there is nothing, the worker has ended.
func (h *Hub) take(g *group) (changes []*store.Change, upTo store.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.at(g.sources)
	if len(g.bunches) == 0 || g.behind >= at {
		g.behind = 0
	}
	if g.behind > 0 {
		return nil, at
	}
	changes, g.pending, g.bytes = g.pending, nil, 0
	if len(g.bunches) == 0 {
		changes = nil
	}
	g.working = len(changes) > 0
	return changes, 0
}

// readBehind reads the next changes of a group that is behind from disk. When
// they are not there any more its subscriptions start again.
func (h *Hub) readBehind(ctx context.Context, payer *account, g *group, upTo store.Seq) ([]*store.Change, error) {
	changes, reached, err := h.log.Log(ctx, payer.user, g.query.Sources(), g.behind, upTo, catchUpChunk)
	trimmed := errors.Is(err, store.ErrLogTrimmed)
	if err != nil && !trimmed {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if trimmed {
		h.restart(g.all(), upTo)
		return nil, nil
	}
	g.behind = reached
	return changes, nil
}

// deliver evaluates and encodes a change for a group, and queues it for each of
// its subscriptions. bunches is room for a list, which it returns.
func (h *Hub) deliver(ctx context.Context, g *group, c *store.Change, bunches []*bunch) []*bunch {
	if watch.Altered(g.query.Sources(), c) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.restart(g.all(), c.Seq)
		return bunches
	}
	tails, hidden := h.encodeFor(ctx, g, c)
	h.tighten(g, c)
	if hidden {
		h.cut(g, c)
	}
	if len(tails) == 0 {
		return bunches
	}
	size := 0
	for _, tail := range tails {
		size += len(tail)
	}
	bunches = h.bunchesOf(g, bunches)
	for left := bunches; len(left) > 0; {
		n, made := 0, 0
		for n < len(left) && (n == 0 || made+size < frameBytes) {
			made += size + len(tails)*len(left[n].head)
			n++
		}
		frames := make([]*Frame, 0, n*len(tails))
		for _, b := range left[:n] {
			for _, tail := range tails {
				frames = append(frames, &Frame{JSON: slices.Concat(b.head, tail), Made: time.Now()})
			}
		}
		h.push(c, left[:n], frames)
		left = left[n:]
	}
	return bunches
}

// frameBytes is how much of frames is made before they are queued.
const frameBytes = 256 << 10

// encodeFor encodes a change for a group, at the cost of one of its users.
// Subscriptions of those who cannot pay end; all do when the evaluation fails.
// hidden says that rows which are there may not be seen any more.
func (h *Hub) encodeFor(ctx context.Context, g *group, c *store.Change) (tails [][]byte, hidden bool) {
	for a := h.payer(g); a != nil; a = h.payer(g) {
		tails, hidden, unpaid, failed := h.encode(ctx, a, g.query, c)
		switch {
		case ctx.Err() != nil:
			return nil, false
		case startsAgain(failed):
			h.mu.Lock()
			defer h.mu.Unlock()
			h.restart(g.all(), c.Seq)
			return nil, false
		case failed != nil:
			h.end(g, nil, c.Seq, asError(failed))
			return nil, false
		case unpaid != nil:
			h.end(g, a, math.MaxInt64, asError(unpaid))
		default:
			return tails, hidden
		}
	}
	return nil, false
}

// startsAgain reports whether a live query that cannot go on from where it is can
// begin again.
func startsAgain(err error) bool {
	return errors.Is(err, watch.ErrAgain) || errors.Is(err, watch.ErrAltered) || errors.Is(err, store.ErrLogTrimmed)
}

// encode computes what the change frames of a change say behind the id; none when
// it means nothing to the live query.
func (h *Hub) encode(ctx context.Context, a *account, q watch.Query, c *store.Change) (tails [][]byte, hidden bool, unpaid, failed error) {
	var events []watch.Event
	unpaid = a.evaluate(ctx, &h.options, func() {
		if events, failed = q.Apply(ctx, c); failed != nil {
			return
		}
		for _, ev := range events {
			tails = append(tails, changeTail(q.Fields(), ev))
		}
	})
	if unpaid != nil || failed != nil {
		return tails, false, unpaid, failed
	}
	events, failed = q.Turn(ctx, c) // which waits for turns of its own
	for _, ev := range events {
		tails = append(tails, changeTail(q.Fields(), ev))
		hidden = hidden || ev.Hidden
	}
	return tails, hidden, nil, failed
}

func (h *Hub) bunchesOf(g *group, room []*bunch) []*bunch {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.AppendSeq(room, maps.Values(g.bunches))
}

// push queues the frames of a change, as many for each bunch. Subscriptions that
// have joined since it was routed know the change already.
func (h *Hub) push(c *store.Change, bunches []*bunch, frames []*Frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var slow []*Subscription
	for i, b := range bunches {
		frames[i].Shared = b.shared()
		for _, sub := range b.subs {
			if c.Seq <= sub.position || sub.unknown(c) {
				continue
			}
			own := frames[i*len(frames)/len(bunches) : (i+1)*len(frames)/len(bunches)]
			if room, failed := sub.push(own); !room {
				sub.failed = failed
				slow = append(slow, sub)
				continue
			}
			sub.position = c.Seq
			sub.changes.Add(int64(len(own)))
		}
	}
	for _, sub := range slow {
		h.leave(sub)
		if sub.failed != nil {
			sub.fail(sub.failed, sub.failed.Code)
			continue
		}
		// Everything of its scope before this change was queued.
		sub.slow(c.Seq - 1)
	}
}

// end ends the subscriptions of a group, or those of one user in it, that have
// not come as far as upTo.
func (h *Hub) end(g *group, of *account, upTo store.Seq, e *wire.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, sub := range g.all() {
		if sub.position < upTo && (of == nil || of == sub.account) {
			h.leave(sub)
			sub.fail(e, evaluationCode(e))
		}
	}
}

// all returns the subscriptions of a group. The caller holds the hub's mu.
func (g *group) all() []*Subscription {
	var out []*Subscription
	for _, b := range g.bunches {
		out = append(out, b.subs...)
	}
	return out
}
