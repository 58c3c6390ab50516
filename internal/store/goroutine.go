//go:build amd64 || arm64

package store

// goroutine identifies the goroutine that calls it, for as long as that runs. Go
// does not say it otherwise at a price that each write could pay.
func goroutine() uintptr
