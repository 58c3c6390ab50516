//go:build !js

package client_test

import (
	"context"
	"slices"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestConnectHoldsTheSocket opens the socket without a live query, and closes
// it.
func TestConnectHoldsTheSocket(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := newAlice(t, s)
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(t.Context()); err != nil {
		t.Fatalf("again: %v", err)
	}
	c.Wake()
	c.Disconnect()
	if err := c.Connect(t.Context()); err != nil {
		t.Fatalf("after Disconnect: %v", err)
	}
	s.Close()
	bad, err := client.New(s.URL, auth.Static(auth.JWT("x")), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	if err := bad.Connect(t.Context()); err == nil {
		t.Error("connected to a server that is gone")
	} else if d := client.Describe(err); !d.Retryable || d.Code != "SERVER_UNAVAILABLE" {
		t.Errorf("got %+v", d)
	}
}

// TestPrimedCredentialsAreUsedOnce asks ahead and then queries.
func TestPrimedCredentialsAreUsedOnce(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	var reasons []auth.Reason
	c, err := client.New(s.URL, auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
		reasons = append(reasons, auth.RequestOf(ctx).Reason)
		return auth.Basic("alice", servertest.Password), nil
	}), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if cred, err := c.Prime(t.Context()); err != nil || !auth.IsBasic(cred) {
		t.Fatalf("got %v, %v", cred, err)
	}
	if _, err := c.Query(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(reasons, []auth.Reason{auth.ReasonFirst, auth.ReasonConnect}) {
		t.Errorf("asked for %v", reasons)
	}
}

// TestDescribe takes errors of the server apart.
func TestDescribe(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := newAlice(t, s)
	_, err := c.Query(t.Context(), "SELECT * FROM chat.nothing")
	d := client.Describe(err)
	if d.Code != "TABLE_NOT_FOUND" || d.Status != 400 || d.Retryable || d.Answer == nil {
		t.Errorf("got %+v", d)
	}
	answer, err := c.Send(t.Context(), []byte(`{"sql":"SELECT 1 AS n"}`))
	if err != nil || !slices.Equal(answer[:20], []byte(`{"status":"success",`)) {
		t.Errorf("got %s, %v", answer, err)
	}
}

func newAlice(t *testing.T, s *servertest.Server) *client.Client {
	t.Helper()
	c, err := client.New(s.URL, auth.Static(auth.Basic("alice", servertest.Password)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
