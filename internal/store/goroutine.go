package store

import (
	"bytes"
	"runtime"
)

// goroutine names the goroutine that calls it. Go says so in a stack trace only,
// which takes longer than a write: it is not for every write.
func goroutine() string {
	var trace [64]byte // "goroutine 7 [running]: ..."
	words := bytes.Fields(trace[:runtime.Stack(trace[:], false)])
	return string(words[1])
}
