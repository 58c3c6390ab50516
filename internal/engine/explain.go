package engine

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// explanation is EXPLAIN: it shows the statement as it was understood and how
// the database finds its rows; with ANALYZE it runs it and tells rows and time.
type explanation struct {
	inner   *plan
	tree    dialect.Statement
	analyze bool
}

var _ = add(alone, right.Need{Right: right.Administer, What: "EXPLAIN", Reach: right.Reading}, func(ctx context.Context, b *binding, s *dialect.Explain) (statement, error) {
	inner, err := b.r.plan(ctx, b.p.source, s.Inner, b.params)
	if err != nil {
		return nil, err
	}
	if s.Analyze && (!inner.reads() || inner.query() == nil) {
		return nil, fault.At(b.p.source, s.Pos(), wire.NewError(wire.CodeUnsupported, "EXPLAIN ANALYZE of a statement that writes is not supported"))
	}
	b.p.once, b.p.params, b.p.tables, b.p.table = true, inner.params, inner.tables, inner.table
	return &explanation{inner, s.Inner, s.Analyze}, nil
})

func (e *explanation) reads() bool      { return true }
func (e *explanation) query() *Prepared { return nil }

func (e *explanation) run(r *run, tx *store.Tx, _ *plan, params []wire.Value) (wire.Result, error) {
	env, err := r.env(e.inner, params)
	if err != nil {
		return wire.Result{}, err
	}
	text := wire.Type{Kind: wire.Text}
	res := r.done("")
	res.Schema = []wire.Field{{Name: "plan_type", Type: text}, {Name: "plan", Type: text, Index: 1}}
	add := func(kind, line string) {
		res.Rows = append(res.Rows, []wire.Value{wire.TextValue(kind), wire.TextValue(line)})
	}
	add("logical_plan", dialect.Print(e.tree))
	how, err := e.physical(tx, env)
	if err != nil {
		return wire.Result{}, err
	}
	add("physical_plan", how)
	if e.analyze {
		start := time.Now()
		out, err := e.inner.run(r, tx, e.inner, params)
		if err != nil {
			return wire.Result{}, err
		}
		took := strconv.FormatFloat(float64(time.Since(start).Microseconds())/1000, 'f', 3, 64)
		add("analyze", itoa(out.RowCount)+" row(s) in "+took+" ms")
	}
	res.RowCount = len(res.Rows)
	return res, nil
}

// physical says how the database finds the rows of the statement.
func (e *explanation) physical(tx *store.Tx, env *expr.Env) (string, error) {
	q := e.inner.query()
	if q == nil {
		return "evaluate the values and insert them by key", nil
	}
	lines, err := tx.Explain(q.Stmt, q.Values(env))
	return strings.Join(lines, "\n"), err
}
