package engine

import (
	"errors"
	"runtime/debug"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/dialect"
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

// numbered says which statement of the request failed.
func numbered(err error, n int) error {
	var e *wire.Error
	if !errors.As(err, &e) || e.Statement != 0 {
		return err
	}
	out := *e
	out.Statement = n
	if runtimeCode(e.Code) {
		out.Message = "Statement " + itoa(n) + " failed: " + e.Message
	}
	return &out
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

// at points an error at a place of the text.
func at(source string, pos dialect.Pos, e *wire.Error) error {
	e.Line, e.Column = dialect.Place(source, pos)
	return e
}

// placedAt points an error that has no place yet at a place of the text.
func placedAt(source string, pos dialect.Pos, err error) error {
	var e *wire.Error
	if !errors.As(err, &e) || e.Line != 0 {
		return err
	}
	out := *e
	return at(source, pos, &out)
}

// syntaxError gives an error of the parser its code.
func syntaxError(err error) error {
	var e *dialect.Error
	if !errors.As(err, &e) {
		return err
	}
	code := wire.CodeInvalidSQL
	if e.Unsupported {
		code = wire.CodeUnsupported
	}
	return &wire.Error{Code: code, Message: e.Message, Line: e.Line, Column: e.Column}
}

// inParam says which parameter an error is about.
func inParam(err error, i int) error {
	var e *wire.Error
	if !errors.As(err, &e) {
		return err
	}
	out := *e
	out.Message = "parameter $" + itoa(i+1) + ": " + e.Message
	return &out
}

func noNamespace(name string) *wire.Error {
	return wire.NewError(wire.CodeNamespaceNotFound, "Namespace '", name, "' does not exist. Create it first with CREATE NAMESPACE ", name)
}
