package dialect

import "strings"

// quantified takes ANY, SOME or ALL and the query behind a comparison. x = ANY
// (q) is x IN (q), and x <> ALL (q) is x NOT IN (q).
func (p *parser) quantified(at at, x Expr, op string) Expr {
	pos := p.pos()
	word := strings.ToUpper(p.advance().word)
	if !p.is("(") || !p.parenQuery() {
		p.unsupported(pos, word, " behind an operator takes a query in parentheses; arrays are not supported: write IN (...)")
	}
	all := word == "ALL"
	if op == "=" && !all || op == "<>" && all {
		return p.in(&In{at: at, X: x, Not: all})
	}
	p.expect("(")
	n := &Quantified{at: at, X: x, Op: op, All: all, Query: p.query()}
	p.expect(")")
	p.grow(at.pos)
	return n
}

// Plain writes the comparison in what else the tree has: one value of a query
// over the comparisons with each row. Aggregates without columns in X are of the
// query that the comparison stands in, and not of that one.
func (n *Quantified) Plain() Expr {
	Walk(n.X, func(x Node) bool {
		if c, ok := x.(*Call); ok {
			c.outside = true
		}
		_, query := x.(*Query)
		return !query
	})
	at := n.at
	name := Ident{Name: "row", Quoted: true, Pos: at.pos}
	value := func() *Column { return &Column{at: at, Name: Name{name}} }
	from := func(q *Query, as string) []TableExpr {
		return []TableExpr{&SubqueryRef{at: at, Query: q, As: &Ident{Name: as, Pos: at.pos}, Columns: []Ident{name}}}
	}
	one := func(x Expr, from []TableExpr) *Query {
		return &Query{at: at, Body: &Select{at: at, Items: []SelectItem{{X: x, At: at.pos}}, From: from}}
	}
	call := func(name string) *Call {
		return &Call{at: at, Name: builtin(name, at.pos), Args: []Expr{value()}}
	}
	rows := &Call{at: at, Name: builtin("count", at.pos), Star: true}
	unknown := When{&Binary{at: at, Op: ">", L: rows, R: call("count")}, &Null{at}}
	c := &Case{at: at}
	if n.All {
		c.Whens = []When{{&Unary{at: at, Op: "NOT", X: call("bool_and")}, &Bool{at, false}}, unknown}
		c.Else = &Bool{at, true}
	} else {
		c.Whens = []When{{call("bool_or"), &Bool{at, true}}, unknown}
		c.Else = &Bool{at, false}
	}
	tested := one(&Binary{at: at, Op: n.Op, L: n.X, R: value()}, from(n.Query, "quantified"))
	return &Scalar{at: at, Query: one(c, from(tested, "tested"))}
}

// IsOutside reports whether an aggregate without columns is of the query around
// the one that it stands in.
func (c *Call) IsOutside() bool { return c.outside }
