package main

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEveryCommandThatIsNamedExists looks at what texts of the program and the
// documentation say to run.
func TestEveryCommandThatIsNamedExists(t *testing.T) {
	app, err := kong.New(&cli{}, kong.Name("kalam"), kong.Exit(func(int) {}), kong.Writers(io.Discard, io.Discard), kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	check := func(where, text string) {
		for _, m := range regexp.MustCompile(`(?:^|[\s;|&(/"'`+"`"+`])kalam ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)*)((?: +--?[a-z][a-z-]*)*)`).FindAllStringSubmatch(text, -1) {
			node, words := app.Model.Node, strings.Fields(m[1])
			depth := 0
			for len(words) > depth {
				next := child(node, words[depth])
				if next == nil {
					break
				}
				node = next
				depth++
			}
			named++
			switch {
			case depth == 0 && words[0] != "help":
				t.Errorf("%s: there is no command kalam %s", where, words[0])
			case len(node.Children) > 0 && len(words) > depth && node != app.Model.Node:
				t.Errorf("%s: there is no command %s %s", where, node.FullPath(), words[depth])
			}
			for _, flag := range strings.Fields(m[2]) {
				if !hasFlag(node, flag) {
					t.Errorf("%s: %s has no flag %s", where, node.FullPath(), flag)
				}
			}
		}
	}
	root := "../.."
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") && name != ".ci" || name == "node_modules" || name == "dist" || name == "testdata" || name == "bin" || name == "demo" || name == "data" || name == "bench") {
				return filepath.SkipDir
			}
			return nil
		}
		switch {
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
			checkLiterals(t, path, check)
		case strings.HasSuffix(name, ".md"):
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, code := range regexp.MustCompile("(?s)```.*?```|`[^`\n]*`").FindAllString(string(b), -1) {
				check(path, code)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if named < 100 {
		t.Errorf("only %d commands are named: the texts were not found", named)
	}
}

// checkLiterals checks the text literals of a Go file.
func checkLiterals(t *testing.T, path string, check func(where, text string)) {
	files := gotoken.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == gotoken.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				check(files.Position(lit.Pos()).String(), text)
			}
		}
		return true
	})
}

func child(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func hasFlag(n *kong.Node, text string) bool {
	for _, group := range n.AllFlags(false) {
		for _, f := range group {
			if text == "--"+f.Name || text == "-"+string(f.Short) {
				return true
			}
		}
	}
	return false
}
