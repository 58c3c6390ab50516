package expr_test

import (
	"errors"
	"testing"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	target "github.com/kalamdb/kalam-go/internal/sqlgen/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// FuzzBindEval binds, evaluates and prints whatever parses: no panic, and no
// error without a code.
func FuzzBindEval(f *testing.F) {
	for i, c := range readCases(f) {
		if i%10 == 0 {
			f.Add(c.sql)
		}
	}
	env := testEnv(f, paramValues...)
	f.Fuzz(func(t *testing.T, sql string) {
		if len(sql) > 2000 {
			return
		}
		x, err := dialect.ParseExpr(sql)
		if err != nil {
			return
		}
		ps := &expr.Params{Types: append([]wire.Type(nil), paramTypes...)}
		n, err := expr.Bind(x, expr.BindOptions{Names: names{}, Params: ps, Aggregates: true, Windows: true})
		var w *wire.Error
		if err != nil {
			if !errors.As(err, &w) || w.Code == wire.CodeInternal {
				t.Fatalf("%q: %v", sql, err)
			}
			return
		}
		p := expr.NewPrinter(target.Target{})
		p.Node(n)
		for i, v := range paramValues {
			if env.Params[i], err = expr.Coerce(v, ps.Types[i]); err != nil {
				return
			}
		}
		for _, a := range p.Args() {
			a.Resolve(env)
		}
		if expr.HasAggregate(n) || expr.HasWindow(n) {
			return
		}
		if _, err := n.Eval(env); err != nil && (!errors.As(err, &w) || w.Code == wire.CodeInternal) {
			t.Fatalf("%q: %v", sql, err)
		}
	})
}

// FuzzCoerce turns any text into any type without a panic.
func FuzzCoerce(f *testing.F) {
	for _, c := range columns {
		f.Add(c.value)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for k := wire.Boolean; k <= wire.File; k++ {
			v, err := expr.Coerce(wire.TextValue(text), kind(k))
			if err != nil {
				continue
			}
			back, err := expr.Cast(expr.Const(v, kind(k)), kind(wire.Text))
			if err != nil {
				t.Fatal(err)
			}
			s, err := back.Eval(&expr.Env{})
			if err != nil {
				t.Fatal(err)
			}
			if again, err := expr.Coerce(s, kind(k)); err != nil || again != v {
				t.Fatalf("%q as %s reads back from %q as %v, %v", text, expr.TypeName(kind(k)), s.Text(), again, err)
			}
		}
	})
}
