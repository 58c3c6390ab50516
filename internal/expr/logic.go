package expr

import (
	"slices"

	"github.com/kalamdb/kalam-go/wire"
)

var boolean = typeOf(wire.Boolean)

// Condition makes sure that n is a BOOLEAN; what names the place for the error:
// "WHERE". The error is a *wire.Error.
func Condition(n Node, what string) (Node, error) {
	n, err := resolve(n, boolean)
	if err != nil {
		return nil, err
	}
	if n.Type().Kind != wire.Boolean {
		return nil, wire.NewError(wire.CodeTypeMismatch, "argument of ", what, " must be type BOOLEAN, not ", TypeName(n.Type()))
	}
	return n, nil
}

// junction is AND or OR of two or more.
type junction struct {
	op   string // "AND", "OR"
	args []Node
}

func (j *junction) Type() wire.Type { return boolean }

// Eval goes from left to right and stops when the rest cannot matter.
func (j *junction) Eval(env *Env) (wire.Value, error) {
	stop := j.op == "OR"
	unknown := false
	if err := env.Budget.Spend(len(j.args)); err != nil {
		return wire.Null, err
	}
	for _, a := range j.args {
		v, err := a.Eval(env)
		if err != nil {
			return wire.Null, err
		}
		switch {
		case v.IsNull():
			unknown = true
		case v.Bool() == stop:
			return v, nil
		}
	}
	if unknown {
		return wire.Null, nil
	}
	return wire.BoolValue(!stop), nil
}

// And joins conditions; nil for none.
func And(conditions ...Node) Node {
	switch len(conditions) {
	case 0:
		return nil
	case 1:
		return conditions[0]
	}
	return &junction{"AND", conditions}
}

type not struct{ x Node }

func (n *not) Type() wire.Type { return boolean }

func (n *not) Eval(env *Env) (wire.Value, error) {
	v, err := n.x.Eval(env)
	if err != nil || v.IsNull() {
		return v, err
	}
	return wire.BoolValue(!v.Bool()), nil
}

// negate makes NOT x if no is set.
func negate(x Node, no bool) Node {
	if no {
		return &not{x}
	}
	return x
}

// is is x IS [NOT] NULL, TRUE or FALSE.
type is struct {
	x    Node
	not  bool
	what string
}

func (n *is) Type() wire.Type { return boolean }

func (n *is) Eval(env *Env) (wire.Value, error) {
	v, err := n.x.Eval(env)
	if err != nil {
		return wire.Null, err
	}
	var ok bool
	switch n.what {
	case "NULL":
		ok = v.IsNull()
	case "TRUE":
		ok = !v.IsNull() && v.Bool()
	case "FALSE":
		ok = !v.IsNull() && !v.Bool()
	}
	return wire.BoolValue(ok != n.not), nil
}

// in is x IN (list): x is the left side of every test.
type in struct {
	x     Node
	tests []*comparison
}

func (n *in) Type() wire.Type { return boolean }

func (n *in) Eval(env *Env) (wire.Value, error) {
	x, err := n.x.Eval(env)
	if err != nil {
		return wire.Null, err
	}
	if err := env.Budget.Spend(len(n.tests)); err != nil {
		return wire.Null, err
	}
	unknown := false
	for _, t := range n.tests {
		v, err := t.r.Eval(env)
		if err != nil {
			return wire.Null, err
		}
		switch r := t.test(x, v); {
		case r.IsNull():
			unknown = true
		case r.Bool():
			return r, nil
		}
	}
	if unknown {
		return wire.Null, nil
	}
	return wire.BoolValue(false), nil
}

// choice is CASE WHEN ... THEN ... ELSE ... END. Both lists have one length;
// other is nil for no ELSE.
type choice struct {
	conds, thens []Node
	other        Node
	t            wire.Type
}

func (c *choice) Type() wire.Type { return c.t }

func (c *choice) Eval(env *Env) (wire.Value, error) {
	for i, cond := range c.conds {
		if err := env.Budget.Spend(1); err != nil {
			return wire.Null, err
		}
		v, err := cond.Eval(env)
		if err != nil {
			return wire.Null, err
		}
		if v.Bool() {
			return c.thens[i].Eval(env)
		}
	}
	if c.other == nil {
		return wire.Null, nil
	}
	return c.other.Eval(env)
}

// coalesce is the first argument that is not NULL; it has two or more.
type coalesce struct {
	args []Node
	t    wire.Type
}

func (c *coalesce) Type() wire.Type { return c.t }

func (c *coalesce) Eval(env *Env) (wire.Value, error) {
	for _, a := range c.args {
		if err := env.Budget.Spend(1); err != nil {
			return wire.Null, err
		}
		v, err := a.Eval(env)
		if err != nil || !v.IsNull() {
			return v, err
		}
	}
	return wire.Null, nil
}

// unify converts expressions that stand for one another (CASE, COALESCE,
// VALUES, UNION) to one type. what names the place for the error.
func unify(nodes []Node, what string) ([]Node, wire.Type, error) {
	t, err := CommonType(nodes, what)
	if err != nil {
		return nil, t, err
	}
	out := make([]Node, len(nodes))
	for i, n := range nodes {
		if out[i], err = convert(n, t, implicit); err != nil {
			return nil, t, err
		}
	}
	return out, t, nil
}

// CommonType is the type that expressions standing for one another take
// together: TEXT if all are open. The error is a *wire.Error.
func CommonType(nodes []Node, what string) (wire.Type, error) {
	var t wire.Type
	for _, n := range nodes {
		if isOpen(n) {
			continue
		}
		u := n.Type()
		switch {
		case t.Kind == wire.Unknown, t == u:
			t = u
		case t.Kind == u.Kind:
			t = typeOf(t.Kind)
		case categoryOf(t.Kind) != categoryOf(u.Kind):
			return t, wire.NewError(wire.CodeTypeMismatch, what, " types ", TypeName(t), " and ", TypeName(u), " cannot be matched")
		case castable(t.Kind, u.Kind, implicit):
			t = u
			if t.Kind == wire.Decimal {
				t = ownDecimal
			}
		case castable(u.Kind, t.Kind, implicit):
			if t.Kind == wire.Decimal {
				t = ownDecimal
			}
		default:
			return t, wire.NewError(wire.CodeTypeMismatch, what, " types ", TypeName(t), " and ", TypeName(u), " cannot be matched")
		}
	}
	if t.Kind != wire.Unknown {
		// An open value is not rounded to a scale that it did not ask for.
		if t.Kind == wire.Decimal && slices.ContainsFunc(nodes, isOpenValue) {
			t = ownDecimal
		}
		return t, nil
	}
	for _, n := range nodes {
		if p, ok := n.(*param); ok {
			return p.Type(), nil
		}
	}
	return typeOf(wire.Text), nil
}

func isOpenValue(n Node) bool {
	c, ok := n.(*constant)
	return isOpen(n) && !(ok && c.v.IsNull())
}

// Convert gives n the type t where n may become it without being asked to, as
// the branches of a UNION do. The error is a *wire.Error.
func Convert(n Node, t wire.Type) (Node, error) { return convert(n, t, implicit) }
