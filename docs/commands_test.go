package docs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// fence is one fenced block of a document.
type fence struct{ language, text string }

func fences(t *testing.T, document string) (list []fence) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```(\\w*)[^\n]*\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		list = append(list, fence{m[1], m[2]})
	}
	return list
}

// programs is the folder of kalam, for all tests.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "kalam-docs"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

// program builds kalam once, and returns its folder.
var program = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "build", "-o", filepath.Join(programs, "kalam"), "../cmd/kalam").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build kalam: %v\n%s", err, out)
	}
	return programs, nil
})

// reader is somebody who does what a document says, with kalam in the PATH and a
// home folder, which is also where they are.
type reader struct {
	t     *testing.T
	home  string
	env   []string
	ports *strings.Replacer
}

func newReader(t *testing.T, url string) *reader {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	return &reader{
		t: t, home: home, ports: strings.NewReplacer("http://localhost:8080", url),
		env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+home, "XDG_CONFIG_HOME="+home, "KALAM_URL="+url),
	}
}

// command is a script in a terminal of the reader; its process group ends with
// the test.
func (r *reader) command(script string) *exec.Cmd {
	cmd := exec.Command("bash", "-ec", "[ ! -e .terminal ] || . ./.terminal\n"+r.ports.Replace(script))
	cmd.Env, cmd.Dir, cmd.Stdin = r.env, r.home, strings.NewReader(servertest.Password+"\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.t.Cleanup(func() {
		if cmd.Process != nil {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	return cmd
}

var assignment = regexp.MustCompile(`(?m)^(\w+)=`)

// does runs a block of commands and returns what it prints. Later blocks have the
// variables that it sets, as in one terminal.
func (r *reader) does(script string) string {
	r.t.Helper()
	kept := ""
	for _, m := range assignment.FindAllStringSubmatch(script, -1) {
		kept += "declare -p " + m[1] + " >>.terminal\n"
	}
	cmd := r.command(script + kept)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("%v\n%s\n%s%s", err, script, &out, &errs)
	}
	if strings.Contains(out.String(), `"error":`) { // curl ends well whatever is answered
		r.t.Errorf("%s\n%s", script, &out)
	}
	return out.String()
}

// screen collects what a program prints while it runs.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// begins starts a command that goes on by itself, and waits until it has printed
// something that matches.
func (r *reader) begins(script, pattern string) []string {
	r.t.Helper()
	cmd, out := r.command(script), &screen{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	var found []string
	eventually(r.t, "output of "+script, func() bool {
		found = regexp.MustCompile(pattern).FindStringSubmatch(out.String())
		return found != nil
	})
	if found == nil {
		r.t.Fatal(out)
	}
	return found
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("after two minutes: no %s", what)
			return
		}
	}
}

// connect signs a demo user in.
func connect(t *testing.T, url, user string) *client.Client {
	t.Helper()
	c, err := client.New(url, auth.Static(auth.Basic(user, servertest.Password)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sameFields compares the names in a JSON object that a document shows with those
// of the real one.
func sameFields(t *testing.T, documented, real string) {
	t.Helper()
	var d, r map[string]any
	if err := json.Unmarshal([]byte(documented), &d); err != nil {
		t.Fatalf("the document shows %s: %v", documented, err)
	}
	if err := json.Unmarshal([]byte(real), &r); err != nil {
		t.Fatalf("%s: %v", real, err)
	}
	if got, want := slices.Sorted(maps.Keys(r)), slices.Sorted(maps.Keys(d)); !slices.Equal(got, want) {
		t.Errorf("the document shows %v, the server answers %v", want, got)
	}
}

// TestFilesAreAsWritten does what files.md says, in its order. Only the address
// and the id of the file differ.
func TestFilesAreAsWritten(t *testing.T) {
	server := servertest.Start(t, servertest.Options{})
	admin, alice := connect(t, server.URL, "admin"), connect(t, server.URL, "alice")
	r := newReader(t, server.URL)
	photo := filepath.Join(r.home, "cat.jpg")
	const content = "\xff\xd8\xff\xe0 a photo"
	if err := os.WriteFile(photo, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	is := func(path string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != content {
			t.Errorf("%s has %q: %v", path, b, err)
		}
	}
	ids := regexp.MustCompile(`\d{18}`)
	id, answer := "", ""
	for _, f := range fences(t, "files.md") {
		switch {
		case f.language == "sql":
			if _, err := admin.Run(t.Context(), f.text); err != nil {
				t.Fatal(err)
			}
		case f.language == "json":
			sameFields(t, f.text, answer)
		case f.language != "sh":
		case strings.Contains(f.text, "-F "):
			if answer = r.does(f.text); !strings.Contains(answer, "Inserted 1 row(s)") {
				t.Fatal(answer)
			}
			row, err := alice.QueryRow(t.Context(), "SELECT photo FROM app.notes")
			if err != nil {
				t.Fatal(err)
			}
			answer = row.Text("photo")
			id = ids.FindString(answer)
		case strings.Contains(f.text, " -o cat.jpg "):
			os.Remove(photo)
			r.does(ids.ReplaceAllString(f.text, id))
			is(photo)
		case strings.Contains(f.text, "/sign"):
			answer = r.does(ids.ReplaceAllString(f.text, id))
			var link struct{ URL string }
			if err := json.Unmarshal([]byte(answer), &link); err != nil || r.does("curl -sS '"+server.URL+link.URL+"'") != content {
				t.Errorf("the signed URL in %s: %v", answer, err)
			}
		default:
			r.does(f.text)
		}
	}
	is(filepath.Join(r.home, "photos", "cat.jpg"))
}

// TestTopicCommandsAreAsWritten does what topics.md says in SQL and in a
// terminal.
func TestTopicCommandsAreAsWritten(t *testing.T) {
	server := servertest.Start(t, servertest.Options{})
	admin := shop(t, server.URL)
	r := newReader(t, server.URL)
	for _, f := range fences(t, "topics.md") {
		if f.language != "sh" {
			continue
		}
		if _, err := admin.Run(t.Context(), "CONSUME FROM shop.events GROUP 'mailer' FROM EARLIEST; INSERT INTO shop.orders (id, paid) VALUES (1, false)"); err != nil {
			t.Fatal(err)
		}
		script, tail, follows := strings.Cut(f.text, "kalam topic tail -f ")
		r.does(script)
		if follows {
			r.begins("kalam topic tail -f "+tail, `"id":1`)
		}
	}
	row, err := admin.QueryRow(t.Context(), "SELECT count(*) AS n FROM system.topics WHERE topic_id = 'shop.changes'")
	if err != nil || row.Int("n") != 1 {
		t.Errorf("topics called shop.changes: %v %v", row, err)
	}
}

// shop runs the statements of topics.md on what they take for granted, and
// returns the administrator.
func shop(t *testing.T, url string) *client.Client {
	t.Helper()
	admin := connect(t, url, "admin")
	sql := "CREATE NAMESPACE shop; CREATE SHARED TABLE shop.orders (id INT PRIMARY KEY, paid BOOLEAN NOT NULL); CREATE USER mailer WITH PASSWORD '" + servertest.Password + "' ROLE service"
	if _, err := admin.Run(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	for _, f := range fences(t, "topics.md") {
		if f.language == "sql" {
			if _, err := admin.Run(t.Context(), f.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	return admin
}
