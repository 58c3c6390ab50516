package wire

import (
	"math"
	"strconv"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// plain marks the bytes that stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become the
// replacement character.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

// appendEscaped appends what stands between the quotes.
func appendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(dst, s[start:]...)
}

// AppendCell appends v as a JSON cell of type t (section 1.9.4). A value in a
// form that t does not have is written by its form. NaN and the infinities,
// which JSON lacks, are the strings PostgreSQL uses.
func AppendCell(dst []byte, t Type, v Value) []byte {
	switch v.tag {
	case TagBool:
		if v.num != 0 {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case TagInt:
		switch t.Kind {
		case BigInt, Decimal, Text, JSON, UUID, File:
			dst = append(dst, '"')
			dst = strconv.AppendInt(dst, int64(v.num), 10)
			return append(dst, '"')
		}
		return strconv.AppendInt(dst, int64(v.num), 10)
	case TagFloat:
		f := math.Float64frombits(v.num)
		switch t.Kind {
		case Float:
			return appendFloat(dst, f, 32)
		case Decimal, BigInt:
			dst = append(dst, '"')
			dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
			return append(dst, '"')
		}
		return appendFloat(dst, f, 64)
	case TagText:
		return AppendString(dst, v.str)
	case TagBytes:
		if t.Kind == Embedding {
			return appendEmbedding(dst, v.str)
		}
		return appendBytes(dst, v.str)
	}
	return append(dst, "null"...)
}

// appendFloat writes the shortest digits that read back as f, in the layout
// that JavaScript uses.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case f != f:
		return append(dst, `"NaN"`...)
	case f > math.MaxFloat64:
		return append(dst, `"Infinity"`...)
	case f < -math.MaxFloat64:
		return append(dst, `"-Infinity"`...)
	}
	abs := math.Abs(f)
	if abs == 0 || (abs >= 1e-6 && abs < 1e21) {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-07 is written e-7
		dst = dst[:n-1]
	}
	return dst
}

func appendBytes(dst []byte, s string) []byte {
	return append(appendNumbers(append(dst, '['), s), ']')
}

func appendNumbers(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(s[i]), 10)
	}
	return dst
}

func appendEmbedding(dst []byte, s string) []byte {
	dst = append(dst, '[')
	for i := 0; len(s) >= 4; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		u := uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
		dst = appendFloat(dst, float64(math.Float32frombits(u)), 32)
		s = s[4:]
	}
	return append(dst, ']')
}

// appendParam writes a parameter so that its form survives: an integral float
// keeps a point. Bytes are an object, {"$bytes": "aGk="}, which tells them from
// the texts that a TEXT column would store.
func appendParam(dst []byte, v Value) []byte {
	switch v.tag {
	case TagInt:
		return strconv.AppendInt(dst, int64(v.num), 10)
	case TagFloat:
		n := len(dst)
		dst = appendFloat(dst, math.Float64frombits(v.num), 64)
		for _, c := range dst[n:] {
			if c == '.' || c == 'e' || c == '"' {
				return dst
			}
		}
		return append(dst, '.', '0')
	case TagBytes:
		dst = append(dst, `{"`+bytesMember+`":"`...)
		return append(appendBase64(dst, v.str), `"}`...)
	}
	return AppendCell(dst, Type{}, v)
}

// bytesMember is the only member of a parameter that holds bytes.
const bytesMember = "$bytes"

// AppendParams appends parameters as a JSON array.
func AppendParams(dst []byte, params []Value) []byte {
	dst = append(dst, '[')
	for i, v := range params {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendParam(dst, v)
	}
	return append(dst, ']')
}

// AppendType appends a data_type (section 1.9.3).
func AppendType(dst []byte, t Type) []byte {
	switch t.Kind {
	case Embedding:
		dst = append(dst, `{"Embedding":`...)
		dst = strconv.AppendUint(dst, uint64(t.Dim), 10)
		return append(dst, '}')
	case Decimal:
		precision := t.Precision
		if precision == 0 {
			precision = 38
		}
		dst = append(dst, `{"Decimal":{"precision":`...)
		dst = strconv.AppendUint(dst, uint64(precision), 10)
		dst = append(dst, `,"scale":`...)
		dst = strconv.AppendUint(dst, uint64(t.Scale), 10)
		return append(dst, '}', '}')
	}
	dst = append(dst, '"')
	dst = append(dst, t.Kind.String()...)
	return append(dst, '"')
}

// AppendField appends one entry of a schema.
func AppendField(dst []byte, f *Field) []byte {
	dst = append(dst, `{"name":`...)
	dst = AppendString(dst, f.Name)
	dst = append(dst, `,"data_type":`...)
	dst = AppendType(dst, f.Type)
	dst = append(dst, `,"index":`...)
	dst = strconv.AppendInt(dst, int64(f.Index), 10)
	if f.Flags != 0 {
		dst = append(dst, `,"flags":[`...)
		n := len(dst)
		for _, e := range flagNames {
			if f.Flags&e.flag == 0 {
				continue
			}
			if len(dst) > n {
				dst = append(dst, ',')
			}
			dst = append(dst, '"')
			dst = append(dst, e.name...)
			dst = append(dst, '"')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

var flagNames = [...]struct {
	flag Flags
	name string
}{{FlagPrimaryKey, "pk"}, {FlagNotNull, "nn"}, {FlagUnique, "uq"}}

// AppendSchema appends the columns of a result or of a subscription.
func AppendSchema(dst []byte, schema []Field) []byte {
	dst = append(dst, '[')
	for i := range schema {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendField(dst, &schema[i])
	}
	return append(dst, ']')
}
