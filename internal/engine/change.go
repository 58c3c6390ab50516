package engine

import (
	"context"
	"slices"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// change is what an UPDATE and a DELETE have in common.
type change struct {
	bound *bind.Change
	from  *Prepared
	ret   *returning
	guard *guard // of an UPDATE, on each new row; nil: none
}

func (c *change) reads() bool      { return false }
func (c *change) query() *Prepared { return c.from }

type (
	update   struct{ change }
	deletion struct{ change }
)

var (
	_ = add(rows, right.Need{Reach: right.Writing}, func(_ context.Context, b *binding, s *dialect.Update) (statement, error) {
		c, err := b.Update(s)
		if err != nil {
			return nil, err
		}
		return &update{b.change(c)}, nil
	})
	_ = add(rows, right.Need{Reach: right.Writing}, func(_ context.Context, b *binding, s *dialect.Delete) (statement, error) {
		c, err := b.Delete(s)
		if err != nil {
			return nil, err
		}
		return &deletion{b.change(c)}, nil
	})
)

func (b *binding) change(c *bind.Change) change {
	target := b.r.e.db.Target()
	b.p.table = c.Table
	return change{bound: c, from: Prepare(c.Printed(target)), ret: bindReturning(c.Returning, target), guard: bindGuard(c.Guard, target)}
}

// touched is a row that an UPDATE or DELETE found.
type touched struct {
	old []wire.Value // with the system columns
	seq store.Seq
	set []wire.Value // what the query computed for SET
	new []wire.Value
	// others are the columns of FROM or USING that RETURNING sees.
	others []wire.Value
	asked  []wire.Value // of RETURNING
}

// shown is what RETURNING sees of a row.
func (t *touched) shown(row []wire.Value) []wire.Value {
	if len(t.others) == 0 {
		return row
	}
	return slices.Concat(row, t.others)
}

// touch reads the rows that a change is about. With FROM or USING a row may
// match several times: the first counts.
func (c *change) touch(r *run, tx *store.Tx, p *plan, env *expr.Env) ([]touched, error) {
	n := len(p.table.Columns)
	var rows []touched
	seen := make(map[store.Seq]bool)
	bytes := 0
	err := r.found(tx, p, env, func(row []wire.Value) error {
		seq := row[n].Int()
		if seen[seq] {
			return nil
		}
		seen[seq] = true
		if bytes += SizeOf(row); bytes > 4*r.e.options.MaxBytes {
			return wire.NewError(wire.CodeResultTooLarge, "the statement changes more rows than fit the server's limit (four times limits.max_result_bytes); split it into several with a narrower WHERE")
		}
		if err := env.Budget.Charge(SizeOf(row)); err != nil {
			return err
		}
		own := make([]wire.Value, n+2)
		copy(own, row)
		system(p.table, own, seq)
		rest := row[n+1:]
		k := c.bound.Others()
		rows = append(rows, touched{old: own, seq: seq, others: rest[:k], set: rest[k:]})
		return nil
	})
	return rows, err
}

func (u *update) run(r *run, tx *store.Tx, p *plan, params []wire.Value) (wire.Result, error) {
	env, err := r.rowEnv(tx, p, params)
	if err != nil {
		return wire.Result{}, err
	}
	t, n := p.table, len(p.table.Columns)
	rows, err := u.touch(r, tx, p, env)
	if err != nil {
		return wire.Result{}, err
	}
	ret := u.ret.begin(r)
	for i := range rows {
		row := &rows[i]
		env.Row = row.old
		held := env.Budget.Held()
		next := slices.Clone(row.old)
		for _, a := range u.bound.Set {
			if a.InQuery {
				next[a.Column], row.set = row.set[0], row.set[1:]
			} else if next[a.Column], err = a.Value.Eval(env); err != nil {
				return wire.Result{}, inColumn(t, a.Column, err)
			}
		}
		if err := r.takeFiles(tx, t, env, row.old, next); err != nil {
			return wire.Result{}, err
		}
		env.Row = next
		if err := u.guard.pass(tx, env); err != nil {
			return wire.Result{}, err
		}
		if err := u.bound.Check(env); err != nil {
			return wire.Result{}, err
		}
		env.Budget.Release(held)
		if err := env.Budget.Charge(SizeOf(next)); err != nil {
			return wire.Result{}, err
		}
		row.new = next
		env.Row = row.shown(next)
		if row.asked, err = ret.ask(tx, env); err != nil {
			return wire.Result{}, err
		}
	}
	// Rows that change their key leave first, so that keys may swap.
	moves := func(row *touched) bool {
		return slices.ContainsFunc(t.Key, func(k int) bool { return row.new[k] != row.old[k] })
	}
	user := owner(t, env)
	for i := range rows {
		if row := &rows[i]; moves(row) {
			if err := tx.Delete(t, user, row.seq, row.old[:n:n]); err != nil {
				return wire.Result{}, err
			}
		}
	}
	for i := range rows {
		row := &rows[i]
		seq := row.seq
		switch {
		case moves(row):
			seq, err = tx.Insert(t, user, row.new[:n:n])
		case !slices.Equal(row.new, row.old): // else it is counted, and not announced
			seq, err = tx.Update(t, user, row.seq, row.old[:n:n], row.new[:n:n])
		}
		if err != nil {
			return wire.Result{}, r.conflict(t, err)
		}
		system(t, row.new, seq)
		env.Row = row.shown(row.new)
		if err := ret.add(env, row.asked); err != nil {
			return wire.Result{}, err
		}
	}
	return ret.result(len(rows), "Updated", env), nil
}

func (d *deletion) run(r *run, tx *store.Tx, p *plan, params []wire.Value) (wire.Result, error) {
	env, err := r.rowEnv(tx, p, params)
	if err != nil {
		return wire.Result{}, err
	}
	t, n := p.table, len(p.table.Columns)
	rows, err := d.touch(r, tx, p, env)
	if err != nil {
		return wire.Result{}, err
	}
	ret := d.ret.begin(r)
	for i := range rows {
		row := &rows[i]
		env.Row = row.shown(row.old)
		if row.asked, err = ret.ask(tx, env); err != nil {
			return wire.Result{}, err
		}
	}
	for _, row := range rows {
		if err := tx.Delete(t, owner(t, env), row.seq, row.old[:n:n]); err != nil {
			return wire.Result{}, err
		}
		env.Row = row.shown(row.old)
		if err := ret.add(env, row.asked); err != nil {
			return wire.Result{}, err
		}
	}
	return ret.result(len(rows), "Deleted", env), nil
}

// inColumn says in an error which column the value was for.
func inColumn(t *catalog.Table, i int, err error) error {
	return fault.In("column "+t.Columns[i].Name, err)
}

// conflict words a violated key or unique index.
func (r *run) conflict(t *catalog.Table, err error) error {
	column, ok := r.e.db.Conflict(t, err)
	switch {
	case !ok:
		return err
	case column != "":
		return wire.NewError(wire.CodeUniqueViolation, "unique constraint violation: a row with this value of ", column, " already exists in ", t.FullName())
	}
	names := ""
	for i, k := range t.Key {
		if i > 0 {
			names += ", "
		}
		names += t.Columns[k].Name
	}
	return wire.NewError(wire.CodeUniqueViolation, "Primary key violation: a row with this ", names, " already exists in ", t.FullName())
}
