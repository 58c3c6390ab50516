//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// terminal is a pseudo terminal with a program in it.
type terminal struct {
	t    *testing.T
	side *os.File // ours
	cmd  *exec.Cmd

	mu    sync.Mutex
	seen  bytes.Buffer // guarded by mu
	asked bool         // guarded by mu: the program has asked where the cursor is
	more  chan struct{}
}

// resize gives the terminal so many columns.
func (c *terminal) resize(columns uint16) {
	c.t.Helper()
	if err := unix.IoctlSetWinsize(int(c.side.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		c.t.Fatal(err)
	}
}

func (p *person) terminal(args ...string) *terminal {
	p.t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { ours.Close() })
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	theirs, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer theirs.Close()
	cmd := p.command(args...)
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	term := &terminal{t: p.t, side: ours, cmd: cmd, more: make(chan struct{}, 1)}
	go term.read()
	return term
}

func (c *terminal) read() {
	for b := make([]byte, 4096); ; {
		n, err := c.side.Read(b)
		if bytes.Contains(b[:n], []byte("\x1b[6n")) { // where is the cursor?
			c.side.WriteString("\x1b[1;1R")
			c.mu.Lock()
			c.asked = true
			c.mu.Unlock()
		}
		c.mu.Lock()
		c.seen.Write(b[:n])
		c.mu.Unlock()
		select {
		case c.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// sees waits for a text, forgets what came up to it, and returns that.
func (c *terminal) sees(text string) string {
	c.t.Helper()
	deadline := time.After(time.Minute)
	for {
		c.mu.Lock()
		all := c.seen.String()
		if i := strings.Index(all, text); i >= 0 {
			c.seen.Next(i + len(text))
			c.mu.Unlock()
			return all[:i]
		}
		c.mu.Unlock()
		select {
		case <-c.more:
		case <-deadline:
			c.t.Fatalf("no %q in %q", text, all)
		}
	}
}

func (c *terminal) types(text string) { c.side.WriteString(text) }

// prompt waits until the shell is ready for input.
func (c *terminal) prompt() {
	c.t.Helper()
	c.sees("kalam> ")
	c.sees("\x1b[?25h") // it shows the cursor
}

func (c *terminal) ends() {
	c.t.Helper()
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("it ended with %v", err)
	}
}

func TestLoginDoesNotShowThePassword(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := newPerson(t).terminal("login", "--url", s.URL, "alice")
	c.sees("Password: ")
	c.types(servertest.Password + "\r")
	if shown := c.sees("as alice (role user)."); strings.Contains(shown, servertest.Password) {
		t.Errorf("it shows %q", shown)
	}
	c.ends()
}

func TestSetupAsksAgainWhenPasswordsDiffer(t *testing.T) {
	p := newPerson(t)
	c := p.terminal("setup", "--url", p.serve("--data", filepath.Join(p.home, "data")))
	for _, step := range [][2]string{
		{"[admin]: ", ""}, {"(may be empty): ", ""},
		{"Password of admin: ", "Admin-pass-1"}, {"The same again: ", "Admin-pass-2"},
		{"Password of admin: ", "Admin-pass-1"}, {"The same again: ", "Admin-pass-1"},
		{"Password of root: ", "Root-pass-1"}, {"The same again: ", "Root-pass-1"},
	} {
		c.sees(step[0])
		c.types(step[1] + "\r")
	}
	c.sees("kalam login")
	c.ends()
}

func TestShellRunsStatementsAndFollowsRows(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	c := p.terminal("sql")
	c.prompt()
	c.types("SELECT 6*7\rAS answer;\r")
	c.sees("│     42 │")
	c.prompt()
	c.types("CREATE USER x WITH PASSWORD 'abc';\r")
	c.sees("error:\x1b[0m PERMISSION_DENIED")
	c.prompt()
	c.types("\\live SELECT body FROM chat.messages\r")
	c.sees("(1 row)")
	c.types("\x03") // Ctrl-C ends the live query and not the shell
	c.prompt()
	c.types("\\q\r")
	c.ends()
	path := filepath.Join(p.home, "kalam", "history")
	b, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(b), "AS answer") || strings.Contains(string(b), "PASSWORD") {
		t.Errorf("the history is %q, %v", b, err)
	}
	if m := mode(t, path); m != 0o600 {
		t.Errorf("it has mode %o", m)
	}
}

// TestShellHelpsAlong completes a table and a column, describes a table, points
// at an error in red, hides the time, and stays in a namespace.
func TestShellHelpsAlong(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	c := p.terminal("sql")
	c.prompt()
	c.types("SELECT count(*) AS n FROM chat.mes\t;\r")
	c.sees("│ 1 │")
	c.sees("Took:")
	c.prompt()
	c.types("\\d chat.messages\r")
	c.sees("│ body")
	c.prompt()
	c.types("SELECT nope FROM chat.messages;\r")
	c.sees("\x1b[1;31merror:\x1b[0m COLUMN_NOT_FOUND")
	c.sees("  SELECT nope FROM chat.messages;")
	c.sees("         \x1b[1;31m^")
	c.prompt()
	c.types("\\timing\r")
	c.sees("Timing is off.")
	c.prompt()
	c.types("USE chat;\r")
	c.sees("Namespace is now chat")
	c.prompt()
	c.types("SELECT count(*) AS m FROM messages;\r")
	c.sees("│ 1 │")
	if shown := c.sees("kalam> "); strings.Contains(shown, "Took") {
		t.Errorf("it shows the time: %q", shown)
	}
	c.sees("\x1b[?25h")
	c.types("\\nope\r")
	c.sees("is no command")
	c.prompt()
	c.types("\\dn\r")
	c.sees("│ chat")
	c.prompt()
	c.types("\\q\r")
	c.ends()
}

// TestShellKeepsWhatIsTyped completes a word and goes on, and types letters of
// other languages. While the shell draws it asks the terminal nothing: what is
// typed before the answer would be lost.
func TestShellKeepsWhatIsTyped(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	c := p.terminal("sql")
	c.prompt()
	c.types("SEL\t 'Grüße, señor €' AS x;\r")
	c.sees("│ Grüße, señor € │")
	c.prompt()
	c.types("SELECT body FROM chat.mes\t WHERE body LIKE 'Only%';\r")
	c.sees("│ Only alice sees this row. │")
	c.prompt()
	c.types("\x1b[200~SELECT 1 AS a;\nSELECT\n  2 AS b;\x1b[201~\r") // a paste
	c.sees("│ 1 │")
	c.sees("│ 2 │")
	c.prompt()
	long := strings.Repeat("0123456789", 300)
	c.types("SELECT length('" + long + "') AS l;\r")
	c.sees("│ 3000 │")
	c.prompt()
	c.types("\x04") // Ctrl-D
	c.ends()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked {
		t.Error("it asks where the cursor is")
	}
}

func TestWordsOfTheShellNeedNoSemicolon(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	for _, leave := range []string{"quit", "exit", "QUIT", "exit;", `\q`, `\quit`, `\Q;`} {
		c := p.terminal("sql")
		c.prompt()
		c.types("help\r")
		c.sees(`\live SELECT`)
		c.prompt()
		c.types("SELECT 1 AS quit;\r") // the word alone leaves
		c.sees("│    1 │")
		c.prompt()
		c.types(leave + "\r")
		c.ends()
	}
}

// TestShellCommands shows what a table is made of, runs a file, turns rows, and
// says what may have been meant by a command that is none.
func TestShellCommands(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := signedIn(t, s, "admin")
	admin.ok("", "sql", "-e", `CREATE NAMESPACE app; CREATE SHARED TABLE app.goods (id INT PRIMARY KEY, code TEXT UNIQUE, price INT DEFAULT 3 CHECK (price > 0), made INT NOT NULL)
		WITH (ACCESS_LEVEL = 'public'); CREATE INDEX by_price ON app.goods (price, made)`)
	p := signedIn(t, s, "alice")
	if err := os.WriteFile(filepath.Join(p.home, "more.sql"), []byte("\ufeffSELECT 40 + 2 AS from_file;\nSELECT 'second' AS s"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := p.terminal("sql")
	c.prompt()
	c.types(`\dt` + "\r")
	c.sees("│ app       │ goods    │ shared │")
	c.prompt()
	c.types(`\d app.goods` + "\r")
	c.sees("SHARED table app.goods")
	for _, line := range []string{
		"│ price  │ INT  │          │ 3       │", "│ made   │ INT  │ not null │         │",
		"PRIMARY KEY (id)", "UNIQUE (code)", "CHECK (price > 0)", "by_price  INDEX (price, made)",
	} {
		c.sees(line)
	}
	c.prompt()
	c.types(`\i more.sql` + "\r")
	c.sees("│        42 │")
	c.sees("│ second │")
	c.prompt()
	c.types(`\x` + "\r")
	c.sees("Expanded display is on.")
	c.prompt()
	c.types("SELECT 1 AS one, NULL AS nothing;\r")
	c.sees("one     │ 1\r\nnothing │ NULL\r\n(1 row)")
	c.prompt()
	c.types(`\x auto` + "\r")
	c.sees("display is auto.")
	c.prompt()
	c.resize(40)
	c.types("SELECT 'a rather long text' AS a, 'another long text' AS b;\r")
	c.sees("a │ a rather long text\r\nb │ another long text\r\n")
	c.prompt()
	for typed, says := range map[string]string{
		`\dtt`: `did you mean \dt?`, `\timin`: `did you mean \timing?`, `\zzzzzz`: `is no command`, `\x maybe`: `on, off or auto`,
		`\live`: "needs a query", `\i`: "needs the name of a file", `\i nope.sql`: "no such file", `\d nope`: "TABLE_NOT_FOUND",
	} {
		c.types(typed + "\r")
		c.sees(says)
		c.prompt()
	}
	c.types(`\q` + "\r")
	c.ends()
}
