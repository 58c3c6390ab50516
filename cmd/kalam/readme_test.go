package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The README is run as it is written, in a folder of its own. Only the ports
// are replaced; the two make commands stand for starting the server of the test.
// Each terminal has what was exported in it, and nothing else.

// block is one fenced block of the README, with the prose before it.
type block struct{ before, language, text string }

func readme(t *testing.T) []block {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, m := range regexp.MustCompile("(?ms)(.*?)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(string(b), -1) {
		blocks = append(blocks, block{m[1], m[2], m[3]})
	}
	return blocks
}

// walker is a reader of the README who does what it says.
type walker struct {
	*person
	ports   *strings.Replacer
	port    string
	server  *process
	live    *process
	seen    string   // what live has printed so far
	exports []string // of the terminal that is in use
	main    []string // of the second terminal, which most of the walk is in
	out     string   // of the last block
}

// newTerminal is what the prose says that opens one.
var newTerminal = regexp.MustCompile(`(?i)(open a second|in a third|in a fourth|in another) terminal`)

// reads takes the prose before a block: it may open a terminal.
func (w *walker) reads(prose string) {
	switch opened := strings.ToLower(newTerminal.FindString(prose)); {
	case opened != "":
		w.exports = nil
	case strings.Contains(prose, "second terminal"):
		w.exports = w.main
	}
}

// process is a program that runs beside the walk.
type process struct {
	cmd *exec.Cmd
	out chan string // its lines
}

// begin starts a program; output gives its lines.
func (w *walker) begin(name string, args ...string) *process {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), name, args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = w.env, w.home, 10*time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	p := &process{cmd, make(chan string, 1000)}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.out <- lines.Text() + "\n"
		}
		close(p.out)
	}()
	return p
}

// until reads lines up to one that a text is in.
func (p *process) until(t *testing.T, what string) (read string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case line, ok := <-p.out:
			if !ok {
				t.Fatalf("it ended before %q:\n%s", what, read)
			}
			if read += line; strings.Contains(line, what) {
				return read
			}
		case <-deadline:
			t.Fatalf("no %q in\n%s", what, read)
		}
	}
}

func (w *walker) serve() {
	w.t.Helper()
	w.server = w.begin(filepath.Join(w.home, "bin", "kalam"), "serve", "--demo", "--data", "demo", "--listen", "localhost:"+w.port)
	w.server.until(w.t, " serves ")
}

// do runs a block of commands.
func (w *walker) do(text string) {
	w.t.Helper()
	text = w.ports.Replace(text)
	switch {
	case strings.HasPrefix(text, "make run"):
		w.serve()
		return
	case strings.HasPrefix(text, "kill -9 "):
		w.bash(text)
		w.server.cmd.Wait()
		w.serve()
		return
	}
	var script []string
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "export "):
			w.exports = append(w.exports, line)
		case strings.Contains(line, `\live`):
			w.live = w.begin("bash", "-ec", strings.Join(w.exports, "")+"exec "+line)
			w.seen = w.live.until(w.t, " rows)")
			return
		case strings.HasPrefix(line, "kalam serve "):
			w.bash(strings.Join(script, ""))
			w.begin("bash", "-ec", strings.Join(w.exports, "")+"exec "+line).until(w.t, " serves ")
			return
		default:
			script = append(script, line)
		}
	}
	w.bash(strings.Join(script, ""))
}

func (w *walker) bash(script string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "bash", "-ec", strings.Join(w.exports, "")+script)
	cmd.Env, cmd.Dir, cmd.Stdin = w.env, w.home, strings.NewReader("Secret123!\n")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		w.t.Fatalf("%v\n%s\n%s%s", err, script, out, errs.String())
	}
	w.out = string(out)
}

var varies = regexp.MustCompile(`\d+\.\d+ ms|\d\d:\d\d:\d\d|\d{18}`)

// shows compares what the README shows with what came out.
func (w *walker) shows(text string) {
	w.t.Helper()
	clean := func(s string) string { return strings.TrimSpace(varies.ReplaceAllString(s, "*")) }
	if clean(w.out) != clean(w.ports.Replace(text)) {
		w.t.Errorf("the README shows\n%s\nbut it is\n%s", text, w.out)
	}
}

// freePort is a port that nobody listens on right now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

func TestReadmeIsAsWritten(t *testing.T) {
	p := newPerson(t)
	bin := filepath.Join(p.home, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(bin, "kalam")); err != nil {
		t.Fatal(err)
	}
	p.env = append(os.Environ(), asProgram+"=1", "HOME="+p.home, "XDG_CONFIG_HOME="+p.home)
	w := &walker{person: p, port: freePort(t)}
	w.ports = strings.NewReplacer("localhost:8080", "localhost:"+w.port, "localhost:8081", "localhost:"+freePort(t))
	// The first server must find itself under the default address.
	w.env = append(w.env, "KALAM_URL=http://localhost:"+w.port)

	blocks := readme(t)
	for i, b := range blocks {
		w.reads(b.before)
		switch b.language {
		case "sh":
			w.do(b.text)
		case "go":
			w.program(b.text)
		default:
			if strings.Contains(b.text, "feed the cat │") && w.live != nil {
				w.out = w.seen + w.live.until(t, " rows)")
			}
			w.shows(b.text)
		}
		if t.Failed() {
			t.Fatalf("in block %d", i+1)
		}
		if w.live == nil {
			w.main = w.exports
		}
	}
	if len(blocks) < 10 || w.live == nil {
		t.Errorf("%d blocks: the walk is not there", len(blocks))
	}
	// The live query is still there, after the server was killed.
	w.live.until(t, "(2 rows)")
	w.leavesNothing()
}

// leavesNothing: what the walk leaves in the folder is what git ignores and make
// clean removes. The rest is of the test itself.
func (w *walker) leavesNothing() {
	w.t.Helper()
	ignored, err := os.ReadFile("../../.gitignore")
	if err != nil {
		w.t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		w.t.Fatal(err)
	}
	clean := " " + regexp.MustCompile(`rm -rf (.*)`).FindStringSubmatch(string(makefile))[1] + " "
	entries, err := os.ReadDir(w.home)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if name == "kalam" || name == "main.go" || name == "overlay.json" || name == ".cache" || name == "go" || name == ".config" {
			continue
		}
		pattern := "/" + name
		if e.IsDir() {
			pattern += "/"
		}
		if !strings.Contains("\n"+string(ignored), "\n"+pattern+"\n") || !strings.Contains(clean, " "+name+" ") {
			w.t.Errorf("the walk leaves %s, which .gitignore does not name, or make clean does not remove", name)
		}
	}
}

// program runs examples/first, which the README shows, with the port replaced.
func (w *walker) program(shown string) {
	w.t.Helper()
	path, err := filepath.Abs("../../examples/first/main.go")
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.HasSuffix(string(b), shown) {
		w.t.Fatal("the program in the README is not examples/first")
	}
	replaced := filepath.Join(w.home, "main.go")
	if err := os.WriteFile(replaced, []byte(w.ports.Replace(string(b))), 0o600); err != nil {
		w.t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: replaced}})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.home, "overlay.json"), overlay, 0o600); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(w.t.Context(), "go", "run", "-overlay", filepath.Join(w.home, "overlay.json"), filepath.Dir(path))
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("go run: %v\n%s", err, out)
	}
	w.out = string(out)
}
