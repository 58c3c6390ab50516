// Package bind turns a parsed statement into one that can run: every name
// resolved against the catalog, every expression typed, and every table
// limited to the rows of the user who asks.
//
// That limit, the scope, exists only here. A relation of a bound statement is
// made by one constructor, which adds the scope, and only this package prints
// bound statements, so that no statement reaches the engine without it.
package bind

import (
	"errors"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Binder binds the statements of one request text.
type Binder struct {
	Catalog   *catalog.Snapshot
	Namespace string // of names without one
	Params    *expr.Params
	Source    string // the text that positions refer to
}

// fail makes an error that points at pos.
func (b *Binder) fail(code wire.Code, pos dialect.Pos, parts ...string) error {
	e := wire.NewError(code, parts...)
	e.Line, e.Column = dialect.Place(b.Source, pos)
	return e
}

// Unsupported is the answer to a statement or clause that is not offered.
func (b *Binder) Unsupported(pos dialect.Pos, what string) error {
	return b.fail(wire.CodeUnsupported, pos, what, " is not supported")
}

// placed gives an error of package expr its line and column.
func (b *Binder) placed(err error) error {
	var at *expr.BindError
	if !errors.As(err, &at) {
		return err
	}
	e := *at.Err
	e.Line, e.Column = dialect.Place(b.Source, at.Pos)
	return &e
}

// bind types one expression over names.
func (b *Binder) bind(x dialect.Expr, names expr.Names, aggregates bool) (expr.Node, error) {
	n, err := expr.Bind(x, expr.BindOptions{Names: names, Params: b.Params, Aggregates: aggregates})
	if err != nil {
		return nil, b.placed(err)
	}
	return n, nil
}

// assign is bind for a value that goes into a column of type t.
func (b *Binder) assign(x dialect.Expr, names expr.Names, t wire.Type) (expr.Node, error) {
	n, err := b.bindFor(x, names, t)
	if err != nil {
		return nil, err
	}
	n, err = expr.Assign(n, t)
	if err != nil {
		return nil, b.placedAt(err, x.Pos())
	}
	return n, nil
}

// bindFor binds x where a value of type t is expected: a bare parameter takes
// that type.
func (b *Binder) bindFor(x dialect.Expr, names expr.Names, t wire.Type) (expr.Node, error) {
	n, err := expr.Bind(x, expr.BindOptions{Names: names, Params: b.Params, Expect: t})
	if err != nil {
		return nil, b.placed(err)
	}
	return n, nil
}

// placedAt is placed for errors that carry no place of their own.
func (b *Binder) placedAt(err error, pos dialect.Pos) error {
	err = b.placed(err)
	var e *wire.Error
	if errors.As(err, &e) && e.Line == 0 {
		at := *e
		at.Line, at.Column = dialect.Place(b.Source, pos)
		return &at
	}
	return err
}

// Table finds the table that a name stands for. The error does not say whether
// a table of that name exists that the caller may not see.
func (b *Binder) Table(name dialect.Name) (*catalog.Table, error) {
	ns, t := b.Namespace, name[len(name)-1].Name
	switch len(name) {
	case 1:
	case 2:
		ns = name[0].Name
	default:
		return nil, b.fail(wire.CodeInvalidSQL, name[0].Pos, "a table name has at most two parts: namespace.table")
	}
	if table := b.Catalog.Table(ns, t); table != nil {
		return table, nil
	}
	return nil, b.fail(wire.CodeTableNotFound, name[0].Pos, "Table not found: ", ns, ".", t)
}

// relation is a table in a bound statement, limited to the rows of the user who
// runs it. Only Binder.relation makes one.
type relation struct {
	table *catalog.Table
	as    string // the name that the statement calls it by
	sql   string // the name that the printed statement calls it by
}

func (b *Binder) relation(table *catalog.Table, as *dialect.Ident) *relation {
	r := &relation{table: table, as: table.Name, sql: "r"}
	if as != nil {
		r.as = as.Name
	}
	return r
}

// from prints the relation as an item of FROM.
func (r *relation) from(p *expr.Printer) {
	p.Raw(r.table.Physical() + " AS " + r.sql)
}

// scope prints the condition that limits the relation to the caller's rows,
// and a STREAM table to those that have not expired. It reports whether there
// is one.
func (r *relation) scope(p *expr.Printer) bool {
	if !r.table.Kind.Private() {
		return false
	}
	p.Raw(r.sql + "._user = ")
	p.Arg(expr.Arg{Kind: expr.ArgUser, Type: wire.Type{Kind: wire.Text}})
	if r.table.Kind == catalog.Stream && r.table.TTL > 0 {
		p.Raw(" AND " + r.sql + "._seq >= ((")
		p.Arg(expr.Arg{Kind: expr.ArgNow, Type: wire.Type{Kind: wire.Timestamp}})
		p.Raw(" / 1000 - " + itoa(epochMillis+r.table.TTL*1000) + ") << 22)")
	}
	return true
}

// width is the number of columns of a row of the relation, system columns
// included.
func (r *relation) width() int {
	if r.table.Kind == catalog.System {
		return len(r.table.Columns)
	}
	return len(r.table.Columns) + 2
}

// column is the reference to the column with that index.
func (r *relation) column(i int) *expr.Column {
	switch n := len(r.table.Columns); i {
	case n:
		return &expr.Column{Index: i, Name: catalog.SeqColumn, T: wire.Type{Kind: wire.BigInt}, SQL: r.sql + "." + catalog.SeqColumn, NotNull: true}
	case n + 1:
		return &expr.Column{Index: i, Name: catalog.DeletedColumn, T: wire.Type{Kind: wire.Boolean}, SQL: "0", NotNull: true}
	}
	c := &r.table.Columns[i]
	return &expr.Column{Index: i, Name: c.Name, T: c.Type, SQL: r.sql + "." + c.Physical(), NotNull: c.NotNull || r.table.IsKey(i)}
}

// field describes the column with that index in a result.
func (r *relation) field(i int) wire.Field {
	c := r.column(i)
	f := wire.Field{Name: c.Name, Type: c.T}
	if c.NotNull {
		f.Flags |= wire.FlagNotNull
	}
	if i < len(r.table.Columns) {
		if r.table.IsKey(i) {
			f.Flags |= wire.FlagPrimaryKey
			if len(r.table.Key) == 1 {
				f.Flags |= wire.FlagUnique
			}
		}
		if r.table.Columns[i].Unique {
			f.Flags |= wire.FlagUnique
		}
	}
	return f
}

// Column resolves a name in the relation; it makes a relation an expr.Names.
func (r *relation) Column(name dialect.Name) (*expr.Column, error) {
	last := name[len(name)-1].Name
	if len(name) > 1 && name[len(name)-2].Name != r.as || len(name) > 2 && name[0].Name != r.table.Namespace {
		return nil, wire.NewError(wire.CodeInvalidSQL, "missing FROM-clause entry for table ", name[len(name)-2].Name)
	}
	if i := r.table.Column(last); i >= 0 {
		return r.column(i), nil
	}
	if r.table.Kind != catalog.System {
		switch last {
		case catalog.SeqColumn:
			return r.column(len(r.table.Columns)), nil
		case catalog.DeletedColumn:
			return r.column(len(r.table.Columns) + 1), nil
		}
	}
	e := wire.NewError(wire.CodeColumnNotFound, "No field named ", last, ": ", r.table.FullName(), " has no such column")
	e.Hint = r.nearest(last)
	return nil, e
}

// nearest is the hint for a misspelt column.
func (r *relation) nearest(name string) string {
	best, at := 3, ""
	for i := range r.table.Columns {
		if d := distance(name, r.table.Columns[i].Name); d < best && 2*d < len(name) {
			best, at = d, r.table.Columns[i].Name
		}
	}
	if at == "" {
		return ""
	}
	return "Did you mean " + at + "?"
}

// distance is the number of single-character edits between two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
