package storetest

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
)

// expire: rows of STREAM tables go when they have lived their time, each as a
// delete of its owner's in the change log.
func (s suite) expire(t *testing.T) {
	// On a clock of their own, so that the server's expirer does not come in
	// between by itself on a slow machine.
	s.steps(t, store.Options{},
		testCase{"GoneAndLogged", expireLogged},
		testCase{"InChunks", expireChunks},
		testCase{"ByBytes", expireBytes},
		testCase{"BesideWriters", expireWriters},
		testCase{"WithoutAKey", expireKeyless},
		testCase{"ByItself", expireItself},
	)
}

// stream creates a STREAM table whose rows live a minute.
func (h *harness) stream(name string) *catalog.Table {
	def := definition(name, catalog.Stream)
	def.TTL = 60
	return h.create(def)
}

// expireAll expires until there is no more.
func (h *harness) expireAll() (rounds int) {
	h.t.Helper()
	for {
		rounds++
		more, err := h.Expire(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		if !more {
			return rounds
		}
	}
}

func expireLogged(t *testing.T, h *harness) {
	c := h.clock(noon)
	tbl, other := h.stream("events"), h.create(definition("mine", catalog.User))
	for i, user := range []string{"alice", "bob", "alice"} {
		h.write(insert(tbl, user, pair(int64(i), user)))
		h.write(insert(other, user, pair(int64(i), user)))
	}
	c.add(30 * time.Second)
	h.write(insert(tbl, "alice", pair(9, "young")))
	h.expireAll()
	h.wantIDs(tbl, 0, 1, 2, 9)

	c.add(31 * time.Second)
	before := h.Newest()
	h.expireAll()
	h.wantIDs(tbl, 9)
	h.wantIDs(other, 0, 1, 2)
	h.agree(tbl, "alice", "bob")
	deleted := h.follow(before, 100)
	if len(deleted) != 3 {
		t.Fatalf("%d changes tell of three rows", len(deleted))
	}
	for i, user := range []string{"alice", "bob", "alice"} {
		if d := deleted[i]; d.Op != store.OpDelete || d.User != user || d.Old[0].Int() != int64(i) {
			t.Errorf("change %d: %+v", i, d)
		}
	}
	if rounds := h.expireAll(); rounds != 1 {
		t.Errorf("%d rounds for nothing", rounds)
	}
}

func expireChunks(t *testing.T, h *harness) {
	c := h.clock(noon)
	tbl := h.stream("events")
	const rows = 1200
	h.write(func(tx *store.Tx) error {
		for i := range int64(rows) {
			if err := insert(tbl, "u"+strconv.Itoa(int(i%7)), pair(i, "x"))(tx); err != nil {
				return err
			}
		}
		return nil
	})
	c.add(2 * time.Minute)
	if more, err := h.Expire(t.Context()); err != nil || !more {
		t.Fatalf("one step for %d rows: %v, %v", rows, more, err)
	}
	if left := len(h.stored(tbl)); left < rows/2 || left == rows {
		t.Errorf("%d of %d rows are left after one step", left, rows)
	}
	if rounds := h.expireAll(); rounds < 2 {
		t.Errorf("the rest went in %d step", rounds)
	}
	h.wantIDs(tbl)
}

func expireBytes(t *testing.T, h *harness) {
	c := h.clock(noon)
	tbl := h.stream("events")
	body := string(make([]byte, 1<<20))
	for i := range int64(8) {
		h.write(insert(tbl, "alice", pair(i, body)))
	}
	c.add(2 * time.Minute)
	if more, err := h.Expire(t.Context()); err != nil || !more || len(h.stored(tbl)) < 2 {
		t.Errorf("one step for 8 MiB: %v, %v, %d rows left", more, err, len(h.stored(tbl)))
	}
	h.expireAll()
	h.wantIDs(tbl)
}

// expireWriters writes while rows go; both come to their end.
func expireWriters(t *testing.T, h *harness) {
	c := h.clock(noon)
	tbl := h.stream("events")
	h.write(func(tx *store.Tx) error {
		for i := range int64(2000) {
			if err := insert(tbl, "alice", pair(i, "x"))(tx); err != nil {
				return err
			}
		}
		return nil
	})
	c.add(2 * time.Minute)
	var r results
	for i := range int64(100) {
		r.write(context.Background(), h.DB, strconv.Itoa(int(i)), insert(tbl, "alice", pair(10_000+i, "new")))
	}
	h.expireAll()
	for i := range 100 {
		if err := r.of(strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.stored(tbl)); n != 100 {
		t.Errorf("%d rows are left of 100 new ones", n)
	}
	h.agree(tbl, "alice")
}

func expireKeyless(t *testing.T, h *harness) {
	c := h.clock(noon)
	def := definition("events", catalog.Stream)
	def.TTL, def.Key = 60, nil
	tbl := h.create(def)
	for range 3 {
		h.write(insert(tbl, "alice", pair(1, "same")))
	}
	c.add(2 * time.Minute)
	h.write(insert(tbl, "alice", pair(1, "young")))
	h.expireAll()
	if n := len(h.stored(tbl)); n != 1 {
		t.Errorf("%d rows are left", n)
	}
	h.agree(tbl, "alice")
}

func expireItself(t *testing.T, h *harness) {
	tbl := h.stream("events")
	h.write(insert(tbl, "alice", pair(1, "x")))
	time.Sleep(50 * time.Second) // by the clock of the bubble
	h.wantIDs(tbl, 1)
	time.Sleep(15 * time.Second)
	h.wantIDs(tbl)
}
