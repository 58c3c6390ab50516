package topic_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/kalamdb/kalam-go/internal/testsize"
	"github.com/kalamdb/kalam-go/internal/topic"
)

// model is what a partition looks like from outside: who has which message.
type model struct {
	t     *testing.T
	c     topic.Cursor
	rng   *rand.Rand
	now   int64
	keys  []string
	owner []string // of each message, "" for nobody
	until []int64  // of its lease
	acked []bool
	given []int // deliveries
}

func (m *model) key(o int64) string { return m.keys[o] }

// TestCursorNeverLosesNorMixes lets random consumers lease, acknowledge, give
// back, extend by silence and die, and checks every step.
func TestCursorNeverLosesNorMixes(t *testing.T) {
	rounds := testsize.Of(t, "KALAM_CURSOR_ROUNDS", 60)
	for seed := range rounds {
		m := &model{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 1)), now: 1000}
		if !t.Run(strconv.Itoa(seed), func(t *testing.T) { m.t = t; m.run() }) {
			return
		}
	}
}

func (m *model) run() {
	names := []string{"a", "b", "c", "", "d"}[:2+m.rng.IntN(4)]
	for range 300 {
		switch m.rng.IntN(10) {
		case 0, 1:
			m.grow(m.rng.IntN(8))
		case 2, 3, 4:
			m.lease(names[m.rng.IntN(len(names))], 1+m.rng.IntN(6))
		case 5, 6, 7:
			m.ack()
		case 8:
			m.release()
		case 9:
			m.now += int64(m.rng.IntN(40))
		}
		if !m.c.Sorted() {
			m.t.Fatal("the claims are out of order")
		}
	}
	// In the end somebody comes who acknowledges everything.
	for range 10 * len(m.keys) {
		m.now += 1000
		m.lease("z", 5)
		for o, owner := range m.owner {
			if owner == "z" {
				m.ackOne(int64(o))
			}
		}
	}
	for o := range m.keys {
		if !m.acked[o] {
			m.t.Fatalf("message %d of %d was never handled", o, len(m.keys))
		}
	}
	if n := int64(len(m.keys)); m.c.Committed() != n || m.c.Pending() != 0 {
		m.t.Fatalf("committed %d of %d with %d pending", m.c.Committed(), n, m.c.Pending())
	}
}

func (m *model) grow(n int) {
	for range n {
		key := ""
		if k := m.rng.IntN(6); k > 0 {
			key = strconv.Itoa(k)
		}
		m.keys, m.owner, m.until = append(m.keys, key), append(m.owner, ""), append(m.until, 0)
		m.acked, m.given = append(m.acked, false), append(m.given, 0)
	}
}

// with reports whether somebody has message o now.
func (m *model) with(o int64) bool { return m.owner[o] != "" && m.until[o] > m.now }

func (m *model) lease(owner string, limit int) {
	until := m.now + 30
	got, _ := m.c.Lease(owner, m.now, until, int64(len(m.keys)), limit, m.key)
	n := 0
	for _, x := range got {
		for o := x.First; o <= x.Last; o++ {
			n++
			switch {
			case m.acked[o]:
				m.t.Fatalf("message %d was acknowledged and comes again", o)
			case m.with(o):
				m.t.Fatalf("message %d is with %s and goes to %s", o, m.owner[o], owner)
			case x.Deliveries != m.given[o]+1:
				m.t.Fatalf("message %d has %d deliveries, want %d", o, x.Deliveries, m.given[o]+1)
			}
			m.given[o]++
			m.owner[o], m.until[o] = owner, until
			if owner == "" {
				m.owner[o] = "nameless"
			}
		}
	}
	if n > limit {
		m.t.Fatalf("%d messages, asked for %d", n, limit)
	}
	for _, x := range got {
		for o := x.First; o <= x.Last; o++ {
			m.alone(o)
		}
	}
}

// alone checks that the key of a message that was just given out is with one
// consumer, and that no earlier message of it waits for somebody.
func (m *model) alone(o int64) {
	if m.keys[o] == "" {
		return
	}
	for p := range m.keys {
		switch {
		case m.keys[p] != m.keys[o] || m.acked[p] || int64(p) == o:
		case m.with(int64(p)) && m.owner[p] != m.owner[o]:
			m.t.Fatalf("key %s: message %d is with %s, message %d with %s", m.keys[o], o, m.owner[o], p, m.owner[p])
		case int64(p) < o && !m.with(int64(p)):
			m.t.Fatalf("key %s: message %d was given out before message %d", m.keys[o], o, p)
		}
	}
}

func (m *model) pick() (int64, bool) {
	if len(m.keys) == 0 {
		return 0, false
	}
	begin := m.rng.IntN(len(m.keys))
	for i := range m.keys {
		if o := (begin + i) % len(m.keys); m.owner[o] != "" && !m.acked[o] {
			return int64(o), true
		}
	}
	return 0, false
}

func (m *model) ack() {
	if o, ok := m.pick(); ok {
		m.ackOne(o)
	}
}

func (m *model) ackOne(o int64) {
	owner := m.owner[o]
	if owner == "nameless" {
		owner = ""
	}
	n, lost := m.c.Ack(owner, o, o)
	if n+int64(len(lost)) != 1 && !m.acked[o] {
		m.t.Fatalf("an acknowledgement of %d settled %d and lost %v", o, n, lost)
	}
	if n == 1 {
		m.acked[o] = true
	}
	m.owner[o] = ""
}

func (m *model) release() {
	o, ok := m.pick()
	if !ok {
		return
	}
	owner := m.owner[o]
	if owner == "nameless" {
		owner = ""
	}
	// Who gives a message back gives back what it has of its key behind it.
	for p := o; p < int64(len(m.keys)); p++ {
		if p == o || m.keys[p] == m.keys[o] && m.keys[o] != "" && m.owner[p] == m.owner[o] {
			m.c.Release(owner, p, m.now+int64(m.rng.IntN(20)))
		}
	}
	name := m.owner[o]
	for p := o; p < int64(len(m.keys)); p++ {
		if p == o || m.keys[p] == m.keys[o] && m.keys[o] != "" && m.owner[p] == name {
			m.owner[p] = ""
		}
	}
}

func TestCursorSettlesOnlyWhatTheOwnerHas(t *testing.T) {
	var c topic.Cursor
	none := func(int64) string { return "" }
	c.Lease("a", 0, 10, 100, 10, none)
	c.Lease("b", 0, 10, 100, 10, none)
	if n, lost := c.Ack("b", 0, 19); n != 10 || len(lost) != 1 || lost[0] != (topic.Range{First: 0, Last: 9}) {
		t.Fatalf("acknowledged %d, lost %v", n, lost)
	}
	if c.Committed() != 0 || c.Next() != 20 {
		t.Fatalf("committed %d, next %d", c.Committed(), c.Next())
	}
	// What ran out and nobody took may still be acknowledged.
	if n, lost := c.Ack("a", 0, 4); n != 5 || lost != nil {
		t.Fatalf("acknowledged %d, lost %v", n, lost)
	}
	if got, more := c.Lease("b", 11, 20, 100, 3, none); len(got) != 1 || got[0] != (topic.Claimed{First: 5, Last: 7, Deliveries: 2}) || !more {
		t.Fatalf("leased %v, more %v", got, more)
	}
	c.Clip(7)
	if c.Committed() != 7 || c.Dropped() != 2 {
		t.Fatalf("committed %d, dropped %d", c.Committed(), c.Dropped())
	}
}

func TestCursorBoundsWhatIsNotAcknowledged(t *testing.T) {
	var c topic.Cursor
	none := func(int64) string { return "" }
	for range 200 {
		c.Lease("a", 0, 10, 1<<40, 1000, none)
	}
	if c.Pending() != 10_000 {
		t.Fatalf("%d pending", c.Pending())
	}
	if got, more := c.Lease("b", 0, 10, 1<<40, 1000, none); got != nil || more {
		t.Fatalf("leased %v beyond the bound, more %v", got, more)
	}
	if got, _ := c.Lease("b", 11, 20, 1<<40, 1000, none); len(got) != 1 {
		t.Fatalf("what came back was not to be had: %v", got)
	}
}
