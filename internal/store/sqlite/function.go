package sqlite

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
	zs "zombiezen.com/go/sqlite"

	"github.com/kalamdb/kalam-go/internal/expr"
	target "github.com/kalamdb/kalam-go/internal/sqlgen/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// functions makes those of package expr known to a connection. It speaks to the
// engine itself, since a statement over many rows calls them for each: through
// the library, which takes locks and makes garbage, a call costs four times as
// much.
type functions struct {
	c      *conn
	tls    *libc.TLS
	db     uintptr // the engine's connection
	args   []wire.Value
	call   expr.Calls
	copies int                // bytes of the arguments of the call that were charged
	accs   []expr.Accumulator // of the running statements, by their number - 1; nil: free
	out    uintptr            // where a small text or blob is copied to
	free   uintptr            // the function that frees a large one
	keep   []any              // what the engine has pointers to
}

// What the engine calls: with the arguments of one call, and without.
type (
	rowFunc   func(tls *libc.TLS, ctx uintptr, n int32, args uintptr)
	plainFunc func(tls *libc.TLS, ctx uintptr)
)

// transient tells the engine to copy a result.
const transient = ^uintptr(0)

// outSize is what functions.out holds.
const outSize = 4096

func register(c *conn) (*functions, error) {
	db, err := handleOf(c.sq)
	if err != nil {
		return nil, err
	}
	f := &functions{c: c, tls: libc.NewTLS(), db: db}
	f.out = mustAlloc(f.tls, outSize)
	f.free = pointer(&f.keep, plainFunc(lib.Xsqlite3_free))
	for _, s := range expr.Functions(target.Target{}) {
		if err := f.scalar(s); err != nil {
			f.close()
			return nil, err
		}
	}
	for _, a := range expr.Aggregates(target.Target{}) {
		if err := f.aggregate(a); err != nil {
			f.close()
			return nil, err
		}
	}
	return f, nil
}

// turnOps is after how many operations of the engine a statement looks whether
// its turn is over: some 100 us.
const turnOps = 2000

// takeTurns lets the statements of the connection take turns with those of others.
func (f *functions) takeTurns() {
	type progressFunc func(tls *libc.TLS, arg uintptr) int32
	pass := progressFunc(func(*libc.TLS, uintptr) int32 {
		f.c.budget.Pass()
		return 0 // what was killed is interrupted
	})
	lib.Xsqlite3_progress_handler(f.tls, f.db, turnOps, pointer(&f.keep, pass), 0)
}

// sizeOf is how many bytes a statement holds.
func (f *functions) sizeOf(st *zs.Stmt) int {
	p := reflect.ValueOf(st).Elem().FieldByName("stmt")
	return int(lib.Xsqlite3_stmt_status(f.tls, uintptr(p.Uint()), lib.SQLITE_STMTSTATUS_MEMUSED, 0))
}

// releaseMemory gives back what the connection's page caches hold.
func (f *functions) releaseMemory() { lib.Xsqlite3_db_release_memory(f.tls, f.db) }

// handleOf is the engine's own connection, which the library does not show.
func handleOf(sq *zs.Conn) (uintptr, error) {
	v := reflect.ValueOf(sq).Elem().FieldByName("conn")
	if !v.IsValid() || v.Kind() != reflect.Uintptr {
		return 0, errors.New("sqlite: this version of zombiezen.com/go/sqlite keeps its connection elsewhere")
	}
	return uintptr(v.Uint()), nil
}

// tlsOf is what the engine knows a connection by when it wants memory.
func tlsOf(sq *zs.Conn) *libc.TLS {
	return (*libc.TLS)(reflect.ValueOf(sq).Elem().FieldByName("tls").UnsafePointer())
}

// close is called when the connection has been closed.
func (f *functions) close() {
	libc.Xfree(f.tls, f.out)
	f.tls.Close()
}

func (f *functions) scalar(s expr.Function) error {
	flags := int32(lib.SQLITE_UTF8 | lib.SQLITE_DIRECTONLY)
	if s.Indexed {
		flags = int32(lib.SQLITE_UTF8 | lib.SQLITE_INNOCUOUS)
	}
	if !s.Volatile {
		flags |= lib.SQLITE_DETERMINISTIC
	}
	call := rowFunc(func(tls *libc.TLS, ctx uintptr, _ int32, args uintptr) {
		defer f.recovered(tls, ctx, s.Name)
		held := f.call.Budget.Held() - f.call.Held()
		defer func() {
			clear(f.args)
			f.call.Budget.Release(held + f.call.Held()) // the engine has its own copy
		}()
		in, err := f.values(tls, args, s.Args)
		if err == nil {
			var out wire.Value
			if out, err = s.Eval(&f.call, in); err == nil {
				f.result(tls, ctx, out, s.Result)
				return
			}
		}
		f.raise(tls, ctx, err)
	})
	name, err := libc.CString(s.Name)
	if err != nil {
		return fmt.Errorf("register %s: %w", s.Name, err)
	}
	defer libc.Xfree(f.tls, name)
	rc := lib.Xsqlite3_create_function_v2(f.tls, f.db, name, int32(len(s.Args)), flags, 0, pointer(&f.keep, call), 0, 0, 0)
	return registered(s.Name, rc)
}

func (f *functions) aggregate(a expr.Aggregate) error {
	pass := func(to func(expr.Accumulator, []wire.Value) error) uintptr {
		return pointer(&f.keep, rowFunc(func(tls *libc.TLS, ctx uintptr, _ int32, args uintptr) {
			defer f.recovered(tls, ctx, a.Name)
			f.copies = 0
			defer func() {
				clear(f.args)
				f.call.Budget.Refund(f.copies)
			}()
			in, err := f.values(tls, args, a.Args)
			if err == nil {
				err = to(f.accumulator(tls, ctx, a), in)
			}
			if err != nil {
				f.raise(tls, ctx, err)
			}
		}))
	}
	value := plainFunc(func(tls *libc.TLS, ctx uintptr) {
		defer f.recovered(tls, ctx, a.Name)
		v, err := f.accumulator(tls, ctx, a).Final()
		if err != nil {
			f.raise(tls, ctx, err)
			return
		}
		f.result(tls, ctx, v, a.Result)
	})
	final := plainFunc(func(tls *libc.TLS, ctx uintptr) {
		value(tls, ctx)
		if n := number(tls, ctx); *n > 0 {
			f.accs[*n-1].End()
			f.accs[*n-1] = nil
			*n = 0
		}
	})
	name, err := libc.CString(a.Name)
	if err != nil {
		return fmt.Errorf("register %s: %w", a.Name, err)
	}
	defer libc.Xfree(f.tls, name)
	rc := lib.Xsqlite3_create_window_function(f.tls, f.db, name, int32(len(a.Args)),
		lib.SQLITE_UTF8|lib.SQLITE_DETERMINISTIC|lib.SQLITE_DIRECTONLY, 0,
		pass(expr.Accumulator.Step), pointer(&f.keep, final), pointer(&f.keep, value), pass(expr.Accumulator.Inverse), 0)
	return registered(a.Name, rc)
}

func registered(name string, rc int32) error {
	if err := zs.ResultCode(rc).ToError(); err != nil {
		return fmt.Errorf("register %s: %w", name, err)
	}
	return nil
}

// pointer is what the engine calls for fn, one of its functions, which kept
// holds for as long as it may.
func pointer[F any](kept *[]any, fn F) uintptr {
	*kept = append(*kept, &fn)
	return *(*uintptr)(unsafe.Pointer(&fn))
}

// at is the memory of the engine at p.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// number is where the engine keeps the number of a group's or a window's
// accumulator.
func number(tls *libc.TLS, ctx uintptr) *int64 {
	p := lib.Xsqlite3_aggregate_context(tls, ctx, 8)
	if p == 0 {
		lib.Xsqlite3_result_error_nomem(tls, ctx) // which ends the statement
		return new(int64)
	}
	return at[int64](p)
}

func (f *functions) accumulator(tls *libc.TLS, ctx uintptr, a expr.Aggregate) expr.Accumulator {
	n := number(tls, ctx)
	if *n > 0 {
		return f.accs[*n-1]
	}
	acc := a.New(&f.call)
	for i, other := range f.accs {
		if other == nil {
			f.accs[i] = acc
			*n = int64(i + 1)
			return acc
		}
	}
	f.accs = append(f.accs, acc)
	*n = int64(len(f.accs))
	return acc
}

// raise ends the statement and keeps the error for whoever runs it.
func (f *functions) raise(tls *libc.TLS, ctx uintptr, err error) {
	if f.c.raised == nil {
		f.c.raised = err
	}
	lib.Xsqlite3_result_error_code(tls, ctx, lib.SQLITE_ERROR)
}

// recovered makes an error of a panic in a function, so that it does not go
// through the engine, which would not know what it was at.
func (f *functions) recovered(tls *libc.TLS, ctx uintptr, name string) {
	if p := recover(); p != nil {
		f.raise(tls, ctx, fmt.Errorf("panic in %s: %v\n%s", name, p, debug.Stack()))
	}
}

// largeArg is how long an argument is whose copy counts.
const largeArg = 64 << 10

// charge counts the copy of an argument in what the call holds.
func (f *functions) charge(tls *libc.TLS, arg uintptr) error {
	switch lib.Xsqlite3_value_type(tls, arg) {
	case lib.SQLITE_TEXT, lib.SQLITE_BLOB:
		if n := int(lib.Xsqlite3_value_bytes(tls, arg)); n > largeArg {
			if err := f.call.Budget.Charge(n); err != nil {
				return err
			}
			f.copies += n
		}
	}
	return nil
}

// values are the arguments of a call. They are good until the next one.
func (f *functions) values(tls *libc.TLS, args uintptr, types []wire.Type) ([]wire.Value, error) {
	f.args = f.args[:0]
	for i, p := range unsafe.Slice(at[uintptr](args), len(types)) {
		if err := f.charge(tls, p); err != nil {
			return nil, err
		}
		v, err := fromArg(tls, p, types[i])
		if err != nil {
			return nil, err
		}
		f.args = append(f.args, v)
	}
	return f.args, nil
}

func fromArg(tls *libc.TLS, p uintptr, t wire.Type) (wire.Value, error) {
	switch lib.Xsqlite3_value_type(tls, p) {
	case lib.SQLITE_NULL:
		return wire.Null, nil
	case lib.SQLITE_INTEGER:
		switch t.Kind {
		case wire.Boolean:
			return wire.BoolValue(lib.Xsqlite3_value_int64(tls, p) != 0), nil
		case wire.Double, wire.Float:
			return wire.FloatValue(lib.Xsqlite3_value_double(tls, p)), nil
		}
		return wire.IntValue(lib.Xsqlite3_value_int64(tls, p)), nil
	case lib.SQLITE_FLOAT:
		return wire.FloatValue(lib.Xsqlite3_value_double(tls, p)), nil
	case lib.SQLITE_TEXT:
		text := lib.Xsqlite3_value_text(tls, p)
		return wire.TextValue(string(libc.GoBytes(text, int(lib.Xsqlite3_value_bytes(tls, p))))), nil
	}
	blob := libc.GoBytes(lib.Xsqlite3_value_blob(tls, p), int(lib.Xsqlite3_value_bytes(tls, p)))
	if t.Kind == wire.Decimal {
		text, err := expr.DecodeDecimal(blob, t.Scale)
		return wire.TextValue(text), err
	}
	return wire.BytesValue(blob), nil
}

func (f *functions) result(tls *libc.TLS, ctx uintptr, v wire.Value, t wire.Type) {
	switch v.Tag() {
	case wire.TagNull:
		lib.Xsqlite3_result_null(tls, ctx)
	case wire.TagBool:
		n := int64(0)
		if v.Bool() {
			n = 1
		}
		lib.Xsqlite3_result_int64(tls, ctx, n)
	case wire.TagInt:
		lib.Xsqlite3_result_int64(tls, ctx, v.Int())
	case wire.TagFloat:
		lib.Xsqlite3_result_double(tls, ctx, v.Float())
	case wire.TagText:
		if t.Kind == wire.Decimal {
			f.blob(tls, ctx, string(expr.EncodeDecimal(v.Text())))
			return
		}
		if p, free, ok := f.copied(tls, v.Text()); ok {
			lib.Xsqlite3_result_text(tls, ctx, p, int32(len(v.Text())), free)
		} else {
			lib.Xsqlite3_result_error_nomem(tls, ctx)
		}
	case wire.TagBytes:
		f.blob(tls, ctx, v.Raw())
	}
}

func (f *functions) blob(tls *libc.TLS, ctx uintptr, s string) {
	if p, free, ok := f.copied(tls, s); ok {
		lib.Xsqlite3_result_blob(tls, ctx, p, int32(len(s)), free)
	} else {
		lib.Xsqlite3_result_error_nomem(tls, ctx)
	}
}

// copied puts s where the engine can read it, and says how the engine keeps it:
// by a copy of what is small, and by taking over what is not, which counts among
// what the engine holds. ok is false when there is no room for it.
func (f *functions) copied(tls *libc.TLS, s string) (at, free uintptr, ok bool) {
	at, free = f.out, transient
	if len(s) >= outSize {
		if at, free = lib.Xsqlite3_malloc64(tls, uint64(len(s))), f.free; at == 0 {
			return 0, 0, false
		}
	}
	copy(libc.GoBytes(at, len(s)), s)
	return at, free, true
}

func mustAlloc(tls *libc.TLS, n int) uintptr {
	p := libc.Xmalloc(tls, libc.Tsize_t(n))
	if p == 0 {
		panic("sqlite: out of memory")
	}
	return p
}
