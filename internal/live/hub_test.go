package live_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

const patience = 30 * time.Second

// hub is a hub on a database of its own.
type hub struct {
	*live.Hub
	t      *testing.T
	engine *engine.Engine
	db     *store.DB
	log    *strings.Builder // what is logged; read it when the hub is closed
}

func startHub(t *testing.T, o live.Options) *hub {
	t.Helper()
	return startHubOn(t, store.Options{}, o)
}

// startHubOn is startHub on a database with options.
func startHubOn(t *testing.T, stored store.Options, o live.Options) *hub {
	t.Helper()
	driver, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), driver, stored)
	if err != nil {
		t.Fatal(err)
	}
	users, err := identity.New(db, identity.Options{KeyDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	log := new(strings.Builder)
	e := engine.New(db, users, engine.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	h := &hub{live.New(db, e, o), t, e, db, log}
	t.Cleanup(func() {
		h.Close()
		users.Close()
		db.Close()
	})
	if err := db.AddSystem(t.Context(), h.System()); err != nil {
		t.Fatal(err)
	}
	h.run("root", "CREATE NAMESPACE app")
	h.run("root", "CREATE SHARED TABLE app.board (id INT PRIMARY KEY, body TEXT) WITH (ACCESS_LEVEL = 'public')")
	h.run("root", "CREATE USER TABLE app.mine (id INT PRIMARY KEY, body TEXT)")
	return h
}

func principal(user string) *identity.Principal {
	role := identity.RoleUser
	if user == "root" {
		role = identity.RoleSystem
	}
	return &identity.Principal{UserID: user, Role: role, Issuer: identity.Issuer}
}

func (h *hub) run(user, sql string) []wire.Result {
	h.t.Helper()
	res, err := h.engine.Run(context.Background(), principal(user), &wire.Request{SQL: sql})
	if err != nil {
		h.t.Fatalf("%s: %s: %v", user, sql, err)
	}
	return res
}

// subscribe starts a live query without a snapshot and waits until it has
// joined.
func (h *hub) subscribe(user, sql string) *outlet {
	h.t.Helper()
	o := &outlet{t: h.t}
	o.resume(h, user, sql, nil)
	return o
}

func (o *outlet) resume(h *hub, user, sql string, options *wire.SubscribeOptions) {
	h.t.Helper()
	sub, err := h.Subscribe(context.Background(), principal(user), &wire.Subscription{ID: "a", SQL: sql, Options: options}, o)
	if err != nil {
		h.t.Fatal(err)
	}
	o.sub = sub
	h.t.Cleanup(sub.End)
	o.wait(func() bool { return len(o.frames) > 0 })
	h.until(func() bool { return !strings.Contains(h.statuses(), "loading") })
}

// statuses are those of all live queries.
func (h *hub) statuses() string {
	var out []string
	for _, row := range h.Rows() {
		out = append(out, row[8].Text())
	}
	return strings.Join(out, " ")
}

// kill ends a live query as an administrator does.
func (h *hub) kill(id string) { h.run("root", "KILL LIVE QUERY '"+id+"'") }

func (h *hub) until(holds func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatal("what the test waits for does not happen")
		}
	}
}

// outlet is a socket's queue that takes everything.
type outlet struct {
	t      *testing.T
	sub    *live.Subscription
	mu     sync.Mutex
	frames []string // mu guards them
	panics bool     // when something is pushed
	hold   func()   // called before something is pushed; nil for none
}

func (o *outlet) add(f *live.Frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frames = append(o.frames, string(f.JSON))
}

func (o *outlet) Push(_ *live.Subscription, f *live.Frame) bool {
	if o.panics {
		panic("a bug in the queue")
	}
	if o.hold != nil {
		o.hold()
	}
	o.add(f)
	return true
}
func (o *outlet) End(_ *live.Subscription, f *live.Frame)        { o.add(f) }
func (o *outlet) Pass(_ *live.Subscription, f *live.Frame) error { o.add(f); return nil }
func (o *outlet) Turn(context.Context) (func(), error)           { return func() {}, nil }
func (o *outlet) Waiting(*live.Subscription) live.Waiting        { return live.Waiting{} }
func (o *outlet) wait(holds func() bool) {
	o.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		o.mu.Lock()
		ok := holds()
		o.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("what the test waits for does not come; there is %.2000q", o.frames)
		}
	}
}

// changes waits for n frames behind the acknowledgement and returns them.
func (o *outlet) changes(n int) []string {
	o.t.Helper()
	o.wait(func() bool { return len(o.frames) > n })
	return o.got()
}

// got is what came behind the acknowledgement so far.
func (o *outlet) got() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.frames[1:])
}

// slow is a filter that takes tens of milliseconds for each row.
const slow = "length(repeat(body, 40000)) > 0 AND NOT regexp_like(repeat(body, 40000), '(a|ab|b)*c$')"

// patient lets a live query take as long as it wants.
var patient = live.Options{EvaluationShare: time.Hour}

func TestSlowFilterDelaysNobodyElse(t *testing.T) {
	h := startHub(t, patient)
	mallory := h.subscribe("mallory", "SELECT id FROM app.board WHERE "+slow)
	more := h.subscribe("mallory", "SELECT body FROM app.board WHERE "+slow)
	alice := h.subscribe("alice", "SELECT id FROM app.board")
	private := h.subscribe("alice", "SELECT id FROM app.mine")
	const n = 100
	for i := range n {
		h.run("root", fmt.Sprintf("INSERT INTO app.board (id, body) VALUES (%d, 'ab')", i))
	}
	h.run("alice", "INSERT INTO app.mine (id, body) VALUES (1, 'ab')")
	alice.changes(n)
	private.changes(1)
	// Neither does it delay who comes, goes, looks or is ended.
	late := h.subscribe("bob", "SELECT id FROM app.board WHERE id > 1")
	late.sub.End()
	h.Rows()
	number := fmt.Sprint(more.sub.Number)
	h.kill(number)
	if got := len(mallory.got()); got >= n {
		t.Errorf("the slow filter has seen all %d rows before the others", got)
	}
	mallory.sub.End()
}

func TestFilterThatTakesTooLongEndsItsOwnSubscription(t *testing.T) {
	const endless = "NOT regexp_like(repeat(body, 4000000), '(a|ab|b)*c$')"
	for name, c := range map[string]struct {
		o             live.Options
		filter, cause string
	}{
		"one change":       {patient, endless, "for one change"},
		"the user's share": {live.Options{EvaluationShare: 100 * time.Nanosecond}, slow, "limits.live_evaluation_ms_per_sec"},
	} {
		t.Run(name, func(t *testing.T) {
			h := startHub(t, c.o)
			mallory := h.subscribe("mallory", "SELECT id FROM app.board WHERE "+c.filter)
			alice := h.subscribe("alice", "SELECT id FROM app.mine") // whose row nobody writes
			h.run("root", "INSERT INTO app.board (id, body) VALUES (1, 'ab')")
			got := mallory.changes(1)
			if !strings.Contains(got[0], `"code":"LIVE_QUERY_TOO_COSTLY"`) || !strings.Contains(got[0], c.cause) {
				t.Errorf("got %s", got[0])
			}
			if h.Len() != 1 || len(alice.got()) != 0 {
				t.Errorf("%d live queries are left, and alice has %q", h.Len(), alice.got())
			}
		})
	}
}

func TestShareOfAUserDoesNotComeBackBySubscribingAgain(t *testing.T) {
	h := startHub(t, live.Options{EvaluationShare: time.Microsecond})
	for i := range 3 {
		mallory := h.subscribe("mallory", "SELECT id FROM app.board WHERE "+slow)
		h.run("root", fmt.Sprintf("INSERT INTO app.board (id, body) VALUES (%d, 'ab')", i))
		if got := mallory.changes(1); !strings.Contains(got[0], "LIVE_QUERY_TOO_COSTLY") {
			t.Errorf("got %s", got[0])
		}
		cheap := h.subscribe("mallory", "SELECT id FROM app.board WHERE id = -1 OR false")
		h.run("root", fmt.Sprintf("INSERT INTO app.board (id, body) VALUES (%d, 'ab')", 100+i))
		if got := cheap.changes(1); !strings.Contains(got[0], "LIVE_QUERY_TOO_COSTLY") {
			t.Errorf("got %s", got[0])
		}
	}
}

// TestShareOfAUserDoesNotComeBackInCompany has two users who have used up their
// shares watch the same, alone and beside one who has not.
func TestShareOfAUserDoesNotComeBackInCompany(t *testing.T) {
	h := startHub(t, live.Options{EvaluationShare: 50 * time.Microsecond})
	for i, user := range []string{"mallory", "mate"} {
		o := h.subscribe(user, "SELECT id FROM app.board WHERE "+slow)
		h.run("root", fmt.Sprintf("INSERT INTO app.board (id, body) VALUES (%d, 'ab')", i))
		if got := o.changes(1); !strings.Contains(got[0], "LIVE_QUERY_TOO_COSTLY") {
			t.Fatalf("got %s", got[0])
		}
	}
	const watch = "SELECT id FROM app.board WHERE id > 0 OR false"
	mallory, mate := h.subscribe("mallory", watch), h.subscribe("mate", watch)
	h.run("root", "INSERT INTO app.board (id, body) VALUES (10, 'ab')")
	for _, o := range []*outlet{mallory, mate} {
		if got := o.changes(1); !strings.Contains(got[0], "LIVE_QUERY_TOO_COSTLY") {
			t.Errorf("got %s", got[0])
		}
	}
}

// TestWhoCannotPayLeavesTheOthers shares a query between a user who has used up
// the share and one who has not.
func TestWhoCannotPayLeavesTheOthers(t *testing.T) {
	h := startHub(t, live.Options{EvaluationShare: 30 * time.Millisecond})
	o := h.subscribe("mallory", "SELECT id FROM app.board WHERE "+slow)
	h.run("root", "INSERT INTO app.board (id, body) SELECT 1, 'ab'")
	for i := 2; len(o.got()) == 0; i++ {
		h.run("root", fmt.Sprintf("INSERT INTO app.board (id, body) VALUES (%d, 'ab')", i))
	}
	const watch = "SELECT id FROM app.board WHERE id >= 10000"
	h.subscribe("mallory", watch)
	alice := h.subscribe("alice", watch)
	const n = 30
	for i := range n {
		h.run("root", fmt.Sprintf("INSERT INTO app.board (id, body) VALUES (%d, 'ab')", 10000+i))
	}
	for i, f := range alice.changes(n) {
		if want := fmt.Sprintf(`"rows":[{"id":%d,`, 10000+i); !strings.Contains(f, want) {
			t.Fatalf("change %d is %s", i, f)
		}
	}
}

// TestEndedLiveQueryIsEvaluatedNoMore lets thousands of changes wait for a slow
// filter when its live query is ended, and when the hub closes.
func TestEndedLiveQueryIsEvaluatedNoMore(t *testing.T) {
	for _, end := range []string{"killed", "closed"} {
		t.Run(end, func(t *testing.T) {
			h := startHub(t, patient)
			mallory := h.subscribe("mallory", "SELECT id FROM app.board WHERE "+slow)
			rows := make([]string, 4000)
			for i := range rows {
				rows[i] = fmt.Sprintf("(%d, 'ab')", i)
			}
			h.run("root", "INSERT INTO app.board (id, body) VALUES "+strings.Join(rows, ", "))
			h.until(func() bool { return working() > 0 })
			if end == "killed" {
				h.kill(fmt.Sprint(mallory.sub.Number))
			} else {
				go h.Close()
			}
			h.until(func() bool { return working() == 0 })
		})
	}
}

// working is how many groups are being evaluated.
func working() int {
	stacks := make([]byte, 4<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "live.(*Hub).work(")
}

// TestOnePageForAllGroupsThatAreBehind lets many slow groups of one user fall
// behind at once.
func TestOnePageForAllGroupsThatAreBehind(t *testing.T) {
	h := startHub(t, patient)
	const groups = 150
	all := make([]*outlet, groups)
	for i := range all {
		all[i] = h.subscribe("mallory", fmt.Sprintf("SELECT id FROM app.board WHERE id <> -%d AND body <> '' AND NOT regexp_like(body, '(a|ab|b)*c$')", i+1))
	}
	const row = 500_000
	before := memory()
	h.run("root", fmt.Sprintf("INSERT INTO app.board (id, body) SELECT v, repeat('ab', %d) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8)) AS t (v)", row/2))
	h.until(func() bool {
		n := 0
		for _, o := range all {
			n += len(o.got())
		}
		return n >= 40
	})
	if got := memory() - before; got > groups*row/2 {
		t.Errorf("%d groups hold %d bytes", groups, got)
	}
	for _, o := range all {
		o.sub.End()
	}
}

// memory is how many bytes are in use.
func memory() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestGroupThatFallsBehindMissesNothing writes more than waits in memory for a
// slow filter.
func TestGroupThatFallsBehindMissesNothing(t *testing.T) {
	h := startHub(t, patient)
	const n = 60
	watch := "SELECT id FROM app.board WHERE body <> '' AND NOT regexp_like(body, '(a|ab|b)*c$')"
	slow, twin := h.subscribe("mallory", watch), h.subscribe("alice", watch)
	for i := range n {
		h.run("root", fmt.Sprintf("INSERT INTO app.board (id, body) VALUES (%d, repeat('ab', 100000))", i))
	}
	for _, o := range []*outlet{slow, twin} {
		o.changes(n)
		for i, f := range o.got() {
			if want := fmt.Sprintf(`"rows":[{"id":%d,`, i); !strings.Contains(f, want) {
				t.Fatalf("change %d is %s", i, f)
			}
		}
	}
	h.run("root", "INSERT INTO app.board (id, body) VALUES (1000, 'x')")
	if got := slow.changes(n + 1); !strings.Contains(got[n], `"id":1000`) || len(got) != n+1 {
		t.Errorf("got %d changes, the last %s", len(got), got[len(got)-1])
	}
}

func TestPanicEndsOneSubscription(t *testing.T) {
	h := startHub(t, live.Options{})
	const watch = "SELECT id FROM app.board"
	broken, alice := h.subscribe("mallory", watch), h.subscribe("alice", watch)
	broken.panics = true
	h.run("root", "INSERT INTO app.board (id, body) VALUES (1, 'x')")
	got := broken.changes(1)
	if !strings.Contains(got[0], `"code":"INTERNAL_ERROR"`) || !strings.Contains(got[0], "under id ") {
		t.Fatalf("got %s", got[0])
	}
	h.run("root", "INSERT INTO app.board (id, body) VALUES (2, 'x')")
	if got := alice.changes(2); len(got) != 2 {
		t.Errorf("got %q", got)
	}
	_, id, _ := strings.Cut(got[0], "under id ")
	id, _, _ = strings.Cut(id, `"`)
	alice.sub.End()
	h.Close()
	if !strings.Contains(h.log.String(), "id="+id) {
		t.Errorf("id %s is not in the log: %s", id, h.log)
	}
}

// TestPositionsDoNotTellWhenOthersWrite subscribes to what nobody changes,
// before and after others write.
func TestPositionsDoNotTellWhenOthersWrite(t *testing.T) {
	h := startHub(t, live.Options{})
	h.run("alice", "INSERT INTO app.mine (id, body) VALUES (1, 'x')")
	const watch = "SELECT id FROM app.mine"
	position := func(options *wire.SubscribeOptions) (string, bool) {
		o := &outlet{t: t}
		o.resume(h, "alice", watch, options)
		o.wait(func() bool { return strings.Contains(o.frames[len(o.frames)-1], `"ready"`) })
		last := o.frames[len(o.frames)-1]
		_, at, _ := strings.Cut(last, `"last_seq_id":`)
		at, _, _ = strings.Cut(at, "}")
		return at, strings.Contains(o.frames[0], `"reset":true`)
	}
	var before []string
	for _, o := range []*wire.SubscribeOptions{nil, {}, {LastRows: 1}, {BatchSize: 1}} {
		at, _ := position(o)
		before = append(before, at)
	}
	h.run("bob", "INSERT INTO app.mine (id, body) VALUES (1, 'x')")
	h.run("root", "INSERT INTO app.board (id, body) VALUES (1, 'x')")
	for i, o := range []*wire.SubscribeOptions{nil, {}, {LastRows: 1}, {BatchSize: 1}} {
		if at, _ := position(o); at != before[i] {
			t.Errorf("case %d: the position is %s, and was %s before others wrote", i, at, before[i])
		}
	}
	// A position that the server has not told is refused, however new it is:
	// otherwise asking for one after the other would tell.
	var own store.Seq
	fmt.Sscan(before[0], &own)
	if _, reset := position(&wire.SubscribeOptions{From: own, HasFrom: true}); reset {
		t.Error("the position that was told is not good to resume from")
	}
	if _, reset := position(&wire.SubscribeOptions{From: own + 1, HasFrom: true}); !reset {
		t.Error("a position that was never told is good to resume from")
	}
}

// A hub that the log is trimmed before has missed changes that it cannot know:
// its live queries start again with all their rows.
func TestTrimmedHubStartsLiveQueriesAgain(t *testing.T) {
	h := startHubOn(t, store.Options{RingBytes: 1, LogMaxSize: 1}, patient)
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	gate := &outlet{t: t, hold: func() { // called under the lock of the hub, which stands still
		once.Do(func() { close(held) })
		<-release
	}}
	gate.resume(h, "root", "SELECT id FROM app.board", nil)
	alice := h.subscribe("alice", "SELECT id FROM app.mine")
	h.run("root", "INSERT INTO app.board (id, body) VALUES (1, 'x')")
	<-held
	for i := range 5 {
		h.run("alice", fmt.Sprintf("INSERT INTO app.mine (id, body) VALUES (%d, 'x')", 100+i))
	}
	for more := true; more; {
		var err error
		if more, err = h.db.Trim(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	all := func() string { return strings.Join(alice.frames, "\n") }
	alice.wait(func() bool {
		for i := range 5 {
			if !strings.Contains(all(), fmt.Sprint(100+i)) {
				return false
			}
		}
		return true
	})
	// And they go on from there.
	h.run("alice", "INSERT INTO app.mine (id, body) VALUES (200, 'x')")
	h.run("root", "INSERT INTO app.board (id, body) VALUES (2, 'x')")
	alice.wait(func() bool { return strings.Contains(all(), "200") })
	gate.wait(func() bool { return strings.Contains(strings.Join(gate.frames, ""), `"id":2`) })
}
