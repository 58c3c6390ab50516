package dialect

import "strings"

// createTable takes what follows CREATE [kind] TABLE.
func (p *parser) createTable(at at, kind string) Statement {
	s := &CreateTable{at: at, Kind: kind, IfNotExists: p.ifNotExists()}
	s.Name = p.name("a table")
	if p.is("as") {
		p.unsupported(p.pos(), "CREATE TABLE AS is not supported")
	}
	p.expect("(")
	for !p.is(")") {
		p.tableElement(s)
		if !p.is(")") {
			if !p.is(",") {
				p.unexpected(`"," or ")" after a column definition`)
			}
			p.advance()
		}
	}
	if len(s.Columns) == 0 {
		p.unexpected("a column definition")
	}
	p.advance()
	for {
		switch {
		case p.accept("using"):
			p.label("a name after USING") // one engine: nothing to choose
		case p.is("with") && s.Options == nil:
			p.advance()
			s.Options = p.options()
		case p.is("as"):
			p.unsupported(p.pos(), "CREATE TABLE AS is not supported")
		case p.isAny("inherits", "partition", "tablespace", "comment", "on"):
			p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " after the columns is not supported")
		default:
			return s
		}
	}
}

// tableElement takes a column or a constraint of the table.
func (p *parser) tableElement(s *CreateTable) {
	if c, ok := p.tableConstraint(); ok {
		s.Constraints = append(s.Constraints, c)
		return
	}
	c, named := p.columnDef()
	s.Columns = append(s.Columns, c)
	s.Constraints = append(s.Constraints, named...)
}

// tableConstraint takes a constraint of the table, if there is one.
func (p *parser) tableConstraint() (TableConstraint, bool) {
	c := TableConstraint{At: p.pos()}
	if p.accept("constraint") {
		id := p.ident("the name of a constraint")
		c.Name = &id
	}
	next := p.peek(1)
	switch {
	case p.is("primary"):
		p.expect("primary", "key")
		c.Kind, c.Columns = "PRIMARY KEY", p.idents("a column name")
	case p.is("unique"):
		p.advance()
		p.noConstraintOptions()
		c.Kind, c.Columns = "UNIQUE", p.idents("a column name")
	case p.is("check"):
		p.advance()
		c.Kind, c.Check = "CHECK", p.condition()
	case p.is("foreign"):
		p.unsupported(p.pos(), "FOREIGN KEY is not supported")
	case p.is("like"):
		p.unsupported(p.pos(), "LIKE in CREATE TABLE is not supported")
	case p.is("exclude") && (next.is("using") || next.is("(")):
		p.unsupported(p.pos(), "EXCLUDE is not supported")
	case c.Name != nil:
		p.unexpected("PRIMARY KEY, UNIQUE or CHECK")
	default:
		return c, false
	}
	p.noConstraintOptions()
	return c, true
}

// noConstraintOptions refuses what may stand behind a constraint.
func (p *parser) noConstraintOptions() {
	next := p.peek(1)
	switch {
	case p.is("nulls") && (next.is("not") || next.is("distinct")), p.is("no") && next.is("inherit"), p.is("not") && next.is("valid"),
		p.is("not") && next.is("deferrable"), p.is("using") && next.is("index"):
		p.unsupported(p.pos(), strings.ToUpper(p.tok.word+" "+next.word), " in a constraint is not supported")
	case p.isAny("deferrable", "initially", "include", "with"):
		p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " in a constraint is not supported")
	}
}

// condition takes an expression in parentheses.
func (p *parser) condition() Expr {
	p.expect("(")
	x := p.expr()
	p.expect(")")
	return x
}

// columnDef takes a column: its name, its type, and constraints in any order.
// Constraints that have a name are those of the table.
func (p *parser) columnDef() (ColumnDef, []TableConstraint) {
	var list []TableConstraint
	c := ColumnDef{Name: p.ident("a column name or a constraint")}
	c.Type = p.typeName()
	for {
		named := TableConstraint{At: p.pos()}
		if p.accept("constraint") {
			id := p.ident("the name of a constraint")
			named.Name = &id
		}
		if named.Name != nil && !p.isAny("primary", "unique", "check", "not", "null", "default") {
			p.unexpected("a constraint after its name")
		}
		if !p.columnConstraint(&c, &named) {
			return c, list
		}
		if named.Name != nil && named.Kind != "" {
			list = append(list, named)
		}
	}
}

// columnConstraint takes one constraint into c or, when it has a name, into
// named.
func (p *parser) columnConstraint(c *ColumnDef, named *TableConstraint) bool {
	pos := p.pos()
	switch {
	case p.accept("not"):
		if p.is("null") && c.Null {
			p.failAt(pos, "a column is either NULL or NOT NULL")
		}
		p.expect("null")
		c.NotNull = true
	case p.accept("null"):
		if c.NotNull {
			p.failAt(pos, "a column is either NULL or NOT NULL")
		}
		c.Null = true
	case p.accept("default"):
		if c.Default != nil {
			p.failAt(pos, "DEFAULT is written twice")
		}
		c.Default = p.expr()
	case p.accept("primary"):
		p.expect("key")
		if named.Name != nil {
			named.Kind, named.Columns = "PRIMARY KEY", []Ident{c.Name}
		} else {
			c.PrimaryKey = true
		}
	case p.accept("unique"):
		p.noConstraintOptions()
		if named.Name != nil {
			named.Kind, named.Columns = "UNIQUE", []Ident{c.Name}
		} else {
			c.Unique = true
		}
	case p.accept("check"):
		x := p.condition()
		if p.is("no") {
			p.noConstraintOptions()
		}
		if named.Name != nil {
			named.Kind, named.Check = "CHECK", x
		} else {
			c.Check = append(c.Check, x)
		}
	case p.accept("auto_increment"), p.accept("autoincrement"):
		c.Generated = true
	case p.accept("identity"):
		c.Generated = true
		c.FromOne = p.sequenceOptions()
	case p.accept("generated"):
		p.generated(c)
		c.Generated = true
	case p.isAny("references", "collate", "deferrable", "initially", "comment", "compression", "storage"):
		p.unsupported(pos, strings.ToUpper(p.tok.word), " in a column definition is not supported")
	default:
		return false
	}
	return true
}

// generated takes {ALWAYS | BY DEFAULT} AS IDENTITY [(..)].
func (p *parser) generated(c *ColumnDef) {
	pos := p.pos()
	switch {
	case p.accept("always"):
		c.Always = true
	case p.accept("by", "default"):
	default:
		p.unexpected("ALWAYS or BY DEFAULT")
	}
	p.expect("as")
	if p.is("(") {
		p.unsupported(pos, "GENERATED ALWAYS AS (expression) is not supported")
	}
	p.expect("identity")
	c.FromOne = p.sequenceOptions()
}

// sequenceOptions refuses what numbers would not follow: they begin with 1 and
// count by 1, which may be written out.
func (p *parser) sequenceOptions() (written bool) {
	pos := p.pos()
	if !p.accept("(") {
		return false
	}
	words := 0
	for !p.is(")") {
		switch {
		case p.accept("start"):
			p.accept("with")
		case p.accept("increment"):
			p.accept("by")
		case words > 0 && p.accept(","), words == 0 && p.tok.kind == tokNumber:
		default:
			p.unsupported(p.pos(), "the option ", strings.ToUpper(p.scan.sql[p.tok.start:p.tok.end]), " of IDENTITY is not supported: numbers begin with 1 and count by 1")
		}
		if p.integer() != 1 {
			p.unsupported(pos, "IDENTITY that does not begin with 1 and count by 1 is not supported")
		}
		words++
	}
	p.advance()
	return words > 0
}

// options takes (KEY = value, ...).
func (p *parser) options() []Option {
	var list []Option
	p.expect("(")
	for !p.is(")") {
		o := Option{At: p.pos()}
		o.Key = strings.ToUpper(p.label("the name of an option").Name)
		p.expect("=")
		o.Value = p.optionValue()
		list = append(list, o)
		if !p.is(")") {
			p.expect(",")
		}
	}
	p.advance()
	return list
}

func (p *parser) optionValue() Expr {
	at := p.here()
	switch p.tok.kind {
	case tokString, tokNumber:
		return p.primary()
	case tokWord, tokQuoted:
		if p.isAny("true", "false", "null") {
			return p.primary()
		}
		return &Column{at: at, Name: Name{p.takeIdent()}}
	}
	p.unexpected("a value: a text in single quotes, a number or a word")
	return nil
}

// ifNotExists takes IF NOT EXISTS, if it is there.
func (p *parser) ifNotExists() bool { return p.accept("if", "not", "exists") }
