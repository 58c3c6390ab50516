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
	turn    turn
	kill    <-chan struct{} // closed with Stop, of a turn
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

// End gives back the bytes that are charged, and ends what TakeTurns began. It is
// idempotent.
func (b *Budget) End() {
	b.Release(0)
	b.Leave()
}

// TakeTurns makes what is bounded wait for its turns among the work of all users,
// until Leave. Stop is to close kill. What others wait for goes first: it never
// waits.
func (b *Budget) TakeTurns(t *Turns, u *User, first bool, kill <-chan struct{}) {
	b.kill = kill
	if b.turn.begin(t, u, first); b.turn.eager() {
		b.Place()
	}
}

// Place waits for a place, ahead of work that is known to take long.
func (b *Budget) Place() {
	if b != nil && b.turn.of != nil && !b.turn.placed {
		b.turn.take(b.done(), b.kill, time.Now())
	}
}

// Pass is called every now and then by what does not call Spend. It returns when
// the work may go on, or was stopped.
func (b *Budget) Pass() { b.turn.pass(b.done(), b.kill) }

// Rest gives back the place, if there is one, before the work waits for something.
func (b *Budget) Rest() {
	if b != nil {
		b.turn.yield()
	}
}

// Leave ends what TakeTurns began. It is idempotent.
func (b *Budget) Leave() {
	if b != nil {
		b.turn.leave()
	}
}

func (b *Budget) done() <-chan struct{} {
	if b.ctx == nil {
		return nil
	}
	return b.ctx.Done()
}

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
	b.Pass()
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

// Charge counts bytes that the statement is about to hold. Where only garbage is
// in the way, it waits until that is collected. The error is a *wire.Error with
// code RESULT_TOO_LARGE, or ErrStopped, and nothing is charged.
func (b *Budget) Charge(bytes int) error {
	if b == nil || b.account == nil || bytes <= 0 {
		return nil
	}
	own := b.held.Load() - b.before + int64(bytes)
	if own > b.account.limit/2 {
		return tooLarge("the statement holds more values in memory than the server allows (a quarter of limits.max_memory); make or change fewer or smaller values at once")
	}
	extra := int64(0)
	if own <= smallStatement {
		extra = reserve
	}
	for {
		switch b.account.take(int64(bytes), extra) {
		case taken:
			b.held.Add(int64(bytes))
			return nil
		case full:
			return tooLarge("the statements that run hold more values in memory than the server allows (half of limits.max_memory); make or change fewer or smaller values at once, or try again when less is running")
		}
		if err := b.look(); err != nil {
			return err
		}
		b.Rest()
		b.account.Collect()
	}
}

func tooLarge(message string) error { return wire.NewError(wire.CodeResultTooLarge, message) }

// Release gives back what was charged since Held returned held. It is garbage
// from then on, and counts as such until it is collected.
func (b *Budget) Release(held int64) {
	if b == nil || b.held.Load() <= held {
		return
	}
	n := b.held.Swap(held) - held
	b.account.drop(n)
	b.account.held.Add(-n)
}

// Refund gives back bytes that were charged, as Release does.
func (b *Budget) Refund(bytes int) {
	if b != nil && b.account != nil {
		b.Release(max(0, b.held.Load()-int64(bytes)))
	}
}

// Free gives back bytes that were charged and are free at once: they were not
// Go's.
func (b *Budget) Free(bytes int) {
	if b == nil || b.account == nil {
		return
	}
	n := min(b.held.Load(), int64(bytes))
	b.held.Add(-n)
	b.account.held.Add(-n)
}
