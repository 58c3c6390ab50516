package dialect

type (
	// CreateAPIKey is CREATE API KEY name [FOR USER 'u'] [READ ONLY]
	// [NAMESPACES (a, b)] [TOPICS (a.t)] [EXPIRES IN '90 days']. The name, the user
	// and the time may be parameters.
	CreateAPIKey struct {
		at
		Name       Text
		User       *Text // whose it is; nil: the caller's
		ReadOnly   bool
		Namespaces []Ident // nil: all
		Topics     []Name  // nil: all
		ExpiresIn  *Text   // an interval
	}
	// DropAPIKey is DROP API KEY [IF EXISTS] name [FOR USER 'u'].
	DropAPIKey struct {
		at
		IfExists bool
		Name     Text
		User     *Text
	}
)

func (*CreateAPIKey) statement() {}
func (*DropAPIKey) statement()   {}

var (
	_ = begins("create", "api", (*parser).createAPIKey)
	_ = begins("drop", "api", (*parser).dropAPIKey)
)

// createAPIKey takes what follows CREATE API.
func (p *parser) createAPIKey(at at) Statement {
	p.expect("key")
	s := &CreateAPIKey{at: at, Name: p.keyName(), User: p.forUser()}
	for {
		pos := p.pos()
		once := func(before bool, clause string) {
			if before {
				p.failAt(pos, clause, " stands there twice")
			}
		}
		switch {
		case p.accept("read", "only"):
			once(s.ReadOnly, "READ ONLY")
			s.ReadOnly = true
		case p.accept("namespaces"):
			once(s.Namespaces != nil, "NAMESPACES")
			s.Namespaces = p.namespaces()
		case p.accept("topics"):
			once(s.Topics != nil, "TOPICS")
			s.Topics = p.topics()
		case p.accept("expires", "in"):
			once(s.ExpiresIn != nil, "EXPIRES IN")
			t := p.textOrParam("a time in single quotes after EXPIRES IN, as in '90 days'")
			s.ExpiresIn = &t
		default:
			return s
		}
	}
}

// dropAPIKey takes what follows DROP API.
func (p *parser) dropAPIKey(at at) Statement {
	p.expect("key")
	return &DropAPIKey{at: at, IfExists: p.ifExists(), Name: p.keyName(), User: p.forUser()}
}

// keyName takes the name of a key: bare, in quotes of any kind, or a parameter.
func (p *parser) keyName() Text {
	const expected = "the name of an API key"
	if p.tok.kind == tokString || p.tok.kind == tokParam {
		return p.textOrParam(expected)
	}
	id := p.ident(expected)
	return Text{Value: id.Name, Pos: id.Pos}
}

func (p *parser) forUser() *Text {
	if !p.accept("for") {
		return nil
	}
	p.expect("user")
	t := p.userName()
	return &t
}

func (p *parser) namespaces() []Ident {
	p.expect("(")
	list := []Ident{p.namespace()}
	for p.more() {
		list = append(list, p.namespace())
	}
	p.closeList()
	return list
}

func (p *parser) topics() []Name {
	p.expect("(")
	list := []Name{p.name("a topic")}
	for p.more() {
		list = append(list, p.name("a topic"))
	}
	p.closeList()
	return list
}

func (s *CreateAPIKey) print(p *printer) {
	p.put("CREATE API KEY ")
	p.userName(s.Name)
	p.forUser(s.User)
	p.when(s.ReadOnly, " READ ONLY")
	if s.Namespaces != nil {
		p.put(" NAMESPACES ")
		p.idents(s.Namespaces)
	}
	if s.Topics != nil {
		p.put(" TOPICS (")
		each(p, s.Topics, p.name)
		p.put(")")
	}
	if s.ExpiresIn != nil {
		p.put(" EXPIRES IN ")
		p.text(*s.ExpiresIn)
	}
}

func (s *DropAPIKey) print(p *printer) {
	p.put("DROP API KEY ")
	p.when(s.IfExists, "IF EXISTS ")
	p.userName(s.Name)
	p.forUser(s.User)
}

func (p *printer) forUser(user *Text) {
	if user != nil {
		p.put(" FOR USER ")
		p.userName(*user)
	}
}
