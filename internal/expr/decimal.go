package expr

import (
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/kalamdb/kalam-go/wire"
)

// decimal is the number c / 10^scale. Results carry the scales that
// PostgreSQL's numeric gives them.
type decimal struct {
	c     apd.BigInt
	scale int
}

var bigTen = apd.NewBigInt(10)

func pow10(n int) *apd.BigInt {
	return new(apd.BigInt).Exp(bigTen, apd.NewBigInt(int64(n)), nil)
}

// splitDecimal checks the syntax of a number and takes it apart.
func splitDecimal(text string) (neg bool, whole, frac string, exp int, ok bool) {
	s := strings.TrimSpace(text)
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg, s = s[0] == '-', s[1:]
	}
	digits := func() string {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		d := s[:n]
		s = s[n:]
		return d
	}
	whole = digits()
	if s != "" && s[0] == '.' {
		s = s[1:]
		frac = digits()
	}
	if whole == "" && frac == "" {
		return false, "", "", 0, false
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		n, err := strconv.Atoi(s[1:])
		if err != nil {
			return false, "", "", 0, false
		}
		exp, s = n, ""
	}
	return neg, whole, frac, exp, s == ""
}

// parseDecimal reads a number as PostgreSQL's numeric does.
func parseDecimal(text string) (*decimal, error) {
	neg, whole, frac, exp, ok := splitDecimal(text)
	if !ok {
		return nil, errInput(ownDecimal, text)
	}
	whole = strings.TrimLeft(whole, "0")
	limit := 2 * maxDecimalDigits
	if len(whole) > limit || len(frac) > limit || exp > limit || exp < -limit {
		return nil, errRange(wire.Decimal)
	}
	d := &decimal{scale: len(frac) - exp}
	if _, ok := d.c.SetString(whole+frac, 10); !ok && whole+frac != "" {
		return nil, errInput(ownDecimal, text)
	}
	if neg {
		d.c.Neg(&d.c)
	}
	if d.scale < 0 {
		d.c.Mul(&d.c, pow10(-d.scale))
		d.scale = 0
	}
	return d, d.check()
}

// mustDecimal reads a decimal value, which is always well formed.
func mustDecimal(v wire.Value) *decimal {
	d := &decimal{}
	s := v.Text()
	if i := strings.IndexByte(s, '.'); i >= 0 {
		d.scale = len(s) - i - 1
		s = s[:i] + s[i+1:]
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		d.c.SetInt64(n)
	} else {
		d.c.SetString(s, 10)
	}
	return d
}

func decimalOfInt(n int64) *decimal {
	d := &decimal{}
	d.c.SetInt64(n)
	return d
}

// decimalOfFloat converts with the 15 (or, from a FLOAT, 6) digits that
// PostgreSQL takes over.
func decimalOfFloat(f float64, digits int) (*decimal, error) {
	return parseDecimal(strconv.FormatFloat(f, 'g', digits, 64))
}

// check bounds the digits on either side of the point.
func (d *decimal) check() error {
	if d.scale > maxDecimalDigits || d.c.BitLen() > 4*maxDecimalDigits && d.digits()-d.scale > maxDecimalDigits {
		return wire.NewError(wire.CodeNumericOutOfRange, "value overflows numeric format")
	}
	return nil
}

// digits is the number of digits of the coefficient, 1 for zero.
func (d *decimal) digits() int {
	s := d.c.Text(10)
	return len(strings.TrimPrefix(s, "-"))
}

// String writes the number with exactly scale digits after the point.
func (d *decimal) String() string {
	s := d.c.Text(10)
	if d.scale == 0 {
		return s
	}
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	if pad := d.scale + 1 - len(s); pad > 0 {
		s = strings.Repeat("0", pad) + s
	}
	return sign + s[:len(s)-d.scale] + "." + s[len(s)-d.scale:]
}

func (d *decimal) value() wire.Value { return wire.TextValue(d.String()) }

// result checks the size of a computed number.
func (d *decimal) result() (wire.Value, error) {
	if err := d.check(); err != nil {
		return wire.Null, err
	}
	return d.value(), nil
}

func (d *decimal) float() float64 {
	f, _ := strconv.ParseFloat(d.String(), 64) // an overflow gives an infinity
	return f
}

// rounding says which way a number goes that has more digits than its place.
type rounding uint8

const (
	halfAway rounding = iota
	down
	floor
	ceiling
)

// rescale gives d exactly scale digits after the point; a negative scale
// rounds before the point.
func (d *decimal) rescale(scale int, r rounding) *decimal {
	out := &decimal{scale: scale}
	if scale >= d.scale {
		out.c.Mul(&d.c, pow10(scale-d.scale))
		return out
	}
	quoRound(&out.c, &d.c, pow10(d.scale-scale), r)
	if scale < 0 {
		out.c.Mul(&out.c, pow10(-scale))
		out.scale = 0
	}
	return out
}

// quoRound sets z to the rounded quotient x / y.
func quoRound(z, x, y *apd.BigInt, r rounding) {
	sign := x.Sign() * y.Sign()
	var rem apd.BigInt
	z.QuoRem(x, y, &rem)
	if rem.Sign() == 0 {
		return
	}
	var away bool
	switch r {
	case halfAway:
		rem.Abs(&rem)
		rem.Add(&rem, new(apd.BigInt).Set(&rem))
		away = rem.CmpAbs(y) >= 0
	case floor:
		away = sign < 0
	case ceiling:
		away = sign > 0
	}
	if away {
		z.Add(z, apd.NewBigInt(int64(sign)))
	}
}

// fit rounds d into DECIMAL(precision, scale).
func (d *decimal) fit(precision, scale int) (*decimal, error) {
	out := d.rescale(scale, halfAway)
	if out.c.Sign() != 0 && out.digits() > precision {
		return nil, wire.NewError(wire.CodeNumericOutOfRange, "numeric field overflow: a value does not fit DECIMAL(",
			strconv.Itoa(precision), ",", strconv.Itoa(scale), ")")
	}
	return out, nil
}

// int64 rounds d to an integer of the kind.
func (d *decimal) int(k wire.Kind) (int64, error) {
	r := d.rescale(0, halfAway)
	if !r.c.IsInt64() {
		return 0, errRange(k)
	}
	return narrow(r.c.Int64(), k)
}

func align(a, b *decimal) (*decimal, *decimal) {
	switch {
	case a.scale < b.scale:
		return a.rescale(b.scale, down), b
	case b.scale < a.scale:
		return a, b.rescale(a.scale, down)
	}
	return a, b
}

func addDecimal(a, b *decimal) *decimal {
	a, b = align(a, b)
	out := &decimal{scale: a.scale}
	out.c.Add(&a.c, &b.c)
	return out
}

func subDecimal(a, b *decimal) *decimal {
	a, b = align(a, b)
	out := &decimal{scale: a.scale}
	out.c.Sub(&a.c, &b.c)
	return out
}

func mulDecimal(a, b *decimal) *decimal {
	out := &decimal{scale: a.scale + b.scale}
	out.c.Mul(&a.c, &b.c)
	if out.scale > maxDecimalDigits {
		return out.rescale(maxDecimalDigits, halfAway)
	}
	return out
}

// divDecimal gives the quotient at least 16 significant digits and no scale
// below its operands': PostgreSQL's select_div_scale, which counts in groups
// of four digits.
func divDecimal(a, b *decimal) (*decimal, error) {
	if b.c.Sign() == 0 {
		return nil, errDivision()
	}
	wa, fa := a.leading()
	wb, fb := b.leading()
	weight := wa - wb
	if fa <= fb {
		weight--
	}
	scale := min(max(16-4*weight, a.scale, b.scale, 0), maxDecimalDigits)
	out := &decimal{scale: scale}
	x, y := new(apd.BigInt).Set(&a.c), &b.c
	if shift := scale - a.scale + b.scale; shift >= 0 {
		x.Mul(x, pow10(shift))
	} else {
		y = new(apd.BigInt).Mul(y, pow10(-shift))
	}
	quoRound(&out.c, x, y, halfAway)
	return out, nil
}

// leading gives the weight of the first group of four digits that is not
// zero, counted from the point, and the group.
func (d *decimal) leading() (weight, group int) {
	if d.c.Sign() == 0 {
		return 0, 0
	}
	s := strings.TrimPrefix(d.c.Text(10), "-")
	exp := len(s) - 1 - d.scale
	weight = exp >> 2
	n := exp - 4*weight + 1
	for len(s) < n {
		s += "0"
	}
	group, _ = strconv.Atoi(s[:n])
	return weight, group
}

func modDecimal(a, b *decimal) (*decimal, error) {
	if b.c.Sign() == 0 {
		return nil, errDivision()
	}
	a, b = align(a, b)
	out := &decimal{scale: a.scale}
	out.c.Rem(&a.c, &b.c)
	return out, nil
}

// sqrtDecimal has at least 16 significant digits, and the operand's scale.
func sqrtDecimal(a *decimal) (*decimal, error) {
	if a.c.Sign() < 0 {
		return nil, wire.NewError(wire.CodeNumericOutOfRange, "cannot take square root of a negative number")
	}
	weight, _ := a.leading()
	sweight := weight*2 + 1
	if weight < 0 {
		sweight = 1 - (1-weight*4)/2
	}
	return rootDecimal(a, min(max(16-sweight, a.scale, 0), maxDecimalDigits)), nil
}

// rootDecimal is the square root of a, which is not negative.
func rootDecimal(a *decimal, scale int) *decimal {
	wide := a.rescale(2*(scale+1), halfAway)
	root := &decimal{scale: scale + 1}
	root.c.Sqrt(&wide.c)
	// The root is cut off after one digit more than wanted, and that digit
	// alone decides how it is rounded.
	return root.rescale(scale, halfAway)
}

// compareDecimal compares two decimal values without making numbers of them.
func compareDecimal(a, b string) int {
	na, nb := strings.HasPrefix(a, "-"), strings.HasPrefix(b, "-")
	if na {
		a = a[1:]
	}
	if nb {
		b = b[1:]
	}
	c := compareMagnitude(a, b)
	switch {
	case na == nb && na:
		return -c
	case na == nb:
		return c
	case isZeroDigits(a) && isZeroDigits(b):
		return 0
	case na:
		return -1
	}
	return 1
}

func isZeroDigits(s string) bool { return strings.Trim(s, "0.") == "" }

func compareMagnitude(a, b string) int {
	wa, fa, _ := strings.Cut(a, ".")
	wb, fb, _ := strings.Cut(b, ".")
	wa, wb = strings.TrimLeft(wa, "0"), strings.TrimLeft(wb, "0")
	if len(wa) != len(wb) {
		if len(wa) < len(wb) {
			return -1
		}
		return 1
	}
	if c := strings.Compare(wa, wb); c != 0 {
		return c
	}
	return strings.Compare(strings.TrimRight(fa, "0"), strings.TrimRight(fb, "0"))
}

// decimalConst types a decimal literal with the precision and scale it was
// written in, so that it prints and shows as such.
func decimalConst(d *decimal) Node {
	t := ownDecimal
	if digits := max(d.digits(), d.scale); digits <= maxPrecision {
		t.Precision, t.Scale = uint8(max(digits, 1)), uint8(d.scale)
	}
	return &constant{d.value(), t}
}

// narrow checks that n fits the integer kind.
func narrow(n int64, k wire.Kind) (int64, error) {
	if k == wire.Int && n != int64(int32(n)) || k == wire.SmallInt && n != int64(int16(n)) {
		return 0, errRange(k)
	}
	return n, nil
}

// finite refuses what no FLOAT or DOUBLE of ours holds, rounds a FLOAT to 32
// bits and makes a zero positive.
func finite(f float64, k wire.Kind) (wire.Value, error) {
	if k == wire.Float {
		if f != 0 && float32(f) == 0 {
			return wire.Null, errUnderflow()
		}
		f = float64(float32(f))
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return wire.Null, wire.NewError(wire.CodeNumericOutOfRange, "value out of range: overflow")
	}
	return wire.FloatValue(f + 0), nil
}

func errUnderflow() error {
	return wire.NewError(wire.CodeNumericOutOfRange, "value out of range: underflow")
}
