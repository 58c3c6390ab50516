package identity

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

const (
	recordUsesEvery = 15 * time.Second
	useStep         = time.Minute // a use so soon after a recorded one is not recorded
	maxUses         = 1 << 16     // keys whose use is to be recorded; that of others is not
)

var updateKeyUse = &store.Stmt{
	SQL:  "UPDATE api_keys SET last_used_at = $2 WHERE prefix = $1 AND coalesce(last_used_at, 0) < $2",
	Args: []wire.Type{text, integer},
}

// keyUse is when a key was used, as far as it is or will be recorded.
type keyUse struct {
	prefix string
	at     atomic.Int64 // microseconds
}

// keyUses are uses of keys that are yet to be recorded.
type keyUses struct {
	recording sync.Mutex // held while uses are written down

	mu   sync.Mutex
	last map[string]int64 // by prefix; mu guards it
}

// note notes a use, unless one of the same minute was noted.
func (u *keyUses) note(k *keyUse, now int64) {
	before := k.at.Load()
	if now-before < useStep.Microseconds() || !k.at.CompareAndSwap(before, now) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = make(map[string]int64)
	}
	if _, ok := u.last[k.prefix]; ok || len(u.last) < maxUses {
		u.last[k.prefix] = now
	}
}

// take returns what is to be recorded, and forgets it.
func (u *keyUses) take() map[string]int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	last := u.last
	u.last = nil
	return last
}

// putBack takes up again what could not be recorded.
func (u *keyUses) putBack(last map[string]int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for prefix, at := range u.last {
		last[prefix] = max(at, last[prefix])
	}
	u.last = last
}
