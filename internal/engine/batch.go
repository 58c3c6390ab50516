package engine

import (
	"context"
	"errors"

	"github.com/kalamdb/kalam-go/internal/ddl"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// part is one statement of several.
type part struct {
	sql    string
	stmt   dialect.Statement
	params []wire.Value
	number int
	plan   *plan // made before anything ran; nil: it cannot be made until its turn
}

// foresee makes the plan of a part before anything of the request runs, so that a
// request with a statement that the caller may not run changes nothing. What
// else is wrong is found when its turn comes: a statement before it may define
// what it needs.
func (r *run) foresee(ctx context.Context, s *part) error {
	p, err := r.admit(ctx, s.sql, s.stmt, s.params)
	if err != nil {
		return inStatement(s.number, err)
	}
	if at := placeOf(s.stmt); at == boundary || at == savepoint || at == control {
		return nil
	}
	err = r.bind(ctx, p, s.params)
	if err == nil {
		err = r.mayDefine(ctx, p)
	}
	switch {
	case err == nil:
		s.plan = p
	case refusal(s.stmt, err):
		return inStatement(s.number, err)
	}
	return nil
}

// ready returns the plan of a part whose turn has come.
func (r *run) ready(ctx context.Context, s *part) (*plan, error) {
	if s.plan != nil && s.plan.fits(r.e.db.Catalog()) {
		return s.plan, r.mayRun(ctx, s.plan, s.params)
	}
	return r.plan(ctx, s.sql, s.stmt, s.params)
}

// text runs the statements of one text in order: those between BEGIN and
// COMMIT or ROLLBACK as one transaction, each other one by itself.
func (r *run) text(ctx context.Context, sql string, src *dialect.Source) ([]wire.Result, error) {
	if err := r.blocks(sql, src.Statements); err != nil {
		return nil, err
	}
	list, err := r.foreseeAll(ctx, sql, src.Statements)
	if err != nil {
		return nil, err
	}
	results := make([]wire.Result, 0, len(list))
	for i := 0; i < len(list); i++ {
		switch s := list[i].stmt.(type) {
		case *dialect.Begin:
			end := i + 1
			for placeOf(list[end].stmt) != boundary {
				end++
			}
			_, rollback := list[end].stmt.(*dialect.Rollback)
			inner, err := r.parts(ctx, list[i+1:end], rollback)
			if err != nil {
				return nil, err
			}
			results = append(results, r.done("Transaction started"))
			results = append(results, inner...)
			if rollback {
				results = append(results, r.done("Transaction rolled back"))
			} else {
				results = append(results, r.done("Transaction committed"))
			}
			i = end
		case *dialect.Use:
			res, err := r.use(sql, s)
			if err != nil {
				return nil, inStatement(i+1, err)
			}
			results = append(results, res)
		default:
			p, err := r.ready(ctx, &list[i])
			var res wire.Result
			if err == nil {
				res, err = r.single(ctx, p, nil)
			}
			if err != nil {
				return nil, inStatement(i+1, err)
			}
			results = append(results, res)
		}
	}
	return results, nil
}

// foreseeAll makes the plans of a text's statements, each in the namespace that it
// will run in.
func (r *run) foreseeAll(ctx context.Context, sql string, statements []dialect.Statement) ([]part, error) {
	defer func(namespace string) { r.namespace = namespace }(r.namespace)
	list := make([]part, len(statements))
	for i, s := range statements {
		list[i] = part{sql: sql, stmt: s, number: i + 1}
		if use, ok := s.(*dialect.Use); ok {
			r.namespace = use.Name.Name
		}
		if err := r.foresee(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (r *run) done(message string) wire.Result {
	return wire.Result{Message: message, AsUser: r.who.UserID}
}

// use changes the namespace for the rest of the request.
func (r *run) use(sql string, s *dialect.Use) (wire.Result, error) {
	if r.e.db.Catalog().Namespace(s.Name.Name) == nil {
		return wire.Result{}, fault.At(sql, s.Name.Pos, ddl.NoNamespace(s.Name.Name))
	}
	r.namespace = s.Name.Name
	return r.done("Namespace is now " + s.Name.Name), nil
}

// blocks checks that every BEGIN has its end in the same request, before
// anything runs.
func (r *run) blocks(sql string, list []dialect.Statement) error {
	open := 0
	for i, s := range list {
		refuse := func(code wire.Code, message string) error {
			return inStatement(i+1, fault.At(sql, s.Pos(), wire.NewError(code, message)))
		}
		_, begins := s.(*dialect.Begin)
		switch at := placeOf(s); {
		case at == savepoint && open == 0:
			return refuse(wire.CodeSQLExecution, "savepoints need an open transaction: BEGIN comes first")
		case begins && open > 0:
			return refuse(wire.CodeSQLExecution, "a transaction is already open")
		case begins:
			open = i + 1
		case at == boundary && open == 0:
			return refuse(wire.CodeSQLExecution, "no transaction is open")
		case at == boundary:
			open = 0
		case open > 0 && at != savepoint && !at.inTransaction():
			return refuse(wire.CodeUnsupported, "only SELECT, INSERT, UPDATE, DELETE, CONSUME and ACK are supported inside explicit transactions; run this statement before BEGIN or after COMMIT")
		}
	}
	if open > 0 {
		return inStatement(open, wire.NewError(wire.CodeSQLExecution, "the request ended with an open explicit transaction; nothing was changed. End it with COMMIT or ROLLBACK in the same request"))
	}
	return nil
}

var errRollback = errors.New("rolled back on request")

// transaction runs the statements of the "statements" form.
func (r *run) transaction(ctx context.Context, list []wire.Statement) ([]wire.Result, error) {
	if len(list) == 0 {
		return nil, wire.NewError(wire.CodeEmptySQL, "\"statements\" is empty")
	}
	parts := make([]part, len(list))
	for i, s := range list {
		stmt, err := r.entry(s)
		if err != nil {
			return nil, inStatement(i+1, err)
		}
		parts[i] = part{sql: s.SQL, stmt: stmt, params: s.Params, number: i + 1}
		if err := r.foresee(ctx, &parts[i]); err != nil {
			return nil, err
		}
	}
	return r.parts(ctx, parts, false)
}

// entry parses one of "statements".
func (r *run) entry(s wire.Statement) (dialect.Statement, error) {
	if err := r.e.checkParams(s.Params); err != nil {
		return nil, err
	}
	src, err := r.e.parse(r.budget, s.SQL)
	if err != nil {
		return nil, err
	}
	if len(src.Statements) != 1 {
		return nil, wire.NewError(wire.CodeInvalidInput, "each entry of \"statements\" holds exactly one statement")
	}
	if at := placeOf(src.Statements[0]); !at.inTransaction() && at != savepoint {
		return nil, wire.NewError(wire.CodeUnsupported, "\"statements\" is one transaction: it takes SELECT, INSERT, UPDATE, DELETE and savepoints")
	}
	return src.Statements[0], nil
}

// parts runs statements as one transaction: on a snapshot when all of them
// read, else in the writer.
func (r *run) parts(ctx context.Context, parts []part, rollback bool) ([]wire.Result, error) {
	reads := true
	for _, p := range parts {
		_, query := p.stmt.(*dialect.Query)
		reads = reads && query
	}
	var results []wire.Result // also of a transaction that is rolled back, so Write cannot return them
	held := r.hold.held()
	fn := func(tx *store.Tx) error {
		defer r.leave(r.enter(tx))
		r.hold.back(held) // it may run again
		b := &block{r: r, tx: tx, parts: parts}
		stop, err := b.from(ctx, 0)
		if err == nil && stop.name != "" {
			p := parts[stop.at]
			err = inStatement(p.number, fault.At(p.sql, p.stmt.Pos(), wire.NewError(wire.CodeSQLExecution, "savepoint ", stop.name, " does not exist")))
		}
		results = b.results
		if err == nil && rollback {
			return errRollback
		}
		if err == nil && !reads {
			err = r.route(tx)
		}
		return err
	}
	var err error
	if reads {
		err = r.share().Read(ctx, fn)
	} else {
		_, err = write(ctx, r, nil, nil, func(tx *store.Tx) (struct{}, error) { return struct{}{}, fn(tx) })
	}
	if err != nil && !errors.Is(err, errRollback) {
		return nil, err
	}
	return results, nil
}
