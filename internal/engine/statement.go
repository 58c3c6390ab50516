package engine

import (
	"context"
	"reflect"
	"slices"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// statement is what a plan runs: one type for each sort of statement. It is
// immutable.
type statement interface {
	// reads reports whether running it changes nothing.
	reads() bool
	// query is what finds its rows in the database, nil when nothing does. EXPLAIN
	// shows it, and a write that holds up others runs it beforehand.
	query() *Prepared
	// run runs it in a transaction.
	run(r *run, tx *store.Tx, p *plan, params []wire.Value) (wire.Result, error)
}

// place is where in a request a sort of statement may stand.
type place uint8

const (
	alone     place = iota // in no transaction
	anywhere               // also in a transaction
	rows                   // also in a transaction, and in EXECUTE AS
	boundary               // it begins or ends a transaction
	savepoint              // in a transaction only: it sets a savepoint, drops it or returns to it
	control                // in no transaction: it changes the rest of the request
)

// inTransaction reports whether the statement is one of those that a transaction
// is made of.
func (at place) inTransaction() bool { return at == anywhere || at == rows }

// kind is what is known of a sort of statement before one of it is bound.
type kind struct {
	place place
	need  func(source string, s dialect.Statement) (right.Need, error) // nil: anyone may run it
	// bind makes what plan p runs. It is nil where the request itself does what the
	// statement says.
	bind func(ctx context.Context, b *binding, s dialect.Statement) (statement, error)
}

// binding is a statement being bound.
type binding struct {
	*bind.Binder
	r      *run
	p      *plan
	params []wire.Value
}

// kinds is the registry of statements: each is entered in the file that
// implements it. What defines or shows something is in package
var kinds = map[reflect.Type]kind{
	reflect.TypeFor[*dialect.Begin]():      {place: boundary},
	reflect.TypeFor[*dialect.Commit]():     {place: boundary},
	reflect.TypeFor[*dialect.Rollback]():   {place: boundary},
	reflect.TypeFor[*dialect.Savepoint]():  {place: savepoint},
	reflect.TypeFor[*dialect.Release]():    {place: savepoint},
	reflect.TypeFor[*dialect.RollbackTo](): {place: savepoint},
	reflect.TypeFor[*dialect.Use]():        {place: control},
}

// add enters a sort of statement that may stand at a place and needs a right.
func add[S dialect.Statement](at place, need right.Need, bind func(ctx context.Context, b *binding, s S) (statement, error)) kind {
	k := kind{
		place: at,
		need:  func(string, dialect.Statement) (right.Need, error) { return need, nil },
		bind: func(ctx context.Context, b *binding, s dialect.Statement) (statement, error) {
			return bind(ctx, b, s.(S))
		},
	}
	kinds[reflect.TypeFor[S]()] = k
	return k
}

// kindOf is the registry's entry of a statement. EXECUTE AS stands where the
// statement inside may.
func kindOf(s dialect.Statement) kind {
	if as, ok := s.(*dialect.ExecuteAs); ok {
		return kind{place: kindOf(as.Inner).place}
	}
	if k, ok := kinds[reflect.TypeOf(s)]; ok {
		return k
	}
	return definitionKind(s)
}

func placeOf(s dialect.Statement) place { return kindOf(s).place }

// Prepared is a bound query as the database runs it.
type Prepared struct {
	Stmt *store.Stmt
	args []expr.Arg
}

// Prepare makes a printed query ready to run.
func Prepare(q bind.Printed) *Prepared {
	types := make([]wire.Type, len(q.Args))
	for i, a := range q.Args {
		types[i] = a.Type
	}
	return &Prepared{Stmt: &store.Stmt{SQL: q.SQL, Args: types, Cols: q.Cols}, args: q.Args}
}

// staged reports whether arguments are rows of other queries.
func (q *Prepared) staged() bool {
	return slices.ContainsFunc(q.args, func(a expr.Arg) bool { return a.Kind == expr.ArgStage })
}

// Run runs the queries that the arguments come from, and then the query itself.
func (q *Prepared) Run(tx *store.Tx, env *expr.Env, row func([]wire.Value) error) error {
	if err := stage(tx, q.args, env); err != nil {
		return err
	}
	return tx.Query(q.Stmt, q.Values(env), row)
}

// stage runs the stages among args, and those that they need, unless they have
// run for this statement.
func stage(tx *store.Tx, args []expr.Arg, env *expr.Env) error {
	for _, a := range args {
		if a.Kind != expr.ArgStage {
			continue
		}
		if _, done := env.Staged[a.Stage]; done {
			continue
		}
		if err := stage(tx, a.Stage.Args, env); err != nil {
			return err
		}
		if env.Staged == nil {
			env.Staged = make(map[*expr.Stage]wire.Value)
		}
		q := Prepare(bind.Printed{SQL: a.Stage.SQL, Args: a.Stage.Args, Cols: []wire.Type{{Kind: wire.Text}}})
		err := tx.Query(q.Stmt, q.Values(env), func(row []wire.Value) error {
			env.Staged[a.Stage] = row[0]
			return env.Budget.Charge(len(row[0].Raw()))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Values resolves the arguments.
func (q *Prepared) Values(env *expr.Env) []wire.Value {
	if len(q.args) == 0 {
		return nil
	}
	out := make([]wire.Value, len(q.args))
	for i, a := range q.args {
		out[i] = a.Resolve(env)
	}
	return out
}
