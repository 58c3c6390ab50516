package live

import (
	"math"
	"slices"

	"github.com/kalamdb/kalam-go/internal/catalog"
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
	if of.Column < 0 {
		f.any = append(f.any, g)
		return
	}
	values := f.equal[of.Column]
	if values == nil {
		values = make(map[wire.Value][]*group)
		f.equal[of.Column] = values
	}
	values[of.Value] = append(values[of.Value], g)
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
	if of.Column < 0 {
		f.any = without(f.any, g)
		return
	}
	values := f.equal[of.Column]
	if left := without(values[of.Value], g); len(left) > 0 {
		values[of.Value] = left
		return
	}
	delete(values, of.Value)
	if len(values) == 0 {
		delete(f.equal, of.Column)
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
// must not change the feed. The change is of the definition that the feed is
// bound to.
func (f *feed) concerned(c *store.Change, fn func(*group)) {
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
			fn(g)
		}
		if before != after {
			for _, g := range values[before] {
				fn(g)
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
