// Package testsize gives long random tests their size: small by default, larger
// where an environment variable says so, as make soak and make fuzz do.
package testsize

import (
	"os"
	"strconv"
	"testing"
)

// Of is the number in an environment variable, or usual where that is not set.
// A variable that holds no number above 0 fails the test.
func Of(t testing.TB, variable string, usual int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: it takes a number from 1", variable, text)
	}
	return n
}
