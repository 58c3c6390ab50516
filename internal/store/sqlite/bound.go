package sqlite

import (
	"context"
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/store"
)

// Bound makes statements fail once ctx has ended or limit has passed.
func (c *conn) Bound(ctx context.Context, limit time.Duration, yield func() bool) {
	c.mu.Lock()
	c.ctx, c.since, c.stop = ctx, time.Now(), store.StopNone
	c.until, c.yield = c.since.Add(limit), yield
	c.budget.Start(ctx, c.until, c.dog.account)
	c.funcs.call.Budget = &c.budget
	kill := c.kill
	c.mu.Unlock()
	c.dog.wake()
	if c.user != nil {
		c.budget.TakeTurns(c.pool.turns, c.user.turns, c.write, kill)
	}
}

// Unbound lifts the bound.
func (c *conn) Unbound() store.Stop {
	c.budget.Leave()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx = nil
	c.funcs.call.Reset()
	if c.killed {
		c.arm()
	}
	return c.stop
}

// Budget bounds what Go evaluates between Bound and Unbound.
func (c *conn) Budget() *budget.Budget { return &c.budget }

// check interrupts the running statement if its bound is reached. It reports
// since when there is a bound, if it still runs.
func (c *conn) check(now time.Time) (since time.Time, running bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		return since, false
	}
	switch {
	case c.ctx.Err() != nil:
		c.interrupt(store.StopContext)
	case now.After(c.until):
		c.interrupt(store.StopLate)
	case c.yield != nil && c.yield():
		c.interrupt(store.StopYield)
	}
	return c.since, true
}

// interrupt ends what runs. The caller holds mu.
func (c *conn) interrupt(why store.Stop) {
	if !c.killed {
		c.stop, c.killed = why, true
		c.budget.Stop()
		close(c.kill)
	}
}

// tooMuch ends what runs since then, because of the memory it holds.
func (c *conn) tooMuch(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != nil && c.since.Equal(since) {
		c.interrupt(store.StopMemory)
	}
}
