package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
)

// feed: the one contract that live queries, resume and catching up rest on. For
// each scope, a table and a user, changes arrive in the order of their positions
// and without gaps, from memory as from disk; whoever cannot have that is told.
// Nothing is promised between scopes. Invariants 2 and 3.
func (s suite) feed(t *testing.T) {
	s.each(t, store.Options{},
		testCase{"EachScopeInOrderWithoutGaps", feedScopes},
		testCase{"WhoFollowsAndThenReadsMissesNothing", feedJoin},
		testCase{"AnyPositionIsAsGoodToGoOnFrom", feedResume},
		testCase{"WhatIsRolledBackLeavesNoGap", feedRolledBack},
	)
}

// scoped is a scope.
type scoped struct {
	table int64
	user  string
}

// scopesOf sorts changes by scope.
func scopesOf(changes []*store.Change) map[scoped][]*store.Change {
	out := make(map[scoped][]*store.Change)
	for _, c := range changes {
		k := scoped{c.Table, c.User}
		out[k] = append(out[k], c)
	}
	return out
}

// positions are those of changes.
func positions(changes []*store.Change) []store.Seq {
	out := make([]store.Seq, len(changes))
	for i, c := range changes {
		out[i] = c.Seq
	}
	return out
}

// busy writes to tables for several users at once, a part of it in vain, until
// the function that it returns is called.
func (h *harness) busy(tables []*catalog.Table, users []string, each int) (wait func()) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 7))
			for i := range each {
				err := h.Write(context.Background(), func(tx *store.Tx) error {
					for _, tbl := range tables {
						user := ""
						if tbl.Kind.Private() {
							user = users[rnd.IntN(len(users))]
						}
						if err := insert(tbl, user, pair(int64(w*1000+i), "x"))(tx); err != nil {
							return err
						}
						_ = tx.Savepoint(func() error { return errors.Join(insert(tbl, user, pair(-1, "x"))(tx), errMember) })
					}
					if i%5 == 0 {
						return errMember
					}
					return nil
				})
				if err != nil && !errors.Is(err, errMember) {
					h.t.Error(err)
				}
			}
		})
	}
	return wg.Wait
}

func (h *harness) feedTables() ([]*catalog.Table, []string) {
	return []*catalog.Table{h.create(definition("mine", catalog.User)), h.shared("all")}, []string{"alice", "bob"}
}

// wantScopes compares what was heard after begin with the log.
func (h *harness) wantScopes(tables []*catalog.Table, users []string, begin store.Seq, heard []*store.Change) {
	h.t.Helper()
	got := scopesOf(heard)
	for _, tbl := range tables {
		for _, user := range append([]string{""}, users...) {
			var want []store.Seq
			for _, c := range h.logged(tbl, user) {
				if c.Seq > begin {
					want = append(want, c.Seq)
				}
			}
			if have := positions(got[scoped{tbl.ID, user}]); !slices.Equal(have, want) {
				h.t.Errorf("%s of %q: heard %d changes, want %d: %v, want %v", tbl.Name, user, len(have), len(want), have, want)
			}
		}
	}
}

// feedScopes follows all scopes while they are written to, with so little memory
// that it falls back to the disk.
func feedScopes(t *testing.T, h *harness) {
	h.options.RingBytes = 700
	h.reopen()
	tables, users := h.feedTables()
	begin := h.Newest()
	wait := h.busy(tables, users, 50)
	done := make(chan struct{})
	go func() { wait(); close(done) }()
	var heard []*store.Change
	pos := begin
	for over := false; ; {
		list, more, err := h.Changes(t.Context(), pos, 5)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) > 0 {
			heard = append(heard, list...)
			pos = list[len(list)-1].Seq
			continue
		}
		if over {
			break
		}
		select {
		case <-more:
		case <-done:
			over = true
		}
	}
	h.wantScopes(tables, users, begin, heard)
}

// feedJoin is what a live query does: it follows, reads the log of its scope up to
// where that was then, and takes the rest from what it follows.
func feedJoin(t *testing.T, h *harness) {
	tables, users := h.feedTables()
	wait := h.busy(tables, users, 50)
	tbl, user := tables[0], users[0]
	for range 20 {
		at := h.Newest() // it follows from here on
		var seen []store.Seq
		h.read(func(tx *store.Tx) error {
			newest, err := tx.Newest()
			if err != nil {
				return err
			}
			if newest < at {
				return fmt.Errorf("a snapshot at %d begins before the position %d that was told", newest, at)
			}
			seen = nil
			return tx.Changes(tbl.ID, user, 0, newest, 1<<30, func(c *store.Change) error {
				seen = append(seen, c.Seq)
				return nil
			})
		})
		last := store.Seq(0)
		if len(seen) > 0 {
			last = seen[len(seen)-1]
		}
		for _, c := range h.follow(at, 7) {
			if c.Table == tbl.ID && c.User == user && c.Seq > last {
				seen = append(seen, c.Seq)
				last = c.Seq
			}
		}
		var want []store.Seq
		for _, c := range h.logged(tbl, user) {
			if c.Seq <= last {
				want = append(want, c.Seq)
			}
		}
		if !slices.Equal(seen, want) {
			t.Fatalf("it has %d changes up to %d, the log %d", len(seen), last, len(want))
		}
	}
	wait()
}

// feedResume goes on from every position there ever was, and from those of other
// scopes.
func feedResume(t *testing.T, h *harness) {
	tables, users := h.feedTables()
	begin := h.Newest()
	h.busy(tables, users, 12)()
	for _, disk := range []bool{false, true} {
		if disk {
			h.reopen() // nothing is left in memory
		}
		all := h.follow(begin, 100)
		for i, c := range all {
			if got, want := positions(h.follow(c.Seq, 11)), positions(all[i+1:]); !slices.Equal(got, want) {
				t.Fatalf("after %d: %d changes, want %d", c.Seq, len(got), len(want))
			}
		}
		h.wantScopes(tables, users, begin, all)
	}
}

func feedRolledBack(t *testing.T, h *harness) {
	tbl := h.shared("t")
	begin := h.Newest()
	for i := range int64(6) {
		_ = h.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(insert(tbl, "", pair(100+i, "x"))(tx), errMember) })
		h.write(func(tx *store.Tx) error {
			_ = tx.Savepoint(func() error { return errors.Join(insert(tbl, "", pair(200+i, "x"))(tx), errMember) })
			return insert(tbl, "", pair(i, "x"))(tx)
		})
	}
	heard := h.follow(begin, 100)
	if len(heard) != 6 {
		t.Errorf("%d changes, want 6", len(heard))
	}
	h.wantScopes([]*catalog.Table{tbl}, nil, begin, heard)
}
