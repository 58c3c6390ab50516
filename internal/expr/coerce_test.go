package expr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

func decimalType(p, s uint8) wire.Type {
	return wire.Type{Kind: wire.Decimal, Precision: p, Scale: s}
}

func TestCoerceTakesWhatJSONGives(t *testing.T) {
	text, num, float := wire.TextValue, wire.IntValue, wire.FloatValue
	day := int64(19753) // 2024-01-31
	us := day*86400*1e6 + 37230*1e6
	for _, c := range []struct {
		in   wire.Value
		t    wire.Type
		want wire.Value
	}{
		{num(42), kind(wire.BigInt), num(42)},
		{text("42"), kind(wire.BigInt), num(42)},
		{text("9223372036854775807"), kind(wire.BigInt), num(9223372036854775807)},
		{float(42), kind(wire.BigInt), num(42)},
		{num(42), kind(wire.Double), float(42)},
		{num(42), kind(wire.Text), text("42")},
		{float(1.5), kind(wire.Text), text("1.5")},
		{wire.BoolValue(true), kind(wire.Text), text("true")},
		{text("t"), kind(wire.Boolean), wire.BoolValue(true)},
		{wire.BoolValue(false), kind(wire.Boolean), wire.BoolValue(false)},
		{float(0.1), kind(wire.Float), float(float64(float32(0.1)))},
		{num(12), decimalType(10, 2), text("12.00")},
		{float(12.345), decimalType(10, 2), text("12.35")},
		{text("-0.005"), decimalType(10, 2), text("-0.01")},
		{text("12.345"), kind(wire.Decimal), text("12.345")},
		{text("2024-01-31"), kind(wire.Date), num(day)},
		{num(day), kind(wire.Date), num(day)},
		{text("2024-01-31T10:20:30Z"), kind(wire.Timestamp), num(us)},
		{text("2024-01-31 10:20:30"), kind(wire.Timestamp), num(us)},
		{num(us), kind(wire.Timestamp), num(us)},
		{text("2024-01-31T12:20:30+02:00"), kind(wire.DateTime), num(us)},
		{text("2024-01-31T12:20:30+02:00"), kind(wire.Timestamp), num(us)},
		{text("2024-01-31 10:39:59+00:19:29"), kind(wire.Timestamp), num(us)},
		{text("2024-02-01T00:20:30+14"), kind(wire.Date), num(day + 1)},
		{text("2024-02-01T00:20:30.5+14:00"), kind(wire.Time), num(1230_500000)},
		{text("10:20:30.5"), kind(wire.Time), num(37230_500000)},
		{text("01890A5D-AC96-774B-BCCE-B302099A8057"), kind(wire.UUID), text("01890a5d-ac96-774b-bcce-b302099a8057")},
		{text(`{"a": 1}`), kind(wire.JSON), text(`{"a": 1}`)},
		{num(5), kind(wire.JSON), text(`5`)},
		{text(`\x00ff`), kind(wire.Bytes), wire.BytesValue([]byte{0, 255})},
		{text(`AP8=`), kind(wire.Bytes), wire.BytesValue([]byte{0, 255})},
		{wire.BytesValue([]byte("AP8=")), kind(wire.Bytes), wire.BytesValue([]byte("AP8="))},
		{wire.BytesValue([]byte(`\x00`)), kind(wire.Text), text(`\x00`)},
		{wire.BytesValue([]byte("42")), kind(wire.Int), num(42)},
		{text(`[1, 2.5]`), wire.Type{Kind: wire.Embedding, Dim: 2}, wire.EmbeddingValue([]float32{1, 2.5})},
		{wire.Null, kind(wire.BigInt), wire.Null},
		{num(5), kind(wire.Unknown), num(5)},
	} {
		got, err := expr.Coerce(c.in, c.t)
		if err != nil || got != c.want {
			t.Errorf("%v as %s: got %v, %v; want %v", c.in, expr.TypeName(c.t), got, err, c.want)
		}
	}
}

func TestCoerceRefusesWhatDoesNotFit(t *testing.T) {
	text, num, float := wire.TextValue, wire.IntValue, wire.FloatValue
	const outOfRange, invalid = wire.CodeNumericOutOfRange, wire.CodeInvalidText
	for _, c := range []struct {
		in   wire.Value
		t    wire.Type
		want wire.Code
	}{
		{num(40000), kind(wire.SmallInt), outOfRange},
		{num(5000000000), kind(wire.Int), outOfRange},
		{text("5000000000"), kind(wire.Int), outOfRange},
		{text("9223372036854775808"), kind(wire.BigInt), outOfRange},
		{text("12x"), kind(wire.BigInt), invalid},
		{float(1.5), kind(wire.BigInt), invalid},
		{float(1e30), kind(wire.BigInt), invalid},
		{float(1e300), kind(wire.Float), outOfRange},
		{text("NaN"), kind(wire.Double), invalid},
		{text("Infinity"), kind(wire.Double), invalid},
		{text("1e400"), kind(wire.Double), outOfRange},
		{num(1000), decimalType(4, 2), outOfRange},
		{text("1e999999999"), kind(wire.Decimal), outOfRange},
		{text("2024-02-30"), kind(wire.Date), invalid},
		{num(1 << 40), kind(wire.Date), outOfRange},
		{num(-1), kind(wire.Time), outOfRange},
		{text("zz"), kind(wire.UUID), invalid},
		{text("{"), kind(wire.JSON), invalid},
		{text(`\xzz`), kind(wire.Bytes), invalid},
		{text("[1]"), wire.Type{Kind: wire.Embedding, Dim: 2}, wire.CodeTypeMismatch},
		{text("[1, null]"), wire.Type{Kind: wire.Embedding, Dim: 2}, invalid},
		{wire.BoolValue(true), kind(wire.BigInt), invalid},
		{num(2), kind(wire.Boolean), invalid},
		{text("a\x00b"), kind(wire.Text), invalid},
		{text("a\xffb"), kind(wire.Text), invalid},
		{wire.BytesValue([]byte("a\xffb")), kind(wire.Text), invalid},
		{wire.BytesValue([]byte("a\x00b")), kind(wire.JSON), invalid},
		{wire.BytesValue([]byte{0, 0, 0x80, 0x3f}), kind(wire.Embedding), invalid},
	} {
		_, err := expr.Coerce(c.in, c.t)
		if !errors.Is(err, &wire.Error{Code: c.want}) {
			t.Errorf("%v as %s: got %v, want %s", c.in, expr.TypeName(c.t), err, c.want)
		}
	}
}

func TestErrorsCutLongValues(t *testing.T) {
	_, err := expr.Coerce(wire.TextValue(strings.Repeat("é", 500)), kind(wire.BigInt))
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("got %v", err)
	}
}

func TestParameterTakesTheTypeOfItsContext(t *testing.T) {
	for sql, want := range map[string]string{
		"i4 = $1": "INT", "i8 = $1": "BIGINT", "$1 = i8": "BIGINT", "d = $1": "DECIMAL", "t = $1": "TEXT",
		"$1 + 1": "INT", "i8 + $1": "BIGINT", "d * $1": "DECIMAL", "f8 / $1": "DOUBLE",
		"$1::date": "DATE", "dt = $1": "DATE", "ts < $1": "TIMESTAMP", "t LIKE $1": "TEXT", "$1 LIKE t": "TEXT",
		"i2 IN (1, $1)": "SMALLINT", "$1 IN (i8, 1)": "BIGINT", "i8 BETWEEN $1 AND 5": "BIGINT",
		"b AND $1": "BOOLEAN", "NOT $1": "BOOLEAN", "COALESCE(i8, $1)": "BIGINT", "NULLIF($1, i8)": "BIGINT",
		"CASE WHEN b THEN $1 ELSE i8 END": "BIGINT", "lower($1)": "TEXT", "t || $1": "TEXT",
		"dt + $1": "INT", "u = $1": "UUID", "$1 IS NULL": "DOUBLE", "$1": "DOUBLE", "$1 = $1": "DOUBLE",
		"j ->> $1": "TEXT", "substr(t, $1)": "INT", "round(d, $1)": "INT", "-$1": "DOUBLE",
	} {
		ps := &expr.Params{Types: []wire.Type{kind(wire.Double)}}
		_, err := expr.Bind(parse(t, sql), expr.BindOptions{Names: names{}, Params: ps})
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if got := expr.TypeName(ps.Types[0]); got != want {
			t.Errorf("%s: $1 is %s, want %s", sql, got, want)
		}
		if ps.Used != 1 {
			t.Errorf("%s: used %d", sql, ps.Used)
		}
	}
}

func TestOpenTypesFollowTheColumn(t *testing.T) {
	ps := &expr.Params{Types: []wire.Type{kind(wire.Text), {}}}
	o := expr.BindOptions{Params: ps}
	for sql, want := range map[string]wire.Value{"'2024-01-31'": wire.IntValue(19753), "NULL": wire.Null} {
		n, err := expr.Bind(parse(t, sql), o)
		if err == nil {
			n, err = expr.Assign(n, kind(wire.Date))
		}
		if err != nil {
			t.Fatal(err)
		}
		if v, err := n.Eval(&expr.Env{}); err != nil || v != want || n.Type().Kind != wire.Date {
			t.Errorf("%s: %v %v", sql, v, err)
		}
	}
	n, err := expr.Bind(parse(t, "$1"), o)
	if err == nil {
		_, err = expr.Assign(n, kind(wire.Date))
	}
	if err != nil || ps.Types[0].Kind != wire.Date {
		t.Errorf("$1 is %s, %v", expr.TypeName(ps.Types[0]), err)
	}
	o.Expect = kind(wire.UUID)
	if _, err := expr.Bind(parse(t, "$2"), o); err != nil || ps.Types[1].Kind != wire.UUID {
		t.Errorf("$2 is %s, %v", expr.TypeName(ps.Types[1]), err)
	}
}

func TestAssignmentCasts(t *testing.T) {
	env := testEnv(t)
	for _, c := range []struct {
		sql  string
		t    wire.Type
		want string
	}{
		{"i8", kind(wire.Int), "! NUMERIC_OUT_OF_RANGE"},
		{"i4", kind(wire.SmallInt), "SMALLINT 42"},
		{"i4", kind(wire.Text), "TEXT \"42\""},
		{"d", kind(wire.Int), "INT 13"},
		{"d / 3", decimalType(10, 2), "DECIMAL 4.17"},
		{"d * 100", decimalType(4, 2), "! NUMERIC_OUT_OF_RANGE"},
		{"d", decimalType(10, 1), "DECIMAL 12.5"},
		{"f8", kind(wire.Float), "FLOAT 2.25"},
		{"f8 * 1e300", kind(wire.Float), "! NUMERIC_OUT_OF_RANGE"},
		{"f8", kind(wire.Int), "INT 2"},
		{"t", kind(wire.Int), "! TYPE_MISMATCH"},
		{"'42'", kind(wire.Int), "INT 42"},
		{"'x'", kind(wire.Int), "! INVALID_TEXT_REPRESENTATION"},
		{"b", kind(wire.Int), "! TYPE_MISMATCH"},
		{"ts", kind(wire.Date), "DATE 2024-02-29"},
		{"dt", kind(wire.Timestamp), "TIMESTAMP 2024-02-29 00:00:00"},
		{"now()", kind(wire.Timestamp), "TIMESTAMP 2024-02-29 13:14:15.123456"},
		{"u", kind(wire.Text), "TEXT \"01890a5d-ac96-774b-bcce-b302099a8057\""},
		{"snowflake_id()", kind(wire.BigInt), "BIGINT 7"},
		{"current_user", kind(wire.Text), "TEXT \"alice\""},
		{"current_role", kind(wire.Text), "TEXT \"user\""},
		{"'[1,2]'", wire.Type{Kind: wire.Embedding, Dim: 2}, "EMBEDDING [1,2]"},
		{"'[1,2]'", wire.Type{Kind: wire.Embedding, Dim: 3}, "! TYPE_MISMATCH"},
		{"'[1,2]'::text::embedding(2)", wire.Type{Kind: wire.Embedding, Dim: 3}, "! TYPE_MISMATCH"},
		{"'{}'", kind(wire.JSON), "JSON \"{}\""},
	} {
		n, err := expr.Bind(parse(t, c.sql), options)
		if err == nil {
			n, err = expr.Assign(n, c.t)
		}
		var v wire.Value
		if err == nil {
			v, err = n.Eval(env)
		}
		if got := show(n, v, err); got != c.want {
			t.Errorf("%s into %s: got %s (%v), want %s", c.sql, expr.TypeName(c.t), got, err, c.want)
		}
	}
}

func TestTypeNames(t *testing.T) {
	for sql, want := range map[string]string{
		"bool": "BOOLEAN", "int2": "SMALLINT", "tinyint": "SMALLINT", "integer": "INT", "mediumint": "INT", "int8": "BIGINT",
		"float": "FLOAT", "real": "FLOAT", "double precision": "DOUBLE", "float64": "DOUBLE", "numeric": "DECIMAL",
		"varchar": "TEXT", "bytea": "BYTES", "jsonb": "JSON", "datetime": "DATETIME", "timestamptz": "DATETIME",
		"bigserial": "BIGINT", "serial4": "INT", "smallserial": "SMALLINT", "file": "FILE",
	} {
		got, err := expr.ParseType(dialect.TypeName{Name: sql})
		if err != nil || expr.TypeName(got) != want {
			t.Errorf("%s is %s (%v), want %s", sql, expr.TypeName(got), err, want)
		}
	}
	for _, c := range []struct {
		name string
		args []int
		want string
	}{
		{"decimal", []int{10, 2}, "DECIMAL(10,2)"}, {"decimal", []int{10}, "DECIMAL(10,0)"}, {"decimal", []int{39}, ""},
		{"decimal", []int{2, 3}, ""}, {"decimal", []int{0}, ""}, {"varchar", []int{20}, "TEXT"}, {"float", []int{53}, "DOUBLE"},
		{"embedding", []int{3}, "EMBEDDING(3)"}, {"embedding", nil, ""}, {"embedding", []int{8193}, ""},
		{"int", []int{5}, ""}, {"nosuch", nil, ""}, {"timestamp", []int{3}, "TIMESTAMP"},
	} {
		got, err := expr.ParseType(dialect.TypeName{Name: c.name, Args: c.args, Pos: 5})
		if c.want != "" && (err != nil || expr.TypeName(got) != c.want) {
			t.Errorf("%s%v is %s (%v), want %s", c.name, c.args, expr.TypeName(got), err, c.want)
		}
		var b *expr.BindError
		if c.want == "" && (!errors.As(err, &b) || b.Pos != 5 || b.Err.Code != wire.CodeInvalidSQL) {
			t.Errorf("%s%v: got %v", c.name, c.args, err)
		}
	}
	if !expr.IsSerial("serial") || expr.IsSerial("int") {
		t.Error("IsSerial")
	}
}
