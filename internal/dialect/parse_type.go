package dialect

// typeName takes a type as in a column definition or a cast.
func (p *parser) typeName() TypeName {
	t := TypeName{Pos: p.pos()}
	if !p.isName() {
		p.unexpected("a type")
	}
	t.Name = p.takeIdent().Name
	switch {
	case p.is("."):
		p.unsupported(t.Pos, "a type with a namespace is not supported")
	case t.Name == "double" && p.accept("precision"):
		t.Name = "double precision"
	case (t.Name == "character" || t.Name == "char") && p.accept("varying"):
		t.Name = "varchar"
	case t.Name == "national", t.Name == "bit":
		p.unsupported(t.Pos, "this type is not supported")
	}
	if p.accept("(") {
		if p.tok.kind == tokString {
			p.unsupported(t.Pos, "a type with a list of values is not supported; write TEXT CHECK (column IN (...))")
		}
		t.Args = []int{p.integer()}
		for p.more() {
			t.Args = append(t.Args, p.integer())
		}
		p.closeList()
	}
	if t.Name == "timestamp" || t.Name == "time" {
		switch {
		case p.accept("with", "time", "zone"):
			t.Name += "tz"
		case p.accept("without", "time", "zone"):
		}
	}
	if p.is("[") || p.is("array") {
		p.unsupported(p.pos(), "an array type is not supported")
	}
	return t
}
