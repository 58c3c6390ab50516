// Package expr gives expressions their meaning: PostgreSQL's, whatever engine
// runs them.
//
// Bind resolves the names and types of a dialect.Expr into a Node. A Node is
// either evaluated in Go on one row (live filters, CHECK, DEFAULT, VALUES) or
// printed for an engine. Both come from one table of operators and functions,
// so that they cannot differ: where the engine does not mean the same as
// PostgreSQL, the print calls a function of ours that the engine's driver
// registers (Functions).
package expr

import (
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// Node is a typed expression. It is immutable and safe to share.
type Node interface {
	// Type is the type of the result; Kind Unknown only for a bare NULL.
	Type() wire.Type
	// Eval computes the value on one row. Errors are *wire.Error.
	Eval(env *Env) (wire.Value, error)
	// print appends the expression in the engine's SQL.
	print(p *Printer)
}

// Env is what an expression is evaluated in.
type Env struct {
	Row    []wire.Value // by the index that Names.Column gave
	Params []wire.Value // already coerced to the types that Bind chose
	User   string
	Role   string
	Now    time.Time    // the start of the statement
	NextID func() int64 // for SNOWFLAKE_ID()
	// Serial gives the next number of a counter of the table that is written.
	Serial func(id int) (int64, error)
	// Files are the references of the files that came with the statement, by
	// the names that FILE("name") calls them.
	Files map[string]wire.Value
	// Staged holds the rows of the stages that have run.
	Staged map[*Stage]wire.Value
	// Members are the sets that memberships look values up in.
	Members []*MemberSet
	// Budget bounds what the evaluation may use; nil for nothing.
	Budget *budget.Budget

	lets *frameOf // the values that are in force
}

// Names resolves what an expression may refer to.
type Names interface {
	// Column finds a column by its name as written. The error is a *wire.Error
	// with code COLUMN_NOT_FOUND or INVALID_SQL (ambiguous) and no place yet.
	Column(name dialect.Name) (*Column, error)
}

// Column is a reference to a column of the row at hand.
type Column struct {
	Index int // into Env.Row
	Name  string
	T     wire.Type
	// SQL is how the engine names the column, ready to print.
	SQL string
	// Size is that of the expression which an engine may put in place of the
	// column, as it does with those of sub-queries; 0 counts as 1.
	Size int
	// NotNull says that the column is never NULL.
	NotNull bool
}

// Params collects what Bind learns of the parameters $1 to $n. Types starts as
// the kinds of the values at hand (BigInt, Double, Text, Boolean, Unknown for
// null); Bind replaces an entry by what the context asks for, as PostgreSQL
// does: in "id = $1" it is the type of id.
type Params struct {
	Types []wire.Type
	fixed []bool
	Used  int // the highest n that was seen
}

// BindOptions say what an expression may hold where it stands.
type BindOptions struct {
	Names      Names   // nil: no columns
	Params     *Params // nil: no parameters
	Aggregates bool    // count, sum, ... are allowed
	// Aggregate, if it is not nil, decides of which query an aggregate is, and so
	// whether it is allowed; bind binds it. With outside one that has no columns
	// is of the query around.
	Aggregate func(bind func() (Node, error), outside bool) (Node, error)
	// Windows says that window functions are allowed; NamedWindows are those of
	// the WINDOW clause.
	Windows      bool
	NamedWindows map[string]*dialect.Window
	// Query binds a sub-query; nil: none are allowed. An error of it that has a
	// line is passed on as it is.
	Query func(q *dialect.Query) (Query, error)
	// Budget bounds the binding; nil for nothing.
	Budget *budget.Budget
	// Expect is the type that the place asks for: a bare parameter or untyped
	// literal takes it. The zero Type asks for nothing.
	Expect wire.Type
}
