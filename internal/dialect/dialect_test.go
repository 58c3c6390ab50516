package dialect_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

func TestTextsOfStatements(t *testing.T) {
	src, err := dialect.Parse(" ;; SELECT ';' -- one; \n ; /* x */ DELETE FROM t /* y */;\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(src.Texts, "|"); got != "SELECT ';'|DELETE FROM t" {
		t.Errorf("texts are %q", got)
	}
	for _, sql := range []string{"", " \n", ";", "-- nothing", "/* nothing */ ; "} {
		src, err := dialect.Parse(sql)
		if err != nil || len(src.Statements) != 0 || len(src.Texts) != 0 {
			t.Errorf("%q gives %v, %v", sql, src, err)
		}
	}
}

func TestErrorsHaveAPlace(t *testing.T) {
	for _, c := range []struct {
		sql          string
		line, column int
		message      string
	}{
		{"SELECT 'ä€', +", 1, 15, "expected an expression, found the end of the text"},
		{"SELECT\r\n\t\"ä\" FROM", 2, 10, "expected a table, found the end of the text"},
		{"SELECT 1\x00", 1, 9, "the text holds a NUL byte"},
		{"SELECT\n'ä\xff'", 2, 3, "the text is not valid UTF-8"},
		{"SELECT '\uFFFD' \xc3", 1, 12, "the text is not valid UTF-8"},
		{"SELECT a FROM t " + strings.Repeat("x", 50) + " y", 1, 68, `expected ";" or the end of the text, found "y"`},
		{"SELECT a FROM t y " + strings.Repeat("é", 50), 1, 19, "unexpected character 'é'; a name with letters outside ASCII must be quoted"},
		{"SELECT a FROM t y " + strings.Repeat("x", 50), 1, 19,
			`expected ";" or the end of the text, found "` + strings.Repeat("x", 40) + `..."`},
	} {
		_, err := dialect.Parse(c.sql)
		var e *dialect.Error
		if !errors.As(err, &e) {
			t.Errorf("%q gives %v", c.sql, err)
			continue
		}
		if e.Line != c.line || e.Column != c.column || e.Message != c.message {
			t.Errorf("%q gives %d:%d %s\nwant %d:%d %s", c.sql, e.Line, e.Column, e.Message, c.line, c.column, c.message)
		}
		if line, column := dialect.Place(c.sql, e.Pos); line != e.Line || column != e.Column {
			t.Errorf("%q: Place gives %d:%d, the error %d:%d", c.sql, line, column, e.Line, e.Column)
		}
	}
}

func TestErrorsShowNoLiterals(t *testing.T) {
	for _, sql := range []string{
		"CREATE USER bob WITH PASSWORD hunter2",
		`CREATE USER bob WITH PASSWORD "hunter2"`,
		"CREATE USER bob WITH PASSWORD 'a' 'hunter2'",
		"ALTER USER bob SET PASSWORD hunter2",
		"ALTER USER bob 'hunter2'",
		"SELECT a FROM t WHERE b = 1 'hunter2'",
		"SELECT $$hunter2",
		"SELECT 'hunter2",
	} {
		if _, err := dialect.Parse(sql); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s gives %v", sql, err)
		}
	}
}

func TestPlaceOutsideTheText(t *testing.T) {
	for _, c := range []struct {
		pos          dialect.Pos
		line, column int
	}{{-1, 1, 1}, {0, 1, 1}, {3, 2, 1}, {99, 2, 2}} {
		if line, column := dialect.Place("ab\nc", c.pos); line != c.line || column != c.column {
			t.Errorf("%d is at %d:%d, want %d:%d", c.pos, line, column, c.line, c.column)
		}
	}
}

func TestParseExprTakesOneExpression(t *testing.T) {
	x, err := dialect.ParseExpr(" a = $1 AND b LIKE 'x%' ")
	if err != nil {
		t.Fatal(err)
	}
	if got := dialect.Print(x); got != "a = $1 AND b LIKE 'x%'" {
		t.Errorf("prints as %s", got)
	}
	for _, sql := range []string{"", "a b", "a, b", "a;", "a AS b", "SELECT 1", "*"} {
		if _, err := dialect.ParseExpr(sql); err == nil {
			t.Errorf("%q is accepted", sql)
		}
	}
}

func TestPositionsPointAtTheText(t *testing.T) {
	const sql = "SELECT a + b, f(c) FROM t WHERE x IS NULL"
	src, err := dialect.Parse(sql)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"SELECT", "SELECT", "+", "a", "b", "f", "c", "t", "IS", "x"}
	dialect.Walk(src.Statements[0], func(n dialect.Node) bool {
		if len(want) == 0 || !strings.HasPrefix(sql[n.Pos():], want[0]) {
			t.Errorf("%T is at %q, want %q", n, sql[n.Pos():], want)
			return false
		}
		want = want[1:]
		return true
	})
}

func TestRedact(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT a, 'x', 1.5, $1 FROM t WHERE b = E'\\'' AND c = $$x$$": "SELECT a, ?, ?, $1 FROM t WHERE b = ? AND c = ?",
		"SELECT -1, X'ff' /* secret */ , \"A\" -- secret":              "SELECT -?, ? , \"A\" ",
		"INSERT INTO t\nVALUES ('a', 2)":                               "INSERT INTO t\nVALUES (?, ?)",
		"CREATE USER bob WITH PASSWORD 'x' ROLE user":                  "CREATE USER bob WITH PASSWORD ? ROLE user",
		"CREATE USER bob WITH PASSWORD \"x\" ROLE user":                "CREATE USER bob WITH PASSWORD ? ROLE user",
		"ALTER USER bob SET PASSWORD = x y; SELECT a":                  "ALTER USER bob SET PASSWORD ? ? ?; SELECT a",
		"SELECT password FROM t WHERE user_id = 5":                     "SELECT password FROM t WHERE user_id = ?",
		"SELECT 'open secret":                                          "SELECT ?",
		"SELECT \"open secret":                                         "SELECT ?",
		"SELECT $$open secret":                                         "SELECT ?",
		"SELECT ‘secret’ text":                                         "SELECT ?",
		"SELECT 12secret":                                              "SELECT ?",
		"SELECT a\xff 'secret'":                                        "SELECT ?",
		"SELECT 1 /* secret":                                           "SELECT ? ",
		"":                                                             "",
	} {
		if got := dialect.Redact(sql); got != want {
			t.Errorf("%q\n got %q\nwant %q", sql, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name   string
		quoted bool
		ok     bool
	}{
		{"a", false, true}, {"a_1", false, true}, {"A1", false, true}, {strings.Repeat("a", 64), false, true},
		{strings.Repeat("a", 65), false, false}, {"_a", false, false}, {"1a", false, false}, {"a b", false, false},
		{"", false, false}, {"ä", false, false}, {"a-b", false, false}, {"a\n", false, false},
		{"_a", true, true}, {"1 a", true, true}, {strings.Repeat("ä", 64), true, true},
		{strings.Repeat("ä", 65), true, false}, {"a\tb", true, false}, {"a\u0085b", true, false}, {"", true, false},
		{"a\xff", true, false},
	} {
		err := dialect.CheckName(dialect.Ident{Name: c.name, Quoted: c.quoted, Pos: 7})
		if (err == nil) != c.ok {
			t.Errorf("%q (quoted %v) gives %v", c.name, c.quoted, err)
		}
		var e *dialect.Error
		if err != nil && (!errors.As(err, &e) || e.Pos != 7) {
			t.Errorf("%q: the error has no position", c.name)
		}
	}
	for name, want := range map[string]bool{"system": true, "System": true, "datafusion": true, "app": false, "": false} {
		if dialect.ReservedNamespace(name) != want {
			t.Errorf("namespace %q: reserved is not %v", name, want)
		}
	}
	for name, want := range map[string]bool{"_seq": true, "_DELETED": true, "_hash": true, "id": false, "seq": false} {
		if dialect.ReservedColumn(name) != want {
			t.Errorf("column %q: reserved is not %v", name, want)
		}
	}
}
