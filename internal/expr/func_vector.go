package expr

import (
	"math"
	"strconv"

	"github.com/kalamdb/kalam-go/wire"
)

// vectorFunctions are the distances between two EMBEDDINGs; a text will do for
// either.
var vectorFunctions = makeVectorFunctions()

func makeVectorFunctions() []*function {
	var list []*function
	add := func(name string, fn func(a, b []float32) float64) {
		list = append(list, &function{name: name, args: []wire.Kind{wire.Embedding, wire.Embedding}, result: wire.Double,
			eval: func(v []wire.Value) (wire.Value, error) {
				a, b := v[0].Embedding(), v[1].Embedding()
				if len(a) != len(b) {
					return wire.Null, wire.NewError(wire.CodeTypeMismatch, "vectors of different dimensions: ",
						strconv.Itoa(len(a)), " and ", strconv.Itoa(len(b)))
				}
				f := fn(a, b)
				if math.IsNaN(f) || math.IsInf(f, 0) {
					return wire.Null, nil // a vector of length zero has no direction
				}
				return wire.FloatValue(f + 0), nil
			}})
	}
	add("cosine_distance", func(a, b []float32) float64 {
		dot, aa, bb := 0.0, 0.0, 0.0
		for i := range a {
			x, y := float64(a[i]), float64(b[i])
			dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
		}
		return 1 - dot/math.Sqrt(aa*bb)
	})
	add("l2_distance", func(a, b []float32) float64 {
		sum := 0.0
		for i := range a {
			d := float64(a[i]) - float64(b[i])
			sum += d * d
		}
		return math.Sqrt(sum)
	})
	add("inner_product", func(a, b []float32) float64 {
		sum := 0.0
		for i := range a {
			sum += float64(a[i]) * float64(b[i])
		}
		return sum
	})
	return list
}
