package dialect

// command prints what neither reads nor writes rows nor defines anything.
func (p *printer) command(s Statement) {
	if p.topic(s) {
		return
	}
	switch s := s.(type) {
	case *Begin:
		p.put("BEGIN")
	case *Commit:
		p.put("COMMIT")
	case *Rollback:
		p.put("ROLLBACK")
	case *RollbackTo:
		p.put("ROLLBACK TO SAVEPOINT ")
		p.ident(s.Name)
	case *Use:
		p.put("USE NAMESPACE ")
		p.ident(s.Name)
	case *Savepoint:
		p.put("SAVEPOINT ")
		p.ident(s.Name)
	case *Release:
		p.put("RELEASE SAVEPOINT ")
		p.ident(s.Name)
	case *SetVar:
		p.put("SET ")
		p.name(s.Name)
		p.put(" = ")
		p.any(s.Value)
	case *Explain:
		p.put("EXPLAIN ")
		p.when(s.Analyze, "ANALYZE ")
		p.when(s.Verbose, "VERBOSE ")
		if s.User != nil {
			p.put("AS USER ")
			p.text(*s.User)
			p.put(" ")
		}
		p.node(s.Inner)
	case *Describe:
		p.put("DESCRIBE ")
		p.when(s.Table, "TABLE ")
		p.name(s.Name)
		p.when(s.History, " HISTORY")
	case *Show:
		p.show(s)
	case *KillLive:
		p.put("KILL LIVE QUERY ")
		p.string(s.ID)
	case *Storage:
		p.storage(s)
	case *CommandOnly:
		p.put(s.Verb)
	}
}

func (p *printer) storage(s *Storage) {
	p.put("STORAGE ", s.Verb)
	switch {
	case s.ID != nil:
		p.put(" ")
		p.ident(*s.ID)
		p.when(s.Extended, " EXTENDED")
	case s.Table != nil:
		p.put(" TABLE ")
		p.name(s.Table)
	default:
		p.put(" ALL")
		if s.Namespace != nil {
			p.put(" IN NAMESPACE ")
			p.ident(*s.Namespace)
		}
	}
}

func (p *printer) show(s *Show) {
	p.put("SHOW ", s.What)
	switch {
	case s.Namespace != nil:
		p.put(" IN NAMESPACE ")
		p.ident(*s.Namespace)
	case s.What == "COLUMNS", s.What == "INDEXES", s.What == "CONSTRAINTS":
		p.put(" FROM ")
		p.name(s.Name)
	case s.What == "STATS":
		p.put(" FOR TABLE ")
		p.name(s.Name)
	}
}
