//go:build !amd64 && !arm64

package store

// goroutine is 0 where it is not known which goroutine calls.
func goroutine() uintptr { return 0 }
