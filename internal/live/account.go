package live

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/wire"
)

// account is a user who pays for evaluating filters and projections. Evaluations
// of one account take turns, so that a user with many slow queries keeps one
// processor busy and no more, and delays nobody else.
type account struct {
	user string

	subs    int          // of the user; the hub's mu guards it
	waiting atomic.Int32 // evaluations and pages that have their turn or wait for it

	// page is held while a group has a page of the log on disk, so that one is in
	// memory for all groups of a user that are behind.
	page sync.Mutex

	turns *budget.Turns
	among *budget.User // as whom the account takes turns with all that users compute

	turn  sync.Mutex    // held while something is evaluated
	work  budget.Budget // of what is evaluated; turn guards it and the rest
	spent time.Duration // what is not made good yet
	at    time.Time     // when spent was computed
}

// savings is how many seconds of its share an account may use at once.
const savings = 10

// evaluate runs fn in the account's turn, unless ctx has ended by then or the
// account has used up its share of time. It fails when fn has not run or was
// more than the share allows. What one evaluation may take is the engine's to
// say.
func (a *account) evaluate(ctx context.Context, o *Options, fn func()) error {
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	a.turn.Lock()
	defer a.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	a.work.Start(ctx, time.Time{}, nil)
	a.work.TakeTurns(a.turns, a.among, false, nil)
	defer a.work.End()
	began := time.Now()
	a.spent = max(a.spent-a.earned(o, began), 0)
	if a.at = began; a.spent > savings*o.EvaluationShare {
		return tooCostly(o)
	}
	fn()
	a.at = time.Now()
	if a.spent += a.at.Sub(began); a.spent > savings*o.EvaluationShare {
		return tooCostly(o)
	}
	return nil
}

func tooCostly(o *Options) *wire.Error {
	return wire.NewError(wire.CodeLiveQueryTooCostly, "evaluating the live query took more time than the server has for the live queries of a user (",
		o.EvaluationShare.String(), " each second, limits.live_evaluation_ms_per_sec); simplify its filter and its columns, or watch less")
}

// earned is what the account's share has come to since it last evaluated.
func (a *account) earned(o *Options, now time.Time) time.Duration {
	if a.at.IsZero() {
		return 0
	}
	seconds := min(now.Sub(a.at).Seconds(), 2*savings)
	return time.Duration(seconds * float64(o.EvaluationShare))
}

// rested reports whether the account owes nothing, and is not in use.
func (a *account) rested(o *Options, now time.Time) bool {
	if !a.turn.TryLock() {
		return false
	}
	defer a.turn.Unlock()
	return a.spent <= a.earned(o, now)
}
