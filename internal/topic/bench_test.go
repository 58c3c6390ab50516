package topic_test

import (
	"context"
	"testing"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/topic"
	"github.com/kalamdb/kalam-go/wire"
)

// BenchmarkConsume leases a hundred messages at a time and acknowledges those
// before, as one consumer that drains a topic does.
func BenchmarkConsume(b *testing.B) {
	w := newWorld(b, nil, topic.Options{})
	for range 20 {
		w.write(func(tx *store.Tx) error {
			for range 1000 {
				w.next++
				if _, err := tx.Insert(w.table, "", []wire.Value{wire.IntValue(w.next), wire.TextValue("a message of an ordinary length, as people write them")}); err != nil {
					return err
				}
			}
			return w.s.Route(tx, "root", "system")
		})
	}
	r := wire.ConsumeRequest{Group: "g", Limit: 100, Start: earliest, Consumer: "a", AllPartitions: true}
	b.ReportAllocs()
	for b.Loop() {
		l, err := consume(context.Background(), w, &r)
		if err != nil {
			b.Fatal(err)
		}
		if len(l.Messages) == 0 {
			r.Group += "g" // from the beginning again
			r.Acks = nil
			continue
		}
		r.Acks = []wire.TopicAck{{Ranges: []wire.TopicRange{{First: l.Messages[0].Offset, Last: l.Next - 1}}}}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "us/message")
}
