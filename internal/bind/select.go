package bind

import (
	"slices"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// core is one SELECT ... FROM ... block.
type core struct {
	distinct  bool
	on        []expr.Node // of DISTINCT ON
	onOrder   []order     // with on: which row of several is the first
	items     []expr.Node
	written   []dialect.Expr // items as they stand in the statement, nil for those of *
	from      []source
	alone     *relation // when FROM is exactly one table
	where     expr.Node
	groupBy   []expr.Node
	grouping  []expr.Node // groupBy, and the columns that it determines
	having    expr.Node
	aggregate bool    // it has GROUP BY, HAVING or an aggregate
	grouped   []place // what must use nothing but groups and aggregates
	lift      *lift   // nil: groups and result are one block
	windows   map[string]*dialect.Window
	names     *level
}

// place is an expression and where it stands.
type place struct {
	node expr.Node
	pos  dialect.Pos
}

func (c *core) nodes() []expr.Node { return c.items }

func (c *core) retype(types []wire.Type) error { return convertAll(c.items, types) }

// allowed is what the select list and ORDER BY may hold.
func (c *core) allowed() expr.BindOptions {
	return expr.BindOptions{Aggregates: true, Windows: true, NamedWindows: c.windows}
}

// core binds a SELECT block.
func (b *Binder) core(q *dialect.Select, outer *level) (body, []wire.Field, *level, error) {
	c := &core{distinct: q.Distinct, windows: make(map[string]*dialect.Window)}
	for i := range q.Windows {
		c.windows[q.Windows[i].Name.Name] = &q.Windows[i].Window
	}
	names := &level{outer: outer}
	var err error
	if c.from, err = b.from(q.From, names); err != nil {
		return nil, nil, nil, err
	}
	if len(c.from) == 1 {
		c.alone, _ = c.from[0].(*relation)
	}
	if q.Where != nil {
		if c.where, err = b.condition(q.Where, names, "WHERE", expr.BindOptions{}); err != nil {
			return nil, nil, nil, err
		}
	}
	fields, err := b.outputs(q.Items, names, c)
	if err != nil {
		return nil, nil, nil, err
	}
	for i := range c.items {
		if c.distinct {
			if _, err := c.settled(i); err != nil {
				return nil, nil, nil, b.placedAt(err, q.Pos())
			}
		}
	}
	if err := b.group(c, q, fields, names); err != nil {
		return nil, nil, nil, err
	}
	for _, x := range q.DistinctOn {
		n, err := b.distinctOn(c, x, fields, names)
		if err != nil {
			return nil, nil, nil, err
		}
		c.on = append(c.on, n)
	}
	c.names = names
	return c, fields, names, nil
}

// distinctOn is an item of DISTINCT ON: the number or the name of a result
// column, else an expression.
func (b *Binder) distinctOn(c *core, x dialect.Expr, fields []wire.Field, names *level) (expr.Node, error) {
	switch i, err := b.position("DISTINCT ON", x, fields, c.items); {
	case err != nil:
		return nil, err
	case i > 0:
		return c.settled(i - 1)
	}
	n, err := b.bind(x, names, c.allowed())
	if err != nil {
		return nil, err
	}
	c.grouped = append(c.grouped, place{n, x.Pos()})
	return n, nil
}

// orderOn checks that ORDER BY begins with the items of DISTINCT ON, and keeps
// it: it says which row of several is the first.
func (b *Binder) orderOn(c *core, list []order, items []dialect.OrderItem) error {
	met := make(map[int]bool)
	for k, o := range list {
		if len(met) == len(c.on) {
			break
		}
		found := false
		for i, n := range c.on {
			if expr.Equal(n, o.node) {
				met[i], found = true, true
			}
		}
		if !found {
			return b.fail(wire.CodeInvalidSQL, items[min(k, len(items)-1)].X.Pos(), "SELECT DISTINCT ON expressions must match the first ORDER BY expressions")
		}
	}
	c.onOrder = list
	return nil
}

const maxColumns = catalog.MaxColumns + 2 // with the system columns

// outputs binds the select list into c.items.
func (b *Binder) outputs(list []dialect.SelectItem, names *level, c *core) ([]wire.Field, error) {
	var fields []wire.Field
	for _, item := range list {
		if item.Star {
			cols, err := b.star(item, names)
			if err != nil {
				return nil, err
			}
			for _, col := range cols {
				fields = append(fields, col.field)
				c.items = append(c.items, expr.Ref(col.column))
				c.written = append(c.written, nil)
			}
			continue
		}
		n, err := b.bind(item.X, names, c.allowed())
		if err != nil {
			return nil, err
		}
		if b.depth > 1 {
			b.expose(n) // a query around may have it in a condition
		}
		f := wire.Field{Type: n.Type()}
		if col := expr.AsColumn(n); col != nil {
			if o := names.output(col); o != nil {
				f = o.field
			}
		}
		f.Name = outputName(item)
		fields = append(fields, f)
		c.items = append(c.items, n)
		c.written = append(c.written, item.X)
	}
	if len(fields) > maxColumns {
		return nil, b.fail(wire.CodeInvalidSQL, list[0].At, "a result has at most ", strconv.Itoa(maxColumns), " columns")
	}
	return fields, nil
}

// output finds the visible column behind a reference.
func (l *level) output(c *expr.Column) *output {
	for i := range l.star {
		if l.star[i].column == c {
			return &l.star[i]
		}
	}
	return nil
}

// star is what * or t.* stands for.
func (b *Binder) star(item dialect.SelectItem, names *level) ([]output, error) {
	if len(item.Table) == 0 {
		if len(names.sources) == 0 {
			return nil, b.fail(wire.CodeInvalidSQL, item.At, "SELECT * needs a FROM clause")
		}
		return names.star, nil
	}
	src := names.source(append(append(dialect.Name{}, item.Table...), dialect.Ident{}))
	if src == nil {
		return nil, b.fail(wire.CodeInvalidSQL, item.At, "missing FROM-clause entry for table ", item.Table[len(item.Table)-1].Name)
	}
	return src.cols, nil
}

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
		case *dialect.Exists:
			return "exists"
		case *dialect.Typed:
			return e.Type.Name
		case *dialect.Scalar:
			if s, ok := e.Query.Body.(*dialect.Select); ok && len(s.Items) == 1 && !s.Items[0].Star {
				return outputName(s.Items[0])
			}
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

// group binds GROUP BY and HAVING and checks that no column stands outside an
// aggregate that is not grouped by.
func (b *Binder) group(c *core, q *dialect.Select, fields []wire.Field, names *level) error {
	for _, x := range q.GroupBy {
		n, err := b.groupKey(c, x, fields, names)
		if err != nil {
			return err
		}
		c.groupBy = append(c.groupBy, n)
	}
	c.grouping = append(c.groupBy[:len(c.groupBy):len(c.groupBy)], determined(names, c.groupBy)...)
	if q.Having != nil {
		var err error
		if c.having, err = b.condition(q.Having, names, "HAVING", expr.BindOptions{Aggregates: true}); err != nil {
			return err
		}
	}
	c.aggregate = len(c.groupBy) > 0 || c.having != nil
	for i, n := range c.items {
		pos := q.Pos()
		if i < len(q.Items) {
			pos = q.Items[i].At
		}
		c.grouped = append(c.grouped, place{n, pos})
	}
	if c.having != nil {
		c.grouped = append(c.grouped, place{c.having, q.Having.Pos()})
	}
	return nil
}

// finish decides whether a block is of groups, once everything of it is bound,
// and checks that its expressions use nothing but groups and aggregates then.
func (b *Binder) finish(c *core) error {
	c.aggregate = c.aggregate || len(c.names.aggregates) > 0
	if !c.aggregate {
		return nil
	}
	for _, p := range c.grouped {
		if col := expr.Ungrouped(p.node, c.grouping, c.names.owns); col != nil {
			return b.fail(wire.CodeInvalidSQL, p.pos, "column ", col.Name, " must appear in the GROUP BY clause or be used in an aggregate function")
		}
	}
	c.lift = b.lifted(c)
	return nil
}

// determined are the columns of the tables whose whole primary key is among keys.
func determined(names *level, keys []expr.Node) []expr.Node {
	var out []expr.Node
	for _, s := range names.sources {
		key, all := false, true
		for _, c := range s.cols {
			if c.field.Flags&wire.FlagPrimaryKey != 0 {
				key = true
				all = all && slices.ContainsFunc(keys, func(n expr.Node) bool { return expr.AsColumn(n) == c.column })
			}
		}
		if !key || !all {
			continue
		}
		for _, c := range s.cols {
			out = append(out, expr.Ref(c.column))
		}
	}
	return out
}

// groupKey is an item of GROUP BY: a column of FROM, else the number or the
// name of a result column, else an expression.
func (b *Binder) groupKey(c *core, x dialect.Expr, fields []wire.Field, names *level) (expr.Node, error) {
	col, name := x.(*dialect.Column)
	if name && len(col.Name) == 1 && names.offers(col.Name[0].Name) {
		return b.bind(x, names, expr.BindOptions{})
	}
	i, err := b.position("GROUP BY", x, fields, c.items)
	if err != nil {
		return nil, err
	}
	if i == 0 {
		return b.bind(x, names, expr.BindOptions{})
	}
	n, err := c.settled(i - 1)
	if err == nil && (expr.HasAggregate(n) || expr.HasWindow(n)) {
		err = b.fail(wire.CodeInvalidSQL, x.Pos(), "aggregate and window functions are not allowed in GROUP BY")
	}
	return n, err
}

// settled is item i of the select list with a type of its own, which an untyped
// literal that is sorted or grouped by cannot wait for.
func (c *core) settled(i int) (n expr.Node, err error) {
	if c.items[i].Type().Kind != expr.Interval {
		c.items[i], err = expr.Settle(c.items[i])
	}
	return c.items[i], err
}

// find is the number of the result column that is the same expression, 0 for
// none.
func (c *core) find(n expr.Node) int {
	for i := range c.items {
		if expr.Equal(c.items[i], n) {
			return i + 1
		}
	}
	return 0
}

// setOp is L op R.
type setOp struct {
	op   string
	all  bool
	l, r body
}

func (s *setOp) nodes() []expr.Node { return s.l.nodes() }

func (s *setOp) retype(types []wire.Type) error {
	if err := s.l.retype(types); err != nil {
		return err
	}
	return s.r.retype(types)
}

// side binds a body that has no ORDER BY of its own.
func (b *Binder) side(q dialect.QueryBody, outer *level) (body, []wire.Field, error) {
	body, fields, _, err := b.body(q, outer)
	if c, ok := body.(*core); ok && err == nil {
		err = b.finish(c)
	}
	return body, fields, err
}

func (b *Binder) setOp(q *dialect.SetOp, outer *level) (*setOp, []wire.Field, error) {
	l, fields, err := b.side(q.L, outer)
	if err != nil {
		return nil, nil, err
	}
	r, right, err := b.side(q.R, outer)
	if err != nil {
		return nil, nil, err
	}
	if len(fields) != len(right) {
		return nil, nil, b.fail(wire.CodeInvalidSQL, q.Pos(), "each side of ", q.Op, " must have the same number of columns: ", strconv.Itoa(len(fields)), " and ", strconv.Itoa(len(right)))
	}
	s := &setOp{op: q.Op, all: q.All, l: l, r: r}
	types, err := unify(q.Op, l.nodes(), r.nodes())
	if err == nil {
		err = s.retype(types)
	}
	if err != nil {
		return nil, nil, b.placedAt(err, q.Pos())
	}
	if !q.All || q.Op != "UNION" {
		distinct(l, r)
	}
	for i := range fields {
		fields[i].Type = types[i]
		fields[i].Flags = 0
	}
	return s, fields, nil
}

// distinct prepares the columns of bodies whose equal rows become one.
func distinct(bodies ...body) {
	for i := range bodies[0].nodes() {
		var column []expr.Node
		for _, b := range bodies {
			column = append(column, b.nodes()[i])
		}
		for k, n := range expr.Keyed(column...) {
			bodies[k].nodes()[i] = n
		}
	}
}

// values is VALUES (..), (..).
type values struct {
	rows  [][]expr.Node
	names *level
}

func (v *values) nodes() []expr.Node { return v.rows[0] }

func (v *values) retype(types []wire.Type) error {
	for _, row := range v.rows {
		if err := convertAll(row, types); err != nil {
			return err
		}
	}
	return nil
}

func (b *Binder) values(q *dialect.Values, outer *level) (*values, []wire.Field, error) {
	names := &level{outer: outer}
	v := &values{names: names}
	for _, row := range q.Rows {
		if len(row) != len(q.Rows[0]) {
			return nil, nil, b.fail(wire.CodeInvalidSQL, row[0].Pos(), "VALUES lists must all be the same length")
		}
		nodes := make([]expr.Node, len(row))
		for i, x := range row {
			var err error
			if nodes[i], err = b.bind(x, names, expr.BindOptions{}); err != nil {
				return nil, nil, err
			}
		}
		v.rows = append(v.rows, nodes)
	}
	types, err := unify("VALUES", v.rows...)
	if err == nil {
		err = v.retype(types)
	}
	if err != nil {
		return nil, nil, b.placedAt(err, q.Pos())
	}
	fields := make([]wire.Field, len(types))
	for i := range fields {
		fields[i] = wire.Field{Name: "column" + strconv.Itoa(i+1), Type: types[i]}
	}
	return v, fields, nil
}
