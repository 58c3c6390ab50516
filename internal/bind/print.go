package bind

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// epochMillis is where the milliseconds of a _seq count from.
var epochMillis = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// columnName is what the printed statement calls column i of a query.
func columnName(i int) string { return "x" + strconv.Itoa(i+1) }

// Printed is a statement in an engine's SQL.
type Printed struct {
	SQL  string
	Args []expr.Arg  // what each placeholder stands for
	Cols []wire.Type // of the result
}

// Printed is the query in an engine's SQL.
func (s *Select) Printed(target expr.Target) Printed {
	p := expr.NewPrinter(target)
	s.print(p, false)
	return Printed{SQL: p.SQL(), Args: p.Args(), Cols: typesOf(s.nodes())}
}

// Print writes the query inside an expression.
func (s *Select) Print(p *expr.Printer) { s.print(p, false) }

func (s *Select) print(p *expr.Printer, named bool) {
	printWith(p, s.with, s.refs, s.recursive)
	_, listed := s.body.(*values)
	if listed = listed && (len(s.order) > 0 || s.limit != nil || s.offset != nil); listed {
		p.Raw("SELECT * FROM (")
	}
	s.body.print(p, named)
	if listed {
		p.Raw(") AS listed")
	}
	if c, ok := s.body.(*core); ok && c.lift != nil {
		p.Renamed(c.lift.name, func() { s.printOrder(p) })
	} else {
		s.printOrder(p)
	}
	s.printLimit(p)
}

func (s *Select) printOrder(p *expr.Printer) {
	core, plain := s.body.(*core)
	for i, o := range s.order {
		if i == 0 {
			p.Raw(" ORDER BY ")
		} else {
			p.Raw(", ")
		}
		if plain && len(core.on) > 0 {
			p.Raw(orderName(i))
		} else if plain && (o.position == 0 || expr.AsColumn(o.node) != nil) {
			p.Key(o.node)
		} else {
			p.Raw(strconv.Itoa(o.position))
		}
		o.printDirection(p)
	}
}

func (s *Select) printLimit(p *expr.Printer) {
	if s.limit != nil || s.offset != nil {
		p.Raw(" LIMIT coalesce(")
		if s.limit != nil {
			p.Node(s.limit)
		} else {
			p.Value(wire.Null, wire.Type{Kind: wire.BigInt})
		}
		p.Raw(", " + p.Target().Unlimited() + ")")
	}
	if s.offset != nil {
		p.Raw(" OFFSET coalesce(")
		p.Node(s.offset)
		p.Raw(", 0)")
	}
}

// printWith writes those queries of a WITH clause that the statement needs, which
// names refs.
func printWith(p *expr.Printer, list, refs []*cte, recursive bool) {
	named := needed(refs, math.MaxInt, p.Target())
	list = slices.DeleteFunc(slices.Clone(list), func(c *cte) bool { return !slices.Contains(named, c) })
	for i, c := range list {
		switch {
		case i > 0:
			p.Raw(", ")
		case recursive:
			p.Raw("WITH RECURSIVE ")
		default:
			p.Raw("WITH ")
		}
		c.print(p)
	}
	if len(list) > 0 {
		p.Raw(" ")
	}
}

// printDirection writes what follows an item of ORDER BY. A column that is
// never NULL needs no word about NULLs, and without one an index serves it.
func (o *order) printDirection(p *expr.Printer) {
	if o.desc {
		p.Raw(" DESC")
	}
	if c := expr.AsColumn(o.node); c != nil && c.NotNull {
		return
	}
	if o.nullsFirst {
		p.Raw(" NULLS FIRST")
	} else {
		p.Raw(" NULLS LAST")
	}
}

func (c *cte) print(p *expr.Printer) {
	p.Raw(c.sql)
	c.printColumns(p)
	p.Raw(" AS ")
	if c.uses > 1 && c.parts == nil {
		// As in PostgreSQL: computed once, and not joined into each place that uses it.
		p.Raw("MATERIALIZED ")
	}
	p.Raw("(")
	switch {
	case c.staged != nil && p.Target().Staging() != nil:
		c.printStaged(p)
	case c.parts != nil:
		c.parts.print(p, true)
	default:
		c.query.print(p, true)
	}
	p.Raw(")")
}

func (c *cte) printColumns(p *expr.Printer) {
	p.Raw("(")
	for i := range c.fields {
		if i > 0 {
			p.Raw(", ")
		}
		p.Raw(columnName(i))
	}
	p.Raw(")")
}

// orderName is what a DISTINCT ON calls item i of its ORDER BY.
func orderName(i int) string { return "o" + strconv.Itoa(i+1) }

// print writes the block. DISTINCT ON is the rows that are the first of their
// kind by a window function.
func (c *core) print(p *expr.Printer, named bool) {
	if c.lift != nil {
		p.Renamed(c.lift.name, func() { c.printResult(p, named) })
		return
	}
	c.printResult(p, named)
}

func (c *core) printResult(p *expr.Printer, named bool) {
	if len(c.on) == 0 {
		c.printBlock(p, named, nil)
		return
	}
	p.Raw("SELECT ")
	for i := range c.items {
		if i > 0 {
			p.Raw(", ")
		}
		p.Raw(columnName(i))
	}
	p.Raw(" FROM (")
	c.printBlock(p, true, func() {
		for i, o := range c.onOrder {
			p.Raw(", ")
			p.Key(o.node)
			p.Raw(" AS " + orderName(i))
		}
		p.Raw(", row_number() OVER (PARTITION BY ")
		for i, n := range c.on {
			if i > 0 {
				p.Raw(", ")
			}
			p.Key(n)
		}
		for i, o := range c.onOrder {
			if i == 0 {
				p.Raw(" ORDER BY ")
			} else {
				p.Raw(", ")
			}
			p.Key(o.node)
			o.printDirection(p)
		}
		p.Raw(") AS nth")
	})
	p.Raw(") AS ranked WHERE nth = 1")
}

// printBlock writes SELECT ... HAVING; more, if it is not nil, adds result
// columns.
func (c *core) printBlock(p *expr.Printer, named bool, more func()) {
	p.Raw("SELECT ")
	if c.distinct {
		p.Raw("DISTINCT ")
	}
	for i, n := range c.items {
		if i > 0 {
			p.Raw(", ")
		}
		if c.distinct {
			n = expr.Keyed(n)[0]
		}
		p.Node(n)
		if named {
			p.Raw(" AS " + columnName(i))
		}
	}
	if more != nil {
		more()
	}
	if c.lift != nil {
		p.Inside(func() { c.lift.print(p, c) })
		if c.having != nil {
			p.Raw(" WHERE ")
			p.Node(c.having)
		}
		return
	}
	c.printGroups(p)
	if c.having != nil {
		p.Raw(" HAVING ")
		p.Node(c.having)
	}
}

// printGroups writes FROM ... GROUP BY.
func (c *core) printGroups(p *expr.Printer) {
	switch {
	case c.alone != nil:
		c.alone.printAlone(p, c.where, nil)
	default:
		for i, s := range c.from {
			if i == 0 {
				p.Raw(" FROM ")
			} else {
				p.Raw(" CROSS JOIN ")
			}
			s.print(p)
		}
		if c.where != nil {
			p.Raw(" WHERE ")
			p.Node(c.where)
		}
	}
	for i, k := range c.groupBy {
		if i == 0 {
			p.Raw(" GROUP BY ")
		} else {
			p.Raw(", ")
		}
		if expr.IsConst(k) {
			p.Value(wire.Null, wire.Type{Kind: wire.Text}) // an engine might take a number for a position
		} else {
			p.Key(k)
		}
	}
}

func (s *setOp) print(p *expr.Printer, named bool) {
	if s.all && s.op != "UNION" {
		s.printAll(p)
		return
	}
	printOperand(p, s.l, named, true)
	p.Raw(" " + s.op + " ")
	if s.all {
		p.Raw("ALL ")
	}
	printOperand(p, s.r, named, false)
}

// printAll writes INTERSECT ALL and EXCEPT ALL: equal rows of a side are told
// apart by their number among themselves.
func (s *setOp) printAll(p *expr.Printer) {
	var list string
	for i := range s.nodes() {
		if i > 0 {
			list += ", "
		}
		list += columnName(i)
	}
	p.Raw("SELECT " + list + " FROM (")
	for i, side := range []body{s.l, s.r} {
		if i > 0 {
			p.Raw(" " + s.op + " ")
		}
		p.Raw("SELECT " + list + ", row_number() OVER (PARTITION BY " + list + ") FROM (")
		side.print(p, true)
		p.Raw(") AS side")
	}
	p.Raw(") AS sides")
}

// printOperand writes a side of a set operation. What the engine would not take
// there goes into a sub-query.
func printOperand(p *expr.Printer, b body, named, left bool) {
	switch b.(type) {
	case *core:
		b.print(p, named)
		return
	case *setOp:
		if left {
			b.print(p, named)
			return
		}
	case *values:
		b.print(p, named)
		return
	}
	p.Raw("SELECT * FROM (")
	b.print(p, named)
	p.Raw(") AS operand")
}

func (v *values) print(p *expr.Printer, named bool) {
	if named {
		p.Raw("SELECT ")
		for i := range v.rows[0] {
			if i > 0 {
				p.Raw(", ")
			}
			p.Raw("column" + strconv.Itoa(i+1) + " AS " + columnName(i))
		}
		p.Raw(" FROM (")
		defer p.Raw(") AS listed")
	}
	p.Raw("VALUES ")
	for i, row := range v.rows {
		if i > 0 {
			p.Raw(", ")
		}
		p.Raw("(")
		for k, n := range row {
			if k > 0 {
				p.Raw(", ")
			}
			p.Node(n)
		}
		p.Raw(")")
	}
}
