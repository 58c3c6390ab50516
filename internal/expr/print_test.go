package expr_test

import (
	"testing"

	"github.com/kalamdb/kalam-go/internal/expr"
	target "github.com/kalamdb/kalam-go/internal/sqlgen/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// Comparisons of a column with a constant or a parameter must leave the column
// bare, or no index serves them.
func TestComparisonsLeaveColumnsBare(t *testing.T) {
	for sql, want := range map[string]string{
		`i4 = 42`:                               `(r.i4 = 42)`,
		`i4 = 42.0`:                             `(r.i4 = 42)`,
		`42 = i4`:                               `(42 = r.i4)`,
		`i8 = $1`:                               `(r.i8 = $1)`,
		`i8 = $1 + 1`:                           `(r.i8 = k_add_i4_i4($1, 1))`,
		`i8 < 1 + 2 * 3`:                        `(r.i8 < 7)`,
		`i8 = 1::double precision`:              `(r.i8 = 1)`,
		`d = 12.505`:                            `(r.d = $1)`,
		`d > 12`:                                `(r.d > $1)`,
		`d = $1`:                                `(r.d = $1)`,
		`d in (1, 2.5, $1)`:                     `(r.d IN ($1, $2, $3))`,
		`d between $1 and 3`:                    `((r.d >= $1) AND (r.d <= $2))`,
		`t = 'x'`:                               `(r.t = $1)`,
		`t = $1 and tn = $1`:                    `((r.t = $1) AND (r.tn = $1))`,
		`f8 > 1`:                                `(r.f8 > $1)`,
		`dt = '2024-02-29'`:                     `(r.dt = 19782)`,
		`dt >= timestamp '2024-02-29 00:00:00'`: `(r.dt >= 19782)`,
		`ts < date '2024-02-29'`:                `(r.ts < 1709164800000000)`,
		`u = $1`:                                `(r.u = $1)`,
		`y = '\x00'`:                            `(r.y = $1)`,
		`b = true`:                              `(r.b = 1)`,
		`b and not b`:                           `(r.b AND (NOT r.b))`,
		`i4 in (1, 2, 3)`:                       `(r.i4 IN (1, 2, 3))`,
		`i4 is not null`:                        `(r.i4 IS NOT NULL)`,
		`t = current_user`:                      `(r.t = $1)`,
		`ts < now()`:                            `(r.ts < $1)`,
		`lower('A') = t`:                        `($1 = r.t)`,
		`i4 = -5`:                               `(r.i4 = $1)`,
		`t like 'abc%'`:                         `(r.t >= $1 AND r.t < $2)`,
		`t like 'abc'`:                          `(r.t = $1)`,
		`t like 'a_c%'`:                         `(r.t >= $1 AND r.t < $2 AND k_like_text_text(r.t, $3))`,
		`t like '%c'`:                           `k_like_text_text(r.t, $1)`,
		`t like 'a\%'`:                          `(r.t >= $1 AND r.t < $2 AND k_like_text_text(r.t, $3))`,
		`t ilike 'abc%'`:                        `k_ilike_text_text(r.t, $1)`,
		`starts_with(t, 'ab')`:                  `(r.t >= $1 AND r.t < $2)`,
		`n is distinct from 5`:                  `(r.n IS NOT 5)`,
	} {
		o := options
		o.Params = &expr.Params{Types: []wire.Type{kind(wire.BigInt)}}
		n, err := expr.Bind(parse(t, sql), o)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		p := expr.NewPrinter(target.Target{})
		p.Node(n)
		if p.SQL() != want {
			t.Errorf("%s prints %s, want %s", sql, p.SQL(), want)
		}
	}
}

func TestTextConstantsBecomeArguments(t *testing.T) {
	n, err := expr.Bind(parse(t, `t = 'x''; DROP TABLE r' AND i4 < $2 OR t = current_user OR tn = current_user`), expr.BindOptions{
		Names: names{}, Params: &expr.Params{Types: []wire.Type{kind(wire.Text), kind(wire.Text)}}})
	if err != nil {
		t.Fatal(err)
	}
	p := expr.NewPrinter(target.Target{})
	p.Raw("SELECT 1 WHERE ")
	p.Node(n)
	if want := `SELECT 1 WHERE (((r.t = $1) AND (r.i4 < $2)) OR (r.t = $3) OR (r.tn = $3))`; p.SQL() != want {
		t.Errorf("got  %s\nwant %s", p.SQL(), want)
	}
	args := p.Args()
	env := testEnv(t, wire.TextValue("unused"), wire.IntValue(9))
	if len(args) != 3 || args[0].Resolve(env) != wire.TextValue("x'; DROP TABLE r") ||
		args[1].Resolve(env) != wire.IntValue(9) || args[2].Resolve(env) != wire.TextValue("alice") {
		t.Errorf("arguments %+v", args)
	}
	if args[1].Type != kind(wire.Int) {
		t.Errorf("$2 is bound as %s", expr.TypeName(args[1].Type))
	}
}
