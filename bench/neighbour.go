package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var class = flag.String("class", "", "of -only neighbour: measure beside this class of load only")

// hostile is what mallory does, again and again, in so many goroutines.
type hostile struct {
	name    string
	workers int
	do      func(m *mallory, i int)
}

// mallory is a signed-in user with the role user who tries to exhaust the server.
type mallory struct {
	ctx   context.Context
	addr  string
	token string
	n     atomic.Int64 // numbers that were used
}

// number returns a number that mallory has not used yet.
func (m *mallory) number() int64 { return m.n.Add(1) }

// sql sends a statement, reads the response and discards it, errors included.
func (m *mallory) sql(text string) {
	body, _ := json.Marshal(map[string]string{"sql": text})
	req, _ := http.NewRequestWithContext(m.ctx, "POST", "http://"+m.addr+"/v1/api/sql", bytes.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+m.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// open opens a connection, writes to it, and holds it until it is closed or the
// load ends.
func (m *mallory) open(write func(c net.Conn)) {
	c, err := net.Dial("tcp", m.addr)
	if err != nil {
		return
	}
	defer context.AfterFunc(m.ctx, func() { c.Close() })()
	defer c.Close()
	write(c)
}

// numbers is a query of n rows.
func numbers(n int) string {
	return fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", n)
}

var hostiles = []hostile{
	{"slow SELECTs", 66, func(m *mallory, _ int) { m.sql(numbers(100_000_000) + "SELECT max(i) FROM n") }},
	{"slow INSERT..SELECTs", 6, func(m *mallory, _ int) {
		m.sql("INSERT INTO bench.messages (id, room, body) " + numbers(10_000_000) + "SELECT max(i) + " + fmt.Sprint(m.number()) + ", 'r', 'b' FROM n")
	}},
	{"bulk INSERTs", 6, func(m *mallory, _ int) {
		var b strings.Builder
		b.WriteString("INSERT INTO bench.messages VALUES ")
		for i := range 1000 {
			fmt.Fprintf(&b, "%s(%d,'r','a message')", []string{"", ","}[min(i, 1)], 1_000_000+m.number())
		}
		m.sql(b.String())
	}},
	{"explosive expressions", 4, func(m *mallory, _ int) {
		m.sql("INSERT INTO bench.messages VALUES (" + fmt.Sprint(m.number()) + ", " + strings.Repeat("NULLIF(", 25) + "'x'" + strings.Repeat(", 'y')", 25) + ", 'b')")
	}},
	{"large expressions", 4, func(m *mallory, _ int) {
		m.sql("INSERT INTO bench.messages SELECT " + fmt.Sprint(m.number()) + ", CASE " + strings.Repeat("WHEN repeat('a', 10000) ~ 'b' THEN 'x' ", 2000) + " ELSE 'y' END, 'b'")
	}},
	{"regular expressions", 16, func(m *mallory, _ int) {
		m.sql(fmt.Sprintf("SELECT regexp_count(repeat('ab', %d), '(a|b)*?(a?){300}c')", 1_000_000+m.number()%1000))
	}},
	{"greedy SELECTs", 16, func(m *mallory, _ int) {
		m.sql("SELECT string_agg(i || repeat('x', 10000), ',') FROM (" + numbers(1_000_000) + "SELECT DISTINCT i FROM n)")
	}},
	{"large statements", 4, func(m *mallory, _ int) {
		m.sql(fmt.Sprint("SELECT ", m.number(), strings.Repeat(" + 1", 200_000)))
	}},
	{"unread answers", 25, func(m *mallory, _ int) {
		m.open(func(c net.Conn) {
			body, _ := json.Marshal(map[string]string{"sql": numbers(60_000) + "SELECT repeat('x', 1000) FROM n"})
			fmt.Fprintf(c, "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", m.token, len(body), body)
			wait(m.ctx, 15*time.Second)
		})
	}},
	{"slow bodies", 200, func(m *mallory, _ int) {
		m.open(func(c net.Conn) {
			fmt.Fprintf(c, "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n", m.token)
			for m.ctx.Err() == nil {
				if _, err := c.Write([]byte(" ")); err != nil {
					return
				}
				wait(m.ctx, time.Second)
			}
		})
	}},
	{"live filters", 20, func(m *mallory, i int) {
		s, err := dialSocket(m.addr, m.token)
		if err != nil {
			return
		}
		defer s.conn.Close()
		defer context.AfterFunc(m.ctx, func() { s.conn.Close() })()
		s.subscribe("a", "SELECT * FROM bench.messages WHERE CASE "+strings.Repeat("WHEN body ~ '(a|b)*c' THEN false ", 150)+" ELSE id > "+fmt.Sprint(i)+" END")
		for m.ctx.Err() == nil {
			m.sql(fmt.Sprintf("INSERT INTO bench.messages VALUES (%d, 'r', '%s')", 100_000_000+m.number(), strings.Repeat("ab", 500)))
		}
	}},
	{"sockets", 4, func(m *mallory, _ int) {
		if s, err := dialSocket(m.addr, m.token); err == nil {
			context.AfterFunc(m.ctx, func() { s.conn.Close() })
		} else {
			wait(m.ctx, 10*time.Millisecond)
		}
	}},
	{"definitions", 2, func(m *mallory, _ int) {
		var b strings.Builder
		for i := range 200 {
			fmt.Fprintf(&b, ", c%d TEXT", i)
		}
		m.sql(fmt.Sprintf("CREATE USER TABLE bench.m%d (id BIGINT PRIMARY KEY%s)", m.number(), b.String()))
	}},
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// probe is something that alice does; it takes as long as its second part.
type probe struct {
	name string
	do   func() (time.Duration, error)
}

// measureNeighbour compares what alice waits for alone with what she waits for
// while mallory runs each class of hostile load.
func measureNeighbour() error {
	os.Setenv("KALAMDB_RATE_LIMIT_MAX_AUTH_REQUESTS_PER_IP_PER_SEC", "1000")
	os.Setenv("KALAMDB_WEBSOCKET_CLIENT_TIMEOUT_SECS", "3600") // alice's socket answers pings only while it is measured
	fmt.Printf("p99 of alice beside mallory over alone, and p99 in ms; %d rounds of %gs for each, median of the rounds\n\n", *rounds, *seconds)
	fmt.Printf("%-24s", "beside")
	for _, name := range []string{"SELECT", "INSERT", "login", "live"} {
		fmt.Printf(" %7s %8s", name, "ms")
	}
	fmt.Printf(" %9s\n", "peak MB")
	for _, h := range hostiles {
		if *class != "" && !strings.Contains(h.name, *class) {
			continue
		}
		if err := measureBeside(h); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
	}
	return nil
}

// measureBeside does so for one class, on a server of its own.
func measureBeside(h hostile) error {
	k, err := startKalam(*binary)
	if err != nil {
		return err
	}
	defer k.stop()
	if err := k.fill(10_000); err != nil {
		return err
	}
	token, err := k.login("bob")
	if err != nil {
		return err
	}
	probes, err := aliceProbes(k)
	if err != nil {
		return err
	}
	ratios := make([][]float64, len(probes))
	beside := make([][]float64, len(probes))
	for range *rounds {
		alone := make([]time.Duration, len(probes))
		for i, p := range probes {
			if alone[i], err = p.p99(); err != nil {
				return fmt.Errorf("alone, %s: %w", p.name, err)
			}
		}
		stop, err := startHostile(h, k.addr, token)
		if err != nil {
			return err
		}
		time.Sleep(time.Second)
		for i, p := range probes {
			var with time.Duration
			if with, err = p.p99(); err != nil {
				err = fmt.Errorf("beside it, %s: %w", p.name, err)
				break
			}
			ratios[i] = append(ratios[i], float64(with)/float64(alone[i]))
			beside[i] = append(beside[i], ms(with))
		}
		stop()
		if err != nil {
			return err
		}
	}
	fmt.Printf("%-24s", h.name)
	for i := range probes {
		fmt.Printf(" %7.2f %8.2f", median(ratios[i]), median(beside[i]))
	}
	fmt.Printf(" %9.1f\n", k.status("VmHWM:"))
	return nil
}

// startHostile runs a class of load in a process of its own at the lowest priority.
// In production mallory's client runs on another machine, so the only CPU time she
// may cost alice is the server's. The process ends when stop is called, or when this
// one does.
func startHostile(h hostile, addr, token string) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	load := exec.Command("nice", "-n", "39", self, "-load", h.name)
	load.Env = append(os.Environ(), "BENCH_ADDR="+addr, "BENCH_TOKEN="+token)
	load.Stderr = os.Stderr
	open, err := load.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := load.Start(); err != nil {
		return nil, err
	}
	return func() {
		open.Close()
		load.Wait()
	}, nil
}

// runHostile is that process. It ends when its standard input does.
func runHostile(name string) error {
	at := slices.IndexFunc(hostiles, func(h hostile) bool { return h.name == name })
	if at < 0 {
		return fmt.Errorf("there is no load %q", name)
	}
	h := hostiles[at]
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	m := &mallory{ctx: ctx, addr: os.Getenv("BENCH_ADDR"), token: os.Getenv("BENCH_TOKEN")}
	m.n.Store(time.Now().UnixMilli() % 1_000_000_000 * 100)
	var load sync.WaitGroup
	for i := range h.workers {
		load.Go(func() {
			for ctx.Err() == nil {
				h.do(m, i)
			}
		})
	}
	load.Wait()
	return nil
}

// p99 does what the probe does for a while, one after the other.
func (p probe) p99() (time.Duration, error) {
	var all []time.Duration
	for end := time.Now().Add(seconds2()); time.Now().Before(end) || len(all) < 20; {
		took, err := p.do()
		if err != nil {
			return 0, err
		}
		all = append(all, took)
	}
	slices.Sort(all)
	return all[(len(all)*99)/100], nil
}

// aliceProbes are what alice does: a point SELECT, an INSERT, a login, and an
// INSERT until it arrives on a live query of hers.
func aliceProbes(k *process) ([]probe, error) {
	token, err := k.login("alice")
	if err != nil {
		return nil, err
	}
	c, err := dial(k.addr)
	if err != nil {
		return nil, err
	}
	live, err := dialSocket(k.addr, token)
	if err != nil {
		return nil, err
	}
	if err := live.subscribe("a", "SELECT id, room, body FROM bench.messages WHERE room = 'live'"); err != nil {
		return nil, err
	}
	next := 0
	insert := func(room string) error {
		next++
		_, err := c.post(token, fmt.Appendf(nil, `{"sql":"INSERT INTO bench.messages (id, room, body) VALUES ($1, $2, $3)","params":[%d,%q,"a message of an ordinary length, as people write them"]}`, next, room))
		return err
	}
	for range 100 {
		if err := insert("general"); err != nil {
			return nil, err
		}
	}
	timed := func(fn func() error) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			began := time.Now()
			err := fn()
			return time.Since(began), err
		}
	}
	return []probe{
		{"point SELECT", timed(func() error {
			_, err := c.post(token, fmt.Appendf(nil, `{"sql":"SELECT id, room, body FROM bench.messages WHERE id = $1","params":[%d]}`, 1+next%100))
			return err
		})},
		{"INSERT", timed(func() error { return insert("general") })},
		{"login", timed(func() error {
			_, err := k.login("alice")
			return err
		})},
		{"live delivery", timed(func() error {
			if err := insert("live"); err != nil {
				return err
			}
			_, err := live.until(fmt.Sprintf(`"id":"%d"`, next))
			return err
		})},
	}, nil
}
