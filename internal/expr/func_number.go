package expr

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/wire"
)

// bitOperators work on integers; a shift counts modulo the width.
var bitOperators = makeBitOperators()

func makeBitOperators() []*function {
	var list []*function
	for k, width := range map[wire.Kind]int64{wire.SmallInt: 32, wire.Int: 32, wire.BigInt: 64} {
		add := func(name string, fn func(a, b int64) int64, args ...wire.Kind) {
			list = append(list, &function{name: name, args: args, result: k, eval: func(a []wire.Value) (wire.Value, error) {
				n := int64(0)
				if len(a) > 1 {
					n = a[1].Int()
				}
				return wire.IntValue(wrap(fn(a[0].Int(), n), k)), nil
			}})
		}
		add("&", func(a, b int64) int64 { return a & b }, k, k)
		add("|", func(a, b int64) int64 { return a | b }, k, k)
		add("#", func(a, b int64) int64 { return a ^ b }, k, k)
		add("~", func(a, _ int64) int64 { return ^a }, k)
		add("<<", func(a, b int64) int64 { return a << (b & (width - 1)) }, k, wire.Int)
		add(">>", func(a, b int64) int64 { return a >> (b & (width - 1)) }, k, wire.Int)
	}
	power := func(k wire.Kind, eval func(a []wire.Value) (wire.Value, error)) {
		list = append(list, &function{name: "^", args: []wire.Kind{k, k}, result: k, eval: eval})
	}
	power(wire.Double, powDouble)
	power(wire.Decimal, powerValue)
	return manyDigits(list, "^")
}

// manyDigits makes those of list that compute series of DECIMALs spend as many
// steps as their digits cost. One call takes half a second at most.
func manyDigits(list []*function, names ...string) []*function {
	for _, f := range list {
		if !slices.Contains(names, f.name) || f.args[0] != wire.Decimal {
			continue
		}
		eval := f.eval
		f.long = func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
			digits := 32 // some results have more than their operands
			for _, v := range a {
				digits += len(v.Raw())
			}
			if err := b.Spend(4 * digits * digits); err != nil {
				return wire.Null, err
			}
			return eval(a)
		}
	}
	return list
}

func powerValue(a []wire.Value) (wire.Value, error) {
	d, err := powerDecimal(mustDecimal(a[0]), mustDecimal(a[1]))
	if err != nil {
		return wire.Null, err
	}
	return d.result()
}

// wrap keeps the bits that the kind has.
func wrap(n int64, k wire.Kind) int64 {
	switch k {
	case wire.SmallInt:
		return int64(int16(n))
	case wire.Int:
		return int64(int32(n))
	}
	return n
}

var numberFunctions = makeNumberFunctions()

func makeNumberFunctions() []*function {
	var list []*function
	add := func(name string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		list = append(list, &function{name: name, args: args, result: result, eval: eval})
	}
	double := func(name string, valid func(x float64) bool, fn func(x float64) float64) {
		add(name, wire.Double, func(a []wire.Value) (wire.Value, error) {
			x := a[0].Float()
			if valid != nil && !valid(x) {
				return wire.Null, wire.NewError(wire.CodeNumericOutOfRange, "input is out of range for ", name)
			}
			y := fn(x)
			if y == 0 && name == "exp" {
				return wire.Null, errUnderflow()
			}
			return finite(y, wire.Double)
		}, wire.Double)
	}
	number := func(name string, fn func(d *decimal) (*decimal, error)) {
		add(name, wire.Decimal, func(a []wire.Value) (wire.Value, error) {
			d, err := fn(mustDecimal(a[0]))
			if err != nil {
				return wire.Null, err
			}
			return d.result()
		}, wire.Decimal)
	}
	two := func(name string, fn func(a, b *decimal) (*decimal, error)) {
		add(name, wire.Decimal, func(a []wire.Value) (wire.Value, error) {
			d, err := fn(mustDecimal(a[0]), mustDecimal(a[1]))
			if err != nil {
				return wire.Null, err
			}
			return d.result()
		}, wire.Decimal, wire.Decimal)
	}
	positive := func(x float64) bool { return x > 0 }
	unit := func(x float64) bool { return x >= -1 && x <= 1 }

	double("exp", nil, math.Exp)
	number("exp", expDecimal)
	double("ln", positive, math.Log)
	number("ln", lnDecimal)
	for _, name := range []string{"log", "log10"} {
		double(name, positive, log10)
		number(name, func(d *decimal) (*decimal, error) { return logDecimal(decimalOfInt(10), d) })
	}
	two("log", logDecimal)
	for _, name := range []string{"power", "pow"} {
		add(name, wire.Decimal, powerValue, wire.Decimal, wire.Decimal)
	}
	double("cbrt", nil, math.Cbrt)
	double("degrees", nil, func(x float64) float64 { return x / (math.Pi / 180) })
	double("radians", nil, func(x float64) float64 { return x * (math.Pi / 180) })
	for name, fn := range map[string]func(float64) float64{
		"sin": math.Sin, "cos": math.Cos, "tan": math.Tan, "atan": math.Atan,
		"sinh": math.Sinh, "cosh": math.Cosh, "tanh": math.Tanh, "asinh": math.Asinh,
	} {
		double(name, nil, fn)
	}
	double("cot", nil, func(x float64) float64 { return 1 / math.Tan(x) })
	double("asin", unit, math.Asin)
	double("acos", unit, math.Acos)
	double("acosh", func(x float64) bool { return x >= 1 }, math.Acosh)
	double("atanh", func(x float64) bool { return x > -1 && x < 1 }, math.Atanh)
	add("atan2", wire.Double, func(a []wire.Value) (wire.Value, error) {
		return finite(math.Atan2(a[0].Float(), a[1].Float()), wire.Double)
	}, wire.Double, wire.Double)
	add("pi", wire.Double, func([]wire.Value) (wire.Value, error) { return wire.FloatValue(math.Pi), nil })
	list = append(list, &function{name: "random", result: wire.Double, volatile: true,
		eval: func([]wire.Value) (wire.Value, error) { return wire.FloatValue(rand.Float64()), nil }})

	for _, k := range []wire.Kind{wire.Int, wire.BigInt} {
		whole := func(name string, fn func(a, b int64) (int64, bool)) {
			add(name, k, func(a []wire.Value) (wire.Value, error) {
				n, ok := fn(a[0].Int(), a[1].Int())
				if !ok {
					return wire.Null, errRange(k)
				}
				return intResult(narrow(n, k))
			}, k, k)
		}
		whole("gcd", func(a, b int64) (int64, bool) {
			n := gcd(a, b)
			return n, n >= 0
		})
		whole("lcm", func(a, b int64) (int64, bool) {
			if a == 0 || b == 0 {
				return 0, true
			}
			n, ok, _ := intOps["*"](a/gcd(a, b), b)
			if n < 0 {
				n = -n
			}
			return n, ok && n >= 0
		})
	}
	two("div", func(a, b *decimal) (*decimal, error) {
		if b.c.Sign() == 0 {
			return nil, errDivision()
		}
		a, b = align(a, b)
		out := &decimal{}
		out.c.Quo(&a.c, &b.c)
		return out, nil
	})
	add("factorial", wire.Decimal, func(a []wire.Value) (wire.Value, error) {
		n := a[0].Int()
		if n < 0 || n > 450 {
			return wire.Null, wire.NewError(wire.CodeNumericOutOfRange, "factorial is for numbers from 0 to 450")
		}
		d := decimalOfInt(1)
		for i := int64(2); i <= n; i++ {
			d = mulDecimal(d, decimalOfInt(i))
		}
		return d.result()
	}, wire.BigInt)
	number("trim_scale", func(d *decimal) (*decimal, error) { return parseDecimal(naturalText(d.String())) })
	add("scale", wire.Int, func(a []wire.Value) (wire.Value, error) { return wire.IntValue(int64(mustDecimal(a[0]).scale)), nil }, wire.Decimal)
	add("min_scale", wire.Int, func(a []wire.Value) (wire.Value, error) {
		return wire.IntValue(int64(mustDecimal(wire.TextValue(naturalText(a[0].Text()))).scale)), nil
	}, wire.Decimal)
	add("width_bucket", wire.Int, func(a []wire.Value) (wire.Value, error) {
		return widthBucket(a[0].Float(), a[1].Float(), a[2].Float(), a[3].Int())
	}, wire.Double, wire.Double, wire.Double, wire.Int)
	return manyDigits(list, "exp", "ln", "log", "log10", "power", "pow")
}

// gcd is negative only if it does not fit.
func gcd(a, b int64) int64 {
	for b != 0 {
		if b == -1 {
			return 1
		}
		a, b = b, a%b
	}
	if a < 0 {
		a = -a
	}
	return a
}

func widthBucket(x, low, high float64, count int64) (wire.Value, error) {
	switch {
	case count <= 0:
		return wire.Null, wire.NewError(wire.CodeInvalidParameter, "count must be greater than zero")
	case low == high:
		return wire.Null, wire.NewError(wire.CodeInvalidParameter, "lower bound cannot equal upper bound")
	}
	if low > high {
		x, low, high = -x, -low, -high
	}
	switch {
	case x < low:
		return wire.IntValue(0), nil
	case x >= high:
		return intResult(narrow(count+1, wire.Int))
	}
	return wire.IntValue(int64(float64(count)*((x-low)/(high-low))) + 1), nil
}
