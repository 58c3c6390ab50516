package sqlite

import (
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// memory asks the engine how much it holds. It belongs to one goroutine.
type memory struct{ tls *libc.TLS }

// The engine counts what it holds only when told to before its first use.
var counted = func() bool {
	tls := libc.NewTLS()
	defer tls.Close()
	list := libc.NewVaList(int32(1))
	defer libc.Xfree(tls, list)
	return lib.Xsqlite3_config(tls, lib.SQLITE_CONFIG_MEMSTATUS, list) == lib.SQLITE_OK
}()

func newMemory() *memory { return &memory{libc.NewTLS()} }

// used is the memory of all connections of the process, in bytes.
func (m *memory) used() int64 { return lib.Xsqlite3_memory_used(m.tls) }

func (m *memory) close() { m.tls.Close() }
