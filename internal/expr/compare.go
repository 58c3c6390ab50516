package expr

import (
	"math"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// comparison is l op r. Both sides are of one class: kinds whose values
// compare with each other, in the engine too.
type comparison struct {
	op    string // "=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT" (distinct from)
	l, r  Node
	class wire.Kind
}

// classOf is the kind as which values of two kinds compare, Unknown if none.
func classOf(a, b wire.Kind) wire.Kind {
	switch {
	case isInt(a) && isInt(b):
		return wire.BigInt
	case isNumeric(a) && isNumeric(b):
		if isFloat(a) || isFloat(b) {
			return wire.Double
		}
		return wire.Decimal
	case categoryOf(a) == catString && categoryOf(b) == catString:
		return wire.Text
	case isInstant(a) && isInstant(b):
		if a == wire.Date && b == wire.Date {
			return wire.Date
		}
		return wire.Timestamp
	case a != b:
		return wire.Unknown
	}
	switch a {
	case wire.Boolean, Interval, wire.Time, wire.UUID, wire.Bytes:
		return a
	}
	return wire.Unknown
}

// Compare makes l op r, where op is "=", "<>", "<", "<=", ">", ">=", "IS" or
// "IS NOT" (distinct from). The error is a *wire.Error.
func Compare(op string, l, r Node) (Node, error) {
	c, err := newComparison(op, l, r)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// newComparison types both sides.
func newComparison(op string, l, r Node) (*comparison, error) {
	l, r, err := resolvePair(l, r)
	if err != nil {
		return nil, err
	}
	class := classOf(l.Type().Kind, r.Type().Kind)
	if class == wire.Unknown {
		return nil, wire.NewError(wire.CodeTypeMismatch, "operator does not exist: ",
			TypeName(l.Type()), " ", op, " ", TypeName(r.Type()))
	}
	if n, ok := narrowConstant(r, l.Type().Kind); ok {
		r, class = n, classOf(l.Type().Kind, n.Type().Kind)
	} else if n, ok := narrowConstant(l, r.Type().Kind); ok {
		l, class = n, classOf(n.Type().Kind, r.Type().Kind)
	}
	if l, err = toClass(l, class); err != nil {
		return nil, err
	}
	if r, err = toClass(r, class); err != nil {
		return nil, err
	}
	return &comparison{op, l, r, class}, nil
}

// resolvePair gives open sides the type of the other side, or what their
// values say.
func resolvePair(l, r Node) (Node, Node, error) {
	t := typeOf(wire.Text)
	switch {
	case !isOpen(l):
		t = l.Type()
	case !isOpen(r):
		t = r.Type()
	default:
		for _, n := range []Node{l, r} {
			if p, ok := n.(*param); ok {
				t = p.Type()
			}
		}
	}
	t = bare(t)
	l, err := resolve(l, t)
	if err != nil {
		return nil, nil, err
	}
	r, err = resolve(r, t)
	return l, r, err
}

// bare is the type without its parameters, which a context does not impose.
func bare(t wire.Type) wire.Type {
	if t.Kind == wire.File {
		return typeOf(wire.Text)
	}
	return typeOf(t.Kind)
}

// toClass converts n to what it compares as. Kinds of one form need nothing.
func toClass(n Node, class wire.Kind) (Node, error) {
	k := n.Type().Kind
	switch {
	case k == class, class == wire.BigInt, class == wire.Double && isFloat(k), class == wire.Text:
		return n, nil
	case class == wire.Timestamp && k == wire.DateTime:
		return n, nil
	}
	return convert(n, typeOf(class), implicit)
}

// narrowConstant converts a constant to the kind of the other side where that
// changes no comparison, so that the other side, which may be a key column,
// stays as it is.
func narrowConstant(n Node, k wire.Kind) (Node, bool) {
	c, ok := n.(*constant)
	if !ok || c.v.IsNull() {
		return nil, false
	}
	from := c.t.Kind
	switch {
	case isInt(k) && from == wire.Decimal:
		d := mustDecimal(c.v)
		whole := d.rescale(0, down)
		if !whole.c.IsInt64() || compareDecimal(whole.String(), c.v.Text()) != 0 {
			return nil, false
		}
		return intConst(whole.c.Int64()), true
	case isInt(k) && isFloat(from):
		f := c.v.Float()
		if f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
			return nil, false
		}
		return intConst(int64(f)), true
	case k == wire.Date && (from == wire.Timestamp || from == wire.DateTime):
		days, us := splitInstant(c.v.Int())
		if us != 0 {
			return nil, false
		}
		return &constant{wire.IntValue(days), typeOf(k)}, true
	}
	return nil, false
}

func (c *comparison) Type() wire.Type { return typeOf(wire.Boolean) }

func (c *comparison) Eval(env *Env) (wire.Value, error) {
	if err := env.Budget.Spend(1); err != nil {
		return wire.Null, err
	}
	l, err := c.l.Eval(env)
	if err != nil {
		return wire.Null, err
	}
	r, err := c.r.Eval(env)
	if err != nil {
		return wire.Null, err
	}
	return c.test(l, r), nil
}

// test compares two values that the sides gave.
func (c *comparison) test(l, r wire.Value) wire.Value {
	if l.IsNull() || r.IsNull() {
		switch c.op {
		case "IS":
			return wire.BoolValue(l.IsNull() == r.IsNull())
		case "IS NOT":
			return wire.BoolValue(l.IsNull() != r.IsNull())
		}
		return wire.Null
	}
	n := compareValues(l, r, c.class)
	var ok bool
	switch c.op {
	case "=", "IS":
		ok = n == 0
	case "<>", "IS NOT":
		ok = n != 0
	case "<":
		ok = n < 0
	case "<=":
		ok = n <= 0
	case ">":
		ok = n > 0
	case ">=":
		ok = n >= 0
	}
	return wire.BoolValue(ok)
}

// compareValues orders two values of a class, neither of them NULL.
func compareValues(a, b wire.Value, class wire.Kind) int {
	switch class {
	case wire.BigInt, wire.Date, wire.Timestamp, wire.Time:
		return compareOrdered(a.Int(), b.Int())
	case wire.Double:
		return compareOrdered(a.Float(), b.Float())
	case wire.Decimal:
		return compareDecimal(a.Text(), b.Text())
	case wire.Boolean:
		return compareOrdered(boolInt(a.Bool()), boolInt(b.Bool()))
	case Interval:
		return strings.Compare(a.Raw()[:IntervalKey], b.Raw()[:IntervalKey])
	}
	return strings.Compare(a.Raw(), b.Raw())
}

func compareOrdered[T int | int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
