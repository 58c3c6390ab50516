package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
)

// notice: a commit tells every reader once what it has done, and nothing else
// does.
func (s suite) notice(t *testing.T) {
	s.each(t, store.Options{},
		testCase{"EveryCommitOnceInOrder", noticeOrder},
		testCase{"ReadersHearWhatTheyAskedFor", noticeAbout},
		testCase{"OfWhatIsRolledBackThereIsNone", noticeRolledBack},
		testCase{"SlowReaderHoldsNobodyUpAndIsTold", noticeSlow},
		testCase{"AnswerComesAfterTheNotice", noticeAnswered},
		testCase{"WhatIsBeingReadIsNotReadYet", noticeReading},
		testCase{"ClosedReaderHearsNothing", noticeClosed},
	)
	s.steps(t, store.Options{}, testCase{"WritesThatShareACommitHaveOne", noticeShared})
}

// revoked reads what commits have told to be revoked, in order.
func revoked(l *store.Listener) (out []string) {
	l.Read(func(n store.Notice) { out = append(out, n.Revoked...) })
	return out
}

// revoke is a write that tells a name.
func revoke(name string) func(tx *store.Tx) error {
	return func(tx *store.Tx) error {
		tx.Tell(store.Notice{Revoked: []string{name}})
		return nil
	}
}

// noticeOrder: two readers, of which one reads now and then, hear the same as the
// log says.
func noticeOrder(t *testing.T, h *harness) {
	tbl := h.shared("t")
	begin := h.Newest()
	one, other := h.Listen(store.AboutRevoked), h.Listen(store.AboutRevoked)
	var heard []string
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 40 {
				id := int64(100*w + i)
				err := h.Write(context.Background(), func(tx *store.Tx) error {
					tx.Tell(store.Notice{Revoked: []string{fmt.Sprint(id)}})
					return insert(tbl, "", pair(id, "x"))(tx)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	for over := false; !over; {
		select {
		case <-one.Wake:
		case <-ended:
			over = true
		}
		heard = append(heard, revoked(one)...)
	}
	var want []string
	for _, c := range h.follow(begin, 100) {
		want = append(want, fmt.Sprint(c.New[0].Int()))
	}
	if !slices.Equal(heard, want) || len(want) != 160 {
		t.Errorf("heard %v\nwant  %v", heard, want)
	}
	if got := revoked(other); !slices.Equal(got, want) {
		t.Errorf("the reader that reads at the end heard %v", got)
	}
	if one.Behind() || other.Behind() {
		t.Error("there is something left to read")
	}
}

func noticeShared(t *testing.T, h *harness) {
	l := h.Listen(store.AboutRevoked)
	var r results
	release := h.held(&r)
	for i := range 5 {
		h.queue(&r, t.Context(), fmt.Sprint(i), revoke(fmt.Sprint(i)))
	}
	release()
	r.wg.Wait()
	var heard []string
	l.Read(func(n store.Notice) { heard = append(heard, strings.Join(n.Revoked, "")) })
	if !slices.Equal(heard, []string{"01234"}) {
		t.Errorf("heard %q", heard)
	}
}

func noticeAbout(t *testing.T, h *harness) {
	all := h.Listen(store.AboutCatalog | store.AboutRevoked | store.AboutTopics | store.AboutFiles | store.AboutKilled | store.AboutMail)
	mail := h.Listen(store.AboutMail)
	tbl := h.shared("t")
	h.write(insert(tbl, "", pair(1, "x")))
	h.write(func(tx *store.Tx) error {
		tx.Tell(store.Notice{Mail: true, Killed: []int64{7}})
		tx.Tell(store.Notice{Topics: []store.TopicNotice{{Topic: 3, Part: 1}}})
		return nil
	})
	var got []string
	all.Read(func(n store.Notice) {
		got = append(got, fmt.Sprint(n.Catalog == h.Catalog(), n.Mail, n.Killed, n.Topics))
	})
	// Who asks for nothing of rows does not hear of them.
	if want := "true false [] []|false true [7] [{3 1  0}]"; strings.Join(got, "|") != want {
		t.Errorf("heard %q, want %q", strings.Join(got, "|"), want)
	}
	n := 0
	mail.Read(func(m store.Notice) {
		if n++; !m.Mail || m.Killed != nil || m.Topics != nil {
			t.Errorf("a reader of mails heard %+v", m)
		}
	})
	if n != 1 {
		t.Errorf("a reader of mails heard %d notices", n)
	}
}

func noticeRolledBack(t *testing.T, h *harness) {
	l := h.Listen(store.AboutRevoked | store.AboutCatalog | store.AboutFiles)
	tbl := h.create(filed("t", catalog.Shared))
	l.Read(func(store.Notice) {})
	begin := h.Newest()
	bad := func(id int64) func(tx *store.Tx) error {
		return func(tx *store.Tx) error {
			_ = revoke("gone")(tx)
			_ = tx.CreateTable(definition("gone", catalog.Shared))
			_ = addRow(tbl, id)(tx)
			return errMember
		}
	}
	if err := h.Write(t.Context(), bad(1)); err == nil {
		t.Error("the write did not fail")
	}
	if l.Behind() || h.Newest() != begin {
		t.Error("a write that failed has told something")
	}
	h.write(func(tx *store.Tx) error {
		_ = revoke("first")(tx)
		_ = tx.Savepoint(func() error { return bad(2)(tx) })
		return revoke("last")(tx)
	})
	var heard []string
	l.Read(func(n store.Notice) {
		heard = append(heard, n.Revoked...)
		if n.Catalog != nil || n.Files != nil {
			t.Errorf("heard %+v", n)
		}
	})
	if !slices.Equal(heard, []string{"first", "last"}) {
		t.Errorf("heard %v", heard)
	}
	if h.Newest() != begin {
		t.Error("a savepoint that was rolled back has told of rows")
	}
}

// noticeSlow: what a reader does not read is bounded, and it is told once that
// there was more.
func noticeSlow(t *testing.T, h *harness) {
	l := h.Listen(store.AboutRevoked)
	many := make([]string, 30_000)
	for range 5 {
		h.write(func(tx *store.Tx) error {
			tx.Tell(store.Notice{Revoked: many})
			return nil
		})
	}
	h.write(revoke("last"))
	missed, parts, last := 0, 0, ""
	l.Read(func(n store.Notice) {
		if n.Missed {
			if missed++; parts > 0 {
				t.Error("told of a loss behind what came after it")
			}
		}
		if parts += len(n.Revoked); len(n.Revoked) > 0 {
			last = n.Revoked[len(n.Revoked)-1]
		}
	})
	if missed != 1 || parts > 1<<16 || last != "last" {
		t.Errorf("told %d times of a loss, %d parts, the last %q", missed, parts, last)
	}
	h.write(revoke("more"))
	if got := revoked(l); !slices.Equal(got, []string{"more"}) || l.Behind() {
		t.Errorf("goes on with %q", got)
	}
}

// noticeAnswered: who reads after an answer has read what led to it, also beside
// others who read.
func noticeAnswered(t *testing.T, h *harness) {
	l := h.Listen(store.AboutRevoked)
	var mu sync.Mutex
	done := make(map[string]bool)
	read := func(n store.Notice) {
		mu.Lock()
		defer mu.Unlock()
		for _, name := range n.Revoked {
			done[name] = true
		}
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprint(w, " ", i)
				if err := h.Write(context.Background(), revoke(name)); err != nil {
					t.Error(err)
				}
				if l.Behind() {
					l.Read(read)
				}
				mu.Lock()
				if !done[name] {
					t.Errorf("%s was answered, and is not heard of", name)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// noticeReading: while somebody reads, others know that they have to wait for that.
func noticeReading(t *testing.T, h *harness) {
	l := h.Listen(store.AboutRevoked)
	h.write(revoke("x"))
	reading, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		l.Read(func(store.Notice) {
			close(reading)
			<-goOn
		})
	}()
	<-reading
	if !l.Behind() {
		t.Error("a notice counts as read while it is being read")
	}
	close(goOn)
	<-done
	if l.Behind() {
		t.Error("a notice that was read counts as unread")
	}
}

func noticeClosed(t *testing.T, h *harness) {
	gone, stays := h.Listen(store.AboutRevoked), h.Listen(store.AboutRevoked)
	gone.Close()
	gone.Close()
	h.write(revoke("x"))
	if gone.Behind() || !slices.Equal(revoked(stays), []string{"x"}) {
		t.Error("the closed reader heard, or the other one did not")
	}
}
