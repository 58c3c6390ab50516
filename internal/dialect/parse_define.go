package dialect

import "strings"

// create takes CREATE and what it creates.
func (p *parser) create() Statement {
	at := p.here()
	p.expect("create")
	kind := ""
	if p.isAny("user", "shared", "stream") && p.peek(1).is("table") {
		kind = strings.ToUpper(p.advance().word)
	}
	switch {
	case p.accept("table"):
		return p.createTable(at, kind)
	case p.accept("namespace"), p.accept("schema"):
		return &CreateNamespace{at: at, IfNotExists: p.ifNotExists(), Name: p.namespace()}
	case p.accept("user"):
		return p.createUser(at)
	case p.is("index"), p.is("unique") && p.peek(1).is("index"):
		return p.createIndex(at)
	case p.accept("topic"):
		return p.createTopic(at)
	}
	if p.is("storage") {
		return p.commandOnly(at, "CREATE ")
	}
	p.unsupportedObject(at.pos, "CREATE")
	p.unexpected("TABLE, INDEX, NAMESPACE, TOPIC, USER or API KEY after CREATE")
	return nil
}

// drop takes DROP and what it drops.
func (p *parser) drop() Statement {
	at := p.here()
	p.expect("drop")
	kind := ""
	if p.isAny("user", "shared", "stream") && p.peek(1).is("table") {
		kind = strings.ToUpper(p.advance().word)
	}
	switch {
	case p.accept("table"):
		s := &DropTable{at: at, Kind: kind, IfExists: p.ifExists(), Name: p.name("a table")}
		if p.is(",") {
			p.unsupported(p.pos(), "dropping several tables in one statement is not supported")
		}
		s.Cascade = p.cascade()
		return s
	case p.accept("namespace"), p.accept("schema"):
		s := &DropNamespace{at: at, IfExists: p.ifExists(), Name: p.namespace()}
		s.Cascade = p.cascade()
		return s
	case p.accept("user"):
		return p.dropUser(at)
	case p.accept("index"):
		return p.dropIndex(at)
	case p.accept("topic"):
		return &DropTopic{at: at, IfExists: p.ifExists(), Name: p.name("a topic")}
	}
	if p.is("storage") {
		return p.commandOnly(at, "DROP ")
	}
	p.unsupportedObject(at.pos, "DROP")
	p.unexpected("TABLE, INDEX, NAMESPACE, TOPIC, USER or API KEY after DROP")
	return nil
}

// alter takes ALTER and what it alters.
func (p *parser) alter() Statement {
	at := p.here()
	p.expect("alter")
	switch {
	case p.accept("user"):
		return p.alterUser(at)
	case p.accept("table"):
		return p.alterTable(at)
	case p.accept("namespace"), p.accept("schema"):
		return p.alterNamespace(at)
	case p.accept("topic"):
		return p.alterTopic(at)
	}
	if p.is("storage") {
		return p.commandOnly(at, "ALTER ")
	}
	p.unsupportedObject(at.pos, "ALTER")
	p.unexpected("TABLE, NAMESPACE, TOPIC or USER after ALTER")
	return nil
}

func (p *parser) ifExists() bool { return p.accept("if", "exists") }

func (p *parser) cascade() bool {
	if p.accept("cascade") {
		return true
	}
	p.accept("restrict")
	return false
}

// unsupportedObject fails when the statement is about a kind of object that
// is known and not offered.
func (p *parser) unsupportedObject(pos Pos, verb string) {
	p.accept("or", "replace")
	if p.isAny("unique", "vector", "materialized", "temp", "temporary", "unlogged", "global", "local", "recursive", "event",
		"foreign", "text") {
		verb += " " + strings.ToUpper(p.advance().word)
	}
	switch p.tok.word {
	case "view", "policy", "index", "type", "domain", "procedure", "function", "trigger", "schedule",
		"role", "sequence", "extension", "database", "aggregate", "operator", "cast", "rule", "server", "publication",
		"subscription", "table", "statistics", "language", "collation", "conversion", "tablespace", "group", "system",
		"owned", "default", "search", "data":
		p.unsupported(pos, verb, " ", strings.ToUpper(p.tok.word), " is not supported")
	}
}
