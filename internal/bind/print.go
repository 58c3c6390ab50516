package bind

import (
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// epochMillis is where the milliseconds of a _seq count from.
var epochMillis = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Printed is a statement in an engine's SQL.
type Printed struct {
	SQL  string
	Args []expr.Arg  // what each placeholder stands for
	Cols []wire.Type // of the result
}

// Print writes the query for an engine.
func (s *Select) Print(target expr.Target) Printed {
	p := expr.NewPrinter(target)
	p.Raw("SELECT ")
	cols := make([]wire.Type, len(s.items))
	for i, n := range s.items {
		if i > 0 {
			p.Raw(",")
		}
		p.Node(n)
		cols[i] = n.Type()
	}
	s.rest(p)
	return Printed{SQL: p.SQL(), Args: p.Args(), Cols: cols}
}

// rest writes everything after the select list.
func (s *Select) rest(p *expr.Printer) {
	if s.rel != nil {
		p.Raw(" FROM ")
		s.rel.from(p)
	}
	printWhere(p, s.rel, s.where)
	for i, o := range s.order {
		if i == 0 {
			p.Raw(" ORDER BY ")
		} else {
			p.Raw(",")
		}
		p.Node(o.node)
		printDirection(p, o)
	}
	if s.limit != nil || s.offset != nil {
		p.Raw(" LIMIT coalesce(")
		if s.limit != nil {
			p.Node(s.limit)
		} else {
			p.Raw("NULL")
		}
		p.Raw(",-1)")
	}
	if s.offset != nil {
		p.Raw(" OFFSET coalesce(")
		p.Node(s.offset)
		p.Raw(",0)")
	}
}

// printDirection writes what follows an item of ORDER BY. A column that is
// never NULL needs no word about NULLs, and without one an index serves it.
func printDirection(p *expr.Printer, o order) {
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

// printWhere writes the scope of rel and the condition.
func printWhere(p *expr.Printer, rel *relation, where expr.Node) {
	if rel == nil && where == nil || rel != nil && where == nil && !rel.table.Kind.Private() {
		return
	}
	p.Raw(" WHERE ")
	scoped := rel != nil && rel.scope(p)
	if where == nil {
		return
	}
	if scoped {
		p.Raw(" AND ")
	}
	p.Raw("(")
	p.Node(where)
	p.Raw(")")
}

// printRows writes the query for the whole rows of rel that match where, with
// their versions last.
func printRows(target expr.Target, rel *relation, where expr.Node) Printed {
	p := expr.NewPrinter(target)
	cols := printRowColumns(p, rel)
	p.Raw(" FROM ")
	rel.from(p)
	printWhere(p, rel, where)
	return Printed{SQL: p.SQL(), Args: p.Args(), Cols: cols}
}

// printRowColumns writes SELECT and the columns of a whole row with its
// version.
func printRowColumns(p *expr.Printer, rel *relation) []wire.Type {
	p.Raw("SELECT ")
	var cols []wire.Type
	for i := range len(rel.table.Columns) + 1 {
		if i > 0 {
			p.Raw(",")
		}
		c := rel.column(i)
		p.Raw(c.SQL)
		cols = append(cols, c.T)
	}
	return cols
}
