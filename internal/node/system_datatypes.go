package node

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// datatypes is system.datatypes: the types of columns, with the names of the
// Arrow types that KalamDB 0.4 keeps them in.
func datatypes() *catalog.Table {
	rows := make([][]wire.Value, 0, 17)
	add := func(t wire.Type, arrow, description string) {
		rows = append(rows, textRow(arrow, string(wire.AppendType(nil, t)), expr.TypeName(t), description))
	}
	for _, d := range []struct {
		kind               wire.Kind
		arrow, description string
	}{
		{wire.Boolean, "Boolean", "true or false"},
		{wire.SmallInt, "Int16", "integer of 16 bits"},
		{wire.Int, "Int32", "integer of 32 bits"},
		{wire.BigInt, "Int64", "integer of 64 bits"},
		{wire.Float, "Float32", "floating-point number of 32 bits"},
		{wire.Double, "Float64", "floating-point number of 64 bits"},
		{wire.Text, "Utf8", "text in UTF-8"},
		{wire.Timestamp, "Timestamp(Microsecond, None)", "date and time without a zone, in microseconds"},
		{wire.DateTime, `Timestamp(Microsecond, Some("UTC"))`, "moment in time, in microseconds"},
		{wire.Date, "Date32", "calendar date"},
		{wire.Time, "Time64(Microsecond)", "time of day, in microseconds"},
		{wire.JSON, "Utf8", "JSON document"},
		{wire.Bytes, "Binary", "bytes"},
		{wire.UUID, "FixedSizeBinary(16)", "UUID"},
		{wire.File, "Utf8", "reference to an uploaded file"},
	} {
		add(wire.Type{Kind: d.kind}, d.arrow, d.description)
	}
	add(wire.Type{Kind: wire.Decimal, Precision: 38, Scale: 10}, "Decimal128(38, 10)", "exact number with up to 38 digits")
	add(wire.Type{Kind: wire.Embedding, Dim: 384}, "FixedSizeList(Float32, 384)", "vector of 32-bit floating-point numbers, here 384")
	text := func(name string) catalog.Column { return catalog.Col(name, wire.Text, true) }
	return catalog.NewSystem(catalog.SystemNamespace, "datatypes",
		[]catalog.Column{text("arrow_type"), text("kalam_type"), text("sql_name"), text("description")}, "",
		func() [][]wire.Value { return rows })
}
