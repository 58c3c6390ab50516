//go:build !js

package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"
)

// CacheOptions configure a Cache. The zero value works.
type CacheOptions struct {
	// Advisory is how long before its end a token is renewed in the background
	// while callers go on with it. Default: a minute, or a fifth of its life if
	// that is less.
	Advisory time.Duration

	// Mandatory is how long before its end callers wait for a new one. Default:
	// ten seconds, or a twentieth of its life if that is less.
	Mandatory time.Duration

	// Cooldown is how long after a failed renewal the next one begins, as long
	// as the token is good. Default: 5 s.
	Cooldown time.Duration

	// Timeout bounds one call of the provider. Default: 30 s.
	Timeout time.Duration
}

// Cache is a Provider that asks another one as rarely as possible: it keeps the
// credentials until they are about to end or were rejected. However many callers
// need new ones, there is one call, which no caller's context ends; each may
// leave on its own. Credentials that are good are kept when renewing them fails.
//
// The client keeps its session by itself; a Cache is for a provider that several
// clients share, or that code of the application asks too.
type Cache struct {
	provider Provider
	o        CacheOptions

	mu     sync.Mutex
	have   Auth          // mu guards it and the rest
	life   time.Duration // 0: no end
	until  time.Time
	after  time.Time // no renewal before
	flight *flight
}

type flight struct {
	done chan struct{}
	have Auth
	err  error
}

// NewCache makes a Cache of a provider.
func NewCache(p Provider, o CacheOptions) *Cache {
	if o.Cooldown <= 0 {
		o.Cooldown = 5 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	return &Cache{provider: p, o: o}
}

// Auth returns credentials. Asked by a client whose token the server rejected,
// it gives others, if the provider has any.
func (c *Cache) Auth(ctx context.Context) (Auth, error) {
	if r := RequestOf(ctx); r.Rejected != "" {
		c.Invalidate(JWT(r.Rejected))
	}
	c.mu.Lock()
	left := time.Duration(1<<63 - 1)
	if c.life > 0 {
		left = time.Until(c.until)
	}
	usable := IsAuthenticated(c.have) && left > 0
	if usable && left > window(c.o.Mandatory, 10*time.Second, c.life/20) {
		have := c.have
		if left <= window(c.o.Advisory, time.Minute, c.life/5) && c.flight == nil && !time.Now().Before(c.after) {
			c.start(ctx)
		}
		c.mu.Unlock()
		return have, nil
	}
	if usable && c.flight == nil && time.Now().Before(c.after) {
		have := c.have // renewing has just failed, and it is good
		c.mu.Unlock()
		return have, nil
	}
	f := c.flight
	if f == nil {
		f = c.start(ctx)
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.have, f.err
	case <-ctx.Done():
		return Auth{}, ctx.Err()
	}
}

func window(configured, standard, share time.Duration) time.Duration {
	switch {
	case configured > 0:
		return configured
	case share > 0:
		return min(standard, share)
	}
	return standard
}

// Invalidate forgets credentials that were rejected. Others, which somebody may
// have got meanwhile, stay.
func (c *Cache) Invalidate(rejected Auth) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.have.Equal(rejected) {
		c.have, c.after = Auth{}, time.Time{}
	}
}

// start begins a call of the provider. The caller holds mu.
func (c *Cache) start(ctx context.Context) *flight {
	f := &flight{done: make(chan struct{})}
	c.flight = f
	before := c.have
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.o.Timeout)
	go func() {
		defer cancel()
		have, err := call(ctx, c.provider)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.flight = nil
		now := time.Now()
		switch {
		case err == nil:
			c.have, c.after = have, time.Time{}
			c.life, c.until = lifeOf(have, now)
			if have.Equal(before) {
				c.after = now.Add(c.o.Cooldown) // the provider has nothing newer
			}
		case !IsPermanent(err):
			c.after = now.Add(c.o.Cooldown)
			if wait, ok := RetryAfterOf(err); ok {
				c.after = now.Add(wait)
			}
			if good := c.life == 0 || now.Before(c.until); IsAuthenticated(c.have) && good {
				have, err = c.have, nil
			}
		default:
			c.have = Auth{}
		}
		f.have, f.err = have, err
		close(f.done)
	}()
	return f
}

// call asks a provider within its time; one that does not obey its context is
// left behind, and a panic is a failure.
func call(ctx context.Context, p Provider) (Auth, error) {
	type answer struct {
		have Auth
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("the provider panicked")}
		defer func() {
			recover() // what it says may hold a secret
			answers <- a
		}()
		have, err := p.Auth(ctx)
		a = answer{have, err}
	}()
	select {
	case a := <-answers:
		if a.err == nil && !IsAuthenticated(a.have) {
			a.err = errors.New("the provider gave no credentials")
		}
		return a.have, a.err
	case <-ctx.Done():
		return Auth{}, ctx.Err()
	}
}

// lifeOf is how long credentials are good and until when, by the claims exp and
// iat of a JWT; 0 for whatever has no end.
func lifeOf(a Auth, now time.Time) (time.Duration, time.Time) {
	parts := strings.Split(a.Reveal(), ".")
	if !IsJWT(a) || len(parts) != 3 {
		return 0, time.Time{}
	}
	var c struct {
		ExpiresAt float64 `json:"exp"`
		IssuedAt  float64 `json:"iat"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(raw, &c) != nil || c.ExpiresAt <= 0 {
		return 0, time.Time{}
	}
	until := time.UnixMicro(int64(c.ExpiresAt * 1e6))
	life := until.Sub(now)
	if c.IssuedAt > 0 && c.IssuedAt < c.ExpiresAt {
		life = time.Duration((c.ExpiresAt - c.IssuedAt) * float64(time.Second))
	}
	return max(life, 1), now.Add(until.Sub(now)) // with the monotonic clock of now
}
