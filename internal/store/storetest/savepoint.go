package storetest

import (
	"errors"
	"testing"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
)

// savepoint: a part of a transaction fails alone. Invariant 5.
func (s suite) savepoint(t *testing.T) {
	s.each(t, store.Options{},
		testCase{"FailedPartLeavesTheRest", savepointPart},
		testCase{"SavepointsNest", savepointNest},
		testCase{"FailedPartDefinesNothing", savepointDefines},
	)
}

func savepointPart(t *testing.T, h *harness) {
	tbl := h.shared("t")
	h.inserted(tbl, 0, 1)
	one := h.logTotal()
	pos := h.Newest()
	h.write(func(tx *store.Tx) error {
		if err := insert(tbl, "", pair(1, "x"))(tx); err != nil {
			return err
		}
		err := tx.Savepoint(func() error {
			if err := insert(tbl, "", pair(2, "x"))(tx); err != nil {
				return err
			}
			return insert(tbl, "", pair(1, "taken"))(tx)
		})
		if _, ok := tx.DB().Conflict(tbl, err); !ok {
			return errors.Join(errors.New("the savepoint did not give its failure"), err)
		}
		return insert(tbl, "", pair(3, "x"))(tx)
	})
	h.wantIDs(tbl, 0, 1, 3)
	if n := h.logTotal(); n != 3*one {
		t.Errorf("the log counts %d bytes for three changes of %d", n, one)
	}
	h.agree(tbl, "")
	if n := len(h.follow(pos, 10)); n != 2 {
		t.Errorf("live readers got %d changes, want 2", n)
	}
}

func savepointNest(t *testing.T, h *harness) {
	tbl := h.shared("t")
	pos := h.Newest()
	h.write(func(tx *store.Tx) error {
		add := func(id int64) error { return insert(tbl, "", pair(id, "x"))(tx) }
		_ = tx.Savepoint(func() error { // fails, with a kept one inside
			return errors.Join(add(1), tx.Savepoint(func() error { return add(2) }), errMember)
		})
		return tx.Savepoint(func() error { // is kept, with a failing one inside
			_ = tx.Savepoint(func() error { return errors.Join(add(3), errMember) })
			return errors.Join(add(4), tx.Savepoint(func() error { return add(5) }))
		})
	})
	h.wantIDs(tbl, 4, 5)
	h.agree(tbl, "")
	if n := len(h.follow(pos, 10)); n != 2 {
		t.Errorf("live readers got %d changes, want 2", n)
	}
}

func savepointDefines(t *testing.T, h *harness) {
	h.write(func(tx *store.Tx) error {
		_ = tx.Savepoint(func() error {
			return errors.Join(tx.CreateTable(definition("gone", catalog.Shared)), errMember)
		})
		return tx.CreateTable(definition("kept", catalog.Shared))
	})
	c := h.Catalog()
	if c.Table("default", "gone") != nil || c.Table("default", "kept") == nil {
		t.Errorf("tables after a failed part: %v", names(c))
	}
}

// names lists the tables of the namespace default.
func names(c *catalog.Snapshot) []string {
	var out []string
	for _, t := range c.Tables("default") {
		out = append(out, t.Name)
	}
	return out
}
