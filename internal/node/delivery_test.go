package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/testsize"
	"github.com/kalamdb/kalam-go/wire"
)

// queries are the live queries of the delivery test, in SQL and as the test
// means them. The marks of all authors it needs pass each.
var queries = []struct {
	cols, where string
	match       func(id int, c cells) bool
	only        int // the author whose rows alone it has; -1: all
}{
	{"*", "", func(int, cells) bool { return true }, -1},
	{"id, n, t", "w = 2", func(_ int, c cells) bool { return c.owner == 2 }, 2},
	{"id, n, t", "id < 0 OR t LIKE 'in%'", func(_ int, c cells) bool { return !c.noT && strings.HasPrefix(c.t, "in") }, -1},
	{"id, n, t", "id < 0 OR n < 50 AND t <> 'x'", func(_ int, c cells) bool { return !c.noN && !c.noT && c.n < 50 && c.t != "x" }, -1},
	{"t, n, id", "id < 0 OR n IS NULL OR t ILIKE 'in'", func(_ int, c cells) bool { return c.noN || !c.noT && strings.EqualFold(c.t, "in") }, -1},
	{"id, n, t", "w = 1 AND (n BETWEEN 20 AND 60 OR n IN (1, 2, 3) OR id < 0)", func(_ int, c cells) bool {
		return c.owner == 1 && !c.noN && (c.n >= 20 && c.n <= 60 || c.n >= 1 && c.n <= 3)
	}, 1},
	{"id, n, t", "id < 0 OR NOT (coalesce(n, -1) % 3 = 1)", func(_ int, c cells) bool {
		if c.noN {
			return true
		}
		return c.n%3 != 1
	}, -1},
}

// TestEveryChangeIsDeliveredOnce lets authors change rows at random while
// subscribers watch over connections that are cut, stall and lose parts of
// frames, and while the server is killed once. After each transaction that a
// subscriber has seen its rows must be those that the acknowledged statements
// made; nothing is read back from the server to know them.
// KALAM_DELIVERY_CHANGES is the number of changes.
func TestEveryChangeIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	changes := testsize.Of(t, "KALAM_DELIVERY_CHANGES", 4000)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	server := serve(t, dir)
	admin, alice := server.login("admin"), server.login("alice")
	server.conn(admin).must(t, "CREATE NAMESPACE d",
		"CREATE SHARED TABLE d.board (id INT PRIMARY KEY, w INT, n INT, t TEXT) WITH (ACCESS_LEVEL='public')",
		"CREATE USER TABLE d.mine (id INT PRIMARY KEY, w INT, n INT, t TEXT)")
	var mu sync.Mutex // guards server
	px := newProxy(t, strings.TrimPrefix(server.url, "http://"), seed)

	moved := make(chan struct{}) // closed when there is another server
	connect := func(token string, lost bool) *conn {
		if lost {
			<-moved
		}
		mu.Lock()
		defer mu.Unlock()
		return server.conn(token)
	}

	var writing, watching sync.WaitGroup
	var all []*author
	var done atomic.Int64
	half := make(chan struct{})
	var once sync.Once
	for i := range authors {
		for _, table := range []string{"d.board", "d.mine"} {
			a := &author{number: i, table: table}
			all = append(all, a)
			token := alice
			if table == "d.board" {
				token = admin
			}
			writing.Go(func() {
				defer once.Do(func() { close(half) })
				lost := false
				err := a.write(changes/authors/2, rand.New(rand.NewPCG(seed, uint64(i))), func() *conn {
					c := connect(token, lost)
					lost = true
					return c
				}, func(n int) {
					if done.Add(int64(n)) >= int64(changes/2) {
						once.Do(func() { close(half) })
					}
				})
				if err != nil {
					t.Errorf("author %d of %s: %v", i, table, err)
				}
			})
		}
	}
	of := func(table string) (out []*author) {
		for _, a := range all {
			if a.table == table {
				out = append(out, a)
			}
		}
		return out
	}
	finished := make(chan struct{})
	var watchers []*watcher
	for i := range queries {
		for _, table := range []string{"d.board", "d.mine"} {
			w := &watcher{t: t, url: px.url, token: alice, table: table, query: i, authors: of(table), finished: finished, rnd: rand.New(rand.NewPCG(seed, uint64(100+i)))}
			watchers = append(watchers, w)
			watching.Go(w.follow)
		}
	}
	lives := new(atomic.Int64)
	for _, table := range []string{"d.board", "d.mine"} {
		watching.Go(func() { followLive(t, px.url, alice, table, of(table), finished, lives) })
	}

	<-half
	server.kill()
	again := serve(t, dir)
	target := strings.TrimPrefix(again.url, "http://")
	px.target.Store(&target)
	mu.Lock()
	server = again
	close(moved)
	mu.Unlock()
	again.conn(admin).must(t, "ALTER TABLE d.board ADD COLUMN extra INT DEFAULT 7", "ALTER TABLE d.mine ADD COLUMN extra INT")
	writing.Wait()
	px.gentle.Store(true)
	px.cutAll()
	close(finished)
	// One more transaction each, so that nobody waits for what came before.
	for _, a := range all {
		c := again.conn(map[string]string{"d.board": admin, "d.mine": alice}[a.table])
		c.must(t, fmt.Sprintf("UPDATE %s SET n = %d WHERE id = %d", a.table, a.began(step{}), a.mark()))
	}
	watching.Wait()

	resumes, resets, checks := 0, 0, 0
	for _, w := range watchers {
		resumes, resets, checks = resumes+w.resumes, resets+w.resets, checks+w.checks
		if w.query == 0 && !w.extra {
			t.Errorf("%s: the schema of SELECT * never had the new column", w.table)
		}
	}
	t.Logf("%d changes, %d connections damaged, %d resumes, %d resets, %d transactions compared, %d live sets", done.Load(), px.damages.Load(), resumes, resets, checks, lives.Load())
	if resumes == 0 || resets == 0 || checks == 0 || px.damages.Load() == 0 {
		t.Error("the connections were too good, or nothing was compared")
	}
}

// watcher keeps the rows of a live query over as many sockets as it takes.
type watcher struct {
	t        *testing.T
	url      string
	token    string
	table    string
	query    int
	authors  []*author
	finished chan struct{}
	rnd      *rand.Rand

	rows     map[int]string // as they came
	position int64          // resume from here; 0: there is no whole snapshot
	extra    bool           // the schema has the new column

	seen     []int           // of each author: its last transaction that has come
	expected []map[int]cells // and its rows after it

	resumes, resets, checks int
	trace                   []string // what happened last, for messages
}

func (w *watcher) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
	w.trace = w.trace[max(0, len(w.trace)-20):]
}

func (w *watcher) name() string { return w.table + " WHERE " + queries[w.query].where }

func (w *watcher) errorf(format string, args ...any) {
	w.t.Errorf("%s: %s; before it %q", w.name(), fmt.Sprintf(format, args...), w.trace)
}

func (w *watcher) follow() {
	w.forget()
	for first := true; !w.t.Failed(); first = false {
		if !first && w.position > 0 {
			w.resumes++
		}
		if w.once() {
			return
		}
		if w.rnd.IntN(20) == 0 {
			w.position = 0 // begin again
		}
	}
}

// forget drops all rows.
func (w *watcher) forget() {
	n := len(w.authors)
	w.rows = map[int]string{}
	w.seen, w.expected = make([]int, n), make([]map[int]cells, n)
	for i := range n {
		w.expected[i] = map[int]cells{}
	}
}

// once opens a socket and takes frames until it is lost, or, when the authors
// have ended, all of their transactions have come: then it is true.
func (w *watcher) once() bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	idle := time.AfterFunc(time.Minute, cancel)
	defer idle.Stop()
	q := &queries[w.query]
	c, _, err := websocket.Dial(ctx, strings.Replace(w.url, "http", "ws", 1)+"/v1/ws?compress=false", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + w.token}},
	})
	if err != nil {
		select { // the server is down
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
		return w.timedOut(ctx, err)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	options := fmt.Sprintf(`{"batch_size":%d}`, []int{1 + w.rnd.IntN(30), 1000}[w.rnd.IntN(2)])
	if w.position > 0 {
		options = fmt.Sprintf(`{"from":%d}`, w.position)
	}
	sql := "SELECT " + q.cols + " FROM " + w.table
	if q.where != "" {
		sql += " WHERE " + q.where
	}
	frame := `{"type":"subscribe","subscription":{"id":"a","sql":` + string(wire.AppendString(nil, sql)) + `,"options":` + options + `}}`
	if err := c.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		return w.timedOut(ctx, err)
	}
	loading := w.position == 0
	w.note("subscribe %s with %d rows", options, len(w.rows))
	for {
		if !loading && w.complete() {
			return true
		}
		_, data, err := c.Read(ctx)
		if err != nil {
			return w.timedOut(ctx, err)
		}
		idle.Reset(time.Minute)
		f, err := wire.DecodeServerFrame(data)
		if err != nil && !json.Valid(data) {
			return false // the library takes the part of a frame before a cut for all of it
		}
		if err != nil {
			w.errorf("%v: %s", err, data)
			return true
		}
		switch f.Type {
		case "auth_success":
		case "subscription_ack":
			w.note("ack, reset %v", f.Reset)
			w.extra = w.extra || slices.ContainsFunc(f.Schema, func(f wire.Field) bool { return f.Name == "extra" })
			if f.Reset {
				w.resets++
				loading, w.position = true, 0
			}
			if loading {
				w.forget()
			}
		case "initial_data_batch":
			for _, r := range f.Rows {
				id := w.put(r)
				if id < 0 {
					w.seen[-id-1] = int(numberOf(r, "n"))
				}
			}
			w.note("batch %d of %d rows, %s at %d", f.BatchControl.BatchNum, len(f.Rows), f.BatchControl.Status, f.BatchControl.LastSeqID)
			if !f.BatchControl.HasMore && loading {
				loading, w.position = false, f.BatchControl.LastSeqID
				for i, a := range w.authors {
					a.replay(w.expected[i], 0, w.seen[i])
					w.compareAll(i)
				}
			}
		case "change":
			w.change(f, data)
		case "error":
			if f.Code != wire.CodeSlowConsumer {
				w.errorf("got %s", data)
			}
			return w.t.Failed()
		default:
			w.errorf("got %s", data)
			return true
		}
	}
}

func (w *watcher) timedOut(ctx context.Context, err error) bool {
	if ctx.Err() == nil {
		return false
	}
	w.errorf("nothing more comes: %v; seen %v", err, w.seen)
	return true
}

// put takes a row of a snapshot, each only once.
func (w *watcher) put(r wire.Row) int {
	id := int(numberOf(r, "id"))
	if _, twice := w.rows[id]; twice {
		w.errorf("row %d came twice in a snapshot", id)
	}
	w.rows[id] = textOf(r)
	return id
}

func (w *watcher) change(f *wire.ServerFrame, data []byte) {
	row := append(f.Rows, f.OldValues...)[0]
	seq := numberOf(row, "_seq")
	if seq <= w.position {
		w.errorf("position %d after %d: %s", seq, w.position, data)
	}
	w.position = seq
	id := int(numberOf(row, "id"))
	if !strings.HasPrefix(w.trace[len(w.trace)-1], "changes") {
		w.note("changes from %d", seq)
	}
	if _, known := w.rows[id]; known == (f.ChangeType == "insert") {
		w.errorf("%s of row %d, which the watcher has: %v: %s", f.ChangeType, id, known, data)
	}
	if f.ChangeType == "delete" {
		delete(w.rows, id)
		return
	}
	w.rows[id] = textOf(row)
	if id >= 0 {
		return
	}
	// A transaction has come whole.
	i, n := -id-1, int(numberOf(row, "n"))
	touched := w.authors[i].replay(w.expected[i], w.seen[i], n)
	w.seen[i] = n
	w.checks++
	for id := range touched {
		w.compare(i, id)
	}
}

// compare looks at one row.
func (w *watcher) compare(i, id int) {
	c, want := w.expected[i][id]
	want = want && queries[w.query].match(id, c)
	got, ok := w.rows[id]
	switch {
	case ok != want:
		w.errorf("after transaction %d of author %d row %d is there: %v, want %v: %q, %+v", w.seen[i], i, id, ok, want, got, c)
	case ok && got != c.text():
		w.errorf("after transaction %d of author %d row %d is %q, want %q", w.seen[i], i, id, got, c.text())
	}
}

// compareAll looks at all rows of an author.
func (w *watcher) compareAll(i int) {
	for id := range w.expected[i] {
		w.compare(i, id)
	}
	for id := range w.rows {
		if _, ok := w.expected[i][id]; !ok && id > 0 && id%authors == i {
			w.compare(i, id)
		}
	}
}

// complete reports whether all that the authors did has come, and compares it.
func (w *watcher) complete() bool {
	select {
	case <-w.finished:
	default:
		return false
	}
	for i, a := range w.authors {
		if only := queries[w.query].only; (only < 0 || only == i) && w.seen[i] < a.lastGood() {
			return false
		}
	}
	for i, a := range w.authors {
		if only := queries[w.query].only; only < 0 || only == i {
			clear(w.expected[i])
			a.replay(w.expected[i], 0, a.count())
			w.compareAll(i)
		}
	}
	return true
}

// lastGood is the last transaction that was not rolled back.
func (a *author) lastGood() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n := len(a.steps); n > 0; n-- {
		if !a.steps[n-1].void {
			return n
		}
	}
	return 0
}

func (c cells) text() string {
	n, t := fmt.Sprint(c.n), c.t
	if c.noN {
		n = "NULL"
	}
	if c.noT {
		t = "NULL"
	}
	return n + " " + t
}

func cellOf(r wire.Row, name string) wire.Value {
	if i := slices.Index(r.Names, name); i >= 0 {
		return r.Values[i]
	}
	return wire.Null
}

func numberOf(r wire.Row, name string) int64 {
	v := cellOf(r, name)
	if v.Tag() == wire.TagText {
		n, _ := strconv.ParseInt(v.Text(), 10, 64)
		return n
	}
	return v.Int()
}

func textOf(r wire.Row) string {
	n, t := cellOf(r, "n"), cellOf(r, "t")
	c := cells{n: int(n.Int()), t: t.Text(), noN: n.IsNull(), noT: t.IsNull()}
	return c.text()
}

// followLive keeps a live row set of the client, which hides what happens to
// connections, and compares the last one.
func followLive(t *testing.T, url, token, table string, of []*author, finished chan struct{}, sets *atomic.Int64) {
	c, err := client.New(url, auth.Static(auth.JWT(token)), client.Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	idle := time.AfterFunc(time.Minute, cancel)
	defer idle.Stop()
	for rows, err := range c.Live(ctx, "SELECT id, n, t FROM "+table, client.LiveOptions{}) {
		if err != nil {
			t.Errorf("live rows of %s: %v", table, err)
			return
		}
		sets.Add(1)
		idle.Reset(time.Minute)
		select {
		case <-finished:
		default:
			continue
		}
		got, seen := map[int]string{}, make([]int, len(of))
		for _, r := range rows {
			n, text := r.Value("n"), r.Value("t")
			id := int(r.Value("id").Int())
			if id < 0 {
				seen[-id-1] = int(n.Int())
				continue
			}
			got[id] = cells{n: int(n.Int()), t: text.Text(), noN: n.IsNull(), noT: text.IsNull()}.text()
		}
		want, whole := map[int]string{}, true
		for i, a := range of {
			whole = whole && seen[i] >= a.lastGood()
			all := map[int]cells{}
			a.replay(all, 0, a.count())
			for id, c := range all {
				want[id] = c.text()
			}
		}
		if !whole {
			continue
		}
		for id := range want {
			if got[id] != want[id] {
				t.Errorf("live rows of %s: row %d is %q, want %q", table, id, got[id], want[id])
			}
		}
		if len(got) != len(want) {
			t.Errorf("live rows of %s: %d rows, want %d", table, len(got), len(want))
		}
		return
	}
}
