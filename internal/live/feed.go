package live

import (
	"iter"
	"math"
	"slices"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/watch"
	"github.com/kalamdb/kalam-go/wire"
)

// scope is the part of the change log that a live query reads.
type scope struct {
	table int64
	user  string
}

// feed is who watches a scope, whose changes it gets in order and without gaps from
// when it was made. The hub's mu guards it.
type feed struct {
	scope
	table   *catalog.Table // as all its live queries are bound to
	at      store.Seq      // the newest change that it got; 0 for none
	groups  map[*group]watch.Source
	waiting int // subscriptions that catch up with it

	// A live query with column = value in its filter is looked up by the value,
	// so that those which cannot match cost nothing. The others are in any.
	equal map[int]map[wire.Value][]*group // by column and value
	any   []*group
}

// scopeOf is the scope of a source.
func scopeOf(of watch.Source) scope { return scope{of.Table.ID, of.User} }

// feedOf finds or makes the feed of a source.
func (h *Hub) feedOf(of watch.Source) *feed {
	old := h.feeds[scopeOf(of)]
	if old != nil && old.table == of.Table {
		return old
	}
	f := &feed{scope: scopeOf(of), table: of.Table, groups: make(map[*group]watch.Source, 1), equal: make(map[int]map[wire.Value][]*group)}
	if old != nil {
		f.at = old.at
		h.restart(old.all(), math.MaxInt64) // those who are there are bound to the table as it was
	}
	h.feeds[f.scope] = f
	return f
}

// follow makes the feeds of a subscription that is about to read its rows and the
// log: what is committed from here on either is in what it reads, or comes by
// them. A table that is another one by now has none; join says so.
func (h *Hub) follow(sub *Subscription) {
	h.unfollow(sub)
	for _, of := range sub.query.Sources() {
		if h.db.Catalog().TableByID(of.Table.ID) == of.Table {
			f := h.feedOf(of)
			f.waiting++
			sub.follows = append(sub.follows, f)
		}
	}
}

// unfollow is the end of follow.
func (h *Hub) unfollow(sub *Subscription) {
	for _, f := range sub.follows {
		f.waiting--
		h.drop(f)
	}
	sub.follows = nil
}

// drop forgets a feed that nobody needs.
func (h *Hub) drop(f *feed) {
	if len(f.groups) == 0 && f.waiting == 0 && h.feeds[f.scope] == f {
		delete(h.feeds, f.scope)
	}
}

// hold keeps the feeds of some sources, with what they know, while a group leaves
// them and enters them again. It is over when the function that it returns is
// called.
func (h *Hub) hold(sources []watch.Source) (release func()) {
	var held []*feed
	for _, of := range sources {
		if f := h.feeds[scopeOf(of)]; f != nil {
			f.waiting++
			held = append(held, f)
		}
	}
	return func() {
		for _, f := range held {
			f.waiting--
			h.drop(f)
		}
	}
}

// at is the newest change that the feeds of some sources got.
func (h *Hub) at(sources []watch.Source) (at store.Seq) {
	for _, of := range sources {
		if f := h.feeds[scopeOf(of)]; f != nil {
			at = max(at, f.at)
		}
	}
	return at
}

// enter makes a group findable for the changes of a source.
func (h *Hub) enter(g *group, of watch.Source) {
	f := h.feedOf(of)
	f.groups[g] = of
	if of.Column < 0 && of.Keys == nil {
		f.any = append(f.any, g)
		return
	}
	for k := range keysOf(of) {
		values := f.equal[k.Column]
		if values == nil {
			values = make(map[wire.Value][]*group)
			f.equal[k.Column] = values
		}
		values[k.Value] = append(values[k.Value], g)
	}
}

// keysOf are the values by which a source is found.
func keysOf(of watch.Source) iter.Seq[expr.KeyValue] {
	if of.Column >= 0 {
		return slices.Values([]expr.KeyValue{{Column: of.Column, Value: of.Value}})
	}
	return slices.Values(of.Keys)
}

// enterAll makes a group findable for the changes of its sources. The caller holds
// mu.
func (h *Hub) enterAll(g *group, sources []watch.Source) {
	g.sources = slices.Clone(sources)
	for _, of := range g.sources {
		h.enter(g, of)
	}
}

// exitAll is the end of enterAll.
func (h *Hub) exitAll(g *group) {
	for _, of := range g.sources {
		h.exit(g, of)
	}
}

// loosen routes every change of the first source of a group to it, until the change
// c was applied, after which its rows may have other keys. The caller holds mu.
func (h *Hub) loosen(g *group, c *store.Change) {
	g.loose = c.Seq
	if of := &g.sources[0]; of.Keys != nil {
		defer h.hold(g.sources[:1])()
		h.exit(g, *of)
		of.Keys = nil
		h.enter(g, *of)
	}
}

// tighten enters a group by the keys that its rows have now, once everything that
// may change them was applied.
func (h *Hub) tighten(g *group, c *store.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g.loose == 0 || c.Seq < g.loose || len(g.bunches) == 0 {
		return
	}
	g.loose = 0
	defer h.hold(g.sources)()
	h.exitAll(g)
	h.enterAll(g, g.query.Sources())
}

// cut starts those subscriptions of a group again for which something waits that
// they may not see any more.
func (h *Hub) cut(g *group, c *store.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, sub := range g.all() {
		if sub.position < c.Seq && sub.outlet.Waiting(sub).Bytes > 0 {
			h.restart([]*Subscription{sub}, math.MaxInt64)
		}
	}
}

// exit is the end of enter. A feed that is empty then goes too.
func (h *Hub) exit(g *group, of watch.Source) {
	f := h.feeds[scopeOf(of)]
	if f == nil {
		return
	}
	if _, ok := f.groups[g]; !ok {
		return
	}
	delete(f.groups, g)
	h.drop(f)
	if of.Column < 0 && of.Keys == nil {
		f.any = without(f.any, g)
		return
	}
	for k := range keysOf(of) {
		values := f.equal[k.Column]
		if left := without(values[k.Value], g); len(left) > 0 {
			values[k.Value] = left
			continue
		}
		delete(values, k.Value)
		if len(values) == 0 {
			delete(f.equal, k.Column)
		}
	}
}

func without(list []*group, g *group) []*group {
	if i := slices.Index(list, g); i >= 0 {
		last := len(list) - 1
		list[i], list[last] = list[last], nil
		list = list[:last]
	}
	return list
}

// concerned calls fn for every group that a change may concern, each once. fn
// must not change the feed, but may change others. The change is of the definition that the feed is
// bound to.
func (f *feed) concerned(c *store.Change, fn func(*group)) {
	once := func(g *group) { // which may be found by several values
		if g.routed != c.Seq {
			g.routed = c.Seq
			fn(g)
		}
	}
	for _, g := range f.any {
		fn(g)
	}
	for column, values := range f.equal {
		var before, after wire.Value // NULL is equal to nothing
		if c.Old != nil {
			before = c.Old[column]
		}
		if c.New != nil {
			after = c.New[column]
		}
		for _, g := range values[after] {
			once(g)
		}
		if before != after {
			for _, g := range values[before] {
				once(g)
			}
		}
	}
}

// all returns the subscriptions of a feed.
func (f *feed) all() []*Subscription {
	var out []*Subscription
	for g := range f.groups {
		out = append(out, g.all()...)
	}
	return out
}
