package wire

import (
	"math"
	"strconv"
)

// Tag says which form a Value holds.
type Tag uint8

// The forms of a Value. A column's Type gives the form its meaning:
//
//	Boolean                          TagBool
//	SmallInt, Int, BigInt            TagInt
//	Float, Double                    TagFloat (a Float is already rounded to 32 bits)
//	Text, JSON, UUID, File           TagText (a UUID is lower case with hyphens)
//	Decimal                          TagText, plain digits with the value's own scale: "-12.50"
//	Timestamp, DateTime              TagInt, microseconds since 1970-01-01T00:00:00Z
//	Date                             TagInt, days since 1970-01-01
//	Time                             TagInt, microseconds since midnight
//	Bytes                            TagBytes
//	Embedding                        TagBytes, the components as little-endian float32
const (
	TagNull Tag = iota
	TagBool
	TagInt
	TagFloat
	TagText
	TagBytes
)

// Value is one cell, parameter or intermediate result. The zero Value is NULL.
// Values are immutable and comparable with ==, which is identity of form and
// content and not SQL equality.
type Value struct {
	str string
	num uint64
	tag Tag
}

// Null is the SQL NULL.
var Null = Value{}

// BoolValue makes a BOOLEAN.
func BoolValue(b bool) Value {
	if b {
		return Value{tag: TagBool, num: 1}
	}
	return Value{tag: TagBool}
}

// IntValue makes an integer, a timestamp, a date or a time.
func IntValue(n int64) Value { return Value{tag: TagInt, num: uint64(n)} }

// FloatValue makes a floating-point number.
func FloatValue(f float64) Value { return Value{tag: TagFloat, num: math.Float64bits(f)} }

// TextValue makes a text, JSON, UUID, DECIMAL or FILE value.
func TextValue(s string) Value { return Value{tag: TagText, str: s} }

// BytesValue makes a BYTES value from a copy of b.
func BytesValue(b []byte) Value { return Value{tag: TagBytes, str: string(b)} }

// EmbeddingValue makes an EMBEDDING of the given components.
func EmbeddingValue(v []float32) Value {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		u := math.Float32bits(f)
		b = append(b, byte(u), byte(u>>8), byte(u>>16), byte(u>>24))
	}
	return Value{tag: TagBytes, str: string(b)}
}

// Tag returns the form that v holds.
func (v Value) Tag() Tag { return v.tag }

// IsNull reports whether v is NULL.
func (v Value) IsNull() bool { return v.tag == TagNull }

// Bool returns the boolean; false for any other form.
func (v Value) Bool() bool { return v.tag == TagBool && v.num != 0 }

// Int returns the integer; 0 for any other form.
func (v Value) Int() int64 {
	if v.tag != TagInt {
		return 0
	}
	return int64(v.num)
}

// Float returns the number, converting an integer; 0 for any other form.
func (v Value) Float() float64 {
	switch v.tag {
	case TagFloat:
		return math.Float64frombits(v.num)
	case TagInt:
		return float64(int64(v.num))
	}
	return 0
}

// Text returns the text; "" for any other form.
func (v Value) Text() string {
	if v.tag != TagText {
		return ""
	}
	return v.str
}

// Raw returns the content of a text or bytes value as a string of bytes.
func (v Value) Raw() string { return v.str }

// Bytes returns a copy of the bytes; nil for any other form.
func (v Value) Bytes() []byte {
	if v.tag != TagBytes {
		return nil
	}
	return []byte(v.str)
}

// String returns the value as text, for logs: NULL, true, 12, 1.5, the text
// itself, or bytes as \x and hexadecimal digits. What a time counts only its
// column knows.
func (v Value) String() string {
	switch v.tag {
	case TagBool:
		return strconv.FormatBool(v.num != 0)
	case TagInt:
		return strconv.FormatInt(int64(v.num), 10)
	case TagFloat:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case TagText:
		return v.str
	case TagBytes:
		const digits = "0123456789abcdef"
		b := append(make([]byte, 0, 2+2*len(v.str)), '\\', 'x')
		for i := range len(v.str) {
			b = append(b, digits[v.str[i]>>4], digits[v.str[i]&15])
		}
		return string(b)
	}
	return "NULL"
}

// Embedding returns the components of an EMBEDDING value.
func (v Value) Embedding() []float32 {
	if v.tag != TagBytes {
		return nil
	}
	out := make([]float32, 0, len(v.str)/4)
	for s := v.str; len(s) >= 4; s = s[4:] {
		out = append(out, math.Float32frombits(uint32(s[0])|uint32(s[1])<<8|uint32(s[2])<<16|uint32(s[3])<<24))
	}
	return out
}
