package dialect

import "strings"

// alterTable takes what follows ALTER TABLE.
func (p *parser) alterTable(at at) Statement {
	s := &AlterTable{at: at, IfExists: p.ifExists()}
	if p.is("only") {
		p.unsupported(p.pos(), "ONLY is not supported")
	}
	s.Name = p.name("a table")
	if index := p.alterIndex(s); index != nil {
		p.oneOperation()
		return index
	}
	s.Action = p.alterAction()
	p.oneOperation()
	return s
}

// oneOperation refuses further operations behind the first one.
func (p *parser) oneOperation() {
	if p.is(",") {
		p.unsupported(p.pos(), "several operations in one ALTER TABLE are not supported; write one statement for each")
	}
}

// alterIndex takes CREATE INDEX or DROP INDEX inside ALTER TABLE; nil when
// something else stands there.
func (p *parser) alterIndex(t *AlterTable) Statement {
	next, name := p.peek(1), p.peek(2)
	drop := p.is("drop") && (next.is("vector") && name.is("index") ||
		next.is("index") && (name.kind == tokWord || name.kind == tokQuoted)) // or a column called index
	if !drop && !p.is("create") {
		return nil
	}
	if t.IfExists {
		p.unsupported(p.pos(), "an index in ALTER TABLE IF EXISTS is not supported")
	}
	p.advance()
	if p.is("vector") {
		p.unsupported(p.pos(), "a vector index is not supported")
	}
	if !drop {
		return p.indexOf(t)
	}
	p.expect("index")
	s := &DropIndex{at: t.at, IfExists: p.ifExists(), Name: Name{p.ident("an index")}, Table: t.Name}
	p.noCascade()
	return s
}

// alterAction takes the operation of ALTER TABLE.
func (p *parser) alterAction() AlterAction {
	at := p.here()
	switch {
	case p.accept("add"):
		return p.addAction(at)
	case p.accept("drop"):
		return p.dropAction(at)
	case p.accept("modify"):
		p.accept("column")
		return p.modifyColumn(at, p.ident("a column name"))
	case p.accept("alter"):
		p.accept("column")
		return p.alterColumn(at, p.ident("a column name"))
	case p.accept("rename"):
		return p.renameAction(at)
	case p.accept("set"):
		return p.setOptions(at)
	case p.isAny("owner", "enable", "disable", "force", "no", "cluster", "attach", "detach", "inherit", "validate",
		"replica", "reset", "change", "comment", "convert", "flush"):
		p.unsupported(at.pos, "ALTER TABLE ", strings.ToUpper(p.tok.word), " is not supported")
	}
	p.unexpected("ADD, DROP, MODIFY, ALTER, RENAME or SET")
	return nil
}

// addAction takes what follows ADD: a constraint or a column.
func (p *parser) addAction(at at) AlterAction {
	if c, ok := p.tableConstraint(); ok {
		return &AddConstraint{at: at, Constraint: c}
	}
	if p.accept("column"); p.is("(") {
		p.unsupported(p.pos(), "adding several columns in one ALTER TABLE is not supported; write one statement for each")
	}
	a := &AddColumn{at: at, IfNotExists: p.ifNotExists()}
	def, named := p.columnDef()
	if len(named) > 0 {
		p.unsupported(named[0].At, "a constraint with a name in ADD COLUMN is not supported; use ADD CONSTRAINT after it")
	}
	p.noPlace()
	a.Def = def
	return a
}

// noPlace refuses FIRST and AFTER: a column comes last.
func (p *parser) noPlace() {
	if p.isAny("first", "after") {
		p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " in ALTER TABLE is not supported")
	}
}

// noCascade takes RESTRICT, which is how everything is dropped here.
func (p *parser) noCascade() {
	if p.is("cascade") {
		p.unsupported(p.pos(), "CASCADE is not supported here")
	}
	p.accept("restrict")
}

// dropAction takes what follows DROP: a constraint or a column.
func (p *parser) dropAction(at at) AlterAction {
	if p.isAny("primary", "foreign") {
		p.unsupported(p.pos(), "DROP ", strings.ToUpper(p.tok.word), " KEY is not supported")
	}
	if p.accept("constraint") {
		a := &DropConstraint{at: at, IfExists: p.ifExists(), Name: p.ident("the name of a constraint")}
		p.noCascade()
		return a
	}
	p.accept("column")
	a := &DropColumn{at: at, IfExists: p.ifExists(), Column: p.ident("a column name")}
	p.noCascade()
	return a
}

// modifyColumn takes the new type of a column, with or without NULL.
func (p *parser) modifyColumn(at at, column Ident) AlterAction {
	a := &ModifyColumn{at: at, Column: column, Type: p.typeName()}
	if not := p.accept("not"); not || p.is("null") {
		p.expect("null")
		a.NotNull = &not
	}
	if p.is("default") {
		p.unsupported(p.pos(), "DEFAULT in MODIFY is not supported; use ALTER COLUMN SET DEFAULT")
	}
	p.noPlace()
	return a
}

// alterColumn takes what follows ALTER [COLUMN] c.
func (p *parser) alterColumn(at at, column Ident) AlterAction {
	switch {
	case p.accept("set", "not", "null"):
		return &SetNotNull{at: at, Column: column}
	case p.accept("drop", "not", "null"):
		return &DropNotNull{at: at, Column: column}
	case p.accept("set", "default"):
		return &SetDefault{at: at, Column: column, Expr: p.expr()}
	case p.accept("drop", "default"):
		return &DropDefault{at: at, Column: column}
	case p.accept("set", "data", "type"), p.accept("type"):
		a := &ModifyColumn{at: at, Column: column, Type: p.typeName()}
		if p.isAny("using", "collate") {
			p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " in ALTER COLUMN is not supported")
		}
		return a
	case p.accept("set"), p.accept("drop"):
		if p.isAny("generated", "identity", "statistics", "storage", "compression", "expression") {
			p.unsupported(p.pos(), "ALTER COLUMN with ", strings.ToUpper(p.tok.word), " is not supported")
		}
		p.unexpected("NOT NULL, DEFAULT or DATA TYPE")
	case p.isAny("add", "reset", "restart"):
		p.unsupported(p.pos(), "ALTER COLUMN with ", strings.ToUpper(p.tok.word), " is not supported")
	}
	p.unexpected("SET, DROP or TYPE")
	return nil
}

// renameAction takes what follows RENAME: a column or the new name of the table.
func (p *parser) renameAction(at at) AlterAction {
	if p.accept("to") {
		a := &RenameTable{at: at, To: p.ident("a name")}
		if p.is(".") {
			p.unsupported(a.To.Pos, "RENAME TO a name with a namespace is not supported")
		}
		return a
	}
	if p.is("constraint") {
		p.unsupported(p.pos(), "RENAME CONSTRAINT is not supported")
	}
	p.accept("column")
	a := &RenameColumn{at: at, From: p.ident("TO or a column name")}
	p.expect("to")
	a.To = p.ident("a column name")
	return a
}

// setOptions takes what follows SET in ALTER TABLE.
func (p *parser) setOptions(at at) AlterAction {
	pos := p.pos()
	switch {
	case p.accept("tblproperties"):
		return &SetOptions{at: at, Options: p.someOptions()}
	case p.accept("access"):
		p.expect("level")
		if p.tok.kind == tokNumber {
			p.unexpected("an access level")
		}
		return &SetOptions{at: at, Options: []Option{{Key: "ACCESS_LEVEL", Value: p.optionValue(), At: pos}}}
	case p.isAny("schema", "namespace", "tablespace", "logged", "unlogged", "without"):
		p.unsupported(pos, "ALTER TABLE SET ", strings.ToUpper(p.tok.word), " is not supported")
	}
	p.unexpected("TBLPROPERTIES or ACCESS LEVEL")
	return nil
}

// someOptions takes (KEY = value, ...) with at least one option.
func (p *parser) someOptions() []Option {
	if p.is("(") && p.peek(1).is(")") {
		p.advance()
		p.unexpected("the name of an option")
	}
	return p.options()
}

// alterNamespace takes what follows ALTER NAMESPACE.
func (p *parser) alterNamespace(at at) Statement {
	s := &AlterNamespace{at: at, Name: p.namespace()}
	if p.isAny("rename", "owner") {
		p.unsupported(p.pos(), "ALTER NAMESPACE ", strings.ToUpper(p.tok.word), " is not supported")
	}
	p.expect("set")
	if p.accept("options") {
		s.Options = p.someOptions()
		return s
	}
	o := Option{Key: "DESCRIPTION", At: p.pos()}
	if !p.accept("description") {
		p.unexpected("OPTIONS or DESCRIPTION")
	}
	value := p.here()
	o.Value = &String{at: value, Value: p.text("a text in single quotes after DESCRIPTION")}
	s.Options = []Option{o}
	return s
}
