package topic

import (
	"cmp"
	"slices"
)

// claim is a run of offsets that a group has been given, or that were passed
// over for it, and that nobody has acknowledged.
type claim struct {
	first, last int64
	owner       string // the consumer that has it, "" for one without a name
	held        bool   // with owner until then; else anybody's after until
	until       int64  // milliseconds since 1970
	deliveries  int    // how often it was given out
}

// cursor is how far a group is in one partition. Offsets from next on were
// never delivered; below it, what is in no claim is acknowledged.
type cursor struct {
	next    int64
	claims  []claim // ascending, without overlap
	dropped int64   // messages that retention took before they were acknowledged
}

// maxClaimed bounds the messages of a partition that a group has not
// acknowledged and is beyond: a consumer that acknowledges nothing gets no more.
const maxClaimed = 10_000

// scanAhead is how many messages are looked at, beyond those that are given,
// for one whose key is free.
const scanAhead = 1000

// Range is a run of offsets, both ends included.
type Range struct{ First, Last int64 }

// take is what a lease asks for.
type take struct {
	now, until int64
	owner      string
	limit      int
	head       int64 // offset of the next message of the partition
	// keys calls fn for each message with first <= offset <= last in order. A
	// message without a key has "".
	keys func(first, last int64, fn func(offset int64, key string)) error
}

// committed is the offset below which everything is acknowledged.
func (c *cursor) committed() int64 {
	if len(c.claims) > 0 {
		return c.claims[0].first
	}
	return c.next
}

// pending counts the messages in claims.
func (c *cursor) pending() (n int64) {
	for _, x := range c.claims {
		n += x.last - x.first + 1
	}
	return n
}

// clip forgets what lies below floor.
func (c *cursor) clip(floor int64) {
	for len(c.claims) > 0 && c.claims[0].first < floor {
		x := &c.claims[0]
		if x.last >= floor {
			c.dropped += floor - x.first
			x.first = floor
			break
		}
		c.dropped += x.last - x.first + 1
		c.claims = c.claims[1:]
	}
	if c.next < floor {
		c.dropped += floor - c.next
		c.next = floor
	}
}

// lease gives t.owner up to t.limit messages that nobody has, in the order of
// their offsets, and claims them. A message whose key is with another consumer,
// or waits behind an earlier message of that key, is passed over: so the
// messages of a key are handled one after the other, by one consumer at a time.
// more reports that there are further ones to have.
func (c *cursor) lease(t take) (got []claim, more bool, err error) {
	room := maxClaimed - c.pending()
	if t.limit <= 0 {
		return nil, false, nil
	}
	if c.onlyOf(t.owner, t.now) {
		last := min(c.next+min(int64(t.limit), room), t.head) - 1
		if last < c.next {
			return nil, false, nil
		}
		x := claim{first: c.next, last: last, owner: t.owner, held: true, until: t.until, deliveries: 1}
		c.claims = append(c.claims, x)
		c.next = last + 1
		return []claim{x}, c.next < t.head, nil
	}
	s := &scan{take: t, left: t.limit, blocked: make(map[string]bool)}
	for _, x := range c.claims {
		if x.held && x.until > t.now && x.owner != t.owner {
			if err := t.keys(x.first, x.last, func(_ int64, key string) { s.block(key) }); err != nil {
				return nil, false, err
			}
		}
	}
	for _, x := range c.claims {
		if err := s.old(x); err != nil {
			return nil, false, err
		}
	}
	next, err := s.new(c.next, room)
	if err != nil || len(s.got) == 0 {
		return nil, false, err
	}
	c.claims, c.next = s.claims, next
	return s.got, s.more, nil
}

// onlyOf reports whether all claims are with one consumer, whom they do not
// stand in the way of. Those without a name count as one.
func (c *cursor) onlyOf(owner string, now int64) bool {
	for _, x := range c.claims {
		if !x.held || x.until <= now || x.owner != owner {
			return false
		}
	}
	return true
}

// scan is a lease that looks at messages one by one.
type scan struct {
	take
	left    int
	blocked map[string]bool // keys that are with others or wait
	claims  []claim         // of the cursor afterwards
	got     []claim
	more    bool
}

func (s *scan) block(key string) {
	if key != "" {
		s.blocked[key] = true
	}
}

// add appends a claim, or makes the last one longer.
func add(list []claim, x claim) []claim {
	if n := len(list); n > 0 {
		p := &list[n-1]
		if y := *p; y.last+1 == x.first {
			y.first, y.last = x.first, x.last
			if y == x {
				p.last = x.last
				return list
			}
		}
	}
	return append(list, x)
}

// one decides about a message that nobody has.
func (s *scan) one(offset int64, key string, was claim) (taken bool) {
	was.first, was.last = offset, offset
	switch {
	case s.blocked[key]:
	case s.left == 0:
		s.more = true
		s.block(key)
	default:
		s.left--
		was.owner, was.held, was.until = s.owner, true, s.take.until
		was.deliveries++
		s.got = add(s.got, was)
		s.claims = add(s.claims, was)
		return true
	}
	s.claims = add(s.claims, was)
	return false
}

// old goes over a claim.
func (s *scan) old(x claim) error {
	switch {
	case x.held && x.until > s.now:
		s.claims = add(s.claims, x)
		return nil
	case x.until > s.now: // given back, not to be had yet
		s.claims = add(s.claims, x)
		return s.keys(x.first, x.last, func(_ int64, key string) { s.block(key) })
	}
	x.owner, x.held, x.until = "", false, 0
	return s.keys(x.first, x.last, func(offset int64, key string) { s.one(offset, key, x) })
}

// new goes over messages that were never given out and returns the next cursor:
// what is passed over behind the last one that is taken is not claimed. room is
// how many it may claim.
func (s *scan) new(next, room int64) (int64, error) {
	last := min(next+min(int64(s.left)+scanAhead, room), s.head) - 1
	if last < next || s.more {
		return next, nil
	}
	keep := len(s.claims)
	var end claim // s.claims[keep-1], which passing over may have made longer
	if keep > 0 {
		end = s.claims[keep-1]
	}
	err := s.keys(next, last, func(offset int64, key string) {
		if s.more {
			return
		}
		if s.one(offset, key, claim{}) {
			next = offset + 1
			keep, end = len(s.claims), s.claims[len(s.claims)-1]
		}
	})
	s.claims = s.claims[:keep]
	if keep > 0 {
		s.claims[keep-1] = end
	}
	return next, err
}

// settle goes over the part of the claims in r that owner has and calls change
// with it; what change returns, if its length is not 0, takes the place. What
// of r another consumer has, or nobody, comes back as lost.
func (c *cursor) settle(owner string, r Range, change func(claim) (claim, bool)) (n int64, lost []Range) {
	var out []claim
	for _, x := range c.claims {
		first, last := max(x.first, r.First), min(x.last, r.Last)
		if first > last {
			out = add(out, x)
			continue
		}
		if !x.held || x.owner != owner {
			lost = append(lost, Range{first, last})
			out = add(out, x)
			continue
		}
		part := x
		part.last = first - 1
		if part.first <= part.last {
			out = add(out, part)
		}
		part = x
		part.first, part.last = first, last
		n += last - first + 1
		if y, keep := change(part); keep {
			out = add(out, y)
		}
		part = x
		part.first = last + 1
		if part.first <= part.last {
			out = add(out, part)
		}
	}
	c.claims = out
	return n, lost
}

// ack acknowledges.
func (c *cursor) ack(owner string, r Range) (n int64, lost []Range) {
	return c.settle(owner, r, func(claim) (claim, bool) { return claim{}, false })
}

// release gives back: anybody may have it after until. With undone it counts as
// never given out.
func (c *cursor) release(owner string, r Range, until int64, undone bool) (lost []Range) {
	_, lost = c.settle(owner, r, func(x claim) (claim, bool) {
		x.owner, x.held, x.until = "", false, until
		if undone {
			x.deliveries--
		}
		return x, true
	})
	return lost
}

// extend keeps a lease until a later time.
func (c *cursor) extend(owner string, r Range, until int64) (lost []Range) {
	_, lost = c.settle(owner, r, func(x claim) (claim, bool) {
		x.until = until
		return x, true
	})
	return lost
}

// expires is the next time at which something comes back by itself, 0 for never.
func (c *cursor) expires(now int64) (at int64) {
	for _, x := range c.claims {
		if x.until > now && (at == 0 || x.until < at) {
			at = x.until
		}
	}
	return at
}

// sortRanges puts ranges in order and joins those that touch.
func sortRanges(list []Range) []Range {
	slices.SortFunc(list, func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	var out []Range
	for _, r := range list {
		if n := len(out); n > 0 && r.First <= out[n-1].Last+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}
