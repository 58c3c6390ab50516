package node_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

// call is one system call of the server, with the times of its begin and end in
// seconds.
type call struct {
	name       string
	file       string // path, or socket:[..]
	args       string
	begin, end float64
}

var (
	traced  = regexp.MustCompile(`^(\d+) +(\d+\.\d+) (\w+)\(\d+<([^>]*)>(.*)$`)
	resumed = regexp.MustCompile(`^(\d+) +(\d+\.\d+) <\.\.\. \w+ resumed>`)
	took    = regexp.MustCompile(`<(\d+\.\d+)>$`)
)

// readTrace reads what strace -f -ttt -T -y wrote.
func readTrace(t *testing.T, path string) []*call {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seconds := func(s string) float64 {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	var calls []*call
	open := make(map[string]*call) // by process
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := traced.FindStringSubmatch(line); m != nil {
			c := &call{name: m[3], file: m[4], args: m[5], begin: seconds(m[2])}
			calls = append(calls, c)
			if strings.HasSuffix(line, "<unfinished ...>") {
				open[m[1]] = c
			} else if d := took.FindStringSubmatch(line); d != nil {
				c.end = c.begin + seconds(d[1])
			}
		} else if m := resumed.FindStringSubmatch(line); m != nil && open[m[1]] != nil {
			open[m[1]].end = seconds(m[2])
			delete(open, m[1])
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return calls
}

// TestNobodyIsAnsweredBeforeTheSync watches the system calls of the real server:
// between the last write of a request's data to the write-ahead log and the
// answer to that request the log is synced. A small commit is
// one write and one sync.
func TestNobodyIsAnsweredBeforeTheSync(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("this test needs strace: install the package strace")
	}
	dir, trace := t.TempDir(), filepath.Join(t.TempDir(), "trace")
	p := serve(t, dir, strace, "-D", "-f", "-ttt", "-T", "-y", "-s", "70000", "-o", trace,
		"-e", "trace=fsync,fdatasync,write,writev,sendto,sendmsg,pwrite64")
	token := p.login("admin")
	c := p.conn(token)
	c.must(t, "CREATE NAMESPACE sync", "CREATE SHARED TABLE sync.t (id BIGINT PRIMARY KEY, mark TEXT)")
	const sequential, burst = 20, 60
	mark := func(i int) string { return fmt.Sprintf("mark-%05d-end", i) }
	insert := func(c *conn, i int) error {
		_, err := c.ask(t.Context(), &wire.Request{SQL: "INSERT INTO sync.t VALUES ($1, $2) RETURNING mark", Params: []wire.Value{wire.IntValue(int64(i)), wire.TextValue(mark(i))}})
		return err
	}
	for i := range sequential {
		if err := insert(c, i); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range burst {
		wg.Go(func() {
			if err := insert(p.conn(token), sequential+i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p.stop()

	calls := readTrace(t, trace)
	isSync := func(c *call) bool {
		return (c.name == "fsync" || c.name == "fdatasync") && strings.HasSuffix(c.file, "kalam.db-wal")
	}
	var first, lastOfSequence, last float64 // answers
	for i := range sequential + burst {
		var written, answered *call
		for _, c := range calls {
			if !strings.Contains(c.args, mark(i)) {
				continue
			}
			switch {
			case written == nil && strings.HasSuffix(c.file, "kalam.db-wal"):
				written = c
			case answered == nil && strings.HasPrefix(c.file, "socket:"):
				answered = c
			}
		}
		if written == nil || answered == nil {
			t.Fatalf("the trace has no write (%v) or no answer (%v) of insert %d", written, answered, i)
		}
		synced := 0
		for _, c := range calls {
			if isSync(c) && c.begin >= written.end && c.end > 0 && c.end <= answered.begin {
				synced++
			}
		}
		if synced == 0 {
			t.Errorf("insert %d was written at %.6f and answered at %.6f without a sync between", i, written.end, answered.begin)
		}
		switch {
		case i == 0:
			first = written.begin
		case i == sequential-1:
			lastOfSequence = answered.begin
		}
		last = max(last, answered.begin)
	}
	count := func(is func(*call) bool, from, to float64) (n int) {
		for _, c := range calls {
			if is(c) && c.begin >= from && c.end <= to {
				n++
			}
		}
		return n
	}
	syncs := func(from, to float64) int { return count(isSync, from, to) }
	if n := syncs(first, lastOfSequence); n != sequential {
		t.Errorf("%d syncs for %d inserts one after the other", n, sequential)
	}
	isWrite := func(c *call) bool { return c.name == "pwrite64" && strings.HasSuffix(c.file, "kalam.db-wal") }
	if n := count(isWrite, first, lastOfSequence); n != sequential {
		t.Errorf("%d writes to the log for %d inserts one after the other", n, sequential)
	}
	if n := syncs(lastOfSequence, last); n < 1 || n > burst {
		t.Errorf("%d syncs for %d inserts at once", n, burst)
	} else {
		t.Logf("%d inserts at once shared %d syncs", burst, n)
	}
}
