package wire_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

// TestLargeAnswersAreWrittenInPieces compares an answer that is written piece by
// piece with the whole: no piece is large, however large a value or a row is.
func TestLargeAnswersAreWrittenInPieces(t *testing.T) {
	text := strings.Repeat("é€😀\x01\"x", 100_000)
	wide := make([]wire.Value, 200)
	schema := make([]wire.Field, len(wide))
	for i := range wide {
		wide[i], schema[i].Type.Kind = wire.TextValue(strings.Repeat("y", 20_000)), wire.Text
	}
	answer := func() *wire.Response {
		large := make([]wire.Value, len(wide))
		large[0], large[1], large[2] = wire.TextValue(text), wire.BytesValue([]byte(text)), wire.TextValue("\xff"+text[1:])
		return &wire.Response{Results: []wire.Result{{Schema: schema, Rows: [][]wire.Value{large, wide, large}, RowCount: 3}}}
	}
	var got bytes.Buffer
	rest, err := wire.WriteResponse(nil, answer(), func(b []byte) error {
		if len(b) > 256<<10 {
			t.Fatalf("a piece of %d bytes", len(b))
		}
		got.Write(b)
		return nil
	})
	if err != nil || len(rest) > 256<<10 {
		t.Fatalf("%d bytes are left: %v", len(rest), err)
	}
	got.Write(rest)
	if want := wire.AppendResponse(nil, answer()); !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes, the whole has %d", got.Len(), len(want))
	}
}
