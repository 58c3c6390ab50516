package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is how long to wait between attempts: a random time below a limit
// that doubles from first to most ("full jitter"), so that many clients do not
// come back together.
type backoff struct {
	first, most time.Duration
	attempts    int
}

func (b *backoff) next() time.Duration {
	limit := b.most
	if b.attempts < 20 {
		limit = min(limit, b.first<<b.attempts)
	}
	b.attempts++
	return rand.N(limit) + 1
}

// sleep waits, or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
