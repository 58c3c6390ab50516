package node_test

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy passes connections on to a server that may move, and treats them badly:
// after a random number of bytes from the server it cuts a connection, leaves
// out the rest of a frame, or stalls for a while.
type proxy struct {
	url     string
	target  atomic.Pointer[string] // host:port
	gentle  atomic.Bool            // new connections are passed on as they are
	damages atomic.Int64
	l       net.Listener
	done    sync.WaitGroup

	mu    sync.Mutex
	rnd   *rand.Rand // mu guards it and the rest
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, target string, seed uint64) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: "http://" + l.Addr().String(), l: l, rnd: rand.New(rand.NewPCG(seed, 99)), conns: map[net.Conn]bool{}}
	p.target.Store(&target)
	ctx, cancel := context.WithCancel(context.Background())
	p.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.done.Go(func() { p.pass(ctx, c) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		p.cutAll()
		p.done.Wait()
	})
	return p
}

// cutAll ends the connections there are.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) random(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rnd.IntN(n)
}

func (p *proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
}

func (p *proxy) drop(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// pass moves the bytes of one connection until it ends.
func (p *proxy) pass(ctx context.Context, client net.Conn) {
	p.keep(client)
	defer p.drop(client)
	server, err := net.Dial("tcp", *p.target.Load())
	if err != nil {
		return
	}
	p.keep(server)
	defer p.drop(server)
	var up sync.WaitGroup
	up.Go(func() {
		defer server.Close()
		buf := make([]byte, 4096)
		for {
			n, err := client.Read(buf)
			if n > 0 {
				if _, err := server.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	defer up.Wait()
	defer client.Close()
	buf := make([]byte, 4096)
	left := 500 + p.random(1+p.random(50_000))
	for {
		n, err := server.Read(buf)
		if left -= n; left < 0 && !p.gentle.Load() {
			p.damages.Add(1)
			switch p.random(3) {
			case 0: // nothing of it arrives
				return
			case 1: // a part of it arrives
				client.Write(buf[:p.random(n+1)])
				return
			default:
				select {
				case <-time.After(time.Duration(p.random(300)) * time.Millisecond):
				case <-ctx.Done():
				}
				left = p.random(20_000)
			}
		}
		if n > 0 {
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
