package client_test

import (
	"io"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/testsize"
)

// TestReconnectsLeaveNothingBehind loses the connection again and again, and
// counts goroutines and memory. KALAM_RECONNECTS is how often.
func TestReconnectsLeaveNothingBehind(t *testing.T) {
	reconnects := testsize.Of(t, "KALAM_RECONNECTS", 2000)
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		var goroutines int
		var heap uint64
		measure := func() (int, uint64) {
			w.last() // waits until everybody is idle
			w.mu.Lock()
			w.sets = nil
			w.mu.Unlock()
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return runtime.NumGoroutine(), m.HeapAlloc
		}
		for i := 1; i <= reconnects; i++ {
			p.drop(io.ErrUnexpectedEOF)
			p = n.socket(i)
			n.locked(func() { n.sockets[i-1], n.tokens = nil, nil }) // the test's own memory
			f := p.expect("subscribe").Subscription
			if f.Options == nil || f.Options.From != int64(9+i) {
				t.Fatalf("reconnect %d resumed from %+v", i, f.Options)
			}
			p.ack(f.ID, false, false)
			p.batch(f.ID, false)
			p.insert(f.ID, note(2, int64(10+i), "again"))
			synctest.Wait()
			if i == reconnects/4 {
				goroutines, heap = measure()
			}
		}
		g, h := measure()
		if g > goroutines {
			t.Errorf("%d goroutines after %d reconnects, %d after %d", g, reconnects, goroutines, reconnects/4)
		}
		if h > heap+256<<10 {
			t.Errorf("%d KB in memory after %d reconnects, %d after %d", h>>10, reconnects, heap>>10, reconnects/4)
		}
	})
}
