package dialect

import (
	"strconv"
	"strings"
)

// insert takes INSERT.
func (p *parser) insert(at at, w *With) Statement {
	s := &Insert{at: at, With: w}
	p.expect("insert")
	if p.is("or") || p.is("ignore") {
		p.unsupported(p.pos(), "INSERT ", strings.ToUpper(p.tok.word), " is not supported; write INSERT ... ON CONFLICT DO NOTHING, or DO UPDATE")
	}
	p.expect("into")
	s.Table = p.name("a table")
	if p.accept("as") {
		id := p.ident("an alias")
		s.As = &id
	}
	if p.is("(") && !p.parenQuery() {
		s.Columns = p.idents("a column name")
	}
	if p.is("overriding") {
		p.unsupported(p.pos(), "OVERRIDING is not supported")
	}
	switch {
	case p.accept("default"):
		p.expect("values")
	case p.isAny("select", "with", "values", "("):
		s.Query = p.query()
	default:
		p.unexpected("VALUES, a query or DEFAULT VALUES")
	}
	if p.is("on") {
		s.OnConflict = p.onConflict()
	}
	s.Returning = p.returning()
	return s
}

// parenQuery tells whether a query begins behind the parentheses here.
func (p *parser) parenQuery() bool {
	s := scanner{sql: p.scan.sql, off: p.tok.end, lax: true}
	t := s.next()
	for t.is("(") {
		t = s.next()
	}
	after := s.next()
	return t.is("select") || t.is("with") || t.is("values") && after.is("(")
}

// onConflict takes ON CONFLICT [(cols)] DO NOTHING | DO UPDATE SET ....
func (p *parser) onConflict() *OnConflict {
	c := &OnConflict{at: p.here()}
	if p.peek(1).is("duplicate") {
		p.unsupported(c.pos, "ON DUPLICATE KEY is not supported; write ON CONFLICT (key) DO UPDATE SET column = EXCLUDED.column")
	}
	p.expect("on", "conflict")
	switch {
	case p.is("("):
		c.Columns = p.idents("a column name")
		if p.is("where") {
			p.unsupported(p.pos(), "ON CONFLICT (...) WHERE is not supported")
		}
	case p.is("on"):
		p.unsupported(p.pos(), "ON CONFLICT ON CONSTRAINT is not supported")
	}
	p.expect("do")
	switch {
	case p.accept("nothing"):
		c.Nothing = true
		return c
	case !p.is("update"):
		p.unexpected("NOTHING or UPDATE")
	}
	p.expect("update", "set")
	c.Set = p.assignments()
	if p.accept("where") {
		c.Where = p.expr()
	}
	return c
}

// assignments takes what follows SET.
func (p *parser) assignments() []Assignment {
	var list []Assignment
	for {
		if p.is("(") {
			list = append(list, p.assignRow()...)
			if !p.more() {
				return list
			}
			continue
		}
		a := Assignment{Column: p.ident("a column name")}
		if p.is(".") {
			p.unexpected(`"=" (the column of SET stands without its table)`)
		}
		p.expect("=")
		a.Value = p.expr()
		list = append(list, a)
		if !p.more() {
			return list
		}
	}
}

// maxRepeated bounds the text that assignQuery reads again and again, in bytes.
const maxRepeated = 64 << 10

// assignQuery takes the query of (a, b) = (SELECT x, y ...). It stands in the
// tree once for each column: a gets the first of its row and b the second.
func (p *parser) assignQuery(list []Assignment) {
	start := *p
	columns := make([]Ident, len(list))
	for i := range list {
		columns[i] = Ident{Name: "column" + strconv.Itoa(i+1), Pos: start.pos()}
	}
	for i := range list {
		*p = start
		at := p.here()
		q := p.query()
		if p.width(q.Body) != len(list) {
			p.failAt(at.pos, "number of columns does not match number of values")
		}
		if (p.last-int(at.pos))*len(list) > maxRepeated {
			p.unsupported(at.pos, "a query of this length that is assigned to ", strconv.Itoa(len(list)), " columns is not supported; put it into WITH or FROM")
		}
		p.grow(at.pos)
		list[i].Value = &Scalar{at: at, Query: &Query{at: at, Body: &Select{at: at,
			Items: []SelectItem{{At: at.pos, X: &Column{at: at, Name: Name{columns[i]}}}},
			From:  []TableExpr{&SubqueryRef{at: at, Query: q, As: &Ident{Name: "row_of_query", Pos: at.pos}, Columns: columns}},
		}}}
	}
}

// width is how many columns a query has that names them all.
func (p *parser) width(b QueryBody) int {
	switch b := b.(type) {
	case *SetOp:
		return p.width(b.L)
	case *Query:
		return p.width(b.Body)
	case *Values:
		return len(b.Rows[0])
	case *Select:
		for _, item := range b.Items {
			if item.Star {
				p.unsupported(item.At, "* in a query that is assigned to several columns is not supported; name the columns")
			}
		}
		return len(b.Items)
	}
	return 0
}

// assignRow takes (a, b) = (x, y), which is a = x, b = y.
func (p *parser) assignRow() []Assignment {
	at := p.pos()
	p.expect("(")
	var list []Assignment
	for {
		list = append(list, Assignment{Column: p.ident("a column name")})
		if !p.accept(",") {
			break
		}
	}
	p.expect(")", "=")
	p.accept("row")
	p.expect("(")
	if p.startsQuery() {
		p.assignQuery(list)
		p.expect(")")
		return list
	}
	values := p.exprs()
	p.expect(")")
	if len(values) != len(list) {
		p.failAt(at, "number of columns does not match number of values")
	}
	for i := range list {
		list[i].Value = values[i]
	}
	return list
}

// returning takes a RETURNING clause, if there is one.
func (p *parser) returning() []SelectItem {
	if !p.accept("returning") {
		return nil
	}
	return p.selectItems()
}

// update takes UPDATE.
func (p *parser) update(at at, w *With) Statement {
	s := &Update{at: at, With: w}
	p.expect("update")
	s.Table, s.As = p.target()
	p.expect("set")
	s.Set = p.assignments()
	if p.accept("from") {
		s.From = p.tableExprs()
	}
	s.Where = p.where()
	s.Returning = p.returning()
	return s
}

// delete takes DELETE.
func (p *parser) delete(at at, w *With) Statement {
	s := &Delete{at: at, With: w}
	p.expect("delete", "from")
	s.Table, s.As = p.target()
	if p.accept("using") {
		s.Using = p.tableExprs()
	}
	s.Where = p.where()
	s.Returning = p.returning()
	return s
}

// target takes the table that is written to, and its alias.
func (p *parser) target() (Name, *Ident) {
	if p.is("only") {
		p.unsupported(p.pos(), "ONLY is not supported")
	}
	name := p.name("a table")
	if p.accept("as") || p.isName() && !p.is("set") {
		id := p.ident("an alias")
		return name, &id
	}
	return name, nil
}

func (p *parser) where() Expr {
	if !p.accept("where") {
		return nil
	}
	if p.accept("current", "of") {
		p.unsupported(p.pos(), "WHERE CURRENT OF is not supported")
	}
	return p.expr()
}
