package docs_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors reads the rooms of ARCHITECTURE.md, the highest floor first.
func floors(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "### What a room may import\n")
	_, block, found := strings.Cut(after, "```text\n")
	block, _, ended := strings.Cut(block, "```")
	if !ok || !found || !ended {
		t.Fatal("ARCHITECTURE.md does not say what a room may import")
	}
	var out [][]string
	for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
		out = append(out, strings.Fields(line))
	}
	return out
}

// TestRoomsImportDownwards compares the floors of ARCHITECTURE.md with what the
// packages import. A folder within another may be on its floor.
func TestRoomsImportDownwards(t *testing.T) {
	const module = "github.com/kalamdb/kalam-go/"
	room := func(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "internal/") }
	at := make(map[string]int)
	for i, floor := range floors(t) {
		for _, name := range floor {
			at[name] = i
		}
	}
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{range .Imports}}{{.}} {{end}}", module+"internal/...", module+"cmd/kalam", module+"wire").Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	var seen []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		words := strings.Fields(line)
		name := room(words[0])
		seen = append(seen, name)
		floor, ok := at[name]
		if !ok {
			t.Errorf("ARCHITECTURE.md has no floor for %s", name)
			continue
		}
		for _, path := range words[1:] {
			below, ok := at[room(path)]
			if strings.HasPrefix(path, module) && ok && below <= floor {
				t.Errorf("%s imports %s, which is not on a floor below", name, room(path))
			}
		}
	}
	for name := range at {
		if !slices.Contains(seen, name) {
			t.Errorf("ARCHITECTURE.md has a floor for %s, which is no package", name)
		}
	}
}
