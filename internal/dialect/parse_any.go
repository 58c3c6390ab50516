package dialect

import "strings"

// quantified takes ANY, SOME or ALL and the query behind a comparison. It is
// written in what the tree has: x = ANY (q) is x IN (q), x <> ALL (q) is x NOT
// IN (q), and the others are one value of a query over the comparisons with
// each row of q.
func (p *parser) quantified(at at, x Expr, op string) Expr {
	pos := p.pos()
	word := strings.ToUpper(p.advance().word)
	if !p.is("(") || !p.parenQuery() {
		p.unsupported(pos, word, " behind an operator takes a query in parentheses; arrays are not supported: write IN (...)")
	}
	any := word != "ALL"
	if op == "=" && any || op == "<>" && !any {
		return p.in(&In{at: at, X: x, Not: !any})
	}
	Walk(x, func(n Node) bool {
		if c, ok := n.(*Call); ok && c.Over == nil {
			switch c.Name[len(c.Name)-1].Name {
			case "count", "sum", "avg", "min", "max":
				// It would belong to the query below.
				p.unsupported(pos, word, " behind an aggregate is not supported; compute the aggregate in a sub-query of FROM first")
			}
		}
		return true
	})
	p.expect("(")
	q := p.query()
	p.expect(")")
	name := Ident{Name: strings.ToLower(word), Quoted: true, Pos: pos}
	value := func() *Column { return &Column{at: at, Name: Name{name}} }
	from := func(q *Query, as string) []TableExpr {
		return []TableExpr{&SubqueryRef{at: at, Query: q, As: &Ident{Name: as, Pos: pos}, Columns: []Ident{name}}}
	}
	one := func(x Expr, from []TableExpr) *Query {
		return &Query{at: at, Body: &Select{at: at, Items: []SelectItem{{X: x, At: pos}}, From: from}}
	}
	call := func(name string) *Call { return &Call{at: at, Name: builtin(name, pos), Args: []Expr{value()}} }
	rows := &Call{at: at, Name: builtin("count", pos), Star: true}
	unknown := When{&Binary{at: at, Op: ">", L: rows, R: call("count")}, &Null{at}}
	c := &Case{at: at}
	if any {
		c.Whens = []When{{call("bool_or"), &Bool{at, true}}, unknown}
		c.Else = &Bool{at, false}
	} else {
		c.Whens = []When{{&Unary{at: at, Op: "NOT", X: call("bool_and")}, &Bool{at, false}}, unknown}
		c.Else = &Bool{at, true}
	}
	tested := one(&Binary{at: at, Op: op, L: x, R: value()}, from(q, "quantified"))
	return &Scalar{at: at, Query: one(c, from(tested, "tested"))}
}
