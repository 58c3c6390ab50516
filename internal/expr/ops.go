package expr

import (
	"math"
	"math/bits"

	"github.com/kalamdb/kalam-go/wire"
)

// arithmetic is the table of + - * / % and unary - and +. Integers check for
// overflow in their own width, which no engine does natively.
var arithmetic = makeArithmetic()

func makeArithmetic() []*function {
	var list []*function
	add := func(name string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		list = append(list, &function{name: name, args: args, result: result, eval: eval})
	}
	for _, k := range []wire.Kind{wire.SmallInt, wire.Int, wire.BigInt} {
		for op, fn := range intOps {
			add(op, k, func(a []wire.Value) (wire.Value, error) {
				n, ok, err := fn(a[0].Int(), a[1].Int())
				if err != nil {
					return wire.Null, err
				}
				if !ok {
					return wire.Null, errRange(k)
				}
				return intResult(narrow(n, k))
			}, k, k)
		}
		add("-", k, func(a []wire.Value) (wire.Value, error) {
			if a[0].Int() == math.MinInt64 {
				return wire.Null, errRange(k)
			}
			return intResult(narrow(-a[0].Int(), k))
		}, k)
		list = append(list, &function{name: "+", args: []wire.Kind{k}, result: k, eval: first})
	}
	for op, fn := range floatOps {
		for _, a := range []wire.Kind{wire.Float, wire.Double} {
			for _, b := range []wire.Kind{wire.Float, wire.Double} {
				k := wire.Double
				if a == wire.Float && b == wire.Float {
					k = wire.Float
				}
				add(op, k, func(a []wire.Value) (wire.Value, error) {
					x, y := a[0].Float(), a[1].Float()
					f, err := fn(x, y)
					if err != nil {
						return wire.Null, err
					}
					return checkFloat(f, k, op == "*" && x != 0 && y != 0 || op == "/" && x != 0)
				}, a, b)
			}
		}
	}
	for _, k := range []wire.Kind{wire.Float, wire.Double} {
		add("-", k, func(a []wire.Value) (wire.Value, error) { return finite(-a[0].Float(), k) }, k)
		list = append(list, &function{name: "+", args: []wire.Kind{k}, result: k, eval: first})
	}
	for op, fn := range decimalOps {
		add(op, wire.Decimal, func(a []wire.Value) (wire.Value, error) {
			d, err := fn(mustDecimal(a[0]), mustDecimal(a[1]))
			if err != nil {
				return wire.Null, err
			}
			return d.result()
		}, wire.Decimal, wire.Decimal)
	}
	add("-", wire.Decimal, func(a []wire.Value) (wire.Value, error) {
		d := mustDecimal(a[0])
		d.c.Neg(&d.c)
		return d.value(), nil
	}, wire.Decimal)
	list = append(list, &function{name: "+", args: []wire.Kind{wire.Decimal}, result: wire.Decimal, eval: first})

	days := func(sign int64) func(a []wire.Value) (wire.Value, error) {
		return func(a []wire.Value) (wire.Value, error) { return intResult(checkDay(a[0].Int() + sign*a[1].Int())) }
	}
	add("+", wire.Date, days(1), wire.Date, wire.Int)
	add("+", wire.Date, func(a []wire.Value) (wire.Value, error) { return days(1)([]wire.Value{a[1], a[0]}) }, wire.Int, wire.Date)
	add("-", wire.Date, days(-1), wire.Date, wire.Int)
	add("-", wire.Int, func(a []wire.Value) (wire.Value, error) {
		return intResult(narrow(a[0].Int()-a[1].Int(), wire.Int))
	}, wire.Date, wire.Date)
	add("||", wire.Bytes, func(a []wire.Value) (wire.Value, error) {
		return wire.BytesValue([]byte(a[0].Raw() + a[1].Raw())), nil
	}, wire.Bytes, wire.Bytes)
	return list
}

func first(a []wire.Value) (wire.Value, error) { return a[0], nil }

// intOps compute in 64 bits; ok is false on overflow.
var intOps = map[string]func(a, b int64) (n int64, ok bool, err error){
	"+": func(a, b int64) (int64, bool, error) {
		n := a + b
		return n, (n > a) == (b > 0), nil
	},
	"-": func(a, b int64) (int64, bool, error) {
		n := a - b
		return n, (n < a) == (b > 0), nil
	},
	"*": func(a, b int64) (int64, bool, error) {
		hi, lo := bits.Mul64(uint64(a), uint64(b))
		// From the unsigned product to the signed one.
		if a < 0 {
			hi -= uint64(b)
		}
		if b < 0 {
			hi -= uint64(a)
		}
		return int64(lo), int64(hi) == int64(lo)>>63, nil
	},
	"/": func(a, b int64) (int64, bool, error) {
		if b == 0 {
			return 0, false, errDivision()
		}
		return a / b, a != math.MinInt64 || b != -1, nil
	},
	"%": func(a, b int64) (int64, bool, error) {
		if b == 0 {
			return 0, false, errDivision()
		}
		return a % b, true, nil
	},
}

var floatOps = map[string]func(a, b float64) (float64, error){
	"+": func(a, b float64) (float64, error) { return a + b, nil },
	"-": func(a, b float64) (float64, error) { return a - b, nil },
	"*": func(a, b float64) (float64, error) { return a * b, nil },
	"/": func(a, b float64) (float64, error) {
		if b == 0 {
			return 0, errDivision()
		}
		return a / b, nil
	},
}

// checkFloat refuses an overflow, and a zero where there was something.
func checkFloat(f float64, k wire.Kind, nonzero bool) (wire.Value, error) {
	v, err := finite(f, k)
	if err == nil && nonzero && v.Float() == 0 {
		return wire.Null, wire.NewError(wire.CodeNumericOutOfRange, "value out of range: underflow")
	}
	return v, err
}

var decimalOps = map[string]func(a, b *decimal) (*decimal, error){
	"+": func(a, b *decimal) (*decimal, error) { return addDecimal(a, b), nil },
	"-": func(a, b *decimal) (*decimal, error) { return subDecimal(a, b), nil },
	"*": func(a, b *decimal) (*decimal, error) { return mulDecimal(a, b), nil },
	"/": divDecimal,
	"%": modDecimal,
}
