package identity

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// What strangers, and users who may not, can write into the audit log in one
// minute. Beyond it their attempts are counted, and the number is recorded when
// the minute is over.
const (
	attemptsEach  = 10  // rows about one source: a network and what it tries, or a user
	attemptsAll   = 100 // rows about attempts at users who exist, and as many about the others
	attemptsMoreN = 50  // sources whose number is recorded on its own
)

// attempts tells which attempts get a row of their own. Attempts at a user who
// exists have their own share, so that a flood of made-up names hides none.
type attempts struct {
	mu    sync.Mutex
	began time.Time             // of the minute; mu guards it and the rest
	rows  map[string]int        // of a source
	all   map[bool]int          // by whether the user exists
	more  map[attemptSource]int // attempts without a row
	rest  int                   // those of further sources
}

// attemptSource is what the rows about attempts without one have in common.
type attemptSource struct{ action, actor, subject, addr string }

func newAttempts() *attempts {
	return &attempts{rows: make(map[string]int), all: make(map[bool]int), more: make(map[attemptSource]int)}
}

// take reports whether an attempt gets a row of its own. What the minutes before
// have left to record comes along.
func (a *attempts) take(e event, source string, now time.Time) (own bool, left []event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	left = a.ended(now)
	known := e.subject != ""
	source += "\x00" + e.subject
	if a.rows[source] < attemptsEach && a.all[known] < attemptsAll {
		a.rows[source]++
		a.all[known]++
		return true, left
	}
	from := attemptSource{e.action, e.actor, e.subject, NetworkOf(e.addr)}
	if _, ok := a.more[from]; ok || len(a.more) < attemptsMoreN {
		a.more[from]++
	} else {
		a.rest++
	}
	return false, left
}

// over is what there is to record of a minute that has ended.
func (a *attempts) over(now time.Time) []event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended(now)
}

// ended is over; the caller holds mu. The zero time ends the minute at once.
func (a *attempts) ended(now time.Time) (left []event) {
	if !now.IsZero() && !now.Before(a.began) && now.Sub(a.began) < time.Minute {
		return nil
	}
	within := "within a minute from " + a.began.UTC().Format(time.RFC3339)
	for from, n := range a.more {
		e := event{action: from.action, outcome: outcomeRefused, actor: from.actor, subject: from.subject, addr: from.addr,
			details: fmt.Sprintf("%d more %s", n, within)}
		if e.subject == "" {
			e.target = "users:others"
		}
		left = append(left, e)
	}
	if a.rest > 0 {
		left = append(left, event{action: auditLoginFailed, outcome: outcomeRefused, target: "users:others",
			details: fmt.Sprintf("%d more of other addresses and users %s", a.rest, within)})
	}
	clear(a.rows)
	clear(a.all)
	clear(a.more)
	a.rest, a.began = 0, now
	return left
}

// attempted records an attempt of somebody who is not signed in, or who may not,
// or counts it.
func (s *Service) attempted(ctx context.Context, e event, source string) {
	own, events := s.attempts.take(e, source, s.options.Now())
	if own {
		events = append(events, e)
	}
	if len(events) > 0 {
		s.record(ctx, events...)
	}
}

// recordAttempts records the numbers of attempts in time when nobody makes
// further ones, and the last when the service ends.
func (s *Service) recordAttempts(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for ctx.Err() == nil {
		var now time.Time
		select {
		case <-tick.C:
			now = s.options.Now()
		case <-ctx.Done():
		}
		if left := s.attempts.over(now); len(left) > 0 {
			s.record(ctx, left...)
		}
	}
}
