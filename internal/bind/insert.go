package bind

import (
	"slices"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Conflict is what an INSERT does with a row whose key or unique value is there
// already.
type Conflict struct {
	Target  []int        // columns of the index that decides; nil: any, of DO NOTHING
	Set     []Assignment // computed on the old row followed by the new one; nil: DO NOTHING
	where   expr.Node    // nil: always
	Nothing bool
	Old     *Guard // of DO UPDATE, on the row that is there; nil: none
	New     *Guard // of DO UPDATE, on what becomes of it; nil: none
}

// Insert binds an INSERT.
func (b *Binder) Insert(s *dialect.Insert) (*Insert, error) {
	with, err := b.with(s.With)
	if err != nil {
		return nil, err
	}
	t, err := b.target(s.Table)
	if err != nil {
		return nil, err
	}
	targets, err := b.targets(t, s.Columns)
	if err != nil {
		return nil, err
	}
	defaults, err := b.defaults(t)
	if err != nil {
		return nil, err
	}
	in := &Insert{Table: t}
	switch {
	case s.Query == nil:
		in.Rows = [][]expr.Node{defaults}
	case isValues(s.Query) && len(with) == 0:
		err = b.insertValues(in, s, targets, defaults)
	default:
		err = b.insertQuery(in, s, with, targets, defaults)
	}
	if err != nil {
		return nil, err
	}
	if in.checks, err = b.checks(t); err != nil {
		return nil, err
	}
	if s.OnConflict != nil {
		if in.Conflict, err = b.conflict(t, s); err != nil {
			return nil, err
		}
	}
	if err := b.guardInsert(in, s); err != nil {
		return nil, err
	}
	in.Returning, err = b.returning(b.relation(t, s.As).level(), s.Returning, &askedOf{
		table: t, with: with, recursive: s.With != nil && s.With.Recursive, several: in.Query != nil || len(in.Rows) > 1,
	})
	return in, err
}

// isValues reports whether a query is nothing but VALUES.
func isValues(q *dialect.Query) bool {
	_, ok := q.Body.(*dialect.Values)
	return ok && q.With == nil && len(q.OrderBy) == 0 && q.Limit == nil && q.Offset == nil
}

// targets are the indexes of the columns that an INSERT gives values to.
func (b *Binder) targets(t *catalog.Table, list []dialect.Ident) ([]int, error) {
	var out []int
	if len(list) == 0 {
		for i := range t.Columns {
			out = append(out, i)
		}
		return out, nil
	}
	for _, id := range list {
		i, err := b.columnIndex(t, id)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, i) {
			return nil, b.fail(wire.CodeInvalidSQL, id.Pos, "column ", id.Name, " is named twice")
		}
		out = append(out, i)
	}
	return out, nil
}

// fits checks the number of values against that of the columns.
func (b *Binder) fits(n int, targets []int, named bool, pos dialect.Pos) error {
	switch {
	case n > len(targets):
		return b.fail(wire.CodeInvalidSQL, pos, "INSERT has more values than columns: ", itoa(int64(n)), " for ", itoa(int64(len(targets))))
	case n < len(targets) && named:
		return b.fail(wire.CodeInvalidSQL, pos, "INSERT has more columns than values: ", itoa(int64(len(targets))), " for ", itoa(int64(n)))
	}
	return nil
}

func (b *Binder) insertValues(in *Insert, s *dialect.Insert, targets []int, defaults []expr.Node) error {
	query := false
	for _, row := range s.Query.Body.(*dialect.Values).Rows {
		if err := b.fits(len(row), targets, len(s.Columns) > 0, row[min(len(targets), len(row)-1)].Pos()); err != nil {
			return err
		}
		nodes := slices.Clone(defaults)
		for i, x := range row {
			if _, ok := x.(*dialect.Default); ok {
				continue
			}
			c := targets[i]
			n, err := b.intoColumn(x, nil, in.Table, c)
			if err != nil {
				return err
			}
			query = query || expr.HasQuery(n)
			nodes[c] = n
		}
		in.Rows = append(in.Rows, nodes)
	}
	if !query {
		return nil
	}
	// A sub-query among the values: the engine computes all of them but the
	// numbers of counters.
	v := &values{rows: in.Rows, names: &level{}}
	in.Rows = nil
	in.Query = &Select{body: v, limits: b.limits}
	for i := range defaults {
		if in.Table.Columns[i].Serial > 0 {
			counted := 0
			for _, row := range v.rows {
				if row[i] == defaults[i] {
					row[i] = expr.Const(wire.Null, in.Table.Columns[i].Type)
					counted++
				}
			}
			if counted == len(v.rows) {
				in.FromQuery = append(in.FromQuery, defaults[i])
				continue
			}
			if counted > 0 {
				return b.Unsupported(s.Query.Pos(), "a SERIAL column that has a value in one row and none in another, beside a sub-query,")
			}
		}
		in.FromQuery = append(in.FromQuery, expr.Ref(&expr.Column{Index: i, T: in.Table.Columns[i].Type}))
	}
	return nil
}

func (b *Binder) insertQuery(in *Insert, s *dialect.Insert, with []*cte, targets []int, defaults []expr.Node) error {
	q, err := b.query(s.Query, nil)
	if err != nil {
		return err
	}
	if len(with) > 0 {
		q.with = append(with, q.with...)
		q.recursive = q.recursive || s.With.Recursive
	}
	q.limits = b.limits
	nodes := q.nodes()
	if err := b.fits(len(nodes), targets, len(s.Columns) > 0, s.Query.Pos()); err != nil {
		return err
	}
	in.Query = q
	in.FromQuery = slices.Clone(defaults)
	for i, n := range nodes {
		c := targets[i]
		if in.Table.Columns[c].Always {
			return b.always(s.Query.Pos(), in.Table, c)
		}
		// A literal takes the type of its column, as in VALUES.
		if core, ok := q.body.(*core); ok && (expr.IsOpen(n) || isInteger(core.written[i])) {
			if n, err = give(core.written[i], n, in.Table.Columns[c].Type); err != nil {
				return b.forColumn(b.placedAt(err, core.written[i].Pos()), in.Table, c)
			}
			nodes[i] = n
		}
		t := n.Type()
		if t.Kind == wire.Unknown {
			t.Kind = wire.Text
		}
		v, err := expr.Assign(expr.Ref(&expr.Column{Index: i, T: t}), in.Table.Columns[c].Type)
		if err != nil {
			return b.forColumn(b.placedAt(err, s.Query.Pos()), in.Table, c)
		}
		if in.FromQuery[c], err = held(v, in.Table, c); err != nil {
			return err
		}
	}
	return nil
}

// conflict binds ON CONFLICT. Its expressions see the row that is there under
// the table's name and the new one as EXCLUDED.
func (b *Binder) conflict(t *catalog.Table, s *dialect.Insert) (*Conflict, error) {
	oc := s.OnConflict
	c := &Conflict{Nothing: oc.Nothing}
	for _, id := range oc.Columns {
		i, err := b.columnIndex(t, id)
		if err != nil {
			return nil, err
		}
		c.Target = append(c.Target, i)
	}
	if len(c.Target) > 0 && !decides(t, c.Target) {
		return nil, b.fail(wire.CodeInvalidSQL, oc.Pos(), "ON CONFLICT needs the columns of the primary key or of a UNIQUE constraint")
	}
	if oc.Nothing {
		return c, nil
	}
	if len(c.Target) == 0 {
		return nil, b.fail(wire.CodeInvalidSQL, oc.Pos(), "ON CONFLICT DO UPDATE needs the conflict's columns: ON CONFLICT (id) DO UPDATE ...")
	}
	if t.Kind == catalog.Stream {
		return nil, b.fail(wire.CodeUnsupported, oc.Pos(), "ON CONFLICT DO UPDATE is not supported for STREAM tables")
	}
	old := b.relation(t, s.As)
	fresh := b.relation(t, &dialect.Ident{Name: "excluded"})
	width := len(old.cols)
	for i := range fresh.cols {
		fresh.cols[i].column.Index += width
	}
	names := &level{
		sources: append(old.level().sources, fresh.level().sources...),
		star:    old.cols, // a bare name is the row that is there
	}
	names.sources[1].namespace = ""
	var err error
	if c.Set, err = b.set(t, oc.Set, names); err != nil {
		return nil, err
	}
	if oc.Where != nil {
		if c.where, err = b.condition(oc.Where, names, "WHERE", expr.BindOptions{}); err != nil {
			return nil, err
		}
	}
	for _, n := range append([]expr.Node{c.where}, values0(c.Set)...) {
		if n != nil && expr.HasQuery(n) {
			return nil, b.Unsupported(oc.Pos(), "a sub-query in ON CONFLICT")
		}
	}
	return c, nil
}

func values0(set []Assignment) []expr.Node {
	out := make([]expr.Node, len(set))
	for i := range set {
		out[i] = set[i].Value
	}
	return out
}

// decides reports whether the columns are the key of t or a unique column.
func decides(t *catalog.Table, cols []int) bool {
	if same(cols, t.Key) {
		return true
	}
	return slices.ContainsFunc(t.Indexes, func(ix catalog.Index) bool { return ix.Unique && same(cols, positions(t, &ix)) })
}

// same reports whether two lists hold the same columns.
func same(a, b []int) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return len(b) > 0 && slices.Equal(a, b)
}

func positions(t *catalog.Table, ix *catalog.Index) []int {
	out := make([]int, len(ix.Columns))
	for i, id := range ix.Columns {
		out[i] = t.ByID(id)
	}
	return out
}

// Unique lists the columns of each key and unique index of a table.
func Unique(t *catalog.Table) [][]int {
	var out [][]int
	if len(t.Key) > 0 {
		out = append(out, t.Key)
	}
	for i := range t.Indexes {
		if t.Indexes[i].Unique {
			out = append(out, positions(t, &t.Indexes[i]))
		}
	}
	return out
}

// Applies reports whether DO UPDATE takes the conflict whose old row, followed
// by the new one, is env.Row.
func (c *Conflict) Applies(env *expr.Env) (bool, error) {
	if c.where == nil {
		return true, nil
	}
	v, err := c.where.Eval(env)
	return v.Bool(), err
}
