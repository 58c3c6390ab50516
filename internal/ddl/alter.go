package ddl

import (
	"errors"
	"slices"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// altering is an ALTER TABLE being run: old is the definition that is there,
// new the one that comes of it.
type altering struct {
	r        *Request
	tx       *store.Tx
	old, new *catalog.Table
}

var _ = redefines(func(r *Request, c *catalog.Snapshot, s *dialect.AlterTable) (*catalog.Table, dialect.Pos) {
	return r.lookup(c, s.Name), s.Name[0].Pos
}, (*Request).alterTable)

// alterTable runs ALTER TABLE with one operation.
func (r *Request) alterTable(tx *store.Tx, s *dialect.AlterTable) (wire.Result, error) {
	t := r.lookup(tx.Catalog(), s.Name)
	name := s.Name[len(s.Name)-1].Name
	switch {
	case t == nil && s.IfExists:
		return r.done("Table " + name + " does not exist"), nil
	case t == nil:
		return wire.Result{}, r.fail(s.Name[0].Pos, wire.CodeTableNotFound, "Table not found: ", name, " does not exist")
	case t.Kind == catalog.System:
		return wire.Result{}, r.fail(s.Name[0].Pos, wire.CodePermissionDenied, "permission denied: ", t.FullName(), " is a system table")
	}
	if err := r.auditDefine(tx, t); err != nil {
		return wire.Result{}, err
	}
	a := &altering{r: r, tx: tx, old: t, new: t.Clone()}
	what, err := a.apply(s.Action)
	if err != nil {
		return wire.Result{}, err
	}
	if what == "" {
		return r.done("Table " + t.FullName() + " is unchanged"), nil
	}
	b := &bind.Binder{Catalog: tx.Catalog(), Source: r.Source, Params: new(expr.Params), Budget: tx.Budget()}
	if err := b.Validate(a.new); err != nil {
		return wire.Result{}, err
	}
	if err := r.checkQuota(tx, a.new); err != nil {
		return wire.Result{}, err
	}
	if err := sourcesFit(tx, a.new); err != nil {
		return wire.Result{}, err
	}
	if err := tx.Redefine(a.new); err != nil {
		return wire.Result{}, err
	}
	return r.done("Table " + t.FullName() + " altered: " + what + ", version " + strconv.Itoa(a.new.Version)), nil
}

// auditDefine records that a definition is being changed over rows of others:
// even that it fails says something about them.
func (r *Request) auditDefine(tx *store.Tx, t *catalog.Table) error {
	if !t.Kind.Private() {
		return nil
	}
	others, err := tx.OthersHaveRows(t, r.Who.UserID)
	if err == nil && others {
		r.Users.Defined(r.trail, r.Who, t.FullName(), r.addr, dialect.Redact(r.Source))
	}
	return err
}

// apply makes the change in new and in the engine, and says what it was; ""
// for nothing.
func (a *altering) apply(action dialect.AlterAction) (string, error) {
	switch action := action.(type) {
	case *dialect.AddColumn:
		return a.addColumn(action)
	case *dialect.DropColumn:
		return a.dropColumn(action)
	case *dialect.ModifyColumn:
		return a.modifyColumn(action)
	case *dialect.SetNotNull:
		return a.notNull(action.Column, true)
	case *dialect.DropNotNull:
		return a.notNull(action.Column, false)
	case *dialect.SetDefault:
		return a.setDefault(action.Column, dialect.Print(action.Expr))
	case *dialect.DropDefault:
		return a.setDefault(action.Column, "")
	case *dialect.RenameColumn:
		return a.renameColumn(action)
	case *dialect.RenameTable:
		return a.renameTable(action)
	case *dialect.SetOptions:
		return "options", a.r.alterOptions(a.new, action.Options)
	case *dialect.AddConstraint:
		return a.addConstraint(action.Constraint)
	case *dialect.DropConstraint:
		return a.dropConstraint(action)
	}
	return "", wire.NewError(wire.CodeUnsupported, "this ALTER TABLE operation is not supported")
}

// fail points an error at a name of the statement.
func (a *altering) fail(id dialect.Ident, code wire.Code, parts ...string) error {
	return a.r.fail(id.Pos, code, parts...)
}

// column finds the column that an operation is about.
func (a *altering) column(id dialect.Ident) (int, error) {
	if i := a.new.Column(id.Name); i >= 0 {
		return i, nil
	}
	if dialect.ReservedColumn(id.Name) {
		return 0, a.fail(id, wire.CodeInvalidSQL, id.Name, " is a system column and cannot be altered")
	}
	return 0, a.fail(id, wire.CodeColumnNotFound, "No field named ", id.Name, " in ", a.old.FullName())
}

func (a *altering) addColumn(s *dialect.AddColumn) (string, error) {
	name := s.Def.Name
	if a.new.Column(name.Name) >= 0 {
		if s.IfNotExists {
			return "", nil
		}
		return "", a.fail(name, wire.CodeAlreadyExists, "column ", name.Name, " already exists in ", a.old.FullName())
	}
	if s.Def.PrimaryKey {
		return "", a.fail(name, wire.CodeUnsupported, "adding a primary key column is not supported")
	}
	i := len(a.new.Columns)
	if err := a.r.addColumn(&s.Def, a.new); err != nil {
		return "", err
	}
	for _, k := range columnConstraints(&s.Def) {
		if err := a.r.constraint(a.tx, k, a.new); err != nil {
			return "", err
		}
	}
	c := &a.new.Columns[i]
	if c.Serial > 0 {
		return "", a.fail(name, wire.CodeUnsupported, "adding a column that counts is not supported; BIGSERIAL gives the rows that are there ids of 64 bits")
	}
	value, each, err := a.initial(i)
	if err != nil {
		return "", err
	}
	if err := a.tx.AddColumn(a.new, i, value); err != nil {
		return "", err
	}
	if each != nil {
		if err := a.tx.FillColumn(a.old, a.new, i, each); err != nil {
			return "", err
		}
	}
	if c.NotNull && c.Default == "" {
		if err := a.noNull(name, i); err != nil {
			return "", err
		}
	}
	if err := a.addIndexes(); err != nil {
		return "", err
	}
	return "added column " + name.Name, a.checkRows(a.new.Checks[len(a.old.Checks):])
}

// initial is what rows that are there get in a new column: one value for all,
// or one for each when the default differs from row to row.
func (a *altering) initial(i int) (wire.Value, func([]wire.Value) (wire.Value, error), error) {
	b := &bind.Binder{Catalog: a.tx.Catalog(), Source: a.r.Source, Params: new(expr.Params), Budget: a.tx.Budget()}
	node, err := b.Default(a.new, i)
	if err != nil {
		return wire.Null, nil, err
	}
	env := &expr.Env{User: a.r.Who.UserID, Role: a.r.Who.Role, Now: a.r.Now, NextID: a.r.DB.NextID, Budget: a.tx.Budget()}
	if expr.Volatile(node) {
		return wire.Null, func([]wire.Value) (wire.Value, error) { return node.Eval(env) }, nil
	}
	v, err := node.Eval(env)
	return v, nil, err
}

func (a *altering) dropColumn(s *dialect.DropColumn) (string, error) {
	if s.IfExists && a.new.Column(s.Column.Name) < 0 && !dialect.ReservedColumn(s.Column.Name) {
		return "", nil
	}
	i, err := a.column(s.Column)
	if err != nil {
		return "", err
	}
	if a.new.IsKey(i) {
		return "", a.fail(s.Column, wire.CodeInvalidSQL, "column ", s.Column.Name, " is part of the primary key and cannot be dropped")
	}
	if err := a.unusedByPolicies(s.Column, i); err != nil {
		return "", err
	}
	id := a.new.Columns[i].ID
	if err := a.dropDependent(i); err != nil {
		return "", err
	}
	if a.new.Columns[i].Type.Kind == wire.File {
		if err := a.tx.DropFiles(a.old, a.old.ByID(id)); err != nil {
			return "", err
		}
	}
	// The engine's column stays for now; its id is never given again.
	a.new.Unused = append(a.new.Unused, id)
	a.new.Columns = slices.Delete(a.new.Columns, i, i+1)
	for k := range a.new.Key {
		if a.new.Key[k] > i {
			a.new.Key[k]--
		}
	}
	return "dropped column " + s.Column.Name, nil
}

// unusedByPolicies refuses to drop or retype a column that a policy names.
func (a *altering) unusedByPolicies(id dialect.Ident, i int) error {
	return a.r.at(id.Pos, unusedByPolicies(a.tx, "column "+id.Name+" of "+a.old.FullName(), func(_ *catalog.Table, tree *bind.PolicyTree) bool { return tree.Uses(a.old, i) }))
}

// dropDependent drops the indexes and constraints that column i is part of.
func (a *altering) dropDependent(i int) error {
	c := a.new.Columns[i]
	for k := range a.new.Indexes {
		if slices.Contains(a.new.Indexes[k].Columns, c.ID) {
			if err := a.tx.DropIndex(a.new, &a.new.Indexes[k]); err != nil {
				return err
			}
		}
	}
	a.new.Indexes = slices.DeleteFunc(a.new.Indexes, func(ix catalog.Index) bool { return slices.Contains(ix.Columns, c.ID) })
	var kept []catalog.Check
	for _, check := range a.new.Checks {
		x, err := dialect.ParseExpr(check.Expr)
		if err != nil {
			return err
		}
		if !slices.Contains(columnsOf(x), c.Name) {
			kept = append(kept, check)
		}
	}
	a.new.Checks = kept
	return nil
}

// modifyColumn changes a type: the rows' values are converted into a column of
// the engine with a new id, which takes the place of the old one.
func (a *altering) modifyColumn(s *dialect.ModifyColumn) (string, error) {
	i, err := a.column(s.Column)
	if err != nil {
		return "", err
	}
	typ, err := expr.ParseType(s.Type)
	if err != nil {
		return "", a.r.at(s.Type.Pos, err)
	}
	limit, err := expr.ParseModifier(s.Type, typ)
	if err != nil {
		return "", a.r.at(s.Type.Pos, err)
	}
	c := &a.new.Columns[i]
	changed := typ != c.Type || int(limit) != c.Limit
	if changed {
		if err := a.unusedByPolicies(s.Column, i); err != nil {
			return "", err
		}
		if c.Serial > 0 && typ.Kind != wire.SmallInt && typ.Kind != wire.Int && typ.Kind != wire.BigInt {
			return "", a.fail(s.Column, wire.CodeInvalidSQL, "column ", s.Column.Name, " numbers its rows and stays an integer; drop its default first")
		}
		if typ.Kind == wire.File || c.Type.Kind == wire.File {
			return "", a.fail(s.Column, wire.CodeUnsupported, "changing the type of a column to or from FILE is not supported; add a column and drop the old one")
		}
		if a.new.IsKey(i) {
			return "", a.fail(s.Column, wire.CodeUnsupported, "changing the type of a key column is not supported")
		}
		convert, err := expr.Assign(expr.Ref(&expr.Column{Index: i, Name: c.Name, T: c.Type}), typ)
		if err != nil {
			if convert, err = expr.Cast(expr.Ref(&expr.Column{Index: i, Name: c.Name, T: c.Type}), typ); err != nil {
				return "", a.r.at(s.Type.Pos, err)
			}
		}
		if convert, err = expr.Modify(convert, limit); err != nil {
			return "", a.r.at(s.Type.Pos, err)
		}
		old := c.ID
		a.new.LastID++
		a.new.Unused = append(a.new.Unused, c.ID)
		c.ID, c.Type, c.SQLType, c.Limit = a.new.LastID, typ, expr.ModifiedName(typ, limit), int(limit)
		if err := a.tx.AddColumn(a.new, i, wire.Null); err != nil {
			return "", err
		}
		err = a.tx.FillColumn(a.old, a.new, i, func(row []wire.Value) (wire.Value, error) {
			v, err := convert.Eval(&expr.Env{Row: row, Budget: a.tx.Budget()})
			return v, overRows(err, wire.CodeInvalidText, "column ", c.Name, " cannot become ", c.SQLType, ": some row of ", a.old.FullName(), " has a value that does not fit")
		})
		if err == nil {
			err = a.moveIndexes(old, c.ID)
		}
		if err != nil {
			return "", err
		}
	}
	if s.NotNull != nil && *s.NotNull != c.NotNull {
		if _, err := a.notNull(s.Column, *s.NotNull); err != nil {
			return "", err
		}
	} else if !changed {
		return "", nil
	}
	return "column " + s.Column.Name + " is now " + c.SQLType, nil
}

// moveIndexes makes the indexes of a column anew that has got another id.
func (a *altering) moveIndexes(from, to int) error {
	for k := range a.new.Indexes {
		ix := &a.new.Indexes[k]
		at := slices.Index(ix.Columns, from)
		if at < 0 {
			continue
		}
		if err := a.tx.DropIndex(a.old, ix); err != nil {
			return err
		}
		ix.Columns = slices.Clone(ix.Columns)
		ix.Columns[at], ix.Engine = to, ""
		if err := a.r.conflictIn(a.new, a.tx.CreateIndex(a.new, ix)); err != nil {
			return err
		}
	}
	return nil
}

func (a *altering) notNull(id dialect.Ident, want bool) (string, error) {
	i, err := a.column(id)
	if err != nil {
		return "", err
	}
	switch {
	case a.new.Columns[i].NotNull == want:
		return "", nil
	case !want && a.new.IsKey(i):
		return "", a.fail(id, wire.CodeInvalidSQL, "column ", id.Name, " is part of the primary key and stays NOT NULL")
	case want:
		if err := a.noNull(id, i); err != nil {
			return "", err
		}
	}
	a.new.Columns[i].NotNull = want
	if want {
		return "column " + id.Name + " is NOT NULL", nil
	}
	return "column " + id.Name + " may be NULL", nil
}

// noNull refuses NOT NULL while a row has NULL there.
func (a *altering) noNull(id dialect.Ident, i int) error {
	found, err := a.tx.HasNull(a.new, i)
	if err == nil && found {
		err = a.fail(id, wire.CodeNotNullViolation, "column ", id.Name, " cannot be NOT NULL: there are rows without a value, and a DEFAULT is required for them")
	}
	return err
}

func (a *altering) setDefault(id dialect.Ident, text string) (string, error) {
	i, err := a.column(id)
	if err != nil {
		return "", err
	}
	c := &a.new.Columns[i]
	if c.Always {
		return "", a.fail(id, wire.CodeUnsupported, "the default of a column that is GENERATED ALWAYS cannot be changed")
	}
	if c.Default == text && c.Serial == 0 {
		return "", nil
	}
	c.Serial = 0
	if text != "" && a.new.Columns[i].Type.Kind == wire.File {
		return "", a.fail(id, wire.CodeUnsupported, "a DEFAULT of a FILE column is not supported: each file comes with its row")
	}
	a.new.Columns[i].Default = text
	if text == "" {
		return "dropped the default of " + id.Name, nil
	}
	return "set the default of " + id.Name, nil
}

func (a *altering) renameColumn(s *dialect.RenameColumn) (string, error) {
	i, err := a.column(s.From)
	if err != nil {
		return "", err
	}
	if dialect.ReservedColumn(s.To.Name) {
		return "", a.fail(s.To, wire.CodeInvalidSQL, "'", s.To.Name, "' is a reserved system column name")
	}
	if err := a.r.checkName(s.To); err != nil {
		return "", err
	}
	if a.new.Column(s.To.Name) >= 0 {
		return "", a.fail(s.To, wire.CodeAlreadyExists, "column ", s.To.Name, " already exists in ", a.old.FullName())
	}
	a.new.Columns[i].Name = s.To.Name
	for k := range a.new.Checks {
		text, err := renamed(a.new.Checks[k].Expr, s.From.Name, s.To)
		if err != nil {
			return "", err
		}
		a.new.Checks[k].Expr = text
	}
	return "renamed column " + s.From.Name + " to " + s.To.Name, renameInPolicies(a.tx, a.new, func(tree *bind.PolicyTree) { tree.RenameColumn(a.old, i, s.To) })
}

// renamed is the text of an expression with a column's new name.
func renamed(text, from string, to dialect.Ident) (string, error) {
	x, err := dialect.ParseExpr(text)
	if err != nil {
		return "", err
	}
	dialect.Walk(x, func(n dialect.Node) bool {
		if c, ok := n.(*dialect.Column); ok && c.Name[len(c.Name)-1].Name == from {
			c.Name[len(c.Name)-1] = to
		}
		return true
	})
	return dialect.Print(x), nil
}

func (a *altering) renameTable(s *dialect.RenameTable) (string, error) {
	if err := a.r.checkName(s.To); err != nil {
		return "", err
	}
	if a.tx.Catalog().Table(a.old.Namespace, s.To.Name) != nil {
		return "", a.fail(s.To, wire.CodeAlreadyExists, "Table ", a.old.Namespace, ".", s.To.Name, " already exists")
	}
	a.new.Name = s.To.Name
	return "renamed to " + s.To.Name, renameInPolicies(a.tx, a.new, func(tree *bind.PolicyTree) { tree.RenameTable(a.old, s.To) })
}

func (a *altering) addConstraint(k dialect.TableConstraint) (string, error) {
	if k.Kind == "PRIMARY KEY" {
		return "", a.r.fail(k.At, wire.CodeUnsupported, "changing the primary key is not supported")
	}
	if err := a.r.constraint(a.tx, k, a.new); err != nil {
		return "", err
	}
	if err := a.addIndexes(); err != nil {
		return "", err
	}
	return "added a constraint", a.checkRows(a.new.Checks[len(a.old.Checks):])
}

// addIndexes makes the engine's indexes for those that are new in the definition.
func (a *altering) addIndexes() error {
	for i := len(a.old.Indexes); i < len(a.new.Indexes); i++ {
		if err := a.r.conflictIn(a.new, a.tx.CreateIndex(a.new, &a.new.Indexes[i])); err != nil {
			return err
		}
	}
	return nil
}

func (a *altering) dropConstraint(s *dialect.DropConstraint) (string, error) {
	id := s.Name
	for i, c := range a.new.Checks {
		if c.Name == id.Name {
			a.new.Checks = slices.Delete(a.new.Checks, i, i+1)
			return "dropped constraint " + id.Name, nil
		}
	}
	for i, ix := range a.new.Indexes {
		if ix.Name == id.Name && ix.Unique {
			if err := a.tx.DropIndex(a.new, &ix); err != nil {
				return "", err
			}
			a.new.Indexes = slices.Delete(a.new.Indexes, i, i+1)
			return "dropped constraint " + id.Name, nil
		}
	}
	if s.IfExists {
		return "", nil
	}
	return "", a.fail(id, wire.CodeInvalidSQL, "constraint ", id.Name, " does not exist on ", a.old.FullName())
}

// checkRows tests new constraints on the rows that are there.
func (a *altering) checkRows(checks []catalog.Check) error {
	if len(checks) == 0 {
		return nil
	}
	t := *a.new
	t.Checks = checks
	b := &bind.Binder{Catalog: a.tx.Catalog(), Source: a.r.Source, Params: new(expr.Params), Budget: a.tx.Budget()}
	test, err := b.Checks(&t)
	if err != nil {
		return err
	}
	return a.tx.EachRow(a.new, func(row []wire.Value) error {
		env := &expr.Env{Row: append(slices.Clone(row), wire.Null, wire.Null), Now: a.r.Now, Budget: a.tx.Budget()}
		return overRows(test(env), wire.CodeCheckViolation, "some row of ", a.old.FullName(), " violates the new CHECK constraint")
	})
}

// overRows words what a row that is there has against a definition. It may be
// anybody's, so it is said that some row does not fit, and nothing of the row:
// neither a value nor in which way it fails.
func overRows(err error, code wire.Code, parts ...string) error {
	var e *wire.Error
	if !errors.As(err, &e) || e.Code == wire.CodeInternal || e.Code == wire.CodeStatementTimeout {
		return err
	}
	return wire.NewError(code, parts...)
}

// conflictIn words the failure of a unique index over rows that are there.
func (r *Request) conflictIn(t *catalog.Table, err error) error {
	if err == nil {
		return nil
	}
	if columns, ok := r.DB.Conflict(t, err); ok {
		return wire.NewError(wire.CodeUniqueViolation, "cannot make ", columns, " unique: rows of ", t.FullName(), " have the same value (unique constraint violation)")
	}
	return err
}
