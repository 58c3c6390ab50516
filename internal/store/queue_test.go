package store

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

func TestWhoMakesOthersWaitRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q writeQueue
		q.init()
		for range 3 {
			q.add(&write{}, "mallory")
		}
		w := q.take(nil)
		q.begin(w, false)
		q.add(&write{}, "alice")
		time.Sleep(50 * time.Millisecond)
		q.ended()
		if w := q.take(nil); w.user() != "alice" {
			t.Fatalf("%s is next, want alice", w.user())
		}
		if w := q.take(nil); w != nil {
			t.Fatalf("%s does not rest", w.user())
		}
		time.Sleep(restFactor * 50 * time.Millisecond)
		synctest.Wait()
		if w := q.take(nil); w == nil || w.user() != "mallory" {
			t.Error("mallory rests for ever")
		}
	})
}

func TestWhoIsAloneNeverRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q writeQueue
		q.init()
		for range 2 {
			q.add(&write{}, "alice")
		}
		q.begin(q.take(nil), false)
		time.Sleep(time.Second)
		q.ended()
		if q.take(nil) == nil {
			t.Error("alice rests, and nobody waited")
		}
	})
}

func TestNobodyWaitsForTheCommitOfASlowSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q writeQueue
		q.init()
		for range 2 {
			q.add(&write{}, "mallory")
		}
		q.begin(q.take(nil), false)
		time.Sleep(2 * time.Millisecond)
		q.ended()
		q.add(&write{}, "alice")
		first := q.take(nil)
		if w := q.take([]*write{first}); w != nil {
			t.Errorf("%s shares a transaction with %s", first.user(), w.user())
		}
	})
}

func TestWaitingWritesAreBoundedForEachAndForAll(t *testing.T) {
	var q writeQueue
	q.init()
	fill := func(user string) (n int) {
		for {
			_, err := q.add(&write{}, user)
			var coded *wire.Error
			if errors.As(err, &coded) && coded.Code == wire.CodeRateLimited {
				return n
			}
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	for _, want := range []int{maxWaiting / 2, maxWaiting / 4, maxWaiting / 8} {
		if n := fill(string(rune('a' + want%26))); n != want {
			t.Errorf("the next user may have %d writes waiting, want %d", n, want)
		}
	}
	if _, err := q.add(&write{}, ""); err != nil {
		t.Errorf("the server itself: %v", err)
	}
}

func TestWritesThatWereLeftTakeNoPlace(t *testing.T) {
	var q writeQueue
	q.init()
	for range 10 {
		w := &write{}
		q.add(w, "alice")
		q.remove(w)
	}
	if n := q.able.Load(); n != 0 || q.waiting != 0 || q.take(nil) != nil {
		t.Errorf("%d may begin and %d wait, and all were left", n, q.waiting)
	}
}
