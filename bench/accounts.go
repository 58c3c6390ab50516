package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

var (
	signUps       = flag.Int("sign-ups", 50, "sign-ups a second of -only accounts")
	signUpSeconds = flag.Int("sign-up-seconds", 30, "how long they last")
	addresses     = flag.Int("addresses", 1000, "known and unknown addresses that -only accounts compares")
)

// measureAccounts has many people sign up at once while others sign in, and
// compares how long an address with an account and one without are waited for.
func measureAccounts() error {
	os.Setenv("KALAMDB_RATE_LIMIT_MAX_AUTH_REQUESTS_PER_IP_PER_SEC", "100000")
	if err := measureSignUps(); err != nil {
		return err
	}
	return compareAddresses()
}

func measureSignUps() error {
	const logins = 5 // a second
	k, err := startKalam(*binary)
	if err != nil {
		return err
	}
	defer k.stop()
	before := k.rss()
	alone, stop := context.WithTimeout(context.Background(), 10*time.Second)
	quiet := signIn(alone, k.addr, logins)
	stop()
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(*signUpSeconds)*time.Second)
	defer stop()
	var beside []time.Duration
	var wg sync.WaitGroup
	wg.Go(func() { beside = signIn(ctx, k.addr, logins) })
	began := time.Now()
	took := arrivals(ctx, *signUps, func(i int) int {
		return post(k.addr, "signup", fmt.Sprintf(`{"user":"newcomer%d","password":"choose-a-good-one"}`, i))
	})
	wg.Wait()
	length := time.Since(began)
	fmt.Printf("%d sign-ups a second for %d s, %d logins a second beside them; all answered after %.1f s\n", *signUps, *signUpSeconds, logins, length.Seconds())
	for _, status := range slices.Sorted(maps.Keys(took)) {
		fmt.Printf("  sign-ups with status %d: %5d, %s\n", status, len(took[status]), spread(took[status]))
	}
	fmt.Printf("  logins alone:  %5d, %s\n", len(quiet), spread(quiet))
	fmt.Printf("  logins beside: %5d, %s\n", len(beside), spread(beside))
	fmt.Printf("  memory before and after: %.0f and %.0f MB\n", before, k.rss())
	return nil
}

// compareAddresses asks for codes to addresses with an account and without, in
// turn; each address is asked for as often as it gets mails.
func compareAddresses() error {
	const mails = 5 // that an address gets at once
	k, err := startKalam(*binary)
	if err != nil {
		return err
	}
	defer k.stop()
	for i := range *addresses / mails {
		if err := k.run(fmt.Sprintf("CREATE USER known%d WITH PASSWORD '%s' EMAIL 'known%d@example.com'", i, password, i)); err != nil {
			return err
		}
	}
	took := map[string][]time.Duration{}
	for range mails {
		for i := range *addresses / mails {
			for _, kind := range []string{"known", "unknown"} {
				began := time.Now()
				if status := post(k.addr, "code", fmt.Sprintf(`{"email":"%s%d@example.com","purpose":"reset"}`, kind, i)); status != http.StatusAccepted {
					return fmt.Errorf("a code for an address that is %s: status %d", kind, status)
				}
				took[kind] = append(took[kind], time.Since(began))
			}
		}
	}
	fmt.Printf("codes for addresses with an account:    %s\n", spread(took["known"]))
	fmt.Printf("codes for addresses without an account: %s\n", spread(took["unknown"]))
	return nil
}

// spread says how long requests took.
func spread(took []time.Duration) string {
	if len(took) == 0 {
		return "none"
	}
	slices.Sort(took)
	at := func(part float64) float64 { return ms(took[int(part*float64(len(took)-1))]) }
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, longest %.0f ms", at(0.5), at(0.99), at(1))
}
