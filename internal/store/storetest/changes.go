package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// changes: the log has every change of a scope exactly once, in order, in
// memory as on disk. Invariant 3.
func (s suite) changes(t *testing.T) {
	s.each(t, store.Options{},
		testCase{"EveryChangeOnceInOrder", everyChange},
		testCase{"RowsAreExactForEveryType", exactRows},
		testCase{"MemoryAndDiskAgree", memoryAndDisk},
		testCase{"FollowerMissesNothing", follower},
		testCase{"WaitsForTheNextCommit", waits},
		testCase{"PagesAndBounds", pages},
		testCase{"ReaderBelowTheFloorIsTold", trimmedReader},
		testCase{"WriteWithoutChangesWakesNobody", noChanges},
	)
}

// churn makes n random changes of a table's rows, as the users, some in
// transactions that fail.
func (h *harness) churn(seed uint64, tbl *catalog.Table, n int, users ...string) {
	h.t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for n > 0 {
		size := 1 + rnd.IntN(6)
		fail := rnd.IntN(5) == 0
		err := h.Write(context.Background(), func(tx *store.Tx) error {
			for range size {
				if err := change(tx, rnd, tbl, users[rnd.IntN(len(users))]); err != nil {
					return err
				}
			}
			if fail {
				return errMember
			}
			return nil
		})
		if err != nil && !(fail && errors.Is(err, errMember)) {
			h.t.Fatalf("churn: %v", err)
		}
		if !fail {
			n -= size
		}
	}
}

// change makes one random change of a user's rows.
func change(tx *store.Tx, rnd *rand.Rand, tbl *catalog.Table, user string) error {
	all, err := versions(tx, tbl)
	if err != nil {
		return err
	}
	var mine []version
	taken := make(map[int64]bool)
	for _, v := range all {
		if v.User == user {
			mine = append(mine, v)
			taken[v.Row[0].Int()] = true
		}
	}
	free := rnd.Int64N(20)
	for taken[free] {
		free++
	}
	row := pair(free, fmt.Sprint(rnd.Uint32()))
	if rnd.IntN(4) == 0 {
		row[1] = wire.Null
	}
	if len(mine) == 0 || rnd.IntN(3) == 0 {
		_, err := tx.Insert(tbl, user, row)
		return err
	}
	v := mine[rnd.IntN(len(mine))]
	switch rnd.IntN(3) {
	case 0:
		return tx.Delete(tbl, user, v.Seq, v.Row)
	case 1: // keeps the key
		row[0] = v.Row[0]
	}
	_, err = tx.Update(tbl, user, v.Seq, v.Row, row)
	return err
}

func everyChange(t *testing.T, h *harness) {
	shared := h.shared("s")
	private := h.create(definition("u", catalog.User))
	def := definition("st", catalog.Stream)
	def.Key = nil
	stream := h.create(def)
	h.churn(1, shared, 60, "")
	h.churn(2, private, 120, "alice", "bob", "carol")
	h.churn(3, stream, 60, "alice", "bob")
	h.agree(shared, "")
	h.agree(private, "alice", "bob", "carol")
	h.agree(stream, "alice", "bob")
	for _, c := range h.logged(private, "alice") {
		if c.User != "alice" || c.Table != private.ID {
			t.Errorf("a change of %q in table %d among alice's", c.User, c.Table)
		}
	}
	h.reopen()
	h.agree(h.Catalog().Table("default", "u"), "alice", "bob", "carol")
}

// everyType is a table with a column of each type beside its key.
func everyType() *catalog.Table {
	def := definition("types", catalog.Shared)
	for _, ty := range []wire.Type{
		{Kind: wire.Boolean}, {Kind: wire.SmallInt}, {Kind: wire.Int}, {Kind: wire.BigInt}, {Kind: wire.Float}, {Kind: wire.Double},
		{Kind: wire.Decimal, Precision: 38, Scale: 10}, {Kind: wire.Text}, {Kind: wire.JSON}, {Kind: wire.UUID}, {Kind: wire.File},
		{Kind: wire.Timestamp}, {Kind: wire.DateTime}, {Kind: wire.Date}, {Kind: wire.Time}, {Kind: wire.Bytes}, {Kind: wire.Embedding, Dim: 3},
	} {
		id := len(def.Columns) + 1
		def.Columns = append(def.Columns, catalog.Column{ID: id, Name: fmt.Sprint("c", id), Type: ty})
	}
	return def
}

// samples are values that a column of the type must give back as they are.
func samples(t wire.Type) []wire.Value {
	ints := func(list ...int64) (out []wire.Value) {
		for _, n := range list {
			out = append(out, wire.IntValue(n))
		}
		return out
	}
	texts := func(list ...string) (out []wire.Value) {
		for _, s := range list {
			out = append(out, wire.TextValue(s))
		}
		return out
	}
	switch t.Kind {
	case wire.Boolean:
		return []wire.Value{wire.BoolValue(true), wire.BoolValue(false)}
	case wire.SmallInt:
		return ints(0, -1, math.MaxInt16, math.MinInt16)
	case wire.Int, wire.Date:
		return ints(0, -1, 127, 128, math.MaxInt32, math.MinInt32)
	case wire.Float:
		return []wire.Value{wire.FloatValue(float64(float32(0.1))), wire.FloatValue(math.MaxFloat32), wire.FloatValue(math.SmallestNonzeroFloat32)}
	case wire.Double:
		return []wire.Value{
			wire.FloatValue(0), wire.FloatValue(1), wire.FloatValue(0.1), wire.FloatValue(math.MaxFloat64),
			wire.FloatValue(math.SmallestNonzeroFloat64), wire.FloatValue(math.Inf(1)), wire.FloatValue(math.Inf(-1)), wire.FloatValue(1 << 53),
		}
	case wire.Decimal:
		return texts("0.0000000000", "-12.5000000000", "0.0000000001", "9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999", "100.0000000000")
	case wire.Text:
		return texts("", "x", "it's", "日本語 \U0001f600", "a\x00b", "\x00", "12", "NULL", strings.Repeat("long ", 5000))
	case wire.JSON:
		return texts("null", `{"a":[1,2.50,"x"]}`, `""`)
	case wire.UUID:
		return texts("00000000-0000-0000-0000-000000000000", "0190163d-8694-739b-aea5-966c26f8ad91")
	case wire.File:
		return texts(`{"id":"1","name":"a.txt"}`)
	case wire.Bytes:
		return []wire.Value{wire.BytesValue(nil), wire.BytesValue([]byte{0}), wire.BytesValue([]byte{0xff, 0, 'x'}), wire.BytesValue([]byte(strings.Repeat("\x00\x01", 5000)))}
	case wire.Embedding:
		return []wire.Value{wire.EmbeddingValue([]float32{0, -1.5, math.MaxFloat32})}
	}
	return ints(0, -1, 1, math.MaxInt64, math.MinInt64, 1<<53+1)
}

func exactRows(t *testing.T, h *harness) {
	pos := h.Newest()
	tbl := h.create(everyType())
	n := 0
	for i := range tbl.Columns {
		n = max(n, len(samples(tbl.Columns[i].Type)))
	}
	var rows [][]wire.Value
	for r := range n + 1 { // the last has NULL everywhere
		row := []wire.Value{wire.IntValue(int64(r))}
		for i := 1; i < len(tbl.Columns); i++ {
			v := wire.Null
			if list := samples(tbl.Columns[i].Type); r < n {
				v = list[r%len(list)]
			}
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	var want []*store.Change
	log := func(seq store.Seq, op store.Op, oldSeq store.Seq, old, new []wire.Value) {
		want = append(want, &store.Change{Seq: seq, Table: tbl.ID, Version: 1, Op: op, OldSeq: oldSeq, Old: old, New: new})
	}
	// Each row is inserted, becomes the next one but for its key, and is read
	// back; half of them are deleted.
	for r := range rows {
		row := rows[r]
		next := slices.Clone(rows[(r+1)%len(rows)])
		next[0] = row[0]
		h.write(func(tx *store.Tx) error {
			a, err := tx.Insert(tbl, "", row)
			if err != nil {
				return err
			}
			log(a, store.OpInsert, 0, nil, row)
			got, err := versions(tx, tbl)
			if err != nil {
				return err
			}
			if d := cmp.Diff(row, got[len(got)-1].Row, valueEqual); d != "" {
				return fmt.Errorf("row %d (-written +read):\n%s", r, d)
			}
			b, err := tx.Update(tbl, "", a, row, next)
			if err != nil {
				return err
			}
			log(b, store.OpUpdate, a, row, next)
			if r%2 == 0 {
				return nil
			}
			if err := tx.Delete(tbl, "", b, next); err != nil {
				return err
			}
			list := tx.DB().NextID() // just above the delete's position
			log(list, store.OpDelete, b, next, nil)
			return nil
		})
	}
	h.agree(tbl, "")
	for name, got := range map[string][]*store.Change{"memory": h.follow(pos, 3), "disk": h.logged(tbl, "")} {
		for i := range min(len(got), len(want)) {
			if want[i].Op == store.OpDelete {
				want[i].Seq = got[i].Seq
			}
		}
		if d := cmp.Diff(want, got, valueEqual); d != "" {
			t.Errorf("changes in %s (-want +got):\n%s", name, d)
		}
	}
}

func memoryAndDisk(t *testing.T, h *harness) {
	pos := h.Newest()
	tbl := h.create(definition("u", catalog.User))
	h.churn(4, tbl, 150, "alice", "bob")
	memory := h.follow(pos, 11)
	for _, bytes := range []int{1, 2000} { // all from disk, and the end from memory
		h.options.RingBytes = bytes
		h.reopen()
		tbl = h.Catalog().Table("default", "u")
		if bytes > 1 {
			pos := h.Newest()
			h.churn(5, tbl, 60, "alice", "bob")
			memory = append(memory, h.fromDisk(tbl, pos)...)
		}
		if d := cmp.Diff(memory, h.follow(0, 11), valueEqual); d != "" {
			t.Errorf("with %d bytes in memory (-memory +got):\n%s", bytes, d)
		}
	}
	ascending(t, memory)
}

// fromDisk gives the changes of both users above pos.
func (h *harness) fromDisk(tbl *catalog.Table, pos store.Seq) []*store.Change {
	out := append(h.logged(tbl, "alice"), h.logged(tbl, "bob")...)
	out = slices.DeleteFunc(out, func(c *store.Change) bool { return c.Seq <= pos })
	slices.SortFunc(out, func(a, b *store.Change) int { return int(min(max(a.Seq-b.Seq, -1), 1)) })
	return out
}

// follower reads live beside writers, with so little memory that it falls back
// to the disk again and again.
func follower(t *testing.T, h *harness) {
	h.options.RingBytes = 600
	h.reopen()
	tbl := h.shared("t")
	pos := h.Newest()
	const writers, each = 4, 60
	var wg sync.WaitGroup
	for w := range int64(writers) {
		wg.Go(func() {
			for i := range int64(each) {
				if err := h.Write(context.Background(), insert(tbl, "", pair(w*each+i, strings.Repeat("x", int(i))))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	defer wg.Wait()
	var got []*store.Change
	for len(got) < writers*each {
		list, wait, err := h.Changes(t.Context(), pos, 1+len(got)%9)
		if err != nil {
			t.Fatal(err)
		}
		if wait != nil {
			<-wait
			continue
		}
		got = append(got, list...)
		if len(list) > 0 {
			pos = list[len(list)-1].Seq
		}
	}
	wg.Wait()
	ascending(t, got)
	if d := cmp.Diff(h.logged(tbl, ""), got, valueEqual); d != "" {
		t.Errorf("(-log +followed):\n%s", d)
	}
}

func waits(t *testing.T, h *harness) {
	tbl := h.shared("t")
	for i := range int64(3) {
		list, wait, err := h.Changes(t.Context(), h.Newest(), 10)
		if err != nil || list != nil || wait == nil {
			t.Fatalf("at the end: %v, %v, %v", list, wait, err)
		}
		pos := h.Newest()
		h.write(insert(tbl, "", pair(i, "x")))
		<-wait
		list, _, err = h.Changes(t.Context(), pos, 10)
		if err != nil || len(list) != 1 || list[0].Seq != h.Newest() {
			t.Errorf("after the commit: %v, %v", list, err)
		}
	}
}

func pages(t *testing.T, h *harness) {
	tbl := h.create(definition("u", catalog.User))
	h.churn(6, tbl, 80, "alice", "bob")
	all := h.logged(tbl, "alice")
	read := func(after, upTo store.Seq, limit int) (out []*store.Change) {
		h.read(func(tx *store.Tx) error {
			return tx.Changes(tbl.ID, "alice", after, upTo, limit, func(c *store.Change) error {
				out = append(out, c)
				return nil
			})
		})
		return out
	}
	var paged []*store.Change
	for pos := store.Seq(0); ; {
		page := read(pos, newest, 7)
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
		pos = page[len(page)-1].Seq
	}
	if d := cmp.Diff(all, paged, valueEqual); d != "" {
		t.Errorf("pages (-all +pages):\n%s", d)
	}
	if got := read(all[3].Seq, all[9].Seq, 100); len(got) != 6 || got[0].Seq != all[4].Seq || got[5].Seq != all[9].Seq {
		t.Errorf("%d changes with after < position <= upTo, want 6", len(got))
	}
	stop := errors.New("enough")
	n := 0
	err := h.Read(t.Context(), func(tx *store.Tx) error {
		return tx.Changes(tbl.ID, "alice", 0, newest, 100, func(*store.Change) error { n++; return stop })
	})
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("a callback that fails: %d calls, %v", n, err)
	}
}

func noChanges(t *testing.T, h *harness) {
	at := h.Newest()
	_, wait, err := h.Changes(t.Context(), at, 1)
	if err != nil {
		t.Fatal(err)
	}
	h.shared("t") // a definition is not a change of a row
	if h.Newest() != at {
		t.Errorf("newest went from %d to %d", at, h.Newest())
	}
	select {
	case <-wait:
		t.Error("live readers were woken")
	default:
	}
}

// trimmedReader: whoever reads on from a position that the log no longer reaches
// back to is told, in memory as on disk, and never handed a gap.
func trimmedReader(t *testing.T, h *harness) {
	h.options.RingBytes = 1
	h.options.LogMaxSize = 1
	h.reopen()
	tbl := h.shared("t")
	begin := h.Newest()
	all := h.inserted(tbl, 0, 5)
	h.trimAll()
	for _, pos := range append([]store.Seq{-1, begin}, all[:3]...) {
		if got, _, err := h.Changes(t.Context(), pos, 10); !errors.Is(err, store.ErrLogTrimmed) {
			t.Errorf("above %d: %d changes and %v, want ErrLogTrimmed", pos, len(got), err)
		}
	}
	got, _, err := h.Changes(t.Context(), all[3], 10)
	if err != nil || len(got) != 1 || got[0].Seq != all[4] {
		t.Errorf("above the floor: %v, %v", got, err)
	}
}
