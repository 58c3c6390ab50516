package node_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/node"
	"github.com/kalamdb/kalam-go/wire"
)

// program is the real kalam, built once.
var program string

func TestMain(m *testing.M) {
	if url := os.Getenv(workerURL); url != "" {
		if err := work(url, os.Getenv(workerLog)); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "kalam-node-test")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "kalam")
	out, err := exec.Command("go", "build", "-o", program, "github.com/kalamdb/kalam-go/cmd/kalam").CombinedOutput()
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintf(os.Stderr, "build kalam: %v\n%s", err, out)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// process is a running kalam serve.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	logs bytes.Buffer
	gone chan struct{} // closed when it and its tracer have ended
}

var servesAt = regexp.MustCompile(`http://\S+`)

// serve starts the server on a folder, with the words of before in front of its
// command line, and returns when it answers.
func serve(t *testing.T, dir string, before ...string) *process {
	t.Helper()
	words := append(before, program, "serve", "--demo", "--listen", "127.0.0.1:0", "--data", dir)
	p := &process{t: t, cmd: exec.Command(words[0], words[1:]...), gone: make(chan struct{})}
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	p.cmd.Stderr = &p.logs
	// The server dies with the tests, whatever they do.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatalf("start %s: %v", words[0], err)
	}
	t.Cleanup(p.kill)
	url := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if found := servesAt.FindString(lines.Text()); found != "" && p.url == "" {
				p.url = found
				url <- found
			}
		}
		p.cmd.Wait()
		close(p.gone)
	}()
	select {
	case <-url:
	case <-p.gone:
		t.Fatalf("the server ended at once: %s", p.logs.String())
	case <-time.After(time.Minute):
		t.Fatal("the server did not say where it serves")
	}
	return p
}

// kill ends the server at once, as a crash does.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.gone
}

// stop ends the server in order.
func (p *process) stop() {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(30 * time.Second):
		p.t.Fatal("the server did not end after SIGTERM")
	}
}

// login gives an access token.
func (p *process) login(user string) string {
	p.t.Helper()
	body := wire.AppendLoginRequest(nil, &wire.LoginRequest{User: user, Password: node.DemoPassword})
	answer, err := post(p.t.Context(), http.DefaultClient, p.url+"/v1/api/auth/login", "", body)
	if err != nil {
		p.t.Fatalf("login: %v", err)
	}
	l, err := wire.DecodeLoginResponse(answer)
	if err != nil {
		p.t.Fatalf("login: %v: %s", err, answer)
	}
	return l.AccessToken
}

func post(ctx context.Context, c *http.Client, url, token string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

// conn is one connection of a signed-in user.
type conn struct {
	http  *http.Client
	url   string
	token string
}

func (p *process) conn(token string) *conn {
	tr := &http.Transport{MaxConnsPerHost: 1}
	p.t.Cleanup(tr.CloseIdleConnections)
	return &conn{&http.Client{Transport: tr}, p.url, token}
}

// ask runs a request. An error of the server has a *wire.Error; after any other
// nobody knows whether it was done.
func (c *conn) ask(ctx context.Context, r *wire.Request) ([]wire.Result, error) {
	answer, err := post(ctx, c.http, c.url+"/v1/api/sql", c.token, wire.AppendRequest(nil, r))
	if err != nil {
		return nil, err
	}
	res, err := wire.DecodeResponse(answer)
	if err != nil {
		return nil, fmt.Errorf("%w: %.200s", err, answer)
	}
	if res.Err != nil {
		return nil, res.Err
	}
	return res.Results, nil
}

// must runs statements that succeed.
func (c *conn) must(t *testing.T, sql ...string) wire.Result {
	t.Helper()
	var last wire.Result
	for _, s := range sql {
		res, err := c.ask(t.Context(), &wire.Request{SQL: s})
		if err != nil {
			t.Fatalf("%s: %v", strings.TrimSpace(s), err)
		}
		last = res[len(res)-1]
	}
	return last
}
