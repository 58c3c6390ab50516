//go:build postgres

package postgres_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/sqlgen/postgres"
	"github.com/kalamdb/kalam-go/wire"
)

// stmt is the type whose literals hold the server's SQL.
const stmt = "github.com/kalamdb/kalam-go/internal/store.Stmt"

// text is the SQL of a store.Stmt in the source.
type text struct {
	where string
	sql   string   // "" where it is put together when the program runs
	args  []string // PostgreSQL's types of the arguments; nil where they are not known
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// texts finds the literals of store.Stmt in the packages of the server.
func texts(t *testing.T) []text {
	t.Helper()
	out, err := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles", "../../...").Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	packages := make(map[string]listed)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(packages[path].Export) })
	var found []text
	for path, p := range packages {
		if !strings.Contains(path, "/internal/") || !strings.HasPrefix(path, "github.com/kalamdb/") || ownRoom(path) {
			continue
		}
		s := source{fset: fset, dir: p.Dir, info: &types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object)}}
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			s.files = append(s.files, f)
		}
		if _, err := (&types.Config{Importer: imports}).Check(path, fset, s.files, s.info); err != nil {
			t.Fatal(err)
		}
		found = append(found, s.texts()...)
	}
	slices.SortFunc(found, func(a, b text) int { return strings.Compare(a.where, b.where) })
	return found
}

// ownRoom reports whether a package is of one engine, or of tests.
func ownRoom(path string) bool {
	for _, room := range []string{"/store/sqlite", "/store/storetest", "/sqlgen/", "/servertest"} {
		if strings.Contains(path+"/", room) {
			return true
		}
	}
	return false
}

// source is a package as it is written.
type source struct {
	fset  *token.FileSet
	dir   string
	files []*ast.File
	info  *types.Info
}

func (s *source) texts() []text {
	var out []text
	for _, f := range s.files {
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				out = append(out, s.view(call)...)
			}
			lit, ok := n.(*ast.CompositeLit)
			if !ok || strings.TrimPrefix(s.info.TypeOf(lit).String(), "*") != stmt {
				return true
			}
			found := text{where: s.where(lit)}
			for _, e := range lit.Elts {
				kv := e.(*ast.KeyValueExpr)
				switch v := s.info.Types[kv.Value].Value; kv.Key.(*ast.Ident).Name {
				case "SQL":
					if v != nil {
						found.sql = constant.StringVal(v)
					}
				case "Args":
					found.args = s.argTypes(kv.Value)
				}
			}
			out = append(out, found)
			return true
		})
	}
	return out
}

func (s *source) where(n ast.Node) string {
	at := s.fset.Position(n.Pos())
	return fmt.Sprintf("%s/%s:%d", filepath.Base(s.dir), filepath.Base(at.Filename), at.Line)
}

// view returns the query that a call of catalog.NewSystem brings.
func (s *source) view(call *ast.CallExpr) []text {
	if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || sel.Sel.Name != "NewSystem" {
		return nil
	}
	if v := s.info.Types[call.Args[3]].Value; v != nil && constant.StringVal(v) != "" {
		return []text{{where: s.where(call), sql: constant.StringVal(v), args: []string{}}}
	}
	return nil
}

// argTypes reads []wire.Type{text, {Kind: wire.Bytes}}, types(wire.Text), and the
// names of such lists; nil for anything else.
func (s *source) argTypes(x ast.Expr) []string {
	var out []string
	switch x := x.(type) {
	case *ast.Ident:
		return s.argTypes(s.value(x))
	case *ast.CallExpr:
		for _, a := range x.Args {
			out = append(out, s.kindName(a))
		}
	case *ast.CompositeLit:
		for _, e := range x.Elts {
			out = append(out, s.typeName(e))
		}
	}
	if slices.Contains(out, "") {
		return nil
	}
	return out
}

func (s *source) typeName(x ast.Expr) string {
	if id, ok := x.(*ast.Ident); ok {
		x = s.value(id)
	}
	lit, ok := x.(*ast.CompositeLit)
	if !ok || len(lit.Elts) != 1 {
		return ""
	}
	return s.kindName(lit.Elts[0].(*ast.KeyValueExpr).Value)
}

func (s *source) kindName(x ast.Expr) string {
	v := s.info.Types[x].Value
	if v == nil {
		return ""
	}
	k, _ := constant.Int64Val(v)
	return postgres.Target{}.Type(wire.Type{Kind: wire.Kind(k)})
}

// value is what a variable of the package begins as.
func (s *source) value(id *ast.Ident) ast.Expr {
	use := s.info.Uses[id]
	for _, f := range s.files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok || len(v.Values) != len(v.Names) {
					continue
				}
				for i, name := range v.Names {
					if name.Pos() == use.Pos() {
						return v.Values[i]
					}
				}
			}
		}
	}
	return nil
}

// prepares are the functions that the tests use.
const prepares = `CREATE FUNCTION pg_temp.prepares(q text) RETURNS text LANGUAGE plpgsql AS $prepares$
BEGIN
	EXECUTE 'PREPARE fixed' || q;
	DEALLOCATE fixed;
	RETURN 'ok';
END $prepares$;
`

// made are the files with statements that are put together when the program
// runs, and from what.
var made = map[string]string{
	"engine/statement.go": "a bound statement",
	"store/table.go":      "a table",
	"store/expire.go":     "a table",
	"store/erase.go":      "a table",
	"store/alter.go":      "a table",
	"store/index.go":      "a table, or the target",
	"store/files.go":      "a table",
	"identity/user.go":    "a column of users",
}

// TestPostgreSQLPreparesEveryFixedText prepares every statement that stands in
// the source above the engines, with the types of its arguments.
func TestPostgreSQLPreparesEveryFixedText(t *testing.T) {
	var queries []string
	var fixed []text
	for _, s := range texts(t) {
		file, _, _ := strings.Cut(s.where, ":")
		switch {
		case s.sql == "" && made[file] == "":
			t.Errorf("%s: the text is put together when the program runs; make it a constant, or say in this test from what it is", s.where)
		case s.sql == "", strings.HasPrefix(s.sql, "SAVEPOINT "), strings.HasPrefix(s.sql, "RELEASE "), strings.HasPrefix(s.sql, "ROLLBACK "):
		default:
			declared := ""
			if len(s.args) > 0 {
				declared = "(" + strings.Join(s.args, ", ") + ")"
			}
			fixed = append(fixed, s)
			queries = append(queries, "SELECT pg_temp.prepares($q$"+declared+" AS "+s.sql+"$q$)")
		}
	}
	if len(fixed) < 140 {
		t.Errorf("only %d texts were found", len(fixed))
	}
	for i, got := range ask(t, postgres.Definitions+postgres.Schema+prepares, queries) {
		if got != "ok" {
			t.Errorf("%s: %s\n%s%s", fixed[i].where, fixed[i].sql, got, strings.Join(fixed[i].args, ", "))
		}
	}
	t.Logf("%d texts prepared", len(fixed))
}
