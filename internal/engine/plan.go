package engine

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// planKey finds a plan again: the same text means the same in the same
// namespace with parameters of the same JSON kinds.
type planKey struct{ sql, namespace, kinds string }

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

// plan is a statement that is ready to run, for any user with the right to. It
// is immutable, but for state and version.
type plan struct {
	version atomic.Int64 // of the newest catalog that it is known to fit
	source  string
	stmt    dialect.Statement
	params  []wire.Type
	as      *dialect.ExecuteAs // that the statement is inside, else nil
	table   *catalog.Table     // that is written, nil for none
	tables  []*catalog.Table   // that are read or written
	files   []bind.Upload      // that it asks for

	query *bind.Select // a SELECT, or
	in    *bind.Insert // an INSERT, or
	ch    *bind.Change // an UPDATE or DELETE, or
	other func(r *run, tx *store.Tx, p *plan) (wire.Result, error)
	reads bool // other changes nothing

	bytes int // of the bound expressions, roughly

	rows *store.Stmt // of query and ch
	args []expr.Arg

	asked     *store.Stmt // the sub-queries of RETURNING, nil for none
	askedArgs []expr.Arg

	// before does what must not happen inside the transaction, such as hashing
	// a password; it may leave a value in state.
	before func(ctx context.Context, r *run) error
	state  any
	// after does what follows the commit and may take long; it may add to the
	// message.
	after func(ctx context.Context, r *run, res *wire.Result)

	own []wire.Value // the parameters of a query of the server's own; nil for others
}

// read reports whether the plan changes nothing.
func (p *plan) read() bool { return p.query != nil || p.reads }

// subject is the user that EXECUTE AS names, "" for a statement of the caller's
// own. That the parameter is a text was seen when the plan was bound.
func (p *plan) subject(params []wire.Value) string {
	if p.as == nil {
		return ""
	}
	name, _ := textOf(p.source, p.as.User, params)
	return name
}

// audited reports whether the plan, which writes, may leave a trail in the audit
// log.
func (p *plan) audited() bool { return p.as != nil || p.other != nil }

// fits reports whether binding the statement against a catalog would make the
// same plan: when every table that it names is the same value there, whatever
// else has been defined meanwhile.
func (p *plan) fits(c *catalog.Snapshot) bool {
	if p.version.Load() == c.Version {
		return true
	}
	if !p.keep() || slices.ContainsFunc(p.tables, func(t *catalog.Table) bool { return c.Table(t.Namespace, t.Name) != t }) {
		return false
	}
	p.version.Store(c.Version)
	return true
}

// keep reports whether the plan may be used again.
func (p *plan) keep() bool { return p.other == nil && p.own == nil }

func (p *plan) streamWrite() bool {
	return p.table != nil && p.table.Kind == catalog.Stream
}

// plan binds a statement against the current catalog.
func (r *run) plan(source string, s dialect.Statement, params []wire.Value) (*plan, error) {
	snapshot := r.e.db.Catalog()
	p := &plan{source: source, stmt: s}
	p.version.Store(snapshot.Version)
	types := &expr.Params{Types: make([]wire.Type, len(params))}
	for i, v := range params {
		types.Types[i] = kindByForm(v)
	}
	if as, ok := s.(*dialect.ExecuteAs); ok {
		p.as = as
		user := as.User
		if err := bindTexts(source, types, params, &user); err != nil {
			return nil, err
		}
		s = as.Inner
	}
	b := &bind.Binder{Catalog: snapshot, Namespace: r.namespace, Params: types, Source: source, May: r.may(p), Budget: r.budget}
	if err := r.bind(b, p, s, params); err != nil {
		return nil, err
	}
	if _, ok := s.(*dialect.Explain); ok || p.own != nil {
		return p, nil // they have the tables and parameters of what is inside
	}
	p.tables, p.files, p.bytes = b.Tables, b.Files, b.Bytes
	if types.Used < len(params) {
		return nil, wire.NewError(wire.CodeParameterCount, "the statement has ", itoa(types.Used), " parameters, but ", itoa(len(params)), " values were sent")
	}
	p.params = types.Types
	return p, nil
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

func (r *run) bind(b *bind.Binder, p *plan, s dialect.Statement, params []wire.Value) error {
	var err error
	switch s := s.(type) {
	case *dialect.Query:
		if p.query, err = b.Select(s); err != nil {
			return err
		}
		p.print(p.query.Printed(r.e.db.Target()))
	case *dialect.Insert:
		if p.in, err = b.Insert(s); err != nil {
			return err
		}
		p.table = p.in.Table
		if p.in.Query != nil {
			p.print(p.in.Query.Printed(r.e.db.Target()))
		}
		p.ask(p.in.Returning, r.e.db.Target())
	case *dialect.Update:
		if p.ch, err = b.Update(s); err != nil {
			return err
		}
		p.table = p.ch.Table
		p.print(p.ch.Printed(r.e.db.Target()))
		p.ask(p.ch.Returning, r.e.db.Target())
	case *dialect.Delete:
		if p.ch, err = b.Delete(s); err != nil {
			return err
		}
		p.table = p.ch.Table
		p.print(p.ch.Printed(r.e.db.Target()))
		p.ask(p.ch.Returning, r.e.db.Target())
	default:
		if p.as != nil {
			return noExecuteAs(p.source, s)
		}
		return r.define(b, p, s, params)
	}
	return nil
}

func (p *plan) print(q bind.Printed) { p.rows, p.args = stmtOf(q), q.Args }

func (p *plan) ask(ret *bind.Returning, target expr.Target) {
	if ret != nil && ret.Asked != nil {
		q := ret.Asked.Printed(target)
		p.asked, p.askedArgs = stmtOf(q), q.Args
	}
}

func stmtOf(q bind.Printed) *store.Stmt {
	types := make([]wire.Type, len(q.Args))
	for i, a := range q.Args {
		types[i] = a.Type
	}
	return &store.Stmt{SQL: q.SQL, Args: types, Cols: q.Cols}
}

// values resolves the arguments of the plan's query.
func (p *plan) values(env *expr.Env) []wire.Value { return resolve(p.args, env) }

func resolve(args []expr.Arg, env *expr.Env) []wire.Value {
	if len(args) == 0 {
		return nil
	}
	out := make([]wire.Value, len(args))
	for i, a := range args {
		out[i] = a.Resolve(env)
	}
	return out
}
