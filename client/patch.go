package client

import (
	"context"
	"iter"
	"slices"

	"github.com/kalamdb/kalam-go/wire"
)

// Patch is what changed in the rows of a live query: for bindings to other
// languages, where handing over all rows each time would cost too much. Each
// row has a slot, a number that rises in the order of the rows and is not used
// again before the next Reset.
type Patch struct {
	Reset   bool // forget all rows first
	Columns []wire.Field
	Put     []Slot // new rows, and rows that changed in their place
	Removed []int  // slots

	// Position is where the query stands after this; 0 while there is none.
	Position int64
}

// Slot is a row and its slot.
type Slot struct {
	Slot int
	Row  Row
}

// LivePatches is Live with what changed instead of all rows. The first patch
// has Reset set and comes when the rows are complete.
func (c *Client) LivePatches(ctx context.Context, sql string, o LiveOptions) iter.Seq2[Patch, error] {
	return func(yield func(Patch, error) bool) {
		set := &rowSet{key: o.Key, limit: o.Limit, resumes: o.From > 0, record: true}
		if err := c.live(ctx, sql, o, set, func(s *rowSet) bool { return yield(s.patch(), nil) }); err != nil {
			yield(Patch{}, err)
		}
	}
}

// touch notes that a slot has changed.
func (s *rowSet) touch(slot int) {
	if s.record && !s.cleared {
		s.touched = append(s.touched, slot)
	}
}

// patch gives what changed since the last one.
func (s *rowSet) patch() Patch {
	p := Patch{Reset: s.cleared, Columns: s.schema, Position: s.position}
	if s.cleared {
		for i := range s.entries {
			if e := &s.entries[i]; !e.dead {
				p.Put = append(p.Put, Slot{e.slot, e.row})
			}
		}
	} else {
		slices.Sort(s.touched)
		for _, slot := range slices.Compact(s.touched) {
			// Entries stand in the order of their slots.
			i, found := slices.BinarySearchFunc(s.entries, slot, func(e entry, slot int) int { return e.slot - slot })
			if found && !s.entries[i].dead {
				p.Put = append(p.Put, Slot{slot, s.entries[i].row})
			} else {
				p.Removed = append(p.Removed, slot)
			}
		}
	}
	s.cleared, s.touched = false, s.touched[:0]
	return p
}
