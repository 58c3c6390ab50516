package dialect_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

var update = flag.Bool("update", false, "write what the parser answers into testdata")

// TestCases parses every text in testdata. Blocks are separated by a blank
// line; a block is the text and then what comes of it, which begins with a mark: "= " the canonical print of a statement, "! " line:column and
// message of an error, "~ " the same of what is not supported.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runCases(t, file) })
	}
}

func runCases(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimRight(string(data), "\n"), "\n\n") {
		var sql, want []string
		for _, line := range strings.Split(block, "\n") {
			if want != nil || len(line) > 1 && line[1] == ' ' && strings.ContainsAny(line[:1], "=!~") {
				want = append(want, line)
			} else {
				sql = append(sql, line)
			}
		}
		text := strings.Join(sql, "\n")
		got := answer(text)
		if !*update && got != strings.Join(want, "\n") {
			t.Errorf("%s\n got %s\nwant %s", text, got, strings.Join(want, "\n     "))
		}
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "%s\n%s\n", text, got)
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// answer is what a case file says of a text.
func answer(sql string) string {
	src, err := dialect.Parse(sql)
	if err != nil {
		var e *dialect.Error
		if !errors.As(err, &e) {
			return "not a *dialect.Error: " + err.Error()
		}
		mark := "!"
		if e.Unsupported {
			mark = "~"
		}
		return fmt.Sprintf("%s %d:%d %s", mark, e.Line, e.Column, e.Message)
	}
	var lines []string
	for _, s := range src.Statements {
		lines = append(lines, "= "+dialect.Print(s))
	}
	return strings.Join(lines, "\n")
}
