package live

import (
	"slices"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
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
	groups map[string]*group

	// A live query with column = value in its filter is looked up by the value,
	// so that those which cannot match cost nothing. The others are in any.
	equal map[int]map[wire.Value][]*group // by column and value
	any   []*group
}

// join adds a subscription.
func (f *feed) join(sub *Subscription) {
	g := f.groups[sub.watch.Key]
	if g == nil {
		g = &group{watch: sub.watch, payers: make(map[*account]int, 1), bunches: make(map[string]*bunch, 1)}
		f.groups[g.watch.Key] = g
		f.index(g)
	}
	g.payers[sub.account]++
	b := g.bunches[sub.ID]
	if b == nil {
		b = &bunch{head: sub.changeHead()}
		g.bunches[sub.ID] = b
	}
	// What is the same for all is kept once.
	sub.watch, sub.feed, sub.group, sub.bunch, sub.slot = g.watch, f, g, b, len(b.subs)
	b.subs = append(b.subs, sub)
}

// index makes a group findable for changes.
func (f *feed) index(g *group) {
	if g.watch.Column < 0 {
		f.any = append(f.any, g)
		return
	}
	values := f.equal[g.watch.Column]
	if values == nil {
		values = make(map[wire.Value][]*group)
		f.equal[g.watch.Column] = values
	}
	values[g.watch.Value] = append(values[g.watch.Value], g)
}

// leave takes a subscription out; what is empty then goes too.
func (f *feed) leave(sub *Subscription) {
	g, b := sub.group, sub.bunch
	last := len(b.subs) - 1
	b.subs[sub.slot] = b.subs[last]
	b.subs[sub.slot].slot = sub.slot
	b.subs[last] = nil
	b.subs = b.subs[:last]
	if g.payers[sub.account]--; g.payers[sub.account] == 0 {
		delete(g.payers, sub.account)
	}
	sub.feed, sub.group, sub.bunch = nil, nil, nil
	if last > 0 {
		return
	}
	delete(g.bunches, sub.ID)
	if len(g.bunches) > 0 {
		return
	}
	delete(f.groups, g.watch.Key)
	if g.watch.Column < 0 {
		f.any = without(f.any, g)
		return
	}
	values := f.equal[g.watch.Column]
	if left := without(values[g.watch.Value], g); len(left) > 0 {
		values[g.watch.Value] = left
		return
	}
	delete(values, g.watch.Value)
	if len(values) == 0 {
		delete(f.equal, g.watch.Column)
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
	for _, g := range f.groups {
		out = append(out, g.all()...)
	}
	return out
}
