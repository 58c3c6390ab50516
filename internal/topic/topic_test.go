package topic_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/internal/topic"
	"github.com/kalamdb/kalam-go/wire"
)

// clock is the time of a test's database.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a database with the table app.t and the topic app.log of its inserts.
type world struct {
	t     testing.TB
	db    *store.DB
	s     *topic.Service
	topic *catalog.Topic
	table *catalog.Table
	clock *clock
	next  int64
}

func newWorld(t testing.TB, change func(*catalog.Topic), o topic.Options) *world {
	w := &world{t: t, clock: &clock{now: time.Now()}}
	driver, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if w.db, err = store.Open(t.Context(), driver, store.Options{Now: w.clock.Now}); err != nil {
		t.Fatal(err)
	}
	o.RetainEvery = -1
	w.s = topic.New(w.db, o)
	t.Cleanup(func() { w.s.Close(); w.db.Close() })
	table := &catalog.Table{Namespace: "app", Name: "t", Kind: catalog.Shared, Key: []int{0}, LastID: 2, Columns: []catalog.Column{
		{ID: 1, Name: "id", Type: wire.Type{Kind: wire.BigInt}, NotNull: true}, {ID: 2, Name: "v", Type: wire.Type{Kind: wire.Text}},
	}}
	w.write(func(tx *store.Tx) error { return tx.CreateNamespace("app") })
	w.write(func(tx *store.Tx) error { return tx.CreateTable(table) })
	w.table = w.db.Catalog().Table("app", "t")
	w.write(func(tx *store.Tx) error {
		x := &catalog.Topic{Namespace: "app", Name: "log", Partitions: 1, Sources: []catalog.Source{{Table: w.table.ID, Op: "insert", Payload: "full"}}}
		if change != nil {
			change(x)
		}
		if err := tx.CreateTopic(x); err != nil {
			return err
		}
		return w.s.Create(tx, x)
	})
	w.topic = w.db.Catalog().Topic("app", "log")
	return w
}

func (w *world) write(fn func(*store.Tx) error) {
	w.t.Helper()
	if err := w.db.Write(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// insert adds n rows, each in a transaction of its own.
func (w *world) insert(n int, v string) {
	w.t.Helper()
	for range n {
		w.next++
		w.write(func(tx *store.Tx) error {
			if _, err := tx.Insert(w.table, "", []wire.Value{wire.IntValue(w.next), wire.TextValue(v)}); err != nil {
				return err
			}
			return w.s.Route(tx, "root", "system")
		})
	}
}

func (w *world) consume(r wire.ConsumeRequest) *topic.Lease {
	w.t.Helper()
	if r.Group == "" {
		r.Group = "g"
	}
	l, err := consume(w.t.Context(), w, &r)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// consume leases messages, and waits for some as the request says.
func consume(ctx context.Context, w *world, r *wire.ConsumeRequest) (l *topic.Lease, err error) {
	c := w.s.Consume(r)
	defer c.End()
	for again := true; again && err == nil; {
		if l, err = c.Lease(ctx, "worker", w.topic); err == nil {
			again, err = c.Wait(ctx)
		}
	}
	return l, err
}

func offsets(l *topic.Lease) string {
	var out []string
	for _, m := range l.Messages {
		out = append(out, strconv.FormatInt(m.Offset, 10))
	}
	return strings.Join(out, " ")
}

var earliest = wire.TopicStart{Earliest: true}

func TestReleaseEndsWaiting(t *testing.T) {
	w := newWorld(t, nil, topic.Options{MaxWait: time.Hour})
	done := make(chan error)
	go func() {
		_, err := consume(context.Background(), w, &wire.ConsumeRequest{Group: "g", Limit: 1, Timeout: 3600})
		done <- err
	}()
	w.s.Release()
	select {
	case err := <-done:
		var e *wire.Error
		if !errors.As(err, &e) || e.Code != wire.CodeUnavailable {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it still waits")
	}
}

// When it is not known who has something to consume, everybody looks.
func TestMissedNoticesWakeEverybody(t *testing.T) {
	w := newWorld(t, nil, topic.Options{MaxWait: time.Hour})
	var waiting []*topic.Consumer
	for _, group := range []string{"a", "a", "b"} {
		c := w.s.Consume(&wire.ConsumeRequest{Group: group, Limit: 1, Timeout: 3600})
		defer c.End()
		if _, err := c.Lease(t.Context(), "worker", w.topic); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, c)
	}
	w.s.Miss()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, c := range waiting {
		if again, err := c.Wait(ctx); !again || err != nil {
			t.Errorf("consumer %d: %v, %v", i, again, err)
		}
	}
}

// A lease that runs out wakes somebody who waits.
func TestExpiredLeaseGoesToWhoWaits(t *testing.T) {
	w := newWorld(t, nil, topic.Options{Visibility: 300 * time.Millisecond})
	// Here the time is the machine's.
	w.clock.pass(0)
	w.insert(1, "x")
	if l := w.consume(wire.ConsumeRequest{Limit: 10, Start: earliest, Consumer: "a"}); offsets(l) != "0" {
		t.Fatalf("got %s", offsets(l))
	}
	go func() {
		w.clock.pass(time.Second)
	}()
	l := w.consume(wire.ConsumeRequest{Limit: 10, Timeout: 60, Consumer: "b"})
	if offsets(l) != "0" || l.Messages[0].Deliveries != 2 {
		t.Fatalf("got %s: %+v", offsets(l), l.Messages)
	}
}

func TestRetentionByAgeKeepsTheNumbering(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(x *catalog.Topic) { x.RetentionSeconds = 60 }, topic.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	w.insert(3, "x")
	w.consume(wire.ConsumeRequest{Limit: 1, Start: earliest})
	w.clock.pass(50 * time.Second)
	w.insert(2, "x")
	w.clock.pass(20 * time.Second)
	w.retain()
	if l := w.consume(wire.ConsumeRequest{Limit: 10, Group: "new", Start: earliest}); offsets(l) != "3 4" {
		t.Fatalf("got %s", offsets(l))
	}
	l := w.consume(wire.ConsumeRequest{Limit: 10, Consumer: "b"})
	if offsets(l) != "3 4" {
		t.Fatalf("got %s", offsets(l))
	}
	if got := log.String(); !strings.Contains(got, "group=g") || !strings.Contains(got, "messages=3") {
		t.Errorf("the log does not say what was lost: %s", got)
	}
	w.clock.pass(time.Hour)
	w.retain()
	w.insert(1, "x")
	if l := w.consume(wire.ConsumeRequest{Limit: 10, Group: "newer", Start: earliest}); offsets(l) != "5" {
		t.Fatalf("got %s", offsets(l))
	}
	if dropped := w.dropped("g"); dropped != 5 {
		t.Errorf("%d dropped, want 5", dropped)
	}
}

func TestRetentionBySizeKeepsTheNewest(t *testing.T) {
	w := newWorld(t, func(x *catalog.Topic) { x.RetentionBytes = 5000 }, topic.Options{})
	w.insert(20, strings.Repeat("x", 900))
	w.retain()
	l := w.consume(wire.ConsumeRequest{Limit: 100, Start: earliest})
	if n := len(l.Messages); n < 4 || n > 5 || l.Messages[n-1].Offset != 19 {
		t.Fatalf("kept %s", offsets(l))
	}
	w.insert(1, strings.Repeat("x", 9000))
	w.retain()
	if l := w.consume(wire.ConsumeRequest{Limit: 100, Group: "new", Start: earliest}); offsets(l) != "20" {
		t.Fatalf("kept %s", offsets(l))
	}
}

func TestDroppedTopicLeavesNothing(t *testing.T) {
	w := newWorld(t, nil, topic.Options{})
	w.insert(30, "x")
	w.consume(wire.ConsumeRequest{Limit: 10, Start: earliest})
	w.write(func(tx *store.Tx) error { return tx.DropTopic(w.topic) })
	w.retain()
	for _, table := range []string{"messages", "topic_parts", "topic_groups", "topic_claims"} {
		n := int64(-1)
		q := &store.Stmt{SQL: "SELECT count(*) FROM " + table, Cols: []wire.Type{{Kind: wire.BigInt}}}
		if err := w.db.Query(t.Context(), q, nil, func(row []wire.Value) error { n = row[0].Int(); return nil }); err != nil {
			t.Fatal(err)
		}
		if n != 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
}

// An answer is bounded in bytes; what does not fit comes with the next one.
func TestAnswerIsBounded(t *testing.T) {
	w := newWorld(t, nil, topic.Options{MaxAnswer: 3000})
	w.insert(10, strings.Repeat("x", 1000))
	seen := ""
	for range 4 {
		l := w.consume(wire.ConsumeRequest{Limit: 10, Start: earliest, Consumer: "a"})
		for _, m := range l.Messages {
			if m.Deliveries != 1 {
				t.Errorf("message %d has %d deliveries", m.Offset, m.Deliveries)
			}
		}
		seen += offsets(l) + ";"
	}
	if seen != "0 1 2;3 4 5;6 7 8;9;" {
		t.Errorf("got %s", seen)
	}
}

func TestMessagesOfSeveralPartitions(t *testing.T) {
	w := newWorld(t, func(x *catalog.Topic) { x.Partitions = 4 }, topic.Options{})
	w.insert(40, "x")
	ends := map[int]int64{}
	total := 0
	for range 12 {
		l := w.consume(wire.ConsumeRequest{Limit: 7, Start: earliest, AllPartitions: true, Consumer: "a"})
		for _, m := range l.Messages {
			if m.Offset != ends[m.Partition] {
				t.Fatalf("partition %d gives %d after %d", m.Partition, m.Offset, ends[m.Partition])
			}
			ends[m.Partition]++
			total++
		}
		if l.More != (total < 40) {
			t.Fatalf("more is %v after %d messages", l.More, total)
		}
	}
	if total != 40 || len(ends) < 2 {
		t.Errorf("%d messages from %v", total, ends)
	}
}

func (w *world) retain() {
	w.t.Helper()
	if err := w.s.Retain(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) dropped(group string) int64 {
	n := int64(-1)
	q := &store.Stmt{SQL: "SELECT dropped FROM topic_groups WHERE grp = $1", Args: []wire.Type{{Kind: wire.Text}}, Cols: []wire.Type{{Kind: wire.BigInt}}}
	err := w.db.Query(w.t.Context(), q, []wire.Value{wire.TextValue(group)}, func(row []wire.Value) error { n = row[0].Int(); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}
