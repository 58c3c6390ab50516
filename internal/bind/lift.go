package bind

import (
	"slices"

	"github.com/kalamdb/kalam-go/internal/expr"
)

// lift prints a block of groups as two: inside, its groups with their keys and
// aggregates; outside, the result of each. An engine that has aggregates of a
// query inside its sub-queries only in some places, and HAVING only beside an
// aggregate, has both then.
type lift struct {
	as         string
	columns    []*expr.Column // of the groups, that the outside refers to
	aggregates []expr.Node
}

// lifted is the lift of a block that needs one, else nil.
func (b *Binder) lifted(c *core) *lift {
	whole := len(c.groupBy) == 0 && !slices.ContainsFunc(c.items, expr.HasAggregate)
	if !c.names.lifted && !whole {
		return nil
	}
	l := &lift{as: b.name("g"), aggregates: c.names.aggregates}
	for _, p := range c.grouped {
		expr.Used(p.node, false, func(col *expr.Column) {
			if c.names.owns(col) && !slices.Contains(l.columns, col) {
				l.columns = append(l.columns, col)
			}
		})
	}
	return l
}

// name is what the outside calls a column or an aggregate of the inside.
func (l *lift) name(n expr.Node) string {
	if c := expr.AsColumn(n); c != nil {
		if i := slices.Index(l.columns, c); i >= 0 {
			return l.as + ".c" + itoa(int64(i))
		}
		return ""
	}
	if i := slices.Index(l.aggregates, n); i >= 0 {
		return l.as + ".a" + itoa(int64(i))
	}
	return ""
}

// print writes the inside as an item of FROM.
func (l *lift) print(p *expr.Printer, c *core) {
	p.Raw(" FROM (SELECT count(*) AS n")
	for i, col := range l.columns {
		p.Raw(", ")
		p.Node(expr.Ref(col))
		p.Raw(" AS c" + itoa(int64(i)))
	}
	for i, n := range l.aggregates {
		p.Raw(", ")
		p.Node(n)
		p.Raw(" AS a" + itoa(int64(i)))
	}
	c.printGroups(p)
	p.Raw(") AS " + l.as)
}
