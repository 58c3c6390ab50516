package expr

import (
	"errors"
	"strings"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// BindError is an expression that cannot be bound, with its place in the text.
type BindError struct {
	Err *wire.Error
	Pos dialect.Pos
}

func (e *BindError) Error() string { return e.Err.Error() }

// Unwrap gives the *wire.Error, without line and column.
func (e *BindError) Unwrap() error { return e.Err }

func errAt(pos dialect.Pos, code wire.Code, parts ...string) *BindError {
	return &BindError{Err: wire.NewError(code, parts...), Pos: pos}
}

// place gives err the place pos unless it has one.
func place(err error, pos dialect.Pos) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *BindError:
		return e
	case *wire.Error:
		if e.Line > 0 { // of a sub-query, which knows its places
			return e
		}
		return &BindError{Err: e, Pos: pos}
	}
	if errors.Is(err, budget.ErrStopped) {
		return err
	}
	return &BindError{Err: wire.NewError(wire.CodeInternal, err.Error()), Pos: pos}
}

// The errors of evaluation that several operators share.

func errRange(k wire.Kind) *wire.Error {
	return wire.NewError(wire.CodeNumericOutOfRange, strings.ToLower(rangeNames[k]), " out of range")
}

var rangeNames = map[wire.Kind]string{
	wire.SmallInt: "smallint", wire.Int: "integer", wire.BigInt: "bigint", wire.Float: "real",
	wire.Double: "double precision", wire.Decimal: "numeric", wire.Date: "date", wire.Time: "time",
	wire.Timestamp: "timestamp", wire.DateTime: "timestamp", Interval: "interval",
}

func errDivision() *wire.Error {
	return wire.NewError(wire.CodeDivisionByZero, "division by zero")
}

func errInput(t wire.Type, text string) *wire.Error {
	return wire.NewError(wire.CodeInvalidText, "invalid input syntax for type ", TypeName(t), `: "`, cut(text), `"`)
}

// cut shortens a user's text for a message to 40 characters.
func cut(s string) string {
	n := 0
	for i := range s {
		if n++; n > 40 {
			return s[:i] + "..."
		}
	}
	return s
}
