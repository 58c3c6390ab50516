package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// dropped: an engine may drop the whole transaction when one statement fails
// (SQLite does when a writing statement is interrupted or the disk is full).
// Whoever shared it is committed all the same, once. Invariants 1 and 5.
func (s suite) dropped(t *testing.T) {
	s.each(t, store.Options{},
		testCase{"CancelledUpdateLeavesNineInserts", cancelledUpdate},
		testCase{"FailureOwedToANeighbourIsTriedAgain", owedFailure},
	)
	s.steps(t, store.Options{},
		testCase{"FullDiskLeavesItsNeighbours", fullDisk},
		testCase{"NothingIsWrittenAfterTheDrop", nothingAfterDrop},
		testCase{"LogSizeIsNotCountedTwice", logSizeOnce},
	)
}

// endless is a writing statement that only an interrupt ends.
var endless = &store.Stmt{SQL: `UPDATE meta SET value = (
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) SELECT CAST(count(*) AS BLOB) FROM n)
	WHERE key = 'table_id'`}

// interrupted runs a write whose endless statement is cancelled; before is
// queued ahead of it and after behind it. Package time must move while the
// engine works, so there is no bubble: what is queued may come in any order, and
// the case looks whether the engine did drop a transaction.
func (h *harness) interrupted(r *results, before, after func()) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	running, holding, gate := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r.write(context.Background(), h.DB, "held", func(*store.Tx) error {
		select {
		case <-gate:
		default:
			close(holding)
			<-gate
		}
		return nil
	})
	<-holding
	before()
	h.beside(r, ctx, "endless", func(tx *store.Tx) error {
		close(running)
		_, err := tx.Exec(endless)
		return err
	})
	after()
	close(gate)
	<-running
	elapse(20 * time.Millisecond) // so that the engine is inside the statement
	cancel()
	return r.of("endless")
}

// beside is queue outside of a bubble.
func (h *harness) beside(r *results, ctx context.Context, name string, fn func(tx *store.Tx) error) {
	r.write(ctx, h.DB, name, fn)
	elapse(time.Millisecond)
}

// elapse lets the machine's time pass.
func elapse(d time.Duration) { <-time.After(d) }

func cancelledUpdate(t *testing.T, h *harness) {
	tbl := h.shared("t")
	told := h.Listen(store.AboutRevoked)
	calls := make([]int, 10)
	var id int64
	// The statement was surely under way when a member before it ran twice.
	for try := 0; calls[1] < 2; try++ {
		if try == 50 {
			t.Fatal("no interrupt dropped the transaction")
		}
		var r results
		clear(calls)
		add := func(from, to int) func() {
			return func() {
				for i := from; i < to; i++ {
					row := pair(id, "x")
					id++
					h.beside(&r, t.Context(), fmt.Sprint(i), func(tx *store.Tx) error {
						calls[i]++
						tx.Tell(store.Notice{Revoked: []string{fmt.Sprint(i)}})
						return insert(tbl, "", row)(tx)
					})
				}
			}
		}
		if err := h.interrupted(&r, add(1, 5), add(5, 10)); !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled update got %v", err)
		}
		for i := 1; i < 10; i++ {
			if err := r.of(fmt.Sprint(i)); err != nil {
				t.Errorf("insert %d got %v", i, err)
			}
		}
		if n := len(revoked(told)); n != 9 {
			t.Errorf("%d were told of for nine inserts", n)
		}
	}
	if n := int64(len(h.stored(tbl))); n != id {
		t.Errorf("%d rows of %d acknowledged inserts", n, id)
	}
	h.agree(tbl, "")
	if got := h.follow(0, 1000); int64(len(got)) != id {
		t.Errorf("live readers got %d changes of %d", len(got), id)
	}
}

var (
	pageCount = &store.Stmt{SQL: "PRAGMA page_count", Cols: []wire.Type{{Kind: wire.BigInt}}}
	huge      = strings.Repeat("x", 1<<20)
)

// limit lets the database grow by some pages and not more.
func limit(tx *store.Tx, pages int64) error {
	var now int64
	err := tx.Query(pageCount, nil, func(row []wire.Value) error {
		now = row[0].Int()
		return nil
	})
	if err != nil {
		return err
	}
	_, err = tx.Exec(&store.Stmt{SQL: fmt.Sprintf("PRAGMA max_page_count=%d", now+pages)})
	return err
}

func wantFull(t *testing.T, err error) {
	t.Helper()
	var coded *wire.Error
	if !errors.As(err, &coded) || coded.Code != wire.CodeDatabaseUnavailable || !strings.Contains(coded.Message, "full") {
		t.Errorf("the write that found the disk full got %v", err)
	}
}

func fullDisk(t *testing.T, h *harness) {
	tbl := h.shared("t")
	h.write(func(tx *store.Tx) error { return limit(tx, 20) })
	var r results
	calls := 0
	release := h.held(&r)
	h.queue(&r, t.Context(), "a", func(tx *store.Tx) error {
		calls++
		return insert(tbl, "", pair(1, "x"))(tx)
	})
	h.queue(&r, t.Context(), "huge", insert(tbl, "", pair(2, huge)))
	h.queue(&r, t.Context(), "b", insert(tbl, "", pair(3, "x")))
	h.queue(&r, t.Context(), "huge too", insert(tbl, "", pair(4, huge)))
	h.queue(&r, t.Context(), "c", insert(tbl, "", pair(5, "x")))
	release()
	wantFull(t, r.of("huge"))
	wantFull(t, r.of("huge too"))
	if err := errors.Join(r.of("a"), r.of("b"), r.of("c")); err != nil {
		t.Errorf("a neighbour got %v", err)
	}
	if calls < 2 {
		t.Errorf("the engine did not drop the transaction: this case proves nothing")
	}
	h.wantIDs(tbl, 1, 3, 5)
	h.agree(tbl, "")
	h.write(func(tx *store.Tx) error { return limit(tx, 1<<20) })
	h.write(insert(tbl, "", pair(6, huge)))
	h.wantIDs(tbl, 1, 3, 5, 6)
}

// A function that overlooks the failure must not write outside of the
// transaction.
func nothingAfterDrop(t *testing.T, h *harness) {
	tbl := h.shared("t")
	h.write(func(tx *store.Tx) error { return limit(tx, 20) })
	told := h.Listen(store.AboutRevoked)
	for name, goOn := range map[string]func(tx *store.Tx) error{
		"insert": insert(tbl, "", pair(2, "x")),
		"savepoint": func(tx *store.Tx) error {
			return tx.Savepoint(func() error { return insert(tbl, "", pair(3, "x"))(tx) })
		},
		"create": func(tx *store.Tx) error { return tx.CreateTable(definition("never", catalog.Shared)) },
		"drop":   func(tx *store.Tx) error { return tx.DropTable(tbl) },
	} {
		err := h.Write(t.Context(), func(tx *store.Tx) error {
			tx.Tell(store.Notice{Revoked: []string{"x"}})
			_ = insert(tbl, "", pair(1, huge))(tx)
			_ = goOn(tx)
			return nil
		})
		if err == nil {
			t.Errorf("%s: a write whose transaction was dropped was acknowledged", name)
		}
		err = h.Write(t.Context(), func(tx *store.Tx) error {
			_ = tx.Savepoint(insertHuge(tx, tbl))
			_ = goOn(tx)
			return nil
		})
		if err == nil {
			t.Errorf("%s: a write whose transaction was dropped inside a savepoint was acknowledged", name)
		}
	}
	if told.Behind() {
		t.Error("a write whose transaction was dropped has told something")
	}
	if h.Catalog().Table("default", "never") != nil {
		t.Error("the table is there")
	}
	h.wantIDs(tbl)
	h.agree(tbl, "")
	h.write(insert(tbl, "", pair(4, "x")))
	h.wantIDs(tbl, 4)
}

func insertHuge(tx *store.Tx, tbl *catalog.Table) func() error {
	return func() error { return insert(tbl, "", pair(1, huge))(tx) }
}

// B fails because of A's row. When the engine drops the transaction and A does
// not come back, B must not be refused for a row that never was.
func owedFailure(t *testing.T, h *harness) {
	tbl := h.shared("t")
	for try := 0; ; try++ {
		if try == 50 {
			t.Fatal("no interrupt dropped the transaction")
		}
		var r results
		first := 0
		err := h.interrupted(&r, func() {
			h.beside(&r, t.Context(), "a", func(tx *store.Tx) error {
				if first++; first > 1 {
					return errMember // as if its caller had gone meanwhile
				}
				return insert(tbl, "", pair(1, "a"))(tx)
			})
			h.beside(&r, t.Context(), "b", insert(tbl, "", pair(1, "b")))
		}, func() {})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled update got %v", err)
		}
		if first < 2 {
			h.write(func(tx *store.Tx) error {
				rows, err := versions(tx, tbl)
				if err != nil {
					return err
				}
				return tx.Delete(tbl, "", rows[0].Seq, rows[0].Row)
			})
			continue
		}
		if err := r.of("b"); err != nil {
			t.Errorf("refused because of a row that never was: %v", err)
		}
		h.wantIDs(tbl, 1)
		return
	}
}

// logTotal is the size of the log that the engine keeps with each change.
func (h *harness) logTotal() int64 {
	var n int64
	h.read(func(tx *store.Tx) error {
		return tx.Query(&store.Stmt{SQL: "SELECT max(total) FROM changes", Cols: []wire.Type{{Kind: wire.BigInt}}}, nil, func(row []wire.Value) error {
			n = row[0].Int()
			return nil
		})
	})
	return n
}

func logSizeOnce(t *testing.T, h *harness) {
	tbl := h.shared("t")
	h.write(insert(tbl, "", pair(1, "x")))
	one := h.logTotal()
	h.write(func(tx *store.Tx) error { return limit(tx, 20) })
	var r results
	release := h.held(&r)
	h.queue(&r, t.Context(), "a", insert(tbl, "", pair(2, "x")))
	h.queue(&r, t.Context(), "huge", insert(tbl, "", pair(3, huge)))
	h.queue(&r, t.Context(), "b", insert(tbl, "", pair(4, "x")))
	release()
	r.wg.Wait()
	synctest.Wait()
	if n := h.logTotal(); n != 3*one {
		t.Errorf("the log counts %d bytes for three changes of %d", n, one)
	}
}
