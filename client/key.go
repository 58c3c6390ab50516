package client

import (
	"math"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// appendKey appends a cell of a key so that keys compare, byte by byte, as SQL
// compares the cells: it is what tells rows apart, and what orders them.
func appendKey(dst []byte, t wire.Type, v wire.Value) []byte {
	switch v.Tag() {
	case wire.TagBool:
		if v.Bool() {
			return append(dst, 1, 1)
		}
		return append(dst, 1, 0)
	case wire.TagInt:
		return appendOrdered(append(dst, 2), uint64(v.Int())^1<<63)
	case wire.TagFloat:
		bits := math.Float64bits(v.Float())
		if bits>>63 == 1 {
			bits = ^bits
		} else {
			bits |= 1 << 63
		}
		return appendOrdered(append(dst, 3), bits)
	case wire.TagText:
		if t.Kind == wire.Decimal {
			return appendDecimalKey(append(dst, 4), v.Text())
		}
		return appendTextKey(append(dst, 5), v.Text())
	case wire.TagBytes:
		return appendTextKey(append(dst, 6), string(v.Bytes()))
	}
	return append(dst, 0)
}

// appendOrdered is here because encoding/binary brings reflection along.
func appendOrdered(dst []byte, n uint64) []byte {
	for shift := 56; shift >= 0; shift -= 8 {
		dst = append(dst, byte(n>>shift))
	}
	return dst
}

// appendTextKey ends a text so that it comes before those it begins.
func appendTextKey(dst []byte, s string) []byte {
	for i := range len(s) {
		if dst = append(dst, s[i]); s[i] == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 1)
}

// appendDecimalKey puts the number of whole digits before the digits, and turns
// all bits of a negative number.
func appendDecimalKey(dst []byte, s string) []byte {
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	negative = negative && whole+fraction != ""
	begin := len(dst)
	dst = append(dst, 0x80, byte(len(whole)>>8), byte(len(whole)))
	dst = append(append(append(dst, whole...), fraction...), 0)
	if negative {
		for i := begin; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}
