package main

import (
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

const endless = "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n) q;"

// running waits until the server runs so many requests, that of this one included.
func running(admin *person, want string) {
	admin.t.Helper()
	const sql = "SELECT metric_value FROM system.stats WHERE metric_name = 'running_requests'"
	for began := time.Now(); ; {
		got := admin.ok("", "sql", "--csv", "-e", sql)
		if strings.Contains(got, "\n"+want+"\n") {
			return
		}
		if time.Since(began) > time.Minute {
			admin.t.Fatalf("running requests %q, want %s", got, want)
		}
	}
}

// TestCtrlCEndsTheStatementAndNotTheShell ends one at the server, too.
func TestCtrlCEndsTheStatementAndNotTheShell(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p, admin := signedIn(t, s, "alice"), signedIn(t, s, "admin")
	c := p.terminal("sql")
	for range 2 {
		c.prompt()
		c.types(endless + "\r")
		running(admin, "2")
		c.types("\x03")
		c.sees("interrupted")
		running(admin, "1")
	}
	c.prompt()
	c.types("SELECT 40 + 2 AS answer;\r")
	c.sees("42")
	c.prompt()
	c.types("\\q\r")
	c.ends()
}

// TestInterruptedStatementsEndTheCommandWith130, as shells expect, and the rest
// of a script does not run.
func TestInterruptedStatementsEndTheCommandWith130(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p, admin := signedIn(t, s, "alice"), signedIn(t, s, "admin")
	for _, args := range [][]string{{"-e", endless + " SELECT 'not this'"}, {"-e", endless, "-e", "SELECT 'not this'"}, {"-f", "-"}} {
		cmd := p.command(append([]string{"sql"}, args...)...)
		cmd.Stdin = strings.NewReader(endless + "\nSELECT 'not this';")
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running(admin, "2")
		cmd.Process.Signal(syscall.SIGINT)
		var ended *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 130 {
			t.Errorf("%q ended with %v, want 130", args, err)
		}
		if strings.Contains(out.String(), "not this") || !strings.Contains(errs.String(), "interrupted") {
			t.Errorf("%q printed %q and %q", args, out.String(), errs.String())
		}
		running(admin, "1")
	}
}

// TestColoursAreForTerminalsThatWantThem and for nothing that a program reads.
func TestColoursAreForTerminalsThatWantThem(t *testing.T) {
	p := signedIn(t, servertest.Start(t, servertest.Options{}), "alice")
	for value, coloured := range map[string]bool{"": true, "1": false} {
		p.env = []string{"NO_COLOR=" + value}
		c := p.terminal("sql")
		c.prompt()
		c.types("SELECT nothing;\r")
		shown := c.sees("COLUMN_NOT_FOUND")
		if got := strings.Contains(shown, "\x1b[1;31m"); got != coloured {
			t.Errorf("NO_COLOR=%q: red is %v in %q", value, got, shown)
		}
		c.prompt()
		c.types("\\q\r")
		c.ends()
	}
	for _, args := range [][]string{{"sql", "-e", "SELECT nothing"}, {"sql", "-e", "SELECT 1 AS one; \\d"}, {"sql", "-e", `\d`}, {"sql", "-e", `\?`}} {
		if got := p.run("", args...); strings.Contains(got.out+got.err, "\x1b") {
			t.Errorf("%q prints escape sequences: %q %q", args, got.out, got.err)
		}
	}
}
