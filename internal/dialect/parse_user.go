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
			role := p.roleName()
			s.Role = &role
		case p.accept("email"):
			email := p.textOrParam("an address in single quotes after EMAIL")
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
		secret := p.password()
		s.Secret = &secret
	case "internal":
		s.Auth = "INTERNAL"
	default:
		s.Auth = "OIDC"
		if p.tok.kind == tokString || p.tok.kind == tokParam {
			secret := p.textOrParam("")
			s.Secret = &secret
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
		s.Action, s.Value = "EMAIL", p.textOrParam("an address in single quotes after EMAIL")
	case p.isAny("storage_mode", "storage_id"):
		p.unsupported(p.pos(), strings.ToUpper(p.tok.word), " is not supported")
	default:
		p.unexpected("PASSWORD, ROLE or EMAIL after SET")
	}
	return s
}

// dropUser takes what follows DROP USER.
func (p *parser) dropUser(at at) Statement {
	s := &DropUser{at: at, IfExists: p.ifExists(), Name: p.userName()}
	s.Cascade = p.accept("cascade")
	return s
}

// textOrParam takes a text in single quotes or a parameter; what names it in an
// error.
func (p *parser) textOrParam(what string) Text {
	pos := p.pos()
	if p.tok.kind == tokParam {
		return Text{Param: p.paramNumber(), Pos: pos}
	}
	return Text{Value: p.text(what), Pos: pos}
}

// userName takes the name of a user: bare, then folded to lower case, in quotes
// of any kind, or a parameter.
func (p *parser) userName() Text {
	switch p.tok.kind {
	case tokString, tokParam:
	default:
		id := p.ident("the name of a user")
		return Text{Value: id.Name, Pos: id.Pos}
	}
	t := p.textOrParam("the name of a user")
	if t == (Text{Pos: t.Pos}) {
		p.failAt(t.Pos, "the name of a user cannot be empty")
	}
	return t
}

// password takes a password. The error shows nothing of what stands there.
func (p *parser) password() Text {
	if p.tok.kind != tokString && p.tok.kind != tokParam {
		p.failAt(p.pos(), "expected the password in single quotes, or a parameter")
	}
	return p.textOrParam("")
}

// roleName takes a role, bare or in quotes, in lower case, or a parameter.
func (p *parser) roleName() Text {
	pos := p.pos()
	switch p.tok.kind {
	case tokString, tokParam:
		t := p.textOrParam("a role")
		t.Value = strings.ToLower(t.Value)
		return t
	case tokWord, tokQuoted:
		return Text{Value: strings.ToLower(p.identValue(p.advance())), Pos: pos}
	}
	p.unexpected("a role")
	return Text{}
}
