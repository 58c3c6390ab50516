package password_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/password"
)

func newHasher(t *testing.T) *password.Hasher {
	h := password.New(nil, time.Minute, slog.New(slog.DiscardHandler))
	t.Cleanup(h.Close)
	return h
}

// TestSignUpsLeaveTurnsToLogins: who signs in waits for a few of the hashes that
// a crowd which signs up waits for, not for all.
func TestSignUpsLeaveTurnsToLogins(t *testing.T) {
	h := newHasher(t)
	const crowd = 100
	var made atomic.Int32
	first := make(chan struct{})
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			if _, err := h.Hash(t.Context(), "choose-a-good-one"); err != nil {
				t.Error(err)
			}
			if made.Add(1) == 1 {
				close(first)
			}
		})
	}
	<-first // now the others wait
	before := made.Load()
	if _, _, err := h.Verify(t.Context(), "", "choose-a-good-one", nil); err != nil {
		t.Fatal(err)
	}
	// Those at work, one for each turn, and those that end at the same moment.
	if n := made.Load() - before; n > crowd/4 {
		t.Errorf("a login waited for %d sign-ups", n)
	}
	all.Wait()
}

// TestCrowdOfOneKindRefusesNoOther: when too many wait to sign up, who signs in
// is not refused for it.
func TestCrowdOfOneKindRefusesNoOther(t *testing.T) {
	h := newHasher(t)
	ctx, leave := context.WithCancel(t.Context())
	var refused atomic.Int32
	full := make(chan struct{})
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if _, err := h.Hash(ctx, "choose-a-good-one"); err != nil && ctx.Err() == nil && refused.Add(1) == 1 {
				close(full)
			}
		})
	}
	<-full
	if _, _, err := h.Verify(t.Context(), "", "choose-a-good-one", nil); err != nil {
		t.Errorf("a login: %v", err)
	}
	leave() // who leaves takes no slot along
	all.Wait()
	for range 8 {
		if _, err := h.Hash(t.Context(), "choose-a-good-one"); err != nil {
			t.Fatal(err)
		}
	}
}
