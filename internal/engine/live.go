package engine

import (
	"cmp"
	"context"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/ddl"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// BindLive binds a live query with the rights of who, and returns what its
// expressions are evaluated in. A table that is named without a namespace is in
// the given one; with none, that is refused.
func (e *Engine) BindLive(ctx context.Context, who *identity.Principal, namespace, sql string, params []wire.Value) (*bind.Watch, *expr.Env, error) {
	if err := e.checkParams(params); err != nil {
		return nil, nil, err
	}
	r := &run{e: e, who: who, namespace: cmp.Or(namespace, ddl.DefaultNamespace), now: e.db.Now()}
	r.budget = r.bounded(ctx)
	defer r.budget.End()
	src, err := e.parse(r.budget, sql)
	if err != nil {
		return nil, nil, err
	}
	if len(src.Statements) != 1 {
		return nil, nil, wire.NewError(wire.CodeInvalidSQL, "a live query is exactly one SELECT")
	}
	types := &expr.Params{Types: make([]wire.Type, len(params))}
	for i, v := range params {
		types.Types[i] = kindByForm(v)
	}
	b := &bind.Binder{Catalog: e.db.Catalog(), Namespace: namespace, Params: types, Source: sql, May: r.may(false), Budget: r.budget, Role: r.role(false)}
	bound, err := b.Watch(src.Statements[0])
	if err != nil {
		return nil, nil, err
	}
	if types.Used < len(params) {
		return nil, nil, wire.NewError(wire.CodeParameterCount, "the live query has ", itoa(types.Used), " parameters, but ", itoa(len(params)), " values were sent")
	}
	env, err := r.envOf(who.UserID, who.Role, types.Types, params)
	return bound, env, err
}
