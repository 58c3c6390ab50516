package expr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

func TestBindErrorsSayWhere(t *testing.T) {
	for _, c := range []struct {
		sql     string
		code    wire.Code
		at      string // the text from the place on starts so
		message string
	}{
		{"i4 = 1 AND nosuch > 2", wire.CodeColumnNotFound, "nosuch", "No field named nosuch"},
		{"i4 + nosuch(t)", wire.CodeFunctionNotFound, "nosuch", "function does not exist: nosuch(TEXT)"},
		{"i4 = 1 OR t + 1 > 2", wire.CodeTypeMismatch, "+", "operator does not exist: TEXT + INT"},
		{"i4 = t", wire.CodeTypeMismatch, "=", "operator does not exist: INT = TEXT"},
		{"b AND i4", wire.CodeTypeMismatch, "i4", "argument of AND must be type BOOLEAN, not INT"},
		{"i4 = 'abc'", wire.CodeInvalidText, "=", `invalid input syntax for type INT: "abc"`},
		{"t::date = 'x'", wire.CodeInvalidText, "=", `invalid input syntax for type DATE: "x"`},
		{"i4::nosuch", wire.CodeInvalidSQL, "nosuch", `type "nosuch" does not exist`},
		{"i4 = $3", wire.CodeParameterCount, "$3", "parameter $3 has no value: 2 given"},
		{"i4 = (SELECT 1)", wire.CodeUnsupported, "(SELECT", "sub-queries are not supported here"},
	} {
		_, err := expr.Bind(parse(t, c.sql), expr.BindOptions{Names: names{},
			Params: &expr.Params{Types: []wire.Type{kind(wire.Text), kind(wire.Text)}}})
		var b *expr.BindError
		if !errors.As(err, &b) {
			t.Errorf("%s: got %v", c.sql, err)
			continue
		}
		if b.Err.Code != c.code || b.Err.Message != c.message || !strings.HasPrefix(c.sql[b.Pos:], c.at) {
			t.Errorf("%s: %s %q at %q", c.sql, b.Err.Code, b.Err.Message, c.sql[b.Pos:])
		}
		if !errors.Is(err, &wire.Error{Code: c.code}) {
			t.Errorf("%s: the error does not unwrap to its code", c.sql)
		}
	}
}

func TestLongConditionsRunInTheEngine(t *testing.T) {
	e := openEngine(t)
	env := testEnv(t)
	for _, sql := range []string{
		strings.Repeat("i4 = 1 OR ", 1500) + "i4 = 42",
		strings.Repeat("i4 <> 1 AND ", 1500) + "i4 = 42",
		"i4 IN (" + strings.Repeat("1, ", 3000) + "42)",
	} {
		n, err := expr.Bind(parse(t, sql), options)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := e.eval(n, env); err != nil || !v.Bool() {
			t.Errorf("%.30s: %v, %v", sql, v, err)
		}
	}
}

func TestDeepExpressionsAreRefused(t *testing.T) {
	_, err := expr.Bind(parse(t, "1"+strings.Repeat(" + i4", 1000)), options)
	if !errors.Is(err, &wire.Error{Code: wire.CodeInvalidSQL}) {
		t.Errorf("got %v", err)
	}
}

func TestCommonTypeOfBranches(t *testing.T) {
	for sqls, want := range map[string]string{
		"i4; i8": "BIGINT", "i4; d": "DECIMAL", "d; dn": "DECIMAL(10,2)", "d; '1'": "DECIMAL", "'1'; NULL": "TEXT", "i4; NULL": "INT",
		"f4; i4": "FLOAT", "dt; ts": "TIMESTAMP", "ts; dt; tz": "DATETIME", "i4; t": "! TYPE_MISMATCH", "b; i4": "! TYPE_MISMATCH",
	} {
		var nodes []expr.Node
		for _, sql := range strings.Split(sqls, "; ") {
			n, err := expr.Bind(parse(t, sql), options)
			if err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, n)
		}
		typ, err := expr.CommonType(nodes, "UNION")
		got := expr.TypeName(typ)
		var w *wire.Error
		if errors.As(err, &w) {
			got = "! " + string(w.Code)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", sqls, got, want)
		}
	}
}
