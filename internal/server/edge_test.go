package server_test

import (
	"cmp"
	"context"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// edge is a server put together by hand, for options that a configuration
// gives in seconds or not at all.
type edge struct {
	*servertest.Server
	db   *store.DB
	hub  *live.Hub
	edge *server.Server

	users    *identity.Service
	engine   *engine.Engine
	listener *edgeListener
}

// as runs a statement without a request.
func (e edge) as(t testing.TB, user, sql string) {
	t.Helper()
	who := &identity.Principal{UserID: user, Role: identity.RoleUser, Issuer: identity.Issuer}
	if _, err := e.engine.Run(t.Context(), who, &wire.Request{SQL: sql}); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func startEdge(t testing.TB, so store.Options, lo live.Options, o server.Options) edge {
	t.Helper()
	return startEdgeWith(t, so, lo, o, identity.Options{})
}

func startEdgeWith(t testing.TB, so store.Options, lo live.Options, o server.Options, io identity.Options, eo ...engine.Options) edge {
	t.Helper()
	driver, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), driver, so)
	if err != nil {
		t.Fatal(err)
	}
	io.JWTSecret, io.RootPassword = secret, servertest.Password
	users, err := identity.New(db, io)
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(db, users, append(eo, engine.Options{})[0])
	hub := live.New(db, e, lo)
	o.Loopback = true
	if o.AuthRate.Login == 0 {
		o.AuthRate.Login = 1000
	}
	// A socket waits as long as the test prepares something; a test of these
	// limits sets them.
	o.ClientTimeout = cmp.Or(o.ClientTimeout, time.Hour)
	o.AuthTimeout = cmp.Or(o.AuthTimeout, time.Minute)
	if err := db.AddSystem(t.Context(), users.System()...); err != nil {
		t.Fatal(err)
	}
	s := server.New(users, nil, e, hub, nil, o)
	h := httptest.NewUnstartedServer(s)
	listener := &edgeListener{Listener: h.Listener}
	h.Listener = listener
	h.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Close(ctx)
		h.Close()
		hub.Close()
		users.Close()
		db.Close()
	})
	root := &identity.Principal{UserID: identity.Root, Role: identity.RoleSystem, Issuer: identity.Issuer}
	for _, sql := range []string{
		"CREATE USER admin WITH PASSWORD 'Secret123!' ROLE dba", "CREATE USER alice WITH PASSWORD 'Secret123!' ROLE user",
		"CREATE NAMESPACE chat", "CREATE USER TABLE chat.messages (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT NOT NULL)",
	} {
		if _, err := e.Run(t.Context(), root, &wire.Request{SQL: sql}); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return edge{&servertest.Server{URL: h.URL}, db, hub, s, users, e, listener}
}

func TestTokenGraceEnds(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"{}", renew} {
		s := startEdge(t, store.Options{}, live.Options{}, server.Options{TokenGrace: 300 * time.Millisecond})
		k := dial(t, s.Server, "")
		k.authenticate(mintFor(t, "alice", 4*time.Second), protocol)
		k.want("auth_success")
		k.subscribe("a", "SELECT body FROM chat.messages", "")
		k.want("subscription_ack")
		if protocol == renew {
			k.want("auth_expiring")
		}
		k.wantEnd("TOKEN_EXPIRED")
	}
}

func TestSilentClientsAreClosedAndLivelyOnesAreNot(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{Heartbeat: 100 * time.Millisecond, ClientTimeout: 3 * time.Second})
	silent, lively := open(t, s.Server, "alice"), open(t, s.Server, "alice")
	silent.mute.Store(true)
	first := make(chan frame, 1)
	go func() {
		f, _ := lively.read() // which answers pings
		first <- f
	}()
	silent.wantClose(4000, "Heartbeat timeout")
	lively.subscribe("a", "SELECT body FROM chat.messages", "")
	if f := <-first; f.Type != "subscription_ack" {
		t.Errorf("a client that answers pings got %q", f.raw)
	}
}

func TestClientPingsKeepASocket(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{Heartbeat: 100 * time.Millisecond, ClientTimeout: 3 * time.Second})
	k := open(t, s.Server, "alice")
	k.mute.Store(true)
	stop := make(chan struct{})
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				k.c.Write(context.Background(), 1, []byte(`{"type":"ping"}`))
			case <-time.After(patience):
				return
			}
			if n == 80 {
				close(stop)
				return
			}
		}
	}()
	<-stop
	k.subscribe("a", "SELECT body FROM chat.messages", "")
	k.want("subscription_ack")
}

func TestPingsAreAnswered(t *testing.T) {
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{})
	k := open(t, s.Server, "alice")
	go k.read() // takes the pong
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := k.c.Ping(ctx); err != nil { // waits for a pong with the payload of the ping
		t.Fatal(err)
	}
}

// edgeListener gives its connections small buffers, so that little fits into
// them for a client that does not read.
type edgeListener struct {
	net.Listener
	// beforeWrite, when there is one, runs before each write of the server to a
	// connection. closed is closed with the connection.
	beforeWrite atomic.Pointer[func(closed <-chan struct{})]
}

// before sets beforeWrite.
func (l *edgeListener) before(fn func(closed <-chan struct{})) { l.beforeWrite.Store(&fn) }

func (l *edgeListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	tcp.SetWriteBuffer(64 << 10)
	return &edgeConn{TCPConn: tcp, l: l, closed: make(chan struct{})}, nil
}

type edgeConn struct {
	*net.TCPConn
	l      *edgeListener
	closed chan struct{}
	once   sync.Once
}

func (c *edgeConn) Write(b []byte) (int, error) {
	if fn := c.l.beforeWrite.Load(); fn != nil {
		(*fn)(c.closed)
	}
	return c.TCPConn.Write(b)
}

func (c *edgeConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.TCPConn.Close()
}

// clock is a clock that a test moves on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time      { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) add(d time.Duration) { c.ahead.Add(int64(d)) }
