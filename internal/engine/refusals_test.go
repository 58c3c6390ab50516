package engine_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

// TestEveryStatementIsRefusedSomewhere goes by the scripts of testdata: each
// kind of statement of the tree has a case that is an error with a code and a
// place.
func TestEveryStatementIsRefusedSomewhere(t *testing.T) {
	refused := map[string]bool{}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split("\n"+string(text), "\n> ") {
			sql, answer, ok := strings.Cut(block, "\n! ")
			if !ok {
				continue
			}
			_, place, _ := strings.Cut(answer, " ")
			if kind := kindAt(strings.ReplaceAll(sql, "\n  ", "\n"), place); kind != "" {
				refused[kind] = true
			}
		}
	}
	for _, kind := range statementKinds(t) {
		if !refused[kind] {
			t.Errorf("no script has a %s that is refused with a place", kind)
		}
	}
}

// kindAt is the kind of the statement at a place, "3:7 ...", of a text that
// parses; "" if there is none.
func kindAt(sql, place string) string {
	place, _, _ = strings.Cut(place, " ")
	l, c, _ := strings.Cut(place, ":")
	line, err := strconv.Atoi(l)
	column, err2 := strconv.Atoi(c)
	src, err3 := dialect.Parse(sql)
	if err != nil || err2 != nil || err3 != nil {
		return ""
	}
	at := column - 1
	for _, text := range strings.SplitAfter(sql, "\n")[:line-1] {
		at += len(text)
	}
	kind := ""
	for _, s := range src.Statements {
		if int(s.Pos()) <= at {
			kind = reflect.TypeOf(s).Elem().Name()
		}
	}
	return kind
}

// statementKinds are the types of package dialect that are statements.
func statementKinds(t *testing.T) []string {
	files, err := filepath.Glob("../dialect/tree*.go")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "statement" && fn.Recv != nil {
				kinds = append(kinds, fn.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name)
			}
		}
	}
	if slices.Sort(kinds); len(kinds) < 30 {
		t.Fatalf("found only %q", kinds)
	}
	return kinds
}
