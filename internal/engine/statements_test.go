package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// statement is one of testdata/postgres: a line "> SQL" and what PostgreSQL
// answers to it: its rows, as psql prints them, or "!".
type statement struct {
	line int
	sql  string
	want []string
}

func readStatements(t *testing.T, file string) (lines []string, list []*statement) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i, line := range lines {
		if sql, ok := strings.CutPrefix(line, "> "); ok {
			list = append(list, &statement{line: i + 1, sql: sql})
		} else if line != "" && !strings.HasPrefix(line, "#") {
			last := list[len(list)-1]
			last.want = append(last.want, line)
		}
	}
	return lines, list
}

func statementFiles(t *testing.T) []string {
	files, err := filepath.Glob("testdata/postgres/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no statements: %v", err)
	}
	return files
}

// TestStatementsMeanWhatPostgreSQLMeans runs the statements on SHARED tables,
// and again on USER tables beside the rows of another user.
func TestStatementsMeanWhatPostgreSQLMeans(t *testing.T) {
	for _, file := range statementFiles(t) {
		for _, kind := range []string{"SHARED", "USER"} {
			t.Run(filepath.Base(file)+"/"+kind, func(t *testing.T) {
				_, list := readStatements(t, file)
				e := open(t)
				for i := 0; i < len(list); i++ {
					group := list[i : i+1]
					if list[i].sql == "BEGIN" { // a transaction is one request
						for list[i].sql != "COMMIT" && list[i].sql != "ROLLBACK" {
							i++
							group = group[:len(group)+1]
						}
					}
					compare(t, e, root, kind, group)
					if kind == "USER" {
						compareNone(e, kind, group)
					}
				}
			})
		}
	}
}

// compareNone runs statements as a second user, whose rows are nobody else's.
func compareNone(e *engine.Engine, kind string, group []*statement) {
	switch verb, _, _ := strings.Cut(group[0].sql, " "); verb {
	case "INSERT", "UPDATE", "DELETE":
		e.Run(context.Background(), &identity.Principal{UserID: "beside", Role: identity.RoleSystem}, &wire.Request{SQL: group[0].sql})
	}
}

func compare(t *testing.T, e *engine.Engine, who *identity.Principal, kind string, group []*statement) {
	var texts []string
	for _, s := range group {
		texts = append(texts, strings.Replace(s.sql, "CREATE TABLE", "CREATE "+kind+" TABLE", 1))
	}
	results, err := e.Run(context.Background(), who, &wire.Request{SQL: strings.Join(texts, ";\n")})
	for i, s := range group {
		got := "!"
		if err == nil {
			got = strings.Join(psqlRows(t, results[i]), "\n")
		}
		if want := strings.Join(s.want, "\n"); got != want {
			t.Errorf("line %d: %s\n%v\ngot:\n%s\nPostgreSQL:\n%s", s.line, s.sql, err, got, want)
		}
	}
}

// psqlRows writes the rows of a result as psql does without alignment.
func psqlRows(t *testing.T, res wire.Result) []string {
	var out []string
	for _, row := range res.Rows {
		var cells []string
		for i, v := range row {
			typ := res.Schema[i].Type
			switch {
			case v.IsNull():
				cells = append(cells, "NULL")
			case typ.Kind == wire.Boolean:
				cells = append(cells, map[bool]string{true: "t", false: "f"}[v.Bool()])
			default:
				n, err := expr.Cast(expr.Const(v, typ), wire.Type{Kind: wire.Text})
				if err != nil {
					t.Fatal(err)
				}
				text, err := n.Eval(&expr.Env{})
				if err != nil {
					t.Fatal(err)
				}
				cells = append(cells, text.Text())
			}
		}
		out = append(out, strings.Join(cells, " | "))
	}
	return out
}
