//go:build !js

package wire

import (
	"fmt"
	"io"
)

// What holds a secret prints without it, whatever the verb.

// Format writes String.
func (l LoginRequest) Format(s fmt.State, _ rune) { io.WriteString(s, l.String()) }

// Format writes String.
func (l LoginResponse) Format(s fmt.State, _ rune) { io.WriteString(s, l.String()) }

// Format writes String.
func (f ClientFrame) Format(s fmt.State, _ rune) { io.WriteString(s, f.String()) }

// Format writes String.
func (l FileLink) Format(s fmt.State, _ rune) { io.WriteString(s, l.String()) }

// GoString is String: a value has no Go syntax.
func (v Value) GoString() string { return v.String() }
