package engine

import (
	"context"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// selection is a SELECT or VALUES.
type selection struct {
	bound *bind.Select
	from  *Prepared
}

var _ = add(rows, right.Need{Reach: right.Reading}, func(_ context.Context, b *binding, s *dialect.Query) (statement, error) {
	bound, err := b.Select(s)
	if err != nil {
		return nil, err
	}
	return &selection{bound, Prepare(bound.Printed(b.r.e.db.Target()))}, nil
})

func (s *selection) reads() bool      { return true }
func (s *selection) query() *Prepared { return s.from }

func (s *selection) run(r *run, tx *store.Tx, p *plan, params []wire.Value) (wire.Result, error) {
	env, err := r.env(p, params)
	if err != nil {
		return wire.Result{}, err
	}
	res, out, err := s.begin(r, env)
	if err != nil {
		return res, err
	}
	err = s.from.Run(tx, env, out.add)
	return out.end(res, err)
}

// alone runs it outside of a transaction, which costs a small one half of its
// time.
func (s *selection) alone(ctx context.Context, r *run, p *plan, params []wire.Value) (wire.Result, error) {
	if s.from.staged() {
		return s.inTransaction(ctx, r, p, params)
	}
	if r.budget == nil && s.bound.Computes() {
		r.budget = r.bounded(ctx)
	}
	env, err := r.env(p, params)
	if err != nil {
		return wire.Result{}, err
	}
	res, out, err := s.begin(r, env)
	if err != nil {
		return res, err
	}
	err = r.share().Query(ctx, s.from.Stmt, s.from.Values(env), func(row []wire.Value) error {
		if r.budget == nil && out.bytes+SizeOf(row) > smallResult/2 {
			r.budget = r.e.db.Budget(ctx) // the statement takes the turns
		}
		return out.add(row)
	})
	return out.end(res, err)
}

// inTransaction runs it and its stages on one snapshot.
func (s *selection) inTransaction(ctx context.Context, r *run, p *plan, params []wire.Value) (res wire.Result, err error) {
	if r.budget == nil {
		r.budget = r.bounded(ctx)
	}
	err = r.share().Read(ctx, func(tx *store.Tx) error {
		res, err = s.run(r, tx, p, params)
		return err
	})
	return res, err
}

// begin checks what the statement says once and begins its result.
func (s *selection) begin(r *run, env *expr.Env) (wire.Result, rowList, error) {
	if err := s.bound.Check(env); err != nil {
		return wire.Result{}, rowList{}, err
	}
	res := wire.Result{Schema: s.bound.Fields(), AsUser: env.User}
	return res, rowList{e: r.e, run: r}, nil
}
