package dialect

// ShowCreateTable is SHOW CREATE TABLE t.
type ShowCreateTable struct {
	at
	Name Name
}

func (*ShowCreateTable) statement() {}

var _ = begins("show", "create", func(p *parser, at at) Statement {
	p.expect("table")
	return &ShowCreateTable{at: at, Name: p.name("a table")}
})

func (s *ShowCreateTable) print(p *printer) {
	p.put("SHOW CREATE TABLE ")
	p.name(s.Name)
}
