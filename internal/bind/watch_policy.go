package bind

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Members is a membership of a live query: the query for its set, and the tables
// whose changes change it.
type Members struct {
	expr.Membership
	Tables []MemberTable

	query *Select
}

// MemberTable is a table that a membership reads.
type MemberTable struct {
	Table *catalog.Table
	equal expr.Node // the condition on its rows; nil: any row counts
}

// watchPolicies makes the policies on a watched table ones that can be evaluated on
// a row, with its memberships as sets.
func (b *Binder) watchPolicies(w *Watch, pos dialect.Pos) error {
	if w.rel.policy == nil {
		return nil
	}
	w.UsesCaller = true
	n, list, ok := expr.Memberships(w.rel.policy)
	if !ok {
		return b.fail(wire.CodeInvalidSQL, pos, "a live query under policies whose memberships compare other types than integers, texts, booleans, dates, times and UUIDs is not supported: ", w.rel.table.FullName())
	}
	w.rel.policy = n
	for _, m := range list {
		query := m.Query.(*Select)
		members := &Members{Membership: m, query: query}
		members.read(query)
		w.Members = append(w.Members, members)
	}
	return nil
}

// read notes the tables that a query of a membership reads.
func (m *Members) read(q *Select) {
	c := q.body.(*core)
	m.Tables = append(m.Tables, MemberTable{c.alone.table, c.where})
	for _, inner := range expr.Queries(c.where) {
		m.read(inner.(*Select))
	}
}

// Printed is the query for the set of the user.
func (m *Members) Printed(target expr.Target) Printed { return m.query.Printed(target) }

// Equal finds a column of the table, and its value in every row that counts for the
// user of env.
func (t MemberTable) Equal(env *expr.Env) (column int, value wire.Value, ok bool) {
	if t.equal == nil {
		return 0, value, false
	}
	expr.EqualTo(t.equal, func(c *expr.Column, n expr.Node) {
		if v, err := n.Eval(env); !ok && err == nil && !v.IsNull() {
			column, value, ok = c.Index, v, true
		}
	})
	return column, value, ok
}

// Governed reports whether policies limit what the live query shows.
func (w *Watch) Governed() bool { return w.rel.policy != nil }

// Cover finds values of columns of which every row has one that the live query
// shows with the sets of env; ok is false when it may show any row.
func (w *Watch) Cover(env *expr.Env) (keys []expr.KeyValue, ok bool) {
	list := []expr.Node{w.rel.policy}
	if w.where != nil {
		list = append(list, w.where)
	}
	return expr.Cover(expr.And(list...), env)
}

// PrintDiffering writes the query for the rows of versions not above parameter
// $n+1 whose values are in set first+i of Env.Members, for one of the memberships:
// the columns of the table, and _seq.
func (w *Watch) PrintDiffering(target expr.Target, n, first int) Printed {
	p := expr.NewPrinter(target)
	p.Raw("SELECT ")
	var cols []wire.Type
	for i, o := range w.rel.cols[:w.rel.seq()+1] {
		if i > 0 {
			p.Raw(", ")
		}
		p.Raw(o.column.SQL)
		cols = append(cols, o.column.T)
	}
	p.Raw(" FROM " + w.rel.table.Physical() + " AS " + w.rel.sql + " WHERE (")
	for i, m := range w.Members {
		if i > 0 {
			p.Raw(" OR ")
		}
		m.PrintIn(p, first+i)
	}
	p.Raw(") AND " + w.rel.cols[w.rel.seq()].column.SQL + " <= ")
	p.Arg(expr.Arg{Kind: expr.ArgParam, N: n + 1, Type: wire.Type{Kind: wire.BigInt}})
	return Printed{SQL: p.SQL(), Args: p.Args(), Cols: cols}
}

// Gone makes a row that is not shown any more one that says no more of it than
// which it was: its key and system columns.
func (w *Watch) Gone(row []wire.Value) []wire.Value {
	out := make([]wire.Value, len(row))
	for i, f := range w.Fields {
		if f.Flags&wire.FlagPrimaryKey != 0 || f.Name == catalog.SeqColumn || f.Name == catalog.DeletedColumn {
			out[i] = row[i]
		}
	}
	return out
}

// policyFailed words an error of a policy, which may be about a row that is hidden.
func (w *Watch) policyFailed(err error) error {
	g := Guard{table: w.rel.table, command: "SELECT"}
	return g.Failed(err)
}
