package sqlite

import (
	"errors"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
	zs "zombiezen.com/go/sqlite"
)

// gathered is SQLite's log file as the writing connection sees it: what it
// writes is gathered in memory and goes to the file, 64 KiB at a time, before the
// file is read or synced; a commit of a few rows is one write. SQLite itself
// makes two system calls for each page, a fifth of what a commit of ten pages
// costs. With synchronous=FULL, on which this rests, every commit syncs the log
// before others read its pages. What a rolled back transaction leaves here means
// nothing, in the file or not; drop forgets it.
type gathered struct {
	write   transferFunc // of the file itself
	methods uintptr      // what the engine calls instead of the file's own
	data    uintptr      // room for gatherMost bytes
	n       int          // of data, not written yet
	at      int64        // where they belong in the file
	keep    []any        // what the engine has pointers to
}

// gatherMost is how much is gathered at most: of a write of more than 128 KiB
// the engine loses a part.
const gatherMost = 64 << 10

// What the engine calls on a file; the result is its code.
type (
	transferFunc func(tls *libc.TLS, file, data uintptr, n int32, at int64) int32
	syncFunc     func(tls *libc.TLS, file uintptr, flags int32) int32
)

// gather puts itself between a connection and its log file.
func gather(tls *libc.TLS, db uintptr) (*gathered, error) {
	name, err := libc.CString("main")
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(tls, name)
	out := mustAlloc(tls, int(unsafe.Sizeof(uintptr(0))))
	defer libc.Xfree(tls, out)
	rc := lib.Xsqlite3_file_control(tls, db, name, lib.SQLITE_FCNTL_JOURNAL_POINTER, out)
	if err := zs.ResultCode(rc).ToError(); err != nil {
		return nil, fmt.Errorf("find the log file: %w", err)
	}
	file := at[lib.Tsqlite3_file](*at[uintptr](out))
	if file.FpMethods == 0 {
		return nil, errors.New("find the log file: the engine has not opened it")
	}
	own := at[lib.Tsqlite3_io_methods](file.FpMethods)
	g := &gathered{
		write:   function[transferFunc](own.FxWrite),
		methods: mustAlloc(tls, int(unsafe.Sizeof(*own))),
		data:    mustAlloc(tls, gatherMost),
	}
	methods := at[lib.Tsqlite3_io_methods](g.methods)
	*methods = *own
	read, sync := function[transferFunc](own.FxRead), function[syncFunc](own.FxSync)
	methods.FxWrite = pointer(&g.keep, g.add)
	methods.FxRead = pointer(&g.keep, func(tls *libc.TLS, file, data uintptr, n int32, at int64) int32 {
		if rc := g.flush(tls, file); rc != lib.SQLITE_OK {
			return rc
		}
		return read(tls, file, data, n, at)
	})
	methods.FxSync = pointer(&g.keep, func(tls *libc.TLS, file uintptr, flags int32) int32 {
		if rc := g.flush(tls, file); rc != lib.SQLITE_OK {
			return rc
		}
		return sync(tls, file, flags)
	})
	file.FpMethods = g.methods
	return g, nil
}

// close is called when the connection has been closed.
func (g *gathered) close(tls *libc.TLS) {
	libc.Xfree(tls, g.methods)
	libc.Xfree(tls, g.data)
}

// add is the file's write.
func (g *gathered) add(tls *libc.TLS, file, data uintptr, n int32, at int64) int32 {
	if at != g.at+int64(g.n) || g.n+int(n) > gatherMost {
		if rc := g.flush(tls, file); rc != lib.SQLITE_OK {
			return rc
		}
		g.at = at
	}
	if n > gatherMost {
		return g.write(tls, file, data, n, at)
	}
	copy(libc.GoBytes(g.data+uintptr(g.n), int(n)), libc.GoBytes(data, int(n)))
	g.n += int(n)
	return lib.SQLITE_OK
}

// flush writes what was gathered. When that fails it is kept: on a full disk the
// engine may end the statement alone, and the transaction goes on with pages
// that it takes to be in the file.
func (g *gathered) flush(tls *libc.TLS, file uintptr) int32 {
	if g.n == 0 {
		return lib.SQLITE_OK
	}
	rc := g.write(tls, file, g.data, int32(g.n), g.at)
	if rc == lib.SQLITE_OK {
		g.n = 0
	}
	return rc
}

// drop is called between transactions. What is left then is of one that was
// rolled back, and there may be no room for it in the file.
func (g *gathered) drop() { g.n = 0 }

// function is the engine's function at p.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }
