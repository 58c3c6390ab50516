package dialect

import "strings"

// over takes what follows OVER: the name of a window or its definition.
func (p *parser) over() *Window {
	if p.is("(") {
		return p.window()
	}
	id := p.ident("a window")
	return &Window{Name: &id}
}

// window takes ( [PARTITION BY ..] [ORDER BY ..] [frame] ).
func (p *parser) window() *Window {
	w := &Window{}
	p.expect("(")
	if p.isName() && !p.isAny("partition", "range", "rows", "groups") {
		p.unsupported(p.pos(), "a window built on another one is not supported")
	}
	if p.accept("partition") {
		p.expect("by")
		w.PartitionBy = p.exprs()
	}
	if p.accept("order") {
		p.expect("by")
		w.OrderBy = p.orderItems()
	}
	if p.isAny("range", "rows", "groups") {
		w.Frame = p.frame()
	}
	if !p.is(")") {
		p.unexpected(`PARTITION BY, ORDER BY, a frame or ")"`)
	}
	p.advance()
	return w
}

// frame takes ROWS|RANGE|GROUPS bound, or BETWEEN bound AND bound, and what is
// excluded, and gives its canonical text.
func (p *parser) frame() string {
	f := strings.ToUpper(p.advance().word) + " "
	if p.accept("between") {
		lo := p.bound()
		p.expect("and")
		f += "BETWEEN " + lo + " AND " + p.bound()
	} else {
		f += p.bound()
	}
	if !p.accept("exclude") {
		return f
	}
	switch {
	case p.accept("current", "row"):
		return f + " EXCLUDE CURRENT ROW"
	case p.accept("group"):
		return f + " EXCLUDE GROUP"
	case p.accept("ties"):
		return f + " EXCLUDE TIES"
	case p.accept("no", "others"):
		return f + " EXCLUDE NO OTHERS"
	}
	p.unexpected("CURRENT ROW, GROUP, TIES or NO OTHERS after EXCLUDE")
	return ""
}

// bound takes one end of a frame. Offsets are whole numbers.
func (p *parser) bound() string {
	if p.accept("current") {
		p.expect("row")
		return "CURRENT ROW"
	}
	n := "UNBOUNDED"
	if !p.accept("unbounded") {
		t := p.tok
		if t.kind != tokNumber {
			p.unexpected("UNBOUNDED, CURRENT ROW or a number")
		}
		n = p.scan.sql[t.start:t.end]
		p.advance()
	}
	switch {
	case p.accept("preceding"):
		return n + " PRECEDING"
	case p.accept("following"):
		return n + " FOLLOWING"
	}
	p.unexpected("PRECEDING or FOLLOWING")
	return ""
}
