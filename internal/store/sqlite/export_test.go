package sqlite

import (
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Held is how many bytes the engine holds for the connection of s.
func Held(s store.Session) int64 { return s.(*conn).held.Load() }

// AddFunction registers a function of no arguments on the connection of s.
func AddFunction(s store.Session, name string, fn func()) error {
	return s.(*conn).funcs.scalar(expr.Function{
		Name: name, Volatile: true, Result: wire.Type{Kind: wire.BigInt},
		Eval: func(*expr.Calls, []wire.Value) (wire.Value, error) {
			fn()
			return wire.Null, nil
		},
	})
}

// PanicInStep makes the engine itself panic when the connection of s calls its
// function boom.
func PanicInStep(s store.Session) error {
	c := s.(*conn)
	call := rowFunc(func(*libc.TLS, uintptr, int32, uintptr) { panic("boom") })
	name, err := libc.CString("boom")
	if err != nil {
		return err
	}
	defer libc.Xfree(c.funcs.tls, name)
	rc := lib.Xsqlite3_create_function_v2(c.funcs.tls, c.funcs.db, name, 0, lib.SQLITE_UTF8, 0, pointer(&c.funcs.keep, call), 0, 0, 0)
	return registered("boom", rc)
}

// Parked is how many statements wait for their turn.
func (d *Driver) Parked() int { return d.pool.turns.Parked() }

// Taken is how much memory of the process a piece of n bytes takes.
func Taken(n int32) int64 { return taken(n) }
