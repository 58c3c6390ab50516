package dialect

import "strconv"

func (p *printer) statement(s Statement) {
	switch s := s.(type) {
	case *Insert:
		p.insert(s)
	case *Update:
		p.update(s)
	case *Delete:
		p.delete(s)
	case *CreateNamespace:
		p.put("CREATE NAMESPACE ")
		p.when(s.IfNotExists, "IF NOT EXISTS ")
		p.ident(s.Name)
	case *DropNamespace:
		p.put("DROP NAMESPACE ")
		p.when(s.IfExists, "IF EXISTS ")
		p.ident(s.Name)
		p.when(s.Cascade, " CASCADE")
	case *CreateTable:
		p.createTable(s)
	case *DropTable:
		p.put("DROP ")
		p.when(s.Kind != "", s.Kind+" ")
		p.put("TABLE ")
		p.when(s.IfExists, "IF EXISTS ")
		p.name(s.Name)
		p.when(s.Cascade, " CASCADE")
	case *CreateUser:
		p.createUser(s)
	case *AlterUser:
		p.put("ALTER USER ")
		p.userName(s.Name)
		if s.Action == "DISABLE" || s.Action == "ENABLE" {
			p.put(" ", s.Action)
			return
		}
		p.put(" SET ", s.Action, " ")
		p.text(s.Value)
	case *DropUser:
		p.put("DROP USER ")
		p.when(s.IfExists, "IF EXISTS ")
		p.userName(s.Name)
		p.when(s.Cascade, " CASCADE")
	case *ExecuteAs:
		p.put("EXECUTE AS ")
		p.text(s.User)
		p.put(" (")
		p.node(s.Inner)
		p.put(")")
	case *AlterTable:
		p.put("ALTER TABLE ")
		p.when(s.IfExists, "IF EXISTS ")
		p.name(s.Name)
		p.put(" ")
		p.node(s.Action)
	case *AlterNamespace:
		p.put("ALTER NAMESPACE ")
		p.ident(s.Name)
		p.put(" SET OPTIONS ")
		p.options(s.Options)
	case *CreateIndex:
		p.createIndex(s)
	case *DropIndex:
		p.put("DROP INDEX ")
		p.when(s.IfExists, "IF EXISTS ")
		p.name(s.Name)
		p.on(s.Table)
	default:
		p.command(s)
	}
}

// before prints the WITH clause of a writing statement.
func (p *printer) before(w *With) {
	if w != nil {
		p.with(w)
		p.put(" ")
	}
}

func (p *printer) insert(s *Insert) {
	p.before(s.With)
	p.put("INSERT INTO ")
	p.name(s.Table)
	p.as(s.As, nil)
	p.put(" ")
	if len(s.Columns) > 0 {
		p.idents(s.Columns)
		p.put(" ")
	}
	if s.Query != nil {
		p.query(s.Query)
	} else {
		p.put("DEFAULT VALUES")
	}
	if s.OnConflict != nil {
		p.put(" ")
		p.onConflict(s.OnConflict)
	}
	p.returning(s.Returning)
}

func (p *printer) onConflict(c *OnConflict) {
	p.put("ON CONFLICT ")
	if len(c.Columns) > 0 {
		p.idents(c.Columns)
		p.put(" ")
	}
	if c.Nothing {
		p.put("DO NOTHING")
		return
	}
	p.put("DO UPDATE")
	p.set(c.Set)
	p.clause(" WHERE ", c.Where)
}

func (p *printer) set(list []Assignment) {
	p.put(" SET ")
	each(p, list, func(a Assignment) {
		p.ident(a.Column)
		p.put(" = ")
		p.any(a.Value)
	})
}

func (p *printer) returning(list []SelectItem) {
	if len(list) > 0 {
		p.put(" RETURNING ")
		each(p, list, p.item)
	}
}

func (p *printer) update(s *Update) {
	p.before(s.With)
	p.put("UPDATE ")
	p.name(s.Table)
	p.as(s.As, nil)
	p.set(s.Set)
	p.tables(" FROM ", s.From)
	p.clause(" WHERE ", s.Where)
	p.returning(s.Returning)
}

func (p *printer) delete(s *Delete) {
	p.before(s.With)
	p.put("DELETE FROM ")
	p.name(s.Table)
	p.as(s.As, nil)
	p.tables(" USING ", s.Using)
	p.clause(" WHERE ", s.Where)
	p.returning(s.Returning)
}

func (p *printer) createTable(s *CreateTable) {
	p.put("CREATE ")
	p.when(s.Kind != "", s.Kind+" ")
	p.put("TABLE ")
	p.when(s.IfNotExists, "IF NOT EXISTS ")
	p.name(s.Name)
	p.put(" (")
	each(p, s.Columns, p.columnDef)
	for _, c := range s.Constraints {
		p.put(", ")
		p.constraint(c)
	}
	p.put(")")
	if len(s.Options) > 0 {
		p.put(" WITH ")
		p.options(s.Options)
	}
}

// options prints (KEY = value, ...).
func (p *printer) options(list []Option) {
	p.put("(")
	each(p, list, func(o Option) {
		p.key(o.Key)
		p.put(" = ")
		p.any(o.Value)
	})
	p.put(")")
}

func (p *printer) columnDef(c ColumnDef) {
	p.ident(c.Name)
	p.put(" ")
	p.typeName(c.Type)
	p.when(c.NotNull, " NOT NULL")
	p.when(c.Null, " NULL")
	p.clause(" DEFAULT ", c.Default)
	p.when(c.Generated, " AUTO_INCREMENT")
	p.when(c.PrimaryKey, " PRIMARY KEY")
	p.when(c.Unique, " UNIQUE")
	for _, x := range c.Check {
		p.put(" CHECK (")
		p.any(x)
		p.put(")")
	}
}

func (p *printer) constraint(c TableConstraint) {
	if c.Name != nil {
		p.put("CONSTRAINT ")
		p.ident(*c.Name)
		p.put(" ")
	}
	p.put(c.Kind, " ")
	if c.Kind != "CHECK" {
		p.idents(c.Columns)
		return
	}
	p.put("(")
	p.any(c.Check)
	p.put(")")
}

func (p *printer) createUser(s *CreateUser) {
	p.put("CREATE USER ")
	p.when(s.IfNotExists, "IF NOT EXISTS ")
	p.userName(s.Name)
	p.put(" WITH ", s.Auth)
	if s.Secret != nil {
		p.put(" ")
		p.text(*s.Secret)
	}
	if s.Role != nil {
		p.put(" ROLE ")
		p.text(*s.Role)
	}
	if s.Email != nil {
		p.put(" EMAIL ")
		p.text(*s.Email)
	}
}

func (p *printer) text(t Text) {
	if t.Param > 0 {
		p.put("$", strconv.Itoa(t.Param))
		return
	}
	p.string(t.Value)
}

func (p *printer) userName(t Text) {
	if t.Param > 0 {
		p.text(t)
		return
	}
	p.ident(Ident{Name: t.Value})
}
