package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/consumer"
)

var (
	messages = flag.Int("messages", 100_000, "messages that one consumer drains")
	waiters  = flag.Int("waiters", 1000, "consumers that wait for a message")
)

// measureTopics compares what topics cost with the same work without them.
func measureTopics() error {
	fmt.Printf("\ntopics: %s, %d CPUs\n", runtime.Version(), runtime.NumCPU())
	k, err := startKalam(*binary)
	if err != nil {
		return err
	}
	defer k.stop()
	c, err := dial(k.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, sql := range []string{
		"CREATE NAMESPACE IF NOT EXISTS bench",
		"CREATE SHARED TABLE bench.plain (id BIGINT PRIMARY KEY, room TEXT NOT NULL, body TEXT NOT NULL)",
		"CREATE SHARED TABLE bench.routed (id BIGINT PRIMARY KEY, room TEXT NOT NULL, body TEXT NOT NULL)",
		"CREATE TOPIC bench.log",
		"ALTER TOPIC bench.log ADD SOURCE bench.routed ON INSERT",
	} {
		if err := k.sql(c, sql); err != nil {
			return err
		}
	}
	for _, step := range []func(*process, *conn) error{idleConsumers, wakeUp, routedInsert, drain} {
		if err := step(k, c); err != nil {
			return err
		}
	}
	return nil
}

// sql runs one statement.
func (p *process) sql(c *conn, sql string) error {
	body, _ := json.Marshal(map[string]string{"sql": sql})
	_, err := c.post(p.token, body)
	return err
}

// idleConsumers lets many consumers wait and measures what they take.
func idleConsumers(k *process, _ *conn) error {
	// What the first requests take on every connection of the engine is not theirs.
	warm := target{addr: k.addr, token: k.token, body: func(int) []byte { return []byte(`{"sql":"CONSUME FROM bench.log GROUP 'idle'"}`) }}
	if _, err := warm.load(*inFlight, time.Second); err != nil {
		return err
	}
	before := k.own()
	var open []*conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for i := range *waiters {
		c, err := dial(k.addr)
		if err != nil {
			return err
		}
		open = append(open, c)
		body := fmt.Sprintf(`{"topic_id":"bench.log","group_id":"idle","consumer_id":"c%d","timeout_seconds":60}`, i)
		_, err = fmt.Fprintf(c, "POST /v1/api/topics/consume HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", k.token, len(body), body)
		if err != nil {
			return err
		}
	}
	after := k.own()
	for range 12 { // what connecting took is given back after a while
		time.Sleep(time.Second)
		after = min(after, k.own())
	}
	const watch = 10 * time.Second
	begin := k.cpu()
	time.Sleep(watch)
	used := k.cpu() - begin
	fmt.Printf("%d consumers that wait: %.1f MB (%.1f KiB each), %.2f %% of one CPU\n", *waiters, after-before, (after-before)*1024/float64(*waiters), 100*used.Seconds()/watch.Seconds())
	return nil
}

func (k *process) consumer(group string) (*consumer.Consumer, error) {
	return consumer.New("http://"+k.addr, auth.Static(auth.JWT(k.token)), consumer.Options{Topic: "bench.log", Group: group, Start: consumer.Earliest})
}

// wakeUp measures how long after the answer to an INSERT a waiting consumer has
// its message.
func wakeUp(k *process, c *conn) error {
	x, err := k.consumer("wake")
	if err != nil {
		return err
	}
	defer x.Close()
	got := make(chan time.Time)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		for m, err := range x.Messages(ctx) {
			if err != nil {
				if ctx.Err() == nil {
					fmt.Fprintln(os.Stderr, "bench:", err)
				}
				close(got)
				return
			}
			at := time.Now()
			m.Ack()
			got <- at
		}
	}()
	var took []time.Duration
	for i := range 200 {
		if err := k.sql(c, fmt.Sprintf("INSERT INTO bench.routed VALUES (%d, 'x', 'y')", -1-i)); err != nil {
			return err
		}
		answered := time.Now()
		at, ok := <-got
		if !ok {
			return errors.New("the consumer ended")
		}
		took = append(took, max(at.Sub(answered), 0))
		time.Sleep(20 * time.Millisecond) // so that it waits again
	}
	slices.Sort(took)
	fmt.Printf("answer to an INSERT until the waiting consumer has it: p50 %.2f ms, p99 %.2f ms\n", ms(took[100]), ms(took[198]))
	return nil
}

// routedInsert compares INSERTs into a table with and without a source.
func routedInsert(k *process, _ *conn) error {
	next := 1 << 30
	insert := func(table string) target {
		return target{addr: k.addr, token: k.token, body: func(int) []byte {
			next++
			return fmt.Appendf(nil, `{"sql":"INSERT INTO bench.%s (id, room, body) VALUES ($1, $2, $3)","params":[%d,"general","a message of an ordinary length, as people write them"]}`, table, next)
		}}
	}
	plain, routed := insert("plain"), insert("routed")
	var a, b []result
	var ratios []float64
	for range *rounds {
		r, err := routed.load(*inFlight, seconds2())
		if err != nil {
			return err
		}
		p, err := plain.load(*inFlight, seconds2())
		if err != nil {
			return err
		}
		a, b, ratios = append(a, r), append(b, p), append(ratios, r.rate/p.rate)
	}
	fmt.Printf("INSERT into a routed table: %.0f/s, plain %.0f/s, ratio %.2f\n", medianRun(a).rate, medianRun(b).rate, median(ratios))
	return nil
}

// fetch runs a statement over HTTP and throws the answer away.
func (p *process) fetch(body string) error {
	r, err := http.NewRequest("POST", "http://"+p.addr+"/v1/api/sql", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+p.token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// drain compares one consumer with a client that reads the same rows page by
// page, both with a hundred at a time.
func drain(k *process, c *conn) error {
	if err := k.sql(c, "CLEAR TOPIC bench.log"); err != nil {
		return err
	}
	var b strings.Builder
	for i := 0; i < *messages; {
		b.Reset()
		b.WriteString("INSERT INTO bench.routed VALUES ")
		for n := 0; n < 500 && i < *messages; n, i = n+1, i+1 {
			if n > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "(%d,'general','a message of an ordinary length, as people write them')", i)
		}
		if err := k.sql(c, b.String()); err != nil {
			return err
		}
	}
	api, err := client.New("http://"+k.addr, auth.Static(auth.JWT(k.token)), client.Options{})
	if err != nil {
		return err
	}
	defer api.Close()
	var pages, bare, drained []float64
	for round := range 3 {
		begin := time.Now()
		for at := -1; at < *messages-1; at += 100 {
			res, err := api.Query(context.Background(), "SELECT * FROM bench.routed WHERE id > $1 AND id < $2 ORDER BY id LIMIT 100", at, *messages)
			if err != nil {
				return err
			}
			if len(res.Rows()) == 0 {
				return errors.New("a page without rows")
			}
		}
		pages = append(pages, float64(*messages)/time.Since(begin).Seconds())
		begin = time.Now()
		for at := -1; at < *messages-1; at += 100 {
			body := fmt.Sprintf(`{"sql":"SELECT * FROM bench.routed WHERE id > $1 AND id < $2 ORDER BY id LIMIT 100","params":[%d,%d]}`, at, *messages)
			if err := k.fetch(body); err != nil {
				return err
			}
		}
		bare = append(bare, float64(*messages)/time.Since(begin).Seconds())
		x, err := k.consumer("drain" + strconv.Itoa(round))
		if err != nil {
			return err
		}
		begin = time.Now()
		n := 0
		for m, err := range x.Messages(context.Background()) {
			if err != nil {
				return err
			}
			m.Ack()
			if n++; n == *messages {
				break
			}
		}
		if err := x.Flush(context.Background()); err != nil {
			return err
		}
		drained = append(drained, float64(*messages)/time.Since(begin).Seconds())
		if err := x.Close(); err != nil {
			return err
		}
	}
	d := median(drained)
	fmt.Printf("one consumer drains %s messages: %.0f/s; pages by SELECT: %.0f rows/s with the same SDK (ratio %.2f), %.0f rows/s undecoded (ratio %.2f)\n",
		human(*messages), d, median(pages), d/median(pages), median(bare), d/median(bare))
	return nil
}
