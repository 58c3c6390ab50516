package expr

import (
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// aggregation is an aggregate over an argument kind.
type aggregation struct {
	name    string
	arg     wire.Kind   // Unknown: any
	rest    []wire.Kind // further arguments
	result  wire.Kind   // Unknown: the type of the argument
	new     func() accumulator
	nulls   bool // takes NULL like any other value
	ordered bool // ORDER BY of its rows matters
}

// callee returns what a Target knows of the aggregate.
func (a *aggregation) callee() Callee {
	return Callee{a.name, append([]wire.Kind{a.arg}, a.rest...), a.result}
}

// registered is the name under which a driver registers the aggregate. In a window whose frame moves, a function
// of ours is another one, which can take rows back.
func (a *aggregation) registered(moving bool) string {
	s := "k_" + a.name + "_" + kindCodes[a.arg]
	if moving {
		s += "_w"
	}
	return s
}

var aggregations = makeAggregations()

func makeAggregations() []*aggregation {
	list := []*aggregation{
		{name: "count", result: wire.BigInt},
		{name: "sum", arg: wire.SmallInt, result: wire.BigInt},
		{name: "sum", arg: wire.Int, result: wire.BigInt},
		{name: "sum", arg: wire.BigInt, result: wire.Decimal, new: newIntSum(false)},
		{name: "sum", arg: wire.Decimal, result: wire.Decimal, new: newDecimalSum(false)},
		{name: "sum", arg: wire.Float, result: wire.Float, new: newFloatSum(false, wire.Float)},
		{name: "sum", arg: wire.Double, result: wire.Double, new: newFloatSum(false, wire.Double)},
		{name: "avg", arg: wire.BigInt, result: wire.Decimal, new: newIntSum(true)},
		{name: "avg", arg: wire.Decimal, result: wire.Decimal, new: newDecimalSum(true)},
		{name: "avg", arg: wire.Double, result: wire.Double, new: newFloatSum(true, wire.Double)},
		{name: "sum", arg: Interval, result: Interval, new: newSpanSum(false)},
		{name: "avg", arg: Interval, result: Interval, new: newSpanSum(true)},
		{name: "json_agg", arg: wire.JSON, result: wire.JSON, new: func() accumulator { return &jsonList{} }, nulls: true, ordered: true},
		{name: "jsonb_agg", arg: wire.JSON, result: wire.JSON, new: func() accumulator { return &jsonList{} }, nulls: true, ordered: true},
		{name: "json_object_agg", arg: wire.Text, rest: []wire.Kind{wire.JSON}, result: wire.JSON,
			new: func() accumulator { return &jsonMembers{} }, nulls: true, ordered: true},
		{name: "jsonb_object_agg", arg: wire.Text, rest: []wire.Kind{wire.JSON}, result: wire.JSON,
			new: func() accumulator { return &jsonMembers{binary: true} }, nulls: true, ordered: true},
		{name: "bool_and", arg: wire.Boolean, result: wire.Boolean},
		{name: "every", arg: wire.Boolean, result: wire.Boolean},
		{name: "bool_or", arg: wire.Boolean, result: wire.Boolean},
		{name: "string_agg", arg: wire.Text, rest: []wire.Kind{wire.Text}, result: wire.Text, ordered: true},
	}
	for _, k := range []wire.Kind{wire.SmallInt, wire.Int, wire.BigInt, wire.Float, wire.Double, wire.Decimal,
		wire.Text, wire.UUID, wire.Bytes, wire.Date, wire.Time, wire.Timestamp, wire.DateTime, Interval} {
		list = append(list, &aggregation{name: "min", arg: k}, &aggregation{name: "max", arg: k})
	}
	for _, s := range spreads {
		list = append(list,
			&aggregation{name: s.name, arg: wire.BigInt, result: wire.Decimal, new: newDecimalSpread(s, true)},
			&aggregation{name: s.name, arg: wire.Decimal, result: wire.Decimal, new: newDecimalSpread(s, false)},
			&aggregation{name: s.name, arg: wire.Double, result: wire.Double, new: newFloatSpread(s)})
	}
	return list
}

// textSet is string_agg(DISTINCT ..), since the engine's own DISTINCT takes one
// argument only.
var textSet = &aggregation{name: "string_agg_set", arg: wire.Text, rest: []wire.Kind{wire.Text}, result: wire.Text,
	new: func() accumulator { return &textSetOf{seen: map[[2]string]bool{}} }}

func isAggregate(name string) bool {
	for _, a := range aggregations {
		if a.name == name {
			return true
		}
	}
	return false
}

// aggregateCall is the use of an aggregate. It only prints.
type aggregateCall struct {
	a        *aggregation
	args     []Node // none: *
	distinct bool
	order    []ordering
	filter   Node
	t        wire.Type
}

func (b *binder) bindAggregate(name string, x *dialect.Call) (Node, error) {
	if b.o.Aggregate != nil {
		return b.o.Aggregate(func() (Node, error) { return b.ownAggregate(name, x) }, x.IsOutside())
	}
	switch {
	case b.aggregate:
		return nil, ErrNestedAggregate()
	case !b.o.Aggregates:
		return nil, ErrNoAggregate()
	}
	return b.ownAggregate(name, x)
}

func (b *binder) ownAggregate(name string, x *dialect.Call) (Node, error) {
	defer func(outer bool) { b.aggregate = outer }(b.aggregate)
	b.aggregate = true
	c, err := b.aggregateCall(name, x)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ErrNestedAggregate is for an aggregate among the arguments of another one of
// the same query.
func ErrNestedAggregate() error {
	return wire.NewError(wire.CodeInvalidSQL, "aggregate function calls cannot be nested")
}

// ErrNoAggregate is for an aggregate in a clause that takes none.
func ErrNoAggregate() error {
	return wire.NewError(wire.CodeInvalidSQL, "aggregate functions are not allowed here")
}

// aggregateCall binds all of x but OVER.
func (b *binder) aggregateCall(name string, x *dialect.Call) (*aggregateCall, error) {
	if x.Star && name != "count" {
		return nil, errNoFunction(name, nil, false)
	}
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
	if len(args) == 0 {
		return nil, errNoFunction(name, args, false)
	}
	if args[0], err = resolveAggregated(name, args[0]); err != nil {
		return nil, err
	}
	if err := jsonArgs(name, args); err != nil {
		return nil, err
	}
	c.a = chooseAggregation(name, args[0].Type().Kind, len(args))
	if c.a == nil {
		return nil, errNoFunction(name, args, false)
	}
	c.args, c.t = args, typeOf(c.a.result)
	if c.a.result == wire.Unknown {
		c.t = args[0].Type()
	}
	if c.a.arg != wire.Unknown && c.a.result != wire.Unknown {
		if args[0], err = convert(args[0], typeOf(c.a.arg), implicit); err != nil {
			return nil, err
		}
	}
	for i, k := range c.a.rest {
		if args[i+1], err = convert(args[i+1], typeOf(k), implicit); err != nil {
			return nil, err
		}
	}
	return c, b.aggregateOrder(c, x.OrderBy)
}

// resolveAggregated gives an open argument the one kind that the aggregate takes,
// where there is but one.
func resolveAggregated(name string, arg Node) (Node, error) {
	kind, only := wire.Unknown, true
	for _, a := range aggregations {
		if a.name == name {
			only = only && (kind == wire.Unknown || kind == a.arg)
			kind = a.arg
		}
	}
	if isOpen(arg) && only && kind != wire.Unknown && kind != wire.JSON {
		return resolve(arg, typeOf(kind))
	}
	return settle(arg)
}

// aggregateOrder binds ORDER BY among the arguments, which most aggregates do
// not need.
func (b *binder) aggregateOrder(c *aggregateCall, list []dialect.OrderItem) error {
	order, err := b.orderings(list)
	if err != nil {
		return err
	}
	if c.distinct {
		for i, o := range order {
			if i > 0 || !Equal(o.n, c.args[0]) {
				return wire.NewError(wire.CodeInvalidSQL, "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list")
			}
		}
	}
	if !c.a.ordered {
		return nil
	}
	if !c.distinct {
		c.order = order
		return nil
	}
	if len(order) > 0 && order[0].desc {
		return unsupported("DISTINCT with a descending ORDER BY in an aggregate")
	}
	if c.a.name == "string_agg" {
		c.a, c.distinct = textSet, false
	}
	return nil
}

// chooseAggregation prefers the argument's own kind, then one it converts to.
func chooseAggregation(name string, k wire.Kind, args int) *aggregation {
	var found *aggregation
	for _, a := range aggregations {
		if a.name != name || len(a.rest)+1 != args {
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
	if !p.renamed(c) {
		c.printFor(p, false)
	}
}

func (c *aggregateCall) printFor(p *Printer, moving bool) {
	name := p.target.Aggregate(c.a.callee())
	if name == "" {
		name = c.a.registered(moving)
	}
	p.Raw(name + "(")
	switch {
	case len(c.args) == 0:
		p.Raw("*")
	case c.distinct:
		p.Raw("DISTINCT ")
		// The engine compares bytes, and a scale is among them.
		if _, same := scaleOf(c.args[0]); same {
			p.list(c.args, ", ")
		} else {
			p.Key(c.args[0])
		}
	default:
		p.list(c.args, ", ")
	}
	p.orderBy(c.order)
	p.Raw(")")
	if c.filter != nil {
		p.Raw(" FILTER (WHERE ")
		p.Node(c.filter)
		p.Raw(")")
	}
}
