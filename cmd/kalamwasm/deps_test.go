//go:build !js

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWasmDependencies compares what the WebAssembly build links with the list
// in deps.txt. A package more is a megabyte more for every visitor of a page
// (net/http), or a tenth of one (fmt): before adding it to the list, look for a
// way without it.
func TestWasmDependencies(t *testing.T) {
	list := exec.Command("go", "list", "-deps", ".")
	list.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	b, err := os.ReadFile("deps.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, name := range strings.Fields(string(b)) {
		known[name] = true
	}
	for _, name := range strings.Fields(string(out)) {
		if !known[name] {
			t.Errorf("the build now links %s, which is not in deps.txt", name)
		}
	}
}

// TestWasmBuilds links the program.
func TestWasmBuilds(t *testing.T) {
	build := exec.Command("go", "build", "-o", filepath.Join(t.TempDir(), "kalam.wasm"), ".")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
