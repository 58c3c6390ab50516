//go:build !js

package consumer

import (
	"fmt"
	"io"
)

// Format writes String whatever the verb.
func (x *Consumer) Format(s fmt.State, _ rune) { io.WriteString(s, x.String()) }

// GoString is String: a message has no Go syntax.
func (m *Message) GoString() string { return m.String() }
