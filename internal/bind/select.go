package bind

import (
	"strconv"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Select is a bound query over one table or none.
type Select struct {
	fields        []wire.Field
	items         []expr.Node
	rel           *relation // nil without FROM
	where         expr.Node
	order         []order
	limit, offset expr.Node
}

type order struct {
	node expr.Node
	desc bool
	// nullsFirst is already resolved to PostgreSQL's default.
	nullsFirst bool
}

// Fields is the schema of the result.
func (s *Select) Fields() []wire.Field { return s.fields }

// Table is the table that is read, nil without FROM.
func (s *Select) Table() *catalog.Table {
	if s.rel == nil {
		return nil
	}
	return s.rel.table
}

// Select binds a query.
func (b *Binder) Select(q *dialect.Query) (*Select, error) {
	if q.With != nil {
		return nil, b.Unsupported(q.With.Pos(), "WITH")
	}
	core, ok := q.Body.(*dialect.Select)
	if !ok {
		return nil, b.Unsupported(q.Body.Pos(), bodyName(q.Body))
	}
	s, names, err := b.from(core)
	if err != nil {
		return nil, err
	}
	if core.Where != nil {
		if s.where, err = b.condition(core.Where, names, "WHERE"); err != nil {
			return nil, err
		}
	}
	if err := b.items(s, core, names); err != nil {
		return nil, err
	}
	aggregate, err := b.checkAggregates(s, core)
	if err != nil {
		return nil, err
	}
	if err := b.orderBy(s, q.OrderBy, core, names, aggregate); err != nil {
		return nil, err
	}
	if len(q.OrderBy) == 0 && !aggregate {
		s.defaultOrder()
	}
	if s.limit, err = b.count(q.Limit, "LIMIT"); err != nil {
		return nil, err
	}
	if s.offset, err = b.count(q.Offset, "OFFSET"); err != nil {
		return nil, err
	}
	return s, nil
}

func bodyName(body dialect.QueryBody) string {
	switch body := body.(type) {
	case *dialect.SetOp:
		return body.Op
	case *dialect.Values:
		return "VALUES as a query"
	}
	return "a query in parentheses"
}

// from binds FROM and refuses the clauses that are not offered.
func (b *Binder) from(core *dialect.Select) (*Select, expr.Names, error) {
	switch {
	case core.Distinct || len(core.DistinctOn) > 0:
		return nil, nil, b.Unsupported(core.Pos(), "SELECT DISTINCT")
	case len(core.GroupBy) > 0:
		return nil, nil, b.Unsupported(core.GroupBy[0].Pos(), "GROUP BY")
	case core.Having != nil:
		return nil, nil, b.Unsupported(core.Having.Pos(), "HAVING")
	case len(core.Windows) > 0:
		return nil, nil, b.Unsupported(core.Pos(), "WINDOW")
	case len(core.From) > 1:
		return nil, nil, b.Unsupported(core.From[1].Pos(), "more than one table in FROM")
	case len(core.From) == 0:
		return &Select{}, nil, nil
	}
	ref, ok := core.From[0].(*dialect.TableRef)
	if !ok {
		what := "a sub-query in FROM"
		if _, join := core.From[0].(*dialect.Join); join {
			what = "JOIN"
		}
		return nil, nil, b.Unsupported(core.From[0].Pos(), what)
	}
	if len(ref.Columns) > 0 {
		return nil, nil, b.Unsupported(ref.Pos(), "a column list after a table alias")
	}
	table, err := b.Table(ref.Name)
	if err != nil {
		return nil, nil, err
	}
	s := &Select{rel: b.relation(table, ref.As)}
	return s, s.rel, nil
}

// condition binds a boolean expression without aggregates.
func (b *Binder) condition(x dialect.Expr, names expr.Names, clause string) (expr.Node, error) {
	n, err := b.bindFor(x, names, wire.Type{Kind: wire.Boolean})
	if err != nil {
		return nil, err
	}
	if k := n.Type().Kind; k != wire.Boolean && k != wire.Unknown {
		return nil, b.fail(wire.CodeTypeMismatch, x.Pos(), "argument of ", clause, " must be BOOLEAN, not ", expr.TypeName(n.Type()))
	}
	return n, nil
}

// items binds the select list.
func (b *Binder) items(s *Select, core *dialect.Select, names expr.Names) error {
	fields, nodes, err := b.outputs(core.Items, s.rel, names, true)
	s.fields, s.items = fields, nodes
	return err
}

// outputs binds a list of result columns; rel is what * stands for.
func (b *Binder) outputs(list []dialect.SelectItem, rel *relation, names expr.Names, aggregates bool) ([]wire.Field, []expr.Node, error) {
	var fields []wire.Field
	var nodes []expr.Node
	for _, item := range list {
		if item.Star {
			if rel == nil {
				return nil, nil, b.fail(wire.CodeInvalidSQL, item.At, "SELECT * needs a FROM clause")
			}
			if len(item.Table) > 0 && item.Table[len(item.Table)-1].Name != rel.as {
				return nil, nil, b.fail(wire.CodeInvalidSQL, item.At, "missing FROM-clause entry for table ", item.Table[len(item.Table)-1].Name)
			}
			for i := range rel.width() {
				fields = append(fields, rel.field(i))
				nodes = append(nodes, expr.Ref(rel.column(i)))
			}
			continue
		}
		n, err := b.bind(item.X, names, aggregates)
		if err != nil {
			return nil, nil, err
		}
		f := wire.Field{Type: n.Type()}
		if c := expr.AsColumn(n); c != nil && rel != nil {
			f = rel.field(c.Index)
		}
		f.Name = outputName(item)
		fields = append(fields, f)
		nodes = append(nodes, n)
	}
	if len(nodes) > maxColumns {
		return nil, nil, b.fail(wire.CodeInvalidSQL, list[0].At, "a result has at most ", strconv.Itoa(maxColumns), " columns")
	}
	for i := range fields {
		fields[i].Index = i
		if fields[i].Type.Kind == wire.Unknown {
			fields[i].Type.Kind = wire.Text
		}
	}
	return fields, nodes, nil
}

const maxColumns = 1600

// outputName names a result column as PostgreSQL does.
func outputName(item dialect.SelectItem) string {
	if item.As != nil {
		return item.As.Name
	}
	x := item.X
	for {
		switch e := x.(type) {
		case *dialect.Column:
			return e.Name[len(e.Name)-1].Name
		case *dialect.Call:
			return e.Name[len(e.Name)-1].Name
		case *dialect.Case:
			return "case"
		case *dialect.Typed:
			return e.Type.Name
		case *dialect.Cast:
			switch e.X.(type) {
			case *dialect.Column, *dialect.Call, *dialect.Cast:
				x = e.X
				continue
			}
			return e.Type.Name
		}
		return "?column?"
	}
}

// checkAggregates reports whether the query is an aggregate one, in which no
// column may stand outside an aggregate.
func (b *Binder) checkAggregates(s *Select, core *dialect.Select) (bool, error) {
	aggregate := false
	for _, n := range s.items {
		aggregate = aggregate || expr.HasAggregate(n)
	}
	if !aggregate {
		return false, nil
	}
	for i, n := range s.items {
		if c := expr.BareColumn(n); c != nil {
			pos := core.Pos()
			if i < len(core.Items) {
				pos = core.Items[i].At
			}
			return false, b.fail(wire.CodeInvalidSQL, pos, "column ", c.Name, " must stand in an aggregate function, because the select list has one")
		}
	}
	return true, nil
}

// orderBy binds ORDER BY: the name or the number of a result column, else an
// expression.
func (b *Binder) orderBy(s *Select, list []dialect.OrderItem, core *dialect.Select, names expr.Names, aggregate bool) error {
	for _, item := range list {
		o := order{desc: item.Desc, nullsFirst: item.Desc}
		if item.NullsFirst != nil {
			o.nullsFirst = *item.NullsFirst
		}
		var err error
		if o.node, err = b.orderNode(s, item, core, names, aggregate); err != nil {
			return err
		}
		if expr.IsConst(o.node) {
			continue // it orders nothing, and an engine might take it for a position
		}
		s.order = append(s.order, o)
	}
	return nil
}

func (b *Binder) orderNode(s *Select, item dialect.OrderItem, core *dialect.Select, names expr.Names, aggregate bool) (expr.Node, error) {
	if n, ok := item.X.(*dialect.Number); ok {
		i, err := strconv.Atoi(n.Text)
		if err != nil || i < 1 || i > len(s.items) {
			return nil, b.fail(wire.CodeInvalidSQL, n.Pos(), "ORDER BY position ", n.Text, " is not in the select list")
		}
		return s.items[i-1], nil
	}
	if c, ok := item.X.(*dialect.Column); ok && len(c.Name) == 1 {
		for i, f := range s.fields {
			if f.Name == c.Name[0].Name {
				return s.items[i], nil
			}
		}
	}
	n, err := b.bind(item.X, names, aggregate)
	if err != nil {
		return nil, err
	}
	if aggregate {
		if c := expr.BareColumn(n); c != nil {
			return nil, b.fail(wire.CodeInvalidSQL, item.X.Pos(), "column ", c.Name, " must stand in an aggregate function, because the select list has one")
		}
	}
	return n, nil
}

// defaultOrder sorts by the primary key when it is part of the result, as
// existing clients expect.
func (s *Select) defaultOrder() {
	if s.rel == nil || s.rel.table.Kind == catalog.System {
		return
	}
	for _, k := range s.rel.table.Key {
		shown := false
		for _, n := range s.items {
			if c := expr.AsColumn(n); c != nil && c.Index == k {
				shown = true
			}
		}
		if !shown {
			return
		}
	}
	for _, k := range s.rel.table.Key {
		s.order = append(s.order, order{node: expr.Ref(s.rel.column(k))})
	}
}

// count binds LIMIT or OFFSET: an expression without columns.
func (b *Binder) count(x dialect.Expr, clause string) (expr.Node, error) {
	if x == nil {
		return nil, nil
	}
	n, err := b.assign(x, nil, wire.Type{Kind: wire.BigInt})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Check evaluates LIMIT and OFFSET and refuses negative ones.
func (s *Select) Check(env *expr.Env) error {
	for _, c := range [2]struct {
		n    expr.Node
		name string
	}{{s.limit, "LIMIT"}, {s.offset, "OFFSET"}} {
		if c.n == nil {
			continue
		}
		v, err := c.n.Eval(env)
		if err != nil {
			return err
		}
		if v.Int() < 0 {
			return wire.NewError(wire.CodeInvalidSQL, c.name, " must not be negative")
		}
	}
	return nil
}
