package store

import (
	"math"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/kalamdb/kalam-go/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// valueOf draws a value of any form.
func valueOf(t *rapid.T) wire.Value {
	switch wire.Tag(rapid.IntRange(int(wire.TagNull), int(wire.TagBytes)).Draw(t, "tag")) {
	case wire.TagBool:
		return wire.BoolValue(rapid.Bool().Draw(t, "bool"))
	case wire.TagInt:
		return wire.IntValue(rapid.Int64().Draw(t, "int"))
	case wire.TagFloat:
		return wire.FloatValue(math.Float64frombits(rapid.Uint64().Draw(t, "bits")))
	case wire.TagText:
		return wire.TextValue(rapid.String().Draw(t, "text"))
	case wire.TagBytes:
		return wire.BytesValue(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	}
	return wire.Null
}

func TestRowsDecodeToWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := rapid.SliceOf(rapid.Custom(valueOf)).Draw(t, "row")
		prefix := rapid.SliceOf(rapid.Byte()).Draw(t, "prefix")
		b := appendRow(slices.Clone(prefix), row)
		if !slices.Equal(b[:len(prefix)], prefix) {
			t.Fatalf("the bytes before were changed")
		}
		got, err := decodeRow(string(b[len(prefix):]))
		if err != nil || !slices.Equal(got, row) {
			t.Fatalf("%v came back as %v, %v", row, got, err)
		}
		for n := range len(b) - len(prefix) { // cut short: an error or fewer values
			part, err := decodeRow(string(b[len(prefix) : len(prefix)+n]))
			if err == nil && !(len(part) < len(row) && slices.Equal(part, row[:len(part)])) {
				t.Fatalf("the first %d bytes decode to %v", n, part)
			}
		}
	})
}

func FuzzDecodeRow(f *testing.F) {
	f.Add("")
	f.Add(string(appendRow(nil, []wire.Value{
		wire.Null, wire.BoolValue(true), wire.IntValue(-1), wire.FloatValue(1.5), wire.TextValue("x"), wire.BytesValue([]byte{0}),
	})))
	f.Add("\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") // a length of 2^64-1
	f.Add("\x05\x80")
	f.Fuzz(func(t *testing.T, s string) {
		row, err := decodeRow(s)
		if err != nil {
			return
		}
		again, err := decodeRow(string(appendRow(nil, row)))
		if err != nil || !slices.Equal(again, row) {
			t.Fatalf("%q decodes to %v, which comes back as %v, %v", s, row, again, err)
		}
	})
}
