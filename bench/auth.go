package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
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
	var quiet, busy []result
	var ratios, logins []float64
	for range *rounds {
		a, err := req.load(*inFlight, seconds2())
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(context.Background())
		var done atomic.Int64
		var wg sync.WaitGroup
		began := time.Now()
		wg.Go(func() { signIn(ctx, k.addr, perSecond, &done) })
		b, err := req.load(*inFlight, seconds2())
		took := time.Since(began)
		stop()
		wg.Wait()
		if err != nil {
			return err
		}
		quiet, busy = append(quiet, a), append(busy, b)
		ratios = append(ratios, float64(b.p99)/float64(a.p99))
		logins = append(logins, float64(done.Load())/took.Seconds())
	}
	a, b := medianRun(quiet), medianRun(busy)
	fmt.Printf("%-34s %10s %8s %8s %8s\n", "point SELECT, 10k rows", "a second", "p50 ms", "p95 ms", "p99 ms")
	fmt.Printf("%-34s %10.0f %8.2f %8.2f %8.2f\n", "quiet", a.rate, ms(a.p50), ms(a.p95), ms(a.p99))
	fmt.Printf("%-34s %10.0f %8.2f %8.2f %8.2f\n", fmt.Sprintf("while %.0f sign in a second", median(logins)), b.rate, ms(b.p50), ms(b.p95), ms(b.p99))
	fmt.Printf("p99 grows by %.2f (median of the rounds)\n", median(ratios))
	return nil
}

// signIn begins so many logins a second, each whether or not those before it
// have been answered, and counts the good answers.
func signIn(ctx context.Context, addr string, perSecond int, done *atomic.Int64) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		wg.Go(func() {
			resp, err := http.Post("http://"+addr+"/v1/api/auth/login", "application/json", strings.NewReader(`{"user":"alice","password":"`+password+`"}`))
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					done.Add(1)
				}
			}
		})
	}
}
