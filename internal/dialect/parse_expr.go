package dialect

import "strings"

// Levels of precedence, as in PostgreSQL, from loose to tight.
const (
	precNone = iota
	precOr
	precAnd
	precNot
	precIs
	precCompare // does not chain
	precRange   // BETWEEN, IN, LIKE; does not chain
	precOther   // ||, ->, ...
	precAdd
	precMul
	precPow
	precAt // AT TIME ZONE
	precSign
	precCast
	precTop // what needs no parentheses anywhere
)

// precOf is the precedence of a binary operator in its canonical spelling, 0
// for what is none.
func precOf(op string) int {
	switch op {
	case "OR":
		return precOr
	case "AND":
		return precAnd
	case "=", "<>", "<", ">", "<=", ">=":
		return precCompare
	case "+", "-":
		return precAdd
	case "*", "/", "%":
		return precMul
	case "^":
		return precPow
	case "||", "->", "->>", "#>", "#>>", "?", "?|", "?&", "@>", "<@", "~", "~*", "!~", "!~*", "&", "|", "#", "<<", ">>":
		return precOther
	}
	return precNone
}

// expr takes an expression.
func (p *parser) expr() Expr {
	p.enter()
	x := p.operand(precOr)
	p.leave()
	return x
}

// exprs takes a list of expressions up to what closes it.
func (p *parser) exprs() []Expr {
	list := []Expr{p.expr()}
	for p.more() {
		list = append(list, p.expr())
	}
	return list
}

// operand takes an expression of operators that bind at least as tightly as
// lowest.
func (p *parser) operand(lowest int) Expr {
	outer := p.height
	p.height = 0
	x := p.prefix()
	chained := precNone // the last operator that does not chain
	for {
		prec := p.infix()
		if prec == precNone || prec < lowest {
			break
		}
		if prec == chained {
			p.failAt(p.pos(), "expected AND, OR or the end of the expression, found ", p.found(),
				"; this operator does not chain, use parentheses")
		}
		pos := p.pos()
		x, chained = p.wrap(x, prec)
		p.grow(pos)
	}
	p.height = max(p.height, outer)
	return x
}

// infix is the precedence of the current token as an operator behind an
// operand.
func (p *parser) infix() int {
	switch p.tok.kind {
	case tokOp:
		switch p.tok.word {
		case "!=":
			return precCompare
		case "::":
			return precCast
		}
		return precOf(p.tok.word)
	case tokWord:
		switch p.tok.word {
		case "or":
			return precOr
		case "and":
			return precAnd
		case "is", "isnull", "notnull":
			return precIs
		case "between", "in", "like", "ilike":
			return precRange
		case "similar":
			p.unsupported(p.pos(), "SIMILAR TO is not supported")
		case "collate":
			p.unsupported(p.pos(), "COLLATE is not supported")
		case "not":
			switch p.peek(1).word {
			case "between", "in", "like", "ilike":
				return precRange
			case "similar":
				p.unsupported(p.pos(), "SIMILAR TO is not supported")
			}
		case "at":
			if p.peek(1).is("time") {
				return precAt
			}
		}
	}
	return precNone
}

// wrap takes the operator at hand and what is right of it. chained is its
// precedence if it may not follow itself.
func (p *parser) wrap(x Expr, prec int) (whole Expr, chained int) {
	switch prec {
	case precIs:
		return p.is_(x)
	case precRange:
		return p.inRange(x)
	case precAt:
		at := p.here()
		p.expect("at", "time", "zone")
		zone := p.operand(precAt + 1)
		return &Call{at: at, Name: builtin("timezone", at.pos), Args: []Expr{zone, x}}, precNone
	case precCast:
		at := p.here()
		p.expect("::")
		return &Cast{at: at, X: x, Type: p.typeName()}, precNone
	}
	at := p.here()
	op := p.advance().word
	switch op {
	case "!=":
		op = "<>"
	case "and":
		op = "AND"
	case "or":
		op = "OR"
	}
	if prec == precCompare {
		chained = prec
	}
	if p.is("any") || p.is("all") || p.is("some") {
		if prec != precCompare {
			p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " behind an operator that does not compare is not supported")
		}
		return p.quantified(at, x, op), chained
	}
	return &Binary{at: at, Op: op, L: x, R: p.operand(prec + 1)}, chained
}

// is_ takes IS and what follows.
func (p *parser) is_(x Expr) (Expr, int) {
	n := &Is{at: p.here(), X: x, What: "NULL"}
	switch {
	case p.accept("isnull"):
		return n, precNone
	case p.accept("notnull"):
		n.Not = true
		return n, precNone
	}
	p.expect("is")
	n.Not = p.accept("not")
	switch {
	case p.accept("null"):
	case p.accept("true"):
		n.What = "TRUE"
	case p.accept("false"):
		n.What = "FALSE"
	case p.accept("unknown"):
		n.What = "UNKNOWN"
	case p.accept("distinct", "from"):
		n.What = "DISTINCT FROM"
		n.R = p.operand(precIs + 1)
		return n, precIs
	default:
		p.unexpected("NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM after IS")
	}
	return n, precNone
}

// inRange takes [NOT] BETWEEN, IN, LIKE or ILIKE and what follows.
func (p *parser) inRange(x Expr) (Expr, int) {
	at := p.here()
	not := p.accept("not")
	switch {
	case p.accept("between"):
		n := &Between{at: at, X: x, Not: not}
		if !p.accept("asymmetric") {
			n.Symmetric = p.accept("symmetric")
		}
		n.Lo = p.operand(precRange + 1)
		p.expect("and")
		n.Hi = p.operand(precRange + 1)
		return n, precRange
	case p.accept("in"):
		return p.in(&In{at: at, X: x, Not: not}), precNone
	}
	n := &Like{at: at, X: x, Not: not, Insensitive: p.is("ilike")}
	p.advance()
	if p.is("any") || p.is("all") || p.is("some") {
		p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " behind an operator is not supported")
	}
	n.Pattern = p.operand(precRange + 1)
	if p.accept("escape") {
		n.Escape = p.operand(precRange + 1)
	}
	return n, precRange
}

// in takes the list or the query of IN.
func (p *parser) in(n *In) Expr {
	p.expect("(")
	if p.startsQuery() {
		n.Query = p.query()
		p.expect(")")
		return n
	}
	if p.is(")") {
		p.unexpected("a value or a query after IN (")
	}
	n.List = p.exprs()
	if s, ok := n.List[0].(*Scalar); ok && len(n.List) == 1 {
		// IN ((SELECT ...)) asks for the rows of the query.
		n.List, n.Query = nil, p.queryFrom(s.Query)
	}
	p.closeList()
	return n
}

// prefix takes an operand with the operators before it.
func (p *parser) prefix() Expr {
	at := p.here()
	switch {
	case p.tok.kind == tokWord && p.is("not"):
		p.advance()
		return p.unary(at, "NOT", precNot)
	case p.tok.kind == tokOp && (p.is("-") || p.is("+")):
		op := p.advance().word
		return p.unary(at, op, precSign)
	case p.tok.kind == tokOp && p.is("~"):
		p.advance()
		return p.unary(at, "~", precOther+1)
	}
	return p.primary()
}

func (p *parser) unary(at at, op string, prec int) Expr {
	p.enter()
	x := p.operand(prec)
	p.leave()
	p.grow(at.pos)
	return &Unary{at: at, Op: op, X: x}
}

// builtin is the name of a function that the grammar knows.
func builtin(name string, pos Pos) Name {
	return Name{{Name: name, Pos: pos}}
}
