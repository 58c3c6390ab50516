package dialect

import "strings"

// Print is the canonical text of a statement, a query, an expression or a part
// of them; parsing it gives the same tree.
func Print(n Node) string {
	p := &printer{}
	p.node(n)
	return string(p.out)
}

// printer appends to out. Each method appends what it is named after.
type printer struct{ out []byte }

func (p *printer) put(parts ...string) {
	for _, s := range parts {
		p.out = append(p.out, s...)
	}
}

// node is any part of a tree.
func (p *printer) node(n Node) {
	switch n := n.(type) {
	case nil:
	case Expr:
		p.expr(n, precNone)
	case *Query:
		p.query(n)
	case QueryBody:
		p.body(n)
	case *With:
		p.with(n)
	case TableExpr:
		p.table(n)
	case *OnConflict:
		p.onConflict(n)
	case AlterAction:
		p.alterAction(n)
	case Statement:
		p.statement(n)
	}
}

// each prints the items of a list with commas between them.
func each[T any](p *printer, list []T, item func(T)) {
	for i, x := range list {
		if i > 0 {
			p.put(", ")
		}
		item(x)
	}
}

// ident prints a name, quoted if it was or has to be.
func (p *printer) ident(id Ident) {
	if id.Quoted || !isBare(id.Name) {
		p.quoted(id.Name, '"')
		return
	}
	p.put(id.Name)
}

// isBare tells whether a name reads back as itself without quotes.
func isBare(name string) bool {
	if name == "" || !isLetter(name[0]) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isLetter(c) && !isDigit(c) || lower(c) != c {
			return false
		}
	}
	return classOf(name) == plain
}

func (p *printer) quoted(text string, q byte) {
	p.out = append(p.out, q)
	for i := range len(text) {
		if text[i] == q {
			p.out = append(p.out, q)
		}
		p.out = append(p.out, text[i])
	}
	p.out = append(p.out, q)
}

func (p *printer) string(text string) { p.quoted(text, '\'') }

func (p *printer) name(n Name) {
	for i, id := range n {
		if i > 0 {
			p.put(".")
		}
		p.ident(id)
	}
}

// idents prints (a, b).
func (p *printer) idents(list []Ident) {
	p.put("(")
	each(p, list, p.ident)
	p.put(")")
}

// as prints an alias with its columns.
func (p *printer) as(id *Ident, columns []Ident) {
	if id == nil {
		return
	}
	p.put(" AS ")
	p.ident(*id)
	if len(columns) > 0 {
		p.put(" ")
		p.idents(columns)
	}
}

func (p *printer) typeName(t TypeName) {
	if t.Name == "double precision" || isBare(t.Name) {
		p.put(t.Name)
	} else {
		p.quoted(t.Name, '"')
	}
	if len(t.Args) > 0 {
		p.put("(")
		each(p, t.Args, p.int)
		p.put(")")
	}
}

// when prints a fixed text, or nothing.
func (p *printer) when(cond bool, text string) {
	if cond {
		p.put(text)
	}
}

// key prints the key of an option, which may be any word.
func (p *printer) key(key string) {
	k := strings.ToLower(key)
	if isBare(k) || classOf(k) != plain {
		p.put(key)
		return
	}
	p.quoted(key, '"')
}
