package identity_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/testsize"
)

// TestManySessionsAreSmall: a hundred thousand sessions fit into 100 MB. It holds
// sessions whose users are all there at once.
// KALAM_SESSIONS sets how many; the figure for 100,000 is in bench/README.md.
func TestManySessionsAreSmall(t *testing.T) {
	n := testsize.Of(t, "KALAM_SESSIONS", 500)
	s, db := open(t)
	defer db.Close()
	tokens := make([]string, n)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				g, err := s.BeginSession(t.Context(), "root")
				if err != nil {
					t.Error(err)
					return
				}
				tokens[i] = g.AccessToken
			}
		})
	}
	wg.Wait()
	heap := func() float64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	held := make([]*identity.Principal, n) // as open sockets hold them
	for i, token := range tokens {
		p, err := s.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		held[i] = p
	}
	with := heap()
	runtime.KeepAlive(held)
	held = nil
	if err := s.Close(); err != nil { // forgets the verified tokens
		t.Fatal(err)
	}
	used := with - heap()
	t.Logf("%d sessions: %.1f MB, %.0f bytes each", n, used/1e6, used/float64(n))
	if n >= 10_000 && used/float64(n) > 1000 {
		t.Errorf("%.0f bytes a session", used/float64(n))
	}
	runtime.KeepAlive(tokens)
}
