package bind

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// relation is a table in a bound statement, limited to the rows of the user who
// runs it. Only Binder.relation makes one.
type relation struct {
	table *catalog.Table
	as    string // the name that the statement calls it by
	sql   string // the name that the printed statement calls it by
	cols  []output

	policy expr.Node // the rows that policies show; nil: all of them
	fence  *fence    // of the statement; nil unless the table is governed
}

// relation names the columns of a table. One of a governed table is empty; rowsOf
// makes those that have rows.
func (b *Binder) relation(table *catalog.Table, as *dialect.Ident) *relation {
	r := &relation{table: table, as: table.Name, sql: b.name("r")}
	if table.Governed() {
		r.policy, r.fence = expr.Const(wire.BoolValue(false), wire.Type{Kind: wire.Boolean}), &fence{}
	}
	if as != nil {
		r.as = as.Name
	}
	for i := range table.Columns {
		c := &table.Columns[i]
		notNull := c.NotNull || table.IsKey(i)
		f := wire.Field{Name: c.Name, Type: c.Type}
		if table.IsKey(i) {
			f.Flags |= wire.FlagPrimaryKey
		}
		if table.IsUnique(i) {
			f.Flags |= wire.FlagUnique
		}
		r.add(f, r.sql+"."+c.Physical(), notNull)
	}
	if table.Kind != catalog.System {
		r.add(wire.Field{Name: catalog.SeqColumn, Type: wire.Type{Kind: wire.BigInt}}, r.sql+"."+catalog.SeqColumn, true)
		r.add(wire.Field{Name: catalog.DeletedColumn, Type: wire.Type{Kind: wire.Boolean}}, "FALSE", true)
	}
	if b.resolved != nil {
		b.made = append(b.made, r)
	}
	return r
}

func (r *relation) add(f wire.Field, sql string, notNull bool) {
	if notNull {
		f.Flags |= wire.FlagNotNull
	}
	c := &expr.Column{Index: len(r.cols), Name: f.Name, T: f.Type, SQL: sql, NotNull: notNull}
	r.cols = append(r.cols, output{field: f, column: c})
}

// seq is the index of the column _seq.
func (r *relation) seq() int { return len(r.table.Columns) }

// level is the names of a statement on this table alone.
func (r *relation) level() *level {
	return &level{sources: []visible{{name: r.as, namespace: r.table.Namespace, table: r.table.FullName(), cols: r.cols}}, star: r.cols}
}

// scope prints the condition that limits the relation to the caller's rows,
// and a STREAM table to those that have not expired. It reports whether there
// is one.
func (r *relation) scope(p *expr.Printer, name string) bool {
	if !r.scoped() {
		return false
	}
	if column, all := r.table.RowsOf(); column != "" {
		p.Raw("(" + name + "." + column + " = ")
		p.Arg(expr.Arg{Kind: expr.ArgUser, Type: wire.Type{Kind: wire.Text}})
		if all {
			p.Raw(" OR ")
			p.Arg(expr.Arg{Kind: expr.ArgRole, Type: wire.Type{Kind: wire.Text}})
			p.Raw(" IN ('dba', 'system')")
		}
		p.Raw(")")
		return true
	}
	p.Raw(name + "._user = ")
	p.Arg(expr.Arg{Kind: expr.ArgUser, Type: wire.Type{Kind: wire.Text}})
	if r.table.Kind == catalog.Stream && r.table.TTL > 0 {
		p.Raw(" AND " + name + "._seq >= ((")
		p.Arg(expr.Arg{Kind: expr.ArgNow, Type: wire.Type{Kind: wire.BigInt}})
		p.Raw(" / 1000 - " + itoa(epochMillis+r.table.TTL*1000) + ") << 22)")
	}
	return true
}

// scoped reports whether the relation is limited to rows of the caller.
func (r *relation) scoped() bool {
	column, _ := r.table.RowsOf()
	return column != "" || r.table.Kind.Private()
}

// print writes the relation as an item of FROM among others: a private table as
// the sub-query of the caller's rows, and a governed one as that of the rows that
// policies show, which holds under every kind of join.
func (r *relation) print(p *expr.Printer) {
	switch {
	case r.policy != nil:
		r.printShown(p, nil, nil)
	case !r.scoped():
		p.Raw(r.physical(p) + " AS " + r.sql)
	default:
		p.Raw("(SELECT * FROM " + r.physical(p) + " AS s WHERE ")
		r.scope(p, "s")
		p.Raw(") AS " + r.sql)
	}
}

// printAlone writes the relation as the only item of FROM, with its scope and
// the condition as WHERE; more, if it is not nil, writes another condition, which
// cannot fail.
func (r *relation) printAlone(p *expr.Printer, where expr.Node, more func()) {
	if r.policy != nil && r.fence.up {
		r.printFenced(p, where, more)
		return
	}
	p.Raw(" FROM " + r.physical(p) + " AS " + r.sql)
	and := conditions(p)
	if r.scoped() {
		and(func() { r.scope(p, r.sql) })
	}
	if r.policy != nil {
		and(func() { p.Node(r.policy) })
	}
	if where != nil {
		and(func() { p.Raw("("); p.Node(where); p.Raw(")") })
	}
	if more != nil {
		and(more)
	}
}

// printFenced writes a governed relation as the only item of FROM. The conditions
// that may be tested on any row stand with the policies, the others around them.
func (r *relation) printFenced(p *expr.Printer, where expr.Node, more func()) {
	var safe, rest []expr.Node
	for _, n := range expr.Conjuncts(where) {
		if expr.Leakproof(n) {
			safe = append(safe, n)
		} else {
			rest = append(rest, n)
		}
	}
	p.Raw(" FROM ")
	r.printShown(p, safe, more)
	if len(rest) > 0 {
		p.Raw(" WHERE ")
		p.Node(expr.And(rest...))
	}
}

// printShown writes the sub-query of the rows that policies show and that meet
// further conditions. With the fence up it has a LIMIT, over which no engine moves
// a condition into a query.
func (r *relation) printShown(p *expr.Printer, safe []expr.Node, more func()) {
	p.Raw("(SELECT * FROM " + r.physical(p) + " AS " + r.sql)
	and := conditions(p)
	and(func() { p.Node(r.policy) })
	for _, n := range safe {
		and(func() { p.Node(n) })
	}
	if more != nil {
		and(more)
	}
	if r.fence.up {
		p.Raw(" LIMIT 9223372036854775807")
	}
	p.Raw(") AS " + r.sql)
}

// conditions returns what writes conditions one after the other: WHERE before the
// first and AND before the others.
func conditions(p *expr.Printer) func(write func()) {
	word := " WHERE "
	return func(write func()) {
		p.Raw(word)
		write()
		word = " AND "
	}
}

// physical is what the engine reads: a table, or the query behind a system
// table.
func (r *relation) physical(p *expr.Printer) string {
	if r.table.Kind != catalog.System {
		return r.table.Physical()
	}
	fields := make([]wire.Field, len(r.table.Columns))
	for i, c := range r.table.Columns {
		fields[i] = wire.Field{Name: c.Name, Type: c.Type}
	}
	view := r.table.View()
	if view != "" {
		view = p.Target().View(fields, view)
	}
	if !r.table.InMemory() {
		return "(" + view + ")"
	}
	arg := p.Placeholder(expr.Arg{Kind: expr.ArgRows, Rows: r.table, Type: wire.Type{Kind: wire.Text}})
	rows := p.Target().Rows(fields, arg)
	if view != "" {
		rows += " UNION ALL " + view
	}
	return "(" + rows + ")"
}
