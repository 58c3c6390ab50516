package sqlite

import (
	"sync"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// memory asks the engine how much it holds. It belongs to one goroutine.
type memory struct{ tls *libc.TLS }

// countMemory makes the engine count what it holds, which it does only when told
// to before its first use in the process.
var countMemory = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	list := libc.NewVaList(int32(1))
	defer libc.Xfree(tls, list)
	lib.Xsqlite3_config(tls, lib.SQLITE_CONFIG_MEMSTATUS, list)
})

func newMemory() *memory { return &memory{libc.NewTLS()} }

// used is the memory of all connections of the process, in bytes.
func (m *memory) used() int64 { return lib.Xsqlite3_memory_used(m.tls) }

func (m *memory) close() { m.tls.Close() }
