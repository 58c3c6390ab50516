package budget

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Account counts the bytes that all statements of a server hold in Go, and those
// that they have let go of since Go last looked for garbage. It is safe for
// concurrent use.
type Account struct {
	limit  int64
	engine *atomic.Int64
	held   atomic.Int64
	beside atomic.Int64 // of requests, not of statements

	// What was dropped lies on the heap until a collection has ended that began
	// later. Both only grow; their difference is garbage.
	dropped, collected atomic.Int64

	mu     sync.Mutex
	before int64 // dropped, at the last call of ended; mu guards it
}

// Statements that hold little have a reserve of their own, so that those that
// hold much do not stop them.
const (
	smallStatement = 1 << 20
	reserve        = 64 << 20
)

// NewAccount returns an Account that refuses to hold more than limit bytes, twice
// limit together with what the engine holds, and half of limit for one statement.
func NewAccount(limit int64, engine *atomic.Int64) *Account {
	return &Account{limit: limit, engine: engine}
}

// outcome is what became of an attempt to take bytes.
type outcome uint8

const (
	taken   outcome = iota
	full            // others hold too much
	garbage         // there is room once the garbage is collected
)

// take charges n bytes if no more than the limit, and extra, are held then.
func (a *Account) take(n, extra int64) outcome {
	limit := a.limit + extra
	held := a.held.Add(n)
	room := min(limit, limit+a.limit-a.Engine()-a.beside.Load())
	if held+a.Garbage() <= room {
		return taken
	}
	a.held.Add(-n)
	if held > room {
		return full
	}
	return garbage
}

// Engine returns the bytes that the engine holds now.
func (a *Account) Engine() int64 { return a.engine.Load() }

// Room reports whether the engine may hold so many bytes more beside what Go
// holds for statements.
func (a *Account) Room(bytes int64) bool {
	return a.Engine()+a.Held()+a.beside.Load()+bytes <= 2*a.limit
}

// Held returns the bytes that are charged now.
func (a *Account) Held() int64 { return a.held.Load() }

// Garbage returns the bytes that were let go of and may still be on the heap.
func (a *Account) Garbage() int64 { return a.dropped.Load() - a.collected.Load() }

// Beside counts n bytes that requests hold without a statement, until they are
// taken off again: then they are garbage. It refuses nothing, since whoever holds
// them has a limit of its own.
func (a *Account) Beside(n int64) {
	if a == nil {
		return
	}
	if n < 0 {
		a.drop(-n)
	}
	a.beside.Add(n)
}

// drop counts n bytes as garbage.
func (a *Account) drop(n int64) { a.dropped.Add(n) }

// Collect returns when the garbage that there is when it is called has been
// collected. Callers share a collection where they can.
func (a *Account) Collect() {
	dropped := a.dropped.Load()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.collected.Load() >= dropped {
		return
	}
	dropped = a.dropped.Load()
	runtime.GC()
	a.collected.Store(max(a.collected.Load(), dropped))
}

// Watch notes the collections that Go does by itself, until stop is called.
func (a *Account) Watch() (stop func()) {
	var over atomic.Bool
	var arm func(struct{})
	arm = func(struct{}) {
		if over.Load() {
			return
		}
		a.ended()
		runtime.AddCleanup(new([16]byte), arm, struct{}{})
	}
	arm(struct{}{})
	return func() { over.Store(true) }
}

// ended is called when a collection has ended that began after its last call, so
// what had been dropped by then is gone.
func (a *Account) ended() {
	if !a.mu.TryLock() {
		return // Collect is at it, and knows more
	}
	defer a.mu.Unlock()
	a.collected.Store(max(a.collected.Load(), a.before))
	a.before = a.dropped.Load()
}
