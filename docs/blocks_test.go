package docs_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// runners says for each document what runs its blocks, by their language: a file
// with tests that reads the document.
var runners = map[string]map[string]string{
	"README.md":                   {"sh": readmeTest, "go": readmeTest, "": readmeTest},
	"docs/authentication-page.md": {"ts": "ts/test/support/page.mjs"},
	"docs/authentication.md": {
		"go": "docs/docs_test.go", "ts": "ts/test/readmes.test.mjs",
		"sh": "docs/authentication_test.go", "sql": "docs/authentication_test.go", "toml": "docs/authentication_test.go", "json": "docs/authentication_test.go",
	},
	"docs/files.md":               {"go": "docs/docs_test.go", "sh": "docs/commands_test.go", "sql": "docs/commands_test.go", "json": "docs/commands_test.go"},
	"docs/live.md":                {"go": "docs/docs_test.go"},
	"docs/sharing.md":             {"sql": "docs/sql_test.go", "": "docs/sql_test.go"},
	"docs/sql.md":                 {"sql": "docs/sql_test.go", "": "docs/sql_test.go"},
	"docs/topics.md":              {"go": "docs/docs_test.go", "sh": "docs/commands_test.go", "sql": "docs/commands_test.go"},
	"docs/typescript.md":          {"ts": "ts/test/docs.test.mjs", "sh": "ts/test/browser-packages.test.mjs", "html": "ts/test/browser-packages.test.mjs", "nginx": "ts/test/browser-packages.test.mjs", "js": notRun},
	"examples/web-chat/README.md": {"sh": "ts/test/readmes.test.mjs"},
	"examples/one-page/README.md": {"sh": "ts/test/readmes.test.mjs"},
	"ts/client/README.md":         {"ts": "ts/test/readmes.test.mjs"},
}

const (
	readmeTest = "cmd/kalam/readme_test.go"
	notRun     = "" // lines for a program of the reader's that is not here
)

// TestEveryBlockIsRun: a fenced block of a document has a language, and a test
// that runs the blocks of that document in that language. The language text is
// for forms and pictures.
func TestEveryBlockIsRun(t *testing.T) {
	unused := maps.Clone(runners)
	for document, text := range documents(t) {
		inside := false
		for n, line := range strings.Split(text, "\n") {
			info, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
			if !isFence {
				continue
			}
			if inside = !inside; !inside {
				continue
			}
			language, _, _ := strings.Cut(info, " ") // sql.md names the user behind it
			runner, known := runners[document][language]
			switch {
			case language == "text":
			case !known:
				t.Errorf("%s:%d: no test runs the blocks %q of this document", document, n+1, language)
			case runner != notRun:
				reads(t, runner, filepath.Base(document))
			}
		}
		delete(unused, document)
	}
	for document := range unused {
		t.Errorf("%s is not there", document)
	}
}

// reads checks that a file with tests names a document.
func reads(t *testing.T, runner, document string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", runner))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), document) {
		t.Errorf("%s does not read %s", runner, document)
	}
}

// documents are the texts of all documents, by their paths.
func documents(t *testing.T) map[string]string {
	t.Helper()
	list := make(map[string]string)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"node_modules", ".git", "bin", "demo", "dist"}, d.Name()) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		list[filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))] = string(text)
		return err
	})
	if err != nil || len(list) < 10 {
		t.Fatalf("%d documents: %v", len(list), err)
	}
	return list
}
