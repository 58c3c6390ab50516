package live

import (
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// account is who pays for evaluating filters and projections: a user, or a
// query that several users share. Evaluations of one account take turns, so that
// a user with many slow queries keeps one processor busy and no more, and delays
// nobody else.
type account struct {
	subs int // of the user; the hub's mu guards it

	turn  sync.Mutex    // held while something is evaluated
	spent time.Duration // turn guards this and the rest; what is not made good yet
	at    time.Time     // when spent was computed
}

// savings is how many seconds of its share an account may use at once.
const savings = 10

// evaluate runs fn in the account's turn. It fails when the account has used up
// its share of time. What one evaluation may take is the engine's to say.
func (a *account) evaluate(o *Options, fn func()) *wire.Error {
	a.turn.Lock()
	defer a.turn.Unlock()
	began := time.Now()
	fn()
	now := time.Now()
	a.spent = max(a.spent-a.earned(o, began), 0) + now.Sub(began)
	a.at = now
	if a.spent <= savings*o.EvaluationShare {
		return nil
	}
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
