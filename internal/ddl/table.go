package ddl

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	_ = enter(createRight, func(r *Request, s *dialect.CreateTable) (*Statement, error) {
		if err := right.InNamespaces(r.Who.Scope, r.namespaceOf(s.Name)); err != nil {
			return nil, r.at(s.Pos(), err)
		}
		return runs((*Request).createTable)(r, s)
	})
	_ = redefines(func(r *Request, c *catalog.Snapshot, s *dialect.DropTable) (*catalog.Table, dialect.Pos) {
		return r.lookup(c, s.Name), s.Name[0].Pos
	}, (*Request).dropTable)
)

// createRight is the right that CREATE TABLE needs for the kind of table.
func createRight(source string, s *dialect.CreateTable) (right.Need, error) {
	kind, err := tableKind(source, s)
	need := right.Need{Right: right.CreatePrivate, Reach: right.Writing}
	if kind == catalog.Shared {
		need.Right = right.CreateShared
	}
	return need, err
}

// tableKind is the kind that CREATE TABLE asks for by its prefix and TYPE.
func tableKind(source string, s *dialect.CreateTable) (catalog.Kind, error) {
	kind := catalog.KindOf(s.Kind)
	for _, o := range s.Options {
		if o.Key != "TYPE" {
			continue
		}
		word, _ := optionText(o)
		byType := catalog.KindOf(word)
		if byType == 0 || byType == catalog.System {
			return 0, fault.At(source, o.At, wire.NewError(wire.CodeInvalidSQL, "TYPE is USER, SHARED or STREAM, not '", word, "'"))
		}
		if kind != 0 && kind != byType {
			return 0, fault.At(source, o.At, wire.NewError(wire.CodeInvalidSQL, "TYPE '", word, "' contradicts CREATE ", s.Kind, " TABLE"))
		}
		kind = byType
	}
	if kind == 0 {
		kind = catalog.Shared
	}
	return kind, nil
}

func optionText(o dialect.Option) (string, bool) {
	switch v := o.Value.(type) {
	case *dialect.String:
		return v.Value, true
	case *dialect.Number:
		return v.Text, true
	case *dialect.Bool:
		return strconv.FormatBool(v.Value), true
	case *dialect.Column:
		return v.Name[len(v.Name)-1].Name, true
	}
	return "", false
}

func (r *Request) createTable(tx *store.Tx, s *dialect.CreateTable) (wire.Result, error) {
	t, exists, err := r.newTable(tx, s)
	if err != nil {
		return wire.Result{}, err
	}
	if exists {
		return r.done("Table " + t.FullName() + " already exists"), nil
	}
	if err := r.checkQuota(tx, t); err != nil {
		return wire.Result{}, err
	}
	if err := tx.CreateTable(t); err != nil {
		return wire.Result{}, err
	}
	return r.done("Table " + t.FullName() + " created (" + strings.ToUpper(t.Kind.String()) + ")"), nil
}

// newTable builds the definition that a CREATE TABLE describes.
func (r *Request) newTable(tx *store.Tx, s *dialect.CreateTable) (t *catalog.Table, exists bool, err error) {
	last := s.Name[len(s.Name)-1]
	t = &catalog.Table{Namespace: r.Namespace, Name: last.Name, Owner: r.Who.UserID}
	if len(s.Name) > 2 {
		return nil, false, r.fail(last.Pos, wire.CodeInvalidSQL, "a table name has at most two parts: namespace.table")
	}
	if len(s.Name) == 2 {
		t.Namespace = s.Name[0].Name
	}
	if err := r.checkName(last); err != nil {
		return nil, false, err
	}
	if catalog.OwnNamespace(t.Namespace) {
		return nil, false, r.fail(last.Pos, wire.CodePermissionDenied, "permission denied: nobody creates tables in namespace ", t.Namespace)
	}
	if tx.Catalog().Namespace(t.Namespace) == nil {
		return nil, false, r.at(s.Name[0].Pos, NoNamespace(t.Namespace))
	}
	if have := tx.Catalog().Table(t.Namespace, t.Name); have != nil {
		if s.IfNotExists {
			return have, true, nil
		}
		return nil, false, r.fail(last.Pos, wire.CodeAlreadyExists, "Table ", t.FullName(), " already exists")
	}
	if t.Kind, err = tableKind(r.Source, s); err != nil {
		return nil, false, err
	}
	if err := r.options(s, t); err != nil {
		return nil, false, err
	}
	if err := r.columns(s, t); err != nil {
		return nil, false, err
	}
	if err := r.constraints(tx, s, t); err != nil {
		return nil, false, err
	}
	if len(t.Key) == 0 && t.Kind != catalog.Stream {
		return nil, false, r.fail(last.Pos, wire.CodeInvalidSQL, "a ", strings.ToUpper(t.Kind.String()), " table needs a primary key: mark a column PRIMARY KEY or add PRIMARY KEY (columns)")
	}
	// What the table holds as text must bind: a table that nobody can insert
	// into is refused now and not later.
	b := &bind.Binder{Catalog: tx.Catalog(), Source: r.Source, Params: new(expr.Params), Budget: tx.Budget()}
	if err := b.Validate(t); err != nil {
		return nil, false, err
	}
	return t, false, nil
}

// options reads WITH (...).
func (r *Request) options(s *dialect.CreateTable, t *catalog.Table) error {
	if t.Kind == catalog.Shared {
		t.Access = "private"
	}
	if err := r.alterOptions(t, s.Options); err != nil {
		return err
	}
	if t.Kind == catalog.Stream && t.TTL == 0 {
		return r.fail(s.Pos(), wire.CodeInvalidSQL, "a STREAM table needs the option TTL_SECONDS: WITH (TTL_SECONDS = 60)")
	}
	return nil
}

// alterOptions sets options of a definition.
func (r *Request) alterOptions(t *catalog.Table, list []dialect.Option) error {
	refuse := func(o dialect.Option, parts ...string) error {
		return r.fail(o.At, wire.CodeInvalidSQL, parts...)
	}
	for _, o := range list {
		text, ok := optionText(o)
		if !ok {
			return refuse(o, "option ", o.Key, " needs a value")
		}
		switch o.Key {
		case "TYPE":
			continue
		case "TTL_SECONDS":
			n, err := strconv.ParseInt(text, 10, 32)
			if t.Kind != catalog.Stream {
				return refuse(o, "option TTL_SECONDS is for STREAM tables")
			}
			if err != nil || n < 1 {
				return refuse(o, "TTL_SECONDS is a whole number of seconds from 1, not '", text, "'")
			}
			t.TTL = n
		case "ACCESS_LEVEL":
			if t.Kind != catalog.Shared {
				return refuse(o, "option ACCESS_LEVEL is for SHARED tables")
			}
			switch level := strings.ToLower(text); level {
			case "public", "private", "restricted", "dba", catalog.AccessPolicies:
				if (t.Governed() || level == catalog.AccessPolicies) && t.ID != 0 {
					if err := right.Govern(r.Who, t); err != nil {
						return r.at(o.At, err)
					}
				}
				t.Access = level
			default:
				return refuse(o, "ACCESS_LEVEL is PUBLIC, PRIVATE, RESTRICTED, DBA or POLICIES, not '", text, "'")
			}
		case "STORAGE_ID":
			if text != localStorage {
				return r.at(o.At, noStorage(text))
			}
		case "USE_USER_STORAGE", "FLUSH_POLICY", "DELETED_RETENTION_HOURS", "COMPRESSION", "EVICTION_STRATEGY", "MAX_STREAM_SIZE_BYTES":
			// They belong to the storage of other servers: kept and shown, without
			// an effect here.
		default:
			return refuse(o, "unknown table option ", o.Key)
		}
		if t.Options == nil {
			t.Options = make(map[string]string)
		}
		t.Options[strings.ToLower(o.Key)] = text
	}
	return nil
}

// columns reads the column definitions.
func (r *Request) columns(s *dialect.CreateTable, t *catalog.Table) error {
	if len(s.Columns) == 0 {
		return r.fail(s.Pos(), wire.CodeInvalidSQL, "a table needs at least one column")
	}
	for i := range s.Columns {
		if err := r.addColumn(&s.Columns[i], t); err != nil {
			return err
		}
	}
	return nil
}

// addColumn adds a column, with its constraints, to a definition.
func (r *Request) addColumn(d *dialect.ColumnDef, t *catalog.Table) error {
	if dialect.ReservedColumn(d.Name.Name) {
		return r.fail(d.Name.Pos, wire.CodeInvalidSQL, "'", d.Name.Name, "' is a reserved system column name")
	}
	if err := r.checkName(d.Name); err != nil {
		return err
	}
	if t.Column(d.Name.Name) >= 0 {
		return r.fail(d.Name.Pos, wire.CodeInvalidSQL, "column ", d.Name.Name, " is defined twice")
	}
	if len(t.Columns) == catalog.MaxColumns {
		return r.fail(d.Name.Pos, wire.CodeInvalidSQL, "a table has at most ", strconv.Itoa(catalog.MaxColumns), " columns")
	}
	typ, err := expr.ParseType(d.Type)
	if err != nil {
		return r.at(d.Type.Pos, err)
	}
	limit, err := expr.ParseModifier(d.Type, typ)
	if err != nil {
		return r.at(d.Type.Pos, err)
	}
	t.LastID++
	c := catalog.Column{
		ID: t.LastID, Name: d.Name.Name, Type: typ, SQLType: expr.ModifiedName(typ, limit), Limit: int(limit),
		NotNull: d.NotNull || d.PrimaryKey,
	}
	switch {
	case typ.Kind == wire.File && t.Kind == catalog.Stream:
		return r.fail(d.Type.Pos, wire.CodeUnsupported, "a FILE column in a STREAM table is not supported; use a USER or SHARED table")
	case typ.Kind == wire.File && d.Default != nil:
		return r.fail(d.Name.Pos, wire.CodeUnsupported, "a DEFAULT of a FILE column is not supported: each file comes with its row")
	case d.NotNull && d.Null:
		return r.fail(d.Name.Pos, wire.CodeInvalidSQL, "column ", c.Name, " is both NULL and NOT NULL")
	case d.Default != nil:
		c.Default = dialect.Print(d.Default)
	case d.Generated || expr.IsSerial(d.Type.Name):
		switch typ.Kind {
		case wire.BigInt:
			c.Default = "snowflake_id()"
		case wire.Int, wire.SmallInt:
			c.Serial = c.ID
		default:
			return r.fail(d.Type.Pos, wire.CodeInvalidSQL, "a column that numbers its rows is an integer, not ", c.SQLType)
		}
		if d.FromOne && c.Serial == 0 {
			return r.fail(d.Name.Pos, wire.CodeUnsupported, "START and INCREMENT of a BIGINT that numbers its rows are not supported: its numbers are ids of the time; an INT counts from 1")
		}
		c.NotNull, c.Always = true, d.Always
	}
	t.Columns = append(t.Columns, c)
	if d.PrimaryKey {
		if len(t.Key) > 0 {
			return r.fail(d.Name.Pos, wire.CodeInvalidSQL, "more than one column is marked PRIMARY KEY; write PRIMARY KEY (a, b) for a composite key")
		}
		t.Key = []int{len(t.Columns) - 1}
	}
	return nil
}

// columnConstraints are the constraints without a name that a column definition
// holds, as those of the table.
func columnConstraints(d *dialect.ColumnDef) []dialect.TableConstraint {
	var list []dialect.TableConstraint
	if d.Unique {
		list = append(list, dialect.TableConstraint{At: d.Name.Pos, Kind: "UNIQUE", Columns: []dialect.Ident{d.Name}})
	}
	for _, x := range d.Check {
		list = append(list, dialect.TableConstraint{At: x.Pos(), Kind: "CHECK", Check: x})
	}
	return list
}

// columnsOf are the names of the columns in an expression, each once.
func columnsOf(x dialect.Expr) []string {
	var names []string
	dialect.Walk(x, func(n dialect.Node) bool {
		if c, ok := n.(*dialect.Column); ok && !slices.Contains(names, c.Name[len(c.Name)-1].Name) {
			names = append(names, c.Name[len(c.Name)-1].Name)
		}
		return true
	})
	return names
}

// nameTaken reports whether a constraint of t, or an index of its namespace when
// a constraint of its own makes one, has that name.
func nameTaken(c *catalog.Snapshot, t *catalog.Table, name string, index bool) bool {
	if name == t.Name+"_pkey" && len(t.Key) > 0 || t.Index(name) != nil {
		return true
	}
	if slices.ContainsFunc(t.Checks, func(c catalog.Check) bool { return c.Name == name }) {
		return true
	}
	if !index {
		return false
	}
	other := indexTable(c, t.Namespace, name)
	return other != nil && other.ID != t.ID
}

// constraintName is the name that a constraint is given, or else the wish with a
// number behind it where that is taken.
func (r *Request) constraintName(tx *store.Tx, k dialect.TableConstraint, t *catalog.Table, wish string) (string, error) {
	taken := func(name string) bool { return nameTaken(tx.Catalog(), t, name, k.Kind == "UNIQUE") }
	if k.Name != nil {
		if taken(k.Name.Name) {
			return "", r.fail(k.Name.Pos, wire.CodeAlreadyExists, "a constraint or an index of the name ", k.Name.Name, " already exists")
		}
		return k.Name.Name, nil
	}
	name := wish
	for n := 1; taken(name); n++ {
		name = wish + strconv.Itoa(n)
	}
	return name, nil
}

// constraints reads PRIMARY KEY (..), UNIQUE (..) and CHECK (..).
func (r *Request) constraints(tx *store.Tx, s *dialect.CreateTable, t *catalog.Table) error {
	var list []dialect.TableConstraint
	for i := range s.Columns {
		list = append(list, columnConstraints(&s.Columns[i])...)
	}
	for _, k := range append(list, s.Constraints...) {
		if err := r.constraint(tx, k, t); err != nil {
			return err
		}
	}
	for _, i := range t.Key {
		switch t.Columns[i].Type.Kind {
		case wire.JSON, wire.Embedding, wire.File:
			return r.fail(s.Columns[i].Name.Pos, wire.CodeInvalidSQL, "a column of type ", t.Columns[i].SQLType, " cannot be a primary key")
		}
	}
	return nil
}

// constraint adds one constraint to a definition.
func (r *Request) constraint(tx *store.Tx, k dialect.TableConstraint, t *catalog.Table) error {
	var cols, ids []int
	names := ""
	for _, id := range k.Columns {
		i := t.Column(id.Name)
		if i < 0 {
			return r.fail(id.Pos, wire.CodeColumnNotFound, "No field named ", id.Name, " in ", t.FullName())
		}
		if slices.Contains(cols, i) {
			return r.fail(id.Pos, wire.CodeInvalidSQL, "column ", id.Name, " stands twice in the ", k.Kind)
		}
		cols = append(cols, i)
		ids = append(ids, t.Columns[i].ID)
		names += "_" + id.Name
	}
	switch k.Kind {
	case "PRIMARY KEY":
		if len(t.Key) > 0 {
			return r.fail(k.At, wire.CodeInvalidSQL, "the table has more than one PRIMARY KEY")
		}
		t.Key = cols
		for _, i := range cols {
			t.Columns[i].NotNull = true
		}
	case "UNIQUE":
		name, err := r.constraintName(tx, k, t, t.Name+names+"_key")
		if err != nil {
			return err
		}
		t.Indexes = append(t.Indexes, catalog.Index{Name: name, Columns: ids, Unique: true})
	case "CHECK":
		wish := t.Name + "_check"
		if of := columnsOf(k.Check); len(of) == 1 {
			wish = t.Name + "_" + of[0] + "_check"
		}
		name, err := r.constraintName(tx, k, t, wish)
		if err != nil {
			return err
		}
		t.Checks = append(t.Checks, catalog.Check{Name: name, Expr: dialect.Print(k.Check)})
	}
	return nil
}

func (r *Request) dropTable(tx *store.Tx, s *dialect.DropTable) (wire.Result, error) {
	t := r.lookup(tx.Catalog(), s.Name)
	name := s.Name[len(s.Name)-1].Name
	switch {
	case t != nil && t.Kind == catalog.System:
		return wire.Result{}, r.fail(s.Name[0].Pos, wire.CodePermissionDenied, "permission denied: ", t.FullName(), " is a system table")
	case t == nil && s.IfExists:
		return r.done("Table " + name + " does not exist"), nil
	case t == nil:
		return wire.Result{}, r.fail(s.Name[0].Pos, wire.CodeTableNotFound, "Table not found: ", name, " does not exist")
	case s.Kind != "" && catalog.KindOf(s.Kind) != t.Kind:
		return wire.Result{}, r.fail(s.Name[0].Pos, wire.CodeInvalidSQL, t.FullName(), " is not a ", s.Kind, " table")
	}
	err := unusedByPolicies(tx, "Table "+t.FullName(), func(of *catalog.Table, tree *bind.PolicyTree) bool { return of.ID != t.ID && tree.Reads(t) })
	if err != nil {
		return wire.Result{}, r.at(s.Name[0].Pos, err)
	}
	note, err := detach(tx, func(x *catalog.Table) bool { return x.ID == t.ID })
	if err != nil {
		return wire.Result{}, err
	}
	return r.done("Table " + t.FullName() + " dropped. Cleanup job: CL-" + strconv.FormatInt(t.ID, 10) + note), tx.DropTable(t)
}
