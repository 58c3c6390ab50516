package expr_test

import (
	"testing"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// The filter of a typical live query, which runs on every change.
func BenchmarkEvalFilter(b *testing.B) {
	for name, sql := range map[string]string{
		"match":  "t = 'Hello' AND d > 10 AND t LIKE 'H%'",
		"first":  "t = 'open' AND d > 10 AND t LIKE 'a%'",
		"params": "t = $1 AND i8 > $2",
	} {
		b.Run(name, func(b *testing.B) {
			ps := &expr.Params{Types: []wire.Type{kind(wire.Text), kind(wire.BigInt)}}
			n, err := expr.Bind(parse(b, sql), expr.BindOptions{Names: names{}, Params: ps})
			if err != nil {
				b.Fatal(err)
			}
			env := testEnv(b, wire.TextValue("Hello"), wire.IntValue(10))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := n.Eval(env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
