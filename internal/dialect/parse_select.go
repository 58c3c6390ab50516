package dialect

import "strings"

// startsQuery tells whether a query begins here.
func (p *parser) startsQuery() bool {
	return p.is("select") || p.is("with") || p.is("values") && p.peek(1).is("(")
}

// continuesQuery tells whether what was read is only the first part of a query.
func (p *parser) continuesQuery() bool {
	return p.tok.kind == tokWord && p.isAny("union", "intersect", "except", "order", "limit", "offset", "fetch")
}

// query takes a query with everything around it.
func (p *parser) query() *Query {
	at := p.here()
	return p.queryWith(at, p.with())
}

// queryWith takes a query whose WITH clause was read.
func (p *parser) queryWith(at at, w *With) *Query {
	p.enter()
	q := &Query{at: at, With: w}
	q.Body = p.setOps(p.queryTerm(), 1)
	p.queryEnd(q)
	p.leave()
	return q.flat()
}

// queryFrom goes on with a query whose first part, in parentheses, was read.
func (p *parser) queryFrom(first *Query) *Query {
	q := &Query{at: first.at}
	q.Body = p.setOps(first.body(), 1)
	p.queryEnd(q)
	return q.flat()
}

// flat is the query in parentheses if nothing stands around them.
func (q *Query) flat() *Query {
	if inner, ok := q.Body.(*Query); ok && q.bare() {
		return inner
	}
	return q
}

// body is what a query in parentheses is as part of another.
func (q *Query) body() QueryBody {
	if q.bare() {
		return q.Body
	}
	return q
}

func (q *Query) bare() bool {
	return q.With == nil && q.OrderBy == nil && q.Limit == nil && q.Offset == nil
}

// setOps takes UNION, EXCEPT (level 1) and INTERSECT (level 2) behind a part.
func (p *parser) setOps(l QueryBody, level int) QueryBody {
	for {
		op, prec := "", 1
		switch {
		case p.is("union"):
			op = "UNION"
		case p.is("except"):
			op = "EXCEPT"
		case p.is("intersect"):
			op, prec = "INTERSECT", 2
		}
		if op == "" || prec < level {
			return l
		}
		s := &SetOp{at: p.here(), Op: op, L: l}
		p.advance()
		s.All = p.accept("all")
		if !s.All {
			p.accept("distinct")
		}
		s.R = p.setOps(p.queryTerm(), prec+1)
		p.grow(s.pos)
		l = s
	}
}

// queryTerm takes SELECT, VALUES or a query in parentheses.
func (p *parser) queryTerm() QueryBody {
	switch {
	case p.is("select"):
		return p.selectBlock()
	case p.is("values"):
		return p.values()
	case p.is("("):
		p.enter()
		p.advance()
		if !p.startsQuery() && !p.is("(") {
			p.unexpected("a query")
		}
		q := p.query()
		p.expect(")")
		p.leave()
		return q.body()
	case p.is("table"):
		p.unsupported(p.pos(), "TABLE as a query is not supported")
	}
	p.unexpected("SELECT or VALUES")
	return nil
}

// queryEnd takes ORDER BY, LIMIT, OFFSET and FETCH, the last three in any order.
func (p *parser) queryEnd(q *Query) {
	if p.accept("order") {
		p.expect("by")
		q.OrderBy = p.orderItems()
	}
	limited := false
	for {
		pos := p.pos()
		switch {
		case p.is("limit"), p.is("fetch"):
			if limited {
				p.failAt(pos, "LIMIT or FETCH is written twice")
			}
			limited = true
			q.Limit = p.limit()
			if p.is(",") {
				p.unsupported(p.pos(), "LIMIT with two numbers is not supported; write LIMIT count OFFSET start")
			}
		case p.accept("offset"):
			if q.Offset != nil {
				p.failAt(pos, "OFFSET is written twice")
			}
			q.Offset = p.expr()
			if !p.accept("rows") {
				p.accept("row")
			}
		case p.is("for") && (p.peek(1).is("update") || p.peek(1).is("share") || p.peek(1).is("no") || p.peek(1).is("key")):
			p.unsupported(pos, "FOR UPDATE is not supported; a transaction that writes runs alone, so it needs no locks")
		default:
			return
		}
	}
}

// limit takes LIMIT n, LIMIT ALL or FETCH FIRST n ROWS ONLY.
func (p *parser) limit() Expr {
	if p.accept("limit") {
		if p.accept("all") {
			return nil
		}
		return p.expr()
	}
	at := p.here()
	p.expect("fetch")
	if !p.accept("first") && !p.accept("next") {
		p.unexpected("FIRST or NEXT")
	}
	var n Expr = &Number{at: at, Text: "1"}
	if !p.is("row") && !p.is("rows") {
		n = p.primary()
	}
	if !p.accept("rows") && !p.accept("row") {
		p.unexpected("ROWS")
	}
	if p.is("with") {
		p.unsupported(p.pos(), "WITH TIES is not supported")
	}
	p.expect("only")
	return n
}

// with takes a WITH clause, if there is one.
func (p *parser) with() *With {
	if !p.is("with") {
		return nil
	}
	w := &With{at: p.here()}
	p.advance()
	w.Recursive = p.accept("recursive")
	for {
		c := CTE{Name: p.ident("the name of a common table expression")}
		if p.is("(") {
			c.Columns = p.idents("a column name")
		}
		p.expect("as")
		if p.is("materialized") || p.is("not") {
			p.accept("not")
			p.expect("materialized")
		}
		p.expect("(")
		if p.isAny("insert", "update", "delete") {
			p.unsupported(p.pos(), "a writing statement in WITH is not supported")
		}
		c.Query = p.query()
		p.expect(")")
		if p.isAny("search", "cycle") {
			p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " behind a query of WITH is not supported")
		}
		w.CTEs = append(w.CTEs, c)
		if !p.accept(",") || p.is("select") {
			return w
		}
	}
}

// selectBlock takes SELECT up to the WINDOW clause.
func (p *parser) selectBlock() *Select {
	s := &Select{at: p.here()}
	p.expect("select")
	if !p.accept("all") && p.accept("distinct") {
		if p.accept("on") {
			p.expect("(")
			s.DistinctOn = p.exprs()
			p.closeList()
		} else {
			s.Distinct = true
		}
	}
	if p.endsList() {
		p.unexpected("a select list")
	}
	s.Items = p.selectItems()
	if p.is("into") {
		p.unsupported(p.pos(), "SELECT INTO is not supported")
	}
	if p.accept("from") {
		s.From = p.tableExprs()
	}
	if p.accept("where") {
		s.Where = p.expr()
	}
	if p.accept("group") {
		p.expect("by")
		p.groupingSets()
		s.GroupBy = p.exprs()
	}
	if p.accept("having") {
		s.Having = p.expr()
	}
	if p.accept("window") {
		for {
			w := NamedWindow{Name: p.ident("the name of a window")}
			p.expect("as")
			w.Window = *p.window()
			s.Windows = append(s.Windows, w)
			if !p.more() {
				break
			}
		}
	}
	return s
}

// groupingSets refuses GROUP BY ROLLUP (...) and its like.
func (p *parser) groupingSets() {
	switch next := p.peek(1); {
	case (p.is("rollup") || p.is("cube")) && next.is("("):
		p.unsupported(p.pos(), "GROUP BY ", strings.ToUpper(p.tok.word), " is not supported; write one query for each grouping, with UNION ALL")
	case p.is("grouping") && next.is("sets"):
		p.unsupported(p.pos(), "GROUPING SETS is not supported; write one query for each grouping, with UNION ALL")
	case p.is("all"), p.is("distinct"):
		p.unsupported(p.pos(), "GROUP BY ", strings.ToUpper(p.tok.word), " is not supported")
	}
}

// selectItems takes the select list or what follows RETURNING.
func (p *parser) selectItems() []SelectItem {
	items := []SelectItem{p.selectItem()}
	for p.more() {
		items = append(items, p.selectItem())
	}
	return items
}

func (p *parser) selectItem() SelectItem {
	item := SelectItem{At: p.pos()}
	if p.accept("*") {
		item.Star = true
		return item
	}
	if t, ok := p.tableStar(); ok {
		item.Star, item.Table = true, t
		return item
	}
	item.X = p.expr()
	if p.accept("as") {
		id := p.label("a name after AS")
		item.As = &id
		return item
	}
	if p.isName() && !(p.tok.kind == tokWord && needsAs[p.tok.word]) {
		id := p.takeIdent()
		item.As = &id
	}
	return item
}

// tableStar takes t.* or ns.t.*, if it is there.
func (p *parser) tableStar() (Name, bool) {
	if !p.isName() || !p.peek(1).is(".") {
		return nil, false
	}
	if p.peek(2).is("*") {
		n := Name{p.takeIdent()}
		p.expect(".", "*")
		return n, true
	}
	second := p.peek(2)
	if second.kind != tokWord && second.kind != tokQuoted || !p.starAfter(second.end) {
		return nil, false
	}
	n := Name{p.takeIdent()}
	p.expect(".")
	n = append(n, p.takeIdent())
	p.expect(".", "*")
	return n, true
}

// starAfter tells whether .* comes at an offset.
func (p *parser) starAfter(off int) bool {
	if p.scan.byteAt(off) != '.' && !isSpace(p.scan.byteAt(off)) {
		return false
	}
	s := scanner{sql: p.scan.sql, off: off, lax: true}
	dot := s.next()
	star := s.next()
	return dot.is(".") && star.is("*")
}

// values takes VALUES (..), (..).
func (p *parser) values() *Values {
	v := &Values{at: p.here()}
	p.expect("values")
	for {
		p.expect("(")
		v.Rows = append(v.Rows, p.exprs())
		p.closeList()
		if !p.accept(",") || !p.is("(") {
			return v
		}
	}
}

// orderItems takes what follows ORDER BY.
func (p *parser) orderItems() []OrderItem {
	var list []OrderItem
	for {
		item := OrderItem{X: p.expr()}
		if !p.accept("asc") {
			item.Desc = p.accept("desc")
		}
		if p.accept("nulls") {
			first := p.accept("first")
			if !first && !p.accept("last") {
				p.unexpected("FIRST or LAST")
			}
			item.NullsFirst = &first
		}
		list = append(list, item)
		if !p.more() {
			return list
		}
	}
}
