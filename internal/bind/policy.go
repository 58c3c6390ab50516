package bind

import (
	"slices"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// Policies are bound with the statement, for the role that runs it; the user is an
// argument. They stand where the scope of a private table stands: a relation of a
// governed table prints with them, and one that nobody asked them for is empty.

// rowsOf is a relation whose rows a statement reads, limited to those that the
// policies for each of the commands show.
func (b *Binder) rowsOf(table *catalog.Table, as *dialect.Ident, commands ...catalog.Command) (*relation, error) {
	r := b.relation(table, as)
	if !table.Governed() {
		return r, nil
	}
	r.fence = b.fenced()
	var err error
	r.policy, err = b.allowed(r, usingOf, commands...)
	return r, err
}

// conditionOf is the condition of a policy that a rule is about.
type conditionOf func(p *catalog.Policy) string

func usingOf(p *catalog.Policy) string { return p.Using }

// checkOf is the condition on a row that is written: WITH CHECK, or USING where
// there is none.
func checkOf(p *catalog.Policy) string {
	if p.Check != "" {
		return p.Check
	}
	return p.Using
}

// allowed binds what the policies for all of the commands say of a row of r; nil
// when they say nothing against any row.
func (b *Binder) allowed(r *relation, of conditionOf, commands ...catalog.Command) (expr.Node, error) {
	if !catalog.Obeys(b.Role) {
		return nil, nil
	}
	var all []expr.Node
	bound := make(map[int]expr.Node)
	for _, c := range commands {
		var permissive []expr.Node
		for i := range r.table.Policies {
			p := &r.table.Policies[i]
			if !p.Holds(b.Role, c) || of(p) == "" {
				continue
			}
			n, err := bound[i], error(nil)
			if n == nil {
				if n, err = b.policy(r, p, of(p)); err != nil {
					return nil, err
				}
				bound[i] = n
			}
			if !p.Restrictive {
				permissive = append(permissive, n)
			} else if !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
		if permissive == nil {
			return expr.Const(wire.BoolValue(false), wire.Type{Kind: wire.Boolean}), nil
		}
		if n := expr.Or(permissive...); !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return expr.And(all...), nil
}

// policy binds a condition of a policy over the columns of r.
func (b *Binder) policy(r *relation, p *catalog.Policy, text string) (expr.Node, error) {
	x, err := dialect.ParseExpr(text)
	if err != nil {
		return nil, err
	}
	own := b.ofPolicy(r.table, text)
	n, err := own.membershipsAndRest(r, x)
	b.sources = own.sources
	b.Under = append(b.Under, own.Tables...)
	if n != nil && (!expr.Leakproof(n) || own.fence != nil && own.fence.up) {
		b.Mute = r.table
	}
	if e, ok := err.(*wire.Error); ok {
		return nil, wire.NewError(e.Code, "policy ", p.Name, " of ", r.table.FullName(), " cannot be applied: ", e.Message)
	}
	return n, err
}

// ofPolicy is a Binder for a condition of a policy on a table. Policies of the
// tables that the condition reads do not hold inside it.
func (b *Binder) ofPolicy(t *catalog.Table, source string) *Binder {
	return &Binder{
		Catalog: b.Catalog, Namespace: t.Namespace, Source: source, Params: new(expr.Params), Budget: b.Budget,
		Role: ofPolicies, steady: true, sources: b.sources,
	}
}

// ofPolicies is the role of conditions of policies, which read whole tables.
const ofPolicies = "system"

// Guard tests one row at hand against the policies for some commands.
type Guard struct {
	Asked *Asked // computes the test where it has a membership in it; nil: Test does

	table   *catalog.Table
	refusal string // of a row that does not pass, up to the name of the table
	command string // as errors name it
	test    expr.Node
}

// How refusals begin.
const (
	refusalNew = "new row violates row-level security policy for table "
	refusalOld = "row that is there violates row-level security policy (USING expression) for table "
)

// guard binds a Guard on rows of t; nil where every row passes.
func (b *Binder) guard(t *catalog.Table, refusal, command string, of conditionOf, commands ...catalog.Command) (*Guard, error) {
	if !t.Governed() {
		return nil, nil
	}
	r := b.relation(t, nil)
	n, err := b.allowed(r, of, commands...)
	if n == nil || err != nil {
		return nil, err
	}
	return b.guardOf(r, n, refusal, command), nil
}

func (b *Binder) guardOf(r *relation, n expr.Node, refusal, command string) *Guard {
	g := &Guard{table: r.table, refusal: refusal, command: command, test: n}
	if !expr.HasQuery(n) {
		return g
	}
	g.Asked = &Asked{items: []expr.Node{n}, of: &askedOf{table: r.table}}
	expr.Used(n, false, func(c *expr.Column) {
		if slices.ContainsFunc(r.cols, func(o output) bool { return o.column == c }) && !slices.Contains(g.Asked.cells, c) {
			g.Asked.cells = append(g.Asked.cells, c)
		}
	})
	return g
}

// guards joins the tests of several, nil for none.
func (b *Binder) guards(t *catalog.Table, command string, check, using catalog.Command) (*Guard, error) {
	if !t.Governed() {
		return nil, nil
	}
	r := b.relation(t, nil)
	written, err := b.allowed(r, checkOf, check)
	if err != nil {
		return nil, err
	}
	shown, err := b.allowed(r, usingOf, using)
	if err != nil || written == nil {
		return nil, err
	}
	return b.guardOf(r, expr.And(written, shown), refusalNew, command), nil
}

// Test evaluates a guard that is not Asked on env.Row.
func (g *Guard) Test(env *expr.Env) (wire.Value, error) { return g.test.Eval(env) }

// Refused is the refusal of a row that has not passed.
func (g *Guard) Refused() error {
	return wire.NewError(wire.CodePolicyViolation, g.refusal, g.table.FullName(), " (", g.command, ")")
}

// Failed words an error of the test. The row may be one that the caller does not
// see, so the error says nothing of it.
func (g *Guard) Failed(err error) error {
	if e, ok := err.(*wire.Error); ok && e.Code != wire.CodeStatementTimeout && e.Code != wire.CodeResultTooLarge {
		return wire.NewError(e.Code, "a policy of ", g.table.FullName(), " fails on a row (", g.command, ")")
	}
	return err
}

// Muted words an error of a statement that evaluates policies of t which may fail
// on a row: nobody knows whether it was one that the caller sees, so the error says
// nothing of it. Errors that are of no value in a row stay.
func Muted(t *catalog.Table, err error) error {
	e, ok := err.(*wire.Error)
	if !ok {
		return err
	}
	switch e.Code {
	case wire.CodeSQLExecution, wire.CodeTypeMismatch, wire.CodeNumericOutOfRange, wire.CodeDivisionByZero, wire.CodeInvalidText, wire.CodeInvalidInput, wire.CodeInvalidParameter:
		return wire.NewError(e.Code, "the statement, or a policy of ", t.FullName(), ", fails on a row")
	}
	return err
}

// fence says how conditions of a statement are printed beside policies.
type fence struct {
	// up says that a condition of the statement may fail or calls a function: it
	// must not be evaluated on a row that the policies hide, or its failure and its
	// time would tell of the row.
	up bool
}

// fenced is the fence of the statement.
func (b *Binder) fenced() *fence {
	if b.fence == nil {
		b.fence = new(fence)
	}
	return b.fence
}

// expose notes an expression that an engine may evaluate as a condition.
func (b *Binder) expose(n expr.Node) {
	if !expr.Leakproof(n) {
		b.fenced().up = true
	}
}

// guardInsert binds what policies say of the rows of an INSERT. PostgreSQL asks
// the policies for SELECT too where the statement reads rows: with RETURNING, and
// with a conflict target.
func (b *Binder) guardInsert(in *Insert, s *dialect.Insert) (err error) {
	t := in.Table
	if !t.Governed() {
		return nil
	}
	const command, onConflict = "INSERT", "INSERT ... ON CONFLICT DO UPDATE"
	if len(s.Returning) > 0 || in.Conflict != nil && len(in.Conflict.Target) > 0 {
		in.Guard, err = b.guards(t, command, catalog.Insert, catalog.Select)
	} else {
		in.Guard, err = b.guard(t, refusalNew, command, checkOf, catalog.Insert)
	}
	if err != nil || in.Conflict == nil || in.Conflict.Nothing {
		return err
	}
	if in.Conflict.Old, err = b.guard(t, refusalOld, onConflict, usingOf, catalog.Update, catalog.Select); err != nil {
		return err
	}
	in.Conflict.New, err = b.guards(t, onConflict, catalog.Update, catalog.Select)
	return err
}
