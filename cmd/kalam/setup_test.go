package main

import (
	"bufio"
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// serve runs a server as a program and returns its URL.
func (p *person) serve(args ...string) (url string) {
	p.t.Helper()
	cmd := p.commandContext(context.WithoutCancel(p.t.Context()), append([]string{"serve", "--listen", "localhost:0"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		p.t.Fatal("the server said nothing")
	}
	_, rest, _ := strings.Cut(lines.Text(), " serves ")
	url, _, ok := strings.Cut(rest, " ")
	if !ok {
		p.t.Fatalf("the server said %q", lines.Text())
	}
	p.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		for lines.Scan() {
		}
		if err := cmd.Wait(); err != nil {
			p.t.Errorf("after SIGTERM: %v", err)
		}
	})
	return url
}

func TestSetupOpensANewServer(t *testing.T) {
	p := newPerson(t)
	p.env = []string{"KALAM_URL=" + p.serve("--data", filepath.Join(p.home, "data"))}
	if o := p.run("whatever\n", "login", "admin"); o.code != 1 || !strings.Contains(o.err, "run kalam setup") {
		t.Errorf("login before the setup: exit code %d: %s", o.code, o.err)
	}
	if o := p.run("", "auth", "doctor"); o.code != 1 || !strings.Contains(o.out, "FAIL  options  nobody can sign in yet: run kalam setup") {
		t.Errorf("doctor before the setup: exit code %d: %s", o.code, o.out)
	}
	if o := p.run("short\nRoot-pass-1\n", "setup", "--user", "boss"); o.code != 1 || !strings.Contains(o.err, "8") {
		t.Errorf("a weak password: exit code %d: %s", o.code, o.err)
	}
	out := p.ok("boss\nBoss-pass-1\nRoot-pass-1\n", "setup", "--email", "boss@example.com")
	if !strings.Contains(out, "kalam login --url http://localhost:") || !strings.Contains(out, " boss\n") {
		t.Errorf("got %q", out)
	}
	p.ok("Boss-pass-1\n", "login", "boss")
	if out := p.ok("", "sql", "--csv", "-e", "SELECT email FROM system.users WHERE user_id = 'boss'"); !strings.HasSuffix(out, "boss@example.com\n") {
		t.Errorf("got %q", out)
	}
	p.ok("Root-pass-1\n", "login", "root")
	p.fails(1, "is set up already", "setup")
}

func TestSetupNeedsEveryAnswer(t *testing.T) {
	p := newPerson(t)
	p.env = []string{"KALAM_URL=" + p.serve("--data", filepath.Join(p.home, "data"))}
	for _, stdin := range []string{"", "Boss-pass-1\n", "Boss-pass-1\n\n"} {
		if o := p.run(stdin, "setup", "--user", "boss"); o.code != 1 {
			t.Errorf("%q: exit code %d: %s", stdin, o.code, o.out)
		}
	}
	for stdin, want := range map[string]string{
		"boss\nBoss-pass-1\nRoot-pass-1\n": "more lines than questions",
		"Boss-pass-1\nBoss-pass-1\n":       "the same password",
	} {
		if o := p.run(stdin, "setup", "--user", "boss"); o.code != 1 || !strings.Contains(o.err, want) {
			t.Errorf("%q: exit code %d: %s", stdin, o.code, o.err)
		}
	}
}

func TestSecondServerOnAFolderSaysWhy(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	newPerson(t).fails(1, s.Dir, "serve", "--listen", "localhost:0", "--data", s.Dir)
}
