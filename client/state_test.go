package client_test

import (
	"context"
	"errors"
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
