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
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/spell"
	"github.com/kalamdb/kalam-go/wire"
)

// Binder binds the statements of one request text, each with a Binder of its
// own.
type Binder struct {
	Catalog   *catalog.Snapshot
	Namespace string // of names without one
	Params    *expr.Params
	Source    string         // the text that positions refer to
	Budget    *budget.Budget // of the binding; nil for none
	Role      string         // whose policies hold; "" sees nothing of a governed table

	// May, when it is set, says whether the caller may read a table, or with write
	// change its rows. It is asked before any name in the table is resolved, so
	// that no error and no hint tells of one that the caller may not see.
	May func(t *catalog.Table, write bool) error

	// Tables are the tables that the statement reads or writes, in the order in
	// which binding met them.
	Tables []*catalog.Table

	// Under are the tables that memberships of policies read, on which the statement
	// depends without a right to them.
	Under []*catalog.Table

	// Mute is a table whose policies the statement evaluates and which may fail on a
	// row, so that errors are to be Muted; nil for none.
	Mute *catalog.Table

	// Files are the files that the statement asks for with FILE("name").
	Files []Upload

	// Bytes is what the bound expressions take, roughly.
	Bytes int

	nodes    int                              // of the bound expressions
	sources  int                              // how many items of FROM have got a name
	ctes     *cteScope                        // the WITH queries in sight
	refs     []*cte                           // the WITH queries that the query being bound names
	open     bool                             // it names one that is not bound yet, since it is inside of that one
	fence    *fence                           // of the relations that policies limit; nil: nothing has asked for it
	depth    int                              // of the query being bound: 1 is that of the statement
	made     []*relation                      // with resolved: those of the statement
	resolved map[*dialect.Ident]*resolvedName // of a policy's condition: what its names of columns mean, by their first part; nil: nobody asks
	steady   bool                             // no condition may ask for the time or a new id
	limits   []limit                          // every LIMIT and OFFSET, checked before the statement runs
}

// Upload is a file that a statement asks for.
type Upload struct {
	Name string
	Pos  dialect.Pos
}

// name makes a name for an item of FROM that no other in the statement has.
func (b *Binder) name(prefix string) string {
	b.sources++
	return prefix + strconv.Itoa(b.sources)
}

// fail makes an error that points at pos.
func (b *Binder) fail(code wire.Code, pos dialect.Pos, parts ...string) error {
	return fault.At(b.Source, pos, wire.NewError(code, parts...))
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
	return fault.At(b.Source, at.Pos, at.Err)
}

// bind types one expression over names; want says what the place allows.
func (b *Binder) bind(x dialect.Expr, names *level, want expr.BindOptions) (expr.Node, error) {
	want.Params, want.Budget = b.Params, b.Budget
	if names != nil {
		want.Names = names
		names.seen = b.seen()
		want.Aggregate = names.aggregate
		defer func(outer bool) { names.allows = outer }(names.allows)
		names.allows = want.Aggregates
	}
	want.Query = func(q *dialect.Query) (expr.Query, error) {
		sub, err := b.query(q, names)
		if err != nil {
			return nil, err
		}
		return sub, nil
	}
	n, err := expr.Bind(x, want)
	if err != nil {
		return nil, b.placed(err)
	}
	_, nodes, bytes := expr.Size(n)
	b.nodes += nodes
	b.Bytes += bytes
	if nodes > maxNodes {
		return nil, b.fail(wire.CodeStatementTooLarge, x.Pos(), "the expression has more than ", strconv.Itoa(maxNodes), " parts; split the statement")
	}
	return n, b.Budget.Charge(bytes)
}

// maxNodes is how many nodes a bound expression has at most. It is the last line
// of defence: the number is in proportion to the text.
const maxNodes = 2_000_000

// assign binds a value that goes into a column of type t.
func (b *Binder) assign(x dialect.Expr, names *level, t wire.Type) (expr.Node, error) {
	if f, ok := x.(*dialect.FileRef); ok && t.Kind == wire.File {
		b.Files = append(b.Files, Upload{f.Name, f.Pos()})
		return expr.Upload(f.Name), nil
	}
	n, err := b.bind(x, names, expr.BindOptions{Expect: t})
	if err != nil {
		return nil, err
	}
	n, err = give(x, n, t)
	if err != nil {
		return nil, b.placedAt(err, x.Pos())
	}
	return n, nil
}

// intoColumn is assign for column i of a table: the value as the column holds it.
func (b *Binder) intoColumn(x dialect.Expr, names *level, t *catalog.Table, i int) (expr.Node, error) {
	if t.Columns[i].Always {
		return nil, b.always(x.Pos(), t, i)
	}
	n, err := b.assign(x, names, t.Columns[i].Type)
	if err != nil {
		return nil, b.forColumn(err, t, i)
	}
	if n, err = held(n, t, i); err != nil {
		return nil, b.forColumn(b.placedAt(err, x.Pos()), t, i)
	}
	return n, nil
}

// always refuses a value for a column that is GENERATED ALWAYS.
func (b *Binder) always(pos dialect.Pos, t *catalog.Table, i int) error {
	return b.fail(wire.CodeInvalidSQL, pos, "column ", t.Columns[i].Name, " is GENERATED ALWAYS AS IDENTITY: it takes DEFAULT and no other value")
}

// held is a value of a column's type as the column holds it: within its length,
// to its precision, and in a key without zeros that make equal numbers differ.
func held(n expr.Node, t *catalog.Table, i int) (expr.Node, error) {
	c := &t.Columns[i]
	if expr.OwnScale(c.Type) && t.IsKey(i) {
		return expr.Natural(n), nil
	}
	return expr.Modify(n, expr.Modifier(c.Limit))
}

// give converts n, which is x, to the type of the column that it goes into. An
// integer that is written out means there what it means as a parameter, also in
// columns of times and BOOLEAN, which PostgreSQL gives no integers.
func give(x dialect.Expr, n expr.Node, t wire.Type) (expr.Node, error) {
	if !isInteger(x) {
		return expr.Assign(n, t)
	}
	return expr.AssignInteger(n, t)
}

// isInteger reports whether x is an integer that is written out.
func isInteger(x dialect.Expr) bool {
	if u, ok := x.(*dialect.Unary); ok && u.Op == "-" {
		return isInteger(u.X)
	}
	n, ok := x.(*dialect.Number)
	return ok && !strings.ContainsAny(n.Text, ".eE")
}

// condition binds a boolean expression.
func (b *Binder) condition(x dialect.Expr, names *level, clause string, want expr.BindOptions) (expr.Node, error) {
	want.Expect = wire.Type{Kind: wire.Boolean}
	n, err := b.bind(x, names, want)
	if err != nil {
		return nil, err
	}
	b.expose(n)
	if name := expr.Unsteady(n); b.steady && name != "" {
		return nil, b.fail(wire.CodeInvalidSQL, x.Pos(), clause, " has no ", strings.ToUpper(name), ", whose value is another one at every look")
	}
	if k := n.Type().Kind; k != wire.Boolean && k != wire.Unknown {
		return nil, b.fail(wire.CodeTypeMismatch, x.Pos(), "argument of ", clause, " must be BOOLEAN, not ", expr.TypeName(n.Type()))
	}
	return n, nil
}

// placedAt is placed for errors that carry no place of their own.
func (b *Binder) placedAt(err error, pos dialect.Pos) error {
	return fault.At(b.Source, pos, b.placed(err))
}

// table finds the table that a name stands for, and checks the right to it.
func (b *Binder) table(name dialect.Name, write bool) (*catalog.Table, error) {
	ns, t := b.Namespace, name[len(name)-1].Name
	switch len(name) {
	case 1:
	case 2:
		ns = name[0].Name
	default:
		return nil, b.fail(wire.CodeInvalidSQL, name[0].Pos, "a table name has at most two parts: namespace.table")
	}
	if table := b.Catalog.Table(ns, t); table != nil {
		if b.May != nil {
			if e := b.May(table, write); e != nil {
				return nil, b.placedAt(e, name[0].Pos)
			}
		}
		b.Tables = append(b.Tables, table)
		return table, nil
	}
	return nil, b.fail(wire.CodeTableNotFound, name[0].Pos, "Table not found: ", ns, ".", t)
}

// nearest is the hint for a misspelt column.
func nearest(name string, known []string) string {
	at, edits := spell.Nearest(name, known)
	if at == "" || edits > 2 || 2*edits >= len(name) {
		return ""
	}
	return "Did you mean " + at + "?"
}
