// Command bench measures the server against a bare echo: the same load tool,
// the same request and response sizes, 16 requests in flight, one after the
// other on one machine. It prints ratios; see README.md for how to read them.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	binary   = flag.String("kalam", "bin/kalam", "the server's program")
	rows     = flag.String("rows", "10000,1000000", "table sizes to measure at")
	seconds  = flag.Float64("seconds", 2, "length of one run")
	rounds   = flag.Int("rounds", 5, "runs of each, in turn; the median counts")
	inFlight = flag.Int("c", 16, "requests in flight")
	only     = flag.String("only", "", "sql, live, topics, auth, accounts, queries, files, neighbour, or a part of live (latency, fanout, filters, elsewhere, sockets): measure only that")
	echoMode = flag.Bool("echo", false, "be the echo (used by the program itself)")
	crowdOf  = flag.String("crowd", "", "be a crowd of sockets (likewise)")
	loadOf   = flag.String("load", "", "be mallory (likewise)")
	bareMode = flag.Bool("broadcast", false, "be the bare broadcast (likewise)")
)

func main() {
	flag.Parse()
	if *echoMode {
		serveEcho()
		return
	}
	work := run
	switch {
	case *crowdOf != "":
		work = func() error { return runCrowd(*crowdOf) }
	case *loadOf != "":
		work = func() error { return runHostile(*loadOf) }
	case *bareMode:
		work = runBroadcaster
	case *bareFiles != "":
		work = func() error { return serveBareFiles(*bareFiles) }
	case *uploadersOf != "":
		work = func() error { return runUploaders(*uploadersOf) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	switch *only {
	case "live", "latency", "fanout", "filters", "elsewhere", "sockets":
		return measureLive()
	case "topics":
		return measureTopics()
	case "auth":
		return measureLogins()
	case "accounts":
		return measureAccounts()
	case "queries":
		return measureQueries()
	case "files":
		return measureFiles()
	case "neighbour":
		return measureNeighbour()
	}
	fmt.Printf("%s, %d CPUs, %d in flight, %d rounds of %gs, median of the rounds\n\n", runtime.Version(), runtime.NumCPU(), *inFlight, *rounds, *seconds)
	fmt.Printf("%-34s %10s %10s %7s %8s %8s %8s %9s %9s\n", "path", "kalam/s", "echo/s", "ratio", "p50 ms", "p95 ms", "p99 ms", "RSS MB", "own MB")
	for _, size := range strings.Split(*rows, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(size))
		if err != nil {
			return fmt.Errorf("-rows: %w", err)
		}
		if err := measure(n); err != nil {
			return err
		}
	}
	if *only == "sql" {
		return nil
	}
	if err := measureLive(); err != nil {
		return err
	}
	if err := measureTopics(); err != nil {
		return err
	}
	if err := measureQueries(); err != nil {
		return err
	}
	return measureFiles()
}

// measure fills a fresh server with n rows and compares its paths with the echo.
func measure(n int) error {
	k, err := startKalam(*binary)
	if err != nil {
		return err
	}
	defer k.stop()
	fmt.Printf("idle server: %.1f MB RSS, %.1f MB of it its own\n", k.rss(), k.own())
	if err := k.fill(n); err != nil {
		return err
	}
	next := n
	paths := []struct {
		name string
		body func(i int) []byte
	}{
		{"point SELECT", func(i int) []byte {
			return fmt.Appendf(nil, `{"sql":"SELECT id, room, body FROM bench.messages WHERE id = $1","params":[%d]}`, 1+(i*7919)%n)
		}},
		{"durable INSERT", func(int) []byte {
			next++
			return fmt.Appendf(nil, `{"sql":"INSERT INTO bench.messages (id, room, body) VALUES ($1, $2, $3)","params":[%d,"general","a message of an ordinary length, as people write them"]}`, next)
		}},
	}
	for _, p := range paths {
		req := target{addr: k.addr, token: k.token, body: p.body}
		sample, err := req.once()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		e, err := startEcho(len(sample))
		if err != nil {
			return err
		}
		if err := compare(fmt.Sprintf("%s, %s rows", p.name, human(n)), req, target{addr: e.addr, token: k.token, body: p.body}, k); err != nil {
			e.stop()
			return err
		}
		e.stop()
	}
	return nil
}

// compare runs both targets in turn and prints the medians.
func compare(name string, ours, echo target, k *process) error {
	var a, b []result
	for range *rounds {
		r, err := ours.load(*inFlight, seconds2())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a = append(a, r)
		if r, err = echo.load(*inFlight, seconds2()); err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		b = append(b, r)
	}
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i].rate / b[i].rate
	}
	m := medianRun(a)
	fmt.Printf("%-34s %10.0f %10.0f %7.2f %8.2f %8.2f %8.2f %9.1f %9.1f\n", name, m.rate, medianRun(b).rate, median(ratios), ms(m.p50), ms(m.p95), ms(m.p99), k.rss(), k.own())
	return nil
}

func seconds2() time.Duration { return time.Duration(*seconds * float64(time.Second)) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

func medianRun(v []result) result {
	v = slices.Clone(v)
	slices.SortFunc(v, func(a, b result) int { return int(a.rate - b.rate) })
	return v[len(v)/2]
}

func human(n int) string {
	switch {
	case n > 0 && n%1_000_000 == 0:
		return strconv.Itoa(n/1_000_000) + "M"
	case n%1000 == 0:
		return strconv.Itoa(n/1000) + "k"
	}
	return strconv.Itoa(n)
}
