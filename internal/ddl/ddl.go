// Package ddl runs the statements that define things (namespaces, tables,
// indexes, users, topics) and those that show them.
//
// One flow: package engine finds a statement's Kind, asks the right that it
// needs, binds it with the request, and runs the bound Statement in a transaction.
// Names are looked up in that transaction. Rows are the engine's.
package ddl

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/topic"
	"github.com/kalamdb/kalam-go/wire"
)

// DefaultNamespace is where names without a namespace are looked up when the
// request names none.
const DefaultNamespace = "default"

// Service is what definitions work on.
type Service struct {
	DB     *store.DB
	Users  *identity.Service
	Topics *topic.Service
	Quota  Quota
	Logger *slog.Logger
}

// Request is a statement to bind, with what its request says.
type Request struct {
	*Service
	Who       *identity.Principal
	Namespace string // of names without one
	Now       time.Time
	Source    string       // the text of the statement
	Values    []wire.Value // of the parameters
	Params    *expr.Params

	// Of the transaction that the statement runs in:
	trail *identity.Trail
	addr  string // of the client
}

// Statement is a bound statement of this package. It serves one request.
type Statement struct {
	Reads bool   // it changes nothing
	Query *Query // what the statement stands for, instead of Run; else nil

	// Before does what must not happen inside the transaction, such as hashing a
	// password; nil for nothing.
	Before func(ctx context.Context) error
	// After does what follows the commit and may take long; it may add to the
	// message. nil for nothing.
	After func(ctx context.Context, res *wire.Result)

	request *Request
	run     func(tx *store.Tx) (wire.Result, error)
	// defines finds the table whose definition changes; nil for none.
	defines func(c *catalog.Snapshot) (*catalog.Table, dialect.Pos)
}

// Query is a query that stands behind a statement.
type Query struct {
	SQL     string
	Values  []wire.Value
	Trusted bool // it reads tables of the server's own, for whoever may run the statement
}

// Run runs the statement in a transaction, whose audit goes to trail.
func (s *Statement) Run(tx *store.Tx, trail *identity.Trail, addr string) (wire.Result, error) {
	s.request.trail, s.request.addr = trail, addr
	return s.run(tx)
}

// Asks reports whether May has something to decide: whether the statement
// changes the definition of a table, and the caller's role alone does not tell.
func (s *Statement) Asks(c *catalog.Snapshot) bool {
	if s.defines == nil {
		return false
	}
	t, _ := s.defines(c)
	who := s.request.Who
	return t != nil && (right.Define(who.Role, t) != nil || who.Scope != nil)
}

// May decides whether the caller may change the definition that the statement is
// about: by role, and in a private table also its owner while no other user has a
// row in it.
func (s *Statement) May(tx *store.Tx) error {
	if s.defines == nil {
		return nil
	}
	t, pos := s.defines(tx.Catalog())
	if t == nil {
		return nil
	}
	who := s.request.Who
	if err := right.InScope(who.Scope, t, true); err != nil {
		return s.request.at(pos, err)
	}
	denied := right.Define(who.Role, t)
	if denied == nil {
		return nil
	}
	if t.Kind.Private() && t.Owner == who.UserID && right.Check(who.Role, right.CreatePrivate, "") == nil {
		others, err := tx.OthersHaveRows(t, who.UserID)
		if err != nil || !others {
			return err
		}
	}
	return s.request.at(pos, denied)
}

// Kind is a sort of statement: the right that it needs, and how one is bound.
type Kind struct {
	Need func(source string, s dialect.Statement) (right.Need, error)
	Bind func(r *Request, s dialect.Statement) (*Statement, error)
}

// Kinds is the registry of the statements of this package. Each is entered in
// the file that implements it.
var Kinds = map[reflect.Type]Kind{}

// enter enters a sort of statement that bind makes ready to run.
func enter[S dialect.Statement](need func(source string, s S) (right.Need, error), bind func(r *Request, s S) (*Statement, error)) Kind {
	k := Kind{
		Need: func(source string, s dialect.Statement) (right.Need, error) { return need(source, s.(S)) },
		Bind: func(r *Request, s dialect.Statement) (*Statement, error) {
			bound, err := bind(r, s.(S))
			if err == nil {
				bound.request = r
			}
			return bound, err
		},
	}
	Kinds[reflect.TypeFor[S]()] = k
	return k
}

// always is the need of statements that all need the same.
func always[S dialect.Statement](need right.Need) func(string, S) (right.Need, error) {
	return func(string, S) (right.Need, error) { return need, nil }
}

// administers enters a sort of statement for administrators, which looks up
// everything in the transaction that it runs in.
func administers[S dialect.Statement](what string, run func(r *Request, tx *store.Tx, s S) (wire.Result, error)) Kind {
	return enter(always[S](right.Need{Right: right.Administer, What: what}), runs(run))
}

// runs binds a statement that looks up everything in the transaction.
func runs[S dialect.Statement](run func(r *Request, tx *store.Tx, s S) (wire.Result, error)) func(*Request, S) (*Statement, error) {
	return func(r *Request, s S) (*Statement, error) {
		return &Statement{run: func(tx *store.Tx) (wire.Result, error) { return run(r, tx, s) }}, nil
	}
}

// redefines enters a sort of statement that changes the definition of the table
// that of finds.
func redefines[S dialect.Statement](of func(r *Request, c *catalog.Snapshot, s S) (*catalog.Table, dialect.Pos), run func(r *Request, tx *store.Tx, s S) (wire.Result, error)) Kind {
	return enter(always[S](right.Need{Reach: right.Writing}), func(r *Request, s S) (*Statement, error) {
		bound, err := runs(run)(r, s)
		bound.defines = func(c *catalog.Snapshot) (*catalog.Table, dialect.Pos) { return of(r, c, s) }
		return bound, err
	})
}

// reading is a statement that changes nothing.
func reading(run func(tx *store.Tx) (wire.Result, error)) *Statement {
	return &Statement{Reads: true, run: run}
}

// at points an error at a place of the statement.
func (r *Request) at(pos dialect.Pos, err error) error { return fault.At(r.Source, pos, err) }

// fail makes an error that points at a place of the statement.
func (r *Request) fail(pos dialect.Pos, code wire.Code, parts ...string) error {
	return r.at(pos, wire.NewError(code, parts...))
}

func (r *Request) done(message string) wire.Result {
	return wire.Result{Message: message, AsUser: r.Who.UserID}
}

// lookup finds the table that a name stands for, nil if there is none.
func (r *Request) lookup(c *catalog.Snapshot, name dialect.Name) *catalog.Table {
	return c.Table(r.namespaceOf(name), name[len(name)-1].Name)
}

// namespaceOf is the namespace that a name is in.
func (r *Request) namespaceOf(name dialect.Name) string {
	if len(name) == 2 {
		return name[0].Name
	}
	return r.Namespace
}

// readable finds a table that the caller may read.
func (r *Request) readable(c *catalog.Snapshot, name dialect.Name) (*catalog.Table, error) {
	t := r.lookup(c, name)
	if t == nil {
		return nil, r.fail(name[0].Pos, wire.CodeTableNotFound, "Table not found: ", name[len(name)-1].Name, " does not exist")
	}
	err := right.Use(r.Who.Role, t, false)
	if err == nil {
		err = right.InScope(r.Who.Scope, t, false)
	}
	return t, r.at(name[0].Pos, err)
}

// checkName refuses a name that a definition may not give.
func (r *Request) checkName(id dialect.Ident) error {
	if err := dialect.CheckName(id); err != nil {
		return r.fail(id.Pos, wire.CodeInvalidSQL, err.Error())
	}
	return nil
}

// NoNamespace says that a namespace does not exist.
func NoNamespace(name string) error {
	return wire.NewError(wire.CodeNamespaceNotFound, "Namespace '", name, "' does not exist. Create it first with CREATE NAMESPACE ", name)
}
