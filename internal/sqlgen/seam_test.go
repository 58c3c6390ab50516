package sqlgen_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// engineWords is SQL that one engine alone understands. "?1" is a placeholder of
// SQLite: above the engines it is $1.
var engineWords = regexp.MustCompile(`(?i)sqlite_|\bglob\b|raise\(|json_(each|tree|group_array|group_object|patch)\b|\bjsonb_|collate nocase|` +
	`\bpragma\b|[ =(]\?[0-9]|\browid\b|\btypeof\(|\bifnull\(|\biif\(|unixepoch|julianday|strftime|\bunhex\(|\bzeroblob\(|randomblob|` +
	`group_concat|insert or |\bautoincrement\b|\) strict\b|explain query plan|\bas blob\)|x'[0-9a-f]*'|limit -1|` +
	`\bmax\(\w+(\([^)]*\))?, |\bmin\(\w+(\([^)]*\))?, |\) on conflict do |\bpg_|\bto_jsonb\b|\bfor update\b`)

// ownRooms are the folders of single engines, and of what only tests use.
var ownRooms = []string{"internal/store/sqlite", "internal/store/storetest", "internal/sqlgen/sqlite", "internal/sqlgen/postgres"}

// aboutSQL are folders whose texts speak of the dialect to people.
var aboutSQL = []string{"internal/dialect"}

func isName(text string) bool { return regexp.MustCompile(`^[\w .]*$`).MatchString(text) }

// TestNoEngineWordsAboveTheEngines reads the texts in the source of every room
// that is not of one engine.
func TestNoEngineWordsAboveTheEngines(t *testing.T) {
	read := 0
	for _, root := range []string{"internal", "cmd/kalam"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			room, _ := filepath.Rel("../..", path)
			if d.IsDir() {
				if slices.Contains(ownRooms, room) || slices.Contains(aboutSQL, room) || d.Name() == "testdata" {
					return fs.SkipDir
				}
				return nil
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			read++
			file := token.NewFileSet()
			f, err := parser.ParseFile(file, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(lit.Value)
				if word := engineWords.FindString(text); err == nil && word != "" && !isName(text) {
					t.Errorf("%s:%d has %q, which one engine alone understands: put it behind sqlgen.Target or store.Driver\n%s",
						room, file.Position(lit.Pos()).Line, word, text)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read < 270 {
		t.Errorf("only %d files were read", read)
	}
}

// engineImports are what knows SQLite. bench compares the server with it.
var (
	engineImports = regexp.MustCompile(`internal/(store|sqlgen)/(sqlite|postgres)$|zombiezen\.com/|modernc\.org/sqlite|^database/sql$`)
	mayImport     = []string{"internal/node", "internal/store/sqlite", "bench"}
)

// TestOnlyTheNodeImportsAnEngine asks the go command who imports what.
func TestOnlyTheNodeImportsAnEngine(t *testing.T) {
	const module = "github.com/kalamdb/kalam-go/"
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{range .Imports}}{{.}} {{end}}", module+"...").Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	seen := make(map[string]bool)
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		path, imports, _ := strings.Cut(line, " ")
		room := strings.TrimPrefix(path, module)
		for _, name := range strings.Fields(imports) {
			if !engineImports.MatchString(name) {
				continue
			}
			if seen[room] = true; !slices.Contains(mayImport, room) {
				t.Errorf("%s imports %s", room, name)
			}
		}
	}
	for _, room := range mayImport {
		if !seen[room] {
			t.Errorf("%s imports no engine: take it off the list", room)
		}
	}
}
