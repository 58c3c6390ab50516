package dialect

import "strings"

// call takes the arguments of a function and what follows them.
func (p *parser) call(name Name) Expr {
	c := &Call{at: at{name[0].Pos}, Name: name}
	p.expect("(")
	switch {
	case p.accept("*"):
		c.Star = true
	case !p.is(")"):
		if !p.accept("all") {
			c.Distinct = p.accept("distinct")
		}
		c.Args = p.exprs()
		if p.accept("order", "by") {
			c.OrderBy = p.orderItems()
		}
	}
	p.closeList()
	if p.is("within") && p.peek(1).is("group") {
		p.unsupported(p.pos(), "WITHIN GROUP is not supported")
	}
	if p.is("filter") && p.peek(1).is("(") {
		p.expect("filter", "(", "where")
		c.Filter = p.expr()
		p.expect(")")
	}
	if (p.is("ignore") || p.is("respect")) && p.peek(1).is("nulls") {
		p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " NULLS is not supported")
	}
	if p.accept("over") {
		c.Over = p.over()
	}
	p.grow(c.pos)
	return c
}

// special takes what looks like a call and has a grammar of its own; nil when
// it is a plain call after all.
func (p *parser) special() Expr {
	at := p.here()
	word := p.tok.word
	switch word {
	case "exists":
		p.advance()
		p.expect("(")
		x := &Exists{at: at}
		switch {
		case p.startsQuery():
			x.Query = p.query()
		case p.is("("):
			s, ok := p.paren().(*Scalar)
			if !ok {
				p.unexpected("a query after EXISTS (")
			}
			x.Query = p.queryFrom(s.Query)
		default:
			p.unexpected("a query after EXISTS (")
		}
		p.expect(")")
		p.grow(at.pos)
		return x
	case "file":
		p.advance()
		p.expect("(")
		if p.tok.kind != tokQuoted && p.tok.kind != tokString {
			p.unexpected(`the quoted name of a file part, as in FILE("photo")`)
		}
		t := p.advance()
		x := &FileRef{at: at}
		if t.kind == tokQuoted {
			x.Name = p.identValue(t)
		} else {
			x.Name = p.stringValue(t)
		}
		p.expect(")")
		return x
	case "row":
		p.advance()
		x := p.paren()
		if _, ok := x.(*Tuple); !ok {
			p.unsupported(at.pos, "ROW with a single value is not supported")
		}
		return x
	case "extract", "position", "substring", "trim", "overlay":
		p.advance()
		p.expect("(")
		c := &Call{at: at, Name: builtin(word, at.pos)}
		switch word {
		case "extract":
			c.Args = p.extract()
		case "position":
			c.Args = p.position()
		case "trim":
			c.Name[0].Name, c.Args = p.trim()
		default:
			c.Args = p.substring(word)
		}
		p.expect(")")
		p.grow(at.pos)
		return c
	}
	return nil
}

// extract takes field FROM x, or 'field', x.
func (p *parser) extract() []Expr {
	pos := p.here()
	var field Expr
	switch p.tok.kind {
	case tokWord:
		field = &String{at: pos, Value: p.advance().word}
	case tokString:
		field = &String{at: pos, Value: strings.ToLower(p.stringValue(p.advance()))}
	default:
		p.unexpected("a field such as YEAR")
	}
	if !p.is("from") && !p.is(",") {
		p.unexpected("FROM")
	}
	p.advance()
	return []Expr{field, p.expr()}
}

// position takes a IN b, or a, b.
func (p *parser) position() []Expr {
	a := p.operand(precRange + 1)
	if !p.is("in") && !p.is(",") {
		p.unexpected("IN")
	}
	p.advance()
	return []Expr{a, p.operand(precRange + 1)}
}

// substring takes x FROM a FOR b, x FOR b, y PLACING x FROM a, or plain
// arguments.
func (p *parser) substring(word string) []Expr {
	args := []Expr{p.expr()}
	if p.is(",") {
		for p.more() {
			args = append(args, p.expr())
		}
		return args
	}
	if word == "overlay" {
		p.expect("placing")
		args = append(args, p.expr())
	}
	switch {
	case p.accept("from"):
		args = append(args, p.expr())
		if p.accept("for") {
			args = append(args, p.expr())
		}
	case word == "substring" && p.accept("for"):
		n := p.expr()
		args = append(args, &Number{at: at{n.Pos()}, Text: "1"}, n)
		if p.accept("from") {
			args[1] = p.expr()
		}
	default:
		p.unexpected("FROM")
	}
	return args
}

// trim takes [LEADING|TRAILING|BOTH] [chars] FROM x, or plain arguments, and
// gives the function that means it.
func (p *parser) trim() (name string, args []Expr) {
	name = "trim"
	switch {
	case p.accept("both"):
	case p.accept("leading"):
		name = "ltrim"
	case p.accept("trailing"):
		name = "rtrim"
	}
	if p.accept("from") {
		return name, p.exprs()
	}
	args = []Expr{p.expr()}
	if p.accept("from") {
		x := p.exprs()
		return name, append(x, args...)
	}
	for p.more() {
		args = append(args, p.expr())
	}
	return name, args
}
