//go:build !js

package auth

import (
	"fmt"
	"io"
	"log/slog"
)

// Format writes String whatever the verb.
func (a Auth) Format(s fmt.State, verb rune) {
	if verb == 'v' && s.Flag('#') {
		io.WriteString(s, a.GoString())
		return
	}
	io.WriteString(s, a.String())
}

// Format writes String whatever the verb.
func (r Request) Format(s fmt.State, _ rune) { io.WriteString(s, r.String()) }

// Format writes what c is, whatever the verb.
func (c *Cache) Format(s fmt.State, _ rune) { io.WriteString(s, "cache of credentials") }

// LogValue gives String.
func (a Auth) LogValue() slog.Value { return slog.StringValue(a.String()) }
