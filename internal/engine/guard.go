package engine

import (
	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// guard is a bound test of policies on a row at hand; nil where every row passes.
type guard struct {
	*bind.Guard
	asked *Prepared // nil: the test needs no query
}

func bindGuard(g *bind.Guard, target expr.Target) *guard {
	switch {
	case g == nil:
		return nil
	case g.Asked == nil:
		return &guard{Guard: g}
	}
	return &guard{g, Prepare(g.Asked.Printed(target))}
}

// pass refuses env.Row, which is not written yet, unless the policies allow it.
func (g *guard) pass(tx *store.Tx, env *expr.Env) error {
	if g == nil {
		return nil
	}
	var v wire.Value
	var err error
	if g.asked == nil {
		v, err = g.Test(env)
	} else {
		err = g.asked.Run(tx, env, func(row []wire.Value) error {
			v = row[0]
			return nil
		})
	}
	if err != nil {
		return g.Failed(err)
	}
	if v.IsNull() || !v.Bool() {
		return g.Refused()
	}
	return nil
}
