package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// measureLive prints what live queries cost: the delay of a delivery, the
// processor time of one in a fan-out, that of a write beside many queries which
// it does not concern, and the memory of a socket.
func measureLive() error {
	fmt.Println("\nlive queries")
	for _, part := range []struct {
		name string
		run  func() error
	}{{"latency", latency}, {"fanout", fanOut}, {"filters", filters}, {"elsewhere", elsewhere}, {"sockets", idleSockets}} {
		if *only != part.name && slices.Contains(liveParts, *only) {
			continue
		}
		if err := part.run(); err != nil {
			return err
		}
	}
	return nil
}

var liveParts = []string{"latency", "fanout", "filters", "elsewhere", "sockets"}

func startLive() (*process, error) {
	os.Setenv("KALAMDB_RATE_LIMIT_MAX_SUBSCRIPTIONS_PER_USER", "1000000")
	k, err := startKalam(*binary)
	if err != nil {
		return nil, err
	}
	err = k.run("CREATE NAMESPACE bench", "CREATE SHARED TABLE bench.board (id BIGINT PRIMARY KEY, topic INT NOT NULL, body TEXT NOT NULL)")
	if err != nil {
		k.stop()
		return nil, err
	}
	return k, nil
}

func (p *process) run(statements ...string) error {
	c, err := dial(p.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, sql := range statements {
		body, _ := json.Marshal(map[string]string{"sql": sql})
		if _, err := c.post(p.token, body); err != nil {
			return err
		}
	}
	return nil
}

// cpu is the processor time that the process has used.
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of 1/100 s
}

func boardRow(id, topic int) []byte {
	return fmt.Appendf(nil, `{"sql":"INSERT INTO bench.board (id, topic, body) VALUES ($1, $2, $3)","params":[%d,%d,"a message of an ordinary length, as people write them"]}`, id, topic)
}

// latency writes at a steady rate and measures when each answer and each
// delivery comes; beside it the echo at the same rate, to know the machine.
func latency() error {
	k, err := startLive()
	if err != nil {
		return err
	}
	defer k.stop()
	s, err := dialSocket(k.addr, k.token)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	if err := s.subscribe("a", "SELECT * FROM bench.board"); err != nil {
		return err
	}
	const rate = 1000
	n := int(rate * *seconds * 2)
	delivered := make([]time.Time, n+1)
	gone := make(chan error, 1)
	go func() {
		marker := []byte(`"id":"`)
		for seen := 0; seen < n; seen++ {
			m, err := s.read()
			if err != nil {
				gone <- err
				return
			}
			now := time.Now()
			i := bytes.Index(m, marker) + len(marker)
			id, err := strconv.Atoi(string(m[i : i+bytes.IndexByte(m[i:], '"')]))
			if err != nil {
				gone <- fmt.Errorf("%s: %w", m, err)
				return
			}
			delivered[id] = now
		}
		gone <- nil
	}()
	sent, answered, err := paced(&target{addr: k.addr, token: k.token, body: func(i int) []byte { return boardRow(i, i%10) }}, n, rate)
	if err == nil {
		err = <-gone
	}
	if err != nil {
		return err
	}
	var answer, delivery, after []time.Duration
	for i := 1; i <= n; i++ {
		answer = append(answer, answered[i].Sub(sent[i]))
		delivery = append(delivery, delivered[i].Sub(sent[i]))
		after = append(after, max(0, delivered[i].Sub(answered[i])))
	}
	e, err := startEcho(200)
	if err != nil {
		return err
	}
	defer e.stop()
	echoSent, echoed, err := paced(&target{addr: e.addr, token: k.token, body: func(i int) []byte { return boardRow(i, i%10) }}, n, rate)
	if err != nil {
		return err
	}
	var echo []time.Duration
	for i := 1; i <= n; i++ {
		echo = append(echo, echoed[i].Sub(echoSent[i]))
	}
	fmt.Printf("%d writes/s%23s %8s %8s ms\n", rate, "", "p50", "p99")
	line := func(name string, d []time.Duration) {
		slices.Sort(d)
		fmt.Printf("  %-34s %8.2f %8.2f\n", name, ms(d[len(d)/2]), ms(d[len(d)*99/100]))
	}
	line("from the request to the answer", answer)
	line("from the request to the delivery", delivery)
	line("from the answer to the delivery", after)
	line("the echo at this rate, its answer", echo)
	return nil
}

// paced sends n requests at a rate, over 16 connections, and notes when each was
// due and when its answer came. A request that is late counts from when it was
// due.
func paced(t *target, n, rate int) (due, answered []time.Time, err error) {
	due, answered = make([]time.Time, n+1), make([]time.Time, n+1)
	next := make(chan int, n)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 16 {
		c, e := dial(t.addr)
		if e != nil {
			return nil, nil, e
		}
		defer c.Close()
		wg.Go(func() {
			for i := range next {
				_, e := c.post(t.token, t.body(i))
				answered[i] = time.Now()
				if e != nil {
					mu.Lock()
					err = e
					mu.Unlock()
				}
			}
		})
	}
	start := time.Now().Add(10 * time.Millisecond)
	for i := 1; i <= n; i++ {
		due[i] = start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due[i]))
		next <- i
	}
	close(next)
	wg.Wait()
	return due, answered, err
}

// fanOut measures the server's time for one delivery when a write reaches all
// subscribers of one query, against the same WebSocket library that sends the
// same bytes and does nothing else.
func fanOut() error {
	fmt.Printf("%-36s %8s %8s %7s\n", "one insert to all, CPU per delivery", "kalam us", "bare us", "ratio")
	for _, n := range []int{1000, 10_000} {
		if err := fanOutTo(n); err != nil {
			return err
		}
	}
	return nil
}

func fanOutTo(n int) error {
	k, err := startLive()
	if err != nil {
		return err
	}
	defer k.stop()
	one, err := dialSocket(k.addr, k.token)
	if err != nil {
		return err
	}
	defer one.conn.Close()
	const sql = "SELECT * FROM bench.board"
	if err := one.subscribe("q0", sql); err != nil {
		return err
	}
	if err := k.run("INSERT INTO bench.board (id, topic, body) VALUES (0, 1, 'a message of an ordinary length, as people write them')"); err != nil {
		return err
	}
	payload, err := one.until("change_type")
	if err != nil {
		return err
	}
	payload = bytes.Clone(payload)
	one.conn.Close()
	b, err := startBroadcaster()
	if err != nil {
		return err
	}
	defer b.stop()
	id := 0
	ours := target{addr: k.addr, token: k.token, body: func(int) []byte { id++; return boardRow(id, 1) }}
	bare := target{addr: b.addr, body: func(int) []byte { return payload }}
	writes := max(1, 100_000/n) // a round is as many deliveries at every size
	a, err := spend(k, &ours, crowdPlan{Addr: k.addr, Token: k.token, Sockets: n, Queries: 1, SQL: sql}, writes, *rounds)
	if err != nil {
		return err
	}
	y, err := spend(b, &bare, crowdPlan{Addr: b.addr, Sockets: n}, writes, *rounds)
	if err != nil {
		return err
	}
	fmt.Printf("  %-34s %8.2f %8.2f %7.2f\n", human(n)+" subscribers", a, y, a/y)
	return nil
}

// spend gathers a crowd, sends requests that reach all of it, one after the
// other, and gives the median of the server's microseconds for a delivery.
func spend(p *process, t *target, plan crowdPlan, requests, rounds int) (float64, error) {
	c, err := startCrowd(plan)
	if err != nil {
		return 0, err
	}
	defer c.stop()
	h, err := dial(t.addr)
	if err != nil {
		return 0, err
	}
	defer h.Close()
	var per []float64
	total := 0
	for range rounds + 1 { // the first one warms up
		before := p.cpu()
		for i := range requests {
			if _, err := h.post(t.token, t.body(i)); err != nil {
				return 0, err
			}
			total += plan.Sockets
			if err := c.wait(total); err != nil {
				return 0, err
			}
		}
		per = append(per, float64((p.cpu()-before).Microseconds())/float64(requests*plan.Sockets))
	}
	return median(per[1:]), nil
}

// filters measures what a write costs beside live queries with equality filters
// of which it matches one at most.
func filters() error {
	fmt.Printf("%-36s %8s %7s\n", "a write beside other filters", "CPU us", "ratio")
	k, err := startLive()
	if err != nil {
		return err
	}
	defer k.stop()
	h, err := dial(k.addr)
	if err != nil {
		return err
	}
	defer h.Close()
	id := 0
	measure := func() (float64, error) {
		const writes = 2000
		var per []float64
		for range *rounds + 1 {
			before := k.cpu()
			for range writes {
				id++
				if _, err := h.post(k.token, boardRow(id, -1)); err != nil {
					return 0, err
				}
			}
			per = append(per, float64((k.cpu()-before).Microseconds())/writes)
		}
		return median(per[1:]), nil
	}
	alone := 0.0
	for _, n := range []int{0, 1000, 10_000} {
		var c *crowd
		if n > 0 {
			if c, err = startCrowd(crowdPlan{Addr: k.addr, Token: k.token, Sockets: n / 100, Queries: 100, SQL: "SELECT * FROM bench.board WHERE topic = %d"}); err != nil {
				return err
			}
		}
		per, err := measure()
		if c != nil {
			c.stop()
		}
		if err != nil {
			return err
		}
		if n == 0 {
			alone = per
		}
		fmt.Printf("  %-34s %8.1f %7.2f\n", human(n)+" subscribers", per, per/alone)
	}
	return nil
}

// elsewhere measures what INSERTs cost while a thousand live queries watch
// another table, against the same server without them, in turns.
func elsewhere() error {
	fmt.Printf("%-36s %8s %8s %10s\n", "INSERT, nobody watches its table", "a second", "p99 ms", "CPU us")
	k, err := startLive()
	if err != nil {
		return err
	}
	defer k.stop()
	if err := k.run("CREATE SHARED TABLE bench.other (id BIGINT PRIMARY KEY, topic INT NOT NULL)"); err != nil {
		return err
	}
	id := 0
	inserts := target{addr: k.addr, token: k.token, body: func(int) []byte { id++; return boardRow(id, 1) }}
	type turn struct {
		result
		cpu float64 // microseconds of a request
	}
	measure := func() (turn, error) {
		before, first := k.cpu(), id
		r, err := inserts.load(*inFlight, seconds2())
		return turn{r, float64((k.cpu() - before).Microseconds()) / float64(id-first)}, err
	}
	if _, err := measure(); err != nil { // warms up
		return err
	}
	const watching = 1000
	var alone, beside []turn
	var rates, costs []float64
	for range *rounds {
		a, err := measure()
		if err != nil {
			return err
		}
		c, err := startCrowd(crowdPlan{Addr: k.addr, Token: k.token, Sockets: watching / 100, Queries: 100, SQL: "SELECT * FROM bench.other WHERE topic <> %d"})
		if err != nil {
			return err
		}
		b, err := measure()
		c.stop()
		if err != nil {
			return err
		}
		alone, beside = append(alone, a), append(beside, b)
		rates, costs = append(rates, b.rate/a.rate), append(costs, b.cpu/a.cpu)
	}
	line := func(name string, turns []turn) {
		slices.SortFunc(turns, func(a, b turn) int { return cmp.Compare(a.cpu, b.cpu) })
		m := turns[len(turns)/2]
		fmt.Printf("  %-34s %8.0f %8.2f %10.1f\n", name, m.rate, ms(m.p99), m.cpu)
	}
	line("no live query", alone)
	line(human(watching)+" on another table", beside)
	fmt.Printf("  ratios (medians of the turns): rate %.2f, CPU %.2f\n", median(rates), median(costs))
	return nil
}

// idleSockets measures what a socket with one subscription takes in memory.
func idleSockets() error {
	fmt.Printf("%-36s %8s\n", "an idle socket, one subscription", "KiB RSS")
	for _, n := range []int{1000, 15_000} {
		k, err := startLive()
		if err != nil {
			return err
		}
		defer k.stop()
		before := k.rss()
		c, err := startCrowd(crowdPlan{Addr: k.addr, Token: k.token, Sockets: n, Queries: 1, SQL: "SELECT * FROM bench.board WHERE topic = %d"})
		if err != nil {
			return err
		}
		least := k.rss()
		for range 12 { // what connecting took is given back after a while
			time.Sleep(time.Second)
			least = min(least, k.rss())
		}
		c.stop()
		fmt.Printf("  %-34s %8.1f\n", human(n)+" sockets", (least-before)*1024/float64(n))
	}
	return nil
}
