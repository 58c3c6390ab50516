package expr

import (
	"math"
	"unicode"

	"github.com/kalamdb/kalam-go/wire"
)

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

var mathFunctions = makeMathFunctions()

func makeMathFunctions() []*function {
	var list []*function
	add := func(name string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		list = append(list, &function{name: name, args: args, result: result, eval: eval})
	}
	double := func(name string, fn func(x float64) float64) {
		add(name, wire.Double, func(a []wire.Value) (wire.Value, error) { return finite(fn(a[0].Float()), wire.Double) }, wire.Double)
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

	for _, k := range []wire.Kind{wire.SmallInt, wire.Int, wire.BigInt} {
		add("abs", k, func(a []wire.Value) (wire.Value, error) {
			n := a[0].Int()
			if n == math.MinInt64 {
				return wire.Null, errRange(k)
			}
			return intResult(narrow(max(n, -n), k))
		}, k)
		mod := intOps["%"]
		add("mod", k, func(a []wire.Value) (wire.Value, error) {
			n, _, err := mod(a[0].Int(), a[1].Int())
			return intResult(n, err)
		}, k, k)
	}
	add("abs", wire.Float, func(a []wire.Value) (wire.Value, error) { return finite(math.Abs(a[0].Float()), wire.Float) }, wire.Float)
	double("abs", math.Abs)
	number("abs", func(d *decimal) (*decimal, error) {
		d.c.Abs(&d.c)
		return d, nil
	})
	add("mod", wire.Decimal, func(a []wire.Value) (wire.Value, error) {
		d, err := modDecimal(mustDecimal(a[0]), mustDecimal(a[1]))
		if err != nil {
			return wire.Null, err
		}
		return d.result()
	}, wire.Decimal, wire.Decimal)

	for _, name := range []string{"ceil", "ceiling"} {
		double(name, math.Ceil)
		number(name, func(d *decimal) (*decimal, error) { return d.rescale(0, ceiling), nil })
	}
	double("floor", math.Floor)
	number("floor", func(d *decimal) (*decimal, error) { return d.rescale(0, floor), nil })
	double("round", math.RoundToEven)
	double("trunc", math.Trunc)
	for name, r := range map[string]rounding{"round": halfAway, "trunc": down} {
		number(name, func(d *decimal) (*decimal, error) { return d.rescale(0, r), nil })
		add(name, wire.Decimal, func(a []wire.Value) (wire.Value, error) {
			scale := min(max(a[1].Int(), -maxDecimalDigits), maxDecimalDigits)
			return mustDecimal(a[0]).rescale(int(scale), r).result()
		}, wire.Decimal, wire.Int)
	}
	double("sign", func(x float64) float64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return 0
	})
	number("sign", func(d *decimal) (*decimal, error) { return decimalOfInt(int64(d.c.Sign())), nil })

	number("sqrt", sqrtDecimal)
	add("sqrt", wire.Double, func(a []wire.Value) (wire.Value, error) {
		if a[0].Float() < 0 {
			return wire.Null, wire.NewError(wire.CodeNumericOutOfRange, "cannot take square root of a negative number")
		}
		return wire.FloatValue(math.Sqrt(a[0].Float())), nil
	}, wire.Double)
	for _, name := range []string{"power", "pow"} {
		add(name, wire.Double, powDouble, wire.Double, wire.Double)
	}
	return list
}

func powDouble(a []wire.Value) (wire.Value, error) {
	x, y := a[0].Float(), a[1].Float()
	switch {
	case x == 0 && y < 0:
		return wire.Null, wire.NewError(wire.CodeNumericOutOfRange, "zero raised to a negative power is undefined")
	case x < 0 && y != math.Trunc(y):
		return wire.Null, wire.NewError(wire.CodeNumericOutOfRange, "a negative number raised to a non-integer power yields a complex result")
	}
	return checkFloat(math.Pow(x, y), wire.Double, x != 0)
}
