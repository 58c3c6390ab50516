package bind

import (
	"cmp"
	"slices"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Some engines copy a query of WITH into every place that names it before they
// plan the statement; see expr.Target.Staging. A chain of queries in which each names the two
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
// they name in turn, in the order in which they were bound. Where the target has
// stages, a stage needs none: it has its rows.
func needed(refs []*cte, before int, target expr.Target) []*cte {
	stages := target.Staging() != nil
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
			if r.staged == nil || !stages {
				add(r.refs, r.number)
			}
		}
	}
	add(refs, before)
	slices.SortFunc(out, func(a, b *cte) int { return cmp.Compare(a.number, b.number) })
	return out
}

// prepare prints the stage, unless it is printed.
func (c *cte) prepare(p *expr.Printer) {
	if c.staged.SQL != "" {
		return
	}
	s := p.Another()
	s.Raw("WITH RECURSIVE ")
	for _, r := range needed(c.refs, c.number, p.Target()) {
		r.print(s)
		s.Raw(", ")
	}
	s.Raw(c.sql)
	c.printColumns(s)
	s.Raw(" AS MATERIALIZED (")
	c.query.print(s, true)
	cols := make([]string, len(c.fields))
	for i := range cols {
		cols[i] = columnName(i)
	}
	s.Raw(") " + p.Target().Staging().Pack(c.sql, cols))
	c.staged.SQL, c.staged.Args = s.SQL(), s.Args()
}

// printStaged writes the query that reads the rows of the stage.
func (c *cte) printStaged(p *expr.Printer) {
	c.prepare(p)
	rows := p.Placeholder(expr.Arg{Kind: expr.ArgStage, Stage: c.staged, Type: wire.Type{Kind: wire.Text}})
	p.Raw(p.Target().Staging().Unpack(len(c.fields), rows))
}
