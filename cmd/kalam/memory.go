package main

import (
	"cmp"
	"context"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

// boundGarbage keeps the process within maxMemory and 512 MiB: Go collects what
// it can before it holds more than engine, which is what SQLite holds, leaves of
// it. What lives for other reasons than statements, such as many sockets, raises
// the limit, so that the collector never runs for nothing. It returns when ctx
// ends.
func boundGarbage(ctx context.Context, maxMemory int64, engine func() int64) {
	maxMemory = cmp.Or(maxMemory, 512<<20)
	const living, free = "/gc/heap/live:bytes", "/memory/classes/heap/free:bytes"
	sample := []metrics.Sample{{Name: living}, {Name: free}}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var live leastOf
	var limit int64
	var returned time.Time
	for {
		metrics.Read(sample)
		lasting := live.add(int64(sample[0].Value.Uint64()))
		next := max(maxMemory+beside-engine(), maxMemory/2, lasting+lasting/4+64<<20) &^ (8<<20 - 1)
		if next != limit {
			// Go hands free memory back when it takes more, which SQLite does not wait for.
			if next < limit && sample[1].Value.Uint64() > 64<<20 && time.Since(returned) > time.Second {
				returned = time.Now()
				debug.FreeOSMemory()
			}
			limit = next
			debug.SetMemoryLimit(limit)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// beside is what Go may hold when SQLite holds nothing, beyond what statements
// may: for requests and garbage. The rest of 512 MiB is for what is taken between
// two looks, and for what is not Go's.
const beside = 96 << 20

// leastOf is the least of the numbers that were added lately. A collection while
// much is made counts garbage as living: to follow it would let it grow for ever.
type leastOf struct {
	now    int
	recent [300]int64 // 0: none yet
}

func (l *leastOf) add(n int64) int64 {
	l.recent[l.now] = max(n, 1)
	l.now = (l.now + 1) % len(l.recent)
	if l.recent[l.now] == 0 {
		return slices.Min(l.recent[:l.now])
	}
	return slices.Min(l.recent[:])
}
