package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/consumer"
	"github.com/kalamdb/kalam-go/internal/node"
	"github.com/kalamdb/kalam-go/internal/testsize"
	"github.com/kalamdb/kalam-go/wire"
)

// workerURL and workerLog make this program a worker of the test below: it
// writes a line for each message to the log, which all workers share, and then
// acknowledges the message.
const (
	workerURL = "KALAM_TEST_WORKER_URL"
	workerLog = "KALAM_TEST_WORKER_LOG"
)

func work(url, path string) error {
	log, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	x, err := consumer.New(url, auth.Static(auth.Basic("admin", node.DemoPassword)), consumer.Options{
		Topic: "crash.log", Group: "workers", Start: consumer.Earliest, BatchSize: 20,
	})
	if err != nil {
		return err
	}
	for m, err := range x.Messages(context.Background()) {
		if err != nil {
			return err
		}
		var row struct {
			N json.Number `json:"n"` // a string, as it has 64 bits
		}
		if err := json.Unmarshal(m.Payload, &row); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(log, "%s %s %d %d %d\n", m.Key, row.N, m.Partition, m.Offset, m.Deliveries); err != nil {
			return err
		}
		m.Ack()
	}
	return nil
}

// startWorker starts one more process of this program as a worker.
func startWorker(t *testing.T, url, log string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerURL+"="+url, workerLog+"="+log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// counter changes rows of its own: row id has the values 0, 1, 2, ... one after
// the other.
type counter struct {
	first, next int64
	sure        map[int64]int64 // the last value of a row that was acknowledged
	asked       int64           // the row of the last request
}

func (c *counter) step(rnd *rand.Rand) *wire.Request {
	if len(c.sure) < 3 || rnd.IntN(8) == 0 {
		c.asked = c.next
		c.next++
		return &wire.Request{SQL: "INSERT INTO crash.items (id, n) VALUES ($1, 0)", Params: ints(c.asked)}
	}
	c.asked = c.first + rnd.Int64N(c.next-c.first)
	return &wire.Request{SQL: "UPDATE crash.items SET n = n + 1 WHERE id = $1", Params: ints(c.asked)}
}

// TestTopicSurvivesKill kills the server and the workers of a topic at random
// moments. In the end every change that was acknowledged has been handled, each
// row's changes in their order, and twice only where the first delivery ended
// with a crash.
func TestTopicSurvivesKill(t *testing.T) {
	t.Parallel()
	rounds := testsize.Of(t, "KALAM_CRASH_ROUNDS", 3)
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "handled")
	rnd := rand.New(rand.NewPCG(11, uint64(time.Now().UnixNano())))
	counters := make([]*counter, 4)
	for i := range counters {
		first := int64(i+1) * 1000
		counters[i] = &counter{first: first, next: first, sure: make(map[int64]int64)}
	}
	for round := range rounds {
		p := serve(t, dir, "env", "KALAMDB_TOPICS_VISIBILITY_TIMEOUT_SECS=2")
		admin := p.conn(p.login("admin"))
		if round == 0 {
			admin.must(t, "CREATE NAMESPACE crash", "CREATE SHARED TABLE crash.items (id BIGINT PRIMARY KEY, n BIGINT)",
				"CREATE TOPIC crash.log PARTITIONS 3", "ALTER TOPIC crash.log ADD SOURCE crash.items ON INSERT",
				"ALTER TOPIC crash.log ADD SOURCE crash.items ON UPDATE")
		}
		catchUp(t, admin, counters)
		workers := []*exec.Cmd{startWorker(t, p.url, log), startWorker(t, p.url, log), startWorker(t, p.url, log)}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		var writing sync.WaitGroup
		for i, c := range counters {
			mine, rnd := p.conn(admin.token), rand.New(rand.NewPCG(uint64(round), uint64(i)))
			writing.Go(func() { c.write(ctx, t, mine, rnd) })
		}
		// Kill a worker, then another, then the server, each when some more has
		// been handled.
		for k := range 2 {
			waitLines(t, log, 40+rnd.IntN(60))
			kill(workers[k])
			workers[k] = startWorker(t, p.url, log)
		}
		waitLines(t, log, rnd.IntN(60))
		p.kill()
		stop()
		writing.Wait()
		for _, w := range workers {
			kill(w)
		}
	}
	p := serve(t, dir, "env", "KALAMDB_TOPICS_VISIBILITY_TIMEOUT_SECS=2")
	admin := p.conn(p.login("admin"))
	catchUp(t, admin, counters)
	last := startWorker(t, p.url, log)
	defer kill(last)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		r := admin.must(t, "SELECT coalesce(sum(lag), -1), count(*) FROM system.topic_offsets WHERE group_id = 'workers'")
		if text := r.Rows[0][0].Text(); (text == "0" || r.Rows[0][0].Int() == 0 && text == "") && r.Rows[0][1].Int() == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the group never caught up: lag %v", r.Rows[0])
		}
	}
	checkHandled(t, log, counters)
}

func (c *counter) write(ctx context.Context, t *testing.T, to *conn, rnd *rand.Rand) {
	for ctx.Err() == nil {
		_, err := to.ask(ctx, c.step(rnd))
		var refused *wire.Error
		if errors.As(err, &refused) {
			t.Errorf("refused: %v", err)
			return
		}
		if err != nil {
			return // the server is gone, and nobody knows whether it was done
		}
		if _, there := c.sure[c.asked]; there {
			c.sure[c.asked]++
		} else {
			c.sure[c.asked] = 0
		}
	}
}

// catchUp reads what became of requests without an answer.
func catchUp(t *testing.T, admin *conn, counters []*counter) {
	t.Helper()
	now := make(map[int64]int64)
	for _, row := range admin.must(t, "SELECT id, n FROM crash.items").Rows {
		now[row[0].Int()] = row[1].Int()
	}
	for _, c := range counters {
		for id, n := range c.sure {
			if got, there := now[id]; !there || got < n {
				t.Fatalf("row %d has %d, and %d was acknowledged", id, got, n)
			}
		}
		for id := c.first; id < c.next; id++ {
			if n, there := now[id]; there {
				c.sure[id] = n
			} else if id == c.next-1 {
				c.next-- // its insert was not done
			}
		}
	}
}

// waitLines waits until the log has n lines more.
func waitLines(t *testing.T, log string, n int) {
	t.Helper()
	begin := len(readHandled(t, log))
	for deadline := time.Now().Add(time.Minute); len(readHandled(t, log)) < begin+n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the workers handle nothing")
		}
	}
}

func kill(w *exec.Cmd) {
	w.Process.Kill()
	w.Wait()
}

// handled is a line of the log.
type handled struct {
	id, n, partition, offset int64
	deliveries               int
}

func readHandled(t *testing.T, log string) []handled {
	t.Helper()
	f, err := os.Open(log)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []handled
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var h handled
		if _, err := fmt.Sscan(lines.Text(), &h.id, &h.n, &h.partition, &h.offset, &h.deliveries); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		out = append(out, h)
	}
	return out
}

func checkHandled(t *testing.T, log string, counters []*counter) {
	t.Helper()
	list := readHandled(t, log)
	last := make(map[int64]int64)    // the highest value of a row that was handled
	seen := make(map[[2]int64]int64) // by partition and offset: the row
	most := make(map[[2]int64]int)   // the highest count of deliveries
	lines := make(map[[2]int64]int)
	again := 0
	for i, h := range list {
		at := [2]int64{h.partition, h.offset}
		lines[at]++
		most[at] = max(most[at], h.deliveries)
		if _, there := seen[at]; there {
			again++
			continue
		}
		seen[at] = h.id
		if before, there := last[h.id]; there && h.n != before+1 || !there && h.n != 0 {
			t.Errorf("line %d: row %d has %d after %d", i+1, h.id, h.n, before)
		}
		last[h.id] = h.n
	}
	for at, n := range lines {
		if n > most[at] {
			t.Errorf("partition %d, offset %d was handled %d times and given out %d times", at[0], at[1], n, most[at])
		}
	}
	changes := 0
	for _, c := range counters {
		for id, n := range c.sure {
			changes += int(n) + 1
			if got, there := last[id]; !there || got != n {
				t.Errorf("row %d: %d was acknowledged, handled up to %d (%v)", id, n, got, there)
			}
		}
	}
	if len(seen) != changes {
		t.Errorf("%d messages were handled, there were %d changes", len(seen), changes)
	}
	t.Logf("%d changes, %d of them handled again", changes, again)
}
