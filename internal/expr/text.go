package expr

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// parseInput reads the text form of a value of type t, as PostgreSQL's input
// functions do. It is the meaning of '...'::t, of a text literal where a t is
// expected, and of a text parameter.
func parseInput(text string, t wire.Type) (wire.Value, error) {
	if err := checkText(text); err != nil {
		return wire.Null, err
	}
	switch t.Kind {
	case wire.Text, wire.Unknown, wire.File:
		return wire.TextValue(text), nil
	case wire.Boolean:
		return parseBoolean(text)
	case wire.SmallInt, wire.Int, wire.BigInt:
		return parseInteger(text, t)
	case wire.Float, wire.Double:
		return parseFloat(text, t)
	case wire.Decimal:
		d, err := parseDecimal(text)
		if err != nil {
			return wire.Null, err
		}
		return fitValue(d, t)
	case wire.Date:
		return intResult(parseDate(text))
	case wire.Timestamp:
		return intResult(parseTimestamp(text))
	case wire.DateTime:
		return intResult(parseDateTime(text, t.Kind))
	case wire.Time:
		return intResult(parseTime(text))
	case Interval:
		return spanResult(parseSpan(text))
	case wire.UUID:
		return parseUUID(text)
	case wire.JSON:
		if !json.Valid([]byte(text)) {
			return wire.Null, errInput(t, text)
		}
		return wire.TextValue(text), nil
	case wire.Bytes:
		return parseBytes(text)
	case wire.Embedding:
		return parseEmbedding(text, t)
	}
	return wire.Null, errInput(t, text)
}

func intResult(n int64, err error) (wire.Value, error) {
	if err != nil {
		return wire.Null, err
	}
	return wire.IntValue(n), nil
}

// fitValue rounds d to the scale of t, if t has one.
func fitValue(d *decimal, t wire.Type) (wire.Value, error) {
	if t.Precision == 0 {
		return d.result()
	}
	d, err := d.fit(int(t.Precision), int(t.Scale))
	if err != nil {
		return wire.Null, err
	}
	return d.value(), nil
}

func parseBoolean(text string) (wire.Value, error) {
	s := strings.ToLower(strings.TrimSpace(text))
	switch {
	case s == "":
	case strings.HasPrefix("true", s), strings.HasPrefix("yes", s), s == "on", s == "1":
		return wire.BoolValue(true), nil
	case strings.HasPrefix("false", s), strings.HasPrefix("no", s), s == "off", s == "of", s == "0":
		return wire.BoolValue(false), nil
	}
	return wire.Null, errInput(typeOf(wire.Boolean), text)
}

func parseInteger(text string, t wire.Type) (wire.Value, error) {
	s := strings.TrimSpace(text)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && !digitsOnly(strings.TrimLeft(s, "+-")) {
		return wire.Null, errInput(t, text)
	}
	if err == nil {
		n, err = narrow(n, t.Kind)
	}
	if err != nil {
		return wire.Null, wire.NewError(wire.CodeNumericOutOfRange, `value "`, cut(text), `" is out of range for type `, TypeName(t))
	}
	return wire.IntValue(n), nil
}

func digitsOnly(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func parseFloat(text string, t wire.Type) (wire.Value, error) {
	s := strings.TrimSpace(text)
	if _, _, _, _, ok := splitDecimal(s); !ok {
		return wire.Null, errInput(t, text)
	}
	bits := 64
	if t.Kind == wire.Float {
		bits = 32
	}
	f, err := strconv.ParseFloat(s, bits)
	if err != nil || f == 0 && strings.ContainsAny(mantissa(s), "123456789") {
		return wire.Null, wire.NewError(wire.CodeNumericOutOfRange, `"`, cut(text), `" is out of range for type `, TypeName(t))
	}
	return finite(f, t.Kind)
}

// mantissa is a number without its exponent.
func mantissa(s string) string {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return s[:i]
	}
	return s
}

func parseUUID(text string) (wire.Value, error) {
	s := strings.ToLower(text)
	if strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") {
		s = s[1 : len(s)-1]
	}
	digits := strings.ReplaceAll(s, "-", "")
	if _, err := hex.DecodeString(digits); err != nil || len(digits) != 32 || strings.HasPrefix(s, "-") || strings.HasSuffix(s, "-") {
		return wire.Null, errInput(typeOf(wire.UUID), text)
	}
	return wire.TextValue(digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]), nil
}

// parseBytes reads '\x0aff', or text with \\ and \ooo for single bytes.
func parseBytes(text string) (wire.Value, error) {
	bad := errInput(typeOf(wire.Bytes), text)
	if s, ok := strings.CutPrefix(text, `\x`); ok {
		b, err := hex.DecodeString(withoutSpace(s))
		if err != nil {
			return wire.Null, bad
		}
		return wire.BytesValue(b), nil
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '\\':
			out = append(out, text[i])
		case strings.HasPrefix(text[i+1:], `\`):
			out = append(out, '\\')
			i++
		case i+3 < len(text):
			n, err := strconv.ParseUint(text[i+1:i+4], 8, 8)
			if err != nil {
				return wire.Null, bad
			}
			out = append(out, byte(n))
			i += 3
		default:
			return wire.Null, bad
		}
	}
	return wire.BytesValue(out), nil
}

func parseEmbedding(text string, t wire.Type) (wire.Value, error) {
	var v []*float32
	if err := json.Unmarshal([]byte(text), &v); err != nil || v == nil {
		return wire.Null, errInput(t, text)
	}
	out := make([]float32, len(v))
	for i, f := range v {
		if f == nil {
			return wire.Null, errInput(t, text)
		}
		out[i] = *f
	}
	if err := checkDim(len(out), t); err != nil {
		return wire.Null, err
	}
	return wire.EmbeddingValue(out), nil
}

func checkDim(n int, t wire.Type) error {
	if t.Dim != 0 && n != int(t.Dim) {
		return wire.NewError(wire.CodeTypeMismatch, "expected ", strconv.Itoa(int(t.Dim)), " dimensions, not ", strconv.Itoa(n))
	}
	return nil
}

// formatValue writes a value in PostgreSQL's text form of its type.
func formatValue(v wire.Value, k wire.Kind) string {
	switch k {
	case wire.Boolean:
		if v.Bool() {
			return "true"
		}
		return "false"
	case wire.SmallInt, wire.Int, wire.BigInt:
		return strconv.FormatInt(v.Int(), 10)
	case wire.Float:
		return formatFloat(v.Float(), 32, 6)
	case wire.Double:
		return formatFloat(v.Float(), 64, 15)
	case wire.Date:
		return formatDate(v.Int())
	case wire.Timestamp:
		return formatInstant(v.Int(), "")
	case wire.DateTime:
		return formatInstant(v.Int(), "+00")
	case wire.Time:
		return string(appendTime(nil, v.Int()))
	case Interval:
		return formatSpan(spanOf(v))
	case wire.Bytes:
		return `\x` + hex.EncodeToString([]byte(v.Raw()))
	case wire.Embedding:
		b := []byte{'['}
		for i, f := range v.Embedding() {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendFloat(b, float64(f), 'g', -1, 32)
		}
		return string(append(b, ']'))
	}
	return v.Text()
}

// formatFloat gives the shortest digits that read back as f, in plain form
// while the exponent is at least -4 and below digits.
func formatFloat(f float64, bits, digits int) string {
	e := strconv.FormatFloat(f, 'e', -1, bits)
	for n := 1; halfway(e, f, bits) && n <= 17; n++ {
		longer := strconv.FormatFloat(f, 'e', n, bits)
		if back, err := strconv.ParseFloat(longer, bits); err == nil && back == f {
			e = longer
		}
	}
	exp, err := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	if err == nil && exp >= -4 && exp < digits {
		return strconv.FormatFloat(f, 'f', -1, bits)
	}
	return e
}

// halfway reports whether text, which reads back as f, lies halfway between f and
// its neighbour. PostgreSQL writes more digits then, rather than rely on how a
// reader rounds. Only large whole numbers have such texts.
func halfway(text string, f float64, bits int) bool {
	exact, next := float64(1<<53), math.Nextafter(math.Abs(f), math.Inf(1))
	if bits == 32 {
		exact, next = 1<<24, float64(math.Nextafter32(float32(math.Abs(f)), float32(math.Inf(1))))
	}
	if f = math.Abs(f); f < exact || f > 1e40 || math.IsInf(next, 1) {
		return false
	}
	off, ok := new(big.Rat).SetString(strings.TrimPrefix(text, "-"))
	if !ok {
		return false
	}
	off.Sub(off, new(big.Rat).SetFloat64(f)).Abs(off)
	return off.Cmp(new(big.Rat).SetFloat64((next-f)/2)) == 0
}

// Coerce turns a parameter, as JSON gave it, into a value of type t. Beside
// the text form of t it takes a number where t is one, days for a DATE and
// microseconds for a TIMESTAMP, DATETIME or TIME. Bytes that are no BYTES are
// the text that they hold.
func Coerce(v wire.Value, t wire.Type) (wire.Value, error) {
	switch v.Tag() {
	case wire.TagText:
		return coerceText(v.Text(), t)
	case wire.TagInt:
		return coerceInt(v, t)
	case wire.TagFloat:
		return coerceFloat(v, t)
	case wire.TagBool:
		switch t.Kind {
		case wire.Boolean, wire.Unknown, wire.JSON:
			if t.Kind == wire.JSON {
				return wire.TextValue(formatValue(v, wire.Boolean)), nil
			}
			return v, nil
		case wire.Text:
			return wire.TextValue(formatValue(v, wire.Boolean)), nil
		}
		return wire.Null, errCoerce("a boolean", t)
	case wire.TagBytes:
		if t.Kind == wire.Bytes || t.Kind == wire.Unknown {
			return v, nil
		}
		if checkText(v.Raw()) != nil {
			return wire.Null, errCoerce("a sequence of bytes that is no UTF-8 text", t)
		}
		return coerceText(v.Raw(), t)
	}
	return wire.Null, nil
}

func errCoerce(what string, t wire.Type) *wire.Error {
	return wire.NewError(wire.CodeInvalidText, what, " is no value of type ", TypeName(t))
}

// coerceText takes base64 for BYTES beside '\x..', since that is how JSON
// carries bytes, and for a TIMESTAMP the instant that an offset says: a literal
// ignores the offset, but a client that sends one means an instant.
func coerceText(s string, t wire.Type) (wire.Value, error) {
	if t.Kind == wire.Bytes && !strings.HasPrefix(s, `\`) {
		if b, err := base64.StdEncoding.DecodeString(s); err == nil {
			return wire.BytesValue(b), nil
		}
	}
	if t.Kind == wire.Timestamp {
		if err := checkText(s); err != nil {
			return wire.Null, err
		}
		return intResult(parseDateTime(s, t.Kind))
	}
	return parseInput(s, t)
}

func coerceInt(v wire.Value, t wire.Type) (wire.Value, error) {
	n := v.Int()
	switch t.Kind {
	case wire.Unknown:
		return v, nil
	case wire.SmallInt, wire.Int, wire.BigInt:
		if _, err := narrow(n, t.Kind); err != nil {
			return wire.Null, wire.NewError(wire.CodeNumericOutOfRange, "value ", strconv.FormatInt(n, 10), " is out of range for type ", TypeName(t))
		}
		return v, nil
	case wire.Float, wire.Double:
		return finite(float64(n), t.Kind)
	case wire.Decimal:
		return fitValue(decimalOfInt(n), t)
	case wire.Text, wire.JSON:
		return wire.TextValue(strconv.FormatInt(n, 10)), nil
	case wire.Date:
		return intResult(checkDay(n))
	case wire.Timestamp, wire.DateTime:
		return intResult(checkInstant(n))
	case wire.Time:
		if n < 0 || n > usPerDay {
			return wire.Null, errRange(wire.Time)
		}
		return v, nil
	case wire.Boolean:
		if n == 0 || n == 1 {
			return wire.BoolValue(n == 1), nil
		}
	}
	return wire.Null, errCoerce("an integer", t)
}

func coerceFloat(v wire.Value, t wire.Type) (wire.Value, error) {
	f := v.Float()
	switch t.Kind {
	case wire.Unknown:
		return v, nil
	case wire.Float, wire.Double:
		return finite(f, t.Kind)
	case wire.Decimal:
		d, err := parseDecimal(strconv.FormatFloat(f, 'f', -1, 64))
		if err != nil {
			return wire.Null, err
		}
		return fitValue(d, t)
	case wire.Text, wire.JSON:
		return wire.TextValue(formatValue(v, wire.Double)), nil
	case wire.SmallInt, wire.Int, wire.BigInt:
		if f == math.Trunc(f) && math.Abs(f) < 1<<63 {
			return coerceInt(wire.IntValue(int64(f)), t)
		}
	}
	return wire.Null, errCoerce("a number with a fraction", t)
}
