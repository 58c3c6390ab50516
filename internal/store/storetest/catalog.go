package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// catalog: definitions are part of transactions like rows.
func (s suite) catalog(t *testing.T) {
	s.each(t, store.Options{},
		testCase{"LoadsAfterDefinitions", catalogLoads},
		testCase{"SameAfterReopen", catalogReopen},
		testCase{"FailedDefinitionLeavesNothing", catalogFailed},
		testCase{"CreateWithRowsInOneTransaction", catalogRows},
		testCase{"FailedCreateIsForgotten", catalogForgotten},
		testCase{"DropTable", catalogDrop},
		testCase{"DropNamespace", catalogDropNamespace},
		testCase{"ColumnsComeAndGoWithoutEnd", catalogColumns},
	)
	s.steps(t, store.Options{},
		testCase{"DefinitionAmongWaitingWrites", catalogBatch},
		testCase{"DefinitionWaitsForNoReader", catalogReaders},
	)
}

// catalogColumns adds a column to a table that has lost as many as an engine's
// table may have: the first of them makes room.
func catalogColumns(t *testing.T, h *harness) {
	def := definition("a", catalog.Shared)
	def.Columns = append(def.Columns, catalog.Column{ID: 3, Name: "third", Type: wire.Type{Kind: wire.Int}, SQLType: "INT"})
	def.LastID = 3
	a := h.create(def)
	h.write(func(tx *store.Tx) error {
		_, err := tx.Insert(a, "", []wire.Value{wire.IntValue(1), wire.TextValue("one"), wire.IntValue(3)})
		return err
	})
	third := a.Columns[2]
	h.write(func(tx *store.Tx) error {
		next := a.Clone()
		next.Columns = next.Columns[:2]
		for next.Unused = []int{3}; next.LastID < 2500; {
			next.LastID++
			next.Unused = append(next.Unused, next.LastID) // as if it had been there
		}
		next.LastID++
		next.Columns = append(next.Columns, catalog.Column{ID: next.LastID, Name: "new", Type: wire.Type{Kind: wire.Int}, SQLType: "INT"})
		if err := tx.AddColumn(next, 2, wire.IntValue(7)); err != nil {
			return err
		}
		return tx.Redefine(next)
	})
	now := h.Catalog().Table("default", "a")
	h.wantIDs(now, 1)
	if got := h.stored(now)[0].Row[2]; got != wire.IntValue(7) {
		t.Errorf("the new column is %v", got)
	}
	if slices.Contains(now.Unused, 3) {
		t.Error("the column that made room still counts")
	}
	gone := now.Clone()
	gone.Columns = append(gone.Columns, third)
	err := h.Read(t.Context(), func(tx *store.Tx) error {
		_, err := tx.HasNull(gone, 3)
		return err
	})
	if err == nil {
		t.Error("the engine still has the column that made room")
	}
}

func catalogLoads(t *testing.T, h *harness) {
	before := h.Catalog()
	a := h.shared("a")
	if before.Table("default", "a") != nil {
		t.Error("an old snapshot changed")
	}
	b := h.create(definition("b", catalog.User))
	after := h.Catalog()
	if after.Version <= before.Version {
		t.Errorf("version %d after %d", after.Version, before.Version)
	}
	if after.Table("default", "a") != a || after.TableByID(a.ID) != a {
		t.Error("an unchanged table did not keep its value")
	}
	if a.ID == b.ID || a.Version != 1 || a.CreatedAt == 0 || a.UpdatedAt != a.CreatedAt {
		t.Errorf("a: %+v, b: %+v", a, b)
	}
	err := h.Write(t.Context(), func(tx *store.Tx) error { return tx.CreateTable(definition("a", catalog.Shared)) })
	if err == nil {
		t.Error("a second table of the same name")
	}
	h.write(func(tx *store.Tx) error { return tx.CreateNamespace("app") })
	if n := h.Catalog().Namespace("app"); n == nil || n.CreatedAt == 0 {
		t.Errorf("namespace app: %+v", n)
	}
	if err := h.Write(t.Context(), func(tx *store.Tx) error { return tx.CreateNamespace("app") }); err == nil {
		t.Error("a second namespace of the same name")
	}
}

func catalogReopen(t *testing.T, h *harness) {
	def := everyType()
	def.Kind, def.Owner, def.TTL, def.Access = catalog.Stream, "alice", 60, "public"
	def.Options = map[string]string{"ttl_seconds": "60"}
	def.Checks = []catalog.Check{{Name: "types_check", Expr: "id > 0"}}
	def.Columns[1].Default = "'x'"
	unique(def, 1)
	def.Key = []int{3, 0}
	want := h.create(def)
	h.reopen()
	if d := cmp.Diff(want, h.Catalog().Table("default", "types"), cmpopts.IgnoreUnexported(catalog.Table{})); d != "" {
		t.Errorf("after reopening (-before +after):\n%s", d)
	}
	if next := h.shared("next"); next.ID <= want.ID {
		t.Errorf("table %d after table %d", next.ID, want.ID)
	}
}

func catalogFailed(t *testing.T, h *harness) {
	kept := h.shared("kept")
	for name, fn := range map[string]func(tx *store.Tx) error{
		"create": func(tx *store.Tx) error {
			def := definition("gone", catalog.Shared)
			return errors.Join(tx.CreateTable(def), insert(def, "", pair(1, "x"))(tx), errMember)
		},
		"namespace": func(tx *store.Tx) error { return errors.Join(tx.CreateNamespace("gone"), errMember) },
		"drop":      func(tx *store.Tx) error { return errors.Join(tx.DropTable(kept), errMember) },
		"drop all":  func(tx *store.Tx) error { return errors.Join(tx.DropNamespace("default"), errMember) },
	} {
		if err := h.Write(t.Context(), fn); !errors.Is(err, errMember) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check := func() {
		t.Helper()
		c := h.Catalog()
		if got := names(c); !slices.Equal(got, []string{"kept"}) || c.Namespace("gone") != nil || c.Namespace("default") == nil {
			t.Errorf("tables %v", got)
		}
	}
	check()
	h.reopen()
	check()
	kept = h.Catalog().Table("default", "kept")
	h.write(insert(kept, "", pair(1, "x")))
	h.wantIDs(kept, 1)
	h.shared("gone") // nothing is in its way
}

func catalogRows(t *testing.T, h *harness) {
	def := definition("t", catalog.User)
	h.write(func(tx *store.Tx) error {
		return errors.Join(tx.CreateTable(def), insert(def, "alice", pair(1, "x"))(tx), insert(def, "bob", pair(1, "y"))(tx))
	})
	tbl := h.Catalog().Table("default", "t")
	h.wantIDs(tbl, 1, 1)
	h.agree(tbl, "alice", "bob")
}

// The id of a table whose creation failed is free again: nothing remembered
// for it may reach the next table.
func catalogForgotten(t *testing.T, h *harness) {
	def := definition("t", catalog.Shared)
	try := func(tx *store.Tx) error { return errors.Join(tx.CreateTable(def), insert(def, "", pair(1, "x"))(tx)) }
	err := h.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(try(tx), errMember) })
	if !errors.Is(err, errMember) {
		t.Fatal(err)
	}
	h.write(func(tx *store.Tx) error {
		return errors.Join(tx.CreateTable(definition("other", catalog.Shared)), try(tx))
	})
	other := h.Catalog().Table("default", "other")
	h.wantIDs(other)
	tbl := h.Catalog().Table("default", "t")
	h.wantIDs(tbl, 1)
	h.agree(tbl, "")
}

func catalogDrop(t *testing.T, h *harness) {
	def := definition("t", catalog.User)
	unique(def, 1)
	tbl := h.create(def)
	h.write(insert(tbl, "alice", pair(1, "x")))
	h.write(func(tx *store.Tx) error { return tx.DropTable(tbl) })
	if h.Catalog().Table("default", "t") != nil || h.Catalog().TableByID(tbl.ID) != nil {
		t.Error("the table is still in the catalog")
	}
	if n := len(h.logged(tbl, "alice")); n != 1 {
		t.Errorf("%d changes of a dropped table in the log, want 1", n)
	}
	if err := h.Write(t.Context(), insert(tbl, "alice", pair(2, "x"))); err == nil {
		t.Error("a dropped table took a row")
	}
	again := h.create(definition("t", catalog.Shared))
	if again.ID == tbl.ID {
		t.Error("the id of a dropped table was used again")
	}
	h.wantIDs(again)
	h.reopen()
	h.wantIDs(h.Catalog().Table("default", "t"))
}

func catalogDropNamespace(t *testing.T, h *harness) {
	h.write(func(tx *store.Tx) error { return tx.CreateNamespace("app") })
	kept := h.shared("kept")
	for _, name := range []string{"a", "b"} {
		def := definition(name, catalog.Shared)
		def.Namespace = "app"
		h.create(def)
	}
	h.write(func(tx *store.Tx) error { return tx.DropNamespace("app") })
	c := h.Catalog()
	if c.Namespace("app") != nil || c.Table("app", "a") != nil || c.Table("app", "b") != nil || c.Table("default", "kept") != kept {
		t.Error("dropping a namespace took too little or too much")
	}
}

// Whoever waits behind a definition sees the catalog that it made.
func catalogBatch(t *testing.T, h *harness) {
	var r results
	release := h.held(&r)
	h.queue(&r, t.Context(), "create", func(tx *store.Tx) error { return tx.CreateTable(definition("t", catalog.Shared)) })
	h.queue(&r, t.Context(), "insert", func(tx *store.Tx) error {
		tbl := tx.Catalog().Table("default", "t")
		if tbl == nil {
			return errors.New("the catalog does not have the table")
		}
		return insert(tbl, "", pair(1, "x"))(tx)
	})
	h.queue(&r, t.Context(), "drop", func(tx *store.Tx) error { return tx.DropTable(tx.Catalog().Table("default", "t")) })
	h.queue(&r, t.Context(), "gone", func(tx *store.Tx) error {
		if tx.Catalog().Table("default", "t") != nil {
			return errors.New("the catalog still has the table")
		}
		return nil
	})
	release()
	if err := errors.Join(r.of("create"), r.of("insert"), r.of("drop"), r.of("gone")); err != nil {
		t.Error(err)
	}
}

// Long reads must not hold up the writer, definitions included.
func catalogReaders(t *testing.T, h *harness) {
	ended := make(chan struct{})
	var reads sync.WaitGroup
	for range 100 { // more than there are connections
		reads.Go(func() {
			h.Read(context.Background(), func(*store.Tx) error {
				<-ended
				return nil
			})
		})
	}
	synctest.Wait()
	var r results
	h.queue(&r, t.Context(), "create", func(tx *store.Tx) error { return tx.CreateTable(definition("t", catalog.Shared)) })
	if r.answered() != 1 {
		t.Error("a definition waits for readers")
	}
	close(ended)
	reads.Wait()
	if err := r.of("create"); err != nil {
		t.Error(err)
	}
}
