package identity

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted keeps the fields of the struct that embeds it out of logs, errors
// and JSON: whichever way the struct is printed, a placeholder appears.
type redacted struct{}

const placeholder = "[redacted]"

// String gives a placeholder.
func (redacted) String() string { return placeholder }

// Format writes a placeholder for every verb, %#v and %d included.
func (redacted) Format(f fmt.State, _ rune) { io.WriteString(f, placeholder) }

// LogValue gives a placeholder.
func (redacted) LogValue() slog.Value { return slog.StringValue(placeholder) }

// MarshalJSON gives a placeholder.
func (redacted) MarshalJSON() ([]byte, error) { return []byte(`"` + placeholder + `"`), nil }
