//go:build !js

package client_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestPatchesRebuildTheRows keeps a mirror of a live query from its patches
// alone and compares it with the query.
func TestPatchesRebuildTheRows(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := newAlice(t, s)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	const changes = 200
	written := make(chan error, 1)
	mirror := map[int]int64{}
	begun := false
	for p, err := range c.LivePatches(ctx, "SELECT id FROM chat.messages WHERE room = 'patches'", client.LiveOptions{Limit: 20}) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Reset != !begun {
			t.Fatalf("reset %v, begun %v", p.Reset, begun)
		}
		for _, e := range p.Put {
			mirror[e.Slot] = e.Row.Int("id")
		}
		for _, slot := range p.Removed {
			delete(mirror, slot)
		}
		if !begun {
			begun = true
			go func() {
				rng := rand.New(rand.NewPCG(1, 2))
				for range changes {
					sql := "INSERT INTO chat.messages (id, room, body) VALUES ($1, 'patches', 'x') ON CONFLICT (id) DO UPDATE SET body = 'y'"
					if rng.IntN(3) == 0 {
						sql = "DELETE FROM chat.messages WHERE id = $1"
					}
					if _, err := c.Exec(ctx, sql, 1+rng.IntN(40)); err != nil {
						written <- err
						return
					}
				}
				_, err := c.Exec(ctx, "INSERT INTO chat.messages (id, room, body) VALUES (1000, 'patches', 'last')")
				written <- err
			}()
		}
		if slots := sortedKeys(mirror); len(slots) > 0 && mirror[slots[len(slots)-1]] == 1000 {
			break
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, slot := range sortedKeys(mirror) {
		got = append(got, mirror[slot])
	}
	// What is left is a subset of the table, without doubles, at most the limit.
	r, err := c.Query(ctx, "SELECT id FROM chat.messages WHERE room = 'patches'")
	if err != nil {
		t.Fatal(err)
	}
	var all []int64
	for _, row := range r.Rows() {
		all = append(all, row.Int("id"))
	}
	if len(got) == 0 || len(got) > 20 {
		t.Errorf("%d rows", len(got))
	}
	for i, id := range got {
		if !slices.Contains(all, id) || slices.Contains(got[:i], id) {
			t.Errorf("row %d should not be there, or is there twice: %v of %v", id, got, all)
		}
	}
}

func sortedKeys(m map[int]int64) []int {
	var out []int
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

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
