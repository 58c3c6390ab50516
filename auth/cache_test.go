//go:build !js

package auth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/auth"
)

// source is a provider that counts.
type source struct {
	calls atomic.Int32
	fn    func(ctx context.Context, n int) (auth.Auth, error)
}

func (s *source) Auth(ctx context.Context) (auth.Auth, error) {
	return s.fn(ctx, int(s.calls.Add(1)))
}

// jwt makes a token that lives so long from now on.
func jwt(name string, life time.Duration) auth.Auth {
	now := time.Now()
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, name, now.Unix(), now.Add(life).Unix())
	return auth.JWT("h." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".s")
}

func get(t *testing.T, c *auth.Cache) auth.Auth {
	t.Helper()
	a, err := c.Auth(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fresh gives a new token of ten minutes each time.
func fresh(_ context.Context, n int) (auth.Auth, error) {
	return jwt(fmt.Sprint(n), 10*time.Minute), nil
}

func TestCacheSharesOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{fn: func(ctx context.Context, n int) (auth.Auth, error) {
			time.Sleep(time.Second)
			return fresh(ctx, n)
		}}
		c := auth.NewCache(s, auth.CacheOptions{})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { get(t, c) })
		}
		wg.Wait()
		get(t, c)
		if n := s.calls.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestCacheWaitersLeaveOnTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{fn: func(ctx context.Context, n int) (auth.Auth, error) {
			select {
			case <-time.After(10 * time.Second):
				return fresh(ctx, n)
			case <-ctx.Done():
				return auth.Auth{}, ctx.Err()
			}
		}}
		c := auth.NewCache(s, auth.CacheOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Auth(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		get(t, c) // what the first has begun goes on
		if n := s.calls.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestCacheRenewsInTheBackgroundThenWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{fn: func(ctx context.Context, n int) (auth.Auth, error) {
			time.Sleep(2 * time.Second)
			return fresh(ctx, n)
		}}
		c := auth.NewCache(s, auth.CacheOptions{})
		first := get(t, c)
		time.Sleep(8 * time.Minute)
		if !get(t, c).Equal(first) || s.calls.Load() != 1 {
			t.Error("renewed too early")
		}
		time.Sleep(time.Minute + 10*time.Second)
		began := time.Now()
		if !get(t, c).Equal(first) || time.Since(began) != 0 {
			t.Error("waited in the advisory window")
		}
		time.Sleep(3 * time.Second)
		second := get(t, c)
		if second.Equal(first) || s.calls.Load() != 2 {
			t.Error("not renewed in the background")
		}
		time.Sleep(9*time.Minute + 55*time.Second)
		began = time.Now()
		if get(t, c).Equal(second) || time.Since(began) == 0 {
			t.Error("gave a token that is about to end")
		}
	})
}

func TestCacheKeepsWhatIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{fn: func(ctx context.Context, n int) (auth.Auth, error) {
			if n == 1 {
				return fresh(ctx, n)
			}
			return auth.Auth{}, io.ErrUnexpectedEOF
		}}
		c := auth.NewCache(s, auth.CacheOptions{Cooldown: 5 * time.Second})
		first := get(t, c)
		time.Sleep(9*time.Minute + 52*time.Second)
		for range 100 {
			if !get(t, c).Equal(first) {
				t.Error("a good token was thrown away")
			}
		}
		if n := s.calls.Load(); n != 2 {
			t.Errorf("%d calls: no cooldown", n)
		}
		time.Sleep(10 * time.Second)
		if _, err := c.Auth(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after its end: %v", err)
		}
	})
}

func TestCacheInvalidatesOnlyWhatWasRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{fn: fresh}
		c := auth.NewCache(s, auth.CacheOptions{})
		first := get(t, c)
		c.Invalidate(first)
		second := get(t, c)
		c.Invalidate(first) // somebody is late
		if !get(t, c).Equal(second) || s.calls.Load() != 2 {
			t.Error("a new token was thrown away for the old one's sake")
		}
		ctx := auth.WithRequest(t.Context(), auth.Request{Reason: auth.ReasonRejected, Rejected: second.Reveal()})
		if a, err := c.Auth(ctx); err != nil || a.Equal(second) {
			t.Errorf("rejected: %v %v", a, err)
		}
	})
}

func TestCachePermanentAndRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{fn: func(ctx context.Context, n int) (auth.Auth, error) {
			switch n {
			case 1:
				return fresh(ctx, n)
			case 2:
				return auth.Auth{}, auth.RetryAfter(io.EOF, 30*time.Second)
			}
			return auth.Auth{}, auth.Permanent(io.EOF)
		}}
		c := auth.NewCache(s, auth.CacheOptions{})
		get(t, c)
		time.Sleep(9*time.Minute + 10*time.Second)
		get(t, c)
		time.Sleep(20 * time.Second)
		get(t, c)
		synctest.Wait()
		if n := s.calls.Load(); n != 2 {
			t.Errorf("%d calls before the time that was asked for", n)
		}
		time.Sleep(20 * time.Second)
		if _, err := c.Auth(t.Context()); !auth.IsPermanent(err) || !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCacheSurvivesAProviderThatHangsOrPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		s := &source{fn: func(ctx context.Context, n int) (auth.Auth, error) {
			switch n {
			case 1:
				panic("Secret123!")
			case 2:
				<-forever
			}
			return fresh(ctx, n)
		}}
		c := auth.NewCache(s, auth.CacheOptions{Timeout: time.Minute})
		if _, err := c.Auth(t.Context()); err == nil || err.Error() != "the provider panicked" {
			t.Errorf("got %v", err)
		}
		began := time.Now()
		if _, err := c.Auth(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		get(t, c)
		close(forever)
	})
}
