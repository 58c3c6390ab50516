package engine

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/ddl"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// explanation is EXPLAIN: it shows the statement as it was understood and how
// the database finds its rows; with ANALYZE it runs it and tells rows and time.
type explanation struct {
	inner   *plan
	as      *run // who the statement is explained for
	tree    dialect.Statement
	analyze bool
}

var _ = add(alone, right.Need{Right: right.Administer, What: "EXPLAIN", Reach: right.Reading}, func(ctx context.Context, b *binding, s *dialect.Explain) (statement, error) {
	as, err := b.r.explainedFor(ctx, b.p.source, s, b.params)
	if err != nil {
		return nil, err
	}
	inner, err := as.plan(ctx, b.p.source, s.Inner, b.params)
	if err != nil {
		return nil, err
	}
	if s.Analyze && (!inner.reads() || inner.query() == nil) {
		return nil, fault.At(b.p.source, s.Pos(), wire.NewError(wire.CodeUnsupported, "EXPLAIN ANALYZE of a statement that writes is not supported"))
	}
	b.p.once, b.p.params, b.p.tables, b.p.table = true, inner.params, inner.tables, inner.table
	return &explanation{inner, as, s.Inner, s.Analyze}, nil
})

// explainedFor is the request as the user whom AS USER names would make it.
func (r *run) explainedFor(ctx context.Context, source string, s *dialect.Explain, params []wire.Value) (*run, error) {
	if s.User == nil {
		return r, nil
	}
	refused := func(err error) error { return fault.At(source, s.User.Pos, err) }
	if s.Analyze {
		return nil, refused(wire.NewError(wire.CodeUnsupported, "EXPLAIN ANALYZE AS USER is not supported, since it would run the statement as the user; EXECUTE AS USER does"))
	}
	name, err := ddl.TextOf(source, *s.User, params)
	if err != nil {
		return nil, err
	}
	as := *r
	as.who = &identity.Principal{UserID: name}
	err = r.share().Read(ctx, func(tx *store.Tx) (err error) {
		as.who.Role, err = identity.RoleOf(tx, name)
		return err
	})
	return &as, refused(err)
}

// policies names those that decide on which rows of a table are shown.
func (e *explanation) policies(t *catalog.Table) string {
	role := e.as.who.Role
	if !catalog.Obeys(role) {
		return t.FullName() + ": none, role " + role + " sees all rows"
	}
	text := t.FullName() + ":"
	for i := range t.Policies {
		if p := &t.Policies[i]; p.Holds(role, catalog.Select) && p.Using != "" {
			text += " " + p.Name + " (" + p.Using + ")"
		}
	}
	return text
}

func (e *explanation) reads() bool      { return true }
func (e *explanation) query() *Prepared { return nil }

func (e *explanation) run(r *run, tx *store.Tx, _ *plan, params []wire.Value) (wire.Result, error) {
	env, err := e.as.env(e.inner, params)
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
	for _, t := range e.inner.tables {
		if t.Governed() {
			add("policies", e.policies(t))
		}
	}
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
