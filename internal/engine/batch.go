package engine

import (
	"context"
	"errors"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// isTransaction reports whether a statement begins or ends a transaction.
func isTransaction(s dialect.Statement) bool {
	switch s := s.(type) {
	case *dialect.Begin, *dialect.Commit:
		return true
	case *dialect.Rollback:
		return s.To == nil
	}
	return false
}

// text runs the statements of one text in order: those between BEGIN and
// COMMIT or ROLLBACK as one transaction, each other one by itself.
func (r *run) text(ctx context.Context, sql string, src *dialect.Source) ([]wire.Result, error) {
	if err := r.blocks(sql, src.Statements); err != nil {
		return nil, err
	}
	for i, s := range src.Statements {
		if err := r.authorise(sql, s, nil); err != nil {
			return nil, numbered(err, i+1)
		}
	}
	results := make([]wire.Result, 0, len(src.Statements))
	for i := 0; i < len(src.Statements); i++ {
		switch s := src.Statements[i].(type) {
		case *dialect.Begin:
			end := i + 1
			for !isTransaction(src.Statements[end]) {
				end++
			}
			_, rollback := src.Statements[end].(*dialect.Rollback)
			inner, err := r.block(ctx, sql, src.Statements[i+1:end], i+1, rollback)
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
				return nil, numbered(err, i+1)
			}
			results = append(results, res)
		default:
			p, err := r.plan(sql, s, nil)
			var res wire.Result
			if err == nil {
				res, err = r.single(ctx, p, nil)
			}
			if err != nil {
				return nil, numbered(err, i+1)
			}
			results = append(results, res)
		}
	}
	return results, nil
}

func (r *run) done(message string) wire.Result {
	return wire.Result{Message: message, AsUser: r.who.UserID}
}

// use changes the namespace for the rest of the request.
func (r *run) use(sql string, s *dialect.Use) (wire.Result, error) {
	if r.e.db.Catalog().Namespace(s.Name.Name) == nil {
		return wire.Result{}, at(sql, s.Name.Pos, noNamespace(s.Name.Name))
	}
	r.namespace = s.Name.Name
	return r.done("Namespace is now " + s.Name.Name), nil
}

// blocks checks that every BEGIN has its end in the same request, before
// anything runs.
func (r *run) blocks(sql string, list []dialect.Statement) error {
	open := 0
	for i, s := range list {
		if open == 0 && isSavepoint(s) {
			return numbered(at(sql, s.Pos(), wire.NewError(wire.CodeSQLExecution, "savepoints need an open transaction: BEGIN comes first")), i+1)
		}
		if isSavepoint(s) {
			continue
		}
		switch s := s.(type) {
		case *dialect.Begin:
			if open > 0 {
				return numbered(at(sql, s.Pos(), wire.NewError(wire.CodeSQLExecution, "a transaction is already open")), i+1)
			}
			open = i + 1
		case *dialect.Commit, *dialect.Rollback:
			if open == 0 {
				return numbered(at(sql, s.Pos(), wire.NewError(wire.CodeSQLExecution, "no transaction is open")), i+1)
			}
			open = 0
		default:
			if open > 0 && !inTransaction(s) {
				return numbered(at(sql, s.Pos(), wire.NewError(wire.CodeUnsupported, "only SELECT, INSERT, UPDATE, DELETE, CONSUME and ACK are supported inside explicit transactions; run this statement before BEGIN or after COMMIT")), i+1)
			}
		}
	}
	if open > 0 {
		return numbered(wire.NewError(wire.CodeSQLExecution, "the request ended with an open explicit transaction; nothing was changed. End it with COMMIT or ROLLBACK in the same request"), open)
	}
	return nil
}

// isSavepoint reports whether a statement sets, drops or returns to a savepoint.
func isSavepoint(s dialect.Statement) bool {
	switch s := s.(type) {
	case *dialect.Savepoint, *dialect.Release:
		return true
	case *dialect.Rollback:
		return s.To != nil
	}
	return false
}

// inTransaction reports whether a statement may stand in a transaction.
func inTransaction(s dialect.Statement) bool {
	switch s := s.(type) {
	case *dialect.Query, *dialect.Insert, *dialect.Update, *dialect.Delete, *dialect.Consume, *dialect.Ack:
		return true
	case *dialect.ExecuteAs:
		return inTransaction(s.Inner)
	}
	return false
}

// part is one statement of a transaction.
type part struct {
	sql    string
	stmt   dialect.Statement
	params []wire.Value
	number int
}

var errRollback = errors.New("rolled back on request")

// block runs statements as one transaction.
func (r *run) block(ctx context.Context, sql string, list []dialect.Statement, first int, rollback bool) ([]wire.Result, error) {
	parts := make([]part, len(list))
	for i, s := range list {
		parts[i] = part{sql: sql, stmt: s, number: first + 1 + i}
	}
	return r.parts(ctx, parts, rollback)
}

// transaction runs the statements of the "statements" form.
func (r *run) transaction(ctx context.Context, list []wire.Statement) ([]wire.Result, error) {
	if len(list) == 0 {
		return nil, wire.NewError(wire.CodeEmptySQL, "\"statements\" is empty")
	}
	parts := make([]part, len(list))
	for i, s := range list {
		err := r.e.checkParams(s.Params)
		if err != nil {
			return nil, numbered(err, i+1)
		}
		src, err := r.e.parse(r.budget, s.SQL)
		if err != nil {
			return nil, numbered(err, i+1)
		}
		if len(src.Statements) != 1 {
			return nil, numbered(wire.NewError(wire.CodeInvalidInput, "each entry of \"statements\" holds exactly one statement"), i+1)
		}
		stmt := src.Statements[0]
		if !inTransaction(stmt) && !isSavepoint(stmt) {
			return nil, numbered(wire.NewError(wire.CodeUnsupported, "\"statements\" is one transaction: it takes SELECT, INSERT, UPDATE, DELETE and savepoints"), i+1)
		}
		if err := r.authorise(s.SQL, stmt, s.Params); err != nil {
			return nil, numbered(err, i+1)
		}
		parts[i] = part{sql: s.SQL, stmt: stmt, params: s.Params, number: i + 1}
	}
	return r.parts(ctx, parts, false)
}

// parts runs statements as one transaction: on a snapshot when all of them
// read, else in the writer.
func (r *run) parts(ctx context.Context, parts []part, rollback bool) ([]wire.Result, error) {
	reads := true
	r.addr = identity.ClientOf(ctx)
	for _, p := range parts {
		_, query := p.stmt.(*dialect.Query)
		reads = reads && query
	}
	var results []wire.Result
	held := r.hold.held()
	fn := func(tx *store.Tx) error {
		defer r.inside(tx)()
		r.hold.back(held) // it may run again
		b := &block{r: r, tx: tx, parts: parts}
		stop, err := b.from(0)
		if err == nil && stop.name != "" {
			p := parts[stop.at]
			err = numbered(at(p.sql, p.stmt.Pos(), wire.NewError(wire.CodeSQLExecution, "savepoint ", stop.name, " does not exist")), p.number)
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
		err = r.write(ctx, nil, nil, fn)
	}
	if err != nil && !errors.Is(err, errRollback) {
		return nil, r.e.visible(err, !reads)
	}
	return results, nil
}
