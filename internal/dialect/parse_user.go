package dialect

import "strings"

// createUser takes what follows CREATE USER.
func (p *parser) createUser(at at) Statement {
	s := &CreateUser{at: at, IfNotExists: p.ifNotExists()}
	if p.is("invite") && p.peek(1).kind == tokString {
		p.unsupported(p.pos(), "CREATE USER INVITE is not supported")
	}
	s.Name = p.userName()
	p.accept("with")
	for {
		pos := p.pos()
		switch {
		case p.isAny("password", "oidc", "oauth", "internal"):
			if s.Auth != "" {
				p.failAt(pos, "CREATE USER takes one of PASSWORD, OIDC and INTERNAL")
			}
			p.userAuth(s)
		case p.accept("role"):
			s.Role = p.roleName()
		case p.accept("email"):
			email := p.text("an address in single quotes after EMAIL")
			s.Email = &email
		case p.isAny("storage_mode", "storage_id"):
			p.unsupported(pos, strings.ToUpper(p.tok.word), " is not supported")
		default:
			if s.Auth == "" {
				p.unexpected("PASSWORD, OIDC or INTERNAL")
			}
			return s
		}
	}
}

// userAuth takes PASSWORD 'p', OIDC '{..}' or INTERNAL.
func (p *parser) userAuth(s *CreateUser) {
	switch p.advance().word {
	case "password":
		s.Auth = "PASSWORD"
		s.Secret = p.password()
	case "internal":
		s.Auth = "INTERNAL"
	default:
		s.Auth = "OIDC"
		if p.tok.kind == tokString {
			s.Secret = p.stringValue(p.advance())
		}
	}
}

// alterUser takes what follows ALTER USER.
func (p *parser) alterUser(at at) Statement {
	s := &AlterUser{at: at, Name: p.userName()}
	switch {
	case p.accept("disable"):
		s.Action = "DISABLE"
		return s
	case p.accept("enable"):
		s.Action = "ENABLE"
		return s
	case !p.accept("set"):
		p.unexpected("SET, DISABLE or ENABLE")
	}
	switch {
	case p.accept("password"):
		s.Action, s.Value = "PASSWORD", p.password()
	case p.accept("role"):
		s.Action, s.Value = "ROLE", p.roleName()
	case p.accept("email"):
		s.Action, s.Value = "EMAIL", p.text("an address in single quotes after EMAIL")
	case p.isAny("storage_mode", "storage_id"):
		p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " is not supported")
	default:
		p.unexpected("PASSWORD, ROLE or EMAIL after SET")
	}
	return s
}

// userName takes the name of a user: bare, then folded to lower case, or in
// quotes of any kind.
func (p *parser) userName() Ident {
	if p.tok.kind != tokString {
		return p.ident("the name of a user")
	}
	t := p.advance()
	id := Ident{Name: p.stringValue(t), Quoted: true, Pos: Pos(t.start)}
	if id.Name == "" {
		p.failAt(id.Pos, "the name of a user cannot be empty")
	}
	return id
}

// password takes a password. The error shows nothing of what stands there.
func (p *parser) password() string {
	if p.tok.kind != tokString {
		p.failAt(p.pos(), "expected the password in single quotes")
	}
	return p.stringValue(p.advance())
}

// roleName takes a role, bare or in quotes, in lower case.
func (p *parser) roleName() string {
	switch p.tok.kind {
	case tokString:
		return strings.ToLower(p.stringValue(p.advance()))
	case tokWord, tokQuoted:
		return strings.ToLower(p.identValue(p.advance()))
	}
	p.unexpected("a role")
	return ""
}
