package dialect

import (
	"strconv"
	"strings"
)

const (
	// maxNesting bounds parentheses, sub-queries and the like inside each other.
	maxNesting = 200
	// maxDepth bounds the height of a tree; 1 + 1 + ... has one level per sign.
	// Whoever walks a tree may therefore recurse.
	maxDepth = 2000
	// maxParam is the highest number of a parameter.
	maxParam = 65535
)

// Parse reads the whole text of a request. Every error is an *Error; an empty
// text has no statements.
func Parse(sql string) (*Source, error) {
	src := &Source{}
	err := run(sql, func(p *parser) {
		for {
			for p.accept(";") {
			}
			if p.tok.kind == tokEOF {
				return
			}
			start := p.tok.start
			s := p.statement()
			if p.tok.kind != tokEOF && !p.is(";") {
				p.unexpected(`";" or the end of the text`)
			}
			src.Statements = append(src.Statements, s)
			src.Texts = append(src.Texts, sql[start:p.last])
		}
	})
	if err != nil {
		return nil, err
	}
	return src, nil
}

// ParseExpr reads a single expression: a stored DEFAULT or CHECK, the filter
// of a subscription.
func ParseExpr(sql string) (Expr, error) {
	var x Expr
	err := run(sql, func(p *parser) {
		x = p.expr()
		if p.tok.kind != tokEOF {
			p.unexpected("the end of the expression")
		}
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}

// run gives a parser to a function and returns the error that ended it.
func run(sql string, fn func(*parser)) (err error) {
	if bad := checkText(sql); bad != nil {
		return bad
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			err = r
		default:
			panic(r)
		}
	}()
	p := &parser{scan: scanner{sql: sql}}
	p.advance()
	fn(p)
	return nil
}

// parser reads one text. Its methods take what they are named after and leave
// tok behind it; a text that is wrong ends the parse by a panic with an *Error.
type parser struct {
	scan    scanner
	tok     token    // the current token
	last    int      // where the token before it ended
	ahead   [3]token // tokens behind tok that peek has scanned
	aheadN  int
	nesting int
	height  int // of the highest tree made since it was last set to 0
}

func (p *parser) advance() token {
	t := p.tok
	p.last = t.end
	if p.aheadN == 0 {
		p.tok = p.scan.next()
		return t
	}
	p.tok = p.ahead[0]
	copy(p.ahead[:], p.ahead[1:p.aheadN])
	p.aheadN--
	return t
}

// peek is the n-th token behind the current one, from 1.
func (p *parser) peek(n int) *token {
	for p.aheadN < n {
		p.ahead[p.aheadN] = p.scan.next()
		p.aheadN++
	}
	return &p.ahead[n-1]
}

func (p *parser) pos() Pos { return Pos(p.tok.start) }
func (p *parser) here() at { return at{p.pos()} }

// is tells whether the current token is this keyword or operator.
func (p *parser) is(text string) bool { return p.tok.is(text) }

func (t *token) is(text string) bool {
	return (t.kind == tokWord || t.kind == tokOp) && t.word == text
}

// isAny tells whether the current token is one of these.
func (p *parser) isAny(list ...string) bool {
	for _, text := range list {
		if p.is(text) {
			return true
		}
	}
	return false
}

// accept takes keywords or operators if all of them come next; three at most.
func (p *parser) accept(list ...string) bool {
	for i, text := range list {
		if i == 0 && !p.is(text) || i > 0 && !p.peek(i).is(text) {
			return false
		}
	}
	for range list {
		p.advance()
	}
	return true
}

// expect takes keywords or operators that must come next.
func (p *parser) expect(list ...string) {
	for _, text := range list {
		if !p.is(text) {
			p.unexpected(quoteWord(text))
		}
		p.advance()
	}
}

func quoteWord(text string) string {
	if isLetter(text[0]) {
		return strings.ToUpper(text)
	}
	return `"` + text + `"`
}

func (p *parser) failAt(pos Pos, parts ...string) {
	p.scan.fail(int(pos), parts...)
}

// unexpected fails with what was expected and the token that was found.
func (p *parser) unexpected(expected string) {
	p.failAt(p.pos(), "expected ", expected, ", found ", p.found())
}

// found names the current token. Literals are not shown: errors are logged.
func (p *parser) found() string {
	t := p.tok
	text := p.scan.sql[t.start:t.end]
	switch t.kind {
	case tokEOF:
		return "the end of the text"
	case tokString, tokBytes:
		return "a text in quotes"
	case tokNumber:
		return "a number"
	case tokQuoted:
		return clip(text)
	case tokWord:
		if t.class == reserved {
			return "the keyword " + strings.ToUpper(text)
		}
	}
	return `"` + clip(text) + `"`
}

// unsupported fails for what is known and not offered.
func (p *parser) unsupported(pos Pos, parts ...string) {
	e := newError(p.scan.sql, pos, strings.Join(parts, ""))
	e.Unsupported = true
	panic(e)
}

// enter counts a level of nesting; the caller leaves it.
func (p *parser) enter() {
	p.nesting++
	if p.nesting > maxNesting {
		p.failAt(p.pos(), "the text nests deeper than ", strconv.Itoa(maxNesting), " levels")
	}
}

func (p *parser) leave() { p.nesting-- }

// grow counts a level of the tree.
func (p *parser) grow(pos Pos) {
	p.height++
	if p.height > maxDepth {
		p.failAt(pos, "the expression is deeper than ", strconv.Itoa(maxDepth), " levels; a long chain of operators counts one each")
	}
}

// more takes the comma before a further item of a list. A comma behind the
// last item is tolerated.
func (p *parser) more() bool {
	return p.accept(",") && !p.endsList()
}

func (p *parser) endsList() bool {
	switch p.tok.kind {
	case tokEOF:
		return true
	case tokOp:
		return p.is(")") || p.is(";")
	case tokWord:
		return p.tok.class == reserved && p.isAny("from", "where", "group", "having", "window", "order", "limit",
			"offset", "fetch", "union", "intersect", "except", "on", "returning", "for", "into")
	}
	return false
}

// closeList takes the parenthesis behind a list.
func (p *parser) closeList() {
	if !p.is(")") {
		p.unexpected(`"," or ")"`)
	}
	p.advance()
}

// text takes a text in quotes.
func (p *parser) text(expected string) string {
	if p.tok.kind != tokString {
		p.unexpected(expected)
	}
	return p.stringValue(p.advance())
}

// integer takes an integer of an argument list.
func (p *parser) integer() int {
	t := p.tok
	if t.kind != tokNumber {
		p.unexpected("a number")
	}
	n, err := strconv.Atoi(p.scan.sql[t.start:t.end])
	if err != nil || n > 1<<30 {
		p.unexpected("a whole number of a sensible size")
	}
	p.advance()
	return n
}
