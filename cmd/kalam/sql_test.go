package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

func TestTableOutput(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	out := p.ok("", "sql", "-e", `
		INSERT INTO chat.messages (id, body, created_at) VALUES (1, 'a, "b"', '2026-01-02T03:04:05.5Z'), (2, '', '2026-01-02T03:04:05Z');
		SELECT id, body, created_at, NULL AS n, X'00ff' AS b, 1.50 AS d, true AS ok FROM chat.messages WHERE id < 3;
		SELECT id FROM chat.messages WHERE id = 1; SELECT id FROM chat.messages WHERE id = 3`)
	for _, want := range []string{
		"Query OK: Inserted 2 row(s)\nTook: ",
		"│ id │ body   │ created_at             │ n    │ b      │ d    │ ok   │\n",
		`│  1 │ a, "b" │ 2026-01-02T03:04:05.5Z │ NULL │ \x00ff │ 1.50 │ true │` + "\n",
		`│  2 │        │ 2026-01-02T03:04:05Z   │ NULL │ \x00ff │ 1.50 │ true │` + "\n",
		"\n(2 rows)\nTook: ", "\n(1 row)\nTook: ", "\n(0 rows)\nTook: ", " ms\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestJSONAndCSVOutput(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	query := "SELECT id, body, NULL AS n, '' AS e, created_at FROM chat.messages WHERE id < 3"
	p.ok("", "sql", "-e", `INSERT INTO chat.messages (id, body, created_at) VALUES (1, 'a,"b"', '2026-01-02T03:04:05Z'), (2, ' x', '2026-01-02T03:04:05Z')`)
	want := `[{"id":"1","body":"a,\"b\"","n":null,"e":"","created_at":1767323045000000},
 {"id":"2","body":" x","n":null,"e":"","created_at":1767323045000000}]
`
	if out := p.ok("", "sql", "--json", "-e", query); out != want {
		t.Errorf("JSON: %s", out)
	}
	want = `id,body,n,e,created_at
1,"a,""b""",,"",2026-01-02T03:04:05Z
2," x",,"",2026-01-02T03:04:05Z
`
	if out := p.ok("", "sql", "--format", "csv", "-e", query); out != want {
		t.Errorf("CSV: %s", out)
	}
	if out := p.ok("", "sql", "--json", "-e", "DELETE FROM chat.messages WHERE id = 1"); out != `{"message":"Deleted 1 row(s)","row_count":1}`+"\n" {
		t.Errorf("JSON of a delete: %s", out)
	}
}

func TestCellsCannotDriveTheTerminal(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	out := p.ok("", "sql", "-e", `SELECT E'\x1b[2Jgone' AS body`)
	if strings.Contains(out, "\x1b") || !strings.Contains(out, `\x1b[2Jgone`) {
		t.Errorf("got %q", out)
	}
}

func TestErrorsShowThePlace(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	o := p.fails(1, "", "sql", "-e", "SELECT 1;\nSELECT id,\n\tboddy FROM chat.messages; SELECT 3")
	want := "(line 3, column 2)\n\n   boddy FROM chat.messages; SELECT 3\n   ^\n"
	if !strings.Contains(o.err, "COLUMN_NOT_FOUND") || !strings.Contains(o.err, want) {
		t.Errorf("no %q in\n%s", want, o.err)
	}
	if !strings.Contains(o.out, "(1 row)") || strings.Count(o.out, "Took") != 1 {
		t.Errorf("only the statement before it runs:\n%s", o.out)
	}
	o = p.fails(1, "INVALID_SQL", "sql", "-e", "SELECT 1; SELEC 2")
	if want := "(line 1, column 11)\n\n  SELECT 1; SELEC 2\n            ^\n"; !strings.Contains(o.err, want) {
		t.Errorf("no %q in\n%s", want, o.err)
	}
}

func TestScriptsComeFromFilesAndPipes(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	script := `-- two rows or none
BEGIN; INSERT INTO chat.messages (id, body) VALUES (1, 'semi;colon'); INSERT INTO chat.messages (id, body) VALUES (1, 'twice'); COMMIT;`
	if o := p.run(script, "sql"); o.code != 1 || !strings.Contains(o.err, "UNIQUE_VIOLATION") {
		t.Errorf("exit code %d: %s", o.code, o.err)
	}
	path := filepath.Join(p.home, "script.sql")
	script = strings.Replace(script, "(1, 'twice')", "(2, 'twice')", 1) + "\nSELECT count(*) AS n FROM chat.messages WHERE id < 3"
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := p.ok("", "sql", "--csv", "-f", path); !strings.HasSuffix(out, "n\n2\n") {
		t.Errorf("got %q", out)
	}
}

func TestUserFlagSignsInForThisCommandOnly(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := newPerson(t, "KALAM_URL="+s.URL, "KALAM_PASSWORD="+servertest.Password)
	if out := p.ok("", "sql", "--csv", "-u", "bob", "-e", "SELECT CURRENT_USER() AS who"); out != "who\nbob\n" {
		t.Errorf("got %q", out)
	}
	p.fails(1, "nobody is signed in", "sql", "-e", "SELECT 1")
	p.env[1] = "KALAM_PASSWORD=wrong"
	p.fails(1, "wrong user or password", "sql", "-u", "bob", "-e", "SELECT 1")
	p.env = p.env[:1]
	p.fails(1, "KALAM_PASSWORD", "sql", "-u", "bob", "-e", "SELECT 1")
}

func TestNamespaceFlagCompletesNames(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	if out := p.ok("", "sql", "--csv", "-n", "chat", "-e", "SELECT count(*) AS n FROM messages"); out != "n\n1\n" {
		t.Errorf("got %q", out)
	}
}

// TestNamespaceHoldsForLiveQueries chooses it with the flag, and with USE.
func TestNamespaceHoldsForLiveQueries(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	for _, args := range [][]string{
		{"sql", "-n", "chat", "-e", `\live SELECT id, body FROM messages`},
		{"sql", "-e", "USE chat", "-e", `\live SELECT id, body FROM messages`},
		{"sql", "--format", "json", "-e", "USE chat", "-e", `\live SELECT id, body FROM messages`},
	} {
		next, interrupt := follow(t, p, args...)
		for !strings.Contains(next(), "id") {
		}
		interrupt()
	}
}

// follow starts a live query and returns a function that reads its next line
// and one that ends it as Ctrl-C does.
func follow(t *testing.T, p *person, args ...string) (next func() string, interrupt func()) {
	t.Helper()
	cmd := p.command(args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	next = func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatal("the live query ended")
		}
		return lines.Text()
	}
	return next, func() {
		t.Helper()
		cmd.Process.Signal(syscall.SIGINT)
		for lines.Scan() {
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after Ctrl-C: %v", err)
		}
	}
}

func TestLivePrintsRowsAfterEveryChange(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	next, interrupt := follow(t, p, "sql", "-e", `\live SELECT id, body FROM chat.messages WHERE id < 10;`)
	for next() != "(0 rows)" {
	}
	p.ok("", "sql", "-e", "INSERT INTO chat.messages (id, body) VALUES (1, 'hello live')")
	for !strings.Contains(next(), "│ hello live │") {
	}
	for next() != "(1 row)" {
	}
	interrupt()
}

func TestLivePrintsEventsAsJSON(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	next, interrupt := follow(t, p, "sql", "--json", "-e", `\live SELECT id, body FROM chat.messages WHERE id < 10`)
	type event struct {
		Event     string
		Rows, Old []map[string]any
		Ready     bool
	}
	read := func() (e event) {
		t.Helper()
		line := next()
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return e
	}
	for e := read(); !e.Ready; e = read() {
	}
	p.ok("", "sql", "-e", "INSERT INTO chat.messages (id, body) VALUES (1, 'a'); UPDATE chat.messages SET body = 'b' WHERE id = 1; DELETE FROM chat.messages WHERE id = 1")
	if e := read(); e.Event != "insert" || e.Rows[0]["body"] != "a" || e.Rows[0]["id"] != "1" {
		t.Errorf("got %v", e)
	}
	if e := read(); e.Event != "update" || e.Rows[0]["body"] != "b" {
		t.Errorf("got %v", e)
	}
	if e := read(); e.Event != "delete" || e.Old[0]["id"] != "1" {
		t.Errorf("got %v", e)
	}
	interrupt()
}

func TestLiveErrorsEndTheCommand(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	p.fails(1, "kalam: ", "sql", "-e", `\live SELECT id FROM chat.nothing`)
	p.fails(2, "--format json", "sql", "--csv", "-e", `\live SELECT id FROM chat.messages`)
	p.fails(2, `did you mean \live?`, "sql", "-e", `\lives SELECT id FROM chat.messages`)
}

// TestFilesMayBeginWithAByteOrderMark, as those of some editors do.
func TestFilesMayBeginWithAByteOrderMark(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	const text = "\ufeffSELECT 1 AS one;\r\nSELECT 2 AS two;\r\n"
	if err := os.WriteFile(filepath.Join(p.home, "bom.sql"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "one\n1\ntwo\n2\n"
	if out := p.ok("", "sql", "--csv", "-f", "bom.sql"); out != want {
		t.Errorf("-f: %q", out)
	}
	if out := p.ok(text, "sql", "--csv"); out != want {
		t.Errorf("standard input: %q", out)
	}
	if out := p.ok("", "sql", "--csv", "-e", `\i bom.sql`); out != want {
		t.Errorf("\\i: %q", out)
	}
}

// TestLiveSaysWhenItIsDisconnected ends the server under a live query and starts
// it again.
func TestLiveSaysWhenItIsDisconnected(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	cmd := p.command("sql", "-e", `\live SELECT body FROM chat.messages`)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(errs); in.Scan(); {
			lines <- in.Text()
		}
	}()
	sees := func(what string) {
		t.Helper()
		deadline := time.After(time.Minute)
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					t.Fatalf("it ended before %q", what)
				}
				if strings.Contains(line, what) {
					return
				}
			case <-deadline:
				t.Fatalf("no %q", what)
			}
		}
	}
	sees("Live until Ctrl-C")
	// The query must be there before the server goes.
	admin := signedIn(t, s, "admin")
	for began := time.Now(); !strings.Contains(admin.ok("", "sql", "--csv", "-e", "SELECT count(*) FROM system.live"), "\n1\n"); {
		if time.Since(began) > time.Minute {
			t.Fatal("there is no live query")
		}
	}
	s.Close()
	sees("Disconnected, what you see may be old")
	servertest.Start(t, servertest.Options{Dir: s.Dir, Port: s.Port})
	sees("Connected again")
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
}
