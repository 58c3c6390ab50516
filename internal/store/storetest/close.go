package storetest

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// close: opening and closing.
func (s suite) close(t *testing.T) {
	s.each(t, store.Options{},
		testCase{"WhileEverybodyIsBusy", closeBusy},
		testCase{"LaterCallsSayClosed", closedCalls},
		testCase{"NewerVersionIsRefused", newerVersion},
	)
	s.steps(t, store.Options{},
		testCase{"AcceptedWritesAreFinished", closeFinishes},
		testCase{"WaitsForReads", closeWaits},
		testCase{"WhileTheLogIsTrimmed", closeTrimming},
	)
}

func closeBusy(t *testing.T, h *harness) {
	tbl := h.shared("t")
	var acknowledged, id atomic.Int64
	var wg sync.WaitGroup
	allowed := func(err error) {
		if err != nil && !errors.Is(err, store.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	for range 4 {
		wg.Go(func() {
			for {
				err := h.Write(context.Background(), insert(tbl, "", pair(id.Add(1), "x")))
				if err != nil {
					allowed(err)
					return
				}
				acknowledged.Add(1)
			}
		})
		wg.Go(func() {
			for {
				err := h.Read(context.Background(), func(tx *store.Tx) error {
					_, err := versions(tx, tbl)
					return err
				})
				if err != nil {
					allowed(err)
					return
				}
			}
		})
		wg.Go(func() {
			pos := store.Seq(0)
			for {
				list, wait, err := h.Changes(context.Background(), pos, 10)
				if err != nil {
					allowed(err)
					return
				}
				if wait != nil {
					select {
					case <-wait:
					case <-t.Context().Done(): // nobody writes any more
						return
					default:
						if _, err := h.Trim(context.Background()); err != nil {
							allowed(err)
							return
						}
					}
				}
				if len(list) > 0 {
					pos = list[len(list)-1].Seq
				}
			}
		})
	}
	for acknowledged.Load() < 50 {
		synchronised(h)
	}
	var closers sync.WaitGroup
	for range 2 {
		closers.Go(func() {
			if err := h.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	closers.Wait()
	wg.Wait()
	h.start()
	tbl = h.Catalog().Table("default", "t")
	if n := int64(len(h.stored(tbl))); n != acknowledged.Load() {
		t.Errorf("%d rows of %d acknowledged writes", n, acknowledged.Load())
	}
	h.agree(tbl, "")
}

// synchronised waits for a commit.
func synchronised(h *harness) { h.write(func(*store.Tx) error { return nil }) }

func closedCalls(t *testing.T, h *harness) {
	tbl := h.shared("t")
	h.Close()
	one := &store.Stmt{SQL: "SELECT 1", Cols: []wire.Type{{Kind: wire.Int}}}
	_, _, changes := h.Changes(t.Context(), -1, 10)
	_, trim := h.Trim(t.Context())
	for name, err := range map[string]error{
		"Write":   h.Write(t.Context(), insert(tbl, "", pair(1, "x"))),
		"Read":    h.Read(t.Context(), func(*store.Tx) error { return nil }),
		"Query":   h.Query(t.Context(), one, nil, func([]wire.Value) error { return nil }),
		"Changes": changes,
		"Trim":    trim,
		"Backup":  h.Backup(t.Context(), filepath.Join(t.TempDir(), "copy")),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
	if err := h.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

func newerVersion(t *testing.T, h *harness) {
	h.write(func(tx *store.Tx) error {
		_, err := tx.Exec(&store.Stmt{SQL: "INSERT INTO goose_db_version(version_id, is_applied) VALUES(99999, 1)"})
		return err
	})
	h.Close()
	for range 2 { // a refusal changes nothing and holds nothing
		_, err := store.Open(t.Context(), h.suite.open(t, h.dir), h.options)
		if !errors.Is(err, store.ErrNewerVersion) {
			t.Fatalf("opening newer data: %v, want ErrNewerVersion", err)
		}
	}
}

func closeFinishes(t *testing.T, h *harness) {
	tbl := h.shared("t")
	var r results
	release := h.held(&r)
	h.queue(&r, t.Context(), "accepted", insert(tbl, "", pair(1, "x")))
	closed := make(chan error)
	go func() { closed <- h.Close() }()
	synctest.Wait()
	if err := h.Write(t.Context(), insert(tbl, "", pair(2, "x"))); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a write after Close had begun: %v", err)
	}
	release()
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	if err := errors.Join(r.of("held"), r.of("accepted")); err != nil {
		t.Errorf("accepted writes: %v", err)
	}
	h.start()
	h.wantIDs(h.Catalog().Table("default", "t"), 1)
}

func closeWaits(t *testing.T, h *harness) {
	tbl := h.shared("t")
	h.write(insert(tbl, "", pair(1, "x")))
	ended, read := make(chan struct{}), make(chan error, 1)
	go func() {
		read <- h.Read(context.Background(), func(tx *store.Tx) error {
			<-ended
			rows, err := versions(tx, tbl)
			if err == nil && len(rows) != 1 {
				err = errors.New("the row is not there")
			}
			return err
		})
	}()
	synctest.Wait()
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	synctest.Wait()
	select {
	case <-closed:
		t.Error("Close did not wait for a read")
	default:
	}
	close(ended)
	if err := errors.Join(<-read, <-closed); err != nil {
		t.Error(err)
	}
}

// The trimmer is one of those that Close waits for, and it waits for a write.
func closeTrimming(t *testing.T, h *harness) {
	var r results
	release := h.held(&r)
	time.Sleep(time.Hour) // by the clock of the bubble: the trimmer's write is queued
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	synctest.Wait()
	release()
	synctest.Wait()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	default:
		panic("Close hangs") // the cleanup would, too
	}
}
