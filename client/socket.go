package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

const (
	dialTimeout  = 10 * time.Second // to connect and sign in
	writeTimeout = 10 * time.Second
	ackTimeout   = 30 * time.Second // for the answer to a subscribe
	pingEvery    = 5 * time.Second
	pingTimeout  = 10 * time.Second
	holdTimeout  = 2 * time.Second // the socket waits for a consumer
	lingerTime   = 5 * time.Second // the socket stays without subscriptions
	steadyTime   = 10 * time.Second
	quietTime    = 20 * time.Second // without a word from the server, where there is no ping
)

// socket keeps the one WebSocket of a client with all its subscriptions. A
// goroutine of its own runs while there are any: it connects, signs in, sends
// what must be sent, routes what comes, and connects again when the socket is
// lost.
type socket struct {
	c            *Client
	dialer       dialer
	onConnection func(lost error)
	patience     time.Duration // of a subscription that was never accepted
	queue        int           // events per subscription
	ping         time.Duration // between two; 0: the default, negative: never

	wake chan struct{} // something below changed

	mu      sync.Mutex // guards what follows
	subs    []*subscription
	running bool
	eager   bool // a new subscription does not wait for the backoff
	renew   bool // the session has another token
	probe   bool // the connection must show that it is there
	held    bool // Connect was called: the connection stays without subscriptions
	leaving bool // without subscriptions the connection closes at once
	live    bool // there is a connection, signed in
	policy  ReconnectPolicy
	failed  int            // attempts since the last connection
	waiters []chan<- error // for the outcome of the next attempt

	rejected string // the token that the server refused last
	repeats  int    // how often in a row

	nextID int // the socket's goroutine only
}

func newSocket(c *Client, d dialer, patience time.Duration, queue int) *socket {
	return &socket{c: c, dialer: d, patience: patience, queue: queue, wake: make(chan struct{}, 1)}
}

// poke makes the goroutine look at what changed.
func (s *socket) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// add takes a subscription in, and starts the socket if it does not run.
func (s *socket) add(sub *subscription) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.start(); err != nil {
		return err
	}
	s.subs = append(s.subs, sub)
	s.eager, s.leaving = true, false
	s.poke()
	return nil
}

// start starts the goroutine, unless it runs. The lock is held.
func (s *socket) start() error {
	if s.running {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	if !s.c.spawn(stop, func() { s.run(ctx) }) {
		stop()
		return ErrClosed
	}
	s.running = true
	return nil
}

// remove lets go of a subscription.
func (s *socket) remove(sub *subscription) {
	sub.end(ErrClosed, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.subs, sub); i >= 0 {
		s.subs = slices.Delete(s.subs, i, i+1)
	}
	s.poke()
}

// woken lets a sleeping subscription go on.
func (s *socket) woken(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.asleep = false
	s.poke()
}

// again has the server send the rows of a subscription once more, after an
// EventReset.
func (s *socket) again(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.anew = true
	s.poke()
}

// tokenChanged makes the socket use the session's token.
func (s *socket) tokenChanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renew = true
	s.poke()
}

// endAll ends every subscription.
func (s *socket) endAll(err error) {
	s.endSome(err, false, func(*subscription) bool { return true })
}

func (s *socket) endSome(err error, discard bool, which func(*subscription) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs = slices.DeleteFunc(s.subs, func(sub *subscription) bool {
		if !which(sub) {
			return false
		}
		sub.end(err, discard)
		return true
	})
	s.poke()
}

// each gives the subscriptions there are now.
func (s *socket) each() []*subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.subs)
}

// finished reports whether nothing is left to run for; a later add starts a new
// goroutine.
func (s *socket) finished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.subs) > 0 || s.held {
		return false
	}
	s.running = false
	return true
}

// run keeps a connection until no subscription is left or ctx ends.
func (s *socket) run(ctx context.Context) {
	var wait backoff
	for !s.finished() {
		l, err := s.connect(ctx)
		s.outcome(l != nil, err)
		if l != nil {
			s.connected(nil)
		}
		for l != nil {
			began := time.Now()
			var next *link
			next, err = s.serve(ctx, l)
			for _, sub := range s.each() {
				sub.interrupted()
			}
			if time.Since(began) >= steadyTime {
				wait.attempts = 0
			}
			l = next
		}
		s.lost()
		if err != nil && ctx.Err() == nil {
			s.connected(err)
		}
		switch {
		case ctx.Err() != nil: // the client is closing, and add says so from now on
			s.mu.Lock()
			s.running = false
			s.mu.Unlock()
			return
		case err == nil: // idle
			continue
		case isFinal(err):
			s.c.session.state.report(token{}, "", err)
			s.letGo()
			s.endAll(err)
			continue
		}
		s.endSome(err, false, func(sub *subscription) bool {
			return !sub.connected && time.Since(sub.born) >= s.patience
		})
		if d, again := s.plan(&wait); again {
			s.pause(ctx, d)
		} else {
			s.endSome(err, false, func(sub *subscription) bool { return !sub.connected })
			s.rest(ctx)
		}
	}
}

// connected tells the application that the socket is there, or why it is not.
func (s *socket) connected(lost error) {
	if s.onConnection != nil {
		s.onConnection(lost)
	}
}

// pause waits for the next attempt: less when a subscription is new, or when
// the patience of one ends.
func (s *socket) pause(ctx context.Context, d time.Duration) {
	for _, sub := range s.each() {
		if !sub.connected {
			d = min(d, max(s.patience-time.Since(sub.born), 10*time.Millisecond))
		}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case <-s.wake:
			s.mu.Lock()
			stop := s.eager || len(s.subs) == 0 && !s.held
			s.eager = false
			s.mu.Unlock()
			if stop {
				return
			}
		}
	}
}

// link is one connection, signed in.
type link struct {
	conn   conn
	user   string
	token  token
	renews bool // the server takes a new token in band
}

func (l *link) write(ctx context.Context, f *wire.ClientFrame) error {
	ctx, stop := context.WithTimeout(ctx, writeTimeout)
	defer stop()
	return l.conn.Write(ctx, wire.AppendClientFrame(nil, f))
}

// connect opens a connection with a token of the session and signs in.
func (s *socket) connect(ctx context.Context) (*link, error) {
	if err := s.c.mayTravel(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	rejected := s.rejected
	s.mu.Unlock()
	t, err := s.c.session.get(ctx, need{ask: true, rejected: rejected})
	if err != nil {
		return nil, err
	}
	return s.connectWith(ctx, t)
}

// connectWith opens a connection and signs in with a token.
func (s *socket) connectWith(ctx context.Context, t token) (*link, error) {
	ctx, stop := context.WithTimeout(ctx, dialTimeout)
	defer stop()
	url := s.c.endpoint.ws
	if compression == "none" {
		url += "?compress=false"
	}
	conn, err := s.dialer.Dial(ctx, url)
	if err != nil {
		return nil, s.c.noAnswer(err)
	}
	l := &link{conn: conn, token: t}
	if err := l.write(ctx, authenticate(t)); err != nil {
		conn.Close(0, "")
		return nil, unavailable("sign in on the socket", err)
	}
	for {
		f, err := receive(ctx, conn)
		switch {
		case err != nil:
			conn.Close(0, "")
			return nil, s.closed(t, err)
		case f.Type == "auth_error":
			conn.Close(0, "")
			return nil, s.refused(t, f.Code, f.Message)
		case f.Type == "auth_success":
			l.user, l.renews = f.User, f.Protocol.Renew
			s.accepted(t)
			return l, nil
		}
	}
}

// accepted notes that the server took a token.
func (s *socket) accepted(t token) {
	s.mu.Lock()
	s.rejected, s.repeats = "", 0
	s.mu.Unlock()
	s.c.session.accepted(t)
}

func authenticate(t token) *wire.ClientFrame {
	return &wire.ClientFrame{
		Type: "authenticate", Method: "jwt", Token: t.text,
		Protocol: wire.Protocol{Serialization: "json", Compression: compression, Renew: true},
	}
}

// receive reads one message. One that cannot be decoded is an error of the
// connection: what it said is lost, and only a resume brings it back.
func receive(ctx context.Context, c conn) (*wire.ServerFrame, error) {
	b, binary, err := c.Read(ctx)
	if err == nil && binary {
		b, err = inflate(b)
	}
	if err != nil {
		return nil, err
	}
	return wire.DecodeServerFrame(b)
}

// closed makes an error of a lost connection. A close for reasons of
// credentials says so with its code and reason.
func (s *socket) closed(t token, err error) error {
	var c *closeError
	if errors.As(err, &c) && c.Code == 1008 {
		switch code := wire.Code(c.Reason); code {
		case wire.CodeTokenExpired, wire.CodeInvalidCredentials, wire.CodeSessionEnded, wire.CodeIdentityChanged:
			return s.refused(t, code, "")
		}
	}
	return unavailable("socket", err)
}

// refused makes an error of an auth_error. The token is not used again unless
// the provider insists on it, and if it is refused then too, that is final. A
// code that we do not know is never final.
func (s *socket) refused(t token, code wire.Code, message string) error {
	if message == "" {
		message = "the server refused the token"
	}
	e := &wire.Error{Code: code, Message: message}
	known := true
	switch code {
	case "RATE_LIMITED", wire.CodeAuthTimeout:
		return classify(0, e)
	case "", wire.CodeUnauthorized, wire.CodeAuthRequired:
		e.Code = wire.CodeInvalidCredentials
	case wire.CodeTokenExpired, wire.CodeInvalidCredentials, wire.CodeSessionEnded:
	case wire.CodeIdentityChanged: // who it is now, the next sign-in says
		e.Code, known = wire.CodeInvalidCredentials, false
	default:
		known = false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rejected != t.text || !known {
		s.rejected, s.repeats = t.text, 0
	}
	s.repeats++
	return &failure{cause: classify(401, e), final: s.repeats >= 2}
}
