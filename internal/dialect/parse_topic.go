package dialect

import (
	"strconv"
	"strings"
)

// createTopic takes what follows CREATE TOPIC.
func (p *parser) createTopic(at at) Statement {
	s := &CreateTopic{at: at, IfNotExists: p.ifNotExists(), Name: p.name("a topic")}
	if p.accept("partitions") {
		n := p.integer()
		s.Partitions = &n
	}
	if p.accept("with") {
		s.Options = p.someOptions()
	}
	return s
}

// alterTopic takes what follows ALTER TOPIC.
func (p *parser) alterTopic(at at) Statement {
	s := &AlterTopic{at: at, Name: p.name("a topic")}
	begin := p.here()
	switch {
	case p.accept("add", "source"):
		a := &AddSource{at: begin, IfNotExists: p.ifNotExists(), Table: p.name("a table"), Op: p.sourceOp()}
		if p.accept("where") {
			a.Where = p.expr()
		}
		if p.accept("with") {
			a.Options = p.someOptions()
		}
		s.Action = a
	case p.accept("drop", "source"):
		s.Action = &DropSource{at: begin, Table: p.name("a table"), Op: p.sourceOp()}
	case p.accept("set", "retention"):
		p.expect("with")
		s.Action = &SetRetention{at: begin, Options: p.someOptions()}
	case p.accept("clear", "retention"):
		s.Action = &SetRetention{at: begin}
	default:
		p.unexpected("ADD SOURCE, DROP SOURCE, SET RETENTION or CLEAR RETENTION")
	}
	return s
}

// sourceOp takes ON and the operation of a source.
func (p *parser) sourceOp() string {
	p.expect("on")
	if !p.isAny("insert", "update", "delete") {
		p.unexpected("INSERT, UPDATE or DELETE")
	}
	op := strings.ToUpper(p.advance().word)
	if p.isAny(",", "or") {
		p.unsupported(p.pos(), "a source has one operation; add a source for each")
	}
	return op
}

// clearTopic takes CLEAR TOPIC.
func (p *parser) clearTopic() Statement {
	s := &ClearTopic{at: p.here()}
	p.expect("clear", "topic")
	s.Name = p.name("a topic")
	return s
}

// consume takes CONSUME.
func (p *parser) consume() Statement {
	s := &Consume{at: p.here()}
	p.expect("consume", "from")
	s.Topic = p.name("a topic")
	if p.accept("group") {
		group := p.groupName()
		s.Group = &group
	}
	s.Partition = p.partitionNumber()
	if p.accept("from") {
		at := p.topicPosition()
		s.Start = &at
	}
	if p.accept("limit") {
		n := p.whole("a limit", 1<<30)
		s.Limit = &n
	}
	return s
}

// ack takes ACK.
func (p *parser) ack() Statement {
	s := &Ack{at: p.here()}
	p.expect("ack")
	s.Topic = p.name("a topic")
	p.expect("group")
	s.Group = p.groupName()
	s.Partition = p.partitionNumber()
	p.expect("upto", "offset")
	s.UpTo = p.whole("an offset", 1<<63-1)
	return s
}

// resetGroup takes RESET CONSUMER GROUP.
func (p *parser) resetGroup() Statement {
	s := &ResetGroup{at: p.here()}
	p.expect("reset", "consumer", "group")
	s.Group = p.groupName()
	p.expect("on")
	s.Topic = p.name("a topic")
	s.Partition = p.partitionNumber()
	p.expect("to")
	s.To = p.topicPosition()
	return s
}

// grant takes GRANT or REVOKE.
func (p *parser) grant() Statement {
	s := &Grant{at: p.here(), Revoke: p.is("revoke")}
	verb := strings.ToUpper(p.advance().word)
	if !p.is("consume") {
		p.unsupported(s.pos, verb, " is only supported as ", verb, " CONSUME ON TOPIC")
	}
	p.expect("consume", "on", "topic")
	s.Topic = p.name("a topic")
	if s.Revoke {
		p.expect("from")
	} else {
		p.expect("to")
	}
	switch {
	case p.accept("role"):
		s.Role = true
		s.To = p.roleName()
	case p.accept("user"):
		s.To = p.userName()
	default:
		s.Role = p.tok.kind == tokWord && p.isAny("service", "dba", "admin", "system", "developer", "analyst")
		s.To = p.userName()
	}
	return s
}

// groupName takes the name of a consumer group.
func (p *parser) groupName() string {
	at := p.pos()
	name := p.text("the name of a consumer group in single quotes")
	if strings.TrimSpace(name) == "" {
		p.failAt(at, "the name of a consumer group cannot be empty")
	}
	return name
}

// partitionNumber takes [PARTITION p].
func (p *parser) partitionNumber() *int {
	if !p.accept("partition") {
		return nil
	}
	n := p.whole("the number of a partition", 1<<30)
	return &n
}

// topicPosition takes EARLIEST, LATEST or an offset.
func (p *parser) topicPosition() Position {
	switch {
	case p.accept("earliest"):
		return Position{Word: "EARLIEST"}
	case p.accept("latest"):
		return Position{Word: "LATEST"}
	case p.accept("offset"):
	}
	return Position{Offset: p.whole("EARLIEST, LATEST or an offset", 1<<63-1)}
}

// whole takes a number from 0 to limit.
func (p *parser) whole(what string, limit uint64) int {
	t := p.tok
	if t.kind == tokNumber {
		n, err := strconv.ParseUint(p.scan.sql[t.start:t.end], 10, 64)
		if err == nil && n <= limit {
			p.advance()
			return int(n)
		}
	}
	p.unexpected(what + ", a whole number from 0 to " + strconv.FormatUint(limit, 10))
	return 0
}
