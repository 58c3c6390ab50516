package client_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
)

// A02: a handler that calls the client, whatever it calls, holds nobody up.
func TestAuthHandlerMayCallTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var c *client.Client
		told := make(chan client.AuthEvent, 8)
		ready := make(chan struct{})
		c = scripted(t, n, auth.Static(auth.Basic("alice", "Secret123!")), client.Options{OnAuth: func(e client.AuthEvent) {
			<-ready
			if _, err := c.Query(context.Background(), "SELECT 1"); err != nil {
				t.Errorf("query in the handler: %v", err)
			}
			if len(told) == 0 {
				if _, err := c.Login(context.Background()); err != nil {
					t.Errorf("login in the handler: %v", err)
				}
			}
			told <- e
		}})
		began := time.Now()
		close(ready)
		ask(t, c)
		synctest.Wait()
		if len(told) == 0 || time.Since(began) > time.Second {
			t.Errorf("%d events after %v", len(told), time.Since(began))
		}
		if e := <-told; e.State != client.StateSignedIn || e.Err != nil {
			t.Errorf("got %+v", e)
		}
		c.Close()
	})
}

func TestAuthHandlerMayCloseTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan error, 1)
		var c *client.Client
		refused := errors.New("signed out")
		c = scripted(t, newNetwork(t), auth.ProviderFunc(func(context.Context) (auth.Auth, error) { return auth.Auth{}, auth.Permanent(refused) }),
			client.Options{OnAuth: func(e client.AuthEvent) {
				if e.State != client.StateSignedOut || !errors.Is(e.Err, refused) {
					t.Errorf("got %+v", e)
				}
				closed <- c.Close()
			}})
		_, err := c.Query(context.Background(), "SELECT 1")
		if !errors.Is(err, client.ErrLoginRequired) || !errors.Is(err, client.ErrUnauthenticated) || !errors.Is(err, client.ErrProvider) {
			t.Errorf("got %v", err)
		}
		select {
		case err := <-closed:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("the handler cannot close the client")
		}
	})
}

// B10: a refusal is said to be one, never a time-out; and a provider that does
// not answer is said to be that.
func TestErrorsSayWhatToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := scripted(t, newNetwork(t), auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
			<-ctx.Done()
			return auth.Auth{}, ctx.Err()
		}), client.Options{})
		defer c.Close()
		_, err := c.Query(context.Background(), "SELECT 1")
		if !errors.Is(err, client.ErrProviderTimeout) || !errors.Is(err, client.ErrUnavailable) || errors.Is(err, client.ErrLoginRequired) {
			t.Errorf("got %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		calls := 0
		c := scripted(t, newNetwork(t), auth.ProviderFunc(func(context.Context) (auth.Auth, error) {
			if calls++; calls == 1 {
				return auth.Auth{}, auth.RetryAfter(errors.New("busy"), 5*time.Second)
			}
			return auth.Basic("alice", "Secret123!"), nil
		}), client.Options{})
		defer c.Close()
		if ask(t, c); calls != 2 || time.Since(began) < 5*time.Second {
			t.Errorf("asked %d times within %v", calls, time.Since(began))
		}
	})
}

// The provider's word is not the server's: what an application is told to be
// signed in as, the server has accepted, over HTTP or on the socket.
func TestSignedInIsReportedWhenTheServerAgreed(t *testing.T) {
	calls := map[string]func(ctx context.Context, c *client.Client) error{
		"query":   func(ctx context.Context, c *client.Client) error { _, err := c.Query(ctx, "SELECT 1"); return err },
		"connect": func(ctx context.Context, c *client.Client) error { return c.Connect(ctx) },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				var states []string
				token := jwt("alice", 1, time.Now(), time.Hour)
				c := scripted(t, n, auth.ProviderFunc(func(context.Context) (auth.Auth, error) { return auth.JWT(token), nil }),
					client.Options{OnAuth: func(e client.AuthEvent) { states = append(states, string(e.State)+" "+e.User) }})
				defer c.Close()
				expect := func(when string, want ...string) {
					t.Helper()
					synctest.Wait()
					if !slices.Equal(states, want) {
						t.Fatalf("%s: got %q, want %q", when, states, want)
					}
					states = nil
				}
				ctx := context.Background()
				if _, err := c.AccessToken(ctx, ""); err != nil {
					t.Fatal(err)
				}
				expect("the provider answered")
				n.mu.Lock()
				n.revoked[token] = true
				n.mu.Unlock()
				if err := call(ctx, c); !errors.Is(err, client.ErrUnauthenticated) && !errors.Is(err, client.ErrUnavailable) {
					t.Fatalf("got %v", err)
				}
				time.Sleep(time.Minute) // of the bubble: the socket tries again
				expect("the server refused it", "signed-out ")
				token = jwt("alice", 2, time.Now(), time.Hour)
				if err := call(ctx, c); err != nil {
					t.Fatal(err)
				}
				expect("the server accepted another", "signed-in alice")
				if _, err := c.Query(ctx, "SELECT 1"); err != nil {
					t.Fatal(err)
				}
				expect("the server accepted it again")
			})
		})
	}
}

// A server that is away has not agreed.
func TestSignedInIsNotReportedWithoutAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.broken["/sql"] = errors.New("no route")
		var states []client.AuthState
		c := scripted(t, n, auth.Static(auth.JWT(jwt("alice", 1, time.Now(), time.Hour))),
			client.Options{OnAuth: func(e client.AuthEvent) { states = append(states, e.State) }})
		defer c.Close()
		if _, err := c.Query(context.Background(), "SELECT 1"); !errors.Is(err, client.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
		if synctest.Wait(); len(states) != 0 {
			t.Fatalf("got %q", states)
		}
		n.mu.Lock()
		delete(n.broken, "/sql")
		n.refuse["/sql"] = &client.Response{Status: 400, Body: []byte(`{"status":"error","results":[],"error":{"code":"TABLE_NOT_FOUND","message":"Statement 1 failed: no table","statement":1}}`)}
		n.mu.Unlock()
		if _, err := c.Query(context.Background(), "SELECT * FROM nothing"); err == nil {
			t.Fatal("no error")
		}
		if synctest.Wait(); !slices.Equal(states, []client.AuthState{client.StateSignedIn}) {
			t.Fatalf("a statement that failed: got %q", states)
		}
	})
}
