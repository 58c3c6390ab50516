package expr

import (
	"strconv"

	"github.com/kalamdb/kalam-go/wire"
)

// Target says how an engine writes what an expression means.
type Target interface {
	// Placeholder returns what stands for argument n, from 1, of type t.
	Placeholder(n int, t wire.Type) string
	// Literal writes a constant that is the same in every run of a statement. ok is
	// false for one that has to be an argument; it is true for NULL and BOOLEAN.
	Literal(v wire.Value, t wire.Type) (sql string, ok bool)
	// Native returns how the engine itself says a call, with $1 to $9 for the
	// arguments, "" where it calls the function of this package.
	Native(c Callee) string
	// Aggregate returns the engine's own name of an aggregate, "" where it calls
	// the one of this package.
	Aggregate(c Callee) string
	// Distinct returns the operator IS [NOT] DISTINCT FROM.
	Distinct(not bool) string
	// Single returns the form of a value from a query, $1, that must give one row
	// at most.
	Single() string
	// Length returns the form of what an INTERVAL, $1, compares by.
	Length() string
	// Unlimited returns the count of a LIMIT that limits nothing.
	Unlimited() string
	// Rows returns a query of the columns over rows in memory, which arg stands
	// for: a JSON array of arrays.
	Rows(cols []wire.Field, arg string) string
	// View returns a query over the server's own tables as the columns of a system
	// table. In those, times are microseconds since 1970, flags 0 and 1, and
	// documents texts.
	View(cols []wire.Field, sql string) string
	// Staging says how the rows of a query get from one statement to another. It is
	// nil for an engine that computes a query of WITH once, however often the
	// statement names it.
	Staging() *Staging
	// Type returns the engine's type of a column.
	Type(t wire.Type) string
	// Registers reports whether the functions of this package run inside the
	// engine, which has DECIMAL and INTERVAL as the bytes that they work on. An
	// engine that does not has types of its own for these, and checks by itself
	// what the functions check.
	Registers() bool
}

// Staging carries rows in an argument. Pack returns a query whose one value is
// what a query of WITH gives, and Unpack the query of those rows.
type Staging struct {
	Pack   func(from string, cols []string) string
	Unpack func(cols int, arg string) string
}

// Callee is a function, an operator, a cast or an aggregate for certain kinds of
// arguments.
type Callee struct {
	Name   string // as in SQL: "lower", "+"; the name of a cast begins with "cast_"
	Args   []wire.Kind
	Result wire.Kind
}

func (f *function) callee() Callee { return Callee{f.name, f.args, f.result} }

// Registered returns the name under which a driver registers the function.
func (c Callee) Registered() string {
	s := "k_" + operatorWords.Replace(c.Name)
	for _, k := range c.Args {
		s += "_" + kindCodes[k]
	}
	return s
}

// canonicalTarget prints what tells expressions apart.
type canonicalTarget struct{}

func (canonicalTarget) Placeholder(n int, _ wire.Type) string  { return "$" + strconv.Itoa(n) }
func (canonicalTarget) Native(Callee) string                   { return "" }
func (canonicalTarget) Aggregate(Callee) string                { return "" }
func (canonicalTarget) Single() string                         { return "($1)" }
func (canonicalTarget) Length() string                         { return "$1" }
func (canonicalTarget) Staging() *Staging                      { return nil }
func (canonicalTarget) Unlimited() string                      { return "ALL" }
func (canonicalTarget) Type(t wire.Type) string                { return TypeName(t) }
func (canonicalTarget) Rows(_ []wire.Field, arg string) string { return arg }
func (canonicalTarget) View(_ []wire.Field, sql string) string { return sql }
func (canonicalTarget) Registers() bool                        { return true }

func (canonicalTarget) Distinct(not bool) string {
	if not {
		return "IS"
	}
	return "IS NOT"
}

func (canonicalTarget) Literal(v wire.Value, _ wire.Type) (string, bool) {
	switch v.Tag() {
	case wire.TagNull:
		return "NULL", true
	case wire.TagBool:
		return strconv.FormatBool(v.Bool()), true
	case wire.TagInt:
		return strconv.FormatInt(v.Int(), 10), true
	}
	return "", false
}
