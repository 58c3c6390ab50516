package dialect

func (p *printer) alterAction(a AlterAction) {
	switch a := a.(type) {
	case *AddColumn:
		p.put("ADD COLUMN ")
		p.when(a.IfNotExists, "IF NOT EXISTS ")
		p.columnDef(a.Def)
	case *DropColumn:
		p.put("DROP COLUMN ")
		p.when(a.IfExists, "IF EXISTS ")
		p.ident(a.Column)
	case *ModifyColumn:
		p.put("MODIFY COLUMN ")
		p.ident(a.Column)
		p.put(" ")
		p.typeName(a.Type)
		if a.NotNull != nil {
			p.when(*a.NotNull, " NOT")
			p.put(" NULL")
		}
	case *SetNotNull:
		p.alterColumn(a.Column, "SET NOT NULL")
	case *DropNotNull:
		p.alterColumn(a.Column, "DROP NOT NULL")
	case *SetDefault:
		p.alterColumn(a.Column, "SET DEFAULT ")
		p.any(a.Expr)
	case *DropDefault:
		p.alterColumn(a.Column, "DROP DEFAULT")
	case *RenameColumn:
		p.put("RENAME COLUMN ")
		p.ident(a.From)
		p.put(" TO ")
		p.ident(a.To)
	case *RenameTable:
		p.put("RENAME TO ")
		p.ident(a.To)
	case *SetOptions:
		p.put("SET TBLPROPERTIES ")
		p.options(a.Options)
	case *AddConstraint:
		p.put("ADD ")
		p.constraint(a.Constraint)
	case *DropConstraint:
		p.put("DROP CONSTRAINT ")
		p.when(a.IfExists, "IF EXISTS ")
		p.ident(a.Name)
	default:
		p.topicAction(a)
	}
}

func (p *printer) alterColumn(column Ident, what string) {
	p.put("ALTER COLUMN ")
	p.ident(column)
	p.put(" ", what)
}

func (p *printer) createIndex(s *CreateIndex) {
	p.put("CREATE ")
	p.when(s.Unique, "UNIQUE ")
	p.put("INDEX")
	p.when(s.IfNotExists, " IF NOT EXISTS")
	if s.Name.Name != "" {
		p.put(" ")
		p.ident(s.Name)
	}
	p.on(s.Table)
	p.put(" ")
	p.idents(s.Columns)
}

// on prints the table of an index.
func (p *printer) on(table Name) {
	if len(table) > 0 {
		p.put(" ON ")
		p.name(table)
	}
}
