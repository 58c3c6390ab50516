package bind

import (
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Predicate is a condition on a row of one table and nothing else.
type Predicate struct{ where expr.Node }

// Predicate binds a condition on the rows of a table with their system columns.
// what names the condition in a refusal.
func (b *Binder) Predicate(t *catalog.Table, x dialect.Expr, what string) (*Predicate, error) {
	queries := false
	dialect.Walk(x, func(n dialect.Node) bool {
		_, query := n.(*dialect.Query)
		queries = queries || query
		return !queries
	})
	if queries {
		return nil, b.fail(wire.CodeInvalidSQL, x.Pos(), what, " has no sub-query: it sees the changed row and nothing else")
	}
	where, err := b.condition(x, b.relation(t, nil).level(), "WHERE", expr.BindOptions{})
	if err != nil {
		return nil, err
	}
	if name := expr.Unsteady(where); name != "" {
		return nil, b.fail(wire.CodeInvalidSQL, x.Pos(), what, " has no ", strings.ToUpper(name), ", whose value is another one at every look")
	}
	return &Predicate{where}, nil
}

// Match reports whether env.Row, with its system columns, meets the condition.
func (p *Predicate) Match(env *expr.Env) (bool, error) {
	v, err := p.where.Eval(env)
	return v.Bool(), err
}
