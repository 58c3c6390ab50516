package client_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// watcher is a consumer of a live query.
type watcher struct {
	mu   sync.Mutex
	sets []string
	err  error
	stop context.CancelFunc
	done chan struct{}
}

// watch runs a live query and writes down each set as "id=body id=body".
func watch(c *client.Client, o client.LiveOptions) *watcher {
	ctx, stop := context.WithCancel(context.Background())
	w := &watcher{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for rows, err := range c.Live(ctx, "SELECT * FROM n", o) {
			w.mu.Lock()
			if err != nil {
				w.err = err
			} else {
				w.sets = append(w.sets, show(rows))
			}
			w.mu.Unlock()
		}
	}()
	return w
}

func show(rows []client.Row) string {
	var parts []string
	for _, r := range rows {
		parts = append(parts, strconv.FormatInt(r.Int("id"), 10)+"="+r.Text("body"))
	}
	return strings.Join(parts, " ")
}

func (w *watcher) last() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sets) == 0 {
		return "nothing"
	}
	return w.sets[len(w.sets)-1]
}

func (w *watcher) end() error {
	w.stop()
	<-w.done
	return w.err
}

// live runs a test with a client, its network and a watcher whose snapshot
// holds one note.
func live(t *testing.T, fn func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		w := watch(c, client.LiveOptions{})
		defer w.end()
		p := n.socket(0)
		id := p.expect("subscribe").Subscription.ID
		p.ack(id, false, false)
		p.batch(id, false, note(1, 10, "one"))
		if got := w.last(); got != "1=one" {
			t.Fatalf("got %q", got)
		}
		fn(t, n, c, w, p, id)
	})
}

func TestLiveFollowsChanges(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		p.insert(id, note(2, 11, "two"))
		if got := w.last(); got != "1=one 2=two" {
			t.Errorf("insert: got %q", got)
		}
		p.send(&wire.ServerFrame{Type: "change", SubscriptionID: id, ChangeType: "update", Schema: notes,
			Rows: []wire.Row{note(1, 12, "uno")}, OldValues: []wire.Row{note(1, 10, "one")}})
		if got := w.last(); got != "1=uno 2=two" {
			t.Errorf("update: got %q", got)
		}
		p.send(&wire.ServerFrame{Type: "change", SubscriptionID: id, ChangeType: "update", Schema: notes,
			Rows: []wire.Row{note(3, 13, "uno")}, OldValues: []wire.Row{note(1, 12, "uno")}})
		if got := w.last(); got != "2=two 3=uno" {
			t.Errorf("update of the key: got %q", got)
		}
		p.send(&wire.ServerFrame{Type: "change", SubscriptionID: id, ChangeType: "update", Schema: notes,
			Rows: []wire.Row{{Names: []string{"_seq", "id"}, Values: []wire.Value{wire.IntValue(14), wire.IntValue(2)}}}})
		if got := w.last(); got != "2= 3=uno" {
			t.Errorf("update to NULL: got %q", got)
		}
		p.delete(id, note(2, 15, ""))
		if got := w.last(); got != "3=uno" {
			t.Errorf("delete: got %q", got)
		}
		w.end()
		if got := p.expect("unsubscribe").SubscriptionID; got != id {
			t.Errorf("unsubscribed %q", got)
		}
	})
}

func TestSnapshotComesAtOnceInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		w := watch(c, client.LiveOptions{})
		defer w.end()
		p := n.socket(0)
		f := p.expect("subscribe")
		if f.Subscription.Options == nil || f.Subscription.Options.HasFrom {
			t.Errorf("got options %+v", f.Subscription.Options)
		}
		id := f.Subscription.ID
		p.ack(id, true, false)
		p.batch(id, true, note(1, 10, "a"), note(2, 11, "b"))
		if f := p.expect("next_batch"); f.SubscriptionID != id || f.LastSeqID != 11 {
			t.Errorf("got %+v", f)
		}
		if got := w.last(); got != "nothing" {
			t.Errorf("a part of the snapshot was shown: %q", got)
		}
		p.batch(id, false, note(3, 12, "c"))
		if got := w.last(); got != "1=a 2=b 3=c" {
			t.Errorf("got %q", got)
		}
	})
}

func TestReconnectResumesAfterTheLastChange(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		p.insert(id, note(2, 11, "two"))
		w.last()
		p.drop(io.ErrUnexpectedEOF)
		p = n.socket(1)
		f := p.expect("subscribe").Subscription
		if f.Options == nil || !f.Options.HasFrom || f.Options.From != 11 {
			t.Fatalf("got %+v", f.Options)
		}
		p.ack(f.ID, false, false)
		p.batch(f.ID, false)
		p.insert(f.ID, note(3, 12, "three"))
		p.delete(f.ID, note(1, 13, ""))
		if got := w.last(); got != "2=two 3=three" {
			t.Errorf("got %q", got)
		}
		if n.logins != 1 || n.refreshes != 0 {
			t.Errorf("%d logins, %d refreshes", n.logins, n.refreshes)
		}
	})
}

func TestResetForgetsTheRows(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		p.drop(io.ErrUnexpectedEOF)
		p = n.socket(1)
		f := p.expect("subscribe").Subscription
		p.ack(f.ID, true, true)
		p.batch(f.ID, true, note(7, 5, "seven"))
		if got := w.last(); got != "1=one" {
			t.Errorf("a part was shown: %q", got)
		}
		p.batch(f.ID, false, note(8, 6, "eight"))
		if got := w.last(); got != "7=seven 8=eight" {
			t.Errorf("got %q", got)
		}
		p.drop(io.ErrUnexpectedEOF)
		if f := n.socket(2).expect("subscribe").Subscription; f.Options.From != 6 {
			t.Errorf("resumed from %d", f.Options.From)
		}
	})
}

func TestCutOffSnapshotBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		w := watch(c, client.LiveOptions{})
		defer w.end()
		p := n.socket(0)
		id := p.expect("subscribe").Subscription.ID
		p.ack(id, true, false)
		p.batch(id, true, note(1, 10, "a"))
		p.expect("next_batch")
		p.drop(io.EOF)
		p = n.socket(1)
		f := p.expect("subscribe").Subscription
		if f.Options.HasFrom {
			t.Errorf("resumed from %d", f.Options.From)
		}
		p.ack(f.ID, false, false)
		p.batch(f.ID, false, note(2, 11, "b"))
		if got := w.last(); got != "2=b" {
			t.Errorf("got %q", got)
		}
	})
}

func TestSlowConsumerOnTheServerIsInvisible(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		p.insert(id, note(2, 11, "two"))
		p.send(&wire.ServerFrame{Type: "error", SubscriptionID: id, Code: wire.CodeSlowConsumer, Message: "too slow", LastSeqID: 11, HasLastSeqID: true})
		f := p.expect("subscribe").Subscription
		if f.ID == id || f.Options.From != 11 {
			t.Errorf("got %+v %+v", f, f.Options)
		}
		p.ack(f.ID, false, false)
		p.batch(f.ID, false)
		p.insert(f.ID, note(3, 12, "three"))
		if got := w.last(); got != "1=one 2=two 3=three" {
			t.Errorf("got %q", got)
		}
		if n.dials() != 1 {
			t.Errorf("%d sockets", n.dials())
		}
	})
}

func TestSameQueryTwiceStaysApart(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		w2 := watch(c, client.LiveOptions{})
		id2 := p.expect("subscribe").Subscription.ID
		if id2 == id {
			t.Fatal("the same id")
		}
		p.ack(id2, false, false)
		p.batch(id2, false)
		p.insert(id2, note(9, 20, "nine"))
		if a, b := w.last(), w2.last(); a != "1=one" || b != "9=nine" {
			t.Errorf("got %q and %q", a, b)
		}
		w2.end()
		if got := p.expect("unsubscribe").SubscriptionID; got != id2 {
			t.Errorf("unsubscribed %q", got)
		}
		p.insert(id, note(2, 21, "two"))
		if got := w.last(); got != "1=one 2=two" {
			t.Errorf("got %q", got)
		}
	})
}

// A07, A20: the provider is asked at every connect, and the old token is gone.
func TestReconnectAsksTheProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := &asked{fn: func(_ context.Context, i int) (auth.Auth, error) {
			return auth.JWT(jwt("alice", i, time.Now(), time.Hour)), nil
		}}
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		ask(t, c)
		w := watch(c, client.LiveOptions{})
		defer w.end()
		s := n.socket(0)
		s.expect("subscribe")
		s.drop(io.EOF)
		s2 := n.socket(1)
		s2.expect("subscribe")
		if p.count() != 3 || s.signed[0] == s2.signed[0] {
			t.Errorf("%d calls", p.count())
		}
	})
}

// A14, A18: expired tokens on the socket never end a live query while the
// provider has others.
func TestExpiredSocketsComeBack(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		for i := 1; i <= 20; i++ {
			time.Sleep(time.Minute)
			n.locked(func() { n.revoked[p.signed[0]] = true })
			p.send(&wire.ServerFrame{Type: "auth_error", Code: wire.CodeTokenExpired, Message: "Invalid credentials"})
			p = n.socket(i)
			f := p.expect("subscribe").Subscription
			p.ack(f.ID, false, false)
			p.batch(f.ID, false)
		}
		if w.last() != "1=one" || n.logins != 1 || n.refreshes != 20 {
			t.Errorf("%q, %d logins, %d refreshes", w.last(), n.logins, n.refreshes)
		}
	})
}

// A token that is refused again is final; the next call starts afresh (A16).
func TestTokenRefusedTwiceEndsLiveQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		good := false
		tok := jwt("alice", 1, time.Now(), time.Hour)
		p := &asked{fn: func(context.Context, int) (auth.Auth, error) {
			if good {
				return auth.JWT(jwt("alice", 2, time.Now(), time.Hour)), nil
			}
			return auth.JWT(tok), nil
		}}
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		n.revoked[tok] = true
		w := watch(c, client.LiveOptions{})
		<-w.done
		if !errors.Is(w.err, client.ErrUnauthenticated) || p.count() != 2 || n.dials() != 2 {
			t.Errorf("got %v after %d calls and %d sockets", w.err, p.count(), n.dials())
		}
		good = true
		w = watch(c, client.LiveOptions{})
		n.socket(2).expect("subscribe")
		w.end()
	})
}

func TestUnknownAuthErrorIsNotFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, auth.Static(auth.JWT(jwt("alice", 1, time.Now(), 0))), client.Options{})
		defer c.Close()
		w := watch(c, client.LiveOptions{})
		defer w.end()
		for i := range 5 {
			p := n.socket(i)
			p.ack(p.expect("subscribe").Subscription.ID, false, false)
			p.send(&wire.ServerFrame{Type: "auth_error", Code: "MOON_PHASE", Message: "not now"})
		}
		n.socket(5).expect("subscribe")
		n.locked(func() { n.moody = "MOON_PHASE" })
		n.socket(5).drop(io.EOF)
		n.socket(15)
		n.locked(func() { n.moody = "" })
		for i := 15; i < 25; i++ {
			n.socket(i)
			if synctest.Wait(); len(n.socket(i).out) > 0 {
				return
			}
		}
		t.Error("the client does not sign in any more")
	})
}

func TestIdentityChangeEndsLiveQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		user := "alice"
		p := &asked{fn: func(_ context.Context, i int) (auth.Auth, error) {
			return auth.JWT(jwt(user, i, time.Now(), time.Hour)), nil
		}}
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		w := watch(c, client.LiveOptions{})
		s := n.socket(0)
		id := s.expect("subscribe").Subscription.ID
		s.ack(id, false, false)
		s.batch(id, false, note(1, 10, "hers"))
		w.last()
		user = "bob"
		s.drop(io.EOF)
		<-w.done
		if !errors.Is(w.err, client.ErrIdentityChanged) {
			t.Errorf("got %v", w.err)
		}
		w = watch(c, client.LiveOptions{})
		defer w.end()
		s = n.socket(1)
		if f := s.expect("subscribe"); f.Subscription.Options.HasFrom {
			t.Error("bob resumed where alice was")
		}
	})
}

func TestRowsOfTheFormerUserAreNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		user := "alice"
		p := &asked{fn: func(_ context.Context, i int) (auth.Auth, error) {
			return auth.JWT(jwt(user, i, time.Now(), time.Hour)), nil
		}}
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		busy := make(chan struct{})
		var events []client.EventType
		var last error
		done := make(chan struct{})
		go func() {
			defer close(done)
			for e, err := range c.Subscribe(context.Background(), "SELECT * FROM n", client.SubscribeOptions{}) {
				if last = err; err == nil {
					events = append(events, e.Type)
					<-busy
				}
			}
		}()
		s := n.socket(0)
		id := s.expect("subscribe").Subscription.ID
		s.ack(id, false, false)
		s.batch(id, false, note(1, 10, "hers"))
		s.insert(id, note(2, 11, "hers too"))
		synctest.Wait()
		user = "bob"
		s.drop(io.EOF)
		n.socket(1)
		synctest.Wait()
		close(busy)
		<-done
		if len(events) != 1 || events[0] != client.EventAck || !errors.Is(last, client.ErrIdentityChanged) {
			t.Errorf("saw %v, then %v", events, last)
		}
	})
}

func TestRenewalInBand(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		for range 50 {
			time.Sleep(59 * time.Minute)
			p.send(&wire.ServerFrame{Type: "auth_expiring", ExpiresIn: 60})
			synctest.Wait()
		}
		p.insert(id, note(2, 11, "two"))
		if got := w.last(); got != "1=one 2=two" {
			t.Errorf("got %q", got)
		}
		if n.dials() != 1 || len(p.signed) != 51 || n.logins != 1 || n.refreshes != 50 {
			t.Errorf("%d sockets, %d sign-ins, %d logins, %d refreshes", n.dials(), len(p.signed), n.logins, n.refreshes)
		}
	})
}

// An old server ignores a second authenticate: the next connection is signed in
// before the old one is let go.
func TestMakeBeforeBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.renews = false
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		w := watch(c, client.LiveOptions{})
		defer w.end()
		p := n.socket(0)
		id := p.expect("subscribe").Subscription.ID
		p.ack(id, false, false)
		p.batch(id, false, note(1, 10, "one"))
		w.last()
		n.locked(func() { n.dialErr = io.ErrUnexpectedEOF })
		time.Sleep(59*time.Minute + 30*time.Second)
		p.insert(id, note(2, 11, "two"))
		if got := w.last(); got != "1=one 2=two" {
			t.Fatalf("the old connection is gone: %q", got)
		}
		n.locked(func() { n.dialErr = nil })
		p2 := n.socket(1)
		f := p2.expect("subscribe").Subscription
		if f.Options.From != 11 || p2.signed[0] == p.signed[0] {
			t.Errorf("got %+v", f.Options)
		}
		<-p.closed
		p2.ack(f.ID, false, false)
		p2.insert(f.ID, note(3, 12, "three"))
		if got := w.last(); got != "1=one 2=two 3=three" {
			t.Errorf("got %q", got)
		}
	})
}

func TestLoginAsAnotherUserEndsLiveQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		cred := auth.Basic("alice", "Secret123!")
		p := auth.ProviderFunc(func(context.Context) (auth.Auth, error) { return cred, nil })
		c := scripted(t, n, p, client.Options{})
		defer c.Close()
		w := watch(c, client.LiveOptions{})
		n.socket(0).expect("subscribe")
		cred = auth.Basic("bob", "Secret456!")
		if _, err := c.Login(context.Background()); err != nil {
			t.Fatal(err)
		}
		<-w.done
		if !errors.Is(w.err, client.ErrIdentityChanged) {
			t.Errorf("got %v", w.err)
		}
	})
}

func TestRefusedSubscriptionIsTheCallersError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		w := watch(c, client.LiveOptions{})
		p := n.socket(0)
		id := p.expect("subscribe").Subscription.ID
		p.send(&wire.ServerFrame{Type: "error", SubscriptionID: "s99", Code: wire.CodeNotFound, Message: "not yours"})
		p.send(&wire.ServerFrame{Type: "error", SubscriptionID: id, Code: wire.CodeUnauthorized, Message: "no"})
		<-w.done
		var e *wire.Error
		if !errors.As(w.err, &e) || e.Code != wire.CodeUnauthorized || !errors.Is(w.err, client.ErrForbidden) {
			t.Errorf("got %v", w.err)
		}
	})
}

func TestUnreachableServerIsTheCallersErrorInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.dialErr = io.ErrUnexpectedEOF
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		began := time.Now()
		w := watch(c, client.LiveOptions{})
		<-w.done
		if took := time.Since(began); !errors.Is(w.err, client.ErrUnavailable) || took < 30*time.Second || took > 35*time.Second {
			t.Errorf("got %v after %v", w.err, took)
		}
	})
}

func TestAcceptedQueryWaitsForEver(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		n.locked(func() { n.dialErr = io.ErrUnexpectedEOF })
		p.drop(io.EOF)
		time.Sleep(48 * time.Hour)
		n.locked(func() { n.dialErr = nil })
		p = n.socket(1)
		f := p.expect("subscribe").Subscription
		if f.Options.From != 10 {
			t.Errorf("got %+v", f.Options)
		}
	})
}

func TestSilentServerIsLeft(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		n.locked(func() { p.silent = true })
		began := time.Now()
		n.socket(1).expect("subscribe")
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("noticed after %v", took)
		}
	})
}

func TestUnusedSocketIsClosed(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		w.end()
		<-p.closed
		w2 := watch(c, client.LiveOptions{})
		n.socket(1).expect("subscribe")
		w2.end()
	})
}

func TestCloseEndsLiveQueries(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		c.Close()
		<-w.done
		if !errors.Is(w.err, client.ErrClosed) {
			t.Errorf("got %v", w.err)
		}
		select {
		case <-p.closed:
		default:
			t.Error("the socket is open")
		}
		for _, err := range c.Live(context.Background(), "SELECT 1", client.LiveOptions{}) {
			if !errors.Is(err, client.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestContextEndsALiveQuery(t *testing.T) {
	live(t, func(t *testing.T, n *network, c *client.Client, w *watcher, p *socketPair, id string) {
		if err := w.end(); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		p.expect("unsubscribe")
	})
}

// A consumer that does not come back in two seconds is taken off the server,
// and misses nothing: the others go on meanwhile.
func TestBusyConsumerSleepsAndResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{QueueSize: 4})
		defer c.Close()
		busy := make(chan struct{})
		var ids []int64
		done := make(chan struct{})
		ctx, stop := context.WithCancel(context.Background())
		go func() {
			defer close(done)
			for e, err := range c.Subscribe(ctx, "SELECT * FROM n", client.SubscribeOptions{}) {
				if err != nil {
					return
				}
				for _, r := range e.Rows {
					ids = append(ids, r.Int("id"))
				}
				if len(ids) == 1 {
					<-busy
				}
			}
		}()
		p := n.socket(0)
		id := p.expect("subscribe").Subscription.ID
		p.ack(id, false, false)
		p.batch(id, false, note(1, 1, "x"))
		for i := int64(2); i <= 20; i++ {
			p.insert(id, note(i, i, "x"))
		}
		if f := p.expect("unsubscribe"); f.SubscriptionID != id {
			t.Fatalf("got %+v", f)
		}
		w := watch(c, client.LiveOptions{})
		defer w.end()
		id2 := p.expect("subscribe").Subscription.ID
		p.ack(id2, false, false)
		p.batch(id2, false, note(5, 5, "five"))
		if got := w.last(); got != "5=five" {
			t.Errorf("the other one waits: %q", got)
		}
		close(busy)
		f := p.expect("subscribe").Subscription
		if f.Options.From != 6 { // 1 is taken, 2 to 5 were queued, 6 was held
			t.Errorf("resumed from %d", f.Options.From)
		}
		p.ack(f.ID, false, false)
		p.batch(f.ID, false)
		for i := int64(7); i <= 9; i++ {
			p.insert(f.ID, note(i, i, "x"))
		}
		synctest.Wait()
		stop()
		<-done
		want := int64(1)
		for _, got := range ids {
			if got != want {
				t.Fatalf("got %v", ids)
			}
			want++
		}
		if want != 10 {
			t.Errorf("got %v", ids)
		}
	})
}

// An event that waits for room when the connection is lost is not lost.
func TestHeldEventSurvivesALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{QueueSize: 1})
		defer c.Close()
		busy := make(chan struct{})
		var ids []int64
		done := make(chan struct{})
		ctx, stop := context.WithCancel(context.Background())
		go func() {
			defer close(done)
			for e, err := range c.Subscribe(ctx, "SELECT * FROM n", client.SubscribeOptions{}) {
				if err != nil {
					return
				}
				for _, r := range e.Rows {
					ids = append(ids, r.Int("id"))
				}
				if len(ids) == 1 {
					<-busy
				}
			}
		}()
		p := n.socket(0)
		id := p.expect("subscribe").Subscription.ID
		p.ack(id, false, false)
		p.batch(id, false, note(1, 1, "x"))
		p.insert(id, note(2, 2, "x"))
		p.insert(id, note(3, 3, "x"))
		synctest.Wait()
		p.drop(io.EOF)
		w := watch(c, client.LiveOptions{})
		defer w.end()
		time.Sleep(5 * time.Second) // held until the silence is noticed
		close(busy)
		synctest.Wait()
		time.Sleep(30 * time.Second)
		stop()
		<-done
		if len(ids) != 3 || ids[2] != 3 {
			t.Errorf("got %v", ids)
		}
	})
}

func TestLimitKeepsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		w := watch(c, client.LiveOptions{Limit: 2, Key: []string{"id"}})
		defer w.end()
		p := n.socket(0)
		f := p.expect("subscribe").Subscription
		if f.Options.LastRows != 2 {
			t.Errorf("got %+v", f.Options)
		}
		p.ack(f.ID, false, false)
		p.batch(f.ID, false, note(1, 1, "a"), note(2, 2, "b"))
		p.insert(f.ID, note(3, 3, "c"))
		if got := w.last(); got != "2=b 3=c" {
			t.Errorf("got %q", got)
		}
	})
}

func TestMissingKeyIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c := scripted(t, n, alice, client.Options{})
		defer c.Close()
		w := watch(c, client.LiveOptions{Key: []string{"nope"}})
		p := n.socket(0)
		id := p.expect("subscribe").Subscription.ID
		p.ack(id, false, false)
		p.batch(id, false, note(1, 1, "a"))
		<-w.done
		if w.err == nil || !strings.Contains(w.err.Error(), "key") {
			t.Errorf("got %v", w.err)
		}
	})
}
