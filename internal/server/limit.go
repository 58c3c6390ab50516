package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter is a token bucket for each key. Buckets that are full again are
// forgotten, so its size follows the keys of the last seconds.
type limiter struct {
	rate int // a second, and the burst; 0: no limit

	mu      sync.Mutex
	buckets map[string]*rate.Limiter // mu guards it
	swept   time.Time                // and this
}

func newLimiter(perSecond int) *limiter {
	return &limiter{rate: perSecond, buckets: make(map[string]*rate.Limiter)}
}

// allow takes one token of key.
func (l *limiter) allow(key string) bool {
	if l.rate <= 0 {
		return true
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > 10*time.Second {
		l.swept = now
		for k, b := range l.buckets {
			if b.TokensAt(now) >= float64(l.rate) {
				delete(l.buckets, k)
			}
		}
	}
	b := l.buckets[key]
	if b == nil {
		b = rate.NewLimiter(rate.Limit(l.rate), l.rate)
		l.buckets[key] = b
	}
	return b.AllowN(now, 1)
}

// exhausted reports whether key has no token left, without taking one.
func (l *limiter) exhausted(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	return l.rate > 0 && b != nil && b.Tokens() < 1
}
