//go:build !js

package consumer_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/consumer"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/wire"
)

// patience bounds waiting for what comes soon on a machine that is not busy.
const patience = 60 * time.Second

// world is a server with the table shop.orders and the topic shop.events of it.
type world struct {
	*servertest.Server
	t     testing.TB
	admin *client.Client
}

func newWorld(t testing.TB, partitions string, visibility int) *world {
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) { c.Topics.VisibilityTimeoutSecs = visibility }})
	w := &world{Server: s, t: t}
	w.admin = w.client("admin")
	w.exec("CREATE NAMESPACE shop")
	w.exec("CREATE SHARED TABLE shop.orders (id BIGINT PRIMARY KEY, item TEXT, n INT)")
	w.exec("CREATE TOPIC shop.events PARTITIONS " + partitions)
	w.exec("ALTER TOPIC shop.events ADD SOURCE shop.orders ON INSERT")
	w.exec("ALTER TOPIC shop.events ADD SOURCE shop.orders ON UPDATE")
	return w
}

func provider(user string) auth.Provider {
	return auth.Static(auth.Basic(user, servertest.Password))
}

func (w *world) client(user string) *client.Client {
	c, err := client.New(w.URL, provider(user), client.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.admin.Exec(w.ctx(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) consumer(o consumer.Options) *consumer.Consumer {
	if o.Topic == "" {
		o.Topic = "shop.events"
	}
	if o.Group == "" {
		o.Group = "g"
	}
	x, err := consumer.New(w.URL, provider("admin"), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { x.Close() })
	return x
}

// collect takes n messages and acknowledges them.
func collect(t testing.TB, ctx context.Context, x *consumer.Consumer, n int) (out []string) {
	t.Helper()
	for m, err := range x.Messages(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.Key+" "+m.Op)
		m.Ack()
		if len(out) == n {
			break
		}
	}
	if err := x.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	return out
}

// lag is how much a group has not acknowledged.
func (w *world) lag(group string) int64 {
	w.t.Helper()
	row, err := w.admin.QueryRow(w.ctx(), "SELECT coalesce(sum(lag), 0) AS lag FROM system.topic_offsets WHERE group_id = $1", group)
	if err != nil {
		w.t.Fatal(err)
	}
	var n int64
	if err := row.Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestMessagesComeAndAreAcknowledged(t *testing.T) {
	w := newWorld(t, "1", 60)
	x := w.consumer(consumer.Options{Start: consumer.Earliest})
	w.exec("INSERT INTO shop.orders VALUES (1, 'tea', 2), (2, 'milk', 1)")
	if got := collect(t, w.ctx(), x, 2); got[0] != "1 insert" || got[1] != "2 insert" {
		t.Fatalf("got %v", got)
	}
	if n := w.lag("g"); n != 0 {
		t.Errorf("lag %d after all was acknowledged", n)
	}
	w.exec("UPDATE shop.orders SET n = 3 WHERE id = 1")
	if got := collect(t, w.ctx(), x, 1); got[0] != "1 update" {
		t.Fatalf("got %v", got)
	}
	if s := x.Stats(); s.Received != 3 || s.Acked != 3 || s.Held != 0 || s.Redelivered != 0 {
		t.Errorf("%+v", s)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range x.Messages(w.ctx()) {
		if !errors.Is(err, client.ErrClosed) {
			t.Errorf("a closed consumer gives %v", err)
		}
	}
}

// Batch after batch comes, however they and the loop meet.
func TestManyBatches(t *testing.T) {
	w := newWorld(t, "1", 60)
	const n = 4000
	var values []string
	for i := range n {
		values = append(values, "("+strconv.Itoa(i)+", 'x', 1)")
	}
	w.exec("INSERT INTO shop.orders VALUES " + strings.Join(values, ", "))
	x := w.consumer(consumer.Options{Start: consumer.Earliest, BatchSize: 2})
	for i, got := range collect(t, w.ctx(), x, n) {
		if got != strconv.Itoa(i)+" insert" {
			t.Fatalf("message %d is %s", i, got)
		}
	}
	if lag := w.lag("g"); lag != 0 {
		t.Errorf("lag %d", lag)
	}
}

// What was not handed to the loop, or not settled when the consumer is closed,
// is with others at once, as if it had not been given out.
func TestCloseGivesBack(t *testing.T) {
	w := newWorld(t, "1", 60)
	w.exec("INSERT INTO shop.orders VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 1)")
	x := w.consumer(consumer.Options{Start: consumer.Earliest})
	for m, err := range x.Messages(w.ctx()) {
		if err != nil || m.Key != "1" {
			t.Fatal(m, err)
		}
		break
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for m, err := range w.consumer(consumer.Options{}).Messages(w.ctx()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Key+" "+strconv.Itoa(m.Deliveries))
		m.Ack()
		if len(got) == 3 {
			break
		}
	}
	if text := strings.Join(got, ", "); text != "1 2, 2 1, 3 1" {
		t.Errorf("got %s", text)
	}
}

// A message that is given back comes before the later ones of its row, and
// others pass it.
func TestNackKeepsTheOrderOfARow(t *testing.T) {
	w := newWorld(t, "1", 60)
	x := w.consumer(consumer.Options{Start: consumer.Earliest})
	w.exec("INSERT INTO shop.orders VALUES (1, 'a', 1), (2, 'b', 1)")
	w.exec("UPDATE shop.orders SET n = 2 WHERE id = 1")
	w.exec("UPDATE shop.orders SET n = 2 WHERE id = 2")
	var got []string
	for m, err := range x.Messages(w.ctx()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Key+" "+m.Op+" "+strconv.Itoa(m.Deliveries))
		if len(got) == 1 {
			m.Nack(50 * time.Millisecond)
		} else {
			m.Ack()
		}
		if len(got) == 5 {
			break
		}
	}
	if text := strings.Join(got, ", "); text != "1 insert 1, 2 insert 1, 2 update 1, 1 insert 2, 1 update 1" {
		t.Errorf("got %s", text)
	}
}

// The lease of a message is extended while its handler runs, however long that
// takes.
func TestLeaseIsExtended(t *testing.T) {
	w := newWorld(t, "1", 2)
	w.exec("INSERT INTO shop.orders VALUES (1, 'a', 1)")
	x, other := w.consumer(consumer.Options{Start: consumer.Earliest}), w.client("admin")
	for m, err := range x.Messages(w.ctx()) {
		if err != nil {
			t.Fatal(err)
		}
		// Five seconds in which the lease of two would run out twice.
		r, err := other.Consume(w.ctx(), &wire.ConsumeRequest{Topic: "shop.events", Group: "g", Limit: 1, Consumer: "other", Timeout: 5})
		if err != nil || len(r.Messages) > 0 {
			t.Fatalf("another consumer got %v, %v", r, err)
		}
		m.Ack()
		break
	}
	if err := x.Flush(w.ctx()); err != nil {
		t.Fatal(err)
	}
	if s := x.Stats(); s.Lost != 0 || w.lag("g") != 0 {
		t.Errorf("%+v", s)
	}
}

func TestRunRetriesAndGivesUp(t *testing.T) {
	w := newWorld(t, "1", 60)
	w.exec("INSERT INTO shop.orders VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 1)")
	var mu sync.Mutex
	calls := map[string]int{}
	var given []string
	ctx, stop := context.WithCancel(w.ctx())
	x := w.consumer(consumer.Options{
		Start: consumer.Earliest, Retry: consumer.RetryPolicy{Attempts: 3, Initial: time.Millisecond, Max: 5 * time.Millisecond},
		GiveUp: func(_ context.Context, m *consumer.Message, err error) error {
			mu.Lock()
			defer mu.Unlock()
			given = append(given, m.Key+": "+err.Error())
			return nil
		},
	})
	err := x.Run(ctx, func(_ context.Context, m *consumer.Message) error {
		mu.Lock()
		defer mu.Unlock()
		calls[m.Key]++
		switch {
		case m.Key == "1" && calls["1"] < 3:
			return errors.New("not yet")
		case m.Key == "2":
			panic("a bug")
		case m.Key == "3":
			stop()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if calls["1"] != 3 || calls["2"] != 3 || calls["3"] != 1 || len(given) != 1 || given[0] != "2: the handler panicked" {
		t.Errorf("calls %v, given up %v", calls, given)
	}
	if s := x.Stats(); s.Acked != 3 || s.Failed != 5 || w.lag("g") != 0 {
		t.Errorf("%+v, lag %d", s, w.lag("g"))
	}
}

// When it is told to stop, Run lets the handlers that run end, and gives back
// the rest.
// TestGiveUpMayPanic: the message comes again, and the worker goes on.
func TestGiveUpMayPanic(t *testing.T) {
	w := newWorld(t, "1", 60)
	w.exec("INSERT INTO shop.orders VALUES (1, 'a', 1), (2, 'b', 1)")
	ctx, stop := context.WithCancel(w.ctx())
	x := w.consumer(consumer.Options{
		Start: consumer.Earliest, Retry: consumer.RetryPolicy{Attempts: 1, Max: time.Millisecond},
		GiveUp: func(context.Context, *consumer.Message, error) error { panic("a bug") },
	})
	var seen []string
	err := x.Run(ctx, func(_ context.Context, m *consumer.Message) error {
		seen = append(seen, m.Key+"/"+strconv.Itoa(m.Deliveries))
		if m.Key == "1" && m.Deliveries == 1 {
			return errors.New("no")
		}
		if len(seen) == 3 {
			stop()
		}
		return nil
	})
	slices.Sort(seen)
	if err != nil || !slices.Equal(seen, []string{"1/1", "1/2", "2/1"}) || w.lag("g") != 0 {
		t.Errorf("saw %v, %v, lag %d", seen, err, w.lag("g"))
	}
}

// TestManualAckLeavesItToTheHandler: what it has not acknowledged is given back
// at the end.
func TestManualAckLeavesItToTheHandler(t *testing.T) {
	w := newWorld(t, "1", 60)
	w.exec("INSERT INTO shop.orders VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 1)")
	ctx, stop := context.WithCancel(w.ctx())
	x := w.consumer(consumer.Options{Start: consumer.Earliest, ManualAck: true})
	err := x.Run(ctx, func(_ context.Context, m *consumer.Message) error {
		switch m.Key {
		case "2":
			m.Ack()
		case "3":
			stop()
		}
		return nil
	})
	if err != nil || w.lag("g") != 2 {
		t.Errorf("got %v, lag %d", err, w.lag("g"))
	}
	again := collect(t, w.ctx(), w.consumer(consumer.Options{}), 2)
	if len(again) != 2 || !strings.Contains(again[0], "1") || !strings.Contains(again[1], "3") {
		t.Errorf("got %v", again)
	}
}

func TestRunDrains(t *testing.T) {
	w := newWorld(t, "1", 60)
	w.exec("INSERT INTO shop.orders VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 1)")
	ctx, stop := context.WithCancel(w.ctx())
	x := w.consumer(consumer.Options{Start: consumer.Earliest})
	var handled []string
	err := x.Run(ctx, func(ctx context.Context, m *consumer.Message) error {
		stop()
		time.Sleep(20 * time.Millisecond) // it goes on for a while
		handled = append(handled, m.Key)
		return ctx.Err()
	})
	if err != nil || len(handled) != 1 {
		t.Fatalf("handled %v, %v", handled, err)
	}
	if got := collect(t, w.ctx(), w.consumer(consumer.Options{}), 2); got[0] != "2 insert" || got[1] != "3 insert" {
		t.Errorf("the next one got %v", got)
	}
}

func TestFailuresThatDoNotPass(t *testing.T) {
	w := newWorld(t, "1", 60)
	for _, c := range []struct {
		user, topic string
		want        error
	}{
		{"alice", "shop.events", client.ErrForbidden},
		{"admin", "shop.nope", &wire.Error{Code: wire.CodeNotFound}},
	} {
		x, err := consumer.New(w.URL, provider(c.user), consumer.Options{Topic: c.topic, Group: "g"})
		if err != nil {
			t.Fatal(err)
		}
		err = x.Run(w.ctx(), func(context.Context, *consumer.Message) error { return nil })
		if !errors.Is(err, c.want) {
			t.Errorf("%s, %s: got %v", c.user, c.topic, err)
		}
		x.Close()
	}
	three := 3
	err := w.consumer(consumer.Options{Partition: &three}).Run(w.ctx(), func(context.Context, *consumer.Message) error { return nil })
	if !errors.Is(err, &wire.Error{Code: wire.CodePartition}) {
		t.Errorf("got %v", err)
	}
	for _, o := range []consumer.Options{{Group: "g"}, {Topic: "a.b"}} {
		if _, err := consumer.New(w.URL, provider("admin"), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// The consumer waits for a server that is away, and its provider is not asked
// for every request.
func TestConsumerOutlivesTheServer(t *testing.T) {
	w := newWorld(t, "2", 60)
	var asked atomic.Int64
	x, err := consumer.New(w.URL, auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
		asked.Add(1)
		return provider("admin").Auth(ctx)
	}), consumer.Options{Topic: "shop.events", Group: "g", Start: consumer.Earliest})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	w.exec("INSERT INTO shop.orders VALUES (1, 'a', 1)")
	n := 0
	for m, err := range x.Messages(w.ctx()) {
		if err != nil {
			t.Fatal(err)
		}
		m.Ack()
		if n++; n == 4 {
			break
		}
		if n == 2 {
			w.Close()
			w.Server = servertest.Start(t, servertest.Options{Dir: w.Dir, Port: w.Port})
		}
		w.exec("INSERT INTO shop.orders VALUES ($1, 'a', 1)", n+1)
	}
	if err := x.Flush(w.ctx()); err != nil {
		t.Fatal(err)
	}
	if got := asked.Load(); got > 3 {
		t.Errorf("the provider was asked %d times", got)
	}
}

func TestOneLoopAtATime(t *testing.T) {
	w := newWorld(t, "1", 60)
	x := w.consumer(consumer.Options{Start: consumer.Earliest})
	w.exec("INSERT INTO shop.orders VALUES (1, 'a', 1)")
	for _, err := range x.Messages(w.ctx()) {
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Run(w.ctx(), nil); !errors.Is(err, consumer.ErrBusy) {
			t.Errorf("got %v", err)
		}
		break
	}
}
