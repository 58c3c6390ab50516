package topic

import "github.com/kalamdb/kalam-go/internal/store"

// Miss is what happens when the service has missed what commits do to topics.
func (s *Service) Miss() { s.waiting.hear(store.Notice{Missed: true}, 0) }

// Cursor gives tests the state of a group in a partition.
type Cursor struct{ c cursor }

// Claimed is what a lease gave.
type Claimed struct {
	First, Last int64
	Deliveries  int
}

// Lease leases messages; key gives the key of an offset.
func (c *Cursor) Lease(owner string, now, until, head int64, limit int, key func(int64) string) ([]Claimed, bool) {
	got, more, _ := c.c.lease(take{now: now, until: until, owner: owner, limit: limit, head: head,
		keys: func(first, last int64, fn func(int64, string)) error {
			for o := first; o <= last; o++ {
				fn(o, key(o))
			}
			return nil
		}})
	var out []Claimed
	for _, x := range got {
		out = append(out, Claimed{x.first, x.last, x.deliveries})
	}
	return out, more
}

// Ack acknowledges one offset and reports whether it was the owner's.
func (c *Cursor) Ack(owner string, first, last int64) (int64, []Range) {
	return c.c.ack(owner, Range{first, last})
}

// Release gives back.
func (c *Cursor) Release(owner string, offset, until int64) []Range {
	return c.c.release(owner, Range{offset, offset}, until, false)
}

// Clip forgets what lies below floor.
func (c *Cursor) Clip(floor int64) { c.c.clip(floor) }

// Committed, Next, Pending and Dropped say where the cursor is.
func (c *Cursor) Committed() int64 { return c.c.committed() }
func (c *Cursor) Next() int64      { return c.c.next }
func (c *Cursor) Pending() int64   { return c.c.pending() }
func (c *Cursor) Dropped() int64   { return c.c.dropped }

// Sorted reports whether the claims are in order and apart.
func (c *Cursor) Sorted() bool {
	end := int64(-1)
	for _, x := range c.c.claims {
		if x.first <= end || x.last < x.first || x.last >= c.c.next {
			return false
		}
		end = x.last
	}
	return true
}
