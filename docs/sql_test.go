package docs_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

var update = flag.Bool("update", false, "write what the server answers into the document; read the difference")

// TestSQLReferenceIsTrue runs sql.md and sharing.md: every block, by the user that
// its first line names, and every row of the tables of expressions.
func TestSQLReferenceIsTrue(t *testing.T) {
	for _, file := range []string{"sql.md", "sharing.md"} {
		t.Run(file, func(t *testing.T) { isTrue(t, file) })
	}
}

func isTrue(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e := reference(t)
	lines := strings.Split(string(text), "\n")
	var out []string
	expressions := false
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		out = append(out, line)
		expressions = line == "| expression | result |" || expressions && strings.HasPrefix(line, "|")
		if m := expressionRow.FindStringSubmatch(line); expressions && m != nil {
			got := value(e, strings.ReplaceAll(m[1], `\|`, "|"))
			if got != m[2] && !*update {
				t.Errorf("line %d: %s\n got %s\nwant %s", i+1, m[1], got, m[2])
			}
			out[len(out)-1] = "| `" + m[1] + "` | " + got + " |"
			continue
		}
		info, ok := strings.CutPrefix(line, "```sql")
		if !ok {
			continue
		}
		begin := i + 1
		sql := fenced(lines, &i)
		out = append(out, lines[begin:i+1]...)
		answers := play(e, strings.TrimSpace(info), sql)
		if i+1 >= len(lines) || lines[i+1] != "```" {
			if strings.Contains("\n"+answers, "\n!") {
				t.Errorf("line %d: %s\n%s", begin, sql, answers)
			}
			continue
		}
		i++
		want := fenced(lines, &i)
		out = append(append(append(out, "```"), strings.Split(answers, "\n")...), "```")
		if answers != want && !*update {
			t.Errorf("line %d: %s\n got:\n%s\nwant:\n%s", begin, sql, answers, want)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var expressionRow = regexp.MustCompile("^\\| `(.*)` \\| (.*) \\|$")

// fenced reads the text of the fence that begins at line *i, and leaves *i at
// its end.
func fenced(lines []string, i *int) string {
	begin := *i + 1
	for *i++; lines[*i] != "```"; *i++ {
	}
	return strings.Join(lines[begin:*i], "\n")
}

// reference opens an engine with the users of the page.
func reference(t *testing.T) *engine.Engine {
	driver, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), driver, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	users, err := identity.New(db, identity.Options{KeyDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { users.Close() })
	e := engine.New(db, users, engine.Options{})
	root := &identity.Principal{UserID: identity.Root, Role: identity.RoleSystem, Issuer: identity.Issuer}
	for _, user := range []string{"admin WITH INTERNAL ROLE dba", "alice WITH INTERNAL ROLE user", "bob WITH INTERNAL ROLE user"} {
		if _, err := e.Run(t.Context(), root, &wire.Request{SQL: "CREATE USER " + user}); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// play runs the statements of a block, one request each and a transaction as a
// whole, and writes the answers.
func play(e *engine.Engine, user, sql string) string {
	who := &identity.Principal{UserID: "admin", Role: identity.RoleDBA, Issuer: identity.Issuer}
	if user != "" {
		who = &identity.Principal{UserID: user, Role: identity.RoleUser, Issuer: identity.Issuer}
	}
	var out []string
	parts, _ := dialect.Split(sql)
	for _, p := range parts {
		results, err := e.Run(context.Background(), who, &wire.Request{SQL: sql[p.Start:p.End]})
		var coded *wire.Error
		if errors.As(err, &coded) {
			text := "! " + string(coded.Code) + ": " + coded.Message
			if coded.Hint != "" {
				text += " " + coded.Hint
			}
			out = append(out, text)
			continue
		}
		for _, r := range results {
			out = append(out, shown(r)...)
		}
	}
	return strings.Join(out, "\n")
}

// shown writes a result: its columns and rows, or its message.
func shown(r wire.Result) []string {
	if len(r.Schema) == 0 {
		return []string{r.Message}
	}
	var out, names []string
	for _, f := range r.Schema {
		names = append(names, f.Name)
	}
	out = append(out, strings.Join(names, " | "))
	for _, row := range r.Rows {
		var cells []string
		for i, v := range row {
			cells = append(cells, text(v, r.Schema[i].Type))
		}
		out = append(out, strings.Join(cells, " | "))
	}
	return out
}

// value is an expression's value as text, or its error.
func value(e *engine.Engine, sql string) string {
	who := &identity.Principal{UserID: "alice", Role: identity.RoleUser, Issuer: identity.Issuer}
	results, err := e.Run(context.Background(), who, &wire.Request{SQL: "SELECT " + sql})
	var coded *wire.Error
	if errors.As(err, &coded) {
		return "! " + string(coded.Code)
	}
	return text(results[0].Rows[0][0], results[0].Schema[0].Type)
}

func text(v wire.Value, t wire.Type) string {
	if v.IsNull() {
		return "NULL"
	}
	n, err := expr.Cast(expr.Const(v, t), wire.Type{Kind: wire.Text})
	if err == nil {
		v, err = n.Eval(&expr.Env{})
	}
	if err != nil {
		return err.Error()
	}
	return v.Text()
}
