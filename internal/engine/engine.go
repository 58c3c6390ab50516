// Package engine runs statements. It is the only place where a statement
// becomes rows: HTTP requests, live snapshots and EXECUTE AS all come through
// here, so that roles are checked and the scope is added in one place.
//
// One flow: parse (cached by text), authorise every statement of the request,
// bind against the catalog (cached too), run in a transaction, give results.
package engine

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/ddl"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/topic"
	"github.com/kalamdb/kalam-go/wire"
)

// Options limit what a statement may use. The zero value works.
type Options struct {
	MaxSQLBytes   int            // of a request's text; default 1 MiB
	MaxParams     int            // of a statement; default 50
	MaxParamBytes int            // of one parameter; default 512 KiB
	MaxRows       int            // of one result; default 100,000
	MaxBytes      int            // of one result in memory; default 64 MiB
	PlanBytes     int            // of the plans that are kept, roughly; default 32 MiB
	Quota         ddl.Quota      // of what a user may define
	Memory        int64          // bytes that requests and sockets may hold together; default 256 MiB
	Topics        *topic.Service // keeps the messages; default: one that removes none
	Logger        *slog.Logger
}

// Engine runs statements on one database. It is safe for concurrent use.
type Engine struct {
	db      *store.DB
	users   *identity.Service
	options Options
	plans   *otter.Cache[planKey, *plan]
	topics  *topic.Service
	memory  *Memory
	running atomic.Int64 // requests
	nextID  func() int64 // of the database

	definitions *ddl.Service
}

// New makes an engine on an open database.
func New(db *store.DB, users *identity.Service, o Options) *Engine {
	def(&o.MaxSQLBytes, 1<<20)
	def(&o.MaxParams, 50)
	def(&o.MaxParamBytes, 512<<10)
	def(&o.MaxRows, 100_000)
	def(&o.MaxBytes, 64<<20)
	def(&o.PlanBytes, 32<<20)
	if o.Memory == 0 {
		o.Memory = 256 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Topics == nil {
		o.Topics = topic.New(db, topic.Options{RetainEvery: -1})
	}
	definitions := &ddl.Service{DB: db, Users: users, Topics: o.Topics, Quota: o.Quota, Logger: o.Logger}
	return &Engine{db: db, nextID: db.NextID, users: users, options: o, topics: o.Topics, definitions: definitions, memory: NewMemory(o.Memory, db.Account()), plans: otter.Must(&otter.Options[planKey, *plan]{
		MaximumWeight: uint64(o.PlanBytes),
		// A plan of tree, bound tree and printed text holds some 25 bytes for each of
		// its text, but for the constants that were computed when it was bound.
		Weigher: func(k planKey, p *plan) uint32 { return uint32(25*len(k.sql) + p.bytes + 1024) },
	})}
}

func def(v *int, value int) {
	if *v == 0 {
		*v = value
	}
}

// Memory is what requests may hold together.
func (e *Engine) Memory() *Memory { return e.memory }

// Plans is how many statements have their plan kept.
func (e *Engine) Plans() int { return e.plans.EstimatedSize() }

// Running is how many requests are being executed.
func (e *Engine) Running() int { return int(e.running.Load()) }

// Run executes a request for who and returns one result for each statement.
// Errors that the caller may see are *wire.Error; their Statement says which
// statement failed. Outside BEGIN and COMMIT the statements before it stay.
func (e *Engine) Run(ctx context.Context, who *identity.Principal, req *wire.Request) ([]wire.Result, error) {
	return e.run(ctx, who, req, nil, nil)
}

// RunCounted is Run for who comes from outside: what the request holds is counted
// in hold, which the caller releases when the results have been sent.
func (e *Engine) RunCounted(ctx context.Context, who *identity.Principal, req *wire.Request, hold *Hold) ([]wire.Result, error) {
	return e.run(ctx, who, req, nil, hold)
}

// Decode reads the body of a request of who. The error is a *wire.Error.
func (e *Engine) Decode(ctx context.Context, who *identity.Principal, body []byte) (*wire.Request, error) {
	if len(body) > shortText {
		b := e.db.For(who.UserID).Budget(ctx)
		defer b.End()
		b.Place()
	}
	req, err := wire.DecodeRequest(body)
	if err != nil {
		return nil, err
	}
	return req, nil
}

func (e *Engine) run(ctx context.Context, who *identity.Principal, req *wire.Request, files *Uploads, hold *Hold) ([]wire.Result, error) {
	e.running.Add(1)
	defer e.running.Add(-1)
	r := &run{e: e, who: who, namespace: cmp.Or(req.Namespace, ddl.DefaultNamespace), now: e.db.Now(), files: files, hold: hold}
	results, err := r.request(ctx, req)
	r.budget.End()
	if err != nil {
		return nil, e.Visible(ctx, err)
	}
	return results, nil
}

func (r *run) request(ctx context.Context, req *wire.Request) ([]wire.Result, error) {
	e, files := r.e, r.files
	if req.IsBatch {
		r.budget = r.bounded(ctx)
		return r.transaction(ctx, req.Statements)
	}
	if err := e.checkParams(req.Params); err != nil {
		return nil, err
	}
	key := planKey{sql: req.SQL, namespace: r.namespace, kinds: paramKinds(req.Params), role: r.who.Role}
	if p, ok := e.plans.GetIfPresent(key); ok && p.fits(e.db.Catalog()) {
		err := r.mayRun(ctx, p, req.Params)
		if err != nil {
			return nil, inStatement(1, err)
		}
		return r.only(ctx, p, req.Params)
	}
	r.budget = r.bounded(ctx)
	src, err := e.parse(r.budget, req.SQL)
	if err != nil {
		return nil, err
	}
	first := src.Statements[0]
	switch at := placeOf(first); {
	case files != nil && (len(src.Statements) > 1 || at == boundary):
		return nil, wire.NewError(wire.CodeInvalidInput, "a request with files takes exactly one statement")
	case len(src.Statements) > 1 && len(req.Params) > 0:
		return nil, wire.NewError(wire.CodeParamsWithBatch, "parameters need a request with exactly one statement; send \"statements\" for a transaction with parameters")
	case len(src.Statements) > 1 || at == boundary || at == savepoint || at == control:
		return r.text(ctx, req.SQL, src)
	}
	p, err := r.plan(ctx, req.SQL, first, req.Params)
	if err != nil {
		return nil, inStatement(1, err)
	}
	if !p.once {
		e.plans.Set(key, p)
	}
	return r.only(ctx, p, req.Params)
}

// only runs the one statement of a request.
func (r *run) only(ctx context.Context, p *plan, params []wire.Value) ([]wire.Result, error) {
	res, err := r.single(ctx, p, params)
	if err != nil {
		return nil, inStatement(1, err)
	}
	return []wire.Result{res}, nil
}

// bytesParsed is how many bytes the trees of a statement take for each of its
// text; those of a short text nobody counts.
const (
	bytesParsed = 64
	shortText   = 16 << 10
)

// parse parses a request's text, and charges what becomes of it.
func (e *Engine) parse(b *budget.Budget, sql string) (*dialect.Source, error) {
	if len(sql) > e.options.MaxSQLBytes {
		return nil, wire.NewError(wire.CodeInvalidSQL, "SQL text is too long: ", itoa(len(sql)), " bytes; the maximum is ", itoa(e.options.MaxSQLBytes))
	}
	if len(sql) > shortText {
		b.Place()
		if err := b.Charge(bytesParsed * len(sql)); err != nil {
			return nil, err
		}
	}
	src, err := dialect.Parse(sql)
	if err != nil {
		return nil, fault.Syntax(err)
	}
	if len(src.Statements) == 0 {
		return nil, wire.NewError(wire.CodeEmptySQL, "the request holds no SQL statement")
	}
	return src, nil
}

// checkParams enforces the limits on parameters.
func (e *Engine) checkParams(params []wire.Value) error {
	if len(params) > e.options.MaxParams {
		return wire.NewError(wire.CodeInvalidParameter, "too many parameters: ", itoa(len(params)), "; the maximum is ", itoa(e.options.MaxParams))
	}
	for i, v := range params {
		if len(v.Raw()) > e.options.MaxParamBytes {
			return wire.NewError(wire.CodeInvalidParameter, "parameter $", itoa(i+1), " exceeds the maximum size of ", itoa(e.options.MaxParamBytes), " bytes")
		}
	}
	return nil
}

// run is one request being executed.
type run struct {
	e         *Engine
	who       *identity.Principal
	namespace string
	now       time.Time
	addr      string          // of the client, of what is audited
	trail     *identity.Trail // of the transaction that runs; nil where nothing is audited
	files     *Uploads        // of RunWithFiles, else nil
	hold      *Hold           // of the request; nil: nobody counts
	ahead     *ahead          // what the query of a writing statement has found beforehand; nil: nothing
	trusted   bool            // the statement is the server's own: no right is asked for
	// budget bounds what is bound and evaluated now: that of the request, or of
	// the transaction that runs; nil for a kept plan outside of one.
	budget *budget.Budget
}

// enter makes the budget of a transaction the one that counts. leave takes what
// it returns, the one that counted before.
func (r *run) enter(tx *store.Tx) (outside *budget.Budget) {
	outside, r.budget = r.budget, tx.Budget()
	return outside
}

func (r *run) leave(outside *budget.Budget) { r.budget = outside }

// env is what the expressions of a plan are evaluated in.
func (r *run) env(p *plan, params []wire.Value) (*expr.Env, error) {
	if p.as != nil {
		return r.envOf(p.subject(params), identity.RoleUser, p.params, params)
	}
	return r.envOf(r.who.UserID, r.who.Role, p.params, params)
}

// envOf is what expressions are evaluated in for a user, with parameters that
// become of the types which binding found.
func (r *run) envOf(user, role string, types []wire.Type, params []wire.Value) (*expr.Env, error) {
	env := &expr.Env{User: user, Role: role, Now: r.now, NextID: r.e.nextID, Budget: r.budget}
	if len(params) == 0 {
		return env, nil
	}
	env.Params = make([]wire.Value, len(params))
	for i, v := range params {
		c, err := expr.Coerce(v, types[i])
		if err != nil {
			return nil, fault.In("parameter $"+itoa(i+1), err)
		}
		env.Params[i] = c
	}
	return env, nil
}

// single runs one statement in a transaction of its own.
func (r *run) single(ctx context.Context, p *plan, params []wire.Value) (wire.Result, error) {
	if err := r.checkFiles(p); err != nil {
		return wire.Result{}, err
	}
	if !p.reads() {
		return r.singleWrite(ctx, p, params)
	}
	if user := p.subject(params); user != "" && user != r.who.UserID {
		if err := r.e.users.ImpersonatedToRead(ctx, r.who, user, dialect.Redact(p.source)); err != nil {
			return wire.Result{}, err
		}
	}
	if q, ok := p.statement.(*selection); ok {
		res, err := q.alone(ctx, r, p, params)
		return res, p.muted(err)
	}
	var res wire.Result
	err := r.share().Read(ctx, func(tx *store.Tx) (err error) {
		defer r.leave(r.enter(tx))
		res, err = p.run(r, tx, p, params)
		return err
	})
	return res, p.muted(err)
}

// singleWrite runs a statement that changes something.
func (r *run) singleWrite(ctx context.Context, p *plan, params []wire.Value) (wire.Result, error) {
	d, defines := p.statement.(*definition)
	if defines && d.Before != nil {
		if err := d.Before(ctx); err != nil {
			return wire.Result{}, slowWrite(err)
		}
	}
	held := r.hold.held()
	res, err := write(ctx, r, p, params, func(tx *store.Tx) (res wire.Result, err error) {
		defer r.leave(r.enter(tx))
		r.hold.back(held) // it may run again
		q, err := r.fresh(ctx, tx, p, params)
		if err != nil {
			return res, err
		}
		if res, err = r.exec(tx, q, params); err != nil {
			return res, err
		}
		return res, r.route(tx)
	})
	if err == nil && defines && d.After != nil {
		d.After(ctx, &res)
	}
	return res, err
}

// fresh returns p, or the same statement bound again when the catalog has
// changed since. What was bound for one request looks its names up itself.
func (r *run) fresh(ctx context.Context, tx *store.Tx, p *plan, params []wire.Value) (*plan, error) {
	if p.once || p.fits(tx.Catalog()) {
		return p, nil
	}
	return r.plan(ctx, p.source, p.tree, params)
}
