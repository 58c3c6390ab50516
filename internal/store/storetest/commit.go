package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var errMember = errors.New("the member's own failure")

// commit: several writes share a transaction, and each is alone all the same.
func (s suite) commit(t *testing.T) {
	s.steps(t, store.Options{},
		testCase{"NobodyIsAnsweredBeforeTheCommit", answeredAfterCommit}, // invariant 1
		testCase{"FailedCommitFailsEverybody", failedCommit},             // invariants 1, 5
		testCase{"FailedMemberLeavesItsNeighbours", failedMember},        // invariant 5
		testCase{"PanicLeavesItsNeighbours", panicking},                  // invariant 5
		testCase{"MembersSeeThoseBefore", membersSee},
		testCase{"CancelledBeforeTheCall", cancelledBefore},
		testCase{"CancelledWhileQueued", cancelledQueued},
		testCase{"CancelledWhileRunning", cancelledRunning},
		testCase{"OnlyTheCommitTells", afterCommit},
		testCase{"BatchesAreBounded", batchesBounded},
		testCase{"WriteReturnsTheLastRun", returnsLastRun},
		testCase{"WriteInsideWriteFails", nestedWrite},
		testCase{"WriterOutlivesAGoroutineThatEnds", goexit},
	)
}

// hooks is an engine whose commits a case watches.
type hooks struct {
	store.Driver
	commit func() error // called before the commit; an error rolls back instead
	count  atomic.Int64 // commits that changed something or not
}

type hookedSession struct {
	store.Session
	h *hooks
}

// Begin wraps the engine's session.
func (h *hooks) Begin(ctx context.Context, mode store.Mode, user string) (store.Session, error) {
	s, err := h.Driver.Begin(ctx, mode, user)
	if err != nil || mode != store.Writing {
		return s, err
	}
	return &hookedSession{s, h}, nil
}

// End asks the case first.
func (s *hookedSession) End(commit bool) error {
	if !commit {
		return s.Session.End(false)
	}
	if s.h.commit != nil {
		if err := s.h.commit(); err != nil {
			return errors.Join(err, s.Session.End(false))
		}
	}
	s.h.count.Add(1)
	return s.Session.End(true)
}

// hook opens the database again with watched commits.
func (h *harness) hook() *hooks {
	hk := new(hooks)
	h.wrap = func(d store.Driver) store.Driver {
		hk.Driver = d
		return hk
	}
	h.reopen()
	return hk
}

func answeredAfterCommit(t *testing.T, h *harness) {
	hk := h.hook()
	tbl := h.shared("t")
	before := hk.count.Load()
	committing := make(chan struct{})
	let := sync.OnceFunc(func() { close(committing) })
	t.Cleanup(let)
	hk.commit = func() error {
		<-committing
		return nil
	}
	_, woken, err := h.Changes(t.Context(), h.Newest(), 10)
	if err != nil || woken == nil {
		t.Fatalf("Changes above the newest: channel %v, error %v", woken, err)
	}
	var r results
	release := h.held(&r)
	for i := range int64(10) {
		h.queue(&r, t.Context(), fmt.Sprint(i), insert(tbl, "", pair(i, "x")))
	}
	release()
	synctest.Wait()
	if n := r.answered(); n != 0 {
		t.Errorf("%d writes were answered before the commit", n)
	}
	select {
	case <-woken:
		t.Error("live readers were woken before the commit")
	default:
	}
	h.wantIDs(tbl) // nobody else sees anything either
	let()
	for i := range 10 {
		if err := r.of(fmt.Sprint(i)); err != nil {
			t.Errorf("write %d: %v", i, err)
		}
	}
	<-woken
	h.wantIDs(tbl, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	if n := hk.count.Load() - before; n != 1 {
		t.Errorf("%d commits for eleven waiting writes, want 1", n)
	}
}

func failedCommit(t *testing.T, h *harness) {
	hk := h.hook()
	tbl := h.shared("t")
	at := h.Newest()
	var r results
	release := h.held(&r)
	told := h.Listen(store.AboutRevoked | store.AboutCatalog)
	for i := range int64(3) {
		h.queue(&r, t.Context(), fmt.Sprint(i), func(tx *store.Tx) error {
			tx.Tell(store.Notice{Revoked: []string{"x"}})
			return insert(tbl, "", pair(i, "x"))(tx)
		})
	}
	h.queue(&r, t.Context(), "table", func(tx *store.Tx) error { return tx.CreateTable(definition("never", tbl.Kind)) })
	broken := errors.New("the disk is gone")
	hk.commit = func() error { return broken }
	release()
	for _, name := range []string{"0", "1", "2", "table"} {
		if err := r.of(name); !errors.Is(err, broken) {
			t.Errorf("write %s: %v, want the commit's failure", name, err)
		}
	}
	hk.commit = nil
	if told.Behind() {
		t.Error("a failed commit has told something")
	}
	if h.Newest() != at || h.Catalog().Table("default", "never") != nil {
		t.Error("something of a failed commit was published")
	}
	h.write(insert(tbl, "", pair(7, "x")))
	h.wantIDs(tbl, 7)
	h.agree(tbl, "")
}

func failedMember(t *testing.T, h *harness) {
	tbl := h.shared("t")
	var r results
	release := h.held(&r)
	h.queue(&r, t.Context(), "a", insert(tbl, "", pair(1, "x")))
	h.queue(&r, t.Context(), "own", func(tx *store.Tx) error {
		for i := int64(10); i < 13; i++ {
			if _, err := tx.Insert(tbl, "", pair(i, "x")); err != nil {
				return err
			}
		}
		return errMember
	})
	h.queue(&r, t.Context(), "key", func(tx *store.Tx) error {
		if _, err := tx.Insert(tbl, "", pair(20, "x")); err != nil {
			return err
		}
		_, err := tx.Insert(tbl, "", pair(1, "x"))
		return err
	})
	h.queue(&r, t.Context(), "b", insert(tbl, "", pair(2, "x")))
	release()
	if err := r.of("own"); !errors.Is(err, errMember) {
		t.Errorf("the failing member got %v", err)
	}
	if column, ok := h.Conflict(tbl, r.of("key")); !ok || column != "" {
		t.Errorf("the member with the taken key got %v", r.of("key"))
	}
	if err := errors.Join(r.of("a"), r.of("b")); err != nil {
		t.Errorf("a neighbour got %v", err)
	}
	h.wantIDs(tbl, 1, 2)
	h.agree(tbl, "")
}

func panicking(t *testing.T, h *harness) {
	tbl := h.shared("t")
	var r results
	release := h.held(&r)
	h.queue(&r, t.Context(), "a", insert(tbl, "", pair(1, "x")))
	h.queue(&r, t.Context(), "panic", func(tx *store.Tx) error {
		if _, err := tx.Insert(tbl, "", pair(10, "x")); err != nil {
			return err
		}
		// From inside a running query.
		_, err := versions(tx, tbl)
		if err != nil {
			return err
		}
		return tx.Query(&store.Stmt{SQL: "SELECT 1", Cols: []wire.Type{{Kind: wire.Int}}}, nil, func([]wire.Value) error {
			panic("secret detail")
		})
	})
	h.queue(&r, t.Context(), "b", insert(tbl, "", pair(2, "x")))
	release()
	var coded *wire.Error
	if err := r.of("panic"); !errors.As(err, &coded) || coded.Code != wire.CodeInternal || strings.Contains(coded.Message, "secret") {
		t.Errorf("the panicking member got %v", err)
	}
	if err := errors.Join(r.of("a"), r.of("b")); err != nil {
		t.Errorf("a neighbour got %v", err)
	}
	h.wantIDs(tbl, 1, 2)
	h.agree(tbl, "")
}

func membersSee(t *testing.T, h *harness) {
	tbl := h.shared("t")
	var r results
	release := h.held(&r)
	var seen []int
	for i := range int64(3) {
		h.queue(&r, t.Context(), fmt.Sprint(i), func(tx *store.Tx) error {
			rows, err := versions(tx, tbl)
			seen = append(seen, len(rows))
			return errors.Join(err, insert(tbl, "", pair(i, "x"))(tx))
		})
	}
	release()
	r.wg.Wait()
	if fmt.Sprint(seen) != "[0 1 2]" {
		t.Errorf("members saw %v rows of those before them", seen)
	}
}

func cancelledBefore(t *testing.T, h *harness) {
	tbl := h.shared("t")
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := h.Write(ctx, insert(tbl, "", pair(1, "x"))); !errors.Is(err, why) {
		t.Errorf("write: %v, want the cause", err)
	}
	h.wantIDs(tbl)
	h.write(insert(tbl, "", pair(2, "x"))) // the connections are usable again
	h.wantIDs(tbl, 2)
}

func cancelledQueued(t *testing.T, h *harness) {
	tbl := h.shared("t")
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	var r results
	release := h.held(&r)
	h.queue(&r, t.Context(), "a", insert(tbl, "", pair(1, "x")))
	h.queue(&r, ctx, "cancelled", insert(tbl, "", pair(2, "x")))
	h.queue(&r, t.Context(), "b", insert(tbl, "", pair(3, "x")))
	cancel(why)
	synctest.Wait()
	if n := r.answered(); n != 1 {
		t.Errorf("%d are answered while the first write still runs, want the cancelled one", n)
	}
	release()
	if err := r.of("cancelled"); !errors.Is(err, why) {
		t.Errorf("the cancelled write got %v, want the cause", err)
	}
	if err := errors.Join(r.of("a"), r.of("b")); err != nil {
		t.Errorf("a neighbour got %v", err)
	}
	h.wantIDs(tbl, 1, 3)
}

func cancelledRunning(t *testing.T, h *harness) {
	tbl := h.shared("t")
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	var r results
	release := h.held(&r)
	h.queue(&r, t.Context(), "a", insert(tbl, "", pair(1, "x")))
	h.queue(&r, ctx, "cancelled", func(tx *store.Tx) error {
		if err := insert(tbl, "", pair(2, "x"))(tx); err != nil {
			return err
		}
		cancel(why)             // between two statements
		time.Sleep(time.Second) // the engine looks every now and then
		if n := r.answered(); n != 0 {
			t.Errorf("%d are answered before it is known how a write that runs ends", n)
		}
		return insert(tbl, "", pair(3, "x"))(tx)
	})
	h.queue(&r, t.Context(), "b", insert(tbl, "", pair(4, "x")))
	release()
	if err := r.of("cancelled"); !errors.Is(err, why) {
		t.Errorf("the cancelled write got %v, want the cause", err)
	}
	if err := errors.Join(r.of("a"), r.of("b")); err != nil {
		t.Errorf("a neighbour got %v", err)
	}
	h.wantIDs(tbl, 1, 4)
	h.agree(tbl, "")
}

func afterCommit(t *testing.T, h *harness) {
	tbl := h.shared("t")
	told := h.Listen(store.AboutRevoked)
	note := func(tx *store.Tx, name string) { tx.Tell(store.Notice{Revoked: []string{name}}) }
	var r results
	release := h.held(&r)
	h.queue(&r, t.Context(), "good", func(tx *store.Tx) error {
		note(tx, "good")
		err := tx.Savepoint(func() error {
			note(tx, "undone savepoint")
			return errMember
		})
		if !errors.Is(err, errMember) {
			return fmt.Errorf("savepoint: %v", err)
		}
		return errors.Join(tx.Savepoint(func() error {
			note(tx, "kept savepoint")
			return nil
		}), insert(tbl, "", pair(1, "x"))(tx))
	})
	h.queue(&r, t.Context(), "bad", func(tx *store.Tx) error {
		note(tx, "failed member")
		return errMember
	})
	h.queue(&r, t.Context(), "panic", func(tx *store.Tx) error {
		note(tx, "panicking member")
		panic("on purpose")
	})
	if told.Behind() {
		t.Error("something was told while the writes waited")
	}
	release()
	if err := r.of("good"); err != nil {
		t.Fatal(err)
	}
	if heard := revoked(told); fmt.Sprint(heard) != "[good kept savepoint]" {
		t.Errorf("heard %q", heard)
	}
}

func batchesBounded(t *testing.T, h *harness) {
	h.options.BatchLimit = 4
	hk := h.hook()
	tbl := h.shared("t")
	before := hk.count.Load()
	var r results
	release := h.held(&r)
	for i := range int64(11) {
		h.queue(&r, t.Context(), fmt.Sprint(i), insert(tbl, "", pair(i, "x")))
	}
	release()
	r.wg.Wait()
	if n := hk.count.Load() - before; n != 3 {
		t.Errorf("%d commits for twelve writes in batches of four, want 3", n)
	}
	h.wantIDs(tbl, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
}

func returnsLastRun(t *testing.T, h *harness) {
	tbl := h.shared("t")
	var r results
	release := h.held(&r)
	runs := 0
	counted := make(chan []int64, 1)
	r.wg.Go(func() {
		ids, err := store.Write(t.Context(), h.DB, func(tx *store.Tx) (ids []int64, err error) {
			runs++
			for i := range int64(3) {
				ids = append(ids, i)
				if err := insert(tbl, "", pair(i, "x"))(tx); err != nil {
					return nil, err
				}
			}
			return ids, nil
		})
		if err != nil {
			t.Error(err)
		}
		counted <- ids
	})
	synctest.Wait()
	h.queue(&r, t.Context(), "bad", func(*store.Tx) error { return errMember })
	release()
	if ids := <-counted; len(ids) != 3 || runs < 2 {
		t.Errorf("after %d runs the result is %v, want three numbers after two", runs, ids)
	}
	n, err := store.Write(t.Context(), h.For("alice"), func(*store.Tx) (int, error) { return 7, errMember })
	if n != 0 || !errors.Is(err, errMember) {
		t.Errorf("a write that failed returned %d, %v", n, err)
	}
}

func nestedWrite(t *testing.T, h *harness) {
	tbl := h.shared("t")
	for name, inner := range map[string]func() error{
		"of the server": func() error { return h.Write(t.Context(), insert(tbl, "", pair(1, "x"))) },
		"of a user":     func() error { return h.For("alice").Write(t.Context(), insert(tbl, "", pair(1, "x"))) },
	} {
		err := h.Write(t.Context(), func(*store.Tx) error { return inner() })
		if err == nil || !strings.Contains(err.Error(), "inside a write") {
			t.Errorf("a write %s inside a write: %v", name, err)
		}
	}
	h.wantIDs(tbl)
	h.write(insert(tbl, "", pair(2, "x")))
	h.wantIDs(tbl, 2)
}

func goexit(t *testing.T, h *harness) {
	tbl := h.shared("t")
	exit := func(tx *store.Tx) error {
		_ = insert(tbl, "", pair(9, "x"))(tx)
		runtime.Goexit()
		return nil
	}
	if err := h.Write(t.Context(), exit); err == nil {
		t.Error("a write that ended the writer's goroutine was acknowledged")
	}
	var r results
	release := h.held(&r)
	h.queue(&r, t.Context(), "a", insert(tbl, "", pair(1, "x")))
	h.queue(&r, t.Context(), "exit", exit)
	h.queue(&r, t.Context(), "bad", func(*store.Tx) error { return errMember }) // the others run in savepoints
	h.queue(&r, t.Context(), "b", insert(tbl, "", pair(2, "x")))
	release()
	if err := r.of("exit"); err == nil {
		t.Error("a member that ended the writer's goroutine was acknowledged")
	}
	if err := r.of("bad"); !errors.Is(err, errMember) {
		t.Errorf("the member after it got %v", err)
	}
	if err := errors.Join(r.of("a"), r.of("b")); err != nil {
		t.Errorf("a neighbour got %v", err)
	}
	h.write(insert(tbl, "", pair(3, "x")))
	h.wantIDs(tbl, 1, 2, 3)
	h.agree(tbl, "")
}
