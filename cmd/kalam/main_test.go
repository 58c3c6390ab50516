package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// asProgram makes the test binary be the program, so that the tests run the
// real one, with signals and exit codes.
const asProgram = "KALAM_TEST_PROGRAM"

func TestMain(m *testing.M) {
	// The process that makes hashes gets no environment.
	if os.Getenv(asProgram) != "" || len(os.Args) == 2 && os.Args[1] == "hash-worker" {
		main()
	}
	os.Exit(m.Run())
}

// person is somebody at a machine: a home folder and an environment.
type person struct {
	t    *testing.T
	home string
	env  []string
}

func newPerson(t *testing.T, env ...string) *person {
	return &person{t, t.TempDir(), env}
}

func (p *person) command(args ...string) *exec.Cmd {
	return p.commandContext(p.t.Context(), args...)
}

func (p *person) commandContext(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append([]string{asProgram + "=1", "HOME=" + p.home, "XDG_CONFIG_HOME=" + p.home}, p.env...)
	cmd.Dir = p.home
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// outcome is what a command printed and its exit code.
type outcome struct {
	out, err string
	code     int
}

func (p *person) run(stdin string, args ...string) outcome {
	p.t.Helper()
	cmd := p.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("kalam %s: %v", strings.Join(args, " "), err)
	}
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// ok runs a command that must succeed and returns its output.
func (p *person) ok(stdin string, args ...string) string {
	p.t.Helper()
	o := p.run(stdin, args...)
	if o.code != 0 {
		p.t.Fatalf("kalam %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.out, o.err)
	}
	return o.out
}

// fails runs a command that must end with an exit code and say something.
func (p *person) fails(code int, says string, args ...string) outcome {
	p.t.Helper()
	o := p.run("", args...)
	if o.code != code || !strings.Contains(o.err, says) {
		p.t.Fatalf("kalam %s: exit code %d, want %d and %q in\n%s", strings.Join(args, " "), o.code, code, says, o.err)
	}
	return o
}

// signedIn is a person with a kept session of a user.
func signedIn(t *testing.T, s *servertest.Server, user string) *person {
	t.Helper()
	p := newPerson(t)
	p.ok(servertest.Password+"\n", "login", "--url", s.URL, user)
	return p
}

func TestVersionNamesVersionAndBuild(t *testing.T) {
	for _, how := range []string{"version", "--version", "-V"} {
		if out := newPerson(t).ok("", how); !strings.HasPrefix(out, "kalam "+version+" (built ") || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %q", how, out)
		}
	}
}

// TestProgramTeachesWhoeverDoesNotKnowIt is called with nothing and with help.
func TestProgramTeachesWhoeverDoesNotKnowIt(t *testing.T) {
	p := newPerson(t)
	for want, args := range map[string][]string{
		"kalam serve --demo":                {},
		"kalam sql -e":                      {"help"},
		"Usage: kalam sql":                  {"help", "sql"},
		"--source shop.orders:insert":       {"help", "topic", "create"},
		"Usage: kalam topic <command>":      {"help", "topic"},
		"Print an access token of the kept": {"auth", "--help"},
	} {
		if out := p.ok("", args...); !strings.Contains(out, want) {
			t.Errorf("kalam %s does not say %q:\n%s", strings.Join(args, " "), want, out)
		}
	}
	p.fails(2, "Run kalam topic reset --help", "topic", "reset", "a.b", "c", "--to", "nowhere")
	p.fails(2, "Run kalam topic --help", "topic")
	p.fails(2, "Run kalam auth --help", "auth", "bogus")
	p.fails(2, "Run kalam sql --help", "sql", "--nonsense")
	p.fails(2, `did you mean "serve"?`, "sevre")
	p.fails(2, `did you mean "--data"?`, "serve", "--dta", "x")
}

func TestWrongCallsExitWithTwo(t *testing.T) {
	p := newPerson(t)
	p.fails(2, "unknown flag --nonsense", "sql", "--nonsense")
	p.fails(2, "kalam --help", "nonsense")
	p.fails(2, "", "help", "nonsense")
	p.fails(2, "is not the URL of a server", "sql", "--url", "ftp://x", "-e", "SELECT 1")
	p.fails(2, "exclude each other", "sql", "-e", "SELECT 1", "-f", "x.sql")
	p.fails(2, "--format", "sql", "--format", "xml", "-e", "SELECT 1")
}

func TestServerAwaySaysWhatToDo(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "alice")
	s.Close()
	for _, args := range [][]string{
		{"sql", "-e", "SELECT 1"},
		{"setup", "--url", s.URL, "--user", "x"},
	} {
		o := p.fails(1, "kalam serve", args...)
		if !strings.Contains(o.err, "cannot reach "+s.URL) {
			t.Errorf("kalam %s says\n%s", args[0], o.err)
		}
	}
}

func TestCredentialsDoNotTravelInTheClear(t *testing.T) {
	p := newPerson(t, "KALAM_PASSWORD=secret")
	p.fails(1, "https", "sql", "--url", "http://db.example.com", "-u", "alice", "-e", "SELECT 1")
	p.fails(1, "https", "setup", "--url", "http://db.example.com")
}
