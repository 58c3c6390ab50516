package dialect

import "strings"

// explain takes EXPLAIN.
func (p *parser) explain() Statement {
	s := &Explain{at: p.here()}
	p.expect("explain")
	s.Analyze = p.accept("analyze") || p.accept("analyse")
	s.Verbose = p.accept("verbose")
	if p.accept("as", "user") {
		user := p.textOrParam("a user in single quotes after AS USER")
		s.User = &user
	}
	if p.is("(") && p.peek(1).kind == tokWord && !p.parenQuery() {
		p.unsupported(p.pos(), "EXPLAIN with options in parentheses is not supported")
	}
	if !p.isAny("select", "values", "with", "insert", "update", "delete", "(") {
		p.unexpected("a query, INSERT, UPDATE or DELETE to explain")
	}
	s.Inner = p.statement()
	return s
}

// describe takes DESCRIBE [TABLE] t [HISTORY].
func (p *parser) describe() Statement {
	s := &Describe{at: p.here()}
	p.advance()
	s.Table = p.accept("table")
	s.Name = p.name("a table")
	s.History = p.accept("history")
	return s
}

// show takes SHOW.
func (p *parser) show() Statement {
	s := &Show{at: p.here()}
	p.expect("show")
	if p.tok.kind != tokWord {
		p.unexpected("NAMESPACES, TABLES, COLUMNS, INDEXES, CONSTRAINTS, STATS, STORAGES, MANIFEST or ALL")
	}
	s.What = strings.ToUpper(p.tok.word)
	switch p.tok.word {
	case "namespaces", "all", "storages", "manifest":
		p.advance()
	case "schemas":
		p.advance()
		s.What = "NAMESPACES"
	case "tables":
		p.advance()
		if p.accept("in") || p.accept("from") {
			id := p.namespaceAfterWord()
			s.Namespace = &id
		}
	case "columns", "indexes", "constraints":
		p.advance()
		if !p.accept("in") {
			p.expect("from")
		}
		s.Name = p.name("a table")
	case "stats":
		p.advance()
		p.expect("for", "table")
		s.Name = p.name("a table")
	default:
		p.unsupported(s.pos, "SHOW ", clip(s.What), " is not supported")
	}
	if p.isAny("like", "where") {
		p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " in SHOW is not supported")
	}
	return s
}

// killLive takes KILL LIVE QUERY 'id'.
func (p *parser) killLive() Statement {
	s := &KillLive{at: p.here()}
	p.expect("kill", "live", "query")
	s.ID = p.text("the id of a live query in single quotes")
	return s
}

// setVar takes what follows SET.
func (p *parser) setVar(at at) Statement {
	if next := p.peek(1); p.tok.kind == tokWord && (next.kind == tokWord && !next.is("to") || next.kind == tokString) {
		switch p.tok.word {
		case "session", "local", "time", "transaction", "role", "constraints", "names":
			p.unsupported(at.pos, "SET ", strings.ToUpper(p.tok.word), " is not supported")
		}
	}
	s := &SetVar{at: at, Name: p.name("a setting or NAMESPACE")}
	if !p.accept("=") && !p.accept("to") {
		p.unexpected(`"=" or TO`)
	}
	s.Value = p.setValue()
	if p.is(",") {
		p.unsupported(p.pos(), "SET with several values is not supported")
	}
	return s
}

// setValue takes the value of a setting.
func (p *parser) setValue() Expr {
	at := p.here()
	switch {
	case p.accept("default"):
		return &Default{at}
	case p.is("-"), p.is("+"):
		u := &Unary{at: at, Op: p.advance().word}
		if p.tok.kind != tokNumber {
			p.unexpected("a number")
		}
		u.X = p.primary()
		return u
	}
	return p.optionValue()
}
