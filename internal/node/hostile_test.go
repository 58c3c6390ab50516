package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalam-go/internal/testsize"
)

// hostileUser is bob, who does whatever takes time, memory or places of others.
type hostileUser struct {
	ctx        context.Context
	url, token string
}

func (h *hostileUser) sql(text string) {
	body, _ := json.Marshal(map[string]string{"sql": text})
	post(h.ctx, http.DefaultClient, h.url+"/v1/api/sql", h.token, body)
}

// hold opens a connection that asks for something and then does nothing.
func (h *hostileUser) hold(request string) {
	c, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		return
	}
	defer c.Close()
	defer context.AfterFunc(h.ctx, func() { c.Close() })()
	io.WriteString(c, request)
	for range 20 { // a byte now and then, if anything is still to come
		if _, err := c.Write([]byte(" ")); err != nil {
			return
		}
		select {
		case <-h.ctx.Done():
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func (h *hostileUser) request(length int, body string) string {
	return fmt.Sprintf("POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", h.token, length, body)
}

// act does one hostile thing.
func (h *hostileUser) act(r *rand.Rand) {
	counting := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", 1+r.IntN(50_000_000))
	id := r.Int64N(1 << 40)
	switch r.IntN(12) {
	case 0:
		h.sql(counting + "SELECT max(i) FROM n")
	case 1:
		h.sql(counting + "SELECT string_agg(i || repeat('x', 1000), ',') FROM n")
	case 2:
		h.sql(fmt.Sprintf("INSERT INTO chat.messages (id, body) %s SELECT max(i) + %d, 'b' FROM n", counting, id))
	case 3:
		h.sql(counting + "SELECT count(*) FROM (SELECT DISTINCT i || repeat('x', 5000) FROM n)")
	case 4:
		h.sql(fmt.Sprint("SELECT ", id, strings.Repeat(" + 1", r.IntN(200_000))))
	case 5:
		h.sql(fmt.Sprintf("INSERT INTO chat.messages (id, body) VALUES (%d, %s'x'%s)", id, strings.Repeat("NULLIF(", 25), strings.Repeat(", 'y')", 25)))
	case 6:
		body, _ := json.Marshal(map[string]string{"sql": strings.Replace(counting, "50_000_000", "60000", 1) + "SELECT repeat('x', 1000) FROM n LIMIT 60000"})
		h.hold(h.request(len(body), string(body)))
	case 7:
		h.hold(h.request(1_000_000, `{"sql":"`))
	case 8:
		h.sql("UPDATE chat.messages SET body = body || '.' WHERE id > 0")
	case 9:
		h.sql(fmt.Sprintf("INSERT INTO chat.messages (id, body) VALUES (%d, repeat('x', 1000000))", id))
	case 10:
		h.sql("SELECT length(repeat('x', 60000000) || repeat('y', 1000))")
	case 11:
		h.sql("SELECT length(upper(replace(repeat('xy', 10000000), 'x', 'ab')))")
	}
}

// TestHostileUserEndsNothingOfOthers lets a user do random hostile things for a
// while. Everything of another user works meanwhile, the server keeps within its
// memory, and it ends in time when it is told to in the middle of that.
func TestHostileUserEndsNothingOfOthers(t *testing.T) {
	p := serve(t, t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	h := &hostileUser{ctx: ctx, url: p.url, token: p.login("bob")}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var hostile sync.WaitGroup
	for i := range uint64(24) {
		hostile.Go(func() {
			r := rand.New(rand.NewPCG(seed, i))
			for ctx.Err() == nil {
				h.act(r)
			}
		})
	}
	sockets(t, p.url, p.login("carol"), 1000)
	alice := p.login("alice")
	rounds := testsize.Of(t, "KALAM_HOSTILE_ROUNDS", 100)
	slowest := time.Duration(0)
	for i := range rounds {
		began := time.Now()
		for _, sql := range []string{
			fmt.Sprintf("INSERT INTO chat.messages (id, body) VALUES (%d, 'hello')", i+1),
			fmt.Sprintf("SELECT body FROM chat.messages WHERE id = %d", i+1),
		} {
			body, _ := json.Marshal(map[string]string{"sql": sql})
			if answer, err := post(t.Context(), http.DefaultClient, p.url+"/v1/api/sql", alice, body); err != nil {
				t.Fatalf("%s: %v %s", sql, err, answer)
			}
		}
		if i%20 == 0 {
			p.login("alice")
		}
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("the slowest of %d rounds took %v", rounds, slowest)
	const allowed = 1 << 20 // kB: limits.max_memory and 512 MiB
	if peak := p.peak(); peak > allowed {
		t.Errorf("the server held %d kB at its peak, more than %d", peak, allowed)
	}
	began := time.Now()
	p.stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the server took %v to end", took)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.logs.String())
	}
	stop()
	hostile.Wait()
}

// sockets opens n sockets of a user that stay until the test ends.
func sockets(t *testing.T, url, token string, n int) {
	t.Helper()
	for range n {
		c, _, err := websocket.Dial(t.Context(), url+"/v1/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
		if err != nil {
			t.Fatal(err)
		}
		go func() { // answers pings
			defer c.CloseNow()
			for {
				if _, _, err := c.Read(t.Context()); err != nil {
					return
				}
			}
		}()
	}
}

// peak is the most memory that the process has had, in kB, without the pages of
// mapped files that it had at the end.
func (p *process) peak() int {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	kb := func(name string) (n int) {
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == name {
				n, _ = strconv.Atoi(f[1])
			}
		}
		return n
	}
	return kb("VmHWM:") - kb("RssFile:")
}
