package expr_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	target "github.com/kalamdb/kalam-go/internal/sqlgen/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// testCase is a line of testdata/cases: an expression, and what PostgreSQL
// makes of it: the type and the value's text, or the code of the error.
type testCase struct {
	where, sql, want string
}

func readCases(t testing.TB) []testCase {
	files, err := filepath.Glob("testdata/cases/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var cases []testCase
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(b), "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			sql, want, ok := strings.Cut(line, "  =>  ")
			if !ok {
				t.Fatalf("%s:%d: no result", f, i+1)
			}
			cases = append(cases, testCase{filepath.Base(f) + ":" + strconv.Itoa(i+1), sql, want})
		}
	}
	return cases
}

func parse(t testing.TB, sql string) dialect.Expr {
	x, err := dialect.ParseExpr(sql)
	if err != nil {
		t.Fatalf("parse %.60s: %v", sql, err)
	}
	return x
}

var options = expr.BindOptions{Names: names{}, Params: &expr.Params{}}

// show writes a result as the case files do.
func show(n expr.Node, v wire.Value, err error) string {
	var w *wire.Error
	if errors.As(err, &w) {
		return "! " + string(w.Code)
	}
	if err != nil {
		return "! " + err.Error()
	}
	base, _, _ := strings.Cut(expr.TypeName(n.Type()), "(")
	if v.IsNull() {
		return base + " NULL"
	}
	text, err := expr.Cast(expr.Const(v, n.Type()), kind(wire.Text))
	if err != nil {
		return "! " + err.Error()
	}
	s, err := text.Eval(&expr.Env{})
	if err != nil {
		return "! " + err.Error()
	}
	if k := n.Type().Kind; k == wire.Text || k == wire.JSON {
		return base + " " + strconv.Quote(s.Text())
	}
	return base + " " + s.Text()
}

func TestExpressionsMeanWhatPostgreSQLMeans(t *testing.T) {
	env := testEnv(t)
	for _, c := range readCases(t) {
		x, err := dialect.ParseExpr(c.sql)
		if err != nil {
			t.Errorf("%s: %s: parse: %v", c.where, c.sql, err)
			continue
		}
		n, err := expr.Bind(x, options)
		var v wire.Value
		if err == nil {
			v, err = n.Eval(env)
		}
		if got := show(n, v, err); got != c.want {
			t.Errorf("%s: %s\n got %s (%v)\nwant %s", c.where, c.sql, got, err, c.want)
		}
	}
}

func TestEngineAgreesWithEval(t *testing.T) {
	env := testEnv(t)
	e := openEngine(t)
	for _, c := range readCases(t) {
		x, err := dialect.ParseExpr(c.sql)
		if err != nil {
			continue
		}
		n, err := expr.Bind(x, options)
		if err != nil {
			continue
		}
		want, werr := n.Eval(env)
		got, gerr := e.eval(n, env)
		if g, w := show(n, got, gerr), show(n, want, werr); g != w {
			p := expr.NewPrinter(target.Target{})
			p.Node(n)
			t.Errorf("%s: %s\nengine %s (%v)\n  eval %s (%v)\nprinted %s", c.where, c.sql, g, gerr, w, werr, p.SQL())
		}
	}
}

func parseRapid(t *rapid.T, sql string) dialect.Expr {
	x, err := dialect.ParseExpr(sql)
	if err != nil {
		t.Fatalf("parse %.60s: %v", sql, err)
	}
	return x
}
