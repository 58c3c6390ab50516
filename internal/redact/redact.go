// Package redact keeps secrets out of logs, errors and JSON.
package redact

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted keeps the fields of the struct that embeds it out of logs, errors
// and JSON: whichever way the struct is printed, a placeholder appears.
type Redacted struct{}

const placeholder = "[redacted]"

// String returns a placeholder.
func (Redacted) String() string { return placeholder }

// Format writes a placeholder for every verb, %#v and %d included.
func (Redacted) Format(f fmt.State, _ rune) { io.WriteString(f, placeholder) }

// LogValue returns a placeholder.
func (Redacted) LogValue() slog.Value { return slog.StringValue(placeholder) }

// MarshalJSON returns a placeholder.
func (Redacted) MarshalJSON() ([]byte, error) { return []byte(`"` + placeholder + `"`), nil }
