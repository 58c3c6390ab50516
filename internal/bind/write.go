package bind

import (
	"slices"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/wire"
)

// Insert is a bound INSERT. Its rows are either values, which the engine
// evaluates one by one, or come from a query.
type Insert struct {
	Table     *catalog.Table
	Rows      [][]expr.Node // one node for each column of the table; nil with Query
	Query     *Select       // nil with Rows
	FromQuery []expr.Node   // with Query: the table's columns, computed on a row of it
	Conflict  *Conflict     // nil: a conflict is an error
	Returning *Returning    // nil: none
	Guard     *Guard        // on each row; nil: none
	checks    []expr.Node
}

// Change is a bound UPDATE or DELETE: the rows it touches and, for an UPDATE,
// their new values.
type Change struct {
	Table     *catalog.Table
	Set       []Assignment // empty for a DELETE
	Returning *Returning
	Guard     *Guard // of an UPDATE, on each new row; nil: none
	with      []*cte
	refs      []*cte // the WITH queries that the statement names
	recursive bool   // of with
	rel       *relation
	from      []source       // of UPDATE ... FROM and DELETE ... USING
	others    []*expr.Column // of from, that RETURNING sees behind the row
	where     expr.Node
	checks    []expr.Node
}

// Assignment gives the column with that index a value: computed in Go from the
// old row, or, with InQuery, by the query that finds the rows.
type Assignment struct {
	Column  int
	Value   expr.Node
	InQuery bool
}

// target is the table that a statement changes.
func (b *Binder) target(name dialect.Name) (*catalog.Table, error) {
	t, err := b.table(name, true)
	if err != nil {
		return nil, err
	}
	if t.Kind == catalog.System {
		return nil, b.fail(wire.CodePermissionDenied, name[0].Pos, "system tables are read-only; permission denied for ", t.FullName())
	}
	return t, nil
}

// with binds the WITH clause of a statement that writes. Its queries are in
// sight for the rest of the statement; they print with the query that reads.
func (b *Binder) with(w *dialect.With) ([]*cte, error) {
	if w == nil {
		return nil, nil
	}
	var out []*cte
	for i := range w.CTEs {
		if err := b.namedOnce(w.CTEs, i); err != nil {
			return nil, err
		}
		c, err := b.cte(&w.CTEs[i], w.Recursive, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
		b.ctes = &cteScope{c, b.ctes}
	}
	b.refs = nil
	return out, nil
}

// columnIndex finds a column that a statement writes.
func (b *Binder) columnIndex(t *catalog.Table, id dialect.Ident) (int, error) {
	if i := t.Column(id.Name); i >= 0 {
		return i, nil
	}
	if id.Name == catalog.SeqColumn || id.Name == catalog.DeletedColumn {
		return 0, b.fail(wire.CodeInvalidSQL, id.Pos, id.Name, " is a system column and cannot be written")
	}
	e := b.fail(wire.CodeColumnNotFound, id.Pos, "No field named ", id.Name, ": ", t.FullName(), " has no such column").(*wire.Error)
	var known []string
	for i := range t.Columns {
		known = append(known, t.Columns[i].Name)
	}
	e.Hint = nearest(id.Name, known)
	return 0, e
}

// defaults are the values of columns that a statement does not name.
func (b *Binder) defaults(t *catalog.Table) ([]expr.Node, error) {
	out := make([]expr.Node, len(t.Columns))
	for i := range t.Columns {
		var err error
		if out[i], err = b.Default(t, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Default binds what column i of a table gets when no value is given.
func (b *Binder) Default(t *catalog.Table, i int) (expr.Node, error) {
	c := &t.Columns[i]
	if c.Serial > 0 {
		return expr.Serial(c.Serial, c.Type), nil
	}
	if c.Default == "" {
		return expr.Const(wire.Null, c.Type), nil
	}
	x, err := dialect.ParseExpr(c.Default)
	if err != nil {
		return nil, err
	}
	own := Binder{Catalog: b.Catalog, Source: c.Default, Params: new(expr.Params), Budget: b.Budget}
	n, err := own.assign(x, nil, c.Type)
	if err == nil {
		n, err = held(n, t, i)
	}
	if err == nil && expr.HasQuery(n) {
		err = wire.NewError(wire.CodeUnsupported, "a sub-query is not supported there")
	}
	return n, err
}

// Checks binds the CHECK constraints of a table into one test of a row.
func (b *Binder) Checks(t *catalog.Table) (func(env *expr.Env) error, error) {
	checks, err := b.checks(t)
	if err != nil {
		return nil, inDefinition(err, "CHECK")
	}
	return func(env *expr.Env) error { return violated(t, checks, env) }, nil
}

// forColumn adds the column's name to a type error.
func (b *Binder) forColumn(err error, t *catalog.Table, i int) error {
	if e, ok := err.(*wire.Error); ok && e.Code == wire.CodeTypeMismatch {
		return fault.In("column "+t.Columns[i].Name, err)
	}
	return err
}

// Update binds an UPDATE.
func (b *Binder) Update(s *dialect.Update) (*Change, error) {
	c, names, err := b.change(catalog.Update, s.With, s.Table, s.As, s.From, s.Where)
	if err != nil {
		return nil, err
	}
	if c.Table.Kind == catalog.Stream {
		return nil, b.fail(wire.CodeUnsupported, s.Pos(), "UPDATE is not supported for STREAM tables; insert a new row instead")
	}
	if c.Set, err = b.set(c.Table, s.Set, names); err != nil {
		return nil, err
	}
	for i := range c.Set {
		c.Set[i].InQuery = len(c.from) > 0 || expr.HasQuery(c.Set[i].Value)
	}
	if c.checks, err = b.checks(c.Table); err != nil {
		return nil, err
	}
	if c.Guard, err = b.guards(c.Table, "UPDATE", catalog.Update, catalog.Select); err != nil {
		return nil, err
	}
	return c, b.changed(c, s.Returning, names)
}

// changed binds RETURNING of a change. With FROM or USING it sees the columns
// of the sources too, which stand behind those of the row.
func (b *Binder) changed(c *Change, list []dialect.SelectItem, names *level) (err error) {
	c.refs = b.refs
	if len(c.from) > 0 && len(list) > 0 {
		all := names.star[len(c.rel.cols):] // with the columns that USING made of two
		for _, s := range names.sources[1:] {
			all = append(all[:len(all):len(all)], s.cols...)
		}
		for _, o := range all {
			if !slices.Contains(c.others, o.column) {
				o.column.Index = len(c.rel.cols) + len(c.others)
				c.others = append(c.others, o.column)
			}
		}
	}
	c.Returning, err = b.returning(names, list, &askedOf{table: c.Table, with: c.with, recursive: c.recursive, gone: len(c.Set) == 0})
	return err
}

// set binds the assignments of SET.
func (b *Binder) set(t *catalog.Table, list []dialect.Assignment, names *level) ([]Assignment, error) {
	var out []Assignment
	seen := make(map[int]bool)
	for _, a := range list {
		i, err := b.columnIndex(t, a.Column)
		if err != nil {
			return nil, err
		}
		if seen[i] {
			return nil, b.fail(wire.CodeInvalidSQL, a.Column.Pos, "column ", a.Column.Name, " is set twice")
		}
		seen[i] = true
		var n expr.Node
		if _, ok := a.Value.(*dialect.Default); ok {
			if t.Columns[i].Serial > 0 {
				return nil, b.Unsupported(a.Value.Pos(), "SET to the DEFAULT of a SERIAL column")
			}
			defaults, err := b.defaults(t)
			if err != nil {
				return nil, err
			}
			n = defaults[i]
		} else if n, err = b.intoColumn(a.Value, names, t, i); err != nil {
			return nil, err
		}
		out = append(out, Assignment{Column: i, Value: n})
	}
	return out, nil
}

// Delete binds a DELETE.
func (b *Binder) Delete(s *dialect.Delete) (*Change, error) {
	c, names, err := b.change(catalog.Delete, s.With, s.Table, s.As, s.Using, s.Where)
	if err != nil {
		return nil, err
	}
	return c, b.changed(c, s.Returning, names)
}

// change binds what UPDATE and DELETE have in common.
func (b *Binder) change(command catalog.Command, with *dialect.With, name dialect.Name, as *dialect.Ident, from []dialect.TableExpr, where dialect.Expr) (*Change, *level, error) {
	t, err := b.target(name)
	if err != nil {
		return nil, nil, err
	}
	c := &Change{Table: t, recursive: with != nil && with.Recursive}
	if c.rel, err = b.rowsOf(t, as, command, catalog.Select); err != nil {
		return nil, nil, err
	}
	if c.with, err = b.with(with); err != nil {
		return nil, nil, err
	}
	names := c.rel.level()
	if len(from) > 0 {
		// The sources are bound beside the target, whose name they see last.
		others := &level{}
		if c.from, err = b.from(from, others); err != nil {
			return nil, nil, err
		}
		if err := b.admit(others, c.rel.as, name[0].Pos); err != nil {
			return nil, nil, err
		}
		names = &level{
			sources: append(names.sources, others.sources...),
			star:    append(append([]output{}, names.star...), others.star...),
		}
	}
	if where != nil {
		if c.where, err = b.condition(where, names, "WHERE", expr.BindOptions{}); err != nil {
			return nil, nil, err
		}
	}
	return c, names, nil
}

// checks binds the CHECK constraints of a table.
func (b *Binder) checks(t *catalog.Table) ([]expr.Node, error) {
	var out []expr.Node
	for _, c := range t.Checks {
		x, err := dialect.ParseExpr(c.Expr)
		if err != nil {
			return nil, err
		}
		own := Binder{Catalog: b.Catalog, Source: c.Expr, Params: new(expr.Params), Budget: b.Budget}
		n, err := own.condition(x, own.relation(t, nil).level(), "CHECK", expr.BindOptions{})
		if err != nil {
			return nil, err
		}
		if expr.HasQuery(n) {
			return nil, wire.NewError(wire.CodeUnsupported, "a sub-query in CHECK is not supported")
		}
		out = append(out, n)
	}
	return out, nil
}

// Validate binds the defaults and checks of a new table, so that one that
// nobody could write to is refused.
func (b *Binder) Validate(t *catalog.Table) error {
	if _, err := b.defaults(t); err != nil {
		return inDefinition(err, "DEFAULT")
	}
	if _, err := b.checks(t); err != nil {
		return inDefinition(err, "CHECK")
	}
	return nil
}

// inDefinition says which clause of a definition does not bind; a place in the
// stored text would mislead.
func inDefinition(err error, clause string) error {
	if e, ok := err.(*wire.Error); ok {
		out := *e
		out.Line, out.Column = 0, 0
		out.Message = clause + ": " + e.Message
		return &out
	}
	return err
}

// Others is how many columns of FROM or USING RETURNING sees behind those of
// the row.
func (c *Change) Others() int { return len(c.others) }

// Printed is the query for the rows that the statement touches: the columns
// of the table, _seq, those of Others, and then the values of the assignments
// that are InQuery.
func (c *Change) Printed(target expr.Target) Printed {
	p := expr.NewPrinter(target)
	printWith(p, c.with, c.refs, c.recursive)
	p.Raw("SELECT ")
	var cols []wire.Type
	for i, o := range c.rel.cols[:c.rel.seq()+1] {
		if i > 0 {
			p.Raw(", ")
		}
		p.Raw(o.column.SQL)
		cols = append(cols, o.column.T)
	}
	for _, o := range c.others {
		p.Raw(", " + o.SQL)
		cols = append(cols, o.T)
	}
	for _, a := range c.Set {
		if a.InQuery {
			p.Raw(", ")
			p.Node(a.Value)
			cols = append(cols, a.Value.Type())
		}
	}
	if len(c.from) == 0 {
		c.rel.printAlone(p, c.where, nil)
		return Printed{SQL: p.SQL(), Args: p.Args(), Cols: cols}
	}
	p.Raw(" FROM ")
	c.rel.print(p)
	for _, s := range c.from {
		p.Raw(" CROSS JOIN ")
		s.print(p)
	}
	if c.where != nil {
		p.Raw(" WHERE ")
		p.Node(c.where)
	}
	return Printed{SQL: p.SQL(), Args: p.Args(), Cols: cols}
}

// Check tests a new row, with its system columns, against NOT NULL and CHECK.
func (in *Insert) Check(env *expr.Env) error { return check(in.Table, in.checks, env) }

// Check tests a new row, with its system columns, against NOT NULL and CHECK.
func (c *Change) Check(env *expr.Env) error { return check(c.Table, c.checks, env) }

func check(t *catalog.Table, checks []expr.Node, env *expr.Env) error {
	for i := range t.Columns {
		if env.Row[i].IsNull() && (t.Columns[i].NotNull || t.IsKey(i)) {
			return wire.NewError(wire.CodeNotNullViolation, "null value in column ", t.Columns[i].Name, " of ", t.FullName(), " violates its NOT NULL constraint; a value is required")
		}
	}
	return violated(t, checks, env)
}

func violated(t *catalog.Table, checks []expr.Node, env *expr.Env) error {
	for i, n := range checks {
		v, err := n.Eval(env)
		if err != nil {
			return err
		}
		if !v.IsNull() && !v.Bool() {
			return wire.NewError(wire.CodeCheckViolation, "new row of ", t.FullName(), " violates check constraint ", t.Checks[i].Name)
		}
	}
	return nil
}
