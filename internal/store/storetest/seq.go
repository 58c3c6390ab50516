package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
)

// seq: positions only grow, whatever happens. Invariant 2.
func (s suite) seq(t *testing.T) {
	s.each(t, store.Options{},
		testCase{"SaysWhenAndIsPositive", seqTime},
		testCase{"StandsOnTheRow", seqOnRow},
		testCase{"GrowsWithTheClockSteppedBack", seqClockBack},
		testCase{"GrowsAcrossReopen", seqReopen},
		testCase{"IsNotUsedAgainAfterDeleteAndTrim", seqAfterTrim},
		testCase{"GrowsInCommitOrderWithManyWriters", seqConcurrent},
		testCase{"IDsAreUnique", idsUnique},
	)
}

// clock is a clock that a case sets.
type clock struct{ at atomic.Int64 }

func (c *clock) set(t time.Time)     { c.at.Store(t.UnixMicro()) }
func (c *clock) add(d time.Duration) { c.at.Add(d.Microseconds()) }
func (c *clock) now() time.Time      { return time.UnixMicro(c.at.Load()) }
func (h *harness) clock(t time.Time) *clock {
	c := new(clock)
	c.set(t)
	h.options.Now = c.now
	h.reopen()
	return c
}

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func seqTime(t *testing.T, h *harness) {
	c := h.clock(noon)
	tbl := h.shared("t")
	c.add(time.Second)
	var got store.Seq
	h.write(func(tx *store.Tx) (err error) {
		got, err = tx.Insert(tbl, "", pair(1, "x"))
		return err
	})
	if want := noon.Add(time.Second).Sub(store.Epoch).Milliseconds(); got>>22 != want || got <= 0 {
		t.Errorf("position %d is of millisecond %d, want %d", got, got>>22, want)
	}
	c.set(store.Epoch.Add(-time.Hour)) // a machine without a clock
	h.write(insert(tbl, "", pair(2, "x")))
	ascending(t, h.logged(tbl, ""))
}

func seqOnRow(t *testing.T, h *harness) {
	tbl := h.shared("t")
	var made, updated store.Seq
	h.write(func(tx *store.Tx) (err error) {
		made, err = tx.Insert(tbl, "", pair(1, "x"))
		return err
	})
	if got := h.stored(tbl)[0].Seq; got != made {
		t.Errorf("the row's version is %d, its change's position %d", got, made)
	}
	h.write(func(tx *store.Tx) (err error) {
		updated, err = tx.Update(tbl, "", made, pair(1, "x"), pair(1, "y"))
		return err
	})
	if got := h.stored(tbl)[0].Seq; got != updated || updated <= made {
		t.Errorf("the row's version is %d, its change's position %d after %d", got, updated, made)
	}
	if h.Newest() != updated {
		t.Errorf("newest is %d, want %d", h.Newest(), updated)
	}
}

func seqClockBack(t *testing.T, h *harness) {
	c := h.clock(noon)
	tbl := h.shared("t")
	// More than one millisecond's worth, forwards and backwards.
	for round := range int64(6) {
		h.write(func(tx *store.Tx) error {
			for i := range int64(750) {
				if err := insert(tbl, "", pair(round*750+i, ""))(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if round%2 == 0 {
			c.add(-time.Hour)
		} else {
			c.add(time.Minute)
		}
	}
	got := h.logged(tbl, "")
	if len(got) != 4500 {
		t.Errorf("%d changes, want 4500", len(got))
	}
	for _, c := range got {
		if worker := c.Seq >> 12 & 1023; worker != 0 {
			t.Fatalf("position %d names worker %d: the counter ran over", c.Seq, worker)
		}
	}
	ascending(t, got)
}

func seqReopen(t *testing.T, h *harness) {
	c := h.clock(noon)
	tbl := h.shared("t")
	var last store.Seq
	for i := range int64(4) {
		h.write(func(tx *store.Tx) error {
			seq, err := tx.Insert(tbl, "", pair(i, "x"))
			if seq <= last {
				t.Errorf("position %d after %d", seq, last)
			}
			last = seq
			return err
		})
		c.add(-24 * time.Hour)
		h.reopen()
		if h.Newest() != last {
			t.Errorf("newest after reopening is %d, want %d", h.Newest(), last)
		}
		if id := h.NextID(); id <= last {
			t.Errorf("id %d after position %d", id, last)
		}
		tbl = h.Catalog().Table("default", "t")
	}
	ascending(t, h.logged(tbl, ""))
}

func seqAfterTrim(t *testing.T, h *harness) {
	h.options.LogMaxSize = 1
	c := h.clock(noon)
	tbl := h.shared("t")
	var last store.Seq
	for i := range int64(3) {
		h.write(func(tx *store.Tx) error {
			seq, err := tx.Insert(tbl, "", pair(i, "x"))
			if err != nil || seq <= last {
				return fmt.Errorf("position %d after %d: %v", seq, last, err)
			}
			return tx.Delete(tbl, "", seq, pair(i, "x"))
		})
		last = h.Newest()
		if _, err := h.Trim(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.write(func(tx *store.Tx) error { return tx.DropTable(tbl) })
		c.add(-time.Hour)
		h.reopen()
		tbl = h.shared("t")
	}
}

func seqConcurrent(t *testing.T, h *harness) {
	tables := []*catalog.Table{h.create(definition("u", catalog.User)), h.shared("s")}
	users := []string{"alice", "bob"}
	told := h.Listen(store.AboutKilled)
	var wg sync.WaitGroup
	const writers, each = 8, 30
	for w := range int64(writers) {
		wg.Go(func() {
			for i := range int64(each) {
				id := w*each + i
				err := h.Write(context.Background(), func(tx *store.Tx) error {
					tx.Tell(store.Notice{Killed: []int64{id}})
					tbl := tables[id%2]
					user := ""
					if tbl.Kind.Private() {
						user = users[w%2]
					}
					return insert(tbl, user, pair(id, "x"))(tx)
				})
				if err != nil {
					t.Errorf("write %d: %v", id, err)
				}
			}
		})
	}
	wg.Wait()
	var order []int64 // ids in the order of their commits
	told.Read(func(n store.Notice) { order = append(order, n.Killed...) })
	all := h.follow(0, 7)
	ascending(t, all)
	var got []int64
	for _, c := range all {
		got = append(got, c.New[0].Int())
	}
	if !slices.Equal(got, order) || len(got) != writers*each {
		t.Errorf("log order %v\ncommit order %v", got, order)
	}
	h.agree(tables[0], users...)
	h.agree(tables[1], "")
}

func idsUnique(t *testing.T, h *harness) {
	tbl := h.shared("t")
	var mu sync.Mutex
	seen := make(map[int64]bool)
	var wg sync.WaitGroup
	for w := range int64(4) {
		wg.Go(func() {
			last := int64(0)
			for i := range int64(2000) {
				id := h.NextID()
				if id <= last {
					t.Errorf("id %d after %d", id, last)
				}
				last = id
				mu.Lock()
				if seen[id] {
					t.Errorf("id %d twice", id)
				}
				seen[id] = true
				mu.Unlock()
				if i%500 == 0 {
					if err := h.Write(context.Background(), insert(tbl, "", pair(w*2000+i, "x"))); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for _, v := range h.stored(tbl) {
		if seen[v.Seq] {
			t.Errorf("position %d is an id too", v.Seq)
		}
	}
}
