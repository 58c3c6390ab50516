package bind

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Insert is a bound INSERT. The engine evaluates it row by row.
type Insert struct {
	Table     *catalog.Table
	Rows      [][]expr.Node // one node for each column of the table
	Returning *Returning    // nil: none
	checks    []expr.Node
}

// Change is a bound UPDATE or DELETE: the rows it touches and, for an UPDATE,
// their new values.
type Change struct {
	Table     *catalog.Table
	Set       []Assignment // empty for a DELETE
	Returning *Returning
	rel       *relation
	where     expr.Node
	checks    []expr.Node
}

// Assignment gives the column with that index a value computed from the old row.
type Assignment struct {
	Column int
	Value  expr.Node
}

// Returning is what a RETURNING clause asks for, over the row with its system
// columns.
type Returning struct {
	Fields []wire.Field
	Items  []expr.Node
}

// Insert binds an INSERT.
func (b *Binder) Insert(s *dialect.Insert) (*Insert, error) {
	if s.With != nil {
		return nil, b.Unsupported(s.With.Pos(), "WITH")
	}
	if s.OnConflict != nil {
		return nil, b.Unsupported(s.OnConflict.Pos(), "ON CONFLICT")
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
	if s.Query == nil {
		in.Rows = [][]expr.Node{defaults}
	} else {
		values, ok := s.Query.Body.(*dialect.Values)
		if !ok {
			return nil, b.Unsupported(s.Query.Pos(), "INSERT with a query")
		}
		for _, row := range values.Rows {
			nodes, err := b.row(t, targets, defaults, row, len(s.Columns) > 0)
			if err != nil {
				return nil, err
			}
			in.Rows = append(in.Rows, nodes)
		}
	}
	if in.checks, err = b.checks(t); err != nil {
		return nil, err
	}
	in.Returning, err = b.returning(b.relation(t, s.As), s.Returning)
	return in, err
}

// target is the table that a statement changes.
func (b *Binder) target(name dialect.Name) (*catalog.Table, error) {
	t, err := b.Table(name)
	if err != nil {
		return nil, err
	}
	if t.Kind == catalog.System {
		return nil, b.fail(wire.CodePermissionDenied, name[0].Pos, "system tables are read-only; permission denied for ", t.FullName())
	}
	return t, nil
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
	seen := make(map[int]bool)
	for _, id := range list {
		i, err := b.columnIndex(t, id)
		if err != nil {
			return nil, err
		}
		if seen[i] {
			return nil, b.fail(wire.CodeInvalidSQL, id.Pos, "column ", id.Name, " is named twice")
		}
		seen[i] = true
		out = append(out, i)
	}
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
	e.Hint = (&relation{table: t}).nearest(id.Name)
	return 0, e
}

// defaults are the values of columns that a statement does not name.
func (b *Binder) defaults(t *catalog.Table) ([]expr.Node, error) {
	out := make([]expr.Node, len(t.Columns))
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Default == "" {
			out[i] = expr.Const(wire.Null, c.Type)
			continue
		}
		x, err := dialect.ParseExpr(c.Default)
		if err != nil {
			return nil, err
		}
		own := Binder{Catalog: b.Catalog, Source: c.Default, Params: new(expr.Params)}
		if out[i], err = own.assign(x, nil, c.Type); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// row binds one row of VALUES to the columns of the table.
func (b *Binder) row(t *catalog.Table, targets []int, defaults []expr.Node, row []dialect.Expr, named bool) ([]expr.Node, error) {
	if len(row) > len(targets) {
		return nil, b.fail(wire.CodeInvalidSQL, row[len(targets)].Pos(), "INSERT has more values than columns: ", itoa(int64(len(row))), " for ", itoa(int64(len(targets))))
	}
	if named && len(row) < len(targets) {
		return nil, b.fail(wire.CodeInvalidSQL, row[0].Pos(), "INSERT has more columns than values: ", itoa(int64(len(targets))), " for ", itoa(int64(len(row))))
	}
	nodes := append([]expr.Node{}, defaults...)
	for i, x := range row {
		c := targets[i]
		if _, ok := x.(*dialect.Default); ok {
			continue
		}
		n, err := b.assign(x, nil, t.Columns[c].Type)
		if err != nil {
			return nil, b.forColumn(err, t, c)
		}
		nodes[c] = n
	}
	return nodes, nil
}

// forColumn adds the column's name to a type error.
func (b *Binder) forColumn(err error, t *catalog.Table, i int) error {
	if e, ok := err.(*wire.Error); ok && e.Code == wire.CodeTypeMismatch {
		named := *e
		named.Message = "column " + t.Columns[i].Name + ": " + e.Message
		return &named
	}
	return err
}

// Update binds an UPDATE.
func (b *Binder) Update(s *dialect.Update) (*Change, error) {
	switch {
	case s.With != nil:
		return nil, b.Unsupported(s.With.Pos(), "WITH")
	case len(s.From) > 0:
		return nil, b.Unsupported(s.From[0].Pos(), "UPDATE ... FROM")
	}
	c, err := b.change(s.Table, s.As, s.Where, s.Returning)
	if err != nil {
		return nil, err
	}
	if c.Table.Kind == catalog.Stream {
		return nil, b.fail(wire.CodeUnsupported, s.Pos(), "UPDATE is not supported for STREAM tables; insert a new row instead")
	}
	seen := make(map[int]bool)
	for _, a := range s.Set {
		i, err := b.columnIndex(c.Table, a.Column)
		if err != nil {
			return nil, err
		}
		if seen[i] {
			return nil, b.fail(wire.CodeInvalidSQL, a.Column.Pos, "column ", a.Column.Name, " is set twice")
		}
		seen[i] = true
		var n expr.Node
		if _, ok := a.Value.(*dialect.Default); ok {
			defaults, err := b.defaults(c.Table)
			if err != nil {
				return nil, err
			}
			n = defaults[i]
		} else if n, err = b.assign(a.Value, c.rel, c.Table.Columns[i].Type); err != nil {
			return nil, b.forColumn(err, c.Table, i)
		}
		c.Set = append(c.Set, Assignment{Column: i, Value: n})
	}
	c.checks, err = b.checks(c.Table)
	return c, err
}

// Delete binds a DELETE.
func (b *Binder) Delete(s *dialect.Delete) (*Change, error) {
	switch {
	case s.With != nil:
		return nil, b.Unsupported(s.With.Pos(), "WITH")
	case len(s.Using) > 0:
		return nil, b.Unsupported(s.Using[0].Pos(), "DELETE ... USING")
	}
	return b.change(s.Table, s.As, s.Where, s.Returning)
}

func (b *Binder) change(name dialect.Name, as *dialect.Ident, where dialect.Expr, returning []dialect.SelectItem) (*Change, error) {
	t, err := b.target(name)
	if err != nil {
		return nil, err
	}
	c := &Change{Table: t, rel: b.relation(t, as)}
	if where != nil {
		if c.where, err = b.condition(where, c.rel, "WHERE"); err != nil {
			return nil, err
		}
	}
	c.Returning, err = b.returning(c.rel, returning)
	return c, err
}

func (b *Binder) returning(rel *relation, list []dialect.SelectItem) (*Returning, error) {
	if len(list) == 0 {
		return nil, nil
	}
	fields, items, err := b.outputs(list, rel, rel, false)
	if err != nil {
		return nil, err
	}
	return &Returning{Fields: fields, Items: items}, nil
}

// checks binds the CHECK constraints of a table.
func (b *Binder) checks(t *catalog.Table) ([]expr.Node, error) {
	var out []expr.Node
	for _, c := range t.Checks {
		x, err := dialect.ParseExpr(c.Expr)
		if err != nil {
			return nil, err
		}
		own := Binder{Catalog: b.Catalog, Source: c.Expr, Params: new(expr.Params)}
		n, err := own.condition(x, own.relation(t, nil), "CHECK")
		if err != nil {
			return nil, err
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

// Print writes the query for the rows that the statement touches: the columns
// of the table and then _seq.
func (c *Change) Print(target expr.Target) Printed { return printRows(target, c.rel, c.where) }

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
