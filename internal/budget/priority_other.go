//go:build !linux

package budget

// Elsewhere the priority of a thread stays as it is.

func runsBehind() bool { return false }

func stepBack() {}

func stepForward() {}
