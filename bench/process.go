package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that the bench started.
type process struct {
	cmd   *exec.Cmd
	addr  string
	token string
	dir   string
}

// stop ends the process and removes its data.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.cmd.Wait()
	if p.dir != "" {
		os.RemoveAll(p.dir)
	}
}

// rss is the resident memory of the process in MB.
func (p *process) rss() float64 { return p.status("VmRSS:") }

// own is the part of rss that belongs to the process alone. The rest are pages
// of mapped files, which the kernel takes back when it needs them and counts
// once for each connection that maps them.
func (p *process) own() float64 { return p.status("RssAnon:") }

// status is a size that the kernel tells of the process, in MB.
func (p *process) status(name string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb / 1024
		}
	}
	return 0
}

// start runs a program and waits for the line that names its address.
func start(cmd *exec.Cmd, find func(line string) string) (*process, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w (make builds it)", cmd.Path, err)
	}
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if addr := find(line); addr != "" {
			go io.Copy(io.Discard, r)
			return &process{cmd: cmd, addr: addr}, nil
		}
		if err != nil {
			cmd.Wait()
			return nil, errors.New("the server ended before it listened")
		}
	}
}

const password = "Secret123!"

// startKalam starts a server on a new data folder and signs in.
func startKalam(binary string) (*process, error) {
	dir, err := os.MkdirTemp("", "kalam-bench-")
	if err != nil {
		return nil, err
	}
	p, err := start(exec.Command(binary, "serve", "--listen", "localhost:0", "--data", dir, "--demo"), func(line string) string {
		for _, word := range strings.Fields(line) {
			if rest, ok := strings.CutPrefix(word, "http://localhost:"); ok {
				return "127.0.0.1:" + rest
			}
		}
		return ""
	})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	p.dir = dir
	if p.token, err = p.login("admin"); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// login signs in a user of the demo data and returns the access token.
func (p *process) login(user string) (string, error) {
	body := fmt.Sprintf(`{"user":%q,"password":%q}`, user, password)
	res, err := http.Post("http://"+p.addr+"/v1/api/auth/login", "application/json", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var in struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&in); err != nil || in.Token == "" {
		return "", fmt.Errorf("login: %s", res.Status)
	}
	return in.Token, nil
}

// fill makes the table with n rows, a thousand in a statement.
func (p *process) fill(n int) error {
	c, err := dial(p.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	send := func(sql string) error {
		body, _ := json.Marshal(map[string]string{"sql": sql})
		_, err := c.post(p.token, body)
		return err
	}
	for _, sql := range []string{
		"CREATE NAMESPACE IF NOT EXISTS bench",
		"CREATE USER TABLE bench.messages (id BIGINT PRIMARY KEY, room TEXT NOT NULL, body TEXT NOT NULL)",
	} {
		if err := send(sql); err != nil {
			return err
		}
	}
	var b strings.Builder
	last := time.Now()
	for i := 1; i <= n; {
		b.Reset()
		b.WriteString("INSERT INTO bench.messages VALUES ")
		for k := 0; k < 1000 && i <= n; k, i = k+1, i+1 {
			if k > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "(%d,'general','a message of an ordinary length, as people write them')", i)
		}
		if err := send(b.String()); err != nil {
			return err
		}
		if time.Since(last) > 2*time.Second {
			last = time.Now()
			fmt.Fprintf(os.Stderr, "filling: %d of %d rows\r", i-1, n)
		}
	}
	return nil
}

// startEcho starts the yardstick: it answers with size bytes of JSON.
func startEcho(size int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-echo", strconv.Itoa(size))
	return start(cmd, func(line string) string {
		addr, _ := strings.CutPrefix(strings.TrimSpace(line), "echo ")
		return addr
	})
}

// serveEcho is a bare net/http JSON echo: it decodes the request, and encodes
// it into an answer padded to the given size.
func serveEcho() {
	size, _ := strconv.Atoi(os.Args[len(os.Args)-1])
	type request struct {
		SQL    string `json:"sql"`
		Params []any  `json:"params"`
	}
	type answer struct {
		Echo request `json:"echo"`
		Pad  string  `json:"pad"`
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
	fmt.Println("echo", l.Addr())
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a answer
		if err := json.NewDecoder(r.Body).Decode(&a.Echo); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		b, err := json.Marshal(a)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if n := size - len(b); n > 0 {
			a.Pad = strings.Repeat("x", n)
			b, _ = json.Marshal(a)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(b)
	}))
}
