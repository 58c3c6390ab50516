package servertest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/config"
)

// Mail is a real SMTP server that stores every message (Mailpit, of bench/peers)
// in a process of its own.
type Mail struct {
	t       testing.TB
	address string // of SMTP
	api     string
	data    string
	run     *exec.Cmd
}

// mailProgram is built once for all tests of a package.
var mailProgram = sync.OnceValues(func() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	dir, err := os.MkdirTemp("", "kalam-mail")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "mailpit")
	build := exec.Command("go", "build", "-o", program, "github.com/axllent/mailpit")
	build.Dir = filepath.Join(filepath.Dir(here), "..", "..", "bench", "peers")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the SMTP server: %v\n%s", err, out)
	}
	return program, nil
})

// StartMail starts an SMTP server and ends it with the test.
func StartMail(t testing.TB) *Mail {
	t.Helper()
	m := &Mail{t: t, address: freeAddress(t), api: freeAddress(t), data: filepath.Join(t.TempDir(), "mail.db")}
	m.Start()
	t.Cleanup(m.Stop)
	return m
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Start starts the server, again after Stop, with the mails that it has.
func (m *Mail) Start() {
	m.t.Helper()
	program, err := mailProgram()
	if err != nil {
		m.t.Fatal(err)
	}
	m.run = exec.Command(program, "--smtp", m.address, "--listen", m.api, "--database", m.data, "--quiet", "--disable-version-check")
	m.run.Stderr = m.t.Output()
	if err := m.run.Start(); err != nil {
		m.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + m.api + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("the SMTP server does not start: %v", err)
		}
	}
}

// Stop ends the server; mails wait meanwhile.
func (m *Mail) Stop() {
	if m.run != nil {
		m.run.Process.Kill()
		m.run.Wait()
		m.run = nil
	}
}

// Config makes a server of a test send its mails here.
func (m *Mail) Config(c *config.Config) { c.Mail.SMTP = "smtp://" + m.address }

// Message is a mail that has come.
type Message struct {
	ID      string
	Subject string
	Text    string
	HTML    string
}

// To returns the mails to an address, the oldest first.
func (m *Mail) To(address string) []Message {
	m.t.Helper()
	var list struct {
		Messages []struct {
			ID string
			To []struct{ Address string }
		} `json:"messages"`
	}
	m.get("/api/v1/messages?limit=1000", &list)
	var out []Message
	for i := len(list.Messages) - 1; i >= 0; i-- {
		for _, to := range list.Messages[i].To {
			if to.Address == address {
				var msg Message
				m.get("/api/v1/message/"+list.Messages[i].ID, &msg)
				out = append(out, msg)
			}
		}
	}
	return out
}

func (m *Mail) get(path string, into any) {
	m.t.Helper()
	resp, err := http.Get("http://" + m.api + path)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		m.t.Fatalf("%s: %v", path, err)
	}
}

// Wait waits until an address has n mails, and returns the last.
func (m *Mail) Wait(address string, n int) Message {
	m.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if list := m.To(address); len(list) >= n {
			return list[n-1]
		} else if time.Now().After(deadline) {
			m.t.Fatalf("%s has %d mails after two minutes, want %d", address, len(list), n)
		}
	}
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// Code is the code in a mail.
func (msg Message) Code() string { return sixDigits.FindString(msg.Text) }
