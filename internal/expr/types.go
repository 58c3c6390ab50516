package expr

import (
	"strconv"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// typeNames maps the spellings of types in docs/sql.md to kinds.
var typeNames = map[string]wire.Kind{
	"boolean": wire.Boolean, "bool": wire.Boolean,
	"smallint": wire.SmallInt, "int2": wire.SmallInt, "tinyint": wire.SmallInt,
	"int": wire.Int, "integer": wire.Int, "int4": wire.Int, "mediumint": wire.Int,
	"bigint": wire.BigInt, "int8": wire.BigInt,
	"real": wire.Float, "float": wire.Float, "float4": wire.Float,
	"double": wire.Double, "double precision": wire.Double, "float8": wire.Double, "float64": wire.Double,
	"decimal": wire.Decimal, "numeric": wire.Decimal, "dec": wire.Decimal,
	"text": wire.Text, "string": wire.Text, "varchar": wire.Text, "character varying": wire.Text,
	"char": wire.Text, "character": wire.Text, "nchar": wire.Text, "nvarchar": wire.Text, "clob": wire.Text,
	"bytes": wire.Bytes, "bytea": wire.Bytes, "binary": wire.Bytes, "varbinary": wire.Bytes, "blob": wire.Bytes,
	"json": wire.JSON, "jsonb": wire.JSON,
	"uuid": wire.UUID,
	"date": wire.Date, "time": wire.Time, "time without time zone": wire.Time,
	"timestamp": wire.Timestamp, "timestamp without time zone": wire.Timestamp,
	"datetime": wire.DateTime, "timestamptz": wire.DateTime, "timestamp with time zone": wire.DateTime,
	"embedding": wire.Embedding, "file": wire.File,
}

// serials maps the serial spellings to the integer that they store.
var serials = map[string]wire.Kind{
	"serial": wire.Int, "serial4": wire.Int,
	"bigserial": wire.BigInt, "serial8": wire.BigInt,
	"smallserial": wire.SmallInt, "serial2": wire.SmallInt,
}

// The parameters that a type name may carry.
const (
	maxPrecision = 38
	maxDim       = 8192
)

// IsSerial reports whether the type name is one of the serials, whose columns
// fill themselves.
func IsSerial(name string) bool {
	_, ok := serials[name]
	return ok
}

// ParseType gives a type name its meaning as the type of a column. A serial is
// the integer that it stores. The error is a *BindError.
func ParseType(t dialect.TypeName) (wire.Type, error) {
	kind, ok := typeNames[t.Name]
	if !ok {
		kind, ok = serials[t.Name]
	}
	if t.Name == "interval" {
		return wire.Type{}, errAt(t.Pos, wire.CodeUnsupported, "a column of type INTERVAL is not supported; store text, or a number of seconds")
	}
	if !ok {
		return wire.Type{}, errAt(t.Pos, wire.CodeInvalidSQL, `type "`, t.Name, `" does not exist`)
	}
	bad := func(why string) (wire.Type, error) {
		return wire.Type{}, errAt(t.Pos, wire.CodeInvalidSQL, "type ", t.Name, ": ", why)
	}
	switch kind {
	case wire.Decimal:
		return parseDecimalType(t, bad)
	case wire.Embedding:
		if len(t.Args) != 1 || t.Args[0] < 1 || t.Args[0] > maxDim {
			return bad("needs one dimension between 1 and " + strconv.Itoa(maxDim))
		}
		return wire.Type{Kind: kind, Dim: uint16(t.Args[0])}, nil
	case wire.Float:
		if len(t.Args) == 1 && t.Name == "float" {
			if t.Args[0] < 1 || t.Args[0] > 53 {
				return bad("precision must be between 1 and 53 bits")
			}
			if t.Args[0] > 24 {
				kind = wire.Double
			}
			return wire.Type{Kind: kind}, nil
		}
	case wire.Text, wire.Bytes, wire.Timestamp, wire.DateTime, wire.Time:
		if len(t.Args) == 1 { // see Modifier
			return wire.Type{Kind: kind}, nil
		}
	}
	if len(t.Args) > 0 {
		return bad("does not take these arguments")
	}
	return wire.Type{Kind: kind}, nil
}

func parseDecimalType(t dialect.TypeName, bad func(string) (wire.Type, error)) (wire.Type, error) {
	out := ownDecimal
	if len(t.Args) == 0 {
		return out, nil
	}
	if len(t.Args) > 2 {
		return bad("takes a precision and a scale")
	}
	if t.Args[0] < 1 || t.Args[0] > maxPrecision {
		return bad("precision must be between 1 and " + strconv.Itoa(maxPrecision))
	}
	out.Precision, out.Scale = uint8(t.Args[0]), 0
	if len(t.Args) == 2 {
		if t.Args[1] < 0 || t.Args[1] > t.Args[0] {
			return bad("scale must be between 0 and the precision")
		}
		out.Scale = uint8(t.Args[1])
	}
	return out, nil
}

var kindSQL = [...]string{
	wire.Unknown: "UNKNOWN", wire.Boolean: "BOOLEAN", wire.SmallInt: "SMALLINT", wire.Int: "INT",
	wire.BigInt: "BIGINT", wire.Float: "FLOAT", wire.Double: "DOUBLE", wire.Decimal: "DECIMAL",
	wire.Text: "TEXT", wire.Bytes: "BYTES", wire.JSON: "JSON", wire.UUID: "UUID", wire.Date: "DATE",
	wire.Time: "TIME", wire.Timestamp: "TIMESTAMP", wire.DateTime: "DATETIME",
	wire.Embedding: "EMBEDDING", wire.File: "FILE", Interval: "INTERVAL",
}

// TypeName writes a type in SQL: BIGINT, DECIMAL(10,2), EMBEDDING(3). A
// DECIMAL whose values have scales of their own is plain DECIMAL.
func TypeName(t wire.Type) string {
	s := kindSQL[wire.Unknown]
	if int(t.Kind) < len(kindSQL) {
		s = kindSQL[t.Kind]
	}
	switch {
	case t.Kind == wire.Decimal && t.Precision > 0:
		s += "(" + strconv.Itoa(int(t.Precision)) + "," + strconv.Itoa(int(t.Scale)) + ")"
	case t.Kind == wire.Embedding && t.Dim > 0:
		s += "(" + strconv.Itoa(int(t.Dim)) + ")"
	}
	return s
}

// A Decimal type with Precision 0 is that of a computed value: each value has
// its own scale, as PostgreSQL's numeric without a type modifier.
var ownDecimal = wire.Type{Kind: wire.Decimal}

func typeOf(k wire.Kind) wire.Type { return wire.Type{Kind: k} }

// category groups kinds as PostgreSQL does to choose among overloads.
type category uint8

const (
	catUnknown category = iota
	catNumeric
	catString
	catBoolean
	catTime
	catSpan
	catOther
)

func categoryOf(k wire.Kind) category {
	switch k {
	case wire.Unknown:
		return catUnknown
	case wire.SmallInt, wire.Int, wire.BigInt, wire.Decimal, wire.Float, wire.Double:
		return catNumeric
	case wire.Text, wire.File:
		return catString
	case wire.Boolean:
		return catBoolean
	case wire.Date, wire.Time, wire.Timestamp, wire.DateTime:
		return catTime
	case Interval:
		return catSpan
	}
	return catOther
}

// preferred is the kind of its category that wins when several would do.
func preferred(k wire.Kind) bool {
	return k == wire.Double || k == wire.Text || k == wire.Boolean || k == wire.DateTime || k == Interval
}

func isInt(k wire.Kind) bool {
	return k == wire.SmallInt || k == wire.Int || k == wire.BigInt
}

func isFloat(k wire.Kind) bool { return k == wire.Float || k == wire.Double }

func isNumeric(k wire.Kind) bool { return categoryOf(k) == catNumeric }

func isInstant(k wire.Kind) bool {
	return k == wire.Date || k == wire.Timestamp || k == wire.DateTime
}
