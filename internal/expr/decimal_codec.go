package expr

import (
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// The stored form of a DECIMAL is a key: bytes compare as the numbers do, and
// equal numbers have equal bytes whatever their scale.
//
//	zero       80
//	positive   C0, exponent (2 bytes, biased by 32768), digit pairs + 1, 00
//	negative   40, then the complement of what follows in the positive form
//
// The exponent counts digit pairs before the point of 0.d1d2d3... A computed
// DECIMAL, whose scale is its own, has the scale in two more bytes, which
// leaves the order as it is.
const (
	decNegative = 0x40
	decZero     = 0x80
	decPositive = 0xC0
	decBias     = 1 << 15
)

// EncodeDecimal gives the stored form of plain digits such as "-12.50".
func EncodeDecimal(text string) []byte {
	neg := strings.HasPrefix(text, "-")
	whole, frac, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	whole = strings.TrimLeft(whole, "0")
	frac = strings.TrimRight(frac, "0")
	if len(whole)%2 == 1 {
		whole = "0" + whole
	}
	if len(frac)%2 == 1 {
		frac += "0"
	}
	digits := whole + frac
	exp := len(whole) / 2
	for strings.HasPrefix(digits, "00") {
		digits = digits[2:]
		exp--
	}
	for strings.HasSuffix(digits, "00") {
		digits = digits[:len(digits)-2]
	}
	if digits == "" {
		return []byte{decZero}
	}
	b := make([]byte, 0, 6+len(digits)/2)
	b = append(b, decPositive, byte((exp+decBias)>>8), byte(exp+decBias))
	for i := 0; i < len(digits); i += 2 {
		b = append(b, (digits[i]-'0')*10+digits[i+1]-'0'+1)
	}
	b = append(b, 0)
	if neg {
		b[0] = decNegative
		for i := 1; i < len(b); i++ {
			b[i] = ^b[i]
		}
	}
	return b
}

// encodeOwn adds the scale of the text to its stored form.
func encodeOwn(text string) []byte {
	_, frac, _ := strings.Cut(text, ".")
	return append(EncodeDecimal(text), byte(len(frac)>>8), byte(len(frac)))
}

// StoredDecimal is the stored form of plain digits in a column of type t: with
// their scale, where t does not say it.
func StoredDecimal(text string, t wire.Type) []byte {
	if t == ownDecimal {
		return encodeOwn(text)
	}
	return EncodeDecimal(text)
}

// DecimalKey is the engine's expression for the stored form of a DECIMAL by
// which equal numbers are equal.
func DecimalKey(sql string) string { return keyFunction + "(" + sql + ")" }

// OwnScale reports whether each value of the type has a scale of its own.
func OwnScale(t wire.Type) bool { return t == ownDecimal }

// Natural is a DECIMAL without zeros at its end.
func Natural(n Node) Node { return &natural{n} }

// DecodeDecimal reads a stored form and writes it with scale digits after the
// point, or with its own scale if it holds one. The error is for bytes that
// are not of this form or have more digits than the scale allows.
func DecodeDecimal(b []byte, scale uint8) (string, error) {
	digits, exp, neg, rest, ok := decodeDigits(b)
	if !ok {
		return "", errDecimalForm()
	}
	n := int(scale)
	switch len(rest) {
	case 0:
	case 2:
		n = int(rest[0])<<8 | int(rest[1])
	default:
		return "", errDecimalForm()
	}
	return formatDigits(digits, exp, neg, n)
}

// decodeOwn reads a stored form. One without a scale shows the digits it has.
func decodeOwn(b []byte) (string, error) {
	digits, exp, neg, rest, ok := decodeDigits(b)
	if !ok || len(rest) != 0 && len(rest) != 2 {
		return "", errDecimalForm()
	}
	if len(rest) == 2 {
		return formatDigits(digits, exp, neg, int(rest[0])<<8|int(rest[1]))
	}
	return formatDigits(digits, exp, neg, max(len(strings.TrimSuffix(digits, "0"))-2*exp, 0))
}

func formatDigits(digits string, exp int, neg bool, n int) (string, error) {
	if exp > maxDecimalDigits || exp < -maxDecimalDigits {
		return "", errDecimalForm()
	}
	point := 2 * exp // digits before the point
	if point < 0 {
		digits = strings.Repeat("0", -point) + digits
		point = 0
	}
	if pad := point + n - len(digits); pad > 0 {
		digits += strings.Repeat("0", pad)
	}
	if strings.Trim(digits[point+n:], "0") != "" {
		return "", errDecimalForm()
	}
	whole := strings.TrimLeft(digits[:point], "0")
	if whole == "" {
		whole = "0"
	}
	if neg {
		whole = "-" + whole
	}
	if n == 0 {
		return whole, nil
	}
	return whole + "." + digits[point:point+n], nil
}

// decodeDigits takes a stored form apart: 0.digits * 100^exp.
func decodeDigits(b []byte) (digits string, exp int, neg bool, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == decZero {
		return "", 0, false, b[1:], true
	}
	if len(b) < 5 || b[0] != decPositive && b[0] != decNegative {
		return "", 0, false, nil, false
	}
	var flip byte
	if b[0] == decNegative {
		neg, flip = true, 0xFF
	}
	exp = int(b[1]^flip)<<8 + int(b[2]^flip) - decBias
	out := make([]byte, 0, 2*len(b))
	for i := 3; i < len(b); i++ {
		pair := b[i] ^ flip
		if pair == 0 {
			return string(out), exp, neg, b[i+1:], len(out) > 0
		}
		if pair > 100 {
			break
		}
		out = append(out, '0'+(pair-1)/10, '0'+(pair-1)%10)
	}
	return "", 0, false, nil, false
}

// decimalKey drops the scale from a stored form, so that equal numbers are
// equal bytes.
func decimalKey(b []byte) ([]byte, error) {
	_, _, _, rest, ok := decodeDigits(b)
	if !ok {
		return nil, errDecimalForm()
	}
	return b[:len(b)-len(rest)], nil
}

func errDecimalForm() *wire.Error {
	return wire.NewError(wire.CodeInternal, "stored decimal is damaged")
}
