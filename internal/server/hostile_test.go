package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/node"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/store"
)

// largeAnswer has some 15 MB of text.
const largeAnswer = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15000) SELECT i, repeat('x', 1000) AS body FROM n"

// unread asks for an answer and reads nothing of it.
func unread(t *testing.T, url, token, sql string) net.Conn {
	t.Helper()
	c, err := smallBuffer(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	body, _ := json.Marshal(map[string]string{"sql": sql})
	fmt.Fprintf(c, "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", token, len(body), body)
	return c
}

// TestUnreadAnswersCountForTheirUserUntilTheServerGivesUp has a user ask for
// large answers without reading them.
func TestUnreadAnswersCountForTheirUserUntilTheServerGivesUp(t *testing.T) {
	t.Parallel()
	s := startEdgeWith(t, store.Options{}, live.Options{}, server.Options{}, identity.Options{}, engine.Options{Memory: 64 << 20})
	mallory, alice := mint(t, "alice"), mint(t, "admin")
	refused := func() bool { return query(t, s.Server, mallory, largeAnswer).status == 429 }
	wait(t, func() bool {
		for range 6 { // on a busy machine the first have been given up before the last come
			unread(t, s.URL, mallory, largeAnswer)
		}
		return refused()
	})
	if a := query(t, s.Server, alice, largeAnswer); a.status != 200 {
		t.Errorf("another user: %d %.200s", a.status, a.body)
	}
	wait(t, func() bool { return !refused() }) // the server has disconnected those who do not read
}

// TestUnreadFramesCountForTheirUser has a user watch on many sockets and read
// none, far below what each of them may queue.
func TestUnreadFramesCountForTheirUser(t *testing.T) {
	t.Parallel()
	s := startEdgeWith(t, store.Options{}, live.Options{}, server.Options{MaxQueue: 256 << 20}, identity.Options{}, engine.Options{Memory: 64 << 20})
	mallory, alice := mint(t, "alice"), mint(t, "admin")
	const n = 16
	var unread []*sock
	for i := range n {
		k := dial(t, s.Server, "?compress=false", "Authorization", "Bearer "+mallory)
		k.want("auth_success")
		k.subscribe(fmt.Sprint(i), "SELECT * FROM chat.messages", "{}")
		k.snapshot(fmt.Sprint(i))
		unread = append(unread, k)
	}
	other := open(t, s.Server, "admin")
	other.subscribe("a", "SELECT id FROM chat.messages", "{}")
	other.snapshot("a")
	for range 80 { // together 128 MB
		run(t, s.Server, mallory, "INSERT INTO chat.messages (body) VALUES (repeat('x', 100000))")
	}
	wait(t, func() bool { return s.hub.Len() < n/2 })
	if a := query(t, s.Server, alice, largeAnswer); a.status != 200 {
		t.Errorf("another user: %d %.200s", a.status, a.body)
	}
	run(t, s.Server, alice, "INSERT INTO chat.messages (id, body) VALUES (1, 'x')")
	other.wantChange("a", "insert")
	slow := false
	for _, k := range unread {
		for changes := 0; !slow && changes < 80; changes++ {
			f, err := k.read()
			if err != nil {
				break // it was disconnected meanwhile
			}
			slow = f.Type == "error" && f.Code == "SLOW_CONSUMER"
		}
		k.c.CloseNow()
	}
	if !slow {
		t.Error("nobody was told")
	}
	wait(t, func() bool { return query(t, s.Server, mallory, largeAnswer).status == 200 })
}

func TestLargeAnswersArriveWhole(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := run(t, s, mint(t, "alice"), largeAnswer)
	var got struct {
		Results []struct {
			Rows     [][]any `json:"rows"`
			RowCount int     `json:"row_count"`
		} `json:"results"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	if r := got.Results[0]; len(r.Rows) != 15000 || r.RowCount != 15000 || len(r.Rows[14999][1].(string)) != 1000 {
		t.Errorf("%d rows, row_count %d", len(r.Rows), r.RowCount)
	}
}

// TestBodiesThatTrickleEnd sends a body a byte at a time, as a user who has
// signed in.
func TestBodiesThatTrickleEnd(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, kind := range []string{"application/json", "multipart/form-data; boundary=x"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: 100000\r\n\r\n", mint(t, "alice"), kind)
			over := make(chan struct{})
			go func() {
				defer close(over)
				io.Copy(io.Discard, c)
			}()
			deadline := time.After(100 * time.Second)
			for tick := time.NewTicker(200 * time.Millisecond); ; {
				select {
				case <-tick.C:
					io.WriteString(c, "-")
				case <-over:
					return
				case <-deadline:
					t.Fatal("the server still takes a byte now and then")
				}
			}
		})
	}
}

func TestLoginFloodRefusesNothingElse(t *testing.T) {
	s := start(t, func(c *config.Config) { c.RateLimit.MaxAuthRequestsPerIPPerSec = 5 })
	in := login(t, s, "alice", "Secret123!")
	refresh, _ := in.json(t)["refresh_token"].(string)
	flooded := 0
	for range 50 {
		if post(t, s.URL+"/v1/api/auth/login", "", "{}").status == 429 {
			flooded++
		}
	}
	if flooded == 0 {
		t.Fatal("the flood was not noticed")
	}
	if a := post(t, s.URL+"/v1/api/auth/refresh", refresh, ""); a.status != 200 {
		t.Errorf("a refresh: %d %s", a.status, a.body)
	}
	k := dial(t, s, "")
	k.authenticate(mint(t, "bob"), "{}")
	k.want("auth_success")
}

func TestOneUserDoesNotHoldAllSockets(t *testing.T) {
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{MaxSockets: 40})
	held := 0
	for {
		k, _, err := tryDial(t, s.Server, "", "Authorization", "Bearer "+mint(t, "alice"))
		if err != nil {
			t.Fatal(err)
		}
		f := k.next()
		if f.Type == "auth_error" {
			break
		}
		if held++; held == 40 {
			t.Fatal("one user holds all sockets")
		}
	}
	if held < 30 {
		t.Errorf("a user who is alone has %d of 40 sockets, want three quarters", held)
	}
	wait(t, func() bool { return s.edge.Sockets() == held })
	k := dial(t, s.Server, "", "Authorization", "Bearer "+mint(t, "admin"))
	k.want("auth_success")
}

func TestSetupIsRefusedThroughAProxy(t *testing.T) {
	n, err := node.Start(t.Context(), freshConfig(t), node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close(t.Context())
	for _, h := range []string{"Via", "X-Forwarded-Proto", "X-Client-IP", "X-Real-IP"} {
		wantAuthError(t, do(t, "GET", n.URL()+"/v1/api/auth/status", nil, h, "1.1 proxy"), 403, "forbidden", "proxy")
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(n.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /v1/api/auth/status HTTP/1.0\r\nHost: localhost\r\n\r\n") // as nginx does
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 403 {
		t.Errorf("HTTP/1.0: %v %v", resp, err)
	}
	if os.Getuid() != 0 {
		return // the rest takes another user
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/bash", "-c", fmt.Sprintf(
		`exec 3<>/dev/tcp/127.0.0.1/%d; printf 'GET /v1/api/auth/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3; cat <&3`, n.Port()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(out), "HTTP/1.1 403") {
		t.Errorf("a program of another user: %s", out)
	}
}
