package expr_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	target "github.com/kalamdb/kalam-go/internal/sqlgen/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// extremes are rows with NULLs, bounds and oddities, in the order of columns.
var extremeRows = [][]string{
	{"true", "7", "42", "5000000000", "1.5", "2.25", "12.50", "Hello", "2024-02-29", "2024-02-29 13:14:15.123456", "2024-02-29 13:14:15.123456+00", "13:14:15", `{"a":[1,"x"]}`, "01890a5d-ac96-774b-bcce-b302099a8057", `\x00ff`, "", "", ""},
	{"", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""},
	{"false", "-32768", "-2147483648", "-9223372036854775808", "-1e30", "-1e300", "-99999999.99", "", "0001-01-01", "0001-01-01 00:00:00", "1969-12-31 23:59:59.999999", "00:00:00", "null", "00000000-0000-0000-0000-000000000000", "", "0", "%", "0"},
	{"true", "32767", "2147483647", "9223372036854775807", "1e30", "1e300", "99999999.99", "äÖ_%ß\\", "9999-12-31", "9999-12-31 23:59:59.999999", "2024-12-31 23:59:59", "24:00:00", "[]", "ffffffff-ffff-ffff-ffff-ffffffffffff", `\xffff`, "1", "a%", "0.01"},
	{"false", "0", "0", "0", "0", "0", "0.00", "%", "1970-01-01", "1970-01-01 00:00:00", "1970-01-01 00:00:00", "12:00:00", "5", "01890a5d-ac96-774b-bcce-b302099a8057", `\x`, "-1", "hello", "-0.01"},
}

// drawer draws the text of expressions.
type drawer struct {
	t     *rapid.T
	logic bool // with AND, OR and IN, whose order of evaluation is free
}

func (d *drawer) pick(options ...string) string { return rapid.SampledFrom(options).Draw(d.t, "pick") }

func (d *drawer) expr(kind string, depth int) string {
	if depth == 0 || rapid.IntRange(0, 5).Draw(d.t, "leaf") == 0 {
		return d.leaf(kind)
	}
	e := func(k string) string { return d.expr(k, depth-1) }
	switch rapid.IntRange(0, 7).Draw(d.t, "common") {
	case 0:
		return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", e("bool"), e(kind), e(kind))
	case 1:
		return fmt.Sprintf("coalesce(%s, %s)", e(kind), e(kind))
	case 2:
		if kind != "bool" {
			return fmt.Sprintf("%s(%s, %s)", d.pick("greatest", "least", "nullif"), e(kind), e(kind))
		}
	case 3:
		k := d.pick("int", "dec", "double", "text", "date", "bool")
		return fmt.Sprintf("CASE %s WHEN %s THEN %s WHEN %s THEN %s END", e(k), e(d.like(k)), e(kind), e(d.like(k)), e(kind))
	}
	switch kind {
	case "bool":
		return d.condition(depth)
	case "int":
		return d.pick(
			fmt.Sprintf("(%s %s %s)", e("int"), d.pick("+", "-", "*", "/", "%"), e("int")),
			fmt.Sprintf("(- %s)", e("int")),
			fmt.Sprintf("abs(%s)", e("int")),
			fmt.Sprintf("%s::int", e("dec")),
			fmt.Sprintf("%s::int", e("double")),
			fmt.Sprintf("%s::smallint", e("int")),
			fmt.Sprintf("length(%s)", e("text")),
			fmt.Sprintf("strpos(%s, %s)", e("text"), e("text")),
			fmt.Sprintf("(%s - %s)", e("date"), e("date")),
		)
	case "dec":
		return d.pick(
			fmt.Sprintf("(%s %s %s)", e("dec"), d.pick("+", "-", "*", "/", "%"), e("dec")),
			fmt.Sprintf("(%s %s %s)", e("int"), d.pick("+", "-", "*", "/"), e("dec")),
			fmt.Sprintf("(- %s)", e("dec")),
			fmt.Sprintf("%s(%s)", d.pick("abs", "round", "floor", "ceil", "trunc"), e("dec")),
			fmt.Sprintf("round(%s, %s)", e("dec"), d.pick("0", "1", "3", "-1")),
			fmt.Sprintf("%s::decimal(12,%s)", e("dec"), d.pick("0", "2", "4")),
			fmt.Sprintf("%s::decimal", e("int")),
			fmt.Sprintf("extract(%s from %s)", d.pick("year", "second", "epoch", "doy", "week"), e("ts")),
		)
	case "double":
		return d.pick(
			fmt.Sprintf("(%s %s %s)", e("double"), d.pick("+", "-", "*", "/"), e("double")),
			fmt.Sprintf("(%s + %s)", e("double"), e("int")),
			fmt.Sprintf("(%s * %s)", e("dec"), e("double")),
			fmt.Sprintf("%s::double", e("dec")),
			fmt.Sprintf("%s::real::double", e("double")),
			fmt.Sprintf("floor(%s)", e("double")),
		)
	case "text":
		return d.pick(
			fmt.Sprintf("(%s || %s)", e("text"), e(d.pick("text", "int", "dec", "bool", "date"))),
			fmt.Sprintf("%s(%s)", d.pick("lower", "upper", "trim", "reverse", "initcap"), e("text")),
			fmt.Sprintf("substr(%s, %s)", e("text"), d.pick("0", "2", "-1")),
			fmt.Sprintf("replace(%s, %s, %s)", e("text"), e("text"), e("text")),
			fmt.Sprintf("%s(%s, %s)", d.pick("left", "right"), e("text"), d.pick("2", "-2", "0")),
			fmt.Sprintf("%s::text", e(d.pick("int", "dec", "double", "bool", "date", "ts"))),
			fmt.Sprintf("concat(%s, %s)", e("text"), e(d.pick("int", "bool"))),
			fmt.Sprintf("concat_ws(%s, %s, %s)", e("text"), e("int"), e("bool")),
			fmt.Sprintf("(j ->> %s)", d.pick("'a'", "0", "'x'")),
			fmt.Sprintf("%s(%s, %s, %s)", d.pick("lpad", "rpad", "split_part"), e("text"), d.pick("3", "-1", "'a'"), d.pick("'xy'", "2")),
			fmt.Sprintf("regexp_replace(%s, %s, %s, 'g')", e("text"), d.pick("'[a-z]+'", "'.'", "'l*'"), e("text")),
			fmt.Sprintf("to_char(%s, %s)", e(d.pick("int", "dec")), d.pick("'999.99'", "'FM9,990'", "'S0999'", "'9MI'")),
			fmt.Sprintf("to_char(%s, 'YYYY Month DD HH24:MI:SS.US DDD IW')", e("ts")),
			fmt.Sprintf("(%s)::text", e("span")),
			fmt.Sprintf("jsonb_build_array(%s, %s)::text", e("text"), e("dec")),
		)
	case "span":
		return d.pick(
			fmt.Sprintf("(%s - %s)", e("ts"), e("ts")),
			fmt.Sprintf("(%s %s %s)", e("span"), d.pick("+", "-"), e("span")),
			fmt.Sprintf("(%s %s %s)", e("span"), d.pick("*", "/"), d.pick("2", "0.5", "i4", "f8")),
			fmt.Sprintf("%s(%s)", d.pick("justify_days", "justify_hours", "justify_interval", "-"), e("span")),
			fmt.Sprintf("age(%s, %s)", e("ts"), e("ts")),
		)
	case "date":
		return d.pick(
			fmt.Sprintf("(%s + %s)", e("date"), d.pick("1", "-40", "1000", "i2")),
			fmt.Sprintf("%s::date", e("ts")),
		)
	}
	return d.pick(
		fmt.Sprintf("%s::timestamp", e("date")),
		fmt.Sprintf("(%s %s %s)", e("ts"), d.pick("+", "-"), e("span")),
		fmt.Sprintf("timezone(%s, %s)", d.pick("'Europe/Berlin'", "'America/New_York'"), e("ts"))+"::timestamp",
		fmt.Sprintf("date_trunc(%s, %s)", d.pick("'month'", "'hour'", "'week'"), e("ts")),
	)
}

func (d *drawer) condition(depth int) string {
	e := func(k string) string { return d.expr(k, depth-1) }
	k := d.pick("int", "dec", "double", "text", "date", "ts", "bool", "span")
	other := d.like(k)
	list := []string{
		fmt.Sprintf("(%s %s %s)", e(k), d.pick("=", "<>", "<", "<=", ">", ">="), e(other)),
		fmt.Sprintf("(%s IS %sDISTINCT FROM %s)", e(k), d.pick("", "NOT "), e(other)),
		fmt.Sprintf("(%s IS %sNULL)", e(k), d.pick("", "NOT ")),
		fmt.Sprintf("(%s IS %s%s)", e("bool"), d.pick("", "NOT "), d.pick("TRUE", "FALSE", "UNKNOWN")),
		fmt.Sprintf("(%s %s%s %s)", e("text"), d.pick("", "NOT "), d.pick("LIKE", "ILIKE"), e("text")),
		fmt.Sprintf("(NOT %s)", e("bool")),
	}
	if d.logic {
		list = append(list,
			fmt.Sprintf("(%s %s %s)", e("bool"), d.pick("AND", "OR"), e("bool")),
			fmt.Sprintf("(%s %sIN (%s, %s))", e(k), d.pick("", "NOT "), e(other), e(k)),
			fmt.Sprintf("((%s, %s) %s (%s, %s))", e(k), e("int"), d.pick("=", "<>", "<", "<=", ">", ">="), e(other), e("dec")),
			fmt.Sprintf("((%s, %s) %sIN ((%s, 1), (%s, 2)))", e(k), e("int"), d.pick("", "NOT "), e(other), e(k)),
			fmt.Sprintf("(%s %sBETWEEN %s%s AND %s)", e(k), d.pick("", "NOT "), d.pick("", "SYMMETRIC "), e(other), e(k)))
	}
	return d.pick(list...)
}

// like draws a kind that compares with k.
func (d *drawer) like(k string) string {
	switch k {
	case "int", "dec", "double":
		return d.pick("int", "dec", "double")
	case "date":
		return d.pick("date", "ts")
	}
	return k
}

func (d *drawer) leaf(kind string) string {
	switch kind {
	case "bool":
		return d.pick("b", "true", "false", "NULL::bool", "$1")
	case "int":
		return d.pick("i2", "i4", "i8", "n", "0", "1", "-7", "2147483647", "9223372036854775807", "$2")
	case "dec":
		return d.pick("d", "dn", "0.0", "1.50", "-0.005", "12.5", "123456789012345678901234567890.5", "$3")
	case "double":
		return d.pick("f4", "f8", "1.5::double", "0.1::real", "1e300::double", "$4")
	case "text":
		return d.pick("t", "tn", "''", "'a%'", "'Hello'", "'äÖ'", `'_\%'`, "$5")
	case "span":
		return d.pick("interval '1 mon -3 days 04:05:06.7'", "interval '30 days'", "tm::interval", "interval '-2 years'", "NULL::interval")
	case "date":
		return d.pick("dt", "date '2024-03-31'", "date '1900-01-01'", "$6")
	}
	return d.pick("ts", "tz::timestamp", "timestamp '2024-03-31 23:59:59.5'", "$7")
}

var paramTypes = []wire.Type{kind(wire.Boolean), kind(wire.BigInt), kind(wire.Decimal), kind(wire.Double), kind(wire.Text), kind(wire.Date), kind(wire.Timestamp)}

var paramValues = []wire.Value{wire.BoolValue(true), wire.IntValue(3), wire.TextValue("1.250"), wire.FloatValue(0.5),
	wire.TextValue("a"), wire.IntValue(19000), wire.IntValue(1700000000123456)}

func TestRandomExpressionsMeanTheSameInTheEngine(t *testing.T) {
	e := openEngine(t)
	var rows [][]wire.Value
	for _, texts := range extremeRows {
		row := make([]wire.Value, len(columns))
		for i, s := range texts {
			if s == "" && columns[i].t.Kind != wire.Text {
				continue
			}
			v, err := expr.Coerce(wire.TextValue(s), columns[i].t)
			if err != nil {
				t.Fatal(err)
			}
			row[i] = v
		}
		rows = append(rows, row)
	}
	e.create(t, "extremes", rows...)
	computed := 0
	rapid.Check(t, func(t *rapid.T) {
		d := &drawer{t: t, logic: rapid.Bool().Draw(t, "logic")}
		sql := d.expr(d.pick("bool", "int", "dec", "double", "text", "date", "ts", "span"), 3)
		x, err := dialect.ParseExpr(sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		ps := &expr.Params{Types: append([]wire.Type(nil), paramTypes...)}
		n, err := expr.Bind(x, expr.BindOptions{Names: names{}, Params: ps})
		if err != nil {
			return
		}
		for i, row := range rows {
			env := &expr.Env{Row: row, Params: make([]wire.Value, len(paramValues))}
			for j, v := range paramValues {
				if env.Params[j], err = expr.Coerce(v, ps.Types[j]); err != nil {
					return
				}
			}
			want, werr := n.Eval(env)
			got, gerr := e.evalFrom(n, env, fmt.Sprintf("(SELECT * FROM extremes WHERE rowid = %d)", i+1))
			if werr == nil && gerr == nil {
				computed++
			}
			if (werr != nil) != (gerr != nil) && d.logic {
				continue
			}
			if g, w := show(n, got, gerr), show(n, want, werr); g != w {
				p := expr.NewPrinter(target.Target{})
				p.Node(n)
				t.Fatalf("row %d: %s\nengine %s (%v)\n  eval %s (%v)\nprinted %s", i+1, sql, g, gerr, w, werr, p.SQL())
			}
		}
	})
	if computed == 0 {
		t.Error("no expression had a value")
	}
}

func TestAggregatesInTheEngine(t *testing.T) {
	e := openEngine(t)
	row := func(i4, i8, d, f8, txt string) []wire.Value {
		r := make([]wire.Value, len(columns))
		for name, s := range map[string]string{"i4": i4, "i8": i8, "d": d, "f8": f8, "t": txt} {
			for i, c := range columns {
				if c.name == name && s != "" {
					v, err := expr.Coerce(wire.TextValue(s), c.t)
					if err != nil {
						t.Fatal(err)
					}
					r[i] = v
				}
			}
		}
		return r
	}
	e.create(t, "many", row("1", "9223372036854775807", "0.10", "0.5", "b"), row("2", "9223372036854775807", "0.20", "1.5", "a"),
		row("", "", "", "", ""), row("2", "1", "10.00", "", "b"))
	e.create(t, "none")
	for _, c := range []struct{ sql, many, none string }{
		{"count(*)", "BIGINT 4", "BIGINT 0"},
		{"count(i4)", "BIGINT 3", "BIGINT 0"},
		{"count(DISTINCT i4)", "BIGINT 2", "BIGINT 0"},
		{"count(*) FILTER (WHERE i4 = 2)", "BIGINT 2", "BIGINT 0"},
		{"sum(i4)", "BIGINT 5", "BIGINT NULL"},
		{"sum(i8)", "DECIMAL 18446744073709551615", "DECIMAL NULL"},
		{"sum(d)", "DECIMAL 10.30", "DECIMAL NULL"},
		{"sum(d * 2.0)", "DECIMAL 20.600", "DECIMAL NULL"},
		{"sum(f8)", "DOUBLE 2", "DOUBLE NULL"},
		{"sum(DISTINCT i4)", "BIGINT 3", "BIGINT NULL"},
		{"avg(i4)", "DECIMAL 1.6666666666666667", "DECIMAL NULL"},
		{"avg(d)", "DECIMAL 3.4333333333333333", "DECIMAL NULL"},
		{"avg(f8)", "DOUBLE 1", "DOUBLE NULL"},
		{"min(d)", "DECIMAL 0.10", "DECIMAL NULL"},
		{"max(d)", "DECIMAL 10.00", "DECIMAL NULL"},
		{"max(d / 3)", "DECIMAL 3.3333333333333333", "DECIMAL NULL"},
		{"min(t)", `TEXT "a"`, "TEXT NULL"},
		{"max(i8)", "BIGINT 9223372036854775807", "BIGINT NULL"},
		{"sum(i4) + 1", "BIGINT 6", "BIGINT NULL"},
		{"sum(i4) > 4", "BOOLEAN true", "BOOLEAN NULL"},
		{"coalesce(sum(d), 0)", "DECIMAL 10.30", "DECIMAL 0"},
		{"sum(f8 * 1e308::double)", "! NUMERIC_OUT_OF_RANGE", "DOUBLE NULL"},
		{"sum(t)", "! FUNCTION_NOT_FOUND", "! FUNCTION_NOT_FOUND"},
		{"sum(sum(i4))", "! INVALID_SQL", "! INVALID_SQL"},
		{"min(b)", "! FUNCTION_NOT_FOUND", "! FUNCTION_NOT_FOUND"},
	} {
		o := options
		o.Aggregates = true
		n, err := expr.Bind(parse(t, c.sql), o)
		for table, want := range map[string]string{"many": c.many, "none": c.none} {
			var v wire.Value
			err := err
			if err == nil {
				v, err = e.evalFrom(n, testEnv(t), table)
			}
			if got := show(n, v, err); got != want {
				t.Errorf("%s of %s: got %s (%v), want %s", c.sql, table, got, err, want)
			}
		}
		if err == nil && !expr.HasAggregate(n) {
			t.Errorf("%s has no aggregate", c.sql)
		}
	}
}

func TestInspectExpressions(t *testing.T) {
	o := options
	o.Aggregates = true
	o.Params = &expr.Params{Types: []wire.Type{kind(wire.Text)}}
	for _, c := range []struct {
		sql, columns, bare string
		constant           bool
	}{
		{"i4", "i4", "i4", false},
		{"1 + 2", "", "", true},
		{"lower('A')", "", "", true},
		{"uuid_v7()", "", "", false},
		{"now()", "", "", false},
		{"$1", "", "", false},
		{"coalesce(i4, n) IN (i8, 1) AND CASE WHEN b THEN d > 1 END", "b d i4 i8 n", "i4", false},
		{"count(i4) + sum(i8) FILTER (WHERE b)", "b i4 i8", "", false},
		{"sum(i8) + i4", "i4 i8", "i4", false},
	} {
		n, err := expr.Bind(parse(t, c.sql), o)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		seen := map[string]bool{}
		expr.Columns(n, func(c *expr.Column) { seen[c.Name] = true })
		var list []string
		for _, name := range strings.Fields("b d i4 i8 n") {
			if seen[name] {
				list = append(list, name)
			}
		}
		bare := ""
		if b := expr.BareColumn(n); b != nil {
			bare = b.Name
		}
		if got := strings.Join(list, " "); got != c.columns || bare != c.bare || expr.IsConst(n) != c.constant {
			t.Errorf("%s: columns %s, bare %q, constant %v", c.sql, got, bare, expr.IsConst(n))
		}
		if (expr.AsColumn(n) != nil) != (c.sql == "i4") {
			t.Errorf("%s: AsColumn", c.sql)
		}
	}
}
