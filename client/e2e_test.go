//go:build !js

package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/wire"
)

// signIn makes a client of a server for a user.
func signIn(t testing.TB, url, user string) *client.Client {
	t.Helper()
	c, err := client.New(url, auth.Static(auth.Basic(user, servertest.Password)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// within gives a context for one test against a real server.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(stop)
	return ctx
}

func mustExec(t testing.TB, ctx context.Context, c *client.Client, sql string, args ...any) {
	t.Helper()
	if _, err := c.Exec(ctx, sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestUsersSeeTheirOwnRows(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	alice, bob := signIn(t, s.URL, "alice"), signIn(t, s.URL, "bob")
	n, err := alice.Exec(ctx, "INSERT INTO chat.messages (id, body) VALUES ($1, $2), (2, 'two')", 1, "it's \"one\" 🎉")
	if err != nil || n != 2 {
		t.Fatalf("got %d, %v", n, err)
	}
	mustExec(t, ctx, bob, "INSERT INTO chat.messages (id, body) VALUES (1, 'his')")
	row, err := alice.QueryRow(ctx, "SELECT body, created_at FROM chat.messages WHERE id = $1", 1)
	if err != nil || row.Text("body") != "it's \"one\" 🎉" {
		t.Fatalf("got %v, %v", row.Text("body"), err)
	}
	if age := time.Since(row.Time("created_at")); age < -time.Minute || age > time.Minute {
		t.Errorf("created_at is %v", row.Time("created_at"))
	}
	row, err = bob.QueryRow(ctx, "SELECT body FROM chat.messages WHERE id = 1")
	if err != nil || row.Text("body") != "his" {
		t.Fatalf("got %v, %v", row.Text("body"), err)
	}
	if _, err := bob.QueryRow(ctx, "SELECT body FROM chat.messages WHERE id = 2"); !errors.Is(err, client.ErrNoRows) {
		t.Errorf("got %v", err)
	}
}

func TestEveryTypeThereAndBack(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	admin := signIn(t, s.URL, "admin")
	mustExec(t, ctx, admin, `CREATE TABLE chat.everything (
		id BIGINT PRIMARY KEY, b BOOLEAN, si SMALLINT, i INT, bi BIGINT, f FLOAT, d DOUBLE, t TEXT, de DECIMAL(12,3),
		ts TIMESTAMP, da DATE, ti TIME, j JSON, by BYTES, e EMBEDDING(3), u UUID) WITH (TYPE='USER')`)
	at := time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
	mustExec(t, ctx, admin, "INSERT INTO chat.everything (id, b, si, i, bi, f, d, t, de, ts, da, ti, j, by, e, u) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)",
		1, true, -7, int32(70000), int64(9223372036854775807), float32(0.1), 1.5e300, "tëxt", "-0.500",
		at, "2026-02-03", "04:05:06.5", `{"a":[1,2]}`, []byte{0, 1, 255}, []float32{0.5, -1, 2}, "01890A5D-AC96-774B-BCCE-B302099A8057")
	mustExec(t, ctx, admin, "INSERT INTO chat.everything (id) VALUES (2)")
	type everything struct {
		ID int64          `db:"id"`
		B  *bool          `db:"b"`
		SI *int16         `db:"si"`
		I  *int           `db:"i"`
		BI *int64         `db:"bi"`
		F  *float32       `db:"f"`
		D  *float64       `db:"d"`
		T  *string        `db:"t"`
		De *string        `db:"de"`
		TS *time.Time     `db:"ts"`
		Da *time.Time     `db:"da"`
		Ti *time.Duration `db:"ti"`
		J  *string        `db:"j"`
		By []byte         `db:"by"`
		E  []float32      `db:"e"`
		U  *string        `db:"u"`
	}
	res, err := admin.Query(ctx, "SELECT * FROM chat.everything ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	all, err := client.Collect[everything](res.Rows())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Fatalf("got %d rows", len(all))
	}
	got := fmt.Sprint(all[0].ID, *all[0].B, *all[0].SI, *all[0].I, *all[0].BI, *all[0].F, *all[0].D, *all[0].T, *all[0].De,
		all[0].TS.Format(time.RFC3339Nano), all[0].Da.Format(time.DateOnly), *all[0].Ti, *all[0].J, all[0].By, all[0].E, *all[0].U)
	want := fmt.Sprint(1, true, -7, 70000, 9223372036854775807, float32(0.1), 1.5e300, "tëxt", "-0.500",
		"2026-02-03T04:05:06.789Z", "2026-02-03", 4*time.Hour+5*time.Minute+6*time.Second+500*time.Millisecond, `{"a":[1,2]}`,
		[]byte{0, 1, 255}, []float32{0.5, -1, 2}, "01890a5d-ac96-774b-bcce-b302099a8057")
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if n := all[1]; n.ID != 2 || n.B != nil || n.T != nil || n.TS != nil || n.By != nil || n.Ti != nil {
		t.Errorf("NULLs came back as %+v", n)
	}
}

func TestBatchIsOneTransaction(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	results, err := c.Batch(ctx, []client.Statement{
		client.Stmt("INSERT INTO chat.messages (id, body) VALUES ($1, $2)", 10, "ten"),
		client.Stmt("SELECT body FROM chat.messages WHERE id = $1", 10),
		client.Stmt("DELETE FROM chat.messages WHERE id = 99"),
	})
	if err != nil || len(results) != 3 {
		t.Fatalf("got %v, %v", results, err)
	}
	if results[0].RowCount != 1 || results[1].Rows()[0].Text("body") != "ten" || results[2].RowCount != 0 {
		t.Errorf("got %+v", results)
	}
	_, err = c.Batch(ctx, []client.Statement{
		client.Stmt("INSERT INTO chat.messages (id, body) VALUES ($1, $2)", 11, "eleven"),
		client.Stmt("INSERT INTO chat.messages (id, body) VALUES ($1, $2)", 10, "again"),
	})
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != wire.CodeUniqueViolation || e.Statement != 2 {
		t.Errorf("got %#v", err)
	}
	if _, err := c.QueryRow(ctx, "SELECT id FROM chat.messages WHERE id = 11"); !errors.Is(err, client.ErrNoRows) {
		t.Errorf("half a transaction: %v", err)
	}
}

func TestErrorsOfTheServerHaveTheirClass(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	var e *wire.Error
	if _, err := c.Query(ctx, "SELEKT 1"); !errors.As(err, &e) || e.Line == 0 {
		t.Errorf("syntax: got %#v", err)
	}
	if _, err := c.Query(ctx, "DROP USER bob"); !errors.Is(err, client.ErrForbidden) || errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("forbidden: got %v", err)
	}
	if _, err := c.Query(ctx, "SELECT * FROM chat.nothing"); !errors.As(err, &e) || e.Code != wire.CodeTableNotFound {
		t.Errorf("table: got %v", err)
	}
	wrong, err := client.New(s.URL, auth.Static(auth.Basic("alice", "wrong-password")), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	if _, err := wrong.Query(ctx, "SELECT 1"); !errors.Is(err, client.ErrUnauthenticated) || strings.Contains(err.Error(), "wrong-password") {
		t.Errorf("password: got %v", err)
	}
	junk, err := client.New(s.URL, auth.Static(auth.JWT("a.b.c")), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer junk.Close()
	if _, err := junk.Query(ctx, "SELECT 1"); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("token: got %v", err)
	}
	for _, err := range junk.Live(ctx, "SELECT * FROM chat.messages", client.LiveOptions{}) {
		if !errors.Is(err, client.ErrUnauthenticated) {
			t.Errorf("live with a bad token: got %v", err)
		}
	}
	for _, err := range c.Live(ctx, "SELECT * FROM chat.nothing", client.LiveOptions{}) {
		if !errors.As(err, &e) || e.Code != wire.CodeNotFound {
			t.Errorf("live: got %v", err)
		}
	}
}

func TestLoginAndRefreshAgainstTheServer(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	l, err := c.Login(ctx)
	if err != nil || l.AccessToken == "" || l.RefreshToken == "" || l.User.ID != "alice" || l.User.Role != "user" {
		t.Fatalf("got %+v, %v", l, err)
	}
	r, err := c.RefreshToken(ctx, l.RefreshToken)
	if err != nil || r.AccessToken == "" || r.RefreshToken == l.RefreshToken {
		t.Fatalf("got %+v, %v", r, err)
	}
	if _, err := c.QueryRow(ctx, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	bearer, err := client.New(s.URL, auth.Static(auth.JWT(r.AccessToken)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer bearer.Close()
	row, err := bearer.QueryRow(ctx, "SELECT CURRENT_USER() AS who")
	if err != nil || row.Text("who") != "alice" {
		t.Fatalf("got %v, %v", row, err)
	}
}

// follow runs a live query and sends each set as text.
func follow(ctx context.Context, t *testing.T, c *client.Client, sql string, o client.LiveOptions) <-chan string {
	t.Helper()
	sets := make(chan string, 1000)
	go func() {
		defer close(sets)
		for rows, err := range c.Live(ctx, sql, o) {
			if err != nil {
				if ctx.Err() == nil && !errors.Is(err, client.ErrClosed) {
					t.Errorf("live: %v", err)
				}
				return
			}
			sets <- show(rows)
		}
	}()
	return sets
}

// until waits for a set.
func until(ctx context.Context, t *testing.T, sets <-chan string, want string) {
	t.Helper()
	got := "nothing"
	for {
		select {
		case s, ok := <-sets:
			if !ok {
				t.Fatalf("the live query ended with %q, not %q", got, want)
			}
			if got = s; s == want {
				return
			}
		case <-ctx.Done():
			t.Fatalf("got %q, not %q", got, want)
		}
	}
}

func TestLiveRowsOfOneUserOnTwoDevices(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	phone, laptop, bob := signIn(t, s.URL, "alice"), signIn(t, s.URL, "alice"), signIn(t, s.URL, "bob")
	const sql = "SELECT * FROM chat.messages WHERE room = $1"
	o := client.LiveOptions{Args: []any{"work"}}
	onPhone, onLaptop, onBob := follow(ctx, t, phone, sql, o), follow(ctx, t, laptop, sql, o), follow(ctx, t, bob, sql, o)
	for _, sets := range []<-chan string{onPhone, onLaptop, onBob} {
		until(ctx, t, sets, "")
	}
	mustExec(t, ctx, phone, "INSERT INTO chat.messages (id, room, body) VALUES (1, 'work', 'one')")
	mustExec(t, ctx, laptop, "INSERT INTO chat.messages (id, room, body) VALUES (2, 'work', 'two'), (3, 'home', 'three')")
	until(ctx, t, onPhone, "1=one 2=two")
	until(ctx, t, onLaptop, "1=one 2=two")
	mustExec(t, ctx, phone, "UPDATE chat.messages SET body = 'uno' WHERE id = 1")
	until(ctx, t, onLaptop, "1=uno 2=two")
	mustExec(t, ctx, phone, "UPDATE chat.messages SET room = 'work' WHERE id = 3")
	until(ctx, t, onLaptop, "1=uno 2=two 3=three")
	mustExec(t, ctx, phone, "UPDATE chat.messages SET room = 'home' WHERE id = 1")
	until(ctx, t, onLaptop, "2=two 3=three")
	mustExec(t, ctx, laptop, "DELETE FROM chat.messages WHERE id = 2")
	until(ctx, t, onPhone, "3=three")
	mustExec(t, ctx, bob, "INSERT INTO chat.messages (id, room, body) VALUES (1, 'work', 'his')")
	until(ctx, t, onBob, "1=his")
}

// TestNamespaceHoldsForLiveQueries: a client's namespace is that of the tables
// which its live queries name without one.
func TestNamespaceHoldsForLiveQueries(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c, err := client.New(s.URL, auth.Static(auth.Basic("alice", servertest.Password)), client.Options{Namespace: "chat"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	admin := signIn(t, s.URL, "admin")
	mustExec(t, ctx, admin, "CREATE NAMESPACE other")
	mustExec(t, ctx, admin, "CREATE USER TABLE other.messages (id INT PRIMARY KEY)")
	sets := watchKeys(ctx, t, c, "SELECT id FROM messages WHERE id < 100", client.LiveOptions{})
	until(ctx, t, sets, "")
	mustExec(t, ctx, c, "INSERT INTO messages (id, body) VALUES (5, 'x')")
	until(ctx, t, sets, "5")
	d, err := client.New(s.URL, auth.Static(auth.Basic("alice", servertest.Password)), client.Options{Namespace: "other"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	others := watchKeys(ctx, t, d, "SELECT id FROM messages WHERE id < 100", client.LiveOptions{})
	until(ctx, t, others, "")
	mustExec(t, ctx, d, "INSERT INTO messages (id) VALUES (6)")
	until(ctx, t, others, "6") // and not 5: the same text in another namespace is another query
	for event, err := range c.Subscribe(ctx, "SELECT id FROM messages", client.SubscribeOptions{ChangesOnly: true}) {
		if err != nil || event.Type != client.EventAck {
			t.Fatalf("got %+v, %v", event.Type, err)
		}
		break
	}
}

func TestLargeSnapshotInBatches(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	const total = 5000
	var b strings.Builder
	for i := range total {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%d, 'big', 'message number %d')", i, i)
	}
	mustExec(t, ctx, c, "INSERT INTO chat.messages (id, room, body) VALUES "+b.String())
	for rows, err := range c.Live(ctx, "SELECT * FROM chat.messages WHERE room = 'big'", client.LiveOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != total || rows[0].Int("id") != 0 || rows[total-1].Int("id") != total-1 {
			t.Fatalf("got %d rows", len(rows))
		}
		break
	}
	batches, seen := 0, 0
	for e, err := range c.Subscribe(ctx, "SELECT id FROM chat.messages WHERE room = 'big'", client.SubscribeOptions{BatchSize: 100}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == client.EventSnapshot {
			batches++
			seen += len(e.Rows)
		}
		if e.Ready {
			break
		}
	}
	if seen != total || batches < 50 {
		t.Errorf("%d rows in %d batches", seen, batches)
	}
	for rows, err := range c.Live(ctx, "SELECT * FROM chat.messages WHERE room = 'big'", client.LiveOptions{Limit: 3}) {
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 3 || rows[2].Int("id") != total-1 {
			t.Errorf("got %s", show(rows))
		}
		break
	}
}

func TestSubscribeFromAPosition(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	const sql = "SELECT * FROM chat.messages WHERE room = 'r'"
	var position int64
	for e, err := range c.Subscribe(ctx, sql, client.SubscribeOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Ready {
			mustExec(t, ctx, c, "INSERT INTO chat.messages (id, room, body) VALUES (1, 'r', 'one')")
		}
		if e.Type == client.EventInsert {
			position = e.Position
			break
		}
	}
	if position == 0 {
		t.Fatal("no position")
	}
	mustExec(t, ctx, c, "INSERT INTO chat.messages (id, room, body) VALUES (2, 'r', 'two')")
	mustExec(t, ctx, c, "UPDATE chat.messages SET body = 'uno' WHERE id = 1")
	mustExec(t, ctx, c, "DELETE FROM chat.messages WHERE id = 2")
	var got []string
	for e, err := range c.Subscribe(ctx, sql, client.SubscribeOptions{From: position}) {
		if err != nil {
			t.Fatal(err)
		}
		switch e.Type {
		case client.EventInsert, client.EventUpdate:
			got = append(got, string(e.Type)+" "+show(e.Rows))
		case client.EventDelete:
			got = append(got, "delete "+fmt.Sprint(e.Old[0].Int("id")))
		case client.EventSnapshot, client.EventReset:
			t.Errorf("got %s with %s", e.Type, show(e.Rows))
		}
		if len(got) == 3 {
			break
		}
	}
	if s := strings.Join(got, ", "); s != "insert 2=two, update 1=uno, delete 2" {
		t.Errorf("got %s", s)
	}
}

// cutter is a proxy before a server, whose connections a test can cut.
type cutter struct {
	URL string

	mu    sync.Mutex
	conns []net.Conn
	cuts  int
}

func newCutter(t *testing.T, url string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &cutter{URL: "http://" + l.Addr().String()}
	t.Cleanup(func() {
		l.Close()
		p.cut()
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			go pipe(in, out)
			go pipe(out, in)
		}
	}()
	return p
}

func pipe(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	to.Close()
	from.Close()
}

// cut breaks every connection there is, in the middle of whatever it carries.
func (p *cutter) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Close()
	}
	p.conns = nil
	p.cuts++
}

// TestResumeLosesAndRepeatsNothing writes while the connection of a subscriber
// is cut again and again, and looks for every change once and in order.
func TestResumeLosesAndRepeatsNothing(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	p := newCutter(t, s.URL)
	reader, writer := signIn(t, p.URL, "alice"), signIn(t, s.URL, "alice")
	const total, cutEvery = 600, 60
	var want, got []string
	writing := make(chan error, 1)
	began := false
	for e, err := range reader.Subscribe(ctx, "SELECT id, body FROM chat.messages WHERE room = 'r'", client.SubscribeOptions{}) {
		if err != nil {
			t.Fatalf("after %d of %d changes and %d cuts: %v", len(got), total, p.cuts, err)
		}
		if e.Ready && !began {
			began = true
			go func() {
				for i := range total {
					var err error
					switch id := i / 3; i % 3 {
					case 0:
						_, err = writer.Exec(ctx, "INSERT INTO chat.messages (id, room, body) VALUES ($1, 'r', 'a')", id)
					case 1:
						_, err = writer.Exec(ctx, "UPDATE chat.messages SET body = 'b' WHERE id = $1", id)
					case 2:
						_, err = writer.Exec(ctx, "DELETE FROM chat.messages WHERE id = $1", id)
					}
					if err != nil {
						writing <- err
						return
					}
					if i%cutEvery == cutEvery/2 {
						p.cut()
					}
				}
				writing <- nil
			}()
		}
		switch e.Type {
		case client.EventReset:
			t.Fatalf("reset after %d changes", len(got))
		case client.EventSnapshot:
			if len(e.Rows) > 0 {
				t.Fatalf("a snapshot with %s", show(e.Rows))
			}
		case client.EventDelete:
			got = append(got, fmt.Sprint("delete ", e.Old[0].Int("id")))
		case client.EventInsert, client.EventUpdate:
			got = append(got, fmt.Sprint(e.Type, " ", e.Rows[0].Int("id")))
		}
		if len(got) == total {
			break
		}
	}
	if err := <-writing; err != nil {
		t.Fatal(err)
	}
	for i := range total {
		want = append(want, fmt.Sprint([]string{"insert", "update", "delete"}[i%3], " ", i/3))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("change %d is %q, not %q", i, got[i], want[i])
		}
	}
	if p.cuts < total/cutEvery {
		t.Errorf("only %d cuts", p.cuts)
	}
}

func TestLiveSurvivesARestartOfTheServer(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	mustExec(t, ctx, c, "INSERT INTO chat.messages (id, room, body) VALUES (1, 'r', 'one'), (2, 'r', 'two')")
	sets := follow(ctx, t, c, "SELECT * FROM chat.messages WHERE room = 'r'", client.LiveOptions{})
	until(ctx, t, sets, "1=one 2=two")
	s.Close()
	servertest.Start(t, servertest.Options{Dir: s.Dir, Port: s.Port})
	mustExec(t, ctx, c, "DELETE FROM chat.messages WHERE id = 1")
	mustExec(t, ctx, c, "INSERT INTO chat.messages (id, room, body) VALUES (3, 'r', 'three')")
	until(ctx, t, sets, "2=two 3=three")
}

func TestManySubscriptionsShareASocket(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	p := newCutter(t, s.URL)
	c := signIn(t, p.URL, "alice")
	var all []<-chan string
	for i := range 50 {
		all = append(all, follow(ctx, t, c, "SELECT * FROM chat.messages WHERE room = $1", client.LiveOptions{Args: []any{fmt.Sprint(i % 5)}}))
	}
	for _, sets := range all {
		until(ctx, t, sets, "")
	}
	p.mu.Lock()
	conns := len(p.conns) / 2
	p.mu.Unlock()
	if conns > 3 { // the socket, and requests
		t.Errorf("%d connections", conns)
	}
	p.cut()
	for i := range 5 {
		mustExec(t, ctx, c, "INSERT INTO chat.messages (id, room, body) VALUES ($1, $2, 'x')", i, fmt.Sprint(i))
	}
	for i, sets := range all {
		until(ctx, t, sets, fmt.Sprint(i%5, "=x"))
	}
}

// TestSlowConsumerMissesNothing stops taking events while thousands of rows
// change, and then finds every one of them, in order; another live query of the
// same client goes on meanwhile.
func TestSlowConsumerMissesNothing(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c, err := client.New(s.URL, auth.Static(auth.Basic("alice", servertest.Password)), client.Options{QueueSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const total = 3000
	slept := false
	next := int64(0)
	for e, err := range c.Subscribe(ctx, "SELECT id FROM chat.messages WHERE room = 'slow'", client.SubscribeOptions{}) {
		if err != nil {
			t.Fatalf("after %d changes: %v", next, err)
		}
		if e.Type == client.EventReset {
			t.Fatalf("reset after %d changes", next)
		}
		if e.Ready && !slept {
			slept = true
			for i := 0; i < total; i += 100 {
				var b strings.Builder
				for j := i; j < i+100; j++ {
					fmt.Fprintf(&b, "%s(%d, 'slow', 'x')", map[bool]string{true: ",", false: ""}[j > i], j)
				}
				mustExec(t, ctx, c, "INSERT INTO chat.messages (id, room, body) VALUES "+b.String())
			}
			other := follow(ctx, t, c, "SELECT * FROM chat.messages WHERE room = 'other'", client.LiveOptions{})
			until(ctx, t, other, "") // the held socket lets it through
		}
		for _, r := range e.Rows {
			if r.Int("id") != next {
				t.Fatalf("got %d, not %d", r.Int("id"), next)
			}
			next++
		}
		if next == total {
			return
		}
	}
}
