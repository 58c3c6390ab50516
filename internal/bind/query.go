package bind

import (
	"slices"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Select is a bound query: a body with what may stand around it. It implements
// expr.Query.
type Select struct {
	fields        []wire.Field
	with          []*cte
	refs          []*cte // the WITH queries that the body names
	recursive     bool
	body          body
	order         []order
	limit, offset expr.Node
	size          int     // see Binder.measure
	limits        []limit // of the whole statement; of the outermost query only
}

// body is a *core, a *setOp, a *values or a *Select in parentheses.
type body interface {
	// nodes are the result columns, for their types.
	nodes() []expr.Node
	// retype converts the result columns.
	retype(types []wire.Type) error
	// print writes the body; with named its columns are called x1, x2, ...
	print(p *expr.Printer, named bool)
}

// order is an item of ORDER BY: a result column by its number from 1, or an
// expression.
type order struct {
	position   int
	node       expr.Node
	desc       bool
	nullsFirst bool // PostgreSQL's default is already in it
}

// limit is a LIMIT or OFFSET.
type limit struct {
	node expr.Node
	name string
}

// cte is a query of a WITH clause.
type cte struct {
	name       string
	sql        string
	number     int // each has a larger one than those that were bound before it
	fields     []wire.Field
	size       int         // of the query
	query      *Select     // nil while the query itself is being bound
	parts      *setOp      // of a recursive one
	uses       int         // how often the statement refers to it
	refs       []*cte      // the WITH queries that it names
	correlated bool        // it depends on a row of a query around it
	staged     *expr.Stage // of a query that runs by itself; see stage.go
}

// cteScope is the WITH queries in sight, the innermost first.
type cteScope struct {
	cte   *cte
	outer *cteScope
}

func (s *cteScope) find(name string) *cte {
	for ; s != nil; s = s.outer {
		if s.cte.name == name {
			return s.cte
		}
	}
	return nil
}

// Fields is the schema of the result.
func (s *Select) Fields() []wire.Field { return s.fields }

// Types are the types of the result columns.
func (s *Select) Types() []wire.Type { return typesOf(s.nodes()) }

func typesOf(nodes []expr.Node) []wire.Type {
	out := make([]wire.Type, len(nodes))
	for i, n := range nodes {
		out[i] = n.Type()
	}
	return out
}

// Select binds a query.
func (b *Binder) Select(q *dialect.Query) (*Select, error) {
	s, err := b.query(q, nil)
	if err != nil {
		return nil, err
	}
	for i := range s.fields {
		s.fields[i].Index = i
		if k := s.fields[i].Type.Kind; k == wire.Unknown || k == expr.Interval {
			s.fields[i].Type = wire.Type{Kind: wire.Text}
		}
	}
	s.limits = b.limits
	return s, nil
}

// query binds a query that stands within the names of outer.
func (b *Binder) query(q *dialect.Query, outer *level) (*Select, error) {
	before := b.ctes
	b.depth++
	defer func() { b.ctes = before; b.depth-- }()
	s := &Select{}
	if q.With != nil {
		s.recursive = q.With.Recursive
		for i := range q.With.CTEs {
			if err := b.namedOnce(q.With.CTEs, i); err != nil {
				return nil, err
			}
			c, err := b.cte(&q.With.CTEs[i], q.With.Recursive, outer)
			if err != nil {
				return nil, err
			}
			s.with = append(s.with, c)
			b.ctes = &cteScope{c, b.ctes}
		}
	}
	refs := b.refs
	b.refs = nil
	defer func() { b.refs = append(refs, b.refs...) }()
	var err error
	var names *level
	if s.body, s.fields, names, err = b.body(q.Body, outer); err != nil {
		return nil, err
	}
	if err := b.orderBy(s, q.OrderBy, names); err != nil {
		return nil, err
	}
	if c, ok := s.body.(*core); ok {
		if len(c.on) > 0 {
			if err := b.orderOn(c, s.order, q.OrderBy); err != nil {
				return nil, err
			}
		}
		if err := b.finish(c); err != nil {
			return nil, err
		}
	}
	if len(q.OrderBy) == 0 && outer == nil {
		s.defaultOrder()
	}
	if s.limit, err = b.count(q.Limit, "LIMIT"); err != nil {
		return nil, err
	}
	if s.offset, err = b.count(q.Offset, "OFFSET"); err != nil {
		return nil, err
	}
	s.refs = b.refs
	return s, b.measure(s, q.Pos())
}

// namedOnce refuses a query of WITH that has the name of one before it.
func (b *Binder) namedOnce(list []dialect.CTE, i int) error {
	id := list[i].Name
	for _, c := range list[:i] {
		if c.Name.Name == id.Name {
			return b.fail(wire.CodeInvalidSQL, id.Pos, "WITH query name ", id.Name, " is specified more than once")
		}
	}
	return nil
}

// cte binds one query of WITH.
func (b *Binder) cte(d *dialect.CTE, recursive bool, outer *level) (*cte, error) {
	c := &cte{name: d.Name.Name, sql: b.name("q")}
	c.number = b.sources
	refs, open := b.refs, b.open
	b.refs, b.open = nil, false
	b.depth++
	defer func() { b.depth-- }()
	defer func() { b.refs, b.open = append(refs, c.refs...), b.open || open }()
	if recursive && d.Query.With == nil && len(d.Query.OrderBy) == 0 && d.Query.Limit == nil && d.Query.Offset == nil {
		if op, ok := d.Query.Body.(*dialect.SetOp); ok && op.Op == "UNION" && refers(op.R, c.name) {
			err := b.recursive(c, d, op, outer)
			c.refs, b.open, c.correlated = b.refs, false, outer != nil
			return c, err
		}
	}
	nodes := b.nodes
	q, err := b.query(d.Query, outer)
	if err != nil {
		return nil, err
	}
	c.query, c.size, c.refs = q, q.size, b.refs
	c.correlate()
	if !b.open && !c.correlated && c.grows(b.nodes-nodes) {
		c.staged, c.size = &expr.Stage{}, 1+len(q.fields)
	}
	return c, b.nameCTE(c, d, q.fields)
}

// refers reports whether a body names a table.
func refers(body dialect.QueryBody, name string) bool {
	found := false
	dialect.Walk(body, func(n dialect.Node) bool {
		if t, ok := n.(*dialect.TableRef); ok && len(t.Name) == 1 && t.Name[0].Name == name {
			found = true
		}
		return !found
	})
	return found
}

// recursive binds L UNION [ALL] R where R refers to the query itself.
func (b *Binder) recursive(c *cte, d *dialect.CTE, op *dialect.SetOp, outer *level) error {
	l, fields, err := b.side(op.L, outer)
	if err != nil {
		return err
	}
	// The columns have the types of the part that does not recurse.
	types, err := unify("UNION", l.nodes())
	if err == nil {
		err = l.retype(types)
	}
	if err != nil {
		return b.placedAt(err, op.Pos())
	}
	for i := range fields {
		fields[i].Type = types[i]
	}
	if err := b.nameCTE(c, d, fields); err != nil {
		return err
	}
	b.ctes = &cteScope{c, b.ctes}
	defer func() { b.ctes = b.ctes.outer }()
	r, right, err := b.side(op.R, outer)
	if err != nil {
		return err
	}
	if len(right) != len(types) {
		return b.fail(wire.CodeInvalidSQL, op.Pos(), "each side of UNION must have the same number of columns: ", strconv.Itoa(len(types)), " and ", strconv.Itoa(len(right)))
	}
	if err := r.retype(types); err != nil {
		return b.placedAt(err, op.Pos())
	}
	c.parts = &setOp{op: "UNION", all: op.All, l: l, r: r}
	c.size = sizeOfBody(c.parts)
	return nil
}

func (b *Binder) nameCTE(c *cte, d *dialect.CTE, fields []wire.Field) error {
	if len(d.Columns) > len(fields) {
		return b.fail(wire.CodeInvalidSQL, d.Name.Pos, "WITH query ", c.name, " has fewer columns than it names")
	}
	c.fields = append([]wire.Field{}, fields...)
	for i, id := range d.Columns {
		c.fields[i].Name = id.Name
	}
	for i := range c.fields {
		if c.fields[i].Type.Kind == wire.Unknown {
			c.fields[i].Type.Kind = wire.Text
		}
	}
	return nil
}

// body binds a query's body. names is what ORDER BY may use beside the result
// columns, nil for nothing.
func (b *Binder) body(q dialect.QueryBody, outer *level) (body, []wire.Field, *level, error) {
	switch q := q.(type) {
	case *dialect.Select:
		return b.core(q, outer)
	case *dialect.SetOp:
		op, fields, err := b.setOp(q, outer)
		return op, fields, nil, err
	case *dialect.Values:
		v, fields, err := b.values(q, outer)
		return v, fields, nil, err
	case *dialect.Query:
		s, err := b.query(q, outer)
		if err != nil {
			return nil, nil, nil, err
		}
		return s, s.fields, nil, nil
	}
	return nil, nil, nil, b.Unsupported(q.Pos(), "this query")
}

// orderBy binds ORDER BY: the name or the number of a result column, else an
// expression, which a set operation cannot have.
func (b *Binder) orderBy(s *Select, list []dialect.OrderItem, names *level) error {
	c, _ := s.body.(*core)
	for _, item := range list {
		o := order{desc: item.Desc, nullsFirst: item.Desc}
		if item.NullsFirst != nil {
			o.nullsFirst = *item.NullsFirst
		}
		var err error
		if o.position, err = b.position("ORDER BY", item.X, s.fields, s.nodes()); err != nil {
			return err
		}
		if o.position == 0 {
			if c == nil {
				return b.fail(wire.CodeInvalidSQL, item.X.Pos(), "ORDER BY of a set operation takes result columns only, by name or number")
			}
			n, err := b.bind(item.X, names, c.allowed())
			if err != nil {
				return err
			}
			c.grouped = append(c.grouped, place{n, item.X.Pos()})
			if expr.IsConst(n) {
				continue // it orders nothing, and an engine might take it for a position
			}
			o.node = n
			if o.position = c.find(n); o.position == 0 && c.distinct {
				return b.fail(wire.CodeInvalidSQL, item.X.Pos(), "for SELECT DISTINCT, ORDER BY expressions must appear in the select list")
			}
		}
		if o.position > 0 && o.node == nil {
			if c != nil {
				if _, err := c.settled(o.position - 1); err != nil {
					return b.placedAt(err, item.X.Pos())
				}
			}
			o.node = s.nodes()[o.position-1]
		}
		s.order = append(s.order, o)
	}
	return nil
}

// position finds the result column that an item of a clause names: its number
// from 1, or 0 for an expression.
func (b *Binder) position(clause string, x dialect.Expr, fields []wire.Field, items []expr.Node) (int, error) {
	if u, ok := x.(*dialect.Unary); ok && u.Op == "-" {
		if n, ok := u.X.(*dialect.Number); ok {
			return 0, b.fail(wire.CodeInvalidSQL, x.Pos(), clause, " position -", n.Text, " is not in the select list")
		}
	}
	switch x := x.(type) {
	case *dialect.Number:
		i, err := strconv.Atoi(x.Text)
		if err != nil || i < 1 || i > len(fields) {
			return 0, b.fail(wire.CodeInvalidSQL, x.Pos(), clause, " position ", x.Text, " is not in the select list")
		}
		return i, nil
	case *dialect.String, *dialect.Bool, *dialect.Null:
		return 0, b.fail(wire.CodeInvalidSQL, x.Pos(), "a constant in ", clause, " must be the number of a result column")
	case *dialect.Column:
		at := 0
		for i, f := range fields {
			if len(x.Name) > 1 || f.Name != x.Name[0].Name {
				continue
			}
			if at > 0 && items != nil && !expr.Equal(items[at-1], items[i]) {
				return 0, b.fail(wire.CodeInvalidSQL, x.Pos(), clause, " ", f.Name, " is ambiguous: several result columns have this name")
			}
			if at == 0 {
				at = i + 1
			}
		}
		return at, nil
	}
	return 0, nil
}

// defaultOrder sorts a plain query on one table by its primary key when that is
// part of the result, as existing clients expect.
func (s *Select) defaultOrder() {
	c, ok := s.body.(*core)
	if !ok || c.alone == nil || c.alone.table.Kind == catalog.System || c.aggregate || c.distinct || len(c.on) > 0 {
		return
	}
	var keys []order
	for _, k := range c.alone.table.Key {
		column := c.alone.cols[k].column
		at := 0
		for i, n := range c.items {
			if expr.AsColumn(n) == column {
				at = i + 1
			}
		}
		if at == 0 {
			return
		}
		keys = append(keys, order{position: at, node: expr.Ref(column)})
	}
	s.order = keys
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
	if !expr.HasQuery(n) {
		b.limits = append(b.limits, limit{n, clause})
	}
	return n, nil
}

// Computes reports whether Check has something to compute.
func (s *Select) Computes() bool {
	return slices.ContainsFunc(s.limits, func(l limit) bool { return !expr.IsLeaf(l.node) })
}

// Check evaluates every LIMIT and OFFSET and refuses negative ones.
func (s *Select) Check(env *expr.Env) error {
	for _, l := range s.limits {
		v, err := l.node.Eval(env)
		if err != nil {
			return err
		}
		if v.Int() < 0 {
			return wire.NewError(wire.CodeInvalidSQL, l.name, " must not be negative")
		}
	}
	return nil
}

func (s *Select) nodes() []expr.Node { return s.body.nodes() }

func (s *Select) retype(types []wire.Type) error { return s.body.retype(types) }

// Outer calls fn for each column of a query around this one that it refers to.
func (s *Select) Outer(fn func(*expr.Column)) {
	for _, c := range s.with {
		if c.parts != nil {
			outerOf(c.parts, fn)
		} else {
			c.query.Outer(fn)
		}
	}
	outerOf(s.body, fn)
}

func outerOf(b body, fn func(*expr.Column)) {
	switch b := b.(type) {
	case *core:
		for _, c := range b.names.taken {
			fn(c)
		}
	case *setOp:
		outerOf(b.l, fn)
		outerOf(b.r, fn)
	case *values:
		for _, c := range b.names.taken {
			fn(c)
		}
	case *Select:
		b.Outer(fn)
	}
}

// Single reports that the query never gives more than one row.
func (s *Select) Single() bool {
	if s.limit != nil && expr.IsConst(s.limit) {
		if v, err := s.limit.Eval(&expr.Env{}); err == nil && !v.IsNull() && v.Int() <= 1 {
			return true
		}
	}
	switch b := s.body.(type) {
	case *core:
		return len(b.from) == 0 || b.aggregate && len(b.groupBy) == 0
	case *values:
		return len(b.rows) == 1
	case *Select:
		return b.Single()
	}
	return false
}

// unify is the types that the columns of several bodies take together.
func unify(what string, rows ...[]expr.Node) ([]wire.Type, error) {
	types := make([]wire.Type, len(rows[0]))
	for i := range types {
		column := make([]expr.Node, len(rows))
		for k := range rows {
			column[k] = rows[k][i]
		}
		var err error
		if types[i], err = expr.CommonType(column, what); err != nil {
			return nil, err
		}
	}
	return types, nil
}

func convertAll(nodes []expr.Node, types []wire.Type) error {
	for i := range nodes {
		var err error
		if nodes[i], err = expr.Convert(nodes[i], types[i]); err != nil {
			return err
		}
	}
	return nil
}
