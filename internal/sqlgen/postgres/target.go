// Package postgres writes SQL for PostgreSQL, whose own operators, functions and
// types mean what those of the dialect mean.
package postgres

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

// Target writes SQL for PostgreSQL.
type Target struct{}

var _ sqlgen.Target = Target{}

// Placeholder returns a numbered parameter with its type, since the server
// would otherwise guess one from the place where it stands.
func (target Target) Placeholder(n int, t wire.Type) string {
	return "CAST($" + strconv.Itoa(n) + " AS " + target.Type(t) + ")"
}

// Literal writes NULL and BOOLEAN, and natural numbers that are integers.
func (target Target) Literal(v wire.Value, t wire.Type) (string, bool) {
	switch v.Tag() {
	case wire.TagNull:
		return "CAST(NULL AS " + target.Type(t) + ")", true
	case wire.TagBool:
		return strings.ToUpper(strconv.FormatBool(v.Bool())), true
	case wire.TagInt:
		n := v.Int()
		switch t.Kind {
		case wire.SmallInt, wire.Int, wire.BigInt:
			if n >= 0 {
				return "CAST(" + strconv.FormatInt(n, 10) + " AS " + target.Type(t) + ")", true
			}
		}
	}
	return "", false
}

// types are the types of columns, without their parameters.
var types = map[wire.Kind]string{
	wire.Unknown: "text", wire.Boolean: "boolean", wire.SmallInt: "smallint", wire.Int: "integer", wire.BigInt: "bigint",
	wire.Float: "real", wire.Double: "double precision", wire.Decimal: "numeric", wire.Text: "text", wire.Bytes: "bytea",
	wire.JSON: "jsonb", wire.UUID: "uuid", wire.Date: "date", wire.Time: "time", wire.Timestamp: "timestamp",
	wire.DateTime: "timestamptz", wire.Embedding: "real[]", wire.File: "jsonb", expr.Interval: "interval",
}

// Type returns PostgreSQL's type.
func (Target) Type(t wire.Type) string {
	name := types[t.Kind]
	if t.Kind == wire.Decimal && t.Precision > 0 && !expr.OwnScale(t) {
		name += "(" + strconv.Itoa(int(t.Precision)) + "," + strconv.Itoa(int(t.Scale)) + ")"
	}
	return name
}

// Distinct returns the operator of the SQL standard.
func (Target) Distinct(not bool) string {
	if not {
		return "IS NOT DISTINCT FROM"
	}
	return "IS DISTINCT FROM"
}

// Single leaves it to the server to count the rows.
func (Target) Single() string { return "($1)" }

// Length returns the interval, which compares by its length.
func (Target) Length() string { return "$1" }

// Staging returns nil: the server computes a query of WITH once.
func (Target) Staging() *expr.Staging { return nil }

// Unlimited returns NULL, which limits nothing.
func (Target) Unlimited() string { return "CAST(NULL AS bigint)" }

// Registers reports that the server evaluates everything itself.
func (Target) Registers() bool { return false }

// Rows reads the array with jsonb_array_elements.
func (target Target) Rows(cols []wire.Field, arg string) string {
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, c := range cols {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("CAST(value->>" + strconv.Itoa(i) + " AS " + target.Type(c.Type) + `) AS "` + strings.ReplaceAll(c.Name, `"`, `""`) + `"`)
	}
	b.WriteString(" FROM jsonb_array_elements(CAST(" + arg + " AS jsonb))")
	return b.String()
}
