// Package docs_test keeps the documentation true.
package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// listed are the ids that docs/security.md must speak of.
func listed() []string {
	ids := []string{
		"A01", "A02", "A04", "A06", "A07", "A08", "A09", "A11", "A12", "A13", "A14", "A16", "A18", "A20", "A21", "A22", "A23", "A25",
		"B01", "B02", "B03", "B04", "B06", "B07", "B08", "B09", "B10", "B11", "B13", "B15",
	}
	for i := 1; i <= 76; i++ {
		ids = append(ids, fmt.Sprintf("S%02d", i))
	}
	for i := 1; i <= 15; i++ {
		ids = append(ids, fmt.Sprintf("R%02d", i))
	}
	return ids
}

// tests are the names of all tests of the module.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	name := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	out := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range name.FindAllSubmatch(text, -1) {
			out[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryRequirementHasATestOrAReason(t *testing.T) {
	text, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	known := tests(t)
	row := regexp.MustCompile(`(?m)^\| ([ABCRS]\d\d) \| ([^|]+) \| ([^|]+) \|`)
	named := regexp.MustCompile("`(Test\\w+)`")
	seen := make(map[string]int)
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		id, about, proof := m[1], m[2], m[3]
		seen[id]++
		if strings.TrimSpace(about) == "" {
			t.Errorf("%s: about nothing", id)
		}
		list := named.FindAllStringSubmatch(proof, -1)
		for _, n := range list {
			if !known[n[1]] {
				t.Errorf("%s: there is no test %s", id, n[1])
			}
		}
		reason := strings.HasPrefix(proof, "Not yet") || strings.HasPrefix(proof, "Does not apply: ")
		if len(list) == 0 && !(reason && len(proof) > 15) {
			t.Errorf("%s: neither a test nor a reason: %q", id, proof)
		}
	}
	for _, id := range listed() {
		if seen[id] != 1 {
			t.Errorf("%s stands there %d times", id, seen[id])
		}
		delete(seen, id)
	}
	for id, n := range seen {
		switch {
		case n > 1:
			t.Errorf("%s stands there %d times", id, n)
		case id[0] != 'R' && id[0] != 'C': // resources and accounts, which nobody else has numbered
			t.Errorf("%s is not on the list", id)
		}
	}
}

// TestGoBlocksAreRun: every Go block of a document is part of what its test runs,
// apart from its indentation.
func TestGoBlocksAreRun(t *testing.T) {
	for document, run := range map[string]string{
		"authentication.md": "example_test.go", "files.md": "files_example_test.go", "live.md": "live_example_test.go", "topics.md": "topics_example_test.go",
	} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		program, err := os.ReadFile(run)
		if err != nil {
			t.Fatal(err)
		}
		flat := func(s string) string {
			return regexp.MustCompile(`\n\s*`).ReplaceAllString(strings.TrimSpace(s), "\n")
		}
		runs := flat(string(program))
		blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		if len(blocks) < 2 {
			t.Fatalf("%s: %d blocks", document, len(blocks))
		}
		for _, b := range blocks {
			for _, piece := range strings.Split(b[1], "\n\n") { // between pieces the test looks at what came of them
				if !strings.Contains(runs, flat(piece)) {
					t.Errorf("%s: this is not run:\n%s", document, piece)
				}
			}
		}
	}
}
