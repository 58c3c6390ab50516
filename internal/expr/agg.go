package expr

import (
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// Aggregate is an aggregate function that the driver registers.
type Aggregate struct {
	Name   string
	Arg    wire.Type
	Result wire.Type
	New    func() Accumulator
}

// Accumulator computes one aggregate over one group. Final may come without a
// Step.
type Accumulator interface {
	Step(v wire.Value) error
	Final() (wire.Value, error)
}

// aggregation is an aggregate over an argument kind.
type aggregation struct {
	name   string
	arg    wire.Kind // Unknown: any
	result wire.Kind // Unknown: the type of the argument
	native string    // SQLite's own function, where it means the same
	new    func() Accumulator
}

func (a *aggregation) engine() string {
	if a.native != "" {
		return a.native
	}
	return "k_" + a.name + "_" + kindCodes[a.arg]
}

var aggregations = makeAggregations()

func makeAggregations() []*aggregation {
	list := []*aggregation{
		{name: "count", result: wire.BigInt, native: "count"},
		{name: "sum", arg: wire.SmallInt, result: wire.BigInt, native: "sum"},
		{name: "sum", arg: wire.Int, result: wire.BigInt, native: "sum"},
		{name: "sum", arg: wire.BigInt, result: wire.Decimal, new: newDecimalSum(false, true)},
		{name: "sum", arg: wire.Decimal, result: wire.Decimal, new: newDecimalSum(false, false)},
		{name: "sum", arg: wire.Float, result: wire.Float, new: newFloatSum(false, wire.Float)},
		{name: "sum", arg: wire.Double, result: wire.Double, new: newFloatSum(false, wire.Double)},
		{name: "avg", arg: wire.BigInt, result: wire.Decimal, new: newDecimalSum(true, true)},
		{name: "avg", arg: wire.Decimal, result: wire.Decimal, new: newDecimalSum(true, false)},
		{name: "avg", arg: wire.Double, result: wire.Double, new: newFloatSum(true, wire.Double)},
	}
	for _, k := range []wire.Kind{wire.SmallInt, wire.Int, wire.BigInt, wire.Float, wire.Double, wire.Decimal,
		wire.Text, wire.UUID, wire.Bytes, wire.Date, wire.Time, wire.Timestamp, wire.DateTime} {
		list = append(list, &aggregation{name: "min", arg: k, native: "min"}, &aggregation{name: "max", arg: k, native: "max"})
	}
	return list
}

func isAggregate(name string) bool {
	for _, a := range aggregations {
		if a.name == name {
			return true
		}
	}
	return false
}

// Aggregates lists what the driver registers for Printer's output.
func Aggregates() []Aggregate {
	var out []Aggregate
	for _, a := range aggregations {
		if a.native != "" {
			continue
		}
		arg, result := engineType(a.arg), engineType(a.result)
		out = append(out, Aggregate{Name: a.engine(), Arg: arg, Result: result, New: func() Accumulator {
			return &engineAccumulator{a.new(), a.arg, a.result}
		}})
	}
	return out
}

// engineAccumulator translates the engine's forms of DECIMAL.
type engineAccumulator struct {
	acc         Accumulator
	arg, result wire.Kind
}

func (e *engineAccumulator) Step(v wire.Value) error {
	if v.IsNull() {
		return nil
	}
	v, err := fromEngine(v, e.arg)
	if err != nil {
		return err
	}
	return e.acc.Step(v)
}

func (e *engineAccumulator) Final() (wire.Value, error) {
	v, err := e.acc.Final()
	if err != nil {
		return wire.Null, err
	}
	return toEngine(v, e.result), nil
}

// decimalSum is sum and avg of integers and DECIMALs.
type decimalSum struct {
	sum  *decimal
	n    int64
	ints bool
	mean bool
}

func newDecimalSum(mean, ints bool) func() Accumulator {
	return func() Accumulator { return &decimalSum{sum: &decimal{}, ints: ints, mean: mean} }
}

func (s *decimalSum) Step(v wire.Value) error {
	d := decimalOfInt(v.Int())
	if !s.ints {
		d = mustDecimal(v)
	}
	s.sum = addDecimal(s.sum, d)
	s.n++
	return nil
}

func (s *decimalSum) Final() (wire.Value, error) {
	if s.n == 0 {
		return wire.Null, nil
	}
	d := s.sum
	if s.mean {
		var err error
		if d, err = divDecimal(d, decimalOfInt(s.n)); err != nil {
			return wire.Null, err
		}
	}
	return d.result()
}

// floatSum is sum and avg of FLOAT and DOUBLE.
type floatSum struct {
	sum  float64
	n    int64
	kind wire.Kind
	mean bool
}

func newFloatSum(mean bool, kind wire.Kind) func() Accumulator {
	return func() Accumulator { return &floatSum{kind: kind, mean: mean} }
}

func (s *floatSum) Step(v wire.Value) error {
	f, err := finite(s.sum+v.Float(), s.kind)
	if err != nil {
		return err
	}
	s.sum = f.Float()
	s.n++
	return nil
}

func (s *floatSum) Final() (wire.Value, error) {
	switch {
	case s.n == 0:
		return wire.Null, nil
	case s.mean:
		return wire.FloatValue(s.sum / float64(s.n)), nil
	}
	return wire.FloatValue(s.sum), nil
}

// aggregateCall is the use of an aggregate. It only prints.
type aggregateCall struct {
	a        *aggregation
	arg      Node // nil: *
	distinct bool
	filter   Node
	t        wire.Type
}

func (b *binder) bindAggregate(name string, x *dialect.Call) (Node, error) {
	switch {
	case b.aggregate:
		return nil, wire.NewError(wire.CodeInvalidSQL, "aggregate function calls cannot be nested")
	case !b.o.Aggregates:
		return nil, wire.NewError(wire.CodeInvalidSQL, "aggregate functions are not allowed here")
	case len(x.OrderBy) > 0:
		return nil, unsupported("ORDER BY in an aggregate")
	case x.Star && name != "count":
		return nil, errNoFunction(name, nil, false)
	}
	b.aggregate = true
	defer func() { b.aggregate = false }()
	c := &aggregateCall{distinct: x.Distinct}
	if x.Filter != nil {
		f, err := b.condition(x.Filter, "FILTER")
		if err != nil {
			return nil, err
		}
		c.filter = f
	}
	if x.Star {
		c.a, c.t = aggregations[0], typeOf(wire.BigInt)
		return c, nil
	}
	args, err := b.bindAll(x.Args)
	if err != nil {
		return nil, err
	}
	if len(args) != 1 {
		return nil, errNoFunction(name, args, false)
	}
	arg, err := settle(args[0])
	if err != nil {
		return nil, err
	}
	if c.a = chooseAggregation(name, arg.Type().Kind); c.a == nil {
		return nil, errNoFunction(name, []Node{arg}, false)
	}
	if c.a.arg != wire.Unknown && c.a.native == "" {
		if arg, err = convert(arg, typeOf(c.a.arg), implicit); err != nil {
			return nil, err
		}
	}
	c.arg, c.t = arg, typeOf(c.a.result)
	if c.a.result == wire.Unknown {
		c.t = arg.Type()
	}
	return c, nil
}

// chooseAggregation prefers the argument's own kind, then one it converts to.
func chooseAggregation(name string, k wire.Kind) *aggregation {
	var found *aggregation
	for _, a := range aggregations {
		if a.name != name {
			continue
		}
		if a.arg == k || a.arg == wire.Unknown {
			return a
		}
		if found == nil && castable(k, a.arg, implicit) {
			found = a
		}
	}
	return found
}

func (c *aggregateCall) Type() wire.Type { return c.t }

func (c *aggregateCall) Eval(*Env) (wire.Value, error) {
	return wire.Null, wire.NewError(wire.CodeInternal, "an aggregate has no value on one row")
}

func (c *aggregateCall) print(p *Printer) {
	p.Raw(c.a.engine() + "(")
	switch {
	case c.arg == nil:
		p.Raw("*")
	case c.distinct:
		p.Raw("DISTINCT ")
		p.Node(c.arg)
	default:
		p.Node(c.arg)
	}
	p.Raw(")")
	if c.filter != nil {
		p.Raw(" FILTER (WHERE ")
		p.Node(c.filter)
		p.Raw(")")
	}
}
