package bind

import (
	"slices"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Returning is what a RETURNING clause asks for, over the row with its system
// columns and, behind them, the columns of FROM or USING.
type Returning struct {
	Fields []wire.Field
	Items  []expr.Node // nil for those that Asked computes, in its order
	Asked  *Asked      // nil: none
}

// Asked are the items of RETURNING that hold a sub-query. The engine computes
// them for each row, before it is written: a sub-query of RETURNING sees the
// tables as they were.
type Asked struct {
	items []expr.Node
	cells []*expr.Column // of the row at hand, that the items refer to
	refs  []*cte         // the WITH queries that the items name
	of    *askedOf
}

// askedOf is the statement around a RETURNING clause.
type askedOf struct {
	table     *catalog.Table
	with      []*cte
	recursive bool
	gone      bool // it is a DELETE, and the row shown is the old one
	several   bool // it is an INSERT of rows that later ones could see
}

// returning binds RETURNING.
func (b *Binder) returning(names *level, list []dialect.SelectItem, of *askedOf) (*Returning, error) {
	if len(list) == 0 {
		return nil, nil
	}
	r := &Returning{}
	for _, item := range list {
		fields, items, err := b.rowOutputs([]dialect.SelectItem{item}, names)
		if err != nil {
			return nil, err
		}
		if expr.HasQuery(items[0]) {
			if err := b.ask(r, item, names, of); err != nil {
				return nil, err
			}
			items[0] = nil
		}
		r.Fields, r.Items = append(r.Fields, fields...), append(r.Items, items...)
	}
	for i := range r.Fields {
		r.Fields[i].Index = i
	}
	return r, nil
}

// ask adds an item that holds a sub-query. It is bound below the names of the
// row, so that they tell what it takes of them.
func (b *Binder) ask(r *Returning, item dialect.SelectItem, names *level, of *askedOf) error {
	before, refs := len(b.Tables), len(b.refs)
	inside := &level{outer: names}
	_, items, err := b.rowOutputs([]dialect.SelectItem{item}, inside)
	if err != nil {
		return err
	}
	if of.several && slices.Contains(b.Tables[before:], of.table) {
		return b.Unsupported(item.At, "a sub-query in RETURNING that reads the table that several rows go into")
	}
	if r.Asked == nil {
		r.Asked = &Asked{of: of}
	}
	for _, c := range inside.taken {
		switch {
		case c.Name == catalog.SeqColumn && !of.gone:
			return b.Unsupported(item.At, "_seq beside a sub-query in RETURNING, which is computed before the row is written,")
		case strings.HasPrefix(c.SQL, "coalesce("):
			return b.Unsupported(item.At, "a column that FULL JOIN USING makes of two beside a sub-query in RETURNING")
		case !slices.Contains(r.Asked.cells, c):
			r.Asked.cells = append(r.Asked.cells, c)
		}
	}
	r.Asked.items = append(r.Asked.items, items[0])
	r.Asked.refs = append(r.Asked.refs, b.refs[refs:]...)
	return nil
}

// Printed is the query for the items of one row, whose cells are among its
// arguments.
func (a *Asked) Printed(target expr.Target) Printed {
	p := expr.NewPrinter(target)
	printWith(p, a.of.with, a.refs, a.of.recursive)
	for i, n := range a.items {
		if i == 0 {
			p.Raw("SELECT ")
		} else {
			p.Raw(", ")
		}
		p.Node(n)
	}
	var sources []string
	cells := make(map[string][]*expr.Column)
	for _, c := range a.cells {
		source, _, ok := strings.Cut(c.SQL, ".")
		if !ok {
			continue // _deleted, which is a constant
		}
		if cells[source] == nil {
			sources = append(sources, source)
		}
		cells[source] = append(cells[source], c)
	}
	for i, source := range sources {
		if i == 0 {
			p.Raw(" FROM (SELECT ")
		} else {
			p.Raw(" CROSS JOIN (SELECT ")
		}
		for k, c := range cells[source] {
			if k > 0 {
				p.Raw(", ")
			}
			p.Cell(c.Index, c.T)
			p.Raw(" AS " + strings.TrimPrefix(c.SQL, source+"."))
		}
		p.Raw(") AS " + source)
	}
	return Printed{SQL: p.SQL(), Args: p.Args(), Cols: typesOf(a.items)}
}

// rowOutputs binds a select list that is computed in Go on a row at hand.
func (b *Binder) rowOutputs(list []dialect.SelectItem, names *level) ([]wire.Field, []expr.Node, error) {
	c := &core{}
	fields, err := b.outputs(list, names, c)
	if err != nil {
		return nil, nil, err
	}
	for i, n := range c.items {
		if expr.HasAggregate(n) || expr.HasWindow(n) {
			return nil, nil, b.fail(wire.CodeInvalidSQL, list[min(i, len(list)-1)].At, "aggregate and window functions are not allowed here: there is one row at a time")
		}
		fields[i].Index = i
		if n.Type().Kind == expr.Interval {
			if c.items[i], err = expr.Settle(n); err != nil {
				return nil, nil, err
			}
			fields[i].Type = c.items[i].Type()
		}
		if fields[i].Type.Kind == wire.Unknown {
			fields[i].Type.Kind = wire.Text
		}
	}
	return fields, c.items, nil
}
