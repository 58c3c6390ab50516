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

// repeaters are the constructs that use an operand several times, each as a
// BIGINT of a BIGINT, %s.
var repeaters = []string{
	"NULLIF(%s, 3)",
	"NULLIF(3, %s)",
	"NULLIF(%s, 2.5)::bigint",
	"(%s BETWEEN 1 AND 9)::int::bigint",
	"(5 NOT BETWEEN %s AND 9)::int::bigint",
	"(%s BETWEEN 1.5 AND 9)::int::bigint",
	"(%s BETWEEN SYMMETRIC 9 AND 1)::int::bigint",
	"(4 BETWEEN SYMMETRIC %s AND 1)::int::bigint",
	"CASE %s WHEN 1 THEN 10 WHEN 2 THEN 20 ELSE 30 END",
	"CASE %s WHEN 1 THEN 10 WHEN 2.5 THEN 20 WHEN 3 THEN 30 END",
	"CASE 1 WHEN %s THEN 5 WHEN 2 THEN 6 END",
	"greatest(%s, 1, 2)",
	"least(1, %s, 3, 4)",
	"coalesce(%s, 1)",
	"(%s IN (1, 2, 3))::int::bigint",
	"(%s IN (1, 2.5, 3))::int::bigint",
	"((%s, 1) IN ((1, 1), (2, 1)))::int::bigint",
	"((1, %s, 1) < (1, 2, 3))::int::bigint",
	"((1, 2, 1) >= (%s, 2, 3))::int::bigint",
	"((%s, 1) IS DISTINCT FROM (1, 1))::int::bigint",
	"(%s IS NOT DISTINCT FROM 4)::int::bigint",
	"length(concat(%s = 1, 'x'))",
	"length(format('%%s', %s = 1))",
	"length(concat_ws((%s)::text, 'a', 'b', 'c'))",
	"num_nulls(%s, 1)",
	"json_get_int(json_build_array(%s, 2)::text, 0)",
	"length(jsonb_build_object('a', %s)::text)",
	"(%s)::smallint::bigint",
}

// countedNames counts how often a name is looked up.
type countedNames struct{ n int }

func (c *countedNames) Column(name dialect.Name) (*expr.Column, error) {
	c.n++
	return names{}.Column(name)
}

// cost is what an expression costs: names bound, bytes printed and leaves
// evaluated.
type cost struct{ bound, printed, evaluated int }

func costOf(t interface{ Fatalf(string, ...any) }, sql string) cost {
	x, err := dialect.ParseExpr(sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	seen := &countedNames{}
	n, err := expr.Bind(x, expr.BindOptions{Names: seen})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var c cost
	env := &expr.Env{Row: make([]wire.Value, len(columns)), NextID: func() int64 { c.evaluated++; return int64(c.evaluated % 5) }}
	n.Eval(env) // an error, such as a number out of range, is fine
	p := expr.NewPrinter(target.Target{})
	p.Node(n)
	c.bound, c.printed = seen.n, len(p.SQL())
	if expr.HasAggregate(n) || expr.IsConst(n) || expr.Unsteady(n) == "" {
		t.Fatalf("%s is not what it should be", sql)
	}
	return c
}

// Every construct is bound, evaluated and printed in proportion to its text,
// however often it stands in itself.
func TestNestedOperandsCostWhatTheirTextDoes(t *testing.T) {
	for _, r := range repeaters {
		sql := "(SNOWFLAKE_ID() + i8)"
		for range 40 {
			sql = fmt.Sprintf(r, sql)
		}
		c := costOf(t, sql)
		if c.bound > 1 || c.evaluated > 1 || c.printed > 20*len(sql) {
			t.Errorf("%s, 40 deep: one name is bound %d times, one id made %d times, and %d bytes print as %d", r, c.bound, c.evaluated, len(sql), c.printed)
		}
	}
}

func TestRandomNestingCostsWhatItsTextDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sql := "(SNOWFLAKE_ID() + i8)"
		for range rapid.IntRange(1, 60).Draw(t, "depth") {
			sql = fmt.Sprintf(rapid.SampledFrom(repeaters).Draw(t, "construct"), sql)
			if rapid.IntRange(0, 9).Draw(t, "second") == 0 {
				sql = "(" + sql + " + (SNOWFLAKE_ID() % 5))"
			}
		}
		ids := strings.Count(sql, "SNOWFLAKE_ID")
		if c := costOf(t, sql); c.bound > 1 || c.evaluated > ids || c.printed > 20*len(sql) {
			t.Fatalf("%s\none name is bound %d times, %d ids made %d times, and %d bytes print as %d", sql, c.bound, ids, c.evaluated, len(sql), c.printed)
		}
	})
}

// An operand that is another value at each call is one value in the construct:
// one of the branches matches, here and in the engine.
func TestVolatileOperandsAreOneValue(t *testing.T) {
	e := openEngine(t)
	for _, sql := range []string{
		"CASE floor(random()*3) WHEN 0 THEN true WHEN 1 THEN true WHEN 2 THEN true ELSE false END",
		"CASE floor(random()*3)::int WHEN 0 THEN true WHEN 1.0 THEN true WHEN 2 THEN true ELSE false END",
		"floor(random()*3) IN (0, 1, 2)",
		"floor(random()*3)::int IN (0, 1.0, 2)",
		"(floor(random()*3)::int, 1) IN ((0, 1), (1, 1), (2, 1))",
		"coalesce(NULLIF(floor(random()*3), 1), 7) <> 1",
		"NOT (floor(random()*3)::int BETWEEN 1 AND 1 AND false)",
		"greatest(floor(random()*3), 1) IN (1, 2)",
		"CASE WHEN (floor(random()*2), 5) < (1, 5) THEN true ELSE true END",
		"concat(random() < 0.5) IN ('t', 'f')",
		"(floor(random()*10)::int BETWEEN SYMMETRIC 9.5 AND 0)",
	} {
		n, err := expr.Bind(parse(t, sql), expr.BindOptions{})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		for range 300 {
			for what, eval := range map[string]func(expr.Node, *expr.Env) (wire.Value, error){
				"engine": e.eval, "Go": func(n expr.Node, env *expr.Env) (wire.Value, error) { return n.Eval(env) },
			} {
				v, err := eval(n, testEnv(t))
				if err != nil || v != wire.BoolValue(true) {
					t.Fatalf("%s in %s: %v, %v", sql, what, v, err)
				}
			}
		}
	}
}

// Values of a let that stand in the values or the body of another do not get
// into each other's way in the engine.
func TestNestedLetsKeepTheirValues(t *testing.T) {
	e := openEngine(t)
	for sql, want := range map[string]string{
		"NULLIF(NULLIF(i4+1, 0) + NULLIF(i4+2, 0), NULLIF(i4+3, 0))":                                 "INT 87",
		"CASE NULLIF(i4+1, 0) WHEN 42.5 THEN 1 WHEN NULLIF(i4+1, 0) THEN NULLIF(i4-1, 0) ELSE 3 END": "INT 41",
		"((NULLIF(i4+0, 1), NULLIF(i4+1, 1), i4+2) < (NULLIF(i4-0, 1), NULLIF(i4+2, 1), i4+2))":      "BOOLEAN true",
		"concat_ws(NULLIF(i4+0, 1)::text, NULLIF(i4+1, 1), NULLIF(i4+2, 1))":                         `TEXT "434244"`,
	} {
		n, err := expr.Bind(parse(t, sql), options)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		for what, eval := range map[string]func(expr.Node, *expr.Env) (wire.Value, error){
			"engine": e.eval, "Go": func(n expr.Node, env *expr.Env) (wire.Value, error) { return n.Eval(env) },
		} {
			v, err := eval(n, testEnv(t))
			if got := show(n, v, err); got != want {
				t.Errorf("%s in %s is %s, want %s", sql, what, got, want)
			}
		}
	}
}
