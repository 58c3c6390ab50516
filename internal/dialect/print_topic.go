package dialect

import "strconv"

// topic prints the statements on topics; it reports whether s is one.
func (p *printer) topic(s Statement) bool {
	switch s := s.(type) {
	case *CreateTopic:
		p.put("CREATE TOPIC ")
		p.when(s.IfNotExists, "IF NOT EXISTS ")
		p.name(s.Name)
		p.number(" PARTITIONS ", s.Partitions)
		p.withOptions(s.Options)
	case *AlterTopic:
		p.put("ALTER TOPIC ")
		p.name(s.Name)
		p.put(" ")
		p.node(s.Action)
	case *DropTopic:
		p.put("DROP TOPIC ")
		p.when(s.IfExists, "IF EXISTS ")
		p.name(s.Name)
	case *ClearTopic:
		p.put("CLEAR TOPIC ")
		p.name(s.Name)
	case *Consume:
		p.put("CONSUME FROM ")
		p.name(s.Topic)
		if s.Group != nil {
			p.put(" GROUP ")
			p.string(*s.Group)
		}
		p.number(" PARTITION ", s.Partition)
		if s.Start != nil {
			p.put(" FROM ")
			p.position(*s.Start)
		}
		p.number(" LIMIT ", s.Limit)
	case *Ack:
		p.put("ACK ")
		p.name(s.Topic)
		p.put(" GROUP ")
		p.string(s.Group)
		p.number(" PARTITION ", s.Partition)
		p.put(" UPTO OFFSET ", strconv.Itoa(s.UpTo))
	case *ResetGroup:
		p.put("RESET CONSUMER GROUP ")
		p.string(s.Group)
		p.put(" ON ")
		p.name(s.Topic)
		p.number(" PARTITION ", s.Partition)
		p.put(" TO ")
		p.position(s.To)
	case *Grant:
		p.grant(s)
	default:
		return false
	}
	return true
}

func (p *printer) grant(s *Grant) {
	verb, to := "GRANT", " TO "
	if s.Revoke {
		verb, to = "REVOKE", " FROM "
	}
	p.put(verb, " CONSUME ON TOPIC ")
	p.name(s.Topic)
	p.put(to)
	if s.Role {
		p.put("ROLE ")
		p.text(s.To)
		return
	}
	p.put("USER ")
	p.userName(s.To)
}

// number prints a clause with a number, or nothing.
func (p *printer) number(clause string, n *int) {
	if n != nil {
		p.put(clause, strconv.Itoa(*n))
	}
}

func (p *printer) position(at Position) {
	if at.Word != "" {
		p.put(at.Word)
		return
	}
	p.put(strconv.Itoa(at.Offset))
}

func (p *printer) withOptions(list []Option) {
	if len(list) > 0 {
		p.put(" WITH ")
		p.options(list)
	}
}

// topicAction prints the operations of ALTER TOPIC.
func (p *printer) topicAction(a AlterAction) {
	switch a := a.(type) {
	case *AddSource:
		p.put("ADD SOURCE ")
		p.when(a.IfNotExists, "IF NOT EXISTS ")
		p.name(a.Table)
		p.put(" ON ", a.Op)
		p.clause(" WHERE ", a.Where)
		p.withOptions(a.Options)
	case *DropSource:
		p.put("DROP SOURCE ")
		p.name(a.Table)
		p.put(" ON ", a.Op)
	case *SetRetention:
		if len(a.Options) == 0 {
			p.put("CLEAR RETENTION")
			return
		}
		p.put("SET RETENTION")
		p.withOptions(a.Options)
	}
}
