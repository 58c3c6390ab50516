// Package sqlite writes SQL for SQLite. The functions of package expr are
// registered in the engine, since its own mean something else.
package sqlite

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

// Target writes SQL for SQLite.
type Target struct{}

var _ sqlgen.Target = Target{}

// Placeholder returns a numbered parameter.
func (Target) Placeholder(n int, _ wire.Type) string { return "$" + strconv.Itoa(n) }

// Literal writes BOOLEAN as 1 and 0, and what is a natural number inside.
func (Target) Literal(v wire.Value, _ wire.Type) (string, bool) {
	switch v.Tag() {
	case wire.TagNull:
		return "NULL", true
	case wire.TagBool:
		if v.Bool() {
			return "1", true
		}
		return "0", true
	case wire.TagInt:
		if n := v.Int(); n >= 0 {
			return strconv.FormatInt(n, 10), true
		}
	}
	return "", false
}

// natives are the functions that mean in SQLite what they mean in PostgreSQL,
// by the names that they would be registered under.
var natives = map[string]string{
	"k_add_dec": "$1", "k_add_f4": "$1", "k_add_f8": "$1", "k_add_i2": "$1", "k_add_i4": "$1", "k_add_i8": "$1",
	"k_cast_f8_f4": "$1", "k_cast_f8_i2": "CAST($1 AS REAL)", "k_cast_f8_i4": "CAST($1 AS REAL)", "k_cast_f8_i8": "CAST($1 AS REAL)",
	"k_cast_i4_i2": "$1", "k_cast_i8_i2": "$1", "k_cast_i8_i4": "$1",
	"k_cast_i4_bool": "$1", "k_cast_bool_i4": "($1 <> 0)",
	"k_cast_ts_tz": "$1", "k_cast_tz_ts": "$1",
	"k_cast_file_json": "$1", "k_cast_file_text": "$1", "k_cast_json_file": "$1",
	"k_cast_text_file": "$1", "k_cast_text_json": "$1", "k_cast_text_uuid": "$1",
	"k_cat_text_text": "($1 || $2)",
	"k_trim_text":     "trim($1)", "k_btrim_text": "trim($1)", "k_ltrim_text": "ltrim($1)", "k_rtrim_text": "rtrim($1)",
	"k_length_text": "length($1)", "k_char_length_text": "length($1)", "k_character_length_text": "length($1)",
	"k_length_bytes": "length($1)", "k_octet_length_bytes": "length($1)", "k_octet_length_text": "length(CAST($1 AS BLOB))",
}

// Native returns how SQLite says a call.
func (Target) Native(c expr.Callee) string { return natives[c.Registered()] }

// Aggregate returns SQLite's name of an aggregate.
func (Target) Aggregate(c expr.Callee) string {
	switch c.Name {
	case "count", "min", "max":
		return c.Name
	case "sum":
		if c.Args[0] == wire.SmallInt || c.Args[0] == wire.Int {
			return "sum"
		}
	case "bool_and", "every":
		return "min"
	case "bool_or":
		return "max"
	case "string_agg":
		return "group_concat"
	}
	return ""
}

// Distinct returns IS, which takes any value in SQLite.
func (Target) Distinct(not bool) string {
	if not {
		return "IS"
	}
	return "IS NOT"
}

// Single counts the rows, of which SQLite would take the first without a word.
func (Target) Single() string {
	return "(WITH kq(c1) AS ($1) SELECT CASE WHEN k_one(count(*)) THEN min(c1) END FROM (SELECT c1 FROM kq LIMIT 2))"
}

// Length returns the first bytes of the stored form.
func (Target) Length() string { return "substr($1, 1, " + strconv.Itoa(expr.IntervalKey) + ")" }

// Staging carries rows as JSON: SQLite copies a query of WITH into every place
// that names it before it plans the statement, MATERIALIZED or not. JSON has no
// bytes, so each value follows its storage class.
func (Target) Staging() *expr.Staging { return &expr.Staging{Pack: pack, Unpack: unpack} }

func pack(from string, cols []string) string {
	values := make([]string, len(cols))
	for i, x := range cols {
		values[i] = "typeof(" + x + "), CASE typeof(" + x + ") WHEN 'blob' THEN hex(" + x + ") ELSE " + x + " END"
	}
	return "SELECT json_group_array(json_array(" + strings.Join(values, ", ") + ")) FROM " + from
}

func unpack(cols int, arg string) string {
	values := make([]string, cols)
	for i := range values {
		class, x := "value->>"+strconv.Itoa(2*i), "value->>"+strconv.Itoa(2*i+1)
		values[i] = "CASE " + class + " WHEN 'blob' THEN unhex(" + x + ") ELSE " + x + " END"
	}
	return "SELECT " + strings.Join(values, ", ") + " FROM json_each(" + arg + ")"
}

// Unlimited returns a negative number, which limits nothing.
func (Target) Unlimited() string { return "-1" }

// Registers reports that the functions of package expr run inside the engine.
func (Target) Registers() bool { return true }

// Type returns the type that a STRICT table has for a column.
func (Target) Type(t wire.Type) string {
	switch t.Kind {
	case wire.Float, wire.Double:
		return "REAL"
	case wire.Text, wire.JSON, wire.UUID, wire.File:
		return "TEXT"
	case wire.Decimal, wire.Bytes, wire.Embedding:
		return "BLOB"
	}
	return "INTEGER"
}
