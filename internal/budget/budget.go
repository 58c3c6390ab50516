// Package budget bounds what one statement may use in Go: time, cancellation and
// bytes. SQLite has its own clock and its own count of memory; what Go evaluates
// beside it (VALUES, SET, CHECK, DEFAULT, filters, and the functions that SQLite
// calls back) asks a Budget.
//
// One flow: whoever runs a statement starts a Budget, evaluation spends steps and
// charges bytes as it goes, and ends with the error of the first refusal.
package budget

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// ErrStopped means that the time of a statement is over, or that nobody waits
// for it any more. Whoever started the Budget knows which.
var ErrStopped = errors.New("budget: the statement was stopped")

// Budget is what one statement may use. It belongs to one goroutine, but for
// Stop. A nil Budget bounds nothing.
type Budget struct {
	account *Account
	ctx     context.Context
	until   time.Time
	steps   int   // until the clock is looked at again
	held    int64 // bytes charged
	stopped atomic.Bool
}

// lookEvery is how many steps go by between two looks at the clock. A step is
// some nanoseconds.
const lookEvery = 4096

// New returns a Budget that ends with ctx or after limit, whichever comes first,
// and charges its bytes to a. A nil Account counts nothing.
func New(ctx context.Context, limit time.Duration, a *Account) *Budget {
	b := &Budget{}
	b.Start(ctx, limit, a)
	return b
}

// Start makes b a new Budget, as New does. The caller has ended the former one.
func (b *Budget) Start(ctx context.Context, limit time.Duration, a *Account) {
	b.account, b.ctx, b.until = a, ctx, time.Now().Add(limit)
	b.steps = lookEvery
	b.stopped.Store(false)
}

// Stop makes the next look at the clock fail.
func (b *Budget) Stop() { b.stopped.Store(true) }

// End gives back the bytes that are charged. It is idempotent.
func (b *Budget) End() { b.Release(0) }

// Spend takes n steps. It fails with ErrStopped once the budget has ended.
func (b *Budget) Spend(n int) error {
	if b == nil {
		return nil
	}
	if b.steps -= n; b.steps > 0 {
		return nil
	}
	b.steps = lookEvery
	return b.look()
}

func (b *Budget) look() error {
	if b.stopped.Load() || b.ctx != nil && (b.ctx.Err() != nil || time.Now().After(b.until)) {
		b.steps = 0
		return ErrStopped
	}
	return nil
}

// Held returns the bytes that are charged, for Release.
func (b *Budget) Held() int64 {
	if b == nil {
		return 0
	}
	return b.held
}

// Charge counts bytes that the statement is about to hold. The error is a
// *wire.Error with code RESULT_TOO_LARGE, and nothing is charged.
func (b *Budget) Charge(bytes int) error {
	if b == nil || b.account == nil || bytes <= 0 {
		return nil
	}
	if err := b.account.charge(int64(bytes)); err != nil {
		return err
	}
	b.held += int64(bytes)
	return nil
}

// Release gives back what was charged since Held returned held.
func (b *Budget) Release(held int64) {
	if b == nil || b.held <= held {
		return
	}
	b.account.held.Add(held - b.held)
	b.held = held
}

// Account counts the bytes that all statements of a server hold in Go. It is
// safe for concurrent use.
type Account struct {
	limit int64
	held  atomic.Int64
}

// NewAccount returns an Account that refuses to hold more than limit bytes.
func NewAccount(limit int64) *Account { return &Account{limit: limit} }

// Held returns the bytes that are charged now.
func (a *Account) Held() int64 { return a.held.Load() }

// charge adds bytes unless they would exceed the limit.
func (a *Account) charge(bytes int64) error {
	if a.held.Add(bytes) <= a.limit {
		return nil
	}
	a.held.Add(-bytes)
	return wire.NewError(wire.CodeResultTooLarge, "the values of the statements that run need more memory than the server allows (half of limits.max_memory); make or change fewer and smaller values at once, or try again when less is running")
}
