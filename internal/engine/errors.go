package engine

import (
	"context"
	"errors"
	"runtime/debug"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Panicked logs what was recovered from a panic in what, and returns the error
// that the caller of what may see: its id is in the log.
func (e *Engine) Panicked(what string, recovered any) *wire.Error {
	id := itoa(int(e.db.NextID()))
	e.options.Logger.Error("panic in "+what, "id", id, "panic", recovered, "stack", string(debug.Stack()))
	return wire.NewError(wire.CodeInternal, "internal error; the server's log has it under id ", id)
}

// numbered is the failure of a statement of a request.
type numbered struct {
	error
	statement int
}

func (n numbered) Unwrap() error { return n.error }

// inStatement says which statement of the request failed.
func inStatement(n int, err error) error {
	if err == nil {
		return nil
	}
	return numbered{err, n}
}

// Visible turns an error into the one that the caller may see. It is called once,
// where an error leaves: what is not coded is logged under an id and hidden, and
// the number of the statement comes into the error.
func (e *Engine) Visible(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, budget.ErrStopped) {
		var of numbered
		n := 0
		if errors.As(err, &of) {
			n = of.statement
		}
		err = numbered{e.db.Stopped(ctx, err), n}
	}
	coded := e.coded(err)
	var of numbered
	if !errors.As(err, &of) || of.statement == 0 || coded.Statement != 0 {
		return coded
	}
	out := *coded // the error may be somebody else's too
	out.Statement = of.statement
	if runtimeCode(coded.Code) {
		out.Message = "Statement " + itoa(of.statement) + " failed: " + coded.Message
	}
	return &out
}

// coded is the coded error that stands for err.
func (e *Engine) coded(err error) *wire.Error {
	var coded *wire.Error
	switch {
	case errors.As(err, &coded):
		return coded
	case errors.Is(err, store.ErrYielded):
		return wire.NewError(wire.CodeStatementTimeout, "the write made others wait for longer than a tenth of a second and was rolled back, each time that it was tried; split it into several, each with some thousand rows, or send it when fewer others write")
	case errors.Is(err, store.ErrTimeout):
		return wire.NewError(wire.CodeStatementTimeout, "the statement ran longer than the server allows (limits.statement_timeout) and was cancelled; narrow it with WHERE, or use an index")
	case errors.Is(err, store.ErrMemory):
		return wire.NewError(wire.CodeResultTooLarge, "the statement needed more memory than the server allows (limits.max_memory) and was cancelled; sort, group or join fewer rows with a narrower WHERE")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return wire.NewError(wire.CodeStatementTimeout, "the request was cancelled; a write that was under way has been rolled back")
	case errors.Is(err, store.ErrClosed):
		return wire.NewError(wire.CodeUnavailable, "the server is shutting down")
	}
	id := itoa(int(e.db.NextID()))
	e.options.Logger.Error("statement failed", "id", id, "error", err)
	return wire.NewError(wire.CodeInternal, "internal error; the server's log has it under id ", id)
}

// slowWrite words the timeout of a write, which has a limit of its own.
func slowWrite(err error) error {
	if err == nil {
		return nil
	}
	var coded *wire.Error
	if errors.As(err, &coded) || errors.Is(err, store.ErrYielded) || !errors.Is(err, store.ErrTimeout) {
		return err
	}
	return wire.NewError(wire.CodeStatementTimeout, "the write took longer than the server allows (limits.write_timeout) and was rolled back, because other writes wait for it; split it into several, each with a part of the rows: WHERE id BETWEEN 1 AND 10000, and so on")
}

// runtimeCode reports whether errors of that code name the statement in their
// message, as clients expect of what went wrong while it ran.
func runtimeCode(c wire.Code) bool {
	switch c {
	case wire.CodeInvalidSQL, wire.CodeStatementTooLarge, wire.CodeUnsupported, wire.CodeEmptySQL, wire.CodePermissionDenied,
		wire.CodeInvalidParameter, wire.CodeParameterCount, wire.CodeInternal, wire.CodeUnavailable:
		return false
	}
	return true
}
