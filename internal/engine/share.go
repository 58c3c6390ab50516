package engine

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// tries is how often a write is begun that makes others wait too long.
const tries = 4

// share is the database as it serves the user of the request, who may have to wait
// for it.
func (r *run) share() store.Share {
	r.budget.Leave()
	return r.e.db.For(r.who.UserID)
}

// bounded returns a budget for what the request computes outside of a
// transaction.
func (r *run) bounded(ctx context.Context) *budget.Budget {
	return r.e.db.For(r.who.UserID).Budget(ctx)
}

// write runs fn in the writer. A write that has to make room for others is tried
// again; p is its plan if it is one statement, whose query then runs beforehand,
// where nobody waits for it.
func write[T any](ctx context.Context, r *run, p *plan, params []wire.Value, fn func(tx *store.Tx) (T, error)) (T, error) {
	if p != nil && p.once && r.who.IsAdmin() {
		result, err := audited(ctx, r, p, r.e.db, fn) // revoking a right waits for no user, and a definition cannot be split
		return result, slowWrite(err)
	}
	for n := 1; ; n++ {
		result, err := audited(ctx, r, p, r.share(), fn)
		if n == tries || !errors.Is(err, store.ErrYielded) {
			return result, slowWrite(err)
		}
		if p != nil && p.query() != nil {
			if r.ahead, err = r.readAhead(ctx, p, params); err != nil {
				return result, err
			}
		}
	}
}

// audited runs fn in a transaction of db, whose trail outlives it where one is
// left: by p, or by any of the statements of a transaction, whose p is nil.
func audited[T any](ctx context.Context, r *run, p *plan, db store.Writer, fn func(tx *store.Tx) (T, error)) (T, error) {
	if p != nil && !p.audited() {
		return store.Write(ctx, db, fn)
	}
	r.addr = identity.ClientOf(ctx).Addr
	return identity.Write(ctx, r.e.users, db, func(tx *store.Tx, trail *identity.Trail) (T, error) {
		r.trail = trail
		return fn(tx)
	})
}

// ahead is what the query of a writing plan found before the plan had its turn in
// the writer.
type ahead struct {
	plan  *plan
	at    store.Seq // the newest change that the query saw
	rows  [][]wire.Value
	scope string // whose rows it saw of private tables
}

// readAhead runs the query of a writing plan on a snapshot; nil when what it
// finds could not be checked later, or is too much.
func (r *run) readAhead(ctx context.Context, p *plan, params []wire.Value) (*ahead, error) {
	if len(p.files) > 0 {
		return nil, nil // they come into the database in the writer
	}
	for _, t := range p.tables {
		if t.Kind == catalog.System {
			return nil, nil // its changes are not in the log
		}
	}
	if r.budget == nil {
		r.budget = r.bounded(ctx)
	}
	env, err := r.env(p, params)
	if err != nil {
		return nil, err
	}
	a := &ahead{plan: p, scope: env.User}
	list := rowList{e: r.e, run: r}
	err = r.share().Read(ctx, func(tx *store.Tx) error {
		if a.at, err = tx.Newest(); err != nil {
			return err
		}
		return p.query().Run(tx, env, list.add)
	})
	var coded *wire.Error
	if errors.As(err, &coded) {
		return nil, nil // the writer says it when it is so there too
	}
	a.rows = list.rows
	return a, err
}

// holds reports whether the query of p would find the same in tx: none of the
// tables that it reads has changed.
func (a *ahead) holds(tx *store.Tx, p *plan) (bool, error) {
	if a == nil || a.plan != p {
		return false, nil
	}
	if floor, err := tx.Floor(); err != nil || floor > a.at {
		return false, err
	}
	for _, t := range slices.Concat(p.tables, p.under) {
		scope := ""
		if t.Kind.Private() {
			scope = a.scope
		}
		changed := false
		err := tx.Changes(t.ID, scope, a.at, math.MaxInt64, 1, func(*store.Change) error {
			changed = true
			return nil
		})
		if changed || err != nil {
			return false, err
		}
	}
	return true, nil
}

// found runs the query of a writing plan, or takes what was read ahead.
func (r *run) found(tx *store.Tx, p *plan, env *expr.Env, row func([]wire.Value) error) error {
	holds, err := r.ahead.holds(tx, p)
	if err != nil {
		return err
	}
	if !holds {
		return p.query().Run(tx, env, row)
	}
	for _, cells := range r.ahead.rows {
		if err := row(cells); err != nil {
			return err
		}
	}
	return nil
}
