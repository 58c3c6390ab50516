package expr

import (
	"sort"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/wire"
)

// Function is a function that the driver registers under its name and its
// number of arguments. The driver converts arguments and result by their
// types; a NULL is wire.Null whatever the type.
type Function struct {
	Name     string
	Args     []wire.Type
	Result   wire.Type
	Volatile bool // gives another result at each call
	Indexed  bool // indexes are made on it, so it means the same for ever
	Eval     func(c *Calls, args []wire.Value) (wire.Value, error)
}

// Calls is what the calls of registered functions that one connection makes have
// in common. It belongs to one goroutine.
type Calls struct {
	Budget *budget.Budget // of the statement that runs

	lets []wire.Value // of letFunction, by their numbers
	held int64        // bytes of lets that are charged
}

// Held returns the bytes that are charged for what outlives a call.
func (c *Calls) Held() int64 { return c.held }

// Reset forgets what the calls of a statement have left behind, when the statement
// and its Budget end.
func (c *Calls) Reset() {
	clear(c.lets)
	c.Budget, c.held = nil, 0
}

// keep keeps v under a number, in place of what is there.
func (c *Calls) keep(n int, v wire.Value) error {
	for len(c.lets) <= n {
		c.lets = append(c.lets, wire.Null)
	}
	if more := len(v.Raw()) - len(c.lets[n].Raw()); more > smallBytes {
		if err := c.Budget.Charge(more); err != nil {
			return err
		}
		c.held += int64(more)
	}
	c.lets[n] = v
	return nil
}

// Functions of the engine that no SQL text can name: they change the form of
// a DECIMAL or check one.
const (
	keyFunction  = "k_key"  // drops the scale
	ownFunction  = "k_own"  // adds the scale
	fitFunction  = "k_fit"  // rounds to a declared scale, checks the precision
	dimFunction  = "k_dim"  // checks the dimension of an EMBEDDING
	oneFunction  = "k_one"  // refuses more than one row
	posFunction  = "k_pos"  // refuses what is not above zero
	spanFunction = "k_span" // gives an interval the one form of its length
	natFunction  = "k_nat"  // gives a DECIMAL the least scale that shows it

	letFunction   = "k_let"   // keeps a value of a let under a number
	slotFunction  = "k_slot"  // gives the value that was kept under a number
	givenFunction = "k_given" // is NULL unless its first argument is given, else the second
)

// asStored is the type of an argument or result that goes through in the form
// that the engine has it in.
var asStored = wire.Type{}

// engineType is how a kind goes into and out of a registered function: a
// DECIMAL or INTERVAL as the bytes of its form, which the driver need not know.
func engineType(k wire.Kind) wire.Type {
	if k == wire.Decimal || k == Interval {
		k = wire.Bytes
	}
	return typeOf(k)
}

func fromEngine(v wire.Value, k wire.Kind) (wire.Value, error) {
	if k != wire.Decimal || v.IsNull() {
		return v, nil
	}
	s, err := decodeOwn([]byte(v.Raw()))
	if err != nil {
		return wire.Null, err
	}
	return wire.TextValue(s), nil
}

func toEngine(v wire.Value, k wire.Kind) wire.Value {
	if k != wire.Decimal || v.IsNull() {
		return v
	}
	return wire.BytesValue(encodeOwn(v.Text()))
}

// Functions lists what the driver registers for the output of a Printer for
// target, in the order of their names.
func Functions(target Target) []Function {
	byName := map[string]*function{}
	collect := func(list []*function) {
		for _, f := range list {
			callee := f.callee()
			if target.Native(callee) != "" {
				continue
			}
			name := callee.Registered()
			if byName[name] != nil && byName[name] != f {
				panic("expr: two functions print as " + name)
			}
			byName[name] = f
		}
	}
	for _, t := range []table{operators, functions, extremes} {
		for _, list := range t {
			collect(list)
		}
	}
	collect(likeFunctions)
	collect(formats)
	collect([]*function{canonical, jsonKey, jsonStep, jsonUnquote})
	for _, f := range modifiers {
		collect([]*function{f})
	}
	for _, c := range casts {
		collect([]*function{c.f})
	}
	out := formFunctions()
	for name, f := range byName {
		out = append(out, f.export(name))
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

func (f *function) export(name string) Function {
	e := Function{Name: name, Result: engineType(f.result), Volatile: f.volatile}
	for _, k := range f.args {
		e.Args = append(e.Args, engineType(k))
	}
	e.Eval = func(c *Calls, args []wire.Value) (wire.Value, error) {
		for i, k := range f.args {
			if args[i].IsNull() && !f.nulls {
				return wire.Null, nil
			}
			if k == wire.Decimal {
				v, err := fromEngine(args[i], k)
				if err != nil {
					return wire.Null, err
				}
				args[i] = v
			}
		}
		v, err := f.run(c.Budget, args)
		if err != nil {
			return wire.Null, err
		}
		return toEngine(v, f.result), nil
	}
	return e
}

func formFunctions() []Function {
	bytes, number := typeOf(wire.Bytes), typeOf(wire.BigInt)
	type eval = func(c *Calls, a []wire.Value) (wire.Value, error)
	strict := func(fn func(a []wire.Value) (wire.Value, error)) eval {
		return func(_ *Calls, a []wire.Value) (wire.Value, error) {
			if a[0].IsNull() {
				return wire.Null, nil
			}
			return fn(a)
		}
	}
	return []Function{
		{Name: keyFunction, Args: []wire.Type{bytes}, Result: bytes, Indexed: true, Eval: strict(func(a []wire.Value) (wire.Value, error) {
			b, err := decimalKey([]byte(a[0].Raw()))
			if err != nil {
				return wire.Null, err
			}
			return wire.BytesValue(b), nil
		})},
		{Name: ownFunction, Args: []wire.Type{bytes, number}, Result: bytes, Eval: strict(func(a []wire.Value) (wire.Value, error) {
			s, err := DecodeDecimal([]byte(a[0].Raw()), uint8(a[1].Int()))
			if err != nil {
				return wire.Null, err
			}
			return wire.BytesValue(encodeOwn(s)), nil
		})},
		{Name: fitFunction, Args: []wire.Type{bytes, number, number}, Result: bytes, Eval: strict(func(a []wire.Value) (wire.Value, error) {
			v, err := fromEngine(a[0], wire.Decimal)
			if err != nil {
				return wire.Null, err
			}
			v, err = fitTo(v, wire.Type{Kind: wire.Decimal, Precision: uint8(a[1].Int()), Scale: uint8(a[2].Int())})
			if err != nil {
				return wire.Null, err
			}
			return wire.BytesValue(EncodeDecimal(v.Text())), nil
		})},
		{Name: natFunction, Args: []wire.Type{bytes}, Result: bytes, Eval: strict(func(a []wire.Value) (wire.Value, error) {
			v, err := fromEngine(a[0], wire.Decimal)
			if err != nil {
				return wire.Null, err
			}
			return wire.BytesValue(encodeOwn(naturalText(v.Text()))), nil
		})},
		{Name: posFunction, Args: []wire.Type{number}, Result: number, Eval: func(_ *Calls, a []wire.Value) (wire.Value, error) {
			if a[0].Int() <= 0 {
				return wire.Null, wire.NewError(wire.CodeInvalidParameter, "argument of ntile and nth_value must be greater than zero")
			}
			return a[0], nil
		}},
		{Name: spanFunction, Args: []wire.Type{bytes}, Result: bytes, Eval: strict(func(a []wire.Value) (wire.Value, error) {
			return naturalValue(a[0]), nil
		})},
		{Name: oneFunction, Args: []wire.Type{number}, Result: boolean, Eval: func(_ *Calls, a []wire.Value) (wire.Value, error) {
			if a[0].Int() > 1 {
				return wire.Null, wire.NewError(wire.CodeSQLExecution, "more than one row returned by a sub-query that stands for a value")
			}
			return wire.BoolValue(true), nil
		}},
		{Name: dimFunction, Args: []wire.Type{bytes, number}, Result: bytes, Eval: strict(func(a []wire.Value) (wire.Value, error) {
			return fitTo(a[0], wire.Type{Kind: wire.Embedding, Dim: uint16(a[1].Int())})
		})},
		{Name: letFunction, Args: []wire.Type{number, asStored}, Result: boolean, Volatile: true, Eval: func(c *Calls, a []wire.Value) (wire.Value, error) {
			return wire.BoolValue(true), c.keep(int(a[0].Int()), a[1])
		}},
		{Name: slotFunction, Args: []wire.Type{number}, Result: asStored, Volatile: true, Eval: func(c *Calls, a []wire.Value) (wire.Value, error) {
			return c.lets[a[0].Int()], nil
		}},
		{Name: givenFunction, Args: []wire.Type{asStored, asStored}, Result: asStored, Eval: func(_ *Calls, a []wire.Value) (wire.Value, error) {
			if a[0].IsNull() {
				return wire.Null, nil
			}
			return a[1], nil
		}},
	}
}
