package main

import (
	"cmp"
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// boundGarbage keeps Go from letting the garbage of large values grow to a
// multiple of what lives: that of statements is half of maxMemory at most. What
// lives for other reasons, such as many sockets, raises the limit, so that the
// collector never runs for nothing. It returns when ctx ends.
func boundGarbage(ctx context.Context, maxMemory int64) {
	least := cmp.Or(maxMemory, 512<<20) * 3 / 4
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		metrics.Read(sample)
		live := int64(sample[0].Value.Uint64())
		debug.SetMemoryLimit(max(least, live+live/4+64<<20))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
