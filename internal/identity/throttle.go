package identity

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// ThrottledError refuses an attempt that came too soon after failed ones.
type ThrottledError struct {
	After time.Duration // when to try again
}

// Error says how long to wait.
func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many failed attempts: try again in %d seconds", e.Seconds())
}

// Seconds is After in whole seconds, at least one.
func (e *ThrottledError) Seconds() int { return max(1, int((e.After+time.Second-1)/time.Second)) }

// After freeFailures failed attempts in a row at one account from one network,
// each further one has to wait twice as long as the one before, up to
// longestWait. After accountFailures from anywhere, networks from which nobody
// ever signed in to the account wait longestWait, all together; the owner's do
// not, so that a stranger locks nobody out.
const (
	freeFailures    = 5
	accountFailures = 100
	longestWait     = time.Minute
	forgetFailures  = 15 * time.Minute
	maxThrottled    = 1 << 16 // accounts and networks remembered
)

// throttle slows down guessing at passwords. It remembers in memory only.
type throttle struct {
	mu     sync.Mutex
	failed map[string]*failures // mu guards it
	swept  time.Time            // and this
}

type failures struct {
	count int
	last  time.Time
	told  bool // the audit has it
}

func newThrottle() *throttle { return &throttle{failed: make(map[string]*failures)} }

func pairKey(account, network string) string { return account + "\x00" + network }

// wait is how long an attempt must wait, 0 for not at all. strange reports
// whether the network is new to the account; it is asked only when it matters.
func (t *throttle) wait(account, network string, now time.Time, strange func() bool) time.Duration {
	t.mu.Lock()
	wait := time.Duration(0)
	if f := t.failed[pairKey(account, network)]; f != nil && f.count >= freeFailures {
		pause := min(time.Second<<min(f.count-freeFailures, 10), longestWait)
		wait = f.last.Add(pause).Sub(now)
	}
	all := t.failed[account]
	hot := wait <= 0 && all != nil && all.count >= accountFailures && all.last.Add(longestWait).After(now)
	var until time.Duration
	if hot {
		until = all.last.Add(longestWait).Sub(now)
	}
	t.mu.Unlock()
	if hot && strange() {
		wait = until
	}
	return max(wait, 0)
}

// fail counts a failed attempt.
func (t *throttle) fail(account, network string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.swept) > time.Minute || len(t.failed) >= maxThrottled {
		t.sweep(now)
	}
	for _, key := range []string{pairKey(account, network), account} {
		f := t.failed[key]
		if f == nil {
			f = &failures{}
			t.failed[key] = f
		}
		f.count++
		f.last, f.told = now, false
	}
}

// tell reports whether a throttled attempt is the first since the last failure.
func (t *throttle) tell(account, network string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.failed[pairKey(account, network)]
	if f == nil {
		f = t.failed[account]
	}
	if f == nil || f.told {
		return false
	}
	f.told = true
	return true
}

// succeed forgets what went wrong before.
func (t *throttle) succeed(account, network string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failed, pairKey(account, network))
	delete(t.failed, account)
}

// sweep forgets what is long ago, and if that is not enough, anything. The
// caller holds mu.
func (t *throttle) sweep(now time.Time) {
	t.swept = now
	for key, f := range t.failed {
		if now.Sub(f.last) > forgetFailures || len(t.failed) >= maxThrottled {
			delete(t.failed, key)
		}
	}
}

// NetworkOf is the network of a client: an IPv4 address, or the /64 that one
// IPv6 subscriber has.
func NetworkOf(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return addr
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	p, _ := ip.Prefix(64)
	return p.String()
}

// once tells the first of something in each minute from the rest.
type once struct {
	mu   sync.Mutex
	seen map[string]*firstTime // mu guards it
}

// firstTime is the first of something in a minute.
type firstTime struct {
	at   time.Time
	done chan struct{} // closed when what the first had to do is done
	err  error         // of that
}

func newOnce() *once { return &once{seen: make(map[string]*firstTime)} }

// first reports whether it is the first time.
func (o *once) first(key string, now time.Time) bool {
	f, first := o.enter(key, now)
	if first {
		close(f.done)
	}
	return first
}

// do calls fn the first time and waits for it the other times. When fn fails, it
// fails for all who wait, and the next time is a first one.
func (o *once) do(key string, now time.Time, fn func() error) error {
	f, first := o.enter(key, now)
	if !first {
		<-f.done
		return f.err
	}
	defer close(f.done)
	if f.err = fn(); f.err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.seen[key] == f {
			delete(o.seen, key)
		}
	}
	return f.err
}

func (o *once) enter(key string, now time.Time) (f *firstTime, first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f, ok := o.seen[key]; ok && now.Sub(f.at) < time.Minute && !now.Before(f.at) {
		return f, false
	}
	if len(o.seen) >= 4096 {
		clear(o.seen) // some are told twice
	}
	f = &firstTime{at: now, done: make(chan struct{})}
	o.seen[key] = f
	return f, true
}
