package expr

import (
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/kalamdb/kalam-go/wire"
)

// exp, ln, log and power of DECIMALs have at least 16 significant digits and
// the scale that PostgreSQL's numeric gives them; the digits come from apd,
// with some to spare.

// log10 is exact for powers of ten, which math.Log10 is not.
func log10(x float64) float64 {
	n := math.Round(math.Log10(x))
	if math.Abs(n) <= 300 && math.Pow10(int(n)) == x {
		return n
	}
	return math.Log10(x)
}

func errOverflow() *wire.Error {
	return wire.NewError(wire.CodeNumericOutOfRange, "value overflows numeric format")
}

func (d *decimal) apd() *apd.Decimal {
	return apd.NewWithBigInt(new(apd.BigInt).Set(&d.c), -int32(d.scale))
}

// fromAPD rounds x to scale digits after the point.
func fromAPD(x *apd.Decimal, scale int) (*decimal, error) {
	d := &decimal{scale: -int(x.Exponent)}
	d.c.Set(&x.Coeff)
	if x.Negative {
		d.c.Neg(&d.c)
	}
	if d.scale < 0 {
		if -d.scale > 2*maxDecimalDigits {
			return nil, errOverflow()
		}
		d.c.Mul(&d.c, pow10(-d.scale))
		d.scale = 0
	}
	return d.rescale(scale, halfAway), nil
}

// precise computes with so many significant digits.
func precise(digits int) *apd.Context {
	c := apd.BaseContext.WithPrecision(uint32(max(digits, 1) + 24))
	c.Traps = 0
	return c
}

// resultScale is the scale that leaves 16 significant digits of a result of so
// many digits before its point.
func resultScale(weight int, least ...int) int {
	scale := 16 - weight
	for _, n := range least {
		scale = max(scale, n)
	}
	return min(max(scale, 0), maxDecimalDigits)
}

// lnWeight estimates how many digits the logarithm has before its point, as
// PostgreSQL's estimate_ln_dweight does.
func lnWeight(d *decimal) int {
	if d.c.Sign() <= 0 {
		return 0
	}
	if near := d.float(); near >= 0.9 && near <= 1.1 {
		x := subDecimal(d, decimalOfInt(1))
		if x.c.Sign() == 0 {
			return 0
		}
		x.c.Abs(&x.c)
		weight, group := x.leading()
		return weight*4 + int(log10(float64(group)))
	}
	weight, group := d.leading()
	digits, exp := float64(group), weight*4
	if next, ok := d.nextGroup(); ok {
		digits, exp = digits*10000+float64(next), exp-4
	}
	ln := math.Log(digits) + float64(exp)*math.Ln10
	return int(log10(math.Abs(ln)))
}

// nextGroup is the group of four digits behind the leading one.
func (d *decimal) nextGroup() (int, bool) {
	s := strings.TrimPrefix(d.c.Text(10), "-")
	exp := len(s) - 1 - d.scale
	first := exp - 4*(exp>>2) + 1
	s = strings.TrimRight(s, "0")
	if len(s) <= first {
		return 0, false
	}
	s = (s[first:] + "0000")[:4]
	n, err := strconv.Atoi(s)
	return n, err == nil
}

func errLog(d *decimal) error {
	if d.c.Sign() == 0 {
		return wire.NewError(wire.CodeNumericOutOfRange, "cannot take logarithm of zero")
	}
	return wire.NewError(wire.CodeNumericOutOfRange, "cannot take logarithm of a negative number")
}

func lnDecimal(d *decimal) (*decimal, error) {
	if d.c.Sign() <= 0 {
		return nil, errLog(d)
	}
	weight := lnWeight(d)
	scale := resultScale(weight, d.scale)
	var x apd.Decimal
	if _, err := precise(scale+max(weight, 0)).Ln(&x, d.apd()); err != nil {
		return nil, errOverflow()
	}
	return fromAPD(&x, scale)
}

func logDecimal(base, d *decimal) (*decimal, error) {
	if base.c.Sign() <= 0 {
		return nil, errLog(base)
	}
	if d.c.Sign() <= 0 {
		return nil, errLog(d)
	}
	weight := lnWeight(d) - lnWeight(base)
	scale := resultScale(weight, base.scale, d.scale)
	c := precise(scale + max(weight, 0) + 8)
	var x, y, q apd.Decimal
	c.Ln(&x, d.apd())
	c.Ln(&y, base.apd())
	if y.IsZero() {
		return nil, errDivision()
	}
	if _, err := c.Quo(&q, &x, &y); err != nil {
		return nil, errOverflow()
	}
	return fromAPD(&q, scale)
}

func expDecimal(d *decimal) (*decimal, error) {
	f := d.float()
	if math.Abs(f) > 3*2*maxDecimalDigits {
		if f > 0 {
			return nil, errOverflow()
		}
		return &decimal{scale: maxDecimalDigits}, nil
	}
	weight := f * math.Log10E
	scale := resultScale(int(weight), d.scale)
	var x apd.Decimal
	if _, err := precise(scale+max(int(weight), 0)).Exp(&x, d.apd()); err != nil {
		return nil, errOverflow()
	}
	return fromAPD(&x, scale)
}

func powerDecimal(base, exp *decimal) (*decimal, error) {
	whole := exp.rescale(0, down)
	isWhole := compareDecimal(whole.String(), exp.String()) == 0
	switch {
	case base.c.Sign() == 0 && exp.c.Sign() < 0:
		return nil, wire.NewError(wire.CodeNumericOutOfRange, "zero raised to a negative power is undefined")
	case base.c.Sign() < 0 && !isWhole:
		return nil, wire.NewError(wire.CodeNumericOutOfRange, "a negative number raised to a non-integer power yields a complex result")
	case base.c.Sign() == 0 && !isWhole:
		return &decimal{scale: 16}, nil
	}
	abs := &decimal{scale: base.scale}
	abs.c.Abs(&base.c)
	weight := 0.0
	if abs.c.Sign() != 0 {
		log10 := log10(abs.float())
		if math.IsInf(log10, 0) {
			log10 = float64(abs.digits() - abs.scale)
		}
		weight = log10 * exp.float()
	}
	if weight > 4*maxDecimalDigits {
		return nil, errOverflow()
	}
	if weight+1 < -maxDecimalDigits {
		return &decimal{scale: maxDecimalDigits}, nil
	}
	scale := resultScale(int(weight), base.scale, exp.scale)
	if base.c.Sign() == 0 {
		out := &decimal{scale: scale}
		if exp.c.Sign() == 0 {
			return decimalOfInt(1).rescale(scale, down), nil
		}
		return out, nil
	}
	c := precise(scale + max(int(weight), 0) + exp.digits())
	var x apd.Decimal
	if _, err := c.Pow(&x, abs.apd(), exp.apd()); err != nil {
		return nil, errOverflow()
	}
	out, err := fromAPD(&x, scale)
	if err != nil {
		return nil, err
	}
	if base.c.Sign() < 0 && whole.c.Bit(0) == 1 {
		out.c.Neg(&out.c)
	}
	return out, out.check()
}
