package dialect

import "strings"

// createIndex takes [UNIQUE] INDEX [IF NOT EXISTS] [name] ON t (columns).
func (p *parser) createIndex(at at) Statement {
	s := p.indexHead(at)
	if p.is(".") {
		p.failAt(s.Name.Pos, "the name of a new index has no namespace; an index belongs to the namespace of its table")
	}
	p.expect("on")
	if p.is("only") {
		p.unsupported(p.pos(), "ONLY is not supported")
	}
	s.Table = p.name("a table")
	p.indexColumns(s)
	return s
}

// indexOf takes the same inside ALTER TABLE, where the table is said already.
func (p *parser) indexOf(t *AlterTable) Statement {
	if !p.is("index") && !p.is("unique") {
		p.unexpected("INDEX")
	}
	s := p.indexHead(t.at)
	s.Table = t.Name
	if !p.is("(") && !p.is("using") && s.Name.Name != "" {
		// ALTER TABLE t CREATE INDEX c, with the column in place of the name.
		p.unsupported(s.Name.Pos, "a vector index is not supported; an index of another kind has its columns in parentheses")
	}
	p.indexColumns(s)
	return s
}

// indexHead takes an index up to its name.
func (p *parser) indexHead(at at) *CreateIndex {
	s := &CreateIndex{at: at, Unique: p.accept("unique")}
	p.expect("index")
	if p.is("concurrently") {
		p.unsupported(p.pos(), "CONCURRENTLY is not supported")
	}
	s.IfNotExists = p.ifNotExists()
	if s.IfNotExists || p.isName() {
		s.Name = p.ident("the name of an index")
	}
	return s
}

// indexColumns takes [USING btree] (a, b) and refuses what may follow.
func (p *parser) indexColumns(s *CreateIndex) {
	pos := p.pos()
	if p.accept("using") {
		switch p.label("the method of an index").Name {
		case "btree":
		case "cosine", "l2", "dot", "hnsw", "ivfflat":
			p.unsupported(pos, "a vector index is not supported")
		default:
			p.unsupported(pos, "this method of an index is not supported; there is btree")
		}
	}
	if !p.is("(") {
		p.unexpected("the columns of the index in parentheses")
	}
	p.advance()
	s.Columns = []Ident{p.indexColumn()}
	for p.more() {
		s.Columns = append(s.Columns, p.indexColumn())
	}
	p.closeList()
	switch {
	case p.is("where"):
		p.unsupported(p.pos(), "an index on a part of the rows is not supported")
	case p.isAny("include", "with", "nulls", "tablespace"):
		p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " after the columns of an index is not supported")
	}
}

// indexColumn takes a column. Its order is of no use here: an index is read
// both ways.
func (p *parser) indexColumn() Ident {
	if p.is("(") || p.peek(1).is("(") {
		p.unsupported(p.pos(), "an index on an expression is not supported")
	}
	id := p.ident("a column name")
	if p.is("collate") {
		p.unsupported(p.pos(), "COLLATE in an index is not supported")
	}
	if !p.accept("asc") {
		p.accept("desc")
	}
	if !p.accept("nulls", "first") {
		p.accept("nulls", "last")
	}
	return id
}

// dropIndex takes what follows DROP INDEX.
func (p *parser) dropIndex(at at) Statement {
	if p.is("concurrently") {
		p.unsupported(p.pos(), "CONCURRENTLY is not supported")
	}
	s := &DropIndex{at: at, IfExists: p.ifExists(), Name: p.name("an index")}
	if p.is(",") {
		p.unsupported(p.pos(), "dropping several indexes in one statement is not supported")
	}
	if p.accept("on") {
		s.Table = p.name("a table")
	}
	p.noCascade()
	return s
}
