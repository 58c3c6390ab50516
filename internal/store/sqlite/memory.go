package sqlite

import (
	"sync"
	"sync/atomic"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// memory asks the engine how much it holds. It belongs to one goroutine.
type memory struct{ tls *libc.TLS }

// counted is how large a piece of memory is that is counted for its connection;
// the many small ones are not worth it.
const counted = 4096

// holders are the counters of what connections hold, by what the engine knows
// of them when it wants memory.
var holders sync.Map // *libc.TLS -> *atomic.Int64

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
		p := malloc(tls, n)
		if n >= counted && p != 0 {
			holds(tls, size(tls, p))
		}
		return p
	}))
	methods.FxFree = pointer(&allocator, freeFunc(func(tls *libc.TLS, p uintptr) {
		if n := size(tls, p); n >= counted {
			holds(tls, -n)
		}
		free(tls, p)
	}))
	methods.FxRealloc = pointer(&allocator, reallocFunc(func(tls *libc.TLS, p uintptr, n int32) uintptr {
		before := size(tls, p)
		next := realloc(tls, p, n)
		if next == 0 {
			return 0
		}
		if before >= counted {
			holds(tls, -before)
		}
		if n >= counted {
			holds(tls, size(tls, next))
		}
		return next
	}))
	lib.Xsqlite3_config(tls, lib.SQLITE_CONFIG_MALLOC, args)
})

// holds counts n bytes for the connection of tls.
func holds(tls *libc.TLS, n int32) {
	if held, ok := holders.Load(tls); ok {
		held.(*atomic.Int64).Add(int64(n))
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
