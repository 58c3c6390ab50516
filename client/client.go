// Package client is the Go SDK of KalamDB: queries, transactions, files and live rows
// for one user, signed in by a provider of credentials.
//
// A Client keeps one session and one socket. New does no I/O; the first call
// asks the provider, exchanges user and password for a token if that is what it
// gives, and from there on the session renews itself. A live query survives
// lost connections: it resumes after the last change it delivered, without loss
// or repetition.
//
// The package builds natively and for js/wasm; what differs between the two is
// in the files that end in _js.go and _notjs.go.
package client

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/wire"
)

// Options configure a Client. The zero Options are good.
type Options struct {
	// Namespace is that of tables which queries and live queries name without
	// one. Default: the server's, which is "default".
	Namespace string

	// AllowInsecureCredentials permits sending credentials without TLS to a
	// host that is not this machine. Whoever shares the network can take them.
	AllowInsecureCredentials bool

	// AuthTimeout bounds one attempt to get a token: the provider with its
	// retries and the exchange. Default: 30 s.
	AuthTimeout time.Duration

	// OnAuth is called when the session has another state or another token. It
	// may call the client.
	OnAuth func(AuthEvent)

	// OnConnection is called with nil when the server has accepted the socket of
	// the live queries, and with the reason when that is lost or an attempt to
	// connect has failed. The socket waits for it to return.
	OnConnection func(lost error)

	// ProviderRetry is how a provider that fails is asked again.
	ProviderRetry ProviderRetry

	// RequestTimeout bounds a query, beside its context. Default: 60 s.
	RequestTimeout time.Duration

	// ConnectTimeout is how long a new live query waits until the server has
	// accepted it; after that it waits for ever and only its context ends it.
	// Default: 30 s.
	ConnectTimeout time.Duration

	// PingInterval is how often the client shows that it is there; negative:
	// never. Default: 5 s.
	PingInterval time.Duration

	// QueueSize is how many events wait for a consumer that is busy, for each
	// live query. When they are full the socket is held back for two seconds;
	// if that does not help, the query is taken off the server and resumes,
	// without loss, when its consumer has caught up. Default: 256.
	QueueSize int

	// Native holds what only native builds have.
	Native Native
}

// ProviderRetry is how a provider that fails is asked again, within AuthTimeout.
type ProviderRetry struct {
	Attempts   int           // in all; default: 3
	First, Max time.Duration // limits of the random time between; default: 250 ms and 2 s
}

// Client is one user's connection to a server. It is safe for concurrent use.
type Client struct {
	endpoint  endpoint
	namespace string
	insecure  bool
	timeout   time.Duration // of a request
	transport transport
	session   *session
	socket    *socket

	mu     sync.Mutex // guards what follows
	closed bool
	stops  map[*func()]struct{} // end what runs in the background
	wg     sync.WaitGroup
}

// String names the server.
func (c *Client) String() string { return "client of " + c.endpoint.http }

// New makes a client of the server at a base URL like http://localhost:8080,
// for the user that the provider says. It does no I/O.
func New(url string, provider auth.Provider, o Options) (*Client, error) {
	t, d := newPlatform(&o)
	return newClient(url, provider, o, t, d)
}

func newClient(url string, provider auth.Provider, o Options, t transport, d dialer) (*Client, error) {
	e, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if provider == nil {
		return nil, errors.New("a client needs a provider of credentials")
	}
	c := &Client{
		endpoint:  e,
		namespace: o.Namespace,
		insecure:  o.AllowInsecureCredentials,
		timeout:   orDefault(o.RequestTimeout, time.Minute),
		transport: t,
		stops:     map[*func()]struct{}{},
	}
	c.session = &session{c: c, provider: provider, timeout: orDefault(o.AuthTimeout, 30*time.Second), retry: o.ProviderRetry, asking: make(chan struct{}, 1)}
	c.session.state.fn = o.OnAuth
	c.socket = newSocket(c, d, orDefault(o.ConnectTimeout, 30*time.Second), orDefault(o.QueueSize, 256))
	c.socket.ping, c.socket.onConnection = o.PingInterval, o.OnConnection
	return c, nil
}

func orDefault[T int | time.Duration](v, or T) T {
	if v <= 0 {
		return or
	}
	return v
}

// Login exchanges the user and password of the provider for a new session,
// which the client uses from here on. The client does this by itself when it
// needs to; call it to get at the tokens or to sign in early.
func (c *Client) Login(ctx context.Context) (*wire.LoginResponse, error) {
	var l *wire.LoginResponse
	err := c.authCall(ctx, func(ctx context.Context) error {
		cred, err := c.session.ask(ctx)
		if err != nil {
			return err
		}
		if !auth.IsBasic(cred) {
			return errors.New("the provider gives a token; only user and password can be exchanged for a session")
		}
		if l, err = c.postLogin(ctx, cred); err != nil {
			return err
		}
		c.session.renewed.begin(l.RefreshToken)
		c.session.set(newToken(l.AccessToken, time.Now(), true), l.RefreshToken, cred)
		return nil
	})
	return l, err
}

// RefreshToken exchanges a refresh token for the next pair of tokens, which the
// client uses from here on. For a token that the client has already replaced it
// uses the one that came of it, so a token kept since Login stays good while the
// client renews itself.
func (c *Client) RefreshToken(ctx context.Context, refreshToken string) (*wire.LoginResponse, error) {
	var l *wire.LoginResponse
	err := c.authCall(ctx, func(ctx context.Context) error {
		var err error
		if l, err = c.postRefresh(ctx, refreshToken); err != nil {
			return err
		}
		c.session.set(newToken(l.AccessToken, time.Now(), true), l.RefreshToken, auth.Auth{})
		return nil
	})
	return l, err
}

// URL is the base URL of the server.
func (c *Client) URL() string { return c.endpoint.http }

// authCall runs an explicit change of the session within its time and tells
// the socket about the outcome.
func (c *Client) authCall(ctx context.Context, fn func(ctx context.Context) error) error {
	if err := c.session.reentered(ctx); err != nil {
		return err
	}
	if err := c.during(context.WithValue(ctx, reentry{}, c.session), c.session.timeout, fn); err != nil {
		return err
	}
	t, refresh := c.session.pair()
	c.session.state.report(t, refresh, nil)
	c.socket.tokenChanged()
	return nil
}

// Close ends the calls and live queries that are under way with ErrClosed, stops
// what runs in the background and waits for it. A provider that does not obey
// its context is not waited for. Close may be called more than once.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	for stop := range c.stops {
		(*stop)()
	}
	c.mu.Unlock()
	c.wg.Wait()
	c.socket.endAll(ErrClosed)
	c.transport.Close()
	return nil
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// enter lets a call begin: its context ends after a time (0: no limit), and with
// the client. Leave takes the call's error and returns the one to report.
func (c *Client) enter(ctx context.Context, limit time.Duration) (_ context.Context, leave func(error) error, err error) {
	var cancel context.CancelFunc
	if limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, limit)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	stop := (func())(cancel)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		cancel()
		return nil, nil, ErrClosed
	}
	c.stops[&stop] = struct{}{}
	return ctx, func(err error) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.stops, &stop)
		if c.closed && cutOff(err) {
			err = ErrClosed
		}
		cancel()
		return err
	}, nil
}

// during runs a call between enter and leave.
func (c *Client) during(ctx context.Context, limit time.Duration, fn func(ctx context.Context) error) error {
	ctx, leave, err := c.enter(ctx, limit)
	if err != nil {
		return err
	}
	return leave(fn(ctx))
}

// spawn runs fn in the background until it returns; Close calls stop and waits.
// It reports false when the client is closed.
func (c *Client) spawn(stop func(), fn func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.stops[&stop] = struct{}{}
	c.wg.Go(func() {
		defer func() {
			stop()
			c.mu.Lock()
			delete(c.stops, &stop)
			c.mu.Unlock()
		}()
		fn()
	})
	return true
}

func itoa(n int) string { return strconv.Itoa(n) }
