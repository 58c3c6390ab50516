package expr

import (
	"math"

	"github.com/kalamdb/kalam-go/wire"
)

// context says what asks for a conversion: the wider may do all that the
// narrower do.
type context uint8

const (
	implicit   context = iota // an operator, a function
	assignment                // a column
	explicit                  // CAST
)

// cast is a conversion between two kinds.
type cast struct {
	from, to wire.Kind
	context  context
	f        *function
}

var casts = makeCasts()

type castKey struct{ from, to wire.Kind }

func makeCasts() map[castKey]*cast {
	m := map[castKey]*cast{}
	for _, c := range castList() {
		c.f.name = "cast_" + kindCodes[c.to]
		c.f.args = []wire.Kind{c.from}
		c.f.result = c.to
		m[castKey{c.from, c.to}] = c
	}
	return m
}

func castable(from, to wire.Kind, ctx context) bool {
	c, ok := casts[castKey{from, to}]
	return ok && c.context <= ctx
}

func castList() []*cast {
	var list []*cast
	add := func(from, to wire.Kind, ctx context, eval func(v wire.Value) (wire.Value, error)) {
		f := &function{eval: func(a []wire.Value) (wire.Value, error) { return eval(a[0]) }}
		list = append(list, &cast{from: from, to: to, context: ctx, f: f})
	}
	same := func(v wire.Value) (wire.Value, error) { return v, nil }

	ints := []wire.Kind{wire.SmallInt, wire.Int, wire.BigInt}
	for i, from := range ints {
		for j, to := range ints {
			switch {
			case i < j:
				add(from, to, implicit, same)
			case i > j:
				add(from, to, assignment, func(v wire.Value) (wire.Value, error) {
					return intResult(narrow(v.Int(), to))
				})
			}
		}
		add(from, wire.Decimal, implicit, func(v wire.Value) (wire.Value, error) {
			return decimalOfInt(v.Int()).value(), nil
		})
		add(from, wire.Float, implicit, func(v wire.Value) (wire.Value, error) {
			return finite(float64(float32(v.Int())), wire.Float)
		})
		add(from, wire.Double, implicit, func(v wire.Value) (wire.Value, error) {
			return wire.FloatValue(float64(v.Int())), nil
		})
		add(wire.Decimal, from, assignment, func(v wire.Value) (wire.Value, error) {
			return intResult(mustDecimal(v).int(from))
		})
		for _, k := range []wire.Kind{wire.Float, wire.Double} {
			add(k, from, assignment, func(v wire.Value) (wire.Value, error) { return floatToInt(v.Float(), from) })
		}
	}
	add(wire.Int, wire.Boolean, explicit, func(v wire.Value) (wire.Value, error) {
		return wire.BoolValue(v.Int() != 0), nil
	})
	add(wire.Boolean, wire.Int, explicit, func(v wire.Value) (wire.Value, error) {
		return wire.IntValue(int64(boolInt(v.Bool()))), nil
	})
	for _, k := range []wire.Kind{wire.Float, wire.Double} {
		add(wire.Decimal, k, implicit, func(v wire.Value) (wire.Value, error) { return parseFloat(v.Text(), typeOf(k)) })
	}
	add(wire.Float, wire.Decimal, assignment, func(v wire.Value) (wire.Value, error) { return floatToDecimal(v.Float(), 6) })
	add(wire.Double, wire.Decimal, assignment, func(v wire.Value) (wire.Value, error) { return floatToDecimal(v.Float(), 15) })
	add(wire.Float, wire.Double, implicit, same)
	add(wire.Double, wire.Float, assignment, func(v wire.Value) (wire.Value, error) { return finite(v.Float(), wire.Float) })

	toInstant := func(v wire.Value) (wire.Value, error) { return intResult(dayInstant(v.Int())) }
	add(wire.Date, wire.Timestamp, implicit, toInstant)
	add(wire.Date, wire.DateTime, implicit, toInstant)
	add(wire.Timestamp, wire.DateTime, implicit, same)
	add(wire.DateTime, wire.Timestamp, assignment, same)
	for _, k := range []wire.Kind{wire.Timestamp, wire.DateTime} {
		add(k, wire.Date, assignment, func(v wire.Value) (wire.Value, error) {
			days, _ := splitInstant(v.Int())
			return wire.IntValue(days), nil
		})
		add(k, wire.Time, assignment, func(v wire.Value) (wire.Value, error) {
			_, us := splitInstant(v.Int())
			return wire.IntValue(us), nil
		})
	}

	add(wire.Time, Interval, implicit, func(v wire.Value) (wire.Value, error) { return span{us: v.Int()}.value(), nil })
	add(Interval, wire.Time, assignment, func(v wire.Value) (wire.Value, error) {
		_, us := splitInstant(spanOf(v).us)
		return wire.IntValue(us), nil
	})
	kinds := []wire.Kind{Interval}
	for k := wire.Boolean; k <= wire.File; k++ {
		kinds = append(kinds, k)
	}
	for _, k := range kinds {
		if k == wire.Text {
			continue
		}
		out, in := assignment, explicit
		format := func(v wire.Value) (wire.Value, error) { return wire.TextValue(formatValue(v, k)), nil }
		if k == wire.File {
			out, in = implicit, assignment
		}
		add(k, wire.Text, out, format)
		t := typeOf(k)
		add(wire.Text, k, in, func(v wire.Value) (wire.Value, error) { return parseInput(v.Text(), t) })
	}
	add(wire.File, wire.JSON, implicit, same)
	add(wire.JSON, wire.File, assignment, same)
	return list
}

// floatToInt rounds half to even, as PostgreSQL does from a double.
func floatToInt(f float64, k wire.Kind) (wire.Value, error) {
	f = math.RoundToEven(f)
	if !(f >= -(1<<63) && f < 1<<63) {
		return wire.Null, errRange(k)
	}
	return intResult(narrow(int64(f), k))
}

func floatToDecimal(f float64, digits int) (wire.Value, error) {
	d, err := decimalOfFloat(f, digits)
	if err != nil {
		return wire.Null, err
	}
	return d.value(), nil
}

// convert gives n the type t, as far as ctx allows.
func convert(n Node, t wire.Type, ctx context) (Node, error) {
	if isOpen(n) {
		n, err := resolve(n, t)
		if err != nil {
			return nil, err
		}
		if isOpen(n) || n.Type() == t {
			return n, nil
		}
		return convert(n, t, ctx)
	}
	from := n.Type()
	if from == t {
		return n, nil
	}
	if from.Kind != t.Kind {
		c, ok := casts[castKey{from.Kind, t.Kind}]
		if !ok || c.context > ctx {
			return nil, errConvert(from, t, ctx)
		}
		var err error
		if n, err = newCall(c.f, []Node{n}); err != nil {
			return nil, err
		}
	}
	return retype(n, t)
}

func errConvert(from, to wire.Type, ctx context) error {
	if ctx == explicit {
		return wire.NewError(wire.CodeTypeMismatch, "cannot cast type ", TypeName(from), " to ", TypeName(to))
	}
	return wire.NewError(wire.CodeTypeMismatch, "expected type ", TypeName(to), " but expression is of type ", TypeName(from))
}

// retype gives n, which is of the kind already, the parameters of t.
func retype(n Node, t wire.Type) (Node, error) {
	from := n.Type()
	if from == t {
		return n, nil
	}
	switch t.Kind {
	case wire.Decimal:
		if t.Precision == 0 {
			return withOwnScale(n), nil
		}
		return newFit(n, t), nil
	case wire.Embedding:
		if t.Dim != 0 {
			return newFit(n, t), nil
		}
	}
	return n, nil
}

// own is a DECIMAL of a declared scale where one with its own is expected.
// The value is the same; in the engine it has another form.
type own struct{ x Node }

func withOwnScale(n Node) Node {
	if n.Type() == ownDecimal {
		return n
	}
	if c, ok := n.(*constant); ok {
		return &constant{c.v, ownDecimal}
	}
	return &own{n}
}

func (o *own) Type() wire.Type                   { return ownDecimal }
func (o *own) Eval(env *Env) (wire.Value, error) { return o.x.Eval(env) }

// fit rounds a DECIMAL to a declared scale and checks its precision, or checks
// the dimension of an EMBEDDING.
type fit struct {
	x Node
	t wire.Type
}

func newFit(n Node, t wire.Type) Node {
	if t.Kind == wire.Decimal {
		n = withOwnScale(n)
	}
	f := &fit{n, t}
	if _, ok := n.(*constant); ok {
		if v, err := f.Eval(nil); err == nil {
			return &constant{v, t}
		}
	}
	return f
}

func (f *fit) Type() wire.Type { return f.t }

func (f *fit) Eval(env *Env) (wire.Value, error) {
	v, err := f.x.Eval(env)
	if err != nil || v.IsNull() {
		return v, err
	}
	return fitTo(v, f.t)
}

func fitTo(v wire.Value, t wire.Type) (wire.Value, error) {
	if t.Kind == wire.Embedding {
		return v, checkDim(len(v.Raw())/4, t)
	}
	return fitValue(mustDecimal(v), t)
}

// Assign converts an expression to the type of the column that it is stored
// in. The error is a *wire.Error.
func Assign(n Node, t wire.Type) (Node, error) {
	return convert(n, t, assignment)
}

// AssignInteger is Assign of an integer literal: what takes an integer parameter
// takes it. The error is a *wire.Error.
func AssignInteger(n Node, t wire.Type) (Node, error) {
	switch t.Kind {
	case wire.Boolean, wire.Date, wire.Time, wire.Timestamp, wire.DateTime:
		if c, ok := n.(*constant); ok && c.v.Tag() == wire.TagInt {
			v, err := Coerce(c.v, t)
			return &constant{v, t}, err
		}
	}
	return Assign(n, t)
}

// Cast converts n as CAST(n AS t) does. The error is a *wire.Error.
func Cast(n Node, t wire.Type) (Node, error) { return convert(n, t, explicit) }
