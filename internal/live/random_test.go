package live_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/testsize"
	"github.com/kalamdb/kalam-go/wire"
)

// TestSubscribersEndWithTheRowsOfTheTable lets writers change rows at random
// while subscribers come, go and resume, and compares what the subscribers have
// at the end with what the acknowledged statements made. KALAM_LIVE_CHANGES is
// the number of changes.
func TestSubscribersEndWithTheRowsOfTheTable(t *testing.T) {
	endWithTheRows(t, testsize.Of(t, "KALAM_LIVE_CHANGES", 3000), len(filters), "chat.board", "chat.mine")
}

// TestLoneSubscriberEndsWithTheRowsOfTheTable is the same with one subscriber,
// so that most of the time the server has none.
func TestLoneSubscriberEndsWithTheRowsOfTheTable(t *testing.T) {
	endWithTheRows(t, testsize.Of(t, "KALAM_LIVE_CHANGES", 3000), 1, "chat.board")
}

// endWithTheRows watches each table with the first n filters.
func endWithTheRows(t *testing.T, changes, n int, tables ...string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := servertest.Start(t, servertest.Options{})
	admin, alice := signIn(t, s, "admin"), signIn(t, s, "alice")
	admin.run("CREATE SHARED TABLE chat.board (id INT PRIMARY KEY, n INT, t TEXT) WITH (ACCESS_LEVEL='public')")
	admin.run("CREATE TABLE chat.mine (id INT PRIMARY KEY, n INT, t TEXT) WITH (TYPE='USER')")

	var writing, watching sync.WaitGroup
	models := make(map[string]*model)
	for _, table := range tables {
		models[table] = newModel()
	}
	const writers = 4
	for w := range writers {
		for table, m := range models {
			by := alice
			if table == "chat.board" {
				by = admin
			}
			writing.Go(func() {
				write(by, table, m, w, changes/writers/len(tables), rand.New(rand.NewPCG(seed, uint64(w))))
			})
		}
	}
	stop := make(chan struct{})
	var subscribers []*subscriber
	for i, f := range filters[:n] {
		for table := range models {
			sub := &subscriber{t: t, s: s, token: alice.token, table: table, filter: f, stop: stop, random: rand.New(rand.NewPCG(seed, uint64(100+i)))}
			subscribers = append(subscribers, sub)
			watching.Go(sub.follow)
		}
	}
	writing.Wait()
	close(stop)
	// The last row tells a subscriber that everything before it has come.
	admin.run(fmt.Sprintf("INSERT INTO chat.board (id, n, t) VALUES (%d, 0, 'in end')", lastRow))
	alice.run(fmt.Sprintf("INSERT INTO chat.mine (id, n, t) VALUES (%d, 0, 'in end')", lastRow))
	watching.Wait()

	resumes, resets := 0, 0
	for _, sub := range subscribers {
		resumes += sub.resumes
		resets += sub.resets
		want := map[int]string{}
		for id, r := range models[sub.table].rows {
			if sub.filter.match(r) {
				want[id] = fmt.Sprint(r.n, " ", r.t)
			}
		}
		delete(sub.rows, lastRow)
		if !maps.Equal(sub.rows, want) {
			t.Errorf("%s WHERE %s: after %d resumes the subscriber has %d rows, the table %d: %s", sub.table, sub.filter.sql, sub.resumes, len(sub.rows), len(want), difference(sub.rows, want))
		}
	}
	if resumes == 0 {
		t.Error("no subscriber ever resumed")
	}
	t.Logf("%d resumes, %d resets", resumes, resets)
}

const lastRow = 1_000_000

// difference names the rows that only one of two sets has.
func difference(got, want map[int]string) string {
	var out []string
	for id, v := range got {
		if want[id] != v {
			out = append(out, fmt.Sprintf("%d is %q, want %q", id, v, want[id]))
		}
	}
	for id, v := range want {
		if _, ok := got[id]; !ok {
			out = append(out, fmt.Sprintf("%d is missing, want %q", id, v))
		}
	}
	return strings.Join(out[:min(len(out), 10)], "; ")
}

// filters are the live queries, in SQL and as the test means them. Each holds
// the last row.
var filters = []struct {
	sql   string
	match func(row) bool
}{
	{"true", func(row) bool { return true }},
	{"t LIKE 'in%'", func(r row) bool { return strings.HasPrefix(r.t, "in") }},
	{"n < 50 AND t <> 'x'", func(r row) bool { return r.n < 50 && r.t != "x" }},
	{"n BETWEEN 20 AND 60 OR n = 0", func(r row) bool { return r.n >= 20 && r.n <= 60 || r.n == 0 }},
	{"id % 3 = 1 OR id IN (5, 6) OR NOT n > 10", func(r row) bool { return r.id%3 == 1 || r.id == 5 || r.id == 6 || r.n <= 10 }},
}

type row struct {
	id, n int
	t     string
}

// model is the table as the acknowledged statements made it. Each writer has
// ids of its own, so that what it does needs no order with the others.
type model struct {
	mu   sync.Mutex
	rows map[int]row
}

func newModel() *model { return &model{rows: map[int]row{}} }

// apply changes the model as a statement changed the table.
func (m *model) apply(change func(map[int]row)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m.rows)
}

// write makes n random changes with ids of its own.
func write(by *user, table string, m *model, w, n int, random *rand.Rand) {
	ids := map[int]row{} // of this writer
	next := 0
	someID := func() int {
		for id := range ids {
			return id
		}
		return -1
	}
	newID := func() int { next++; return next*8 + w }
	one := func() (string, func(map[int]row)) {
		r := row{n: random.IntN(100), t: []string{"in", "out", "x", "in it"}[random.IntN(4)]}
		switch k := random.IntN(10); {
		case k < 4 || len(ids) == 0:
			r.id = newID()
			return fmt.Sprintf("INSERT INTO %s (id, n, t) VALUES (%d, %d, '%s')", table, r.id, r.n, r.t), func(rows map[int]row) { rows[r.id] = r }
		case k < 7:
			r.id = someID()
			return fmt.Sprintf("UPDATE %s SET n = %d, t = '%s' WHERE id = %d", table, r.n, r.t, r.id), func(rows map[int]row) { rows[r.id] = r }
		case k < 8:
			from := someID()
			r.id = newID()
			return fmt.Sprintf("UPDATE %s SET id = %d, n = %d, t = '%s' WHERE id = %d", table, r.id, r.n, r.t, from),
				func(rows map[int]row) { delete(rows, from); rows[r.id] = r }
		case k < 9:
			step := random.IntN(9) - 4
			return fmt.Sprintf("UPDATE %s SET n = n + %d WHERE id %% 8 = %d AND n > 90", table, step, w), func(rows map[int]row) {
				for id, r := range rows {
					if id%8 == w && r.n > 90 {
						r.n += step
						rows[id] = r
					}
				}
			}
		default:
			id := someID()
			return fmt.Sprintf("DELETE FROM %s WHERE id = %d", table, id), func(rows map[int]row) { delete(rows, id) }
		}
	}
	for done := 0; done < n; {
		switch random.IntN(8) {
		case 0: // a transaction that commits
			var texts []string
			var changes []func(map[int]row)
			for range 1 + random.IntN(5) {
				text, change := one()
				texts, changes = append(texts, text), append(changes, change)
				change(ids)
			}
			by.run("BEGIN; " + strings.Join(texts, "; ") + "; COMMIT")
			m.apply(func(rows map[int]row) {
				for _, change := range changes {
					change(rows)
				}
			})
			done += len(texts)
		case 1: // one that does not
			text, _ := one()
			by.run("BEGIN; " + text + "; ROLLBACK")
			done++
		case 2: // and one that fails
			text, _ := one()
			by.fail("BEGIN; " + text + "; SELECT 1/0; COMMIT")
			done++
		default:
			text, change := one()
			change(ids)
			by.run(text)
			m.apply(change)
			done++
		}
	}
}

// subscriber keeps the rows of a live query, over as many sockets as it takes.
type subscriber struct {
	t      *testing.T
	s      *servertest.Server
	token  string
	table  string
	filter struct {
		sql   string
		match func(row) bool
	}
	stop   chan struct{}
	random *rand.Rand

	rows            map[int]string
	position        int64
	resumes, resets int
}

// follow reads until it has seen the last row, and now and then breaks off and
// resumes.
func (b *subscriber) follow() {
	b.rows = map[int]string{}
	for first := true; ; first = false {
		if !first {
			b.resumes++
		}
		quit := 1 + b.random.IntN(150)
		select {
		case <-b.stop:
			quit = 0 // stay to the end
		default:
		}
		if b.once(quit) {
			return
		}
	}
}

// once opens a socket and takes frames until the last row has come (then it is
// true), or quit frames have.
func (b *subscriber) once(quit int) bool {
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	c := connect(b.t, ctx, b.s, b.token)
	if c == nil {
		return true
	}
	defer c.CloseNow()
	options := `{"batch_size":7}`
	if b.position > 0 {
		options = fmt.Sprintf(`{"from":%d}`, b.position)
	}
	sql := "SELECT id, n, t FROM " + b.table + " WHERE " + b.filter.sql
	frame := `{"type":"subscribe","subscription":{"id":"a","sql":` + string(wire.AppendString(nil, sql)) + `,"options":` + options + `}}`
	if err := c.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		b.t.Error(err)
		return true
	}
	loading := b.position == 0
	var last int64
	for n := 0; quit == 0 || n < quit; n++ {
		_, data, err := c.Read(ctx)
		if err != nil {
			b.t.Errorf("%s WHERE %s: %v", b.table, b.filter.sql, err)
			return true
		}
		f, err := wire.DecodeServerFrame(data)
		if err != nil {
			b.t.Errorf("%v: %s", err, data)
			return true
		}
		switch f.Type {
		case "subscription_ack":
			if f.Reset {
				b.resets++
			}
			if f.Reset || loading {
				clear(b.rows)
			}
		case "initial_data_batch":
			for _, r := range f.Rows {
				id := int(cell(r, "id").Int())
				if _, twice := b.rows[id]; twice {
					b.t.Errorf("%s WHERE %s: row %d came twice in a snapshot", b.table, b.filter.sql, id)
				}
				b.rows[id] = text(r)
			}
			if !f.BatchControl.HasMore {
				b.position, loading = f.BatchControl.LastSeqID, false
				last = max(last, b.position)
			}
		case "change":
			row := append(f.Rows, f.OldValues...)[0]
			seq, _ := strconv.ParseInt(cell(row, "_seq").Text(), 10, 64)
			if seq <= last {
				b.t.Errorf("%s WHERE %s: position %d after %d: %s", b.table, b.filter.sql, seq, last, data)
			}
			last, b.position = seq, seq
			id := int(cell(row, "id").Int())
			_, known := b.rows[id]
			if known == (f.ChangeType == "insert") {
				b.t.Errorf("%s WHERE %s: %s of row %d, which the subscriber has: %v", b.table, b.filter.sql, f.ChangeType, id, known)
			}
			if f.ChangeType == "delete" {
				delete(b.rows, id)
			} else {
				b.rows[id] = text(row)
			}
		default:
			b.t.Errorf("got %s", data)
			return true
		}
		if _, done := b.rows[lastRow]; done && !loading {
			return true
		}
	}
	if loading {
		b.position = 0 // half a snapshot is none
	}
	return false
}

func cell(r wire.Row, name string) wire.Value {
	for i, n := range r.Names {
		if n == name {
			return r.Values[i]
		}
	}
	return wire.Null
}

func text(r wire.Row) string { return fmt.Sprint(cell(r, "n").Int(), " ", cell(r, "t").Text()) }
