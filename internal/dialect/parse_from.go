package dialect

// tableExprs takes what follows FROM or USING.
func (p *parser) tableExprs() []TableExpr {
	list := []TableExpr{p.tableExpr()}
	for p.more() {
		list = append(list, p.tableExpr())
	}
	return list
}

// tableExpr takes a table with everything joined to it.
func (p *parser) tableExpr() TableExpr {
	outer := p.height
	p.height = 0
	l := p.tableTerm()
	for {
		j := p.joinKind()
		if j == nil {
			break
		}
		j.L, j.R = l, p.tableTerm()
		if !j.Natural && j.Kind != "CROSS" {
			// a JOIN b JOIN c ON .. ON ..: the first ON is of the inner join.
			j.R = p.joinInside(j.R)
			p.joinCondition(j)
		}
		p.grow(j.pos)
		l = j
	}
	p.height = max(p.height, outer)
	return l
}

// joinInside takes joins that stand before the condition of an outer one.
func (p *parser) joinInside(l TableExpr) TableExpr {
	for !p.is("on") && !p.is("using") {
		j := p.joinKind()
		if j == nil {
			break
		}
		p.enter()
		j.L, j.R = l, p.tableTerm()
		if !j.Natural && j.Kind != "CROSS" {
			j.R = p.joinInside(j.R)
			p.joinCondition(j)
		}
		p.leave()
		p.grow(j.pos)
		l = j
	}
	return l
}

// joinKind takes the words of a join up to JOIN; nil when there is none.
func (p *parser) joinKind() *Join {
	j := &Join{at: p.here(), Kind: "INNER"}
	if p.tok.kind != tokWord {
		return nil
	}
	j.Natural = p.accept("natural")
	switch {
	case p.accept("join"):
		return j
	case p.accept("inner"):
	case p.accept("left"):
		j.Kind = "LEFT"
		p.accept("outer")
	case p.accept("right"):
		j.Kind = "RIGHT"
		p.accept("outer")
	case p.accept("full"):
		j.Kind = "FULL"
		p.accept("outer")
	case !j.Natural && p.accept("cross"):
		j.Kind = "CROSS"
	default:
		if j.Natural {
			p.unexpected("JOIN")
		}
		return nil
	}
	p.expect("join")
	return j
}

func (p *parser) joinCondition(j *Join) {
	switch {
	case p.accept("on"):
		j.On = p.expr()
	case p.accept("using"):
		j.Using = p.idents("a column name")
	default:
		p.unexpected("ON or USING after the joined table")
	}
}

// tableTerm takes a table, a query or a join in parentheses.
func (p *parser) tableTerm() TableExpr {
	at := p.here()
	lateral := p.accept("lateral")
	if p.is("(") {
		return p.tableParen(at, lateral)
	}
	if lateral {
		p.unexpected("a query in parentheses after LATERAL")
	}
	if p.is("only") {
		p.unsupported(at.pos, "ONLY is not supported")
	}
	t := &TableRef{at: at, Name: p.name("a table")}
	if p.is("(") {
		p.unsupported(at.pos, "a function in FROM is not supported; rows that no table has come from VALUES or WITH RECURSIVE")
	}
	t.As, t.Columns = p.alias()
	if p.is("tablesample") {
		p.unsupported(p.pos(), "TABLESAMPLE is not supported")
	}
	return t
}

func (p *parser) tableParen(at at, lateral bool) TableExpr {
	p.enter()
	defer p.leave()
	p.expect("(")
	if p.startsQuery() {
		return p.subquery(at, lateral, p.query())
	}
	if lateral && !p.is("(") {
		p.unexpected("a query")
	}
	x := p.tableExpr()
	if s, ok := x.(*SubqueryRef); ok && s.As == nil && (p.continuesQuery() || p.is(")")) {
		// What looked like a join in parentheses is a query in two pairs.
		return p.subquery(at, lateral || s.Lateral, p.queryFrom(s.Query))
	}
	p.expect(")")
	if j, ok := x.(*Join); !ok || p.isName() || p.is("as") {
		pos := x.Pos()
		if ok {
			pos = j.pos
		}
		p.unsupported(pos, "parentheses around a single table, or with an alias, are not supported")
	}
	return x
}

// subquery takes what follows the query.
func (p *parser) subquery(at at, lateral bool, q *Query) TableExpr {
	p.expect(")")
	s := &SubqueryRef{at: at, Lateral: lateral, Query: q}
	s.As, s.Columns = p.alias()
	p.grow(at.pos)
	return s
}

// alias takes [AS] name [(columns)].
func (p *parser) alias() (*Ident, []Ident) {
	if !p.accept("as") {
		if !p.isName() || p.is("set") {
			return nil, nil
		}
	}
	id := p.ident("an alias")
	var columns []Ident
	if p.is("(") {
		columns = p.idents("a column name")
	}
	return &id, columns
}
