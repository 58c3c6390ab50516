package dialect

import "strings"

type (
	// CreatePolicy is CREATE POLICY name ON t [AS PERMISSIVE|RESTRICTIVE]
	// [FOR command] [TO role, ...] [USING (x)] [WITH CHECK (x)].
	CreatePolicy struct {
		at
		Name        Ident
		Table       Name
		Restrictive bool
		Command     string  // "all", "select", "insert", "update", "delete"
		Roles       []Ident // nil: not written
		Using       Expr    // nil: none
		Check       Expr    // nil: none
	}
	// AlterPolicy is ALTER POLICY name ON t RENAME TO new, or ALTER POLICY name ON t
	// [TO role, ...] [USING (x)] [WITH CHECK (x)], where what is not written stays.
	AlterPolicy struct {
		at
		Name   Ident
		Table  Name
		Rename *Ident
		Roles  []Ident
		Using  Expr
		Check  Expr
	}
	// DropPolicy is DROP POLICY [IF EXISTS] name ON t.
	DropPolicy struct {
		at
		IfExists bool
		Name     Ident
		Table    Name
	}
	// ShowPolicies is SHOW POLICIES [ON t].
	ShowPolicies struct {
		at
		Table Name // nil: of all tables
	}
)

func (*CreatePolicy) statement() {}
func (*AlterPolicy) statement()  {}
func (*DropPolicy) statement()   {}
func (*ShowPolicies) statement() {}

var (
	_ = begins("create", "policy", (*parser).createPolicy)
	_ = begins("alter", "policy", (*parser).alterPolicy)
	_ = begins("drop", "policy", func(p *parser, at at) Statement {
		s := &DropPolicy{at: at, IfExists: p.ifExists()}
		s.Name, s.Table = p.policyOn()
		p.noCascade()
		return s
	})
	_ = begins("show", "policies", func(p *parser, at at) Statement {
		s := &ShowPolicies{at: at}
		if p.accept("on") {
			s.Table = p.name("a table")
		}
		return s
	})
)

// policyOn takes name ON t.
func (p *parser) policyOn() (Ident, Name) {
	id := p.ident("the name of a policy")
	p.expect("on")
	return id, p.name("a table")
}

// createPolicy takes what follows CREATE POLICY.
func (p *parser) createPolicy(at at) Statement {
	s := &CreatePolicy{at: at, Command: "all"}
	s.Name, s.Table = p.policyOn()
	if p.accept("as") {
		s.Restrictive = p.accept("restrictive")
		if !s.Restrictive && !p.accept("permissive") {
			p.unexpected("PERMISSIVE or RESTRICTIVE")
		}
	}
	if p.accept("for") {
		if !p.isAny("all", "select", "insert", "update", "delete") {
			p.unexpected("ALL, SELECT, INSERT, UPDATE or DELETE")
		}
		s.Command = p.advance().word
	}
	s.Roles = p.policyRoles()
	s.Using, s.Check = p.policyConditions()
	return s
}

// alterPolicy takes what follows ALTER POLICY.
func (p *parser) alterPolicy(at at) Statement {
	s := &AlterPolicy{at: at}
	s.Name, s.Table = p.policyOn()
	if p.accept("rename") {
		p.expect("to")
		id := p.ident("a name")
		s.Rename = &id
		return s
	}
	s.Roles = p.policyRoles()
	s.Using, s.Check = p.policyConditions()
	if s.Roles == nil && s.Using == nil && s.Check == nil {
		p.unexpected("RENAME TO, TO, USING or WITH CHECK")
	}
	return s
}

// policyRoles takes TO role, ...; nil if it is not written. The name of a role may
// be a reserved word, as USER is.
func (p *parser) policyRoles() []Ident {
	if !p.accept("to") {
		return nil
	}
	var list []Ident
	for {
		pos := p.pos()
		if p.tok.kind != tokWord && p.tok.kind != tokQuoted {
			p.unexpected("PUBLIC, user or service")
		}
		list = append(list, Ident{Name: p.identValue(p.advance()), Pos: pos})
		if !p.accept(",") {
			return list
		}
	}
}

// policyConditions takes [USING (x)] [WITH CHECK (x)].
func (p *parser) policyConditions() (using, check Expr) {
	condition := func() Expr {
		p.expect("(")
		x := p.expr()
		p.expect(")")
		return x
	}
	if p.accept("using") {
		using = condition()
	}
	if p.accept("with", "check") {
		check = condition()
	}
	return using, check
}

func (s *CreatePolicy) print(p *printer) {
	p.put("CREATE POLICY ")
	p.policyOf(s.Name, s.Table)
	p.when(s.Restrictive, " AS RESTRICTIVE")
	if s.Command != "all" {
		p.put(" FOR ", strings.ToUpper(s.Command))
	}
	p.policyParts(s.Roles, s.Using, s.Check)
}

func (s *AlterPolicy) print(p *printer) {
	p.put("ALTER POLICY ")
	p.policyOf(s.Name, s.Table)
	if s.Rename != nil {
		p.put(" RENAME TO ")
		p.ident(*s.Rename)
	}
	p.policyParts(s.Roles, s.Using, s.Check)
}

func (s *DropPolicy) print(p *printer) {
	p.put("DROP POLICY ")
	p.when(s.IfExists, "IF EXISTS ")
	p.policyOf(s.Name, s.Table)
}

func (s *ShowPolicies) print(p *printer) {
	p.put("SHOW POLICIES")
	if s.Table != nil {
		p.put(" ON ")
		p.name(s.Table)
	}
}

// policyOf prints name ON t.
func (p *printer) policyOf(name Ident, table Name) {
	p.ident(name)
	p.put(" ON ")
	p.name(table)
}

func (p *printer) policyParts(roles []Ident, using, check Expr) {
	if roles != nil {
		p.put(" TO ")
		each(p, roles, p.role)
	}
	if using != nil {
		p.put(" USING (")
		p.expr(using, precNone)
		p.put(")")
	}
	if check != nil {
		p.put(" WITH CHECK (")
		p.expr(check, precNone)
		p.put(")")
	}
}

// role prints the name of a role, for which USER needs no quotes.
func (p *printer) role(id Ident) {
	if id.Name == "user" {
		p.put(id.Name)
		return
	}
	p.ident(id)
}

func (s *CreatePolicy) walk(fn func(Node) bool) { walkExprs([]Expr{s.Using, s.Check}, fn) }
func (s *AlterPolicy) walk(fn func(Node) bool)  { walkExprs([]Expr{s.Using, s.Check}, fn) }

// NewIn makes x IN (query), or (x, ...) IN (query).
func NewIn(pos Pos, x []Expr, q *Query) *In {
	in := &In{at: at{pos}, X: x[0], Query: q}
	if len(x) > 1 {
		in.X = &Tuple{at: at{pos}, Items: x}
	}
	return in
}
