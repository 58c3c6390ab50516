// Package fault completes errors on their way to the client: where in a text,
// in which statement, about what; and what of an unexpected error may be said.
//
// One flow: whoever finds a mistake returns a *wire.Error, each layer that knows
// more adds it with one of the functions below, and Log.Visible is called once,
// where the error leaves for the client.
package fault

import (
	"errors"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// Change returns err with what change makes of a copy of its coded error, which
// others may hold too. An error without a code is returned as it is.
func Change(err error, change func(e *wire.Error)) error {
	if err == nil {
		return nil
	}
	var coded *wire.Error
	if !errors.As(err, &coded) {
		return err
	}
	own := *coded
	change(&own)
	return &own
}

// At points an error that has no place yet at a place of a text.
func At(source string, pos dialect.Pos, err error) error {
	return Change(err, func(e *wire.Error) {
		if e.Line == 0 {
			e.Line, e.Column = dialect.Place(source, pos)
		}
	})
}

// In says at the beginning of a message what the error is about.
func In(what string, err error) error {
	return Change(err, func(e *wire.Error) {
		if e.Code != wire.CodeInternal {
			e.Message = what + ": " + e.Message
		}
	})
}

// Syntax gives an error of the parser its code.
func Syntax(err error) error {
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
