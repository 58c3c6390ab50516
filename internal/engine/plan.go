package engine

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/ddl"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// planKey finds a plan again: the same text means the same in the same
// namespace with parameters of the same JSON kinds,
// for the same role, whose policies are in the plan.
type planKey struct{ sql, namespace, kinds, role string }

// paramKinds is one letter for the form of each parameter.
func paramKinds(params []wire.Value) string {
	if len(params) == 0 {
		return ""
	}
	var buf [64]byte
	b := buf[:0]
	for _, v := range params {
		b = append(b, "nbifty"[v.Tag()])
	}
	return string(b)
}

// plan is a bound statement with what the engine decides by: whom it is for,
// which tables it uses, what it was bound to. It is immutable, but for version.
type plan struct {
	statement
	version atomic.Int64 // of the newest catalog that it is known to fit
	source  string
	tree    dialect.Statement
	params  []wire.Type
	as      *dialect.ExecuteAs // that the statement is inside, else nil
	table   *catalog.Table     // that is written, nil for none
	tables  []*catalog.Table   // that are read or written
	under   []*catalog.Table   // that policies of these read
	mute    *catalog.Table     // whose policies may fail on a row that nobody sees, else nil
	files   []bind.Upload      // that it asks for
	bytes   int                // of the bound expressions, roughly
	once    bool               // it was bound for one caller and one request
}

// subject is the user that EXECUTE AS names, "" for a statement of the caller's
// own. That the parameter is a text was seen when the plan was bound.
func (p *plan) subject(params []wire.Value) string {
	if p.as == nil {
		return ""
	}
	name, _ := ddl.TextOf(p.source, p.as.User, params)
	return name
}

// muted words an error of running the statement.
func (p *plan) muted(err error) error {
	if err == nil || p.mute == nil {
		return err
	}
	return bind.Muted(p.mute, err)
}

// audited reports whether the plan, which writes, may leave a trail in the audit
// log.
func (p *plan) audited() bool { return p.as != nil || p.once }

// fits reports whether binding the statement against a catalog would make the
// same plan: when every table that it names is the same value there, whatever
// else has been defined meanwhile.
func (p *plan) fits(c *catalog.Snapshot) bool {
	if p.version.Load() == c.Version {
		return true
	}
	changed := func(t *catalog.Table) bool { return c.Table(t.Namespace, t.Name) != t }
	if p.once || slices.ContainsFunc(p.tables, changed) || slices.ContainsFunc(p.under, changed) {
		return false
	}
	p.version.Store(c.Version)
	return true
}

func (p *plan) streamWrite() bool {
	return p.table != nil && p.table.Kind == catalog.Stream
}

// plan makes the plan of a statement, if the caller may run it.
func (r *run) plan(ctx context.Context, source string, s dialect.Statement, params []wire.Value) (*plan, error) {
	p, err := r.admit(ctx, source, s, params)
	if err != nil {
		return nil, err
	}
	return p, r.bind(ctx, p, params)
}

// bind binds the statement of an admitted plan against the current catalog.
func (r *run) bind(ctx context.Context, p *plan, params []wire.Value) error {
	snapshot := r.e.db.Catalog()
	p.version.Store(snapshot.Version)
	types := &expr.Params{Types: make([]wire.Type, len(params))}
	for i, v := range params {
		types.Types[i] = kindByForm(v)
	}
	s := p.tree
	if p.as != nil {
		types.Used, s = p.as.User.Param, p.as.Inner
	}
	b := &binding{
		Binder: &bind.Binder{Catalog: snapshot, Namespace: r.namespace, Params: types, Source: p.source, May: r.may(p.as != nil), Budget: r.budget, Role: r.role(p.as != nil)},
		r:      r, p: p, params: params,
	}
	bound := kindOf(s).bind
	if bound == nil {
		return b.Unsupported(s.Pos(), "this statement")
	}
	var err error
	if p.statement, err = bound(ctx, b, s); err != nil {
		return err
	}
	if p.params != nil {
		return nil // those of the statement that it stands for, with its tables
	}
	p.tables, p.under, p.mute, p.files, p.bytes = b.Tables, b.Under, b.Mute, b.Files, b.Bytes
	if types.Used < len(params) {
		return wire.NewError(wire.CodeParameterCount, "the statement has ", itoa(types.Used), " parameters, but ", itoa(len(params)), " values were sent")
	}
	p.params = types.Types
	return nil
}

// kindByForm is the type of a parameter that nothing else gives one.
func kindByForm(v wire.Value) wire.Type {
	switch v.Tag() {
	case wire.TagBool:
		return wire.Type{Kind: wire.Boolean}
	case wire.TagInt:
		return wire.Type{Kind: wire.BigInt}
	case wire.TagFloat:
		return wire.Type{Kind: wire.Double}
	case wire.TagText, wire.TagBytes:
		return wire.Type{Kind: wire.Text}
	}
	return wire.Type{}
}
