package wire_test

import (
	"strconv"
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

func thousandRows() *wire.Response {
	res := wire.Result{
		Schema: []wire.Field{
			{Name: "id", Type: wire.Type{Kind: wire.BigInt}, Flags: wire.FlagPrimaryKey | wire.FlagNotNull},
			{Name: "body", Type: wire.Type{Kind: wire.Text}, Index: 1},
			{Name: "at", Type: wire.Type{Kind: wire.Timestamp}, Index: 2},
			{Name: "done", Type: wire.Type{Kind: wire.Boolean}, Index: 3},
		},
		RowCount: 1000, AsUser: "alice",
	}
	for i := range 1000 {
		res.Rows = append(res.Rows, []wire.Value{
			wire.IntValue(int64(i) << 30), wire.TextValue("note number " + strconv.Itoa(i)),
			wire.IntValue(1735689600000000 + int64(i)), wire.BoolValue(i%2 == 0),
		})
	}
	return &wire.Response{Results: []wire.Result{res}, Took: 1.5}
}

func BenchmarkAppendResponse(b *testing.B) {
	r := thousandRows()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = wire.AppendResponse(buf[:0], r)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecodeResponse(b *testing.B) {
	buf := wire.AppendResponse(nil, thousandRows())
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.DecodeResponse(buf); err != nil {
			b.Fatal(err)
		}
	}
}
