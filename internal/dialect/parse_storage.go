package dialect

import "strings"

// storage takes STORAGE FLUSH, COMPACT and CHECK.
func (p *parser) storage() Statement {
	s := &Storage{at: p.here()}
	p.expect("storage")
	s.Verb = strings.ToUpper(p.tok.word)
	switch {
	case p.accept("flush"), p.accept("compact"):
		if p.accept("table") {
			s.Table = p.name("a table")
			return s
		}
		p.expect("all")
		if p.accept("in") {
			id := p.namespaceAfterWord()
			s.Namespace = &id
		}
	case p.accept("check"):
		id := p.ident("the id of a storage")
		s.ID = &id
		s.Extended = p.accept("extended")
	default:
		p.unexpected("FLUSH, COMPACT or CHECK after STORAGE")
	}
	return s
}

// commandOnly takes the words that name a statement and skips what follows:
// it is refused whatever that is, and it may hold credentials.
func (p *parser) commandOnly(at at, before string) Statement {
	s := &CommandOnly{at: at, Verb: before + strings.ToUpper(p.advance().word)}
	switch {
	case p.accept("database"):
		s.Verb += " DATABASE"
	case p.accept("user", "data"):
		s.Verb += " USER DATA"
	}
	for p.tok.kind != tokEOF && !p.is(";") {
		p.advance()
	}
	return s
}
