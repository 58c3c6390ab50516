package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// files: a file is known from the commit of the first row that refers to it to
// that of the last. Invariant 5.
func (s suite) files(t *testing.T) {
	s.steps(t, store.Options{},
		testCase{"FailedMemberLeavesNoFile", failedFile},
		testCase{"FailedCommitReleasesNothing", failedRelease},
	)
	s.each(t, store.Options{},
		testCase{"UnusedFileEndsWithItsTransaction", unusedFile},
		testCase{"FilesFollowTheirRows", filesFollow},
		testCase{"DroppedTablesAndColumns", filesDropped},
	)
}

// filed is a table with the columns id, body and two of type FILE.
func filed(name string, kind catalog.Kind) *catalog.Table {
	def := definition(name, kind)
	for i, c := range []string{"a", "b"} {
		def.Columns = append(def.Columns, catalog.Column{ID: 3 + i, Name: c, Type: wire.Type{Kind: wire.File}, SQLType: "FILE"})
	}
	return def
}

func file(id int64) *store.File {
	return &store.File{FileRef: wire.FileRef{ID: fmt.Sprint(id), Sub: "f0001", Name: "x", Size: 10, MIME: "text/plain", SHA256: "00"}, Owner: "ann"}
}

// cell is a reference to a file, NULL for 0.
func cell(id int64) wire.Value {
	if id == 0 {
		return wire.Null
	}
	return wire.TextValue(string(wire.AppendFileRef(nil, &file(id).FileRef)))
}

func filedRow(id, a, b int64) []wire.Value {
	return []wire.Value{wire.IntValue(id), wire.TextValue("x"), cell(a), cell(b)}
}

// addRow is a write that adds a file and a row that refers to it.
func addRow(t *catalog.Table, id int64) func(tx *store.Tx) error {
	return func(tx *store.Tx) error {
		return errors.Join(tx.AddFile(file(id)), insert(t, "", filedRow(id, id, 0))(tx))
	}
}

// known are the ids of all files, in order.
func (h *harness) known() (out []string) {
	h.t.Helper()
	h.read(func(tx *store.Tx) error {
		out = nil
		return tx.Files(func(f *store.File) error {
			out = append(out, f.ID)
			return nil
		})
	})
	return out
}

// taken are the ids of the files that commits have ended since the last call.
func (h *harness) taken() (out []string) {
	h.released.Read(func(n store.Notice) {
		for _, f := range n.Files {
			out = append(out, f.ID)
		}
	})
	slices.Sort(out)
	return out
}

func (h *harness) wantFiles(known, taken []string, after string) {
	h.t.Helper()
	if k, t := h.known(), h.taken(); !slices.Equal(k, known) || !slices.Equal(t, taken) {
		h.t.Errorf("after %s: files %v, released %v; want %v, %v", after, k, t, known, taken)
	}
}

func failedFile(t *testing.T, h *harness) {
	tbl := h.create(filed("t", catalog.Shared))
	var r results
	release := h.held(&r)
	h.queue(&r, t.Context(), "first", addRow(tbl, 1))
	h.queue(&r, t.Context(), "bad", func(tx *store.Tx) error { return errors.Join(addRow(tbl, 2)(tx), errMember) })
	h.queue(&r, t.Context(), "last", func(tx *store.Tx) error {
		err := tx.Savepoint(func() error { return errors.Join(addRow(tbl, 3)(tx), errMember) })
		if !errors.Is(err, errMember) {
			return fmt.Errorf("savepoint: %v", err)
		}
		return addRow(tbl, 4)(tx)
	})
	release()
	r.wg.Wait()
	if err := r.of("bad"); !errors.Is(err, errMember) {
		t.Errorf("bad: %v", err)
	}
	h.wantIDs(tbl, 1, 4)
	h.wantFiles([]string{"1", "4"}, nil, "a failed member and a savepoint")
}

func failedRelease(t *testing.T, h *harness) {
	hk := h.hook()
	tbl := h.create(filed("t", catalog.Shared))
	h.write(addRow(tbl, 1))
	row := h.stored(tbl)[0]
	remove := func(tx *store.Tx) error { return tx.Delete(tbl, "", row.Seq, row.Row) }
	hk.commit = func() error { return errMember }
	if err := h.Write(t.Context(), remove); err == nil {
		t.Error("a failed commit was reported as good")
	}
	hk.commit = nil
	h.wantFiles([]string{"1"}, nil, "a failed commit")
	h.write(remove)
	select {
	case <-h.released.Wake:
	case <-time.After(time.Minute): // of the case's own clock
		t.Error("nobody was woken")
	}
	h.wantFiles(nil, []string{"1"}, "a commit")
}

func unusedFile(t *testing.T, h *harness) {
	tbl := h.create(filed("t", catalog.Shared))
	h.write(func(tx *store.Tx) error { return tx.AddFile(file(1)) })
	h.wantFiles(nil, []string{"1"}, "a write without a row")
	h.write(func(tx *store.Tx) error {
		seq, err := tx.Insert(tbl, "", filedRow(2, 2, 2))
		return errors.Join(err, tx.AddFile(file(2)), tx.Delete(tbl, "", seq, filedRow(2, 2, 2)))
	})
	h.wantFiles(nil, []string{"2"}, "a row that came and went")
	h.write(insert(tbl, "", filedRow(3, 0, 3))) // a file that is not there
	h.wantFiles(nil, nil, "a reference to nothing")
}

// filesFollow compares random changes with a model.
func filesFollow(t *testing.T, h *harness) {
	tables := []*catalog.Table{h.create(filed("s", catalog.Shared)), h.create(filed("u", catalog.User))}
	users := [][]string{{""}, {"ann", "bob"}}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	type key struct {
		table int
		user  string
		id    int64
	}
	type stored struct {
		seq store.Seq
		row []wire.Value
	}
	rows := make(map[key]stored)
	files := make(map[int64]bool) // those that are there
	next := int64(1)
	for step := range 300 {
		after := maps.Clone(rows)
		added := make(map[int64]bool)
		fail := rnd.IntN(4) == 0
		err := h.Write(t.Context(), func(tx *store.Tx) error {
			for range 1 + rnd.IntN(4) {
				pick := func() int64 { // a file that is there, a new one, or none
					switch n := rnd.IntN(3); {
					case n == 0:
						return 0
					case n == 1 && len(files) > 0:
						return slices.Sorted(maps.Keys(files))[rnd.IntN(len(files))]
					}
					next++
					added[next] = true
					if err := tx.AddFile(file(next)); err != nil {
						t.Fatal(err)
					}
					return next
				}
				n := rnd.IntN(2)
				k := key{n, users[n][rnd.IntN(len(users[n]))], rnd.Int64N(5)}
				have, ok := after[k]
				var err error
				switch {
				case !ok:
					row := filedRow(k.id, pick(), pick())
					var seq store.Seq
					seq, err = tx.Insert(tables[n], k.user, row)
					after[k] = stored{seq, row}
				case rnd.IntN(2) == 0:
					row := filedRow(k.id, pick(), pick())
					var seq store.Seq
					seq, err = tx.Update(tables[n], k.user, have.seq, have.row, row)
					after[k] = stored{seq, row}
				default:
					err = tx.Delete(tables[n], k.user, have.seq, have.row)
					delete(after, k)
				}
				if err != nil {
					return err
				}
			}
			if fail {
				return errMember
			}
			return nil
		})
		if fail != (err != nil) {
			t.Fatalf("step %d: %v", step, err)
		}
		if fail {
			after, added = rows, nil
		}
		maps.Copy(files, added)
		left := make(map[int64]bool)
		scopes := make(map[string]bool) // "file table user"
		for k, v := range after {
			for _, c := range v.row[2:] {
				if c.IsNull() {
					continue
				}
				ref, err := wire.DecodeFileRef(c.Text())
				if err != nil {
					t.Fatal(err)
				}
				var id int64
				fmt.Sscan(ref.ID, &id)
				left[id] = true
				scopes[fmt.Sprint(ref.ID, " ", tables[k.table].ID, " ", k.user)] = true
			}
		}
		var want, gone []string
		for id := range files {
			if left[id] {
				want = append(want, fmt.Sprint(id))
			} else {
				gone = append(gone, fmt.Sprint(id))
			}
		}
		slices.SortFunc(want, func(a, b string) int { return len(a) - len(b) })
		slices.Sort(gone)
		k := h.known()
		slices.Sort(k)
		slices.Sort(want)
		if taken := h.taken(); !slices.Equal(k, want) || !slices.Equal(taken, gone) {
			t.Fatalf("step %d: files %v, released %v; want %v, %v", step, k, taken, want, gone)
		}
		h.read(func(tx *store.Tx) error {
			have := make(map[string]bool)
			for _, id := range want {
				err := tx.FileScopes(id, func(table int64, user string) { have[fmt.Sprint(id, " ", table, " ", user)] = true })
				if err != nil {
					return err
				}
			}
			if !maps.Equal(have, scopes) {
				t.Fatalf("step %d: scopes %v, want %v", step, have, scopes)
			}
			return nil
		})
		rows, files = after, left
	}
}

func filesDropped(t *testing.T, h *harness) {
	one, two := h.create(filed("one", catalog.Shared)), h.create(filed("two", catalog.User))
	h.write(func(tx *store.Tx) error {
		return errors.Join(tx.AddFile(file(1)), tx.AddFile(file(2)), tx.AddFile(file(3)),
			insert(one, "", filedRow(1, 1, 2))(tx), insert(two, "ann", filedRow(1, 2, 3))(tx), insert(two, "bob", filedRow(1, 3, 0))(tx))
	})
	h.write(func(tx *store.Tx) error { return tx.DropFiles(one, 2) })
	h.wantFiles([]string{"2", "3"}, []string{"1"}, "the loss of a column")
	h.write(func(tx *store.Tx) error { return tx.DropTable(tx.Catalog().TableByID(one.ID)) })
	h.wantFiles([]string{"2", "3"}, nil, "the loss of a table whose file another has")
	h.write(func(tx *store.Tx) error { return tx.DropFiles(two, 3) })
	h.wantFiles([]string{"2", "3"}, nil, "the loss of a column whose file another has")
	h.write(func(tx *store.Tx) error { return tx.DropTable(tx.Catalog().TableByID(two.ID)) })
	h.wantFiles(nil, []string{"2", "3"}, "the loss of the last table")
}
