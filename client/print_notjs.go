//go:build !js

package client

import (
	"fmt"
	"io"
)

// Format writes String whatever the verb, because %s would print the token.
func (c *Client) Format(s fmt.State, _ rune) { io.WriteString(s, c.String()) }

// Format writes String whatever the verb.
func (e AuthEvent) Format(s fmt.State, _ rune) { io.WriteString(s, e.String()) }

// GoString is String: a row has no Go syntax.
func (r Row) GoString() string { return r.String() }

// GoString is String: a result has no Go syntax.
func (r Result) GoString() string { return r.String() }

// GoString is String: an event has no Go syntax.
func (e Event) GoString() string { return e.String() }

// GoString is Error.
func (f *failure) GoString() string { return f.Error() }

// Format writes String whatever the verb.
func (s SignUp) Format(w fmt.State, _ rune) { io.WriteString(w, s.String()) }

// Format writes String whatever the verb.
func (c Code) Format(w fmt.State, _ rune) { io.WriteString(w, c.String()) }

// Format writes String whatever the verb.
func (f FirstAdmin) Format(w fmt.State, _ rune) { io.WriteString(w, f.String()) }
