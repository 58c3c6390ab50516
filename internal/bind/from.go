package bind

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// source is an item of FROM: a relation, a derived table, a reference to a WITH
// query, or a join of two.
type source interface {
	print(p *expr.Printer)
}

// derived is a query in FROM.
type derived struct {
	query *Select
	sql   string
}

func (d *derived) print(p *expr.Printer) {
	p.Raw("(")
	d.query.print(p, true)
	p.Raw(") AS " + d.sql)
}

// cteRef is a reference to a WITH query.
type cteRef struct {
	cte *cte
	sql string
}

func (c *cteRef) print(p *expr.Printer) { p.Raw(c.cte.sql + " AS " + c.sql) }

// join is two sources and how they meet.
type join struct {
	kind string // INNER, LEFT, RIGHT, FULL, CROSS
	l, r source
	on   expr.Node // nil: none
}

func (j *join) print(p *expr.Printer) {
	// The nesting of joins is kept: parentheses around a join on the right.
	j.l.print(p)
	p.Raw(" " + j.kind + " JOIN ")
	if _, nested := j.r.(*join); nested {
		p.Raw("(")
		j.r.print(p)
		p.Raw(")")
	} else {
		j.r.print(p)
	}
	if j.on != nil {
		p.Raw(" ON ")
		p.Node(j.on)
	}
}

// from binds a FROM clause and fills in the names of lv.
func (b *Binder) from(list []dialect.TableExpr, lv *level) ([]source, error) {
	var out []source
	for _, t := range list {
		s, star, err := b.tableExpr(t, lv)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
		lv.star = append(lv.star, star...)
	}
	return out, nil
}

// tableExpr binds an item of FROM. Its parts become visible in lv; what a star
// sees of it is returned.
func (b *Binder) tableExpr(t dialect.TableExpr, lv *level) (source, []output, error) {
	switch t := t.(type) {
	case *dialect.TableRef:
		return b.tableRef(t, lv)
	case *dialect.SubqueryRef:
		return b.subqueryRef(t, lv)
	case *dialect.Join:
		return b.join(t, lv)
	}
	return nil, nil, b.Unsupported(t.Pos(), "this item of FROM")
}

func (b *Binder) tableRef(t *dialect.TableRef, lv *level) (source, []output, error) {
	if len(t.Name) == 1 {
		if c := b.ctes.find(t.Name[0].Name); c != nil {
			c.uses++
			b.refs = append(b.refs, c)
			b.open = b.open || c.query == nil && c.parts == nil
			ref := &cteRef{cte: c, sql: b.name("w")}
			name := c.name
			if t.As != nil {
				name = t.As.Name
			}
			s, star, err := b.see(ref, ref.sql, name, c.fields, t.Columns, t.Pos(), lv)
			if err == nil && c.query != nil && c.staged == nil {
				for i, n := range c.query.nodes() {
					star[i].column.Size = sizeOf(n)
				}
			}
			return s, star, err
		}
	}
	table, err := b.table(t.Name, false)
	if err != nil {
		return nil, nil, err
	}
	r, err := b.rowsOf(table, t.As, catalog.Select)
	if err != nil {
		return nil, nil, err
	}
	if len(t.Columns) > len(r.cols) {
		return nil, nil, b.fail(wire.CodeInvalidSQL, t.Columns[len(r.cols)].Pos, "the table has fewer columns than its alias names")
	}
	for i, id := range t.Columns {
		r.cols[i].field.Name = id.Name
		r.cols[i].column.Name = id.Name
	}
	if err := b.admit(lv, r.as, t.Pos()); err != nil {
		return nil, nil, err
	}
	lv.sources = append(lv.sources, r.level().sources...)
	return r, r.cols, nil
}

func (b *Binder) subqueryRef(t *dialect.SubqueryRef, lv *level) (source, []output, error) {
	if t.Lateral {
		return nil, nil, b.Unsupported(t.Pos(), "LATERAL")
	}
	q, err := b.query(t.Query, lv.outer)
	if err != nil {
		return nil, nil, err
	}
	q.Outer(func(c *expr.Column) { lv.taken = append(lv.taken, c) })
	d := &derived{query: q, sql: b.name("d")}
	name := ""
	if t.As != nil {
		name = t.As.Name
	}
	s, star, err := b.see(d, d.sql, name, q.fields, t.Columns, t.Pos(), lv)
	for i, n := range q.nodes() {
		if err == nil {
			star[i].column.Size = sizeOf(n)
		}
	}
	return s, star, err
}

// see makes the columns of a query visible under a name.
func (b *Binder) see(s source, sql, name string, fields []wire.Field, renamed []dialect.Ident, pos dialect.Pos, lv *level) (source, []output, error) {
	if len(renamed) > len(fields) {
		return nil, nil, b.fail(wire.CodeInvalidSQL, renamed[len(fields)].Pos, "the query has fewer columns than its alias names")
	}
	if err := b.admit(lv, name, pos); err != nil {
		return nil, nil, err
	}
	cols := make([]output, len(fields))
	for i, f := range fields {
		f.Flags = 0
		if f.Type.Kind == wire.Unknown { // a bare NULL; nothing below can decide any more
			f.Type.Kind = wire.Text
		}
		if i < len(renamed) {
			f.Name = renamed[i].Name
		}
		cols[i] = output{field: f, column: &expr.Column{Index: i, Name: f.Name, T: f.Type, SQL: sql + "." + columnName(i)}}
	}
	lv.sources = append(lv.sources, visible{name: name, cols: cols})
	return s, cols, nil
}

// admit refuses a second item of FROM of the same name.
func (b *Binder) admit(lv *level, name string, pos dialect.Pos) error {
	for _, s := range lv.sources {
		if s.name == name && name != "" {
			return b.fail(wire.CodeInvalidSQL, pos, "table name ", name, " is specified more than once; give one of them an alias")
		}
	}
	return nil
}

func (b *Binder) join(t *dialect.Join, lv *level) (source, []output, error) {
	first := len(lv.sources)
	l, left, err := b.tableExpr(t.L, lv)
	if err != nil {
		return nil, nil, err
	}
	second := len(lv.sources)
	r, right, err := b.tableExpr(t.R, lv)
	if err != nil {
		return nil, nil, err
	}
	j := &join{kind: t.Kind, l: l, r: r}
	// ON sees the two sides and nothing else of this FROM.
	both := &level{sources: lv.sources[first:], star: append(append([]output{}, left...), right...), outer: lv.outer}
	star := both.star
	using := t.Using
	if t.Natural {
		using = common(left, right, t.Pos())
	}
	switch {
	case t.On != nil:
		if j.on, err = b.condition(t.On, both, "JOIN/ON", expr.BindOptions{}); err != nil {
			return nil, nil, err
		}
		lv.taken = append(lv.taken, both.taken...)
	case len(using) > 0:
		if j.on, star, err = b.using(using, t.Kind, left, right); err != nil {
			return nil, nil, err
		}
	case t.Natural && t.Kind != "CROSS":
		j.on = expr.Const(wire.BoolValue(true), wire.Type{Kind: wire.Boolean})
	}
	if t.Kind == "LEFT" || t.Kind == "FULL" {
		weaken(lv.sources[second:], right)
	}
	if t.Kind == "RIGHT" || t.Kind == "FULL" {
		weaken(lv.sources[first:second], left)
	}
	return j, star, nil
}

func weaken(sources []visible, star []output) {
	for _, s := range sources {
		nullable(s.cols)
	}
	nullable(star)
}

// common is the column list of a NATURAL join.
func common(left, right []output, pos dialect.Pos) []dialect.Ident {
	var out []dialect.Ident
	for _, l := range left {
		for _, r := range right {
			if l.field.Name == r.field.Name && l.field.Name[0] != '_' {
				out = append(out, dialect.Ident{Name: l.field.Name, Pos: pos})
			}
		}
	}
	return out
}

// using binds USING: the columns compared, and the star in which each of them
// stands once, in front.
func (b *Binder) using(list []dialect.Ident, kind string, left, right []output) (expr.Node, []output, error) {
	var on []expr.Node
	var merged, rest []output
	used := make(map[*expr.Column]bool)
	for _, id := range list {
		l, err := b.usingColumn(id, left, "left")
		if err != nil {
			return nil, nil, err
		}
		r, err := b.usingColumn(id, right, "right")
		if err != nil {
			return nil, nil, err
		}
		sides := &level{sources: []visible{{name: "l", cols: []output{l}}, {name: "r", cols: []output{r}}}}
		equal, err := b.bind(&dialect.Binary{
			Op: "=", L: &dialect.Column{Name: dialect.Name{{Name: "l"}, id}}, R: &dialect.Column{Name: dialect.Name{{Name: "r"}, id}},
		}, sides, expr.BindOptions{})
		if err != nil {
			return nil, nil, b.placedAt(err, id.Pos)
		}
		b.expose(equal)
		on = append(on, equal)
		used[l.column], used[r.column] = true, true
		one := output{field: l.field, column: l.column}
		switch kind {
		case "RIGHT":
			one = output{field: r.field, column: r.column}
		case "FULL":
			if l.column.T != r.column.T {
				return nil, nil, b.Unsupported(id.Pos, "FULL JOIN USING a column that has two types")
			}
			one.column = &expr.Column{Name: id.Name, T: l.column.T, SQL: "coalesce(" + l.column.SQL + "," + r.column.SQL + ")"}
		}
		merged = append(merged, one)
	}
	for _, c := range append(append([]output{}, left...), right...) {
		if !used[c.column] {
			rest = append(rest, c)
		}
	}
	return expr.And(on...), append(merged, rest...), nil
}

func (b *Binder) usingColumn(id dialect.Ident, cols []output, side string) (output, error) {
	var found *output
	for i := range cols {
		if cols[i].field.Name == id.Name {
			if found != nil {
				return output{}, b.fail(wire.CodeInvalidSQL, id.Pos, "column ", id.Name, " stands more than once on the ", side, " side of the join")
			}
			found = &cols[i]
		}
	}
	if found == nil {
		return output{}, b.fail(wire.CodeColumnNotFound, id.Pos, "No field named ", id.Name, " on the ", side, " side of the join")
	}
	return *found, nil
}
