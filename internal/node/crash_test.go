package node_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/internal/store/storetest"
	"github.com/kalamdb/kalam-go/internal/testsize"
	"github.com/kalamdb/kalam-go/wire"
)

// state is what one writer's rows must be: by table and id, the column n.
type state map[string]map[int64]int64

func (s state) clone() state {
	out := make(state)
	for table, rows := range s {
		out[table] = maps.Clone(rows)
	}
	return out
}

func (s state) equal(o state) bool {
	return maps.Equal(s["mine"], o["mine"]) && maps.Equal(s["ours"], o["ours"])
}

// writer changes rows of its own, in a table of its user and in a shared one.
type writer struct {
	id      int64
	rnd     *rand.Rand
	next    int64  // id of its next row
	sure    state  // what was acknowledged
	maybe   state  // what it is if the request without an answer was done; else nil
	lastSeq int64  // highest _seq that it was told
	failure string // an answer that it should not have got
}

func newWriter(id int64) *writer {
	return &writer{
		id: id, rnd: rand.New(rand.NewPCG(uint64(id), 7)), next: id * 1_000_000,
		sure: state{"mine": {}, "ours": {}},
	}
}

func ints(list ...int64) (out []wire.Value) {
	for _, n := range list {
		out = append(out, wire.IntValue(n))
	}
	return out
}

// step makes a request and says what it leads to.
func (w *writer) step() (*wire.Request, state) {
	after := w.sure.clone()
	insert := func(table string, n int) wire.Statement {
		s := wire.Statement{SQL: "INSERT INTO crash." + table + " (id, writer, n, body) VALUES "}
		for i := range n {
			if i > 0 {
				s.SQL += ", "
			}
			w.next++
			p := 3 * i
			s.SQL += fmt.Sprintf("($%d, $%d, $%d, 'a body of some length that fills the pages')", p+1, p+2, p+3)
			s.Params = append(s.Params, ints(w.next, w.id, int64(n))...)
			after[table][w.next] = int64(n)
		}
		s.SQL += " RETURNING _seq"
		return s
	}
	single := func(s wire.Statement) (*wire.Request, state) {
		return &wire.Request{SQL: s.SQL, Params: s.Params}, after
	}
	tables := [...]string{"mine", "ours"}
	table := tables[w.rnd.IntN(2)]
	switch w.rnd.IntN(7) {
	case 0, 1:
		return single(insert(table, 1))
	case 2:
		return single(insert(table, 2+w.rnd.IntN(9)))
	case 3: // two rows in two tables
		return &wire.Request{IsBatch: true, Statements: []wire.Statement{insert("mine", 1), insert("ours", 1)}}, after
	case 4: // rows move from one table to the other
		from, to := table, tables[0]
		if from == to {
			to = tables[1]
		}
		r := &wire.Request{IsBatch: true}
		for id := range w.sure[from] {
			r.Statements = append(r.Statements, wire.Statement{SQL: "DELETE FROM crash." + from + " WHERE id = $1", Params: ints(id)})
			delete(after[from], id)
			if len(r.Statements) == 3 {
				break
			}
		}
		r.Statements = append(r.Statements, insert(to, 1+len(r.Statements)))
		return r, after
	case 5:
		for id := range after[table] {
			after[table][id]++
		}
		return single(wire.Statement{SQL: "UPDATE crash." + table + " SET n = n + 1 WHERE writer = $1 RETURNING _seq", Params: ints(w.id)})
	}
	until := w.next - int64(w.rnd.IntN(40))
	for id := range after[table] {
		if id < until {
			delete(after[table], id)
		}
	}
	return single(wire.Statement{SQL: "DELETE FROM crash." + table + " WHERE writer = $1 AND id < $2", Params: ints(w.id, until)})
}

// run writes until the server is gone; acknowledged counts the answers.
func (w *writer) run(c *conn, acknowledged *atomic.Int64) {
	for {
		r, after := w.step()
		res, err := c.ask(context.Background(), r)
		if err != nil {
			var refused *wire.Error
			if errors.As(err, &refused) {
				w.failure = fmt.Sprintf("%s %v: %v", r.SQL, r.Statements, err)
			}
			w.maybe = after
			return
		}
		w.sure = after
		acknowledged.Add(1)
		before := w.lastSeq
		for _, one := range res {
			for _, row := range one.Rows {
				if seq := row[0].Int(); seq <= before {
					w.failure = fmt.Sprintf("_seq %d after %d", seq, before)
				} else {
					w.lastSeq = max(w.lastSeq, seq)
				}
			}
		}
	}
}

// settle compares what the server has with what the writer knows.
func (w *writer) settle(t *testing.T, c *conn) {
	t.Helper()
	if w.failure != "" {
		t.Errorf("writer %d: %s", w.id, w.failure)
	}
	got := state{"mine": {}, "ours": {}}
	for table := range got {
		res := c.must(t, fmt.Sprintf("SELECT id, n FROM crash.%s WHERE writer = %d", table, w.id))
		for _, row := range res.Rows {
			got[table][row[0].Int()] = row[1].Int()
		}
	}
	switch {
	case got.equal(w.sure):
	case w.maybe != nil && got.equal(w.maybe):
		w.sure = w.maybe
	default:
		t.Errorf("writer %d: after the crash the rows are neither those acknowledged nor those of the request under way\ngot          %v\nacknowledged %v\nunder way    %v",
			w.id, got, w.sure, w.maybe)
		w.sure = got
	}
	w.maybe = nil
}

// TestCrashKeepsWhatWasAcknowledged kills the server again and again while
// several connections write. KALAM_CRASH_ROUNDS sets how often.
func TestCrashKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	rounds := testsize.Of(t, "KALAM_CRASH_ROUNDS", 10)
	dir := t.TempDir()
	p := serve(t, dir)
	token := p.login("admin")
	c := p.conn(token)
	c.must(t, "CREATE NAMESPACE crash",
		"CREATE USER TABLE crash.mine (id BIGINT PRIMARY KEY, writer INT NOT NULL, n BIGINT NOT NULL, body TEXT)",
		"CREATE SHARED TABLE crash.ours (id BIGINT PRIMARY KEY, writer INT NOT NULL, n BIGINT NOT NULL, body TEXT)",
		"CREATE SHARED TABLE crash.probe (id BIGINT PRIMARY KEY)")
	var writers []*writer
	for i := range int64(6) {
		writers = append(writers, newWriter(i+1))
	}
	rnd := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for round := range rounds {
		var acknowledged atomic.Int64
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() { w.run(p.conn(token), &acknowledged) })
		}
		over := make(chan struct{})
		go func() {
			wg.Wait()
			close(over)
		}()
		// Some answers, and then some way into the next commit.
		for enough := 1 + rnd.Int64N(200); acknowledged.Load() < enough; {
			select {
			case <-over:
				for _, w := range writers {
					w.settle(t, c)
				}
				t.Fatalf("all writers ended by themselves: %s", p.logs.String())
			case <-time.After(time.Millisecond):
			}
		}
		<-time.After(time.Duration(rnd.IntN(5000)) * time.Microsecond)
		p.kill()
		wg.Wait()
		if round%2 == 1 {
			examine(t, dir)
		}
		p = serve(t, dir)
		c = p.conn(token) // a token outlives the crash too
		var last int64
		for _, w := range writers {
			w.settle(t, c)
			last = max(last, w.lastSeq)
		}
		probe := c.must(t, fmt.Sprintf("INSERT INTO crash.probe VALUES (%d) RETURNING _seq", round))
		if seq := probe.Rows[0][0].Int(); seq <= last {
			t.Errorf("round %d: _seq %d after the crash, %d before it", round, seq, last)
		}
		if t.Failed() {
			t.Fatalf("round %d of %d", round+1, rounds)
		}
	}
	p.stop()
	examine(t, dir)
}

// examine opens the folder of a server that is gone and compares the change log
// with the rows.
func examine(t *testing.T, dir string) {
	t.Helper()
	d, err := sqlite.Open(dir)
	if err != nil {
		t.Fatalf("open the folder: %v", err)
	}
	db, err := store.Open(t.Context(), d, store.Options{})
	if err != nil {
		t.Fatalf("open the folder: %v", err)
	}
	defer db.Close()
	for name, user := range map[string]string{"mine": "admin", "ours": "", "probe": ""} {
		if err := storetest.Agree(db, db.Catalog().Table("crash", name), user); err != nil {
			t.Error(err)
		}
	}
}
