package sqlite

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/kalamdb/kalam-go/internal/budget"
)

// memory asks the engine how much it holds. It belongs to one goroutine.
type memory struct{ tls *libc.TLS }

// counted is how large a piece of memory is that is counted for its connection;
// the many small ones are not worth it.
const counted = 4096

// holders are what connections hold, by what the engine knows of them when it
// wants memory.
var holders sync.Map // *libc.TLS -> *holder

// engineHeld is how many bytes the engine holds in counted pieces, for all
// connections of the process.
var engineHeld atomic.Int64

// holder is what a connection holds of the engine's memory.
type holder struct {
	atomic.Int64
	account *budget.Account // of its server; nil: it may hold any number
	own     int64           // bytes that it may hold whatever others do; pages take twice their size
}

// ownBytes is what a connection may hold, beside its pages, whatever others do:
// its kept statements, and a small one that runs.
const ownBytes = keepBytes + 2<<20

// mayHold reports whether the connection of tls may hold n more bytes. Without
// it a statement could take a lot between two looks of the watchdog.
func mayHold(tls *libc.TLS, n int64) bool {
	h, ok := holders.Load(tls)
	if !ok {
		return true
	}
	held := h.(*holder)
	return held.account == nil || held.Load()+n <= held.own || held.account.Room(n)
}

// largestSlot is the largest piece of memory that has its place beside others.
const largestSlot = 16 << 10

// taken is how much of the process's memory a piece of n bytes takes. The
// allocator puts pieces into slots of a power of two, so that a page of 4 KiB,
// which comes with a header, takes 8; larger ones take what is touched of them.
func taken(n int32) int64 {
	const header = 8 // of the engine's own, before the piece
	if n+header > largestSlot {
		return int64(n)
	}
	return 1 << bits.Len32(uint32(n+header-1))
}

// What the engine calls for memory.
type (
	mallocFunc  func(tls *libc.TLS, n int32) uintptr
	reallocFunc func(tls *libc.TLS, p uintptr, n int32) uintptr
	sizeFunc    func(tls *libc.TLS, p uintptr) int32
	freeFunc    func(tls *libc.TLS, p uintptr)
)

// allocator holds the functions that the engine calls for memory.
var allocator []any

// countMemory makes the engine count what it holds, all of it and by connection.
// It does so only when told to before its first use in the process.
var countMemory = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	list := libc.NewVaList(int32(1))
	defer libc.Xfree(tls, list)
	lib.Xsqlite3_config(tls, lib.SQLITE_CONFIG_MEMSTATUS, list)

	where := mustAlloc(tls, int(libc.Tsize_t(8*8)))
	defer libc.Xfree(tls, where)
	args := libc.NewVaList(where)
	defer libc.Xfree(tls, args)
	if lib.Xsqlite3_config(tls, lib.SQLITE_CONFIG_GETMALLOC, args) != lib.SQLITE_OK {
		return
	}
	methods := at[lib.Tsqlite3_mem_methods](where)
	malloc, realloc := function[mallocFunc](methods.FxMalloc), function[reallocFunc](methods.FxRealloc)
	size, free := function[sizeFunc](methods.FxSize), function[freeFunc](methods.FxFree)
	methods.FxMalloc = pointer(&allocator, mallocFunc(func(tls *libc.TLS, n int32) uintptr {
		if n >= counted && !mayHold(tls, taken(n)) {
			return 0
		}
		p := malloc(tls, n)
		if n >= counted && p != 0 {
			holds(tls, taken(size(tls, p)))
		}
		return p
	}))
	methods.FxFree = pointer(&allocator, freeFunc(func(tls *libc.TLS, p uintptr) {
		if n := size(tls, p); n >= counted {
			holds(tls, -taken(n))
		}
		free(tls, p)
	}))
	methods.FxRealloc = pointer(&allocator, reallocFunc(func(tls *libc.TLS, p uintptr, n int32) uintptr {
		before := size(tls, p)
		if n >= counted && n > before && !mayHold(tls, taken(n)-taken(before)) {
			return 0
		}
		next := realloc(tls, p, n)
		if next == 0 {
			return 0
		}
		if before >= counted {
			holds(tls, -taken(before))
		}
		if n >= counted {
			holds(tls, taken(size(tls, next)))
		}
		return next
	}))
	lib.Xsqlite3_config(tls, lib.SQLITE_CONFIG_MALLOC, args)
})

// holds counts n bytes for the connection of tls.
func holds(tls *libc.TLS, n int64) {
	engineHeld.Add(n)
	if held, ok := holders.Load(tls); ok {
		held.(*holder).Add(n)
	}
}

// hardLimit makes the engine refuse memory beyond n bytes, or more when another
// driver of the process was given more: between two looks of the watchdog a
// statement can take a lot.
func hardLimit(n int64) {
	tls := libc.NewTLS()
	defer tls.Close()
	if now := lib.Xsqlite3_hard_heap_limit64(tls, -1); now < n {
		lib.Xsqlite3_hard_heap_limit64(tls, n)
	}
}

func newMemory() *memory { return &memory{libc.NewTLS()} }

// used is the memory of all connections of the process, in bytes.
func (m *memory) used() int64 { return lib.Xsqlite3_memory_used(m.tls) }

func (m *memory) close() { m.tls.Close() }
