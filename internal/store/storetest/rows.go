package storetest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// rows: changing single rows, and whose they are.
func (s suite) rows(t *testing.T) {
	s.each(t, store.Options{},
		testCase{"KeysAndUniquesArePerUser", perUser}, // invariant 4
		testCase{"OthersHaveRows", othersHaveRows},
		testCase{"ConflictNamesTheColumn", conflicts},
		testCase{"KeyChangeIsDeleteAndInsert", keyChange},
		testCase{"MissingRowIsAnError", missingRow},
		testCase{"RowsWithoutAKey", withoutKey},
		testCase{"PlaceholdersAreNumbered", placeholders},
		testCase{"QueriesNest", nested},
		testCase{"ReadIsOneSnapshot", oneSnapshot},
		testCase{"ReadsDoNotWrite", readOnly},
		testCase{"RowsOfAQueryMayBeKept", keptRows},
	)
}

// unique adds a UNIQUE constraint on some columns.
func unique(t *catalog.Table, cols ...int) {
	ix := catalog.Index{Name: t.Name + "_key" + strconv.Itoa(len(t.Indexes)), Unique: true}
	for _, i := range cols {
		ix.Columns = append(ix.Columns, t.Columns[i].ID)
	}
	t.Indexes = append(t.Indexes, ix)
}

func perUser(t *testing.T, h *harness) {
	def := definition("t", catalog.User)
	unique(def, 1)
	tbl := h.create(def)
	h.write(insert(tbl, "alice", pair(1, "x")))
	h.write(insert(tbl, "bob", pair(1, "x")))
	rows := h.stored(tbl)
	h.write(func(tx *store.Tx) error {
		_, err := tx.Update(tbl, "bob", rows[1].Seq, rows[1].Row, pair(1, "y"))
		return err
	})
	h.write(func(tx *store.Tx) error { return tx.Delete(tbl, "alice", rows[0].Seq, rows[0].Row) })
	got := h.stored(tbl)
	if len(got) != 1 || got[0].User != "bob" || got[0].Row[1].Text() != "y" {
		t.Errorf("rows: %v", got)
	}
	h.agree(tbl, "alice", "bob")
}

// placeholders stand for arguments by their numbers, wherever they are and
// however often, but not in quotes.
func placeholders(t *testing.T, h *harness) {
	text := wire.Type{Kind: wire.Text}
	s := &store.Stmt{
		SQL:  `SELECT $2 || $1 || $2, '$1', '''$2', "$2" || '"' || $1 FROM (SELECT $10 AS "$2") AS q`,
		Args: []wire.Type{text, text, text, text, text, text, text, text, text, text},
		Cols: []wire.Type{text, text, text, text},
	}
	args := make([]wire.Value, len(s.Args))
	for i := range args {
		args[i] = wire.TextValue(string(rune('a' + i)))
	}
	for range 2 { // prepared, and kept
		var got []string
		err := h.Query(context.Background(), s, args, func(row []wire.Value) error {
			for _, v := range row {
				got = append(got, v.Text())
			}
			return nil
		})
		if want := []string{"bab", "$1", "'$2", `j"a`}; err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
}

func othersHaveRows(t *testing.T, h *harness) {
	tbl := h.create(definition("t", catalog.User))
	check := func(want bool) {
		t.Helper()
		h.read(func(tx *store.Tx) error {
			got, err := tx.OthersHaveRows(tbl, "alice")
			if got != want {
				t.Errorf("others have rows: %v, want %v", got, want)
			}
			return err
		})
	}
	check(false)
	h.write(insert(tbl, "alice", pair(1, "x")))
	check(false)
	h.write(insert(tbl, "Alice", pair(1, "x"))) // another user
	check(true)
	h.write(func(tx *store.Tx) error {
		rows, err := versions(tx, tbl)
		return errors.Join(err, tx.Delete(tbl, "Alice", rows[1].Seq, rows[1].Row))
	})
	check(false)
}

func conflicts(t *testing.T, h *harness) {
	for _, kind := range []catalog.Kind{catalog.Shared, catalog.User} {
		def := everyType()
		def.Name, def.Kind, def.Key = kind.String(), kind, []int{0, 1}
		unique(def, 2)  // c3: its name is the start of others'
		unique(def, 12) // c13
		tbl := h.create(def)
		row := func(id int64, body string, c3 bool, c13 string) []wire.Value {
			r := make([]wire.Value, len(tbl.Columns))
			r[0], r[1], r[2], r[12] = wire.IntValue(id), wire.TextValue(body), wire.BoolValue(c3), wire.TextValue(c13)
			return r
		}
		user := ""
		if kind.Private() {
			user = "alice"
		}
		h.write(insert(tbl, user, row(1, "x", true, "a")))
		for _, c := range []struct {
			row  []wire.Value
			want string
		}{
			{row(1, "x", false, "b"), ""},
			{row(2, "x", true, "b"), "c3"},
			{row(2, "x", false, "a"), "c13"},
		} {
			err := h.Write(t.Context(), insert(tbl, user, c.row))
			if column, ok := h.Conflict(tbl, err); !ok || column != c.want {
				t.Errorf("%s: conflict %q, %v of %v, want %q", tbl.Name, column, ok, err, c.want)
			}
		}
		h.write(insert(tbl, user, row(1, "y", false, "b"))) // another key
		if _, ok := h.Conflict(tbl, errMember); ok {
			t.Error("any error is a conflict")
		}
		if _, ok := h.Conflict(tbl, nil); ok {
			t.Error("no error is a conflict")
		}
	}
}

func keyChange(t *testing.T, h *harness) {
	tbl := h.shared("t")
	h.write(insert(tbl, "", pair(1, "x")))
	h.write(insert(tbl, "", pair(2, "y")))
	old := h.stored(tbl)[0]
	h.write(func(tx *store.Tx) error {
		_, err := tx.Update(tbl, "", old.Seq, old.Row, pair(3, "x"))
		return err
	})
	h.wantIDs(tbl, 2, 3)
	log := h.logged(tbl, "")
	if len(log) != 4 || log[2].Op != store.OpDelete || log[2].OldSeq != old.Seq || log[3].Op != store.OpInsert || log[3].New[0].Int() != 3 {
		t.Errorf("log: %+v", log)
	}
	err := h.Write(t.Context(), func(tx *store.Tx) error {
		row := h.Newest()
		_, err := tx.Update(tbl, "", row, pair(3, "x"), pair(2, "x"))
		return err
	})
	if column, ok := h.Conflict(tbl, err); !ok || column != "" {
		t.Errorf("changing a key to a taken one: %v", err)
	}
	h.wantIDs(tbl, 2, 3)
	h.agree(tbl, "")
}

// A change of a row that is not there would put into the log what never was.
func missingRow(t *testing.T, h *harness) {
	tbl := h.create(definition("t", catalog.User))
	h.write(insert(tbl, "alice", pair(1, "x")))
	for name, fn := range map[string]func(tx *store.Tx) error{
		"update": func(tx *store.Tx) error {
			_, err := tx.Update(tbl, "alice", 7, pair(2, "x"), pair(2, "y"))
			return err
		},
		"update of another's": func(tx *store.Tx) error {
			_, err := tx.Update(tbl, "bob", 7, pair(1, "x"), pair(1, "y"))
			return err
		},
		"delete": func(tx *store.Tx) error { return tx.Delete(tbl, "alice", 7, pair(2, "x")) },
	} {
		if err := h.Write(t.Context(), fn); err == nil {
			t.Errorf("%s of a missing row was acknowledged", name)
		}
	}
	h.agree(tbl, "alice", "bob")
}

func withoutKey(t *testing.T, h *harness) {
	def := definition("t", catalog.Stream)
	def.Key = nil
	tbl := h.create(def)
	for range 3 {
		h.write(insert(tbl, "alice", pair(1, "same")))
	}
	rows := h.stored(tbl)
	h.write(func(tx *store.Tx) error { return tx.Delete(tbl, "alice", rows[1].Seq, rows[1].Row) })
	h.write(func(tx *store.Tx) error {
		_, err := tx.Update(tbl, "alice", rows[0].Seq, rows[0].Row, pair(1, "other"))
		return err
	})
	got := h.stored(tbl)
	if len(got) != 2 || got[0].Seq != rows[2].Seq || got[1].Row[1].Text() != "other" {
		t.Errorf("rows: %v", got)
	}
	h.agree(tbl, "alice")
}

func nested(t *testing.T, h *harness) {
	tbl := h.shared("t")
	h.inserted(tbl, 0, 3)
	count := &store.Stmt{SQL: "SELECT c1 FROM " + tbl.Physical() + " ORDER BY c1", Cols: []wire.Type{{Kind: wire.BigInt}}}
	n := 0
	var walk func(tx *store.Tx, depth int) error
	walk = func(tx *store.Tx, depth int) error {
		last := int64(-1)
		return tx.Query(count, nil, func(row []wire.Value) error {
			id := row[0].Int()
			if depth > 0 {
				if err := walk(tx, depth-1); err != nil {
					return err
				}
			}
			n++
			if id != last+1 || row[0].Int() != id {
				return errors.New("a nested query changed the row of the outer one")
			}
			last = id
			return nil
		})
	}
	h.read(func(tx *store.Tx) error { return walk(tx, 2) })
	h.write(func(tx *store.Tx) error { return walk(tx, 2) })
	if n != 2*(3+9+27) {
		t.Errorf("%d rows", n)
	}
}

func oneSnapshot(t *testing.T, h *harness) {
	tbl := h.shared("t")
	h.write(insert(tbl, "", pair(1, "x")))
	h.read(func(tx *store.Tx) error {
		before, err := versions(tx, tbl)
		if err != nil {
			return err
		}
		if err := h.Write(context.Background(), insert(tbl, "", pair(2, "x"))); err != nil {
			return err
		}
		after, err := versions(tx, tbl)
		if len(before) != 1 || len(after) != 1 {
			t.Errorf("%d rows, then %d in one snapshot", len(before), len(after))
		}
		last, err2 := tx.Newest()
		if last != before[0].Seq {
			t.Errorf("the snapshot's newest is %d, want %d", last, before[0].Seq)
		}
		return errors.Join(err, err2)
	})
	h.wantIDs(tbl, 1, 2)
}

func readOnly(t *testing.T, h *harness) {
	tbl := h.shared("t")
	h.write(insert(tbl, "", pair(1, "x")))
	del := &store.Stmt{SQL: "DELETE FROM " + tbl.Physical()}
	if err := h.Query(t.Context(), del, nil, nil); err == nil {
		t.Error("DB.Query deleted rows")
	}
	err := h.Read(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(del)
		return err
	})
	if err == nil {
		t.Error("DB.Read deleted rows")
	}
	h.wantIDs(tbl, 1)
}

// keptRows: what a query hands to its callback is the callback's, whatever the
// query reads next and whatever runs inside the callback or after it.
func keptRows(t *testing.T, h *harness) {
	tbl := h.shared("t")
	const n = 300
	h.write(func(tx *store.Tx) error {
		for i := range int64(n) {
			if err := insert(tbl, "", pair(i, strings.Repeat("x", int(i))))(tx); err != nil {
				return err
			}
		}
		return nil
	})
	all := &store.Stmt{
		SQL:  "SELECT c1, c2 FROM " + tbl.Physical() + " ORDER BY c1",
		Cols: []wire.Type{{Kind: wire.BigInt}, {Kind: wire.Text}},
	}
	var kept [][]wire.Value
	keep := func(row []wire.Value) error {
		kept = append(kept, row)
		return nil
	}
	h.read(func(tx *store.Tx) error {
		return tx.Query(all, nil, func(row []wire.Value) error {
			if row[0].Int() == 7 { // one inside the other
				if err := tx.Query(all, nil, keep); err != nil {
					return err
				}
			}
			_ = append(row, wire.IntValue(-1)) // in nobody's place
			return keep(row)
		})
	})
	if err := h.DB.Query(t.Context(), all, nil, keep); err != nil {
		t.Fatal(err)
	}
	h.write(func(tx *store.Tx) error { return tx.Query(all, nil, keep) })
	count := make(map[int64]int)
	for _, row := range kept {
		id := row[0].Int()
		if count[id]++; len(row[1].Text()) != int(id) {
			t.Fatalf("row %d has %d characters", id, len(row[1].Text()))
		}
	}
	for id := range int64(n) {
		if count[id] != 4 {
			t.Fatalf("row %d was kept %d times, want 4", id, count[id])
		}
	}
}
