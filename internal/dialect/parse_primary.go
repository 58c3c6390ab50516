package dialect

import (
	"strconv"
	"strings"
)

// primary takes an operand without operators.
func (p *parser) primary() Expr {
	at := p.here()
	t := p.tok
	switch t.kind {
	case tokNumber:
		p.advance()
		return &Number{at: at, Text: p.scan.sql[t.start:t.end]}
	case tokString:
		p.advance()
		return &String{at: at, Value: p.stringValue(t)}
	case tokBytes:
		p.advance()
		return &Typed{at: at, Type: TypeName{Name: "bytea", Pos: at.pos}, Value: p.bytesValue(t)}
	case tokParam:
		return &Param{at: at, N: p.paramNumber()}
	case tokQuoted:
		return p.reference()
	case tokWord:
		return p.wordOperand()
	}
	if p.is("(") {
		return p.paren()
	}
	p.unexpected("an expression")
	return nil
}

// paramNumber takes a parameter and returns its number.
func (p *parser) paramNumber() int {
	t := p.advance()
	n, err := strconv.Atoi(p.scan.sql[t.start+1 : t.end])
	if err != nil || n < 1 || n > maxParam {
		p.failAt(Pos(t.start), "the number of a parameter is 1 to ", strconv.Itoa(maxParam), ", found ", clip(p.scan.sql[t.start:t.end]))
	}
	return n
}

// paren takes (x), (a, b) or (query).
func (p *parser) paren() Expr {
	at := p.here()
	p.expect("(")
	if p.startsQuery() {
		q := p.query()
		p.expect(")")
		p.grow(at.pos)
		return &Scalar{at: at, Query: q}
	}
	x := p.expr()
	if s, ok := x.(*Scalar); ok && p.continuesQuery() {
		// What looked like an operand is the first part of a query.
		s = &Scalar{at: at, Query: p.queryFrom(s.Query)}
		p.expect(")")
		p.grow(at.pos)
		return s
	}
	if !p.is(",") {
		if !p.is(")") {
			p.unexpected(`an operator or ")"`)
		}
		p.advance()
		return x
	}
	items := []Expr{x}
	for p.more() {
		items = append(items, p.expr())
	}
	p.closeList()
	if len(items) == 1 {
		return x
	}
	p.grow(at.pos)
	return &Tuple{at: at, Items: items}
}

// wordOperand takes an operand that begins with a word.
func (p *parser) wordOperand() Expr {
	at := p.here()
	switch p.tok.word {
	case "null":
		p.advance()
		return &Null{at}
	case "true", "false":
		return &Bool{at: at, Value: p.advance().word == "true"}
	case "default":
		if p.peek(1).is(".") {
			return p.reference()
		}
		p.advance()
		return &Default{at}
	case "case":
		return p.caseExpr()
	case "cast":
		p.advance()
		p.expect("(")
		x := p.expr()
		p.expect("as")
		c := &Cast{at: at, X: x, Type: p.typeName()}
		p.expect(")")
		p.grow(at.pos)
		return c
	case "array":
		p.unsupported(at.pos, "ARRAY is not supported")
	}
	if isNiladic(p.tok.word) {
		return p.niladic()
	}
	if p.peek(1).is("(") {
		if p.is("values") {
			p.unexpected("an expression")
		}
		if x := p.special(); x != nil {
			return x
		}
	}
	if p.tok.class == plain {
		if x := p.typedLiteral(); x != nil {
			return x
		}
		return p.reference()
	}
	if p.tok.class == callable && p.peek(1).is("(") {
		id := p.takeIdent()
		id.Quoted = false
		return p.call(Name{id})
	}
	p.failAt(at.pos, "expected an expression, found ", p.foundKeyword())
	return nil
}

// isNiladic tells whether a word is a function that is called without
// parentheses.
func isNiladic(word string) bool {
	switch word {
	case "current_user", "current_timestamp", "current_date", "current_time", "current_role", "localtimestamp",
		"localtime", "session_user", "current_catalog", "current_schema":
		return true
	}
	return false
}

// niladic takes CURRENT_USER and the like, with or without parentheses.
func (p *parser) niladic() Expr {
	t := p.advance()
	c := &Call{at: at{Pos(t.start)}, Name: builtin(t.word, Pos(t.start))}
	if p.accept("(") {
		if !p.is(")") {
			c.Args = p.exprs()
			p.grow(c.pos)
		}
		p.expect(")")
	}
	return c
}

// reference takes a column or a function call.
func (p *parser) reference() Expr {
	at := p.here()
	n := p.name("a column")
	if p.is("(") {
		return p.call(n)
	}
	return &Column{at: at, Name: n}
}

// caseExpr takes CASE ... END.
func (p *parser) caseExpr() Expr {
	c := &Case{at: p.here()}
	p.expect("case")
	if !p.is("when") {
		c.Operand = p.expr()
	}
	for p.accept("when") {
		cond := p.expr()
		p.expect("then")
		c.Whens = append(c.Whens, When{Cond: cond, Then: p.expr()})
	}
	if len(c.Whens) == 0 {
		p.unexpected("WHEN")
	}
	if p.accept("else") {
		c.Else = p.expr()
	}
	if !p.is("end") {
		p.unexpected("WHEN, ELSE or END")
	}
	p.advance()
	p.grow(c.pos)
	return c
}

// typedLiteral takes DATE '2024-01-31' and the like; nil when there is none.
func (p *parser) typedLiteral() Expr {
	next := p.peek(1)
	switch p.tok.word {
	case "date", "uuid", "json", "jsonb", "datetime", "bytea", "text", "varchar", "boolean", "bool",
		"int", "integer", "bigint", "smallint", "real", "float", "numeric", "decimal", "int2", "int4", "int8",
		"float4", "float8", "interval":
		if next.kind != tokString {
			return nil
		}
	case "time", "timestamp", "timetz", "timestamptz":
		second := p.peek(2)
		switch {
		case next.kind == tokString:
		case next.is("("):
			if second.kind != tokNumber {
				return nil
			}
		case !next.is("with") && !next.is("without") || !second.is("time"):
			return nil
		}
	case "double":
		if !next.is("precision") {
			return nil
		}
	default:
		return nil
	}
	x := &Typed{at: p.here(), Type: p.typeName()}
	x.Value = p.text("a text in single quotes after the type " + strings.ToUpper(x.Type.Name))
	if x.Type.Name == "interval" {
		x.Value += p.intervalField(x.Value)
	}
	return x
}

// intervalField takes the unit of INTERVAL '1' DAY; "" when there is none.
func (p *parser) intervalField(value string) string {
	if !p.isAny("year", "month", "day", "hour", "minute", "second") {
		return ""
	}
	switch next := p.peek(1); {
	case next.is("to"):
		p.unsupported(p.pos(), "INTERVAL with a range of units is not supported")
	case next.is("("):
		p.unsupported(p.pos(), "INTERVAL with a precision is not supported")
	case !isSignedNumber(value):
		p.failAt(p.pos(), "INTERVAL takes a unit behind a plain number only: INTERVAL '1' DAY or INTERVAL '1 day'")
	}
	return " " + p.advance().word
}

// isSignedNumber tells whether a text is digits with a sign and a point at most.
func isSignedNumber(text string) bool {
	text = strings.TrimLeft(strings.TrimSpace(text), "+-")
	whole, part, _ := strings.Cut(text, ".")
	return strings.Trim(whole+part, "0123456789") == "" && whole+part != ""
}
