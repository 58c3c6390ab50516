package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"sync"
	"time"
)

// target is a server and the requests to send it.
type target struct {
	addr  string
	token string
	body  func(i int) []byte
}

// result is what one run measured.
type result struct {
	rate          float64 // requests a second
	p50, p95, p99 time.Duration
}

// once sends one request and returns the body of the answer.
func (t *target) once() ([]byte, error) {
	c, err := dial(t.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.post(t.token, t.body(1))
}

// load keeps n requests in flight for a while. Its client is as small as it
// can be, so that the machine's time goes to the server.
func (t *target) load(n int, length time.Duration) (result, error) {
	var mu sync.Mutex // guards the rest
	var all []time.Duration
	var failed error
	i := 0
	next := func() []byte {
		mu.Lock()
		defer mu.Unlock()
		i++
		return t.body(i)
	}
	start := time.Now()
	end := start.Add(length)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			took, err := worker(t, next, end)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	if failed != nil {
		return result{}, failed
	}
	slices.Sort(all)
	at := func(p float64) time.Duration { return all[int(float64(len(all)-1)*p)] }
	return result{rate: float64(len(all)) / time.Since(start).Seconds(), p50: at(0.5), p95: at(0.95), p99: at(0.99)}, nil
}

func worker(t *target, next func() []byte, end time.Time) ([]time.Duration, error) {
	c, err := dial(t.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var took []time.Duration
	for now := time.Now(); now.Before(end); {
		if _, err := c.post(t.token, next()); err != nil {
			return took, err
		}
		done := time.Now()
		took = append(took, done.Sub(now))
		now = done
	}
	return took, nil
}

// conn is a keep-alive HTTP/1.1 connection.
type conn struct {
	net.Conn
	r   *bufio.Reader
	out []byte
	in  []byte
}

func dial(addr string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 16<<10)}, nil
}

// post sends a JSON body and returns that of the answer, valid until the next.
func (c *conn) post(token string, body []byte) ([]byte, error) {
	c.out = append(c.out[:0], "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer "...)
	c.out = append(c.out, token...)
	c.out = append(c.out, "\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, body...)
	if _, err := c.Write(c.out); err != nil {
		return nil, err
	}
	status, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	ok := bytes.HasPrefix(status, []byte("HTTP/1.1 200"))
	line := string(bytes.TrimSpace(status))
	length := -1
	for {
		h, err := c.r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if h = bytes.TrimSpace(h); len(h) == 0 {
			break
		}
		name, value, _ := bytes.Cut(h, []byte(":"))
		if textproto.CanonicalMIMEHeaderKey(string(name)) == "Content-Length" {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	if length < 0 {
		return nil, fmt.Errorf("the answer has no length: %s", line)
	}
	c.in = slices.Grow(c.in[:0], length)[:length]
	if _, err := io.ReadFull(c.r, c.in); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s: %s", line, c.in)
	}
	return c.in, nil
}
