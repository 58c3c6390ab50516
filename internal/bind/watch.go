package bind

import (
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Watch is a bound live query: one table, a filter and a projection, each of
// which works on the engine (for the snapshot) and on a row at hand (for a
// change).
type Watch struct {
	Fields []wire.Field // of the rows that are sent: the select list, then what clients need beside it
	Shown  int          // how many of Fields the select list asked for
	// UsesCaller says that the query means something else for another user.
	UsesCaller bool

	// Members are the memberships that policies ask for, in the order of
	// expr.Env.Members.
	Members []*Members

	rel   *relation
	items []expr.Node
	where expr.Node
}

// Table is the table that is watched.
func (w *Watch) Table() *catalog.Table { return w.rel.table }

// Watch binds a live query. A clause that a live query cannot have is refused
// by name, with code INVALID_SQL.
func (b *Binder) Watch(s dialect.Statement) (*Watch, error) {
	q, ok := s.(*dialect.Query)
	if !ok {
		return nil, b.fail(wire.CodeInvalidSQL, s.Pos(), "a live query is a SELECT on one table")
	}
	core, err := b.watchShape(q)
	if err != nil {
		return nil, err
	}
	ref := core.From[0].(*dialect.TableRef)
	table, err := b.table(ref.Name, false)
	if err != nil {
		return nil, err
	}
	if table.Kind == catalog.System {
		return nil, b.fail(wire.CodeInvalidSQL, ref.Pos(), "system tables cannot be watched yet")
	}
	w := &Watch{}
	if w.rel, err = b.rowsOf(table, ref.As, catalog.Select); err != nil {
		return nil, err
	}
	if err := b.watchPolicies(w, ref.Pos()); err != nil {
		return nil, err
	}
	names := w.rel.level()
	if core.Where != nil {
		if w.where, err = b.condition(core.Where, names, "WHERE", expr.BindOptions{}); err != nil {
			return nil, err
		}
	}
	if w.Fields, w.items, err = b.rowOutputs(core.Items, names); err != nil {
		return nil, err
	}
	w.Shown = len(w.Fields)
	for _, n := range append(append([]expr.Node{}, w.items...), w.where) {
		if n == nil {
			continue
		}
		if expr.HasQuery(n) {
			return nil, b.fail(wire.CodeInvalidSQL, core.Pos(), "a live query has no sub-query: it is SELECT columns FROM namespace.table [WHERE ...]")
		}
		if name := expr.Unsteady(n); name != "" {
			// A row would come and go, or look different, without a change that says so.
			return nil, b.fail(wire.CodeInvalidSQL, core.Pos(), "a live query has no ", strings.ToUpper(name), ", whose value is another one at every look: send the value as a parameter, and subscribe again when it is to be another")
		}
		w.UsesCaller = w.UsesCaller || expr.UsesCaller(n)
	}
	for _, k := range table.Key {
		w.need(k)
	}
	w.need(w.rel.seq())
	taken := make(map[string]bool)
	for _, f := range w.Fields {
		if taken[f.Name] {
			return nil, b.fail(wire.CodeInvalidSQL, core.Pos(), "two columns of the live query are called ", f.Name, ", which also carries its key and _seq; give one an alias")
		}
		taken[f.Name] = true
	}
	return w, nil
}

// need adds a column that clients need, unless it is there under its name.
func (w *Watch) need(i int) {
	o := w.rel.cols[i]
	for k, n := range w.items {
		if expr.AsColumn(n) == o.column && w.Fields[k].Name == o.field.Name {
			return
		}
	}
	o.field.Index = len(w.Fields)
	w.Fields = append(w.Fields, o.field)
	w.items = append(w.items, expr.Ref(o.column))
}

// watchShape refuses what a live query cannot have.
func (b *Binder) watchShape(q *dialect.Query) (*dialect.Select, error) {
	refuse := func(n dialect.Node, clause string) (*dialect.Select, error) {
		return nil, b.fail(wire.CodeInvalidSQL, n.Pos(), "a live query has no ", clause, ": it is SELECT columns FROM namespace.table [WHERE ...]")
	}
	if q.With != nil {
		return refuse(q.With, "WITH")
	}
	core, ok := q.Body.(*dialect.Select)
	if !ok {
		return refuse(q.Body, "set operation or VALUES")
	}
	switch {
	case len(q.OrderBy) > 0:
		return refuse(q.OrderBy[0].X, "ORDER BY")
	case q.Limit != nil:
		return refuse(q.Limit, "LIMIT")
	case q.Offset != nil:
		return refuse(q.Offset, "OFFSET")
	case core.Distinct || len(core.DistinctOn) > 0:
		return refuse(core, "DISTINCT")
	case len(core.GroupBy) > 0:
		return refuse(core.GroupBy[0], "GROUP BY")
	case core.Having != nil:
		return refuse(core.Having, "HAVING")
	case len(core.From) != 1:
		return refuse(core, "list of tables")
	}
	switch f := core.From[0].(type) {
	case *dialect.Join:
		return refuse(f, "JOIN")
	case *dialect.SubqueryRef:
		return refuse(f, "sub-query")
	case *dialect.TableRef:
		if len(f.Columns) > 0 {
			return refuse(f, "column list after an alias")
		}
		if len(f.Name) < 2 && b.Namespace == "" {
			return nil, b.fail(wire.CodeInvalidSQL, f.Pos(), "a live query names its table as namespace.table")
		}
	}
	return core, nil
}

// PrintPage writes the query for one page of the snapshot: the rows of the
// filter whose _seq lies above parameter $n+1 and not above $n+2, in the order
// of _seq, $n+3 at most. With newest it is the last ones, newest first. The
// last column is always _seq.
func (w *Watch) PrintPage(target expr.Target, n int, newest bool) Printed {
	p := expr.NewPrinter(target)
	p.Raw("SELECT ")
	var cols []wire.Type
	for _, item := range w.items {
		p.Node(item)
		p.Raw(",")
		cols = append(cols, item.Type())
	}
	seq := w.rel.cols[w.rel.seq()].column
	p.Raw(seq.SQL)
	cols = append(cols, seq.T)
	arg := func(i int) {
		p.Arg(expr.Arg{Kind: expr.ArgParam, N: n + i, Type: wire.Type{Kind: wire.BigInt}})
	}
	w.rel.printAlone(p, w.where, func() {
		p.Raw(seq.SQL + " > ")
		arg(1)
		p.Raw(" AND " + seq.SQL + " <= ")
		arg(2)
	})
	p.Raw(" ORDER BY " + seq.SQL)
	if newest {
		p.Raw(" DESC")
	}
	p.Raw(" LIMIT ")
	arg(3)
	return Printed{SQL: p.SQL(), Args: p.Args(), Cols: cols}
}

// Equal finds a column that the filter compares for equality, and what with: no
// row with another value passes. ok is false when there is none, or only one
// whose value is NULL.
func (w *Watch) Equal(env *expr.Env) (column int, value wire.Value, ok bool) {
	if w.where == nil || w.rel.policy != nil {
		return 0, value, false
	}
	expr.EqualTo(w.where, func(c *expr.Column, n expr.Node) {
		if c.Index >= len(w.rel.table.Columns) {
			return // _seq, which no stored row has
		}
		// A key column tells rows apart best.
		if ok && !(w.rel.table.IsKey(c.Index) && !w.rel.table.IsKey(column)) {
			return
		}
		if v, err := n.Eval(env); err == nil && !v.IsNull() {
			column, value, ok = c.Index, v, true
		}
	})
	return column, value, ok
}

// Match reports whether policies show env.Row, and it passes the filter. The filter
// is not evaluated on a row that they hide.
func (w *Watch) Match(env *expr.Env) (bool, error) {
	if w.rel.policy != nil {
		v, err := w.rel.policy.Eval(env)
		if err != nil {
			return false, w.policyFailed(err)
		}
		if !v.Bool() {
			return false, nil
		}
	}
	if w.where == nil {
		return true, nil
	}
	v, err := w.where.Eval(env)
	return v.Bool(), err
}

// Project computes the row that is sent for env.Row.
func (w *Watch) Project(env *expr.Env) ([]wire.Value, error) {
	out := make([]wire.Value, len(w.items))
	for i, n := range w.items {
		var err error
		if out[i], err = n.Eval(env); err != nil {
			return nil, err
		}
	}
	return out, nil
}
