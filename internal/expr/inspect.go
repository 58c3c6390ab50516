package expr

import "github.com/kalamdb/kalam-go/wire"

// children gives the operands of n.
func children(n Node) []Node {
	switch n := n.(type) {
	case *call:
		return n.args
	case *own:
		return []Node{n.x}
	case *fit:
		return []Node{n.x}
	case *comparison:
		return []Node{n.l, n.r}
	case *junction:
		return n.args
	case *not:
		return []Node{n.x}
	case *is:
		return []Node{n.x}
	case *in:
		out := []Node{n.x}
		for _, t := range n.tests {
			out = append(out, t.r)
		}
		return out
	case *choice:
		out := append(append([]Node(nil), n.conds...), n.thens...)
		if n.other != nil {
			out = append(out, n.other)
		}
		return out
	case *coalesce:
		return n.args
	case *natural:
		return []Node{n.x}
	case *let:
		return append(n.values[:len(n.values):len(n.values)], n.body)
	case *inQuery:
		return leftSides(n.tests)
	case *member:
		return leftSides(n.tests)
	case *aggregateCall:
		return n.operands()
	case *windowCall:
		out := append(append([]Node(nil), n.args...), n.partition...)
		if n.agg != nil {
			out = append(out, n.agg.operands()...)
		}
		for _, o := range n.order {
			out = append(out, o.n)
		}
		return out
	}
	return nil
}

func leftSides(tests []*comparison) []Node {
	out := make([]Node, len(tests))
	for i, t := range tests {
		out[i] = t.l
	}
	return out
}

func (c *aggregateCall) operands() []Node {
	out := append([]Node(nil), c.args...)
	for _, o := range c.order {
		out = append(out, o.n)
	}
	if c.filter != nil {
		out = append(out, c.filter)
	}
	return out
}

// contains reports whether test holds for n or a node below it.
func contains(n Node, test func(Node) bool) bool {
	if test(n) {
		return true
	}
	for _, c := range children(n) {
		if contains(c, test) {
			return true
		}
	}
	return false
}

// HasAggregate reports whether n holds an aggregate, and so has no Eval.
func HasAggregate(n Node) bool {
	return contains(n, func(n Node) bool {
		_, ok := n.(*aggregateCall)
		return ok
	})
}

// Columns calls fn for each reference to a column in n.
func Columns(n Node, fn func(*Column)) {
	if c, ok := n.(*column); ok {
		fn(c.c)
	}
	for _, c := range children(n) {
		Columns(c, fn)
	}
}

// Used calls fn for each reference to a column that n needs, in a sub-query the
// columns of queries around it. With within it looks into aggregates too.
func Used(n Node, within bool, fn func(*Column)) {
	switch x := n.(type) {
	case *column:
		fn(x.c)
	case *aggregateCall:
		if !within {
			return
		}
	}
	if q, ok := queryOf(n).(Correlated); ok {
		q.Outer(fn)
	}
	for _, c := range children(n) {
		Used(c, within, fn)
	}
}

// IsConst reports whether n has one value for ever: no columns, parameters,
// surroundings or functions that give another result at each call.
func IsConst(n Node) bool {
	return !contains(n, func(n Node) bool {
		switch n := n.(type) {
		case *column, *param, *upload, *environment, *serial, *aggregateCall, *windowCall, *scalarQuery, *exists, *inQuery:
			return true
		case *call:
			return n.f.volatile
		}
		return false
	})
}

// IsLeaf reports whether n is a constant, parameter or column and costs nothing.
func IsLeaf(n Node) bool { return repeatable(n) }

// AsColumn returns the column that n is a plain reference to, or nil.
func AsColumn(n Node) *Column {
	if c, ok := n.(*column); ok {
		return c.c
	}
	return nil
}

// BareColumn returns a column that n refers to outside an aggregate, or nil.
func BareColumn(n Node) *Column {
	switch n := n.(type) {
	case *column:
		return n.c
	case *aggregateCall:
		return nil
	}
	for _, c := range children(n) {
		if found := BareColumn(c); found != nil {
			return found
		}
	}
	return nil
}

// UsesCaller reports whether n depends on who asks.
func UsesCaller(n Node) bool {
	return contains(n, func(n Node) bool {
		e, ok := n.(*environment)
		_, of := n.(*member)
		return of || ok && (e.kind == ArgUser || e.kind == ArgRole)
	})
}

// Unsteady returns the name of a function because of which n may give another
// value later on the same row, as it asks for the time, a new id or a random
// number; "" when there is none.
func Unsteady(n Node) (name string) {
	contains(n, func(n Node) bool {
		switch n := n.(type) {
		case *environment:
			if n.kind != ArgUser && n.kind != ArgRole {
				name = n.name
			}
		case *call:
			if n.f.volatile {
				name = n.f.name
			}
		}
		return name != ""
	})
	return name
}

// EqualTo finds the conjuncts of n that say column = value, where value has no
// column in it. It gives those whose values are equal for the comparison
// exactly when they are equal in Go, so that they can be looked up in a map.
func EqualTo(n Node, found func(c *Column, value Node)) {
	if j, ok := n.(*junction); ok && j.op == "AND" {
		for _, x := range j.args {
			EqualTo(x, found)
		}
		return
	}
	cmp, ok := n.(*comparison)
	if !ok || cmp.op != "=" {
		return
	}
	switch cmp.class {
	case wire.BigInt, wire.Text, wire.Boolean, wire.Date, wire.Timestamp, wire.UUID:
	default:
		return // 1.0 and 1.00 are equal, and so are 0.0 and -0.0
	}
	for _, side := range [2][2]Node{{cmp.l, cmp.r}, {cmp.r, cmp.l}} {
		if c := AsColumn(side[0]); c != nil && BareColumn(side[1]) == nil {
			found(c, side[1])
			return
		}
	}
}
