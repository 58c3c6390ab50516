package store

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/kalamdb/kalam-go/wire"
)

// appendRow encodes the values of a row for the change log: for each a tag
// byte and then a varint, 8 bytes, or a length and the content.
func appendRow(dst []byte, row []wire.Value) []byte {
	for _, v := range row {
		dst = append(dst, byte(v.Tag()))
		switch v.Tag() {
		case wire.TagBool:
			if v.Bool() {
				dst = append(dst, 1)
			} else {
				dst = append(dst, 0)
			}
		case wire.TagInt:
			dst = binary.AppendVarint(dst, v.Int())
		case wire.TagFloat:
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float()))
		case wire.TagText, wire.TagBytes:
			dst = binary.AppendUvarint(dst, uint64(len(v.Raw())))
			dst = append(dst, v.Raw()...)
		}
	}
	return dst
}

var errRow = errors.New("change log: a stored row is damaged")

// decodeRow reads what appendRow wrote.
func decodeRow(s string) ([]wire.Value, error) {
	var row []wire.Value
	b := []byte(s)
	for len(b) > 0 {
		tag := wire.Tag(b[0])
		b = b[1:]
		switch tag {
		case wire.TagNull:
			row = append(row, wire.Null)
		case wire.TagBool:
			if len(b) < 1 {
				return nil, errRow
			}
			row = append(row, wire.BoolValue(b[0] != 0))
			b = b[1:]
		case wire.TagInt:
			n, w := binary.Varint(b)
			if w <= 0 {
				return nil, errRow
			}
			row = append(row, wire.IntValue(n))
			b = b[w:]
		case wire.TagFloat:
			if len(b) < 8 {
				return nil, errRow
			}
			row = append(row, wire.FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(b))))
			b = b[8:]
		case wire.TagText, wire.TagBytes:
			n, w := binary.Uvarint(b)
			if w <= 0 || uint64(len(b)-w) < n {
				return nil, errRow
			}
			if tag == wire.TagText {
				row = append(row, wire.TextValue(string(b[w:w+int(n)])))
			} else {
				row = append(row, wire.BytesValue(b[w:w+int(n)]))
			}
			b = b[w+int(n):]
		default:
			return nil, errRow
		}
	}
	return row, nil
}
