//go:build !js

package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/wire"
)

// silentAt is a proxy before a server that never answers what goes to a path,
// and says when somebody asks.
func silentAt(t *testing.T, server, path string) (proxy string, asked <-chan struct{}) {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	came, end := make(chan struct{}, 100), make(chan struct{})
	next := httputil.NewSingleHostReverseProxy(to)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, path) {
			next.ServeHTTP(w, r)
			return
		}
		came <- struct{}{}
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(end) })
	return s.URL, came
}

// TestCloseEndsWhatIsUnderWay: a call that waits for its answer, or for the first
// login, ends with ErrClosed and nothing else when the client is closed.
func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	photo := &client.FileRef{ID: "1", Sub: "f0001"}
	calls := []struct {
		name, path string // where it waits, beside the login
		run        func(ctx context.Context, c *client.Client) error
	}{
		{"query", "/v1/api/sql", func(ctx context.Context, c *client.Client) error { _, err := c.Query(ctx, "SELECT 1"); return err }},
		{"batch", "/v1/api/sql", func(ctx context.Context, c *client.Client) error {
			_, err := c.Batch(ctx, []client.Statement{client.Stmt("SELECT 1")})
			return err
		}},
		{"files", "/v1/api/sql", func(ctx context.Context, c *client.Client) error {
			_, err := c.ExecFiles(ctx, `INSERT INTO chat.messages (id, body) VALUES (1, FILE("a"))`, client.Files{"a": {Body: strings.NewReader("x")}})
			return err
		}},
		{"login", "/login", func(ctx context.Context, c *client.Client) error { _, err := c.Login(ctx); return err }},
		{"token", "/login", func(ctx context.Context, c *client.Client) error { _, err := c.AccessToken(ctx, ""); return err }},
		{"file", "/v1/files", func(ctx context.Context, c *client.Client) error {
			_, err := c.OpenFile(ctx, "app.photos", photo, client.Range{})
			return err
		}},
		{"file URL", "/v1/api/files", func(ctx context.Context, c *client.Client) error {
			_, err := c.FileURL(ctx, "app.photos", photo, time.Minute)
			return err
		}},
		{"consume", "/v1/api/topics", func(ctx context.Context, c *client.Client) error {
			_, err := c.Consume(ctx, &wire.ConsumeRequest{Topic: "a.b", Group: "g", Timeout: 30})
			return err
		}},
		{"connect", "/ws", func(ctx context.Context, c *client.Client) error { return c.Connect(ctx) }},
		{"live", "/ws", func(ctx context.Context, c *client.Client) error {
			for _, err := range c.Live(ctx, "SELECT * FROM chat.messages", client.LiveOptions{}) {
				return err
			}
			return nil
		}},
		{"live without reconnecting", "/ws", func(ctx context.Context, c *client.Client) error {
			c.SetReconnect(client.ReconnectPolicy{Off: true})
			for _, err := range c.Live(ctx, "SELECT * FROM chat.messages", client.LiveOptions{}) {
				return err
			}
			return nil
		}},
		{"subscribe", "/ws", func(ctx context.Context, c *client.Client) error {
			for _, err := range c.Subscribe(ctx, "SELECT * FROM chat.messages", client.SubscribeOptions{}) {
				return err
			}
			return nil
		}},
	}
	for _, call := range calls {
		for _, path := range []string{"/login", call.path} {
			t.Run(call.name+" at "+path, func(t *testing.T) {
				url, asked := silentAt(t, s.URL, path)
				var states []client.AuthState
				c, err := client.New(url, auth.Static(auth.Basic("alice", servertest.Password)), client.Options{
					OnAuth: func(e client.AuthEvent) { states = append(states, e.State) },
				})
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- call.run(within(t), c) }()
				<-asked
				c.Close()
				if err := <-ended; !errors.Is(err, client.ErrClosed) || errors.Is(err, client.ErrUnavailable) || client.Describe(err).Code != client.CodeClosed {
					t.Errorf("got %v, code %s", err, client.Describe(err).Code)
				}
				if path == "/login" && len(states) > 0 {
					t.Errorf("states %v", states)
				}
			})
		}
	}
}

// TestProviderThatCallsItsClientIsRefusedAtOnce: whatever it calls, once.
func TestProviderThatCallsItsClientIsRefusedAtOnce(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, c *client.Client) error{
		"query":   func(ctx context.Context, c *client.Client) error { _, err := c.Query(ctx, "SELECT 1"); return err },
		"login":   func(ctx context.Context, c *client.Client) error { _, err := c.Login(ctx); return err },
		"refresh": func(ctx context.Context, c *client.Client) error { _, err := c.RefreshToken(ctx, "x"); return err },
		"token":   func(ctx context.Context, c *client.Client) error { _, err := c.AccessToken(ctx, ""); return err },
		"prime":   func(ctx context.Context, c *client.Client) error { _, err := c.Prime(ctx); return err },
		"connect": func(ctx context.Context, c *client.Client) error { return c.Connect(ctx) },
		"live": func(ctx context.Context, c *client.Client) error {
			for _, err := range c.Live(ctx, "SELECT 1", client.LiveOptions{}) {
				return err
			}
			return nil
		},
		"subscribe": func(ctx context.Context, c *client.Client) error {
			for _, err := range c.Subscribe(ctx, "SELECT 1", client.SubscribeOptions{}) {
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c *client.Client
			asked := 0
			c, err := client.New("http://localhost:1", auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
				asked++
				err := call(ctx, c)
				if !errors.Is(err, client.ErrReentrant) {
					t.Errorf("the provider got %v", err)
				}
				return auth.Auth{}, err
			}), client.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Query(within(t), "SELECT 1"); client.Describe(err).Code != client.CodeReentrant || asked != 1 {
				t.Errorf("got %v, asked %d times", err, asked)
			}
		})
	}
}

// TestProviderThatCallsItsClientWithAnotherContextIsAskedAFewTimes: it waits for
// itself, which shows only in the time it takes.
func TestProviderThatCallsItsClientWithAnotherContextIsAskedAFewTimes(t *testing.T) {
	other := context.Background()
	for name, call := range map[string]func(c *client.Client) error{
		"query":   func(c *client.Client) error { _, err := c.Query(other, "SELECT 1"); return err },
		"login":   func(c *client.Client) error { _, err := c.Login(other); return err },
		"token":   func(c *client.Client) error { _, err := c.AccessToken(other, ""); return err },
		"prime":   func(c *client.Client) error { _, err := c.Prime(other); return err },
		"connect": func(c *client.Client) error { return c.Connect(other) },
		"live": func(c *client.Client) error {
			for _, err := range c.Live(other, "SELECT 1", client.LiveOptions{}) {
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c *client.Client
				var asked atomic.Int32
				p := auth.ProviderFunc(func(context.Context) (auth.Auth, error) {
					if asked.Add(1) > 100 {
						return auth.Auth{}, auth.Permanent(errors.New("asked for ever"))
					}
					return auth.Auth{}, call(c)
				})
				c = scripted(t, newNetwork(t), p, client.Options{})
				defer c.Close()
				began := time.Now()
				_, err := c.Query(other, "SELECT 1")
				if took := time.Since(began); !errors.Is(err, client.ErrProviderTimeout) || took > 30*time.Second || asked.Load() > 3 {
					t.Errorf("got %v after %v, asked %d times", err, took, asked.Load())
				}
			})
		})
	}
}
