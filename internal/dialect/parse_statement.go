package dialect

import "strings"

// statement takes one statement.
func (p *parser) statement() Statement {
	p.height = 0
	at := p.here()
	if p.tok.kind != tokWord {
		if p.is("(") {
			return p.query()
		}
		p.unexpected("a statement")
	}
	if s := p.opened(at); s != nil {
		return s
	}
	switch p.tok.word {
	case "select", "values":
		return p.query()
	case "with":
		return p.withStatement()
	case "insert":
		return p.insert(at, nil)
	case "update":
		return p.update(at, nil)
	case "delete":
		return p.delete(at, nil)
	case "create":
		return p.create()
	case "drop":
		return p.drop()
	case "alter":
		return p.alter()
	case "execute":
		return p.executeAs()
	case "begin", "start", "commit", "end", "rollback":
		return p.transaction()
	case "use":
		p.advance()
		return &Use{at: at, Name: p.namespaceAfterWord()}
	case "set":
		p.advance()
		if p.accept("namespace") {
			return &Use{at: at, Name: p.namespace()}
		}
		return p.setVar(at)
	case "savepoint":
		p.advance()
		return &Savepoint{at: at, Name: p.ident("a savepoint")}
	case "release":
		p.advance()
		p.accept("savepoint")
		return &Release{at: at, Name: p.ident("a savepoint")}
	case "explain":
		return p.explain()
	case "describe", "desc":
		return p.describe()
	case "show":
		return p.show()
	case "kill":
		if p.peek(1).is("live") {
			return p.killLive()
		}
	case "consume":
		return p.consume()
	case "ack":
		return p.ack()
	case "clear":
		if p.peek(1).is("topic") {
			return p.clearTopic()
		}
	case "reset":
		if p.peek(1).is("consumer") {
			return p.resetGroup()
		}
	case "grant", "revoke":
		return p.grant()
	case "storage":
		return p.storage()
	case "backup", "restore", "export":
		return p.commandOnly(at, "")
	}
	if name := p.knownStatement(); name != "" {
		p.unsupported(at.pos, name, " is not supported")
	}
	p.unexpected("a statement")
	return nil
}

// withStatement takes WITH and the query or the writing statement behind it.
func (p *parser) withStatement() Statement {
	at := p.here()
	w := p.with()
	switch {
	case p.is("insert"):
		return p.insert(at, w)
	case p.is("update"):
		return p.update(at, w)
	case p.is("delete"):
		return p.delete(at, w)
	}
	return p.queryWith(at, w)
}

// transaction takes what begins or ends a transaction.
func (p *parser) transaction() Statement {
	at := p.here()
	first := p.advance().word
	if first == "start" {
		p.expect("transaction")
	} else if !p.accept("work") {
		p.accept("transaction")
	}
	switch first {
	case "begin", "start":
		if p.isAny("isolation", "read") {
			p.unsupported(p.pos(), "a transaction mode is not supported")
		}
		return &Begin{at}
	case "rollback":
		if p.accept("to") {
			p.accept("savepoint")
			return &RollbackTo{at: at, Name: p.ident("a savepoint")}
		}
		return &Rollback{at}
	}
	return &Commit{at}
}

// executeAs takes EXECUTE AS [USER] 'u' ( statement ).
func (p *parser) executeAs() Statement {
	x := &ExecuteAs{at: p.here()}
	if !p.peek(1).is("as") {
		p.unsupported(x.pos, "EXECUTE of a prepared statement is not supported")
	}
	p.expect("execute", "as")
	p.accept("user")
	pos := p.pos()
	switch p.tok.kind {
	case tokString, tokParam:
		x.User = p.textOrParam("a user after EXECUTE AS")
	case tokWord, tokQuoted:
		x.User = Text{Value: p.identValue(p.advance()), Pos: pos}
	default:
		p.unexpected("a user after EXECUTE AS")
	}
	p.expect("(")
	if p.is(")") {
		p.unexpected("a statement inside EXECUTE AS")
	}
	if p.is("execute") {
		p.failAt(p.pos(), "EXECUTE AS cannot hold another EXECUTE AS")
	}
	x.Inner = p.statement()
	ended := false
	for p.accept(";") {
		ended = true
	}
	if ended && !p.is(")") {
		p.failAt(p.pos(), "EXECUTE AS takes exactly one statement")
	}
	p.expect(")")
	return x
}

// knownStatement names a statement that is known and not offered, from its
// first words; "" for what is none.
func (p *parser) knownStatement() string {
	first, second := p.tok.word, p.peek(1)
	two := strings.ToUpper(first)
	if second.kind == tokWord {
		two += " " + strings.ToUpper(second.word)
	}
	switch first {
	case "cluster", "kill", "refresh", "reset", "clear", "import":
		return two
	case "replace":
		return "REPLACE (write INSERT ... ON CONFLICT (key) DO UPDATE SET column = EXCLUDED.column)"
	case "copy", "vacuum", "flush", "subscribe",
		"analyze", "analyse", "truncate", "call", "do", "comment", "listen", "notify", "unlisten", "lock", "prepare",
		"deallocate", "declare", "fetch", "move", "close", "merge", "reindex", "discard",
		"checkpoint", "reassign", "security", "table", "load", "abort", "pragma", "attach", "detach":
		return strings.ToUpper(first)
	}
	return ""
}
