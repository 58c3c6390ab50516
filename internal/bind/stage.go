package bind

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// SQLite copies a WITH query into every place that names it before it plans the
// statement, MATERIALIZED or not. A chain of queries in which each names the two
// before it therefore costs time and memory that grow exponentially with its
// length. A query that has grown out of proportion becomes a stage: it runs by
// itself, once, and the statement reads its rows from an argument.

// grows reports whether copying has made the query of c much larger than its
// text, which has that many expressions.
func (c *cte) grows(nodes int) bool { return c.query.size > 4*nodes+400 }

// correlate notes whether the query of c, or one that it names, refers to a
// column of a query around it, so that it cannot run by itself.
func (c *cte) correlate() {
	c.query.Outer(func(*expr.Column) { c.correlated = true })
	for _, r := range c.refs {
		c.correlated = c.correlated || r.correlated && r.number < c.number
	}
}

// needed returns those of refs that were bound before the number, and those that
// they name in turn, in the order in which they were bound. A stage needs none: it
// has its rows.
func needed(refs []*cte, before int) []*cte {
	seen := make(map[*cte]bool)
	var out []*cte
	var add func(refs []*cte, before int)
	add = func(refs []*cte, before int) {
		for _, r := range refs {
			if r.number >= before || seen[r] {
				continue // it is bound inside, or known
			}
			seen[r] = true
			out = append(out, r)
			if r.staged == nil {
				add(r.refs, r.number)
			}
		}
	}
	add(refs, before)
	slices.SortFunc(out, func(a, b *cte) int { return cmp.Compare(a.number, b.number) })
	return out
}

// prepare prints the stage, unless it is printed. Each value of its rows follows
// its storage class, because JSON has no bytes.
func (c *cte) prepare(p *expr.Printer) {
	if c.staged.SQL != "" {
		return
	}
	s := p.Another()
	s.Raw("WITH RECURSIVE ")
	for _, r := range needed(c.refs, c.number) {
		r.print(s)
		s.Raw(", ")
	}
	s.Raw(c.sql)
	c.printColumns(s)
	s.Raw(" AS MATERIALIZED (")
	c.query.print(s, true)
	s.Raw(") SELECT json_group_array(json_array(")
	for i := range c.fields {
		if i > 0 {
			s.Raw(", ")
		}
		x := columnName(i)
		s.Raw("typeof(" + x + "), CASE typeof(" + x + ") WHEN 'blob' THEN hex(" + x + ") ELSE " + x + " END")
	}
	s.Raw(")) FROM " + c.sql)
	c.staged.SQL, c.staged.Args = s.SQL(), s.Args()
}

// printStaged writes the query that reads the rows of the stage.
func (c *cte) printStaged(p *expr.Printer) {
	c.prepare(p)
	p.Raw("SELECT ")
	for i := range c.fields {
		if i > 0 {
			p.Raw(", ")
		}
		class, x := "value->>"+strconv.Itoa(2*i), "value->>"+strconv.Itoa(2*i+1)
		p.Raw("CASE " + class + " WHEN 'blob' THEN unhex(" + x + ") ELSE " + x + " END")
	}
	p.Raw(" FROM json_each(")
	p.Arg(expr.Arg{Kind: expr.ArgStage, Stage: c.staged, Type: wire.Type{Kind: wire.Text}})
	p.Raw(")")
}
