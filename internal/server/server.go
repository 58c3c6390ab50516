// Package server is the HTTP and WebSocket edge: it decodes what comes over the
// wire, calls one package of the server, and encodes the answer.
//
// Who may ask is decided here for transport (origins, loopback, rates) and by
// package identity for credentials; what they may do is decided by the engine.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/account"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/files"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/wire"
)

// Options configure a Server. The zero value works and serves loopback.
type Options struct {
	// AllowedOrigins are the browser origins that may call, as in
	// "https://app.example.com"; "*" allows all. Empty: the server's own origin
	// and, with Loopback, any origin on this machine.
	AllowedOrigins   []string
	Loopback         bool // the server listens on loopback addresses only
	AllowRemoteSetup bool // setup is allowed from other machines
	AllowPlaintext   bool // credentials are taken in the clear from other machines
	// TrustedProxies are the networks of proxies in front of the server, whose
	// X-Forwarded-For and X-Forwarded-Proto are believed.
	TrustedProxies []netip.Prefix

	MaxBody          int64         // bytes of a request; default 10 MiB
	MaxMessage       int           // bytes of a WebSocket message; default 1 MiB
	AuthRate         AuthRate      // of a network
	QueryRate        int           // requests a second and user; 0: no limit
	MaxQueue         int           // bytes of changes that wait for one socket; default 4 MiB
	MessageRate      int           // WebSocket messages a second and socket; default 1,000
	AuthTimeout      time.Duration // for a socket to authenticate; default 3 s
	ClientTimeout    time.Duration // of silence before a socket is closed; default 10 s
	Heartbeat        time.Duration // between checks and pings; default 5 s
	TokenGrace       time.Duration // in which a socket may renew a token that has expired; default 25 s
	MaxSubscriptions int           // of a socket; default 1,000
	MaxSockets       int           // of the server; default DefaultMaxSockets
	MaxUnknown       int           // sockets of a network that have not signed in; default 1,000

	Version string
	Build   string
	Logger  *slog.Logger
}

// AuthRate is how many requests a second and network the routes of signing in
// take, each for itself: so that a flood of one kind refuses none of another.
type AuthRate struct {
	Login   int // and changes of a password; default 20
	Refresh int // default Login
	Socket  int // sign-ins of sockets that fail; default Login
	Setup   int // default Login
}

// DefaultMaxSockets is how many sockets a server takes.
const DefaultMaxSockets = 100_000

// Server answers requests. It is an http.Handler and safe for concurrent use.
type Server struct {
	options  Options
	users    *identity.Service
	engine   *engine.Engine
	hub      *live.Hub
	files    *files.Service
	accounts *account.Service
	origins  origins
	mux      *http.ServeMux
	readFile http.HandlerFunc // the routes of files
	// By network; each kind of request has attempts of its own.
	logins, refreshes, socketSignIns, setups *limiter
	signups                                  *limiter // what sends mails or makes accounts
	redeems                                  *limiter // codes and links that are redeemed
	queries                                  *limiter
	sockets                                  sockets
	stop                                     context.CancelFunc
	done                                     sync.WaitGroup
}

// New makes a server and starts what watches its sockets. Close ends that.
func New(users *identity.Service, a *account.Service, e *engine.Engine, hub *live.Hub, f *files.Service, o Options) *Server {
	def(&o.MaxBody, 10<<20)
	def(&o.MaxMessage, 1<<20)
	def(&o.MaxQueue, 4<<20)
	def(&o.AuthRate.Login, 20)
	def(&o.AuthRate.Refresh, o.AuthRate.Login)
	def(&o.AuthRate.Socket, o.AuthRate.Login)
	def(&o.AuthRate.Setup, o.AuthRate.Login)
	def(&o.MessageRate, 1000)
	def(&o.AuthTimeout, 3*time.Second)
	def(&o.ClientTimeout, 10*time.Second)
	def(&o.Heartbeat, 5*time.Second)
	def(&o.TokenGrace, 25*time.Second)
	def(&o.MaxSubscriptions, 1000)
	def(&o.MaxSockets, DefaultMaxSockets)
	def(&o.MaxUnknown, 1000)
	def(&o.Version, "dev")
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		options: o, users: users, accounts: a, engine: e, hub: hub, files: f, stop: cancel,
		origins: newOrigins(o.AllowedOrigins, o.Loopback),
		mux:     http.NewServeMux(),
		logins:  newLimiter(o.AuthRate.Login), refreshes: newLimiter(o.AuthRate.Refresh),
		socketSignIns: newLimiter(o.AuthRate.Socket), setups: newLimiter(o.AuthRate.Setup),
		signups: newLimiter(o.AuthRate.Login),
		redeems: newLimiter(o.AuthRate.Login),
		queries: newLimiter(o.QueryRate),
	}
	s.sockets.init(s)
	s.routes()
	s.done.Go(func() { s.sockets.sweep(ctx) })
	s.done.Go(func() { s.sockets.revoke(ctx) })
	return s
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.guard(w, r, fault.Auth)
	h := w.Header()
	h["X-Content-Type-Options"] = noSniff
	h["Content-Security-Policy"] = noFrames
	h["Referrer-Policy"] = noReferrer
	if r.TLS != nil {
		h["Strict-Transport-Security"] = onlyHTTPS
	}
	if !s.origins.apply(w, r) {
		return
	}
	if len(s.options.TrustedProxies) > 0 {
		r = r.WithContext(identity.WithClient(r.Context(), identity.Client{Addr: s.clientAddr(r)}))
	}
	if isFileRoute(r.URL.Path) { // as it was sent, before a path with .. becomes another
		s.readFile(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// guard answers a request whose handler has panicked. It is deferred.
func (s *Server) guard(w http.ResponseWriter, r *http.Request, family fault.Family) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.options.Logger.Error("panic in a request", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	writeFamilyError(w, family, http.StatusInternalServerError, "internal_error", "internal error")
}

// Close closes the sockets with "going away" and waits until their queues have
// been sent or ctx ends. It is idempotent.
func (s *Server) Close(ctx context.Context) error {
	s.engine.Topics().Release()
	s.sockets.shutdown(ctx)
	s.stop()
	s.done.Wait()
	return nil
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	b := []byte(`{"status":"healthy","api_version":"v1"`)
	if isLocal(r) {
		b = append(b, `,"version":`...)
		b = wire.AppendString(b, s.options.Version)
		b = append(b, `,"build_date":`...)
		b = wire.AppendString(b, s.options.Build)
	}
	writeJSON(w, http.StatusOK, append(b, '}'))
}
