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

// feed is who watches a scope. The hub's mu guards it.
type feed struct {
	table  *catalog.Table // as all its live queries are bound to
	groups map[*group]watch.Source

	// A live query with column = value in its filter is looked up by the value,
	// so that those which cannot match cost nothing. The others are in any.
	equal map[int]map[wire.Value][]*group // by column and value
	any   []*group
}

// scopeOf is the scope of a source.
func scopeOf(of watch.Source) scope { return scope{of.Table.ID, of.User} }

// enter makes a group findable for the changes of a source.
func (h *Hub) enter(g *group, of watch.Source) {
	f := h.feeds[scopeOf(of)]
	if f != nil && f.table != of.Table {
		h.restart(f.all(), math.MaxInt64) // those who are there are bound to the table as it was
		f = nil
	}
	if f == nil {
		f = &feed{table: of.Table, groups: make(map[*group]watch.Source, 1), equal: make(map[int]map[wire.Value][]*group)}
		h.feeds[scopeOf(of)] = f
	}
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
	if len(f.groups) == 0 {
		delete(h.feeds, scopeOf(of))
	}
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
