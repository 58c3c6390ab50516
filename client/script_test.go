package client_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// network is a scripted server: it issues and checks tokens by the clock of the
// test, and breaks where a test tells it to.
type network struct {
	t *testing.T

	mu        sync.Mutex
	life      time.Duration // of an access token
	renews    bool
	logins    int
	refreshes int
	queries   int
	issued    int
	revoked   map[string]bool
	tokens    []string // of every query and sign-in, in order
	refresh   string   // the refresh token that is good now
	refuse    map[string]*client.Response
	broken    map[string]error // by the end of the URL
	passwords map[string]string
	sockets   []*socketPair
	dialErr   error
	moody     wire.Code // refuses every sign-in with this code
	attempts  int       // at requests, broken ones included
}

func newNetwork(t *testing.T) *network {
	return &network{
		t: t, life: time.Hour, renews: true, revoked: map[string]bool{}, refuse: map[string]*client.Response{},
		broken: map[string]error{}, passwords: map[string]string{"alice": "Secret123!", "bob": "Secret456!"},
	}
}

// jwt makes a token that nobody signs.
func jwt(user string, n int, issued time.Time, life time.Duration) string {
	enc := base64.RawURLEncoding.EncodeToString
	claims := `{"sub":"` + user + `","jti":"` + strconv.Itoa(n) + `","iat":` + strconv.FormatInt(issued.Unix(), 10)
	if life != 0 {
		claims += `,"exp":` + strconv.FormatInt(issued.Add(life).Unix(), 10)
	}
	return enc([]byte(`{"alg":"none"}`)) + "." + enc([]byte(claims+"}")) + ".x"
}

func (n *network) issue(user string) string {
	n.issued++
	return jwt(user, n.issued, time.Now(), n.life)
}

// check says who a token is for, or the code of the refusal.
func (n *network) check(tok string) (string, wire.Code) {
	n.tokens = append(n.tokens, tok)
	parts := strings.Split(tok, ".")
	if len(parts) != 3 || n.revoked[tok] {
		return "", wire.CodeInvalidCredentials
	}
	b, _ := base64.RawURLEncoding.DecodeString(parts[1])
	c, err := wire.DecodeClaims(b)
	if err != nil {
		return "", wire.CodeInvalidCredentials
	}
	if c.ExpiresAt != 0 && time.Now().Unix() >= c.ExpiresAt {
		return "", wire.CodeTokenExpired
	}
	return c.Subject, ""
}

// Do implements client.Transport.
func (n *network) Do(ctx context.Context, r *client.Request) (*client.Response, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attempts++
	for end, err := range n.broken {
		if strings.HasSuffix(r.URL, end) {
			return nil, err
		}
	}
	for end, resp := range n.refuse {
		if strings.HasSuffix(r.URL, end) {
			n.count(r.URL)
			return resp, nil
		}
	}
	n.count(r.URL)
	switch {
	case strings.HasSuffix(r.URL, "/login"):
		l, err := wire.DecodeLoginRequest(r.Body)
		if err != nil || r.Token != "" {
			n.t.Errorf("bad login request: %v", err)
		}
		if n.passwords[l.User] != l.Password {
			return &client.Response{Status: 401, Body: []byte(`{"error":"unauthorized","message":"Invalid credentials"}`)}, nil
		}
		return n.pair(l.User), nil
	case strings.HasSuffix(r.URL, "/refresh"):
		if r.Token == "" || r.Token != n.refresh {
			return &client.Response{Status: 401, Body: []byte(`{"error":"unauthorized","message":"Invalid credentials"}`)}, nil
		}
		return n.pair(strings.Split(r.Token, "/")[0]), nil
	}
	user, code := n.check(r.Token)
	if code != "" {
		return &client.Response{Status: 401, Body: wire.AppendResponse(nil, &wire.Response{Err: wire.NewError(code, "Invalid credentials")})}, nil
	}
	res := wire.Result{
		Schema: []wire.Field{{Name: "user", Type: wire.Type{Kind: wire.Text}}}, AsUser: user,
		Rows: [][]wire.Value{{wire.TextValue(user)}}, RowCount: 1,
	}
	return &client.Response{Status: 200, Body: wire.AppendResponse(nil, &wire.Response{Results: []wire.Result{res}})}, nil
}

func (n *network) count(url string) {
	switch {
	case strings.HasSuffix(url, "/login"):
		n.logins++
	case strings.HasSuffix(url, "/refresh"):
		n.refreshes++
	default:
		n.queries++
	}
}

func (n *network) pair(user string) *client.Response {
	l := &wire.LoginResponse{User: wire.LoginUser{ID: user, Role: "user"}, AccessToken: n.issue(user)}
	n.refresh = user + "/refresh/" + strconv.Itoa(n.issued)
	l.RefreshToken = n.refresh
	return &client.Response{Status: 200, Body: wire.AppendLoginResponse(nil, l)}
}

// Close implements client.Transport.
func (n *network) Close() {}

// Dial implements client.Dialer.
func (n *network) Dial(ctx context.Context, url string) (client.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dialErr != nil {
		return nil, n.dialErr
	}
	p := &socketPair{n: n, in: make(chan []byte, 100), out: make(chan *wire.ClientFrame, 1000), closed: make(chan struct{})}
	n.sockets = append(n.sockets, p)
	return p, nil
}

func (n *network) locked(fn func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fn()
}

// dials is how many sockets were opened.
func (n *network) dials() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.sockets)
}

// socketPair is one socket: the client's end as a client.Conn, the server's as
// methods for tests.
type socketPair struct {
	n      *network
	in     chan []byte
	out    chan *wire.ClientFrame // what the client sent, but for authenticate
	closed chan struct{}
	once   sync.Once
	err    error
	silent bool // answers no ping
	signed []string
}

// Read implements client.Conn.
func (p *socketPair) Read(ctx context.Context) ([]byte, bool, error) {
	select {
	case b := <-p.in:
		return b, false, nil
	default:
	}
	select {
	case b := <-p.in:
		return b, false, nil
	case <-p.closed:
		return nil, false, p.err
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
}

// Write implements client.Conn. It signs in by itself.
func (p *socketPair) Write(ctx context.Context, b []byte) error {
	select {
	case <-p.closed:
		return p.err
	default:
	}
	f, err := wire.DecodeClientFrame(b)
	if err != nil {
		p.n.t.Errorf("the client sent %s: %v", b, err)
		return err
	}
	if f.Type != "authenticate" {
		p.out <- f
		return nil
	}
	p.n.mu.Lock()
	user, code := p.n.check(f.Token)
	p.signed = append(p.signed, f.Token)
	renews := p.n.renews
	if p.n.moody != "" {
		code = p.n.moody
	}
	p.n.mu.Unlock()
	if code != "" {
		p.send(&wire.ServerFrame{Type: "auth_error", Code: code, Message: "Invalid credentials"})
		p.drop(&client.CloseError{Code: 1008, Reason: string(code)})
		return nil
	}
	p.send(&wire.ServerFrame{Type: "auth_success", User: user, Role: "user", Protocol: wire.Protocol{Renew: renews}, ExpiresIn: 100})
	return nil
}

// Ping implements client.Conn.
func (p *socketPair) Ping(ctx context.Context) error {
	p.n.mu.Lock()
	silent := p.silent
	p.n.mu.Unlock()
	if !silent {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return p.err
	}
}

// Close implements client.Conn.
func (p *socketPair) Close(code int, reason string) {
	p.drop(errors.New("closed by the client"))
}

// drop breaks the socket.
func (p *socketPair) drop(err error) {
	p.once.Do(func() {
		p.err = err
		close(p.closed)
	})
}

func (p *socketPair) send(f *wire.ServerFrame) { p.in <- wire.AppendServerFrame(nil, f) }

// expect waits for the next message of the client that is not a ping.
func (p *socketPair) expect(typ string) *wire.ClientFrame {
	p.n.t.Helper()
	for {
		select {
		case f := <-p.out:
			if f.Type == "ping" {
				continue
			}
			if f.Type != typ {
				p.n.t.Fatalf("the client sent %s, not %s", f.Type, typ)
			}
			return f
		case <-time.After(time.Hour):
			p.n.t.Fatalf("the client sent no %s", typ)
		}
	}
}

// socket waits for the i-th socket.
func (n *network) socket(i int) *socketPair {
	n.t.Helper()
	for range 100_000 {
		n.mu.Lock()
		if len(n.sockets) > i {
			p := n.sockets[i]
			n.mu.Unlock()
			return p
		}
		n.mu.Unlock()
		time.Sleep(10 * time.Millisecond) // of the bubble's clock
	}
	n.t.Fatalf("the client opened no socket %d", i)
	return nil
}

var notes = []wire.Field{
	{Name: "id", Type: wire.Type{Kind: wire.BigInt}, Flags: wire.FlagPrimaryKey | wire.FlagNotNull},
	{Name: "body", Type: wire.Type{Kind: wire.Text}, Index: 1},
}

func note(id, seq int64, body string) wire.Row {
	return wire.Row{
		Names:  []string{"id", "body", "_seq"},
		Values: []wire.Value{wire.IntValue(id), wire.TextValue(body), wire.IntValue(seq)},
	}
}

// ack accepts a subscription.
func (p *socketPair) ack(id string, more bool, reset bool) {
	b := wire.BatchControl{HasMore: more, Status: "ready"}
	p.send(&wire.ServerFrame{Type: "subscription_ack", SubscriptionID: id, Schema: notes, BatchControl: b, Reset: reset})
}

func (p *socketPair) batch(id string, more bool, rows ...wire.Row) {
	b := wire.BatchControl{HasMore: more, Status: "ready"}
	if len(rows) > 0 {
		b.HasLastSeqID, b.LastSeqID = true, rows[len(rows)-1].Values[2].Int()
	}
	p.send(&wire.ServerFrame{Type: "initial_data_batch", SubscriptionID: id, Schema: notes, Rows: rows, BatchControl: b})
}

func (p *socketPair) insert(id string, rows ...wire.Row) {
	p.send(&wire.ServerFrame{Type: "change", SubscriptionID: id, ChangeType: "insert", Schema: notes, Rows: rows})
}

func (p *socketPair) delete(id string, rows ...wire.Row) {
	p.send(&wire.ServerFrame{Type: "change", SubscriptionID: id, ChangeType: "delete", Schema: notes, OldValues: rows})
}

func scripted(t *testing.T, n *network, p auth.Provider, o client.Options) *client.Client {
	t.Helper()
	c, err := client.NewScripted("http://localhost:8080", p, o, n, n)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// asked counts the calls of a provider.
type asked struct {
	mu sync.Mutex
	n  int
	fn func(ctx context.Context, n int) (auth.Auth, error)
}

func (a *asked) Auth(ctx context.Context) (auth.Auth, error) {
	a.mu.Lock()
	a.n++
	n := a.n
	a.mu.Unlock()
	return a.fn(ctx, n)
}

func (a *asked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

var alice = auth.Static(auth.Basic("alice", "Secret123!"))
