package engine

import (
	"context"
	"reflect"

	"github.com/kalamdb/kalam-go/internal/ddl"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// definition is a statement of package
type definition struct{ *ddl.Statement }

// definitionKind is the registry's entry of a statement of package ddl.
func definitionKind(s dialect.Statement) kind {
	k, ok := ddl.Kinds[reflect.TypeOf(s)]
	if !ok {
		return kind{}
	}
	return kind{need: k.Need, bind: func(ctx context.Context, b *binding, s dialect.Statement) (statement, error) {
		return b.definition(ctx, k, s)
	}}
}

func (b *binding) definition(ctx context.Context, k ddl.Kind, s dialect.Statement) (statement, error) {
	r := b.r
	b.p.once = true
	d, err := k.Bind(&ddl.Request{
		Service: r.e.definitions, Who: r.who, Namespace: r.namespace, Now: r.now, Source: b.p.source, Values: b.params, Params: b.Params,
	}, s)
	if err != nil {
		return nil, err
	}
	if d.Query != nil {
		return b.shown(ctx, d.Query)
	}
	return &definition{d}, nil
}

func (d *definition) reads() bool      { return d.Reads }
func (d *definition) query() *Prepared { return nil }

func (d *definition) run(r *run, tx *store.Tx, _ *plan, _ []wire.Value) (wire.Result, error) {
	if err := d.May(tx); err != nil {
		return wire.Result{}, err
	}
	return d.Run(tx, r.trail, r.addr)
}

// mayDefine decides, before anything of a request runs, whether the caller may
// change the definition that plan p is about.
func (r *run) mayDefine(ctx context.Context, p *plan) error {
	d, ok := p.statement.(*definition)
	if !ok || !d.Asks(r.e.db.Catalog()) {
		return nil
	}
	return r.share().Read(ctx, d.May)
}

// shown is a statement that stands for a query of the server's own, such as SHOW
// TABLES.
type shown struct {
	statement
	values []wire.Value
}

// shown binds the query: with the rights of the server where it reads the
// server's tables on behalf of whoever may run the statement.
func (b *binding) shown(ctx context.Context, q *ddl.Query) (statement, error) {
	own := *b.r
	own.trusted = q.Trusted
	src, err := dialect.Parse(q.SQL)
	if err != nil {
		return nil, err
	}
	p, err := own.plan(ctx, q.SQL, src.Statements[0], q.Values)
	if err != nil {
		return nil, err
	}
	b.p.params = p.params
	return &shown{p.statement, q.Values}, nil
}

func (s *shown) run(r *run, tx *store.Tx, p *plan, _ []wire.Value) (wire.Result, error) {
	return s.statement.run(r, tx, p, s.values)
}
