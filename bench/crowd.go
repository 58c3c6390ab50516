package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lxzan/gws"
)

// crowd is a process with many sockets. They are not in the process that
// measures, nor in the server's, so that its memory and time are the server's
// alone.
type crowd struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

// crowdPlan says what a crowd does, as JSON on the command line.
type crowdPlan struct {
	Addr    string
	Token   string // "": the sockets are bare
	Sockets int
	Queries int    // subscriptions of each socket
	SQL     string // %d stands for the number of the subscription
}

func startCrowd(p crowdPlan) (*crowd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	plan, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	c := &crowd{cmd: exec.Command(self, "-crowd", string(plan))}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	if line, err := c.out.ReadString('\n'); err != nil || line != "ready\n" {
		c.stop()
		return nil, fmt.Errorf("the crowd did not come together: %q %w", line, err)
	}
	return c, nil
}

// wait returns when the sockets have received n changes in all.
func (c *crowd) wait(n int) error {
	if _, err := fmt.Fprintln(c.in, n); err != nil {
		return err
	}
	_, err := c.out.ReadString('\n')
	return err
}

func (c *crowd) stop() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

// runCrowd is the other process: it connects, says so, and for each number on
// the standard input answers when as many changes have come.
func runCrowd(plan string) error {
	var p crowdPlan
	if err := json.Unmarshal([]byte(plan), &p); err != nil {
		return err
	}
	var received atomic.Int64
	came := make(chan struct{}, 1)
	failed := make(chan error, p.Sockets)
	var connecting sync.WaitGroup
	places := make(chan struct{}, 32)
	for i := range p.Sockets {
		connecting.Add(1)
		places <- struct{}{}
		go func() {
			s, err := dialSocket(p.Addr, p.Token)
			for k := 0; k < p.Queries && err == nil && p.Token != ""; k++ {
				n := i*p.Queries + k
				err = s.subscribe("q"+strconv.Itoa(k), strings.ReplaceAll(p.SQL, "%d", strconv.Itoa(n)))
			}
			<-places
			connecting.Done()
			for err == nil {
				if _, err = s.read(); err == nil {
					received.Add(1)
					select {
					case came <- struct{}{}:
					default:
					}
				}
			}
			failed <- err
		}()
	}
	connecting.Wait()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			return err
		}
		for received.Load() < n {
			select {
			case <-came:
			case err := <-failed:
				return fmt.Errorf("a socket was lost after %d changes: %w", received.Load(), err)
			}
		}
		fmt.Println(n)
	}
	return nil
}

// startBroadcaster starts the yardstick of fan-out: the same WebSocket library
// and nothing else. It sends what it is posted to all its sockets.
func startBroadcaster() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(exec.Command(self, "-broadcast"), func(line string) string {
		addr, _ := strings.CutPrefix(strings.TrimSpace(line), "broadcast ")
		return addr
	})
}

type broadcaster struct {
	gws.BuiltinEventHandler
	mu    sync.Mutex // guards socks
	socks map[*gws.Conn]bool
}

func (b *broadcaster) OnOpen(c *gws.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.socks[c] = true
}

func runBroadcaster() error {
	b := &broadcaster{socks: map[*gws.Conn]bool{}}
	up := gws.NewUpgrader(b, &gws.ServerOption{ReadBufferSize: 1024})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/ws", func(w http.ResponseWriter, r *http.Request) {
		if c, err := up.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	})
	mux.HandleFunc("POST /v1/api/sql", func(w http.ResponseWriter, r *http.Request) {
		payload, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		defer b.mu.Unlock()
		for c := range b.socks {
			c.WriteMessage(gws.OpcodeText, payload)
		}
		w.Header().Set("Content-Length", "2")
		io.WriteString(w, "{}")
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("broadcast", l.Addr())
	return http.Serve(l, mux)
}
