//go:build !js

package consumer_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/consumer"
)

// BenchmarkDrain drains a topic from a server in the same process.
func BenchmarkDrain(b *testing.B) {
	w := newWorld(b, "1", 60)
	for i := 0; i < b.N; {
		var values []string
		for ; i < b.N && len(values) < 500; i++ {
			values = append(values, "("+strconv.Itoa(i)+", 'a message of an ordinary length, as people write them', 1)")
		}
		w.exec("INSERT INTO shop.orders VALUES " + strings.Join(values, ", "))
	}
	x := w.consumer(consumer.Options{Start: consumer.Earliest})
	b.ResetTimer()
	collect(b, w.ctx(), x, b.N)
}
