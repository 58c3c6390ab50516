package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// measureLogins compares point SELECTs of a quiet server with those of one to
// which fifty people a second sign in with their passwords.
func measureLogins() error {
	const perSecond = 50
	os.Setenv("KALAMDB_RATE_LIMIT_MAX_AUTH_REQUESTS_PER_IP_PER_SEC", "1000")
	k, err := startKalam(*binary)
	if err != nil {
		return err
	}
	defer k.stop()
	if err := k.fill(10_000); err != nil {
		return err
	}
	req := target{addr: k.addr, token: k.token, body: func(i int) []byte {
		return fmt.Appendf(nil, `{"sql":"SELECT id, room, body FROM bench.messages WHERE id = $1","params":[%d]}`, 1+(i*7919)%10_000)
	}}
	fmt.Printf("%-34s %10s %8s %8s %8s\n", "point SELECT, 10k rows", "a second", "p50 ms", "p95 ms", "p99 ms")
	for _, n := range slices.Compact([]int{4, *inFlight}) {
		if err := compareLogins(k.addr, req, n, perSecond); err != nil {
			return err
		}
	}
	return nil
}

// compareLogins keeps n SELECTs in flight, in turn without logins and with them.
func compareLogins(addr string, req target, n, perSecond int) error {
	var quiet, busy []result
	var ratios, rates []float64
	var logins []time.Duration
	for range *rounds {
		a, err := req.load(n, seconds2())
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(context.Background())
		var took []time.Duration
		var wg sync.WaitGroup
		began := time.Now()
		wg.Go(func() { took = signIn(ctx, addr, perSecond) })
		b, err := req.load(n, seconds2())
		length := time.Since(began)
		stop()
		wg.Wait()
		if err != nil {
			return err
		}
		quiet, busy, logins = append(quiet, a), append(busy, b), append(logins, took...)
		ratios = append(ratios, float64(b.p99)/float64(a.p99))
		rates = append(rates, float64(len(took))/length.Seconds())
	}
	if len(logins) == 0 {
		return errors.New("nobody could sign in")
	}
	slices.Sort(logins)
	a, b := medianRun(quiet), medianRun(busy)
	fmt.Printf("%-34s %10.0f %8.2f %8.2f %8.2f\n", fmt.Sprintf("%d in flight, quiet", n), a.rate, ms(a.p50), ms(a.p95), ms(a.p99))
	fmt.Printf("%-34s %10.0f %8.2f %8.2f %8.2f\n", "  while people sign in", b.rate, ms(b.p50), ms(b.p95), ms(b.p99))
	fmt.Printf("  p99 grows by %.2f (median of the rounds); %.0f logins begun a second take p50 %.0f ms, p99 %.0f ms\n",
		median(ratios), median(rates), ms(logins[len(logins)/2]), ms(logins[len(logins)*99/100]))
	return nil
}

// signIn starts perSecond logins each second until ctx ends and returns the
// latencies of those that succeeded.
func signIn(ctx context.Context, addr string, perSecond int) []time.Duration {
	return arrivals(ctx, perSecond, func(int) int {
		return post(addr, "login", `{"user":"alice","password":"`+password+`"}`)
	})[http.StatusOK]
}

// arrivals starts perSecond requests each second until ctx ends, without waiting
// for earlier ones, and returns their latencies by HTTP status. Status 0 means that
// no response came.
func arrivals(ctx context.Context, perSecond int, ask func(i int) (status int)) map[int][]time.Duration {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	took := map[int][]time.Duration{}
	var mu sync.Mutex // guards took
	var wg sync.WaitGroup
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			wg.Wait()
			return took
		case <-tick.C:
		}
		wg.Go(func() {
			began := time.Now()
			status := ask(i)
			mu.Lock()
			defer mu.Unlock()
			took[status] = append(took[status], time.Since(began))
		})
	}
}

// post sends body to an auth route and returns the HTTP status, or 0 if no response
// came.
func post(addr, route, body string) int {
	resp, err := http.Post("http://"+addr+"/v1/api/auth/"+route, "application/json", strings.NewReader(body))
	if err != nil {
		return 0
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}
