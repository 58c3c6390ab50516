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
	"math"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// ErrStopped means that the time of a statement is over, or that nobody waits
// for it any more. Whoever started the Budget knows which.
var ErrStopped = errors.New("budget: the statement was stopped")

// Budget is what one statement may use. It belongs to one goroutine, but for
// Stop and Held. A nil Budget bounds nothing.
type Budget struct {
	account *Account
	ctx     context.Context
	until   time.Time
	steps   int          // until the clock is looked at again
	left    int          // until Limit is reached
	held    atomic.Int64 // bytes charged; only its goroutine changes it
	before  int64        // that were charged before Start
	stopped atomic.Bool
}

// lookEvery is how many steps go by between two looks at the clock. A step is
// some nanoseconds.
const lookEvery = 4096

// New returns a Budget that ends with ctx or after limit, whichever comes first,
// and charges its bytes to a. A nil Account counts nothing.
func New(ctx context.Context, limit time.Duration, a *Account) *Budget {
	b := &Budget{}
	b.Start(ctx, time.Now().Add(limit), a)
	return b
}

// Start gives b a new end. What is charged stays.
func (b *Budget) Start(ctx context.Context, until time.Time, a *Account) {
	b.account, b.ctx, b.until, b.before = a, ctx, until, b.held.Load()
	b.steps, b.left = lookEvery, math.MaxInt64
	b.stopped.Store(false)
}

// Limit makes Spend fail after so many further steps, whatever the clock says.
func (b *Budget) Limit(steps int) { b.left = steps }

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
	if b.left -= lookEvery - b.steps; b.left <= 0 {
		return ErrStopped
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
	return b.held.Load()
}

// Charge counts bytes that the statement is about to hold. The error is a
// *wire.Error with code RESULT_TOO_LARGE, and nothing is charged.
func (b *Budget) Charge(bytes int) error {
	if b == nil || b.account == nil || bytes <= 0 {
		return nil
	}
	own := b.held.Load() - b.before + int64(bytes)
	if own > b.account.limit/2 {
		return tooLarge("the statement holds more values in memory than the server allows (a quarter of limits.max_memory); make or change fewer or smaller values at once")
	}
	limit := b.account.limit
	if own <= smallStatement {
		limit += reserve
	}
	if held := b.account.held.Add(int64(bytes)); held > limit || held+b.account.Engine() > limit+b.account.limit {
		b.account.held.Add(-int64(bytes))
		return tooLarge("the statements that run hold more values in memory than the server allows (half of limits.max_memory); make or change fewer or smaller values at once, or try again when less is running")
	}
	b.held.Add(int64(bytes))
	return nil
}

func tooLarge(message string) error { return wire.NewError(wire.CodeResultTooLarge, message) }

// Release gives back what was charged since Held returned held.
func (b *Budget) Release(held int64) {
	if b == nil || b.held.Load() <= held {
		return
	}
	b.account.held.Add(held - b.held.Swap(held))
}

// Refund gives back bytes that were charged.
func (b *Budget) Refund(bytes int) {
	if b != nil && b.account != nil {
		b.Release(max(0, b.held.Load()-int64(bytes)))
	}
}

// Account counts the bytes that all statements of a server hold in Go. It is
// safe for concurrent use.
type Account struct {
	limit  int64
	engine *atomic.Int64
	held   atomic.Int64
}

// Statements that hold little have a reserve of their own, so that those that
// hold much do not stop them.
const (
	smallStatement = 1 << 20
	reserve        = 64 << 20
)

// NewAccount returns an Account that refuses to hold more than limit bytes, twice
// limit together with what the engine holds, and half of limit for one statement.
func NewAccount(limit int64, engine *atomic.Int64) *Account {
	return &Account{limit: limit, engine: engine}
}

// Engine returns the bytes that the engine holds now.
func (a *Account) Engine() int64 { return a.engine.Load() }

// Room reports whether the engine may hold so many bytes more beside what Go
// holds for statements.
func (a *Account) Room(bytes int64) bool { return a.Engine()+a.Held()+bytes <= 2*a.limit }

// Held returns the bytes that are charged now.
func (a *Account) Held() int64 { return a.held.Load() }
