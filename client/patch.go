package client

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// Patch is what changed in the rows of a live query: for bindings to other
// languages, where handing over all rows each time would cost too much. Each
// row has a slot, a number that is its own until the next Reset.
type Patch struct {
	Reset   bool // forget all rows first
	Columns []wire.Field
	Put     []Slot // new rows and changed ones, in the order of the rows
	Removed []int  // slots

	// Position is where the query stands after this; 0 while there is none.
	Position int64
}

// Slot is a row and its slot.
type Slot struct {
	Slot   int
	Row    Row
	Before int // the slot of the row that a new one stands before, or AtEnd; InPlace: it is not new
}

// Places of a row that stands before no other: at the end, or where it was.
const (
	AtEnd   = -1
	InPlace = -2
)

// LivePatches is Live with what changed instead of all rows. The first patch
// has Reset set and comes when the rows are complete.
func (c *Client) LivePatches(ctx context.Context, sql string, o LiveOptions) iter.Seq2[Patch, error] {
	return func(yield func(Patch, error) bool) {
		set := newRowSet(o)
		set.record = true
		if err := c.live(ctx, sql, o, set, func(s *rowSet) bool { return yield(s.patch(), nil) }); err != nil {
			yield(Patch{}, err)
		}
	}
}

// touch notes that an entry has changed.
func (s *rowSet) touch(e *entry) {
	if s.record && !s.cleared && !e.touched {
		e.touched = true
		s.touched = append(s.touched, e)
	}
}

// patch gives what changed since the last one.
func (s *rowSet) patch() Patch {
	p := Patch{Reset: s.cleared, Columns: s.schema, Position: s.position}
	if s.cleared {
		for _, e := range s.entries {
			if e.shown = !e.gone && !e.hidden; e.shown {
				p.Put = append(p.Put, Slot{e.slot, e.row, AtEnd})
			}
		}
		s.cleared = false
		return p
	}
	var put []*entry
	for _, e := range s.touched {
		e.touched = false
		switch {
		case !e.gone && !e.hidden:
			put = append(put, e)
		case e.shown:
			e.shown = false
			p.Removed = append(p.Removed, e.slot)
		}
	}
	s.touched = s.touched[:0]
	slices.SortFunc(put, func(a, b *entry) int { return strings.Compare(a.key, b.key) })
	p.Put = make([]Slot, len(put))
	for i, e := range slices.Backward(put) {
		p.Put[i] = Slot{e.slot, e.row, InPlace}
		if !e.shown {
			p.Put[i].Before = s.before(e, p.Put[i+1:], put[i+1:])
		}
	}
	for _, e := range put {
		e.shown = true
	}
	return p
}

// before returns the slot of the first row after e that the last patch already
// showed, or AtEnd. If the next row is new as well, its own Before is the answer:
// changed holds the changed rows after e, and slots their computed slots.
func (s *rowSet) before(e *entry, slots []Slot, changed []*entry) int {
	for i := s.search(e.key); i < len(s.entries); i++ {
		next := s.entries[i]
		switch {
		case next.key == e.key || next.gone || next.hidden:
		case next.shown:
			return next.slot
		case len(changed) > 0 && changed[0] == next:
			return slots[0].Before
		}
	}
	return AtEnd
}
