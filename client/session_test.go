package client_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// ask runs a query and returns who it ran as.
func ask(t *testing.T, c *client.Client) string {
	t.Helper()
	row, err := c.QueryRow(context.Background(), "SELECT CURRENT_USER()")
	if err != nil {
		t.Fatalf("query: %v", err)
	}
	return row.Text("user")
}

func TestNewDoesNoIO(t *testing.T) {
	p := &asked{fn: func(context.Context, int) (auth.Auth, error) { return auth.Auth{}, io.EOF }}
	c, err := client.New("http://localhost:1", p, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil || p.count() != 0 {
		t.Fatalf("got %v after %d calls", err, p.count())
	}
}

// A11: fifty calls at once make one call of the provider and one login.
func TestFirstCallsShareOneLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := &asked{fn: func(context.Context, int) (auth.Auth, error) {
			time.Sleep(time.Second)
			return auth.Basic("alice", "Secret123!"), nil
		}}
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { ask(t, c) })
		}
		wg.Wait()
		if p.count() != 1 || n.logins != 1 || n.queries != 50 {
			t.Errorf("%d provider calls, %d logins, %d queries", p.count(), n.logins, n.queries)
		}
	})
}

// A22: who leaves does not take the shared call along.
func TestWaitersLeaveOnTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := &asked{fn: func(ctx context.Context, _ int) (auth.Auth, error) {
			select {
			case <-time.After(5 * time.Second):
				return auth.Basic("alice", "Secret123!"), nil
			case <-ctx.Done():
				return auth.Auth{}, ctx.Err()
			}
		}}
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		var early error
		var wg sync.WaitGroup
		wg.Go(func() { _, early = c.Query(ctx, "SELECT 1") })
		time.Sleep(500 * time.Millisecond)
		wg.Go(func() { ask(t, c) })
		wg.Wait()
		if !errors.Is(early, context.DeadlineExceeded) || p.count() != 1 {
			t.Errorf("got %v after %d calls", early, p.count())
		}
	})
}

// A08: a provider that fails, panics or hangs is bounded and tried again.
func TestBadProviderIsBoundedAndRetried(t *testing.T) {
	cases := map[string]func(ctx context.Context, n int) (auth.Auth, error){
		"fails":  func(context.Context, int) (auth.Auth, error) { return auth.Auth{}, io.ErrUnexpectedEOF },
		"panics": func(context.Context, int) (auth.Auth, error) { panic("Secret123!") },
		"hangs":  func(ctx context.Context, _ int) (auth.Auth, error) { <-ctx.Done(); return auth.Auth{}, ctx.Err() },
	}
	for name, bad := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				p := &asked{fn: func(ctx context.Context, i int) (auth.Auth, error) {
					if i < 3 {
						return bad(ctx, i)
					}
					return auth.Basic("alice", "Secret123!"), nil
				}}
				c := scripted(t, n, p, client.Options{})
				defer c.Close()
				if got := ask(t, c); got != "alice" || p.count() != 3 {
					t.Errorf("got %q after %d calls", got, p.count())
				}
			})
			synctest.Test(t, func(t *testing.T) {
				p := &asked{fn: bad}
				c := scripted(t, newNetwork(t), p, client.Options{})
				defer c.Close()
				began := time.Now()
				_, err := c.Query(context.Background(), "SELECT 1")
				if !errors.Is(err, client.ErrUnavailable) || p.count() != 3 || time.Since(began) > 31*time.Second {
					t.Errorf("got %v after %d calls and %v", err, p.count(), time.Since(began))
				}
			})
		})
	}
}

// A13: a final refusal is not asked for again until the next explicit call.
func TestPermanentRefusalEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := &asked{fn: func(_ context.Context, i int) (auth.Auth, error) {
			if i == 1 {
				return auth.Auth{}, auth.Permanent(io.EOF)
			}
			return auth.Basic("alice", "Secret123!"), nil
		}}
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		_, err := c.Query(context.Background(), "SELECT 1")
		if !errors.Is(err, client.ErrUnauthenticated) || !errors.Is(err, io.EOF) || p.count() != 1 {
			t.Fatalf("got %v after %d calls", err, p.count())
		}
		time.Sleep(time.Hour)
		if p.count() != 1 {
			t.Fatalf("asked %d times", p.count())
		}
		if ask(t, c) != "alice" {
			t.Error("the next call did not recover")
		}
	})
}

func TestRefusedPasswordIsNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, auth.Static(auth.Basic("alice", "wrong")), client.Options{})
		defer c.Close()
		_, err := c.Query(context.Background(), "SELECT 1")
		var e *wire.Error
		if !errors.Is(err, client.ErrUnauthenticated) || !errors.As(err, &e) || e.Code != wire.CodeInvalidCredentials || n.logins != 1 {
			t.Errorf("got %v after %d logins", err, n.logins)
		}
		for range c.Live(context.Background(), "SELECT * FROM n", client.LiveOptions{}) {
			time.Sleep(time.Hour)
		}
		if n.logins != 2 {
			t.Errorf("%d logins", n.logins)
		}
	})
}

// A12: what is no answer of the login route is no sign-out.
func TestCaptivePortalIsNoSignOut(t *testing.T) {
	answers := map[string]*client.Response{
		"portal": {Status: 200, Body: []byte("<html>Welcome to the hotel</html>")},
		"502":    {Status: 502, Body: []byte("Bad Gateway")},
		"500":    {Status: 500, Body: []byte(`{"error":"internal_error","message":"Authentication failed"}`)},
		"429":    {Status: 429, Body: []byte(`{"error":"rate_limited","message":"slow down"}`), RetryAfter: 2 * time.Second},
		"307":    {Status: 307},
		"404":    {Status: 404, Body: []byte("not here")},
	}
	for name, resp := range answers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				n.refuse["/login"] = resp
				c := scripted(t, n, alice, client.Options{})
				defer c.Close()
				_, err := c.Query(context.Background(), "SELECT 1")
				if errors.Is(err, client.ErrUnauthenticated) || !errors.Is(err, client.ErrUnavailable) && !errors.Is(err, client.ErrRateLimited) {
					t.Errorf("got %v", err)
				}
				if n.logins != 3 {
					t.Errorf("%d logins", n.logins)
				}
				n.locked(func() { delete(n.refuse, "/login") })
				ask(t, c)
			})
		})
	}
}

// Basic credentials are exchanged once; from there on the session renews itself.
func TestSessionOutlivesItsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := &asked{fn: func(context.Context, int) (auth.Auth, error) { return auth.Basic("alice", "Secret123!"), nil }}
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		for range 200 {
			ask(t, c)
			time.Sleep(10 * time.Minute)
		}
		if n.logins != 1 || n.refreshes < 30 || n.refreshes > 36 || n.queries != 200 {
			t.Errorf("%d logins, %d refreshes, %d queries", n.logins, n.refreshes, n.queries)
		}
	})
}

// A refresh token that the application kept since the login stays good however
// often the client has renewed its session since.
func TestKeptRefreshTokenSurvivesSilentRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var newest string
		c := scripted(t, n, alice, client.Options{OnAuth: func(e client.AuthEvent) { newest = e.RefreshToken() }})
		defer c.Close()
		kept, err := c.Login(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 30 {
			ask(t, c)
			time.Sleep(10 * time.Minute)
		}
		if n.refreshes == 0 || kept.RefreshToken == n.refresh {
			t.Fatalf("%d silent renewals", n.refreshes)
		}
		for range 2 {
			l, err := c.RefreshToken(t.Context(), kept.RefreshToken)
			if err != nil || l.RefreshToken != n.refresh {
				t.Fatalf("with the token of the login: %v, %v", l, err)
			}
			ask(t, c)
		}
		synctest.Wait()
		if newest != n.refresh {
			t.Errorf("the event has refresh token %q, the newest is %q", newest, n.refresh)
		}
		if _, err := c.RefreshToken(t.Context(), "somebody else's"); err == nil {
			t.Error("a token that nobody made is accepted")
		}
	})
}

func TestLoginWhenTheRefreshTokenIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		ask(t, c)
		n.locked(func() { n.refresh = "" })
		time.Sleep(2 * time.Hour)
		ask(t, c)
		if n.logins != 2 || n.refreshes != 1 {
			t.Errorf("%d logins, %d refreshes", n.logins, n.refreshes)
		}
	})
}

// A25: a lost answer does not cost the refresh token.
func TestRefreshIsTriedAgainAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		ask(t, c)
		time.Sleep(2 * time.Hour)
		n.locked(func() { n.broken["/refresh"] = io.ErrUnexpectedEOF })
		if _, err := c.Query(context.Background(), "SELECT 1"); err == nil {
			t.Error("the expired token was good")
		}
		n.locked(func() { delete(n.broken, "/refresh") })
		ask(t, c)
		if n.logins != 1 || n.refreshes != 1 {
			t.Errorf("%d logins, %d refreshes", n.logins, n.refreshes)
		}
	})
}

// A valid token is not thrown away because an early refresh failed.
func TestFailedEarlyRefreshKeepsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		ask(t, c)
		n.locked(func() { n.broken["/refresh"] = io.ErrUnexpectedEOF })
		time.Sleep(59*time.Minute + 10*time.Second)
		began := time.Now()
		for range 10 {
			ask(t, c)
		}
		if time.Since(began) != 0 {
			t.Errorf("queries waited %v for a refresh that can wait", time.Since(began))
		}
		time.Sleep(3 * time.Second)
		var before, after int
		n.locked(func() { before = n.attempts })
		for range 10 {
			ask(t, c)
		}
		synctest.Wait()
		n.locked(func() { after = n.attempts })
		if after != before+10 {
			t.Errorf("%d attempts to refresh with 10 queries", after-before-10)
		}
	})
}

// TOKEN_EXPIRED renews the session and repeats the query exactly once.
func TestRejectedTokenIsRenewedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		ask(t, c)
		n.locked(func() { n.revoked[n.tokens[0]] = true })
		ask(t, c)
		if n.queries != 3 || n.refreshes != 1 || n.logins != 1 {
			t.Errorf("%d queries, %d refreshes, %d logins", n.queries, n.refreshes, n.logins)
		}
		n.locked(func() {
			n.refuse["/sql"] = &client.Response{Status: 401, Body: wire.AppendResponse(nil, &wire.Response{Err: wire.NewError(wire.CodeTokenExpired, "x")})}
		})
		_, err := c.Query(context.Background(), "SELECT 1")
		if !errors.Is(err, client.ErrTokenExpired) || !errors.Is(err, client.ErrUnauthenticated) || n.queries != 5 {
			t.Errorf("got %v after %d queries", err, n.queries)
		}
	})
}

// A09: the same token again is tried once more.
func TestSameTokenIsTriedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		tok := jwt("alice", 1, time.Now(), time.Hour)
		p := &asked{fn: func(_ context.Context, i int) (auth.Auth, error) {
			if i == 2 {
				n.locked(func() { n.revoked[tok] = false })
			}
			return auth.JWT(tok), nil
		}}
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		n.revoked[tok] = true
		ask(t, c)
		ask(t, c)
		if p.count() != 2 || n.queries != 3 {
			t.Errorf("%d provider calls, %d queries", p.count(), n.queries)
		}
		n.locked(func() { n.revoked[tok] = true })
		if _, err := c.Query(context.Background(), "SELECT 1"); !errors.Is(err, client.ErrUnauthenticated) {
			t.Errorf("got %v", err)
		}
	})
}

// A21: forbidden is not unauthenticated and renews nothing.
func TestForbiddenDoesNotRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		n.refuse["/sql"] = &client.Response{Status: 403, Body: wire.AppendResponse(nil, &wire.Response{Err: wire.NewError(wire.CodePermissionDenied, "no")})}
		_, err := c.Query(context.Background(), "DROP TABLE x")
		if !errors.Is(err, client.ErrForbidden) || errors.Is(err, client.ErrUnauthenticated) || n.queries != 1 || n.logins != 1 || n.refreshes != 0 {
			t.Errorf("got %v; %d queries, %d logins, %d refreshes", err, n.queries, n.logins, n.refreshes)
		}
	})
}

// A provider with a token is asked again shortly before the token expires.
func TestProviderIsAskedBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := &asked{fn: func(_ context.Context, i int) (auth.Auth, error) {
			return auth.JWT(jwt("alice", i, time.Now(), time.Hour)), nil
		}}
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		for range 62 {
			ask(t, c)
			time.Sleep(58 * time.Second)
		}
		ask(t, c)
		synctest.Wait()
		if p.count() != 2 || n.queries != 63 {
			t.Errorf("%d provider calls, %d queries", p.count(), n.queries)
		}
	})
}

// A clock that is off by years neither keeps a token from being used nor makes
// a call of the provider out of every query.
func TestWrongClockDoesNotHurt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		for _, skew := range []time.Duration{-10 * 365 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
			tok := jwt("alice", 1, time.Now().Add(skew), time.Hour)
			p := auth.Static(auth.JWT(tok))
			counted := &asked{fn: func(ctx context.Context, _ int) (auth.Auth, error) { return p.Auth(ctx) }}
			c := scripted(t, n, counted, client.Options{})
			n.locked(func() {
				n.refuse["/sql"] = &client.Response{Status: 200, Body: []byte(`{"status":"success","results":[]}`)}
			})
			for range 10 {
				if _, err := c.Query(context.Background(), "SELECT 1"); err != nil {
					t.Fatal(err)
				}
			}
			if counted.count() != 1 {
				t.Errorf("skew %v: %d calls", skew, counted.count())
			}
			c.Close()
		}
	})
}

func TestLoginAndRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		ctx := context.Background()
		l, err := c.Login(ctx)
		if err != nil || l.AccessToken == "" || l.RefreshToken == "" || l.User.ID != "alice" {
			t.Fatalf("got %+v, %v", l, err)
		}
		ask(t, c)
		r, err := c.RefreshToken(ctx, l.RefreshToken)
		if err != nil || r.AccessToken == l.AccessToken {
			t.Fatalf("got %+v, %v", r, err)
		}
		ask(t, c)
		if got := n.tokens; len(got) != 2 || got[0] != l.AccessToken || got[1] != r.AccessToken || n.logins != 1 {
			t.Errorf("queries used %q, %d logins", got, n.logins)
		}
		if _, err := c.RefreshToken(ctx, "nonsense"); !errors.Is(err, client.ErrUnauthenticated) {
			t.Errorf("got %v", err)
		}
		ask(t, c) // the session is still there

		j := scripted(t, n, auth.Static(auth.JWT("x")), client.Options{})
		defer j.Close()
		if _, err := j.Login(ctx); err == nil {
			t.Error("logged in with a token")
		}
	})
}

func TestProviderThatCallsItsClientIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *client.Client
		p := auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
			_, err := c.Query(ctx, "SELECT 1")
			return auth.Auth{}, err
		})
		c = scripted(t, newNetwork(t), p, client.Options{})
		defer c.Close()
		began := time.Now()
		_, err := c.Query(context.Background(), "SELECT 1")
		if !errors.Is(err, client.ErrReentrant) || time.Since(began) > time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

func TestCloseEndsAHangingProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
			<-ctx.Done()
			return auth.Auth{}, ctx.Err()
		})
		c := scripted(t, newNetwork(t), p, client.Options{})
		var err error
		var wg sync.WaitGroup
		wg.Go(func() { _, err = c.Query(context.Background(), "SELECT 1") })
		synctest.Wait()
		began := time.Now()
		c.Close()
		c.Close()
		wg.Wait()
		if err == nil || time.Since(began) != 0 {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if _, err := c.Query(context.Background(), "SELECT 1"); !errors.Is(err, client.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPlaintextNeedsLoopback(t *testing.T) {
	n := newNetwork(t)
	p := &asked{fn: func(context.Context, int) (auth.Auth, error) { return auth.Basic("alice", "Secret123!"), nil }}
	c, err := client.NewScripted("http://db.example.com", p, client.Options{}, n, n)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	_, err = c.Query(ctx, "SELECT 1")
	_, loginErr := c.Login(ctx)
	_, refreshErr := c.RefreshToken(ctx, "r")
	var liveErr error
	for _, err := range c.Live(ctx, "SELECT * FROM n", client.LiveOptions{}) {
		liveErr = err
	}
	for _, err := range []error{err, loginErr, refreshErr, liveErr} {
		if !errors.Is(err, client.ErrInsecureTransport) {
			t.Errorf("got %v", err)
		}
	}
	if n.queries+n.logins+n.refreshes+n.dials() != 0 {
		t.Error("something was sent")
	}
	c, err = client.NewScripted("http://db.example.com", p, client.Options{AllowInsecureCredentials: true}, n, n)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask(t, c)
}
