package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
)

// trim: the log keeps to its age and size, and says from where it is whole.
func (s suite) trim(t *testing.T) {
	s.each(t, store.Options{},
		testCase{"ByAge", trimAge},
		testCase{"BySize", trimSize},
		testCase{"KeepsTheNewest", trimNewest},
		testCase{"InChunks", trimChunks},
		testCase{"NothingToTrim", trimNothing},
	)
	s.steps(t, store.Options{}, testCase{"ByItself", trimItself})
}

// floor is the position up to which the log was trimmed.
func (h *harness) floor() (floor, last store.Seq) {
	h.t.Helper()
	h.read(func(tx *store.Tx) (err error) {
		if floor, err = tx.Floor(); err != nil {
			return err
		}
		last, err = tx.Newest()
		return err
	})
	return floor, last
}

// trimAll trims until there is no more.
func (h *harness) trimAll() (rounds int) {
	h.t.Helper()
	for {
		rounds++
		more, err := h.Trim(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		if !more {
			return rounds
		}
	}
}

// inserted inserts rows, each in a transaction of its own, and returns their
// positions.
func (h *harness) inserted(tbl *catalog.Table, from, to int64) (out []store.Seq) {
	h.t.Helper()
	for i := from; i < to; i++ {
		h.write(insert(tbl, "", pair(i, "x")))
		out = append(out, h.Newest())
	}
	return out
}

// wantLog compares the positions that are left in the log of a table.
func (h *harness) wantLog(tbl *catalog.Table, want []store.Seq) {
	h.t.Helper()
	var got []store.Seq
	for _, c := range h.logged(tbl, "") {
		got = append(got, c.Seq)
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("positions in the log: %v, want %v", got, want)
	}
}

func trimAge(t *testing.T, h *harness) {
	h.options.LogMaxAge = time.Hour
	c := h.clock(noon)
	tbl := h.shared("t")
	old := h.inserted(tbl, 0, 3)
	c.add(40 * time.Minute)
	young := h.inserted(tbl, 3, 5)
	h.trimAll()
	h.wantLog(tbl, append(slices.Clone(old), young...))
	c.add(30 * time.Minute)
	h.trimAll()
	h.wantLog(tbl, young)
	if floor, last := h.floor(); floor != old[2] || last != young[1] {
		t.Errorf("floor %d and newest %d, want %d and %d", floor, last, old[2], young[1])
	}
	h.wantIDs(tbl, 0, 1, 2, 3, 4) // rows stay
	h.reopen()
	if floor, last := h.floor(); floor != old[2] || last != young[1] {
		t.Errorf("after reopening: floor %d and newest %d, want %d and %d", floor, last, old[2], young[1])
	}
}

func trimSize(t *testing.T, h *harness) {
	c := h.clock(noon)
	tbl := h.shared("t")
	h.inserted(tbl, 0, 1)
	one := h.logTotal()
	h.options.LogMaxSize = 4 * one
	h.reopen()
	tbl = h.Catalog().Table("default", "t")
	c.add(time.Second)
	rest := h.inserted(tbl, 1, 10)
	h.trimAll()
	h.wantLog(tbl, rest[len(rest)-4:])
	if floor, _ := h.floor(); floor != rest[len(rest)-5] {
		t.Errorf("floor %d, want %d", floor, rest[len(rest)-5])
	}
	// The size counts on after reopening.
	h.reopen()
	tbl = h.Catalog().Table("default", "t")
	rest = append(rest, h.inserted(tbl, 10, 12)...)
	h.trimAll()
	h.wantLog(tbl, rest[len(rest)-4:])
}

func trimNewest(t *testing.T, h *harness) {
	h.options.LogMaxAge = time.Minute
	c := h.clock(noon)
	tbl := h.shared("t")
	all := h.inserted(tbl, 0, 4)
	c.add(24 * time.Hour)
	h.trimAll()
	h.wantLog(tbl, all[3:])
	if floor, last := h.floor(); floor != all[2] || last != all[3] {
		t.Errorf("floor %d and newest %d, want %d and %d", floor, last, all[2], all[3])
	}
	h.trimAll() // again: nothing is left to take
	h.wantLog(tbl, all[3:])
	if floor, _ := h.floor(); floor != all[2] {
		t.Errorf("floor moved to %d", floor)
	}
}

func trimChunks(t *testing.T, h *harness) {
	h.options.LogMaxAge = time.Minute
	c := h.clock(noon)
	tbl := h.shared("t")
	h.write(func(tx *store.Tx) error {
		for i := range int64(2100) {
			if err := insert(tbl, "", pair(i, ""))(tx); err != nil {
				return err
			}
		}
		return nil
	})
	c.add(time.Hour)
	if n := h.trimAll(); n != 2 {
		t.Errorf("%d rounds for 2100 changes, want 2", n)
	}
	h.wantLog(tbl, []store.Seq{h.Newest()})
}

func trimNothing(t *testing.T, h *harness) {
	h.trimAll()
	if floor, last := h.floor(); floor != 0 || last != 0 {
		t.Errorf("an empty log has floor %d and newest %d", floor, last)
	}
}

func trimItself(t *testing.T, h *harness) {
	h.options.LogMaxAge = time.Hour
	h.reopen()
	tbl := h.shared("t")
	all := h.inserted(tbl, 0, 3)
	time.Sleep(2 * time.Hour) // by the clock of the bubble
	h.wantLog(tbl, all[2:])
}
