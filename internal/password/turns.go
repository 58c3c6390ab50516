package password

import (
	"context"
	"slices"
	"sync"
)

// kind is why a password is hashed.
type kind int

const (
	checking kind = iota // somebody signs in
	making               // somebody signs up, or changes a password
)

// turns hands out the slots for hashes. When more want one than there are, both
// kinds take turns, so that many who sign up do not keep out those who sign in.
type turns struct {
	mu      sync.Mutex
	free    int                // mu guards it and the rest
	waiting [2][]chan struct{} // by kind, the longest first; closed when it is their turn
	next    kind               // whose turn it is when both wait
}

// take waits for a slot, which give returns. It reports false when too many of
// the kind wait already.
func (t *turns) take(ctx context.Context, k kind) (ok bool, err error) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return true, nil
	}
	if len(t.waiting[k]) >= maxHashWaiting {
		t.mu.Unlock()
		return false, nil
	}
	turn := make(chan struct{})
	t.waiting[k] = append(t.waiting[k], turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return true, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	i := slices.Index(t.waiting[k], turn)
	if i >= 0 {
		t.waiting[k] = slices.Delete(t.waiting[k], i, i+1)
	}
	t.mu.Unlock()
	if i < 0 {
		t.give() // it came at the same moment
	}
	return true, ctx.Err()
}

func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.next
	if len(t.waiting[k]) == 0 {
		k = 1 - k
	}
	if len(t.waiting[k]) == 0 {
		t.free++
		return
	}
	close(t.waiting[k][0])
	t.waiting[k] = slices.Delete(t.waiting[k], 0, 1)
	t.next = 1 - k
}
