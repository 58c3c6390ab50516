package engine

import (
	"context"
	"slices"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// inserting is an INSERT being run.
type inserting struct {
	r     *run
	tx    *store.Tx
	in    *bind.Insert
	of    *insertion
	t     *catalog.Table
	env   *expr.Env
	ret   *returned
	count int
	made  map[store.Seq]bool // versions that this statement made, for ON CONFLICT
}

// insertion is an INSERT.
type insertion struct {
	bound *bind.Insert
	from  *Prepared // of INSERT ... SELECT, else nil
	ret   *returning
	guard *guard // on each row; nil: none
	old   *guard // of ON CONFLICT DO UPDATE, on the row that is there; nil: none
	new   *guard // of ON CONFLICT DO UPDATE, on what becomes of it; nil: none
}

var _ = add(rows, right.Need{Reach: right.Writing}, func(_ context.Context, b *binding, s *dialect.Insert) (statement, error) {
	bound, err := b.Insert(s)
	if err != nil {
		return nil, err
	}
	target := b.r.e.db.Target()
	b.p.table = bound.Table
	in := &insertion{bound: bound, ret: bindReturning(bound.Returning, target), guard: bindGuard(bound.Guard, target)}
	if c := bound.Conflict; c != nil {
		in.old, in.new = bindGuard(c.Old, target), bindGuard(c.New, target)
	}
	if bound.Query != nil {
		in.from = Prepare(bound.Query.Printed(target))
	}
	return in, nil
})

func (in *insertion) reads() bool      { return false }
func (in *insertion) query() *Prepared { return in.from }

func (in *insertion) run(r *run, tx *store.Tx, p *plan, params []wire.Value) (wire.Result, error) {
	env, err := r.rowEnv(tx, p, params)
	if err != nil {
		return wire.Result{}, err
	}
	env.Serial = func(id int) (int64, error) { return tx.NextSerial(p.table, owner(p.table, env), id) }
	ins := &inserting{r: r, tx: tx, in: in.bound, of: in, t: p.table, env: env, ret: in.ret.begin(r)}
	if in.bound.Conflict != nil {
		ins.made = make(map[store.Seq]bool)
	}
	if in.from == nil {
		for _, nodes := range in.bound.Rows {
			if err := ins.row(nil, nodes); err != nil {
				return wire.Result{}, err
			}
		}
		return ins.ret.result(ins.count, "Inserted", env), nil
	}
	if err := in.bound.Query.Check(env); err != nil {
		return wire.Result{}, err
	}
	// All rows are read before the first is written: the query may read the
	// table that is written to.
	list := rowList{e: r.e, run: r}
	if err := r.found(tx, p, env, list.add); err != nil {
		return wire.Result{}, err
	}
	for _, from := range list.rows {
		if err := ins.row(from, in.bound.FromQuery); err != nil {
			return wire.Result{}, err
		}
	}
	return ins.ret.result(ins.count, "Inserted", env), nil
}

// row inserts one row, whose columns are computed on from.
func (ins *inserting) row(from []wire.Value, nodes []expr.Node) error {
	n := len(ins.t.Columns)
	row := make([]wire.Value, n+2)
	ins.env.Row = from
	held := ins.env.Budget.Held()
	for i, node := range nodes {
		var err error
		if row[i], err = node.Eval(ins.env); err != nil {
			return inColumn(ins.t, i, err)
		}
	}
	if err := ins.raise(nodes, row); err != nil {
		return err
	}
	if err := ins.r.takeFiles(ins.tx, ins.t, ins.env, nil, row); err != nil {
		return err
	}
	ins.env.Row = row
	if err := ins.of.guard.pass(ins.tx, ins.env); err != nil {
		return err
	}
	if err := ins.in.Check(ins.env); err != nil {
		return err
	}
	if ins.in.Conflict != nil {
		done, err := ins.onConflict(row)
		if done || err != nil {
			return err
		}
	}
	asked, err := ins.ret.ask(ins.tx, ins.env)
	if err != nil {
		return err
	}
	user := owner(ins.t, ins.env)
	ins.env.Budget.Release(held) // the change that is logged holds the values
	seq, err := ins.tx.Insert(ins.t, user, row[:n:n])
	if err != nil && ins.t.Kind == catalog.Stream {
		if gone, e := ins.dropEnded(user, row); e != nil {
			return e
		} else if gone {
			seq, err = ins.tx.Insert(ins.t, user, row[:n:n])
		}
	}
	if err != nil {
		return ins.r.conflict(ins.t, err)
	}
	return ins.done(row, seq, asked)
}

// raise lets the counters of SERIAL columns go on above the numbers that a row
// brings, which would be in the way of theirs.
func (ins *inserting) raise(nodes []expr.Node, row []wire.Value) error {
	for i := range ins.t.Columns {
		if id := ins.t.Columns[i].Serial; id > 0 && !expr.IsNumber(nodes[i]) {
			if err := ins.tx.RaiseSerial(ins.t, owner(ins.t, ins.env), id, row[i].Int()); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropEnded deletes the rows of a STREAM table that are in the way of row and
// have lived their time. It reports whether there were any.
func (ins *inserting) dropEnded(user string, row []wire.Value) (gone bool, err error) {
	for _, cols := range bind.Unique(ins.t) {
		old, seq, err := ins.tx.Find(ins.t, user, cols, row)
		if err != nil {
			return gone, err
		}
		if old == nil || seq >= store.Ended(ins.t, ins.env.Now) {
			continue
		}
		if err := ins.tx.Delete(ins.t, user, seq, old); err != nil {
			return gone, err
		}
		gone = true
	}
	return gone, nil
}

func (ins *inserting) done(row []wire.Value, seq store.Seq, asked []wire.Value) error {
	if ins.made != nil {
		ins.made[seq] = true
	}
	ins.count++
	system(ins.t, row, seq)
	ins.env.Row = row
	return ins.ret.add(ins.env, asked)
}

// onConflict looks for a row that is in the way of row and does what the clause
// says. done reports that row is not to be inserted.
func (ins *inserting) onConflict(row []wire.Value) (done bool, err error) {
	c := ins.in.Conflict
	user := owner(ins.t, ins.env)
	if ins.t.Kind == catalog.Stream {
		if _, err := ins.dropEnded(user, row); err != nil {
			return false, err
		}
	}
	targets := [][]int{c.Target}
	if c.Target == nil {
		targets = bind.Unique(ins.t)
	}
	for _, cols := range targets {
		old, seq, err := ins.tx.Find(ins.t, user, cols, row)
		if err != nil {
			return false, err
		}
		if old == nil {
			continue
		}
		if c.Nothing {
			return true, nil
		}
		return true, ins.doUpdate(user, old, seq, row)
	}
	return false, nil
}

func (ins *inserting) doUpdate(user string, old []wire.Value, seq store.Seq, row []wire.Value) error {
	n, c := len(ins.t.Columns), ins.in.Conflict
	if ins.made[seq] {
		return wire.NewError(wire.CodeUniqueViolation, "ON CONFLICT DO UPDATE cannot affect a row a second time: two rows of this INSERT have the same key")
	}
	full := make([]wire.Value, n+2)
	copy(full, old)
	system(ins.t, full, seq)
	ins.env.Row = full
	if err := ins.of.old.pass(ins.tx, ins.env); err != nil {
		return err
	}
	ins.env.Row = append(slices.Clone(full), row...)
	ok, err := c.Applies(ins.env)
	if err != nil || !ok {
		return err
	}
	next := slices.Clone(full)
	for _, a := range c.Set {
		if next[a.Column], err = a.Value.Eval(ins.env); err != nil {
			return inColumn(ins.t, a.Column, err)
		}
	}
	if err := ins.r.takeFiles(ins.tx, ins.t, ins.env, full, next); err != nil {
		return err
	}
	ins.env.Row = next
	if err := ins.of.new.pass(ins.tx, ins.env); err != nil {
		return err
	}
	if err := ins.in.Check(ins.env); err != nil {
		return err
	}
	asked, err := ins.ret.ask(ins.tx, ins.env)
	if err != nil {
		return err
	}
	if !slices.Equal(next, full) {
		if seq, err = ins.tx.Update(ins.t, user, seq, full[:n:n], next[:n:n]); err != nil {
			return ins.r.conflict(ins.t, err)
		}
	}
	return ins.done(next, seq, asked)
}
