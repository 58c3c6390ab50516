package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// endless is a query that gives no row and no end.
const endless = "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 - i FROM n) SELECT i FROM n) x"

func TestResultOfTooManyBytes(t *testing.T) {
	e := openWith(t, engine.Options{MaxBytes: 10_000})
	err := fails(t, e, alice, &wire.Request{SQL: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT repeat('x', 1000) FROM n"})
	if err.Code != wire.CodeResultTooLarge || !strings.Contains(err.Message, "limits.max_result_bytes") {
		t.Errorf("got %v", err)
	}
	// The same for what RETURNING gives, and then nothing is written.
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, v TEXT)")
	for _, sql := range []string{
		"INSERT INTO app.t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i, repeat('x', 1000) FROM n",
		"INSERT INTO app.t VALUES (1, repeat('x', 9000)), (2, repeat('x', 9000)) RETURNING v",
	} {
		if err := fails(t, e, alice, &wire.Request{SQL: sql}); err.Code != wire.CodeResultTooLarge {
			t.Errorf("%s: got %v", sql, err)
		}
	}
	if res := do(t, e, alice, "SELECT count(*) FROM app.t"); res.Rows[0][0].Int() != 0 {
		t.Error("a statement beyond the limit left rows")
	}
}

func TestValueThatIsTooLong(t *testing.T) {
	e := open(t)
	for _, sql := range []string{
		"SELECT repeat('x', 100000000)",
		"SELECT lpad('x', 100000000)",
		"SELECT length(x || x || x || x || x || x) FROM (SELECT repeat('x', 60000000) AS x) y",
	} {
		if err := fails(t, e, alice, &wire.Request{SQL: sql}); err.Code != wire.CodeResultTooLarge {
			t.Errorf("%s: got %v", sql, err)
		}
	}
}

func TestStatementThatRunsTooLong(t *testing.T) {
	e, _ := startWith(t, engine.Options{}, store.Options{ReadTimeout: 200 * time.Millisecond})
	for _, sql := range []string{endless, "BEGIN; SELECT 1; " + endless + "; COMMIT"} {
		err := fails(t, e, alice, &wire.Request{SQL: sql})
		if err.Code != wire.CodeStatementTimeout || !strings.Contains(err.Message, "limits.statement_timeout") {
			t.Errorf("got %v", err)
		}
	}
	if res := do(t, e, alice, "SELECT 1"); len(res.Rows) != 1 {
		t.Error("the next statement is gone too")
	}
}

func TestWriteThatRunsTooLong(t *testing.T) {
	e, _ := startWith(t, engine.Options{}, store.Options{WriteTimeout: 200 * time.Millisecond})
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY)")
	do(t, e, alice, "INSERT INTO app.t VALUES (1)")
	for _, sql := range []string{
		"INSERT INTO app.t " + endless,
		"UPDATE app.t SET id = id + 1 WHERE id < (" + endless + ")",
		"DELETE FROM app.t WHERE id < (" + endless + ")",
		"BEGIN; DELETE FROM app.t; INSERT INTO app.t VALUES (7); " + endless + "; COMMIT",
	} {
		err := fails(t, e, alice, &wire.Request{SQL: sql})
		if err.Code != wire.CodeStatementTimeout || !strings.Contains(err.Message, "split it") || !strings.Contains(err.Message, "limits.write_timeout") {
			t.Errorf("%s: got %v", sql, err)
		}
	}
	if res := do(t, e, alice, "SELECT id FROM app.t"); len(res.Rows) != 1 || res.Rows[0][0].Int() != 1 {
		t.Errorf("what ran too long left its mark: %v", res.Rows)
	}
	do(t, e, alice, "INSERT INTO app.t VALUES (2)")
}

// TestSlowReadsDoNotStopOthers runs more endless queries than there are
// connections at first; whoever asks for a row beside them gets it. When their
// clients go, they end.
func TestSlowReadsDoNotStopOthers(t *testing.T) {
	e := open(t)
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY)")
	do(t, e, alice, "INSERT INTO app.t VALUES (1)")
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var slow sync.WaitGroup
	errs := make(chan error, 20)
	for range cap(errs) {
		slow.Go(func() {
			_, err := e.Run(ctx, bob, &wire.Request{SQL: endless})
			errs <- err
		})
	}
	for i := range 20 {
		soon, cancel := context.WithTimeout(t.Context(), 25*time.Second) // shorter than a slow one may take
		res, err := e.Run(soon, alice, &wire.Request{SQL: "SELECT id FROM app.t WHERE id = 1"})
		cancel()
		if err != nil || len(res[0].Rows) != 1 {
			t.Fatalf("read %d beside slow ones: %v", i, err)
		}
	}
	do(t, e, alice, "INSERT INTO app.t VALUES (2)")
	leave()
	slow.Wait()
	for range cap(errs) {
		var coded *wire.Error
		if err := <-errs; !errors.As(err, &coded) || coded.Code != wire.CodeStatementTimeout {
			t.Errorf("an endless query ended with %v", err)
		}
	}
}

// TestWriteOfAClientThatIsGone cancels a write that holds the writer; the next
// one has its turn long before the first one's time is over.
func TestWriteOfAClientThatIsGone(t *testing.T) {
	e, db := startWith(t, engine.Options{}, store.Options{WriteTimeout: time.Hour})
	do(t, e, root, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY)")
	running := make(chan struct{})
	signal := catalog.NewSystem("system", "signal", []catalog.Column{catalog.Col("i", wire.Int, true)}, "", func() [][]wire.Value {
		close(running)
		return nil
	})
	if err := db.AddSystem(t.Context(), signal); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := e.Run(ctx, root, &wire.Request{SQL: "INSERT INTO app.t SELECT i FROM system.signal UNION ALL " + endless})
		gone <- err
	}()
	<-running
	leave()
	if err := <-gone; err == nil {
		t.Error("an endless write succeeded")
	}
	do(t, e, alice, "INSERT INTO app.t VALUES (1)")
}

// TestPlansStayWithinTheirBytes runs statements that are all different, as a
// program does that writes values into its texts, and looks at what is kept.
func TestPlansStayWithinTheirBytes(t *testing.T) {
	const limit = 1 << 20
	e := start(t, engine.Options{PlanBytes: limit}, nil)
	do(t, e, root, "CREATE NAMESPACE app")
	do(t, e, root, "CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT, at TIMESTAMP)")
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	run := func(from, to int) {
		for i := from; i < to; i++ {
			do(t, e, alice, fmt.Sprintf(`SELECT a.id AS n%d, count(*) AS n, sum(b.id + a.id) AS s, min(upper(b.body)), max(lower(a.body) || b.body)
				FROM app.notes a JOIN app.notes b ON a.id = b.id LEFT JOIN app.notes c ON c.body = b.body AND c.id > a.id
				WHERE a.body LIKE '%%x%%' OR b.at > TIMESTAMP '2024-01-01 00:00:00' AND EXISTS (SELECT 1 FROM app.notes d WHERE d.id = a.id AND d.body <> c.body)
				GROUP BY a.id HAVING count(*) > 0 ORDER BY a.id DESC LIMIT 10`, i))
		}
	}
	run(0, 600) // more prepared statements than a connection keeps
	before := held()
	run(600, 2000)
	if grown := held() - before; grown > 4*limit {
		t.Errorf("%d KiB more are held after 1,400 statements more, with a limit of %d KiB", grown>>10, limit>>10)
	}
	if e.Plans() == 0 {
		t.Error("no plan is kept")
	}
}
