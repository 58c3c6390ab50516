// Package node is one running server: it opens the data folder, puts the
// packages of the server together, listens, and takes all of it down again in
// order. The program and the tests start a server through it.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/account"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/ddl"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/files"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/mail"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/internal/topic"
)

// Options are what a Config does not say.
type Options struct {
	Version string
	Build   string // the date of the build
	Logger  *slog.Logger
	// HashCommand starts a process that makes password hashes for the server
	// (password.ServeHashes); without it the server makes them itself.
	HashCommand []string
	// Demo makes the users and the table of the documentation when they are not
	// there. It needs a loopback address, and a data folder that is new or was
	// created by the demo.
	Demo bool
	// PrintMail receives each mail when no SMTP server is configured, for the
	// demo.
	PrintMail func(text string)
}

// Node is a server that listens.
type Node struct {
	started   time.Time
	db        *store.DB
	engine    *engine.Engine
	users     *identity.Service
	hub       *live.Hub
	mail      *mail.Service
	accounts  *account.Service
	topics    *topic.Service
	files     *files.Service
	edge      *server.Server
	http      *http.Server
	cut       context.CancelFunc // stops the statements of requests
	listeners []net.Listener
	secure    bool // it speaks TLS
	serving   sync.WaitGroup
	once      sync.Once
	failed    chan error
}

// Start opens the data folder and serves. Port 0 takes a free one.
func Start(ctx context.Context, c *config.Config, o Options) (*Node, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := c.WithDefaults()
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	for _, note := range c.Notes() {
		o.Logger.Warn(note.Text, "names", note.About)
	}
	listeners, loopback, err := listen(c.Server.Host, c.Server.Port)
	if err != nil {
		return nil, err
	}
	n := &Node{started: time.Now(), listeners: listeners, secure: c.Server.TLSCert != "", failed: make(chan error, len(listeners))}
	if o.Demo && !loopback {
		n.closeListeners()
		return nil, errors.New("demo data has known passwords: it is served on a loopback address only")
	}
	if err := n.open(ctx, c, o, loopback); err != nil {
		n.closeListeners()
		n.closeStore()
		return nil, err
	}
	debug.FreeOSMemory() // what opening took is not needed again
	requests, cut := context.WithCancel(context.Background())
	n.cut = cut
	n.http = &http.Server{
		BaseContext: func(net.Listener) context.Context { return requests },
		Handler:     n.edge, ReadHeaderTimeout: requestTime, ReadTimeout: requestTime, IdleTimeout: 75 * time.Second, MaxHeaderBytes: 64 << 10,
		ConnContext: server.ConnContext,
		ErrorLog:    slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	if n.secure {
		if n.http.TLSConfig, err = serverTLS(c.Server.TLSCert, c.Server.TLSKey, o.Logger); err != nil {
			n.closeListeners()
			return nil, errors.Join(err, n.edge.Close(ctx), n.closeStore())
		}
	} else if !loopback && !c.Security.AllowPlaintextLogin && len(c.Security.TrustedProxies) == 0 {
		o.Logger.Warn("without tls_cert and tls_key, or a proxy in trusted_proxies, nobody signs in from another machine", "listen", listeners[0].Addr())
	}
	for _, l := range listeners {
		n.serving.Go(func() {
			serve := n.http.Serve
			if n.secure {
				serve = func(l net.Listener) error { return n.http.ServeTLS(l, "", "") }
			}
			if err := serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
				n.failed <- err
			}
		})
	}
	return n, nil
}

func (n *Node) open(ctx context.Context, c *config.Config, o Options, loopback bool) error {
	dir := c.Storage.DataPath
	driver, err := sqlite.Open(dir)
	if err != nil {
		return err
	}
	if err := checkDemo(dir, o.Demo, loopback, o.Logger); err != nil {
		return errors.Join(err, driver.Close())
	}
	driver.MemoryLimit = c.Limits.MaxMemory
	n.db, err = store.Open(ctx, driver, store.Options{
		LogMaxAge: time.Duration(c.Storage.LogMaxAgeHours) * time.Hour, LogMaxSize: c.Storage.LogMaxBytes, Logger: o.Logger,
		ReadTimeout:  time.Duration(c.Limits.StatementTimeout) * time.Second,
		WriteTimeout: time.Duration(c.Limits.WriteTimeout) * time.Second,
	})
	if err != nil {
		return err
	}
	n.users, err = identity.New(n.db, identity.Options{
		KeyDir: filepath.Join(dir, "keys"), JWTSecret: c.Auth.JWTSecret, RootPassword: c.Auth.RootPassword,
		AccessTTL: time.Duration(c.Auth.JWTExpiryMinutes) * time.Minute, MinPasswordLength: c.Auth.MinPasswordLength, CommonPasswords: c.Auth.CommonPasswords, Loopback: loopback && len(c.Security.TrustedProxies) == 0, Logger: o.Logger,
		IdleTTL: time.Duration(c.Auth.SessionIdleDays) * 24 * time.Hour, AbsoluteTTL: time.Duration(c.Auth.SessionMaxDays) * 24 * time.Hour,
		Grace: time.Duration(c.Auth.RefreshGraceSecs) * time.Second, AuditTTL: time.Duration(c.Auth.AuditDays) * 24 * time.Hour, AuditRows: c.Auth.AuditMaxRows,
		HashCommand: o.HashCommand, Issuers: c.Auth.IssuerOptions(), NoPasswordLogin: c.Auth.NoPasswordLogin,
	})
	if err != nil {
		return err
	}
	mails, err := c.MailOptions()
	if err != nil {
		return err
	}
	if mails.Logger = o.Logger; mails.SMTP == "" {
		mails.Print = o.PrintMail
	}
	if n.mail, err = mail.New(ctx, n.db, mails); err != nil {
		return err
	}
	if a := c.Auth.Accounts; a.SignUp != account.SignUpClosed && a.Email != "none" && !n.mail.Sends() {
		return errors.New("[auth.accounts] signup needs mails to prove addresses: set [mail] smtp, or email = \"none\"")
	}
	accounts := c.AccountOptions()
	accounts.Logger = o.Logger
	n.topics = topic.New(n.db, topic.Options{
		Visibility: time.Duration(c.Topics.VisibilityTimeoutSecs) * time.Second, MaxPayload: c.Topics.MaxPayloadBytes,
		RetentionSeconds: c.Topics.DefaultRetentionSeconds, RetentionBytes: c.Topics.DefaultRetentionMaxBytes,
		RetainEvery: time.Duration(c.Topics.RetentionCheckIntervalSeconds) * time.Second, Logger: o.Logger,
	})
	e := engine.New(n.db, n.users, engine.Options{
		Topics: n.topics, Memory: c.Limits.MaxRequestMemory,
		Quota:   ddl.Quota{Tables: c.Limits.MaxTablesPerUser, Columns: c.Limits.MaxColumnsPerUser, Indexes: c.Limits.MaxIndexesPerUser},
		MaxRows: c.Limits.MaxRows, MaxBytes: c.Limits.MaxResultBytes, Logger: o.Logger,
	})
	if o.Demo {
		if err := makeDemo(ctx, n.users, e); err != nil {
			return fmt.Errorf("demo data: %w", err)
		}
	}
	n.engine = e
	blobs, err := files.Local(filepath.Join(dir, files.Folder))
	if err != nil {
		return err
	}
	n.files, err = files.New(ctx, n.db, blobs, files.Options{
		MaxBytes: c.Files.MaxSizeBytes, MaxFiles: c.Files.MaxFilesPerRequest, MaxRequest: c.Files.MaxRequestBytes, MaxText: c.Security.MaxRequestBodySize,
		MaxPerUser: c.Files.MaxBytesPerUser, MaxPerFolder: c.Files.MaxFilesPerFolder, AllowedTypes: c.Files.AllowedMIMETypes, Logger: o.Logger,
	})
	if err != nil {
		return err
	}
	n.hub = live.New(n.db, e, live.Options{
		MaxPerUser: c.RateLimit.MaxSubscriptionsPerUser, Logger: o.Logger,
		EvaluationShare: time.Duration(c.Limits.LiveEvaluationMSPerSec) * time.Millisecond,
	})
	proxies, err := c.Proxies()
	if err != nil {
		return err
	}
	origins, err := c.Origins()
	if err != nil {
		return err
	}
	n.accounts = account.New(n.db, n.users, n.mail, accounts)
	n.edge = server.New(n.users, n.accounts, e, n.hub, n.files, server.Options{
		AllowedOrigins: origins, Loopback: loopback, AllowRemoteSetup: c.Auth.AllowRemoteSetup,
		AllowPlaintext: c.Security.AllowPlaintextLogin, TrustedProxies: proxies,
		MaxBody: c.Security.MaxRequestBodySize, MaxMessage: c.Security.MaxWebSocketMessage,
		AuthRate: c.RateLimit.AuthRate(), QueryRate: c.RateLimit.MaxQueriesPerSec, MessageRate: c.RateLimit.MaxMessagesPerSec,
		AuthTimeout: time.Duration(c.WebSocket.AuthTimeoutSecs) * time.Second, ClientTimeout: time.Duration(c.WebSocket.ClientTimeoutSecs) * time.Second,
		Heartbeat:  time.Duration(c.WebSocket.HeartbeatIntervalSecs) * time.Second,
		MaxSockets: maxSockets(c.WebSocket.MaxConnections, o.Logger), MaxUnknown: c.WebSocket.MaxUnauthenticatedPerIP,
		Version: o.Version, Build: o.Build, Logger: o.Logger,
	})
	return n.addSystem(ctx, c, o)
}

// otherFiles is how many open files are left to requests and the database.
const otherFiles = 256

// maxSockets is how many sockets there may be: as configured, or what the limit
// of open files leaves; 0 for the server's default.
func maxSockets(configured int, log *slog.Logger) int {
	possible := int(min(maxFiles(), math.MaxInt32)) - otherFiles
	switch {
	case possible <= 0:
		return configured
	case configured == 0:
		return min(possible, server.DefaultMaxSockets)
	case configured > possible:
		log.Warn("the process may not have as many files open as max_connections says; raise ulimit -n (LimitNOFILE)", "max_connections", configured, "possible", possible)
	}
	return min(configured, possible)
}

// listen opens the addresses of a host: for localhost, both loopback addresses
// where there are two, because some clients try ::1 first.
func listen(host string, port int) (list []net.Listener, loopback bool, err error) {
	if host == "" {
		host = "localhost"
	}
	if !strings.EqualFold(host, "localhost") {
		l, err := net.Listen("tcp", net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port)))
		if err != nil {
			return nil, false, listenError(host, port, err)
		}
		return []net.Listener{l}, l.Addr().(*net.TCPAddr).IP.IsLoopback(), nil
	}
	first, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, false, listenError(host, port, err)
	}
	list = append(list, first)
	taken := first.Addr().(*net.TCPAddr).Port
	if second, err := net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(taken))); err == nil {
		list = append(list, second)
	} else if port != 0 && strings.Contains(err.Error(), "address already in use") {
		first.Close()
		return nil, false, listenError("::1", port, err)
	}
	return list, true, nil
}

func listenError(host string, port int, err error) error {
	if strings.Contains(err.Error(), "address already in use") {
		return fmt.Errorf("port %d of %s is in use by another program; choose another with --listen %s:PORT", port, host, host)
	}
	return fmt.Errorf("listen on %s: %w", host, err)
}

// Port is the port that the node listens on.
func (n *Node) Port() int { return n.listeners[0].Addr().(*net.TCPAddr).Port }

// URL is where the node answers.
func (n *Node) URL() string {
	scheme := "http://"
	if n.secure {
		scheme = "https://"
	}
	addr := n.listeners[0].Addr().(*net.TCPAddr)
	if len(n.listeners) > 1 || addr.IP.Equal(net.IPv4(127, 0, 0, 1)) {
		return scheme + "localhost:" + strconv.Itoa(addr.Port)
	}
	return scheme + addr.String()
}

// Failed gives an error when the node can no longer serve.
func (n *Node) Failed() <-chan error { return n.failed }

// NeedsSetup reports whether nobody can sign in yet.
func (n *Node) NeedsSetup(ctx context.Context) (bool, error) { return n.users.NeedsSetup(ctx) }

// EngineMemory returns the bytes that SQLite holds, outside of Go's memory.
func (n *Node) EngineMemory() int64 { return n.db.Account().Engine() }

// requestTime is how long a client has for a request's header, and for its body's
// first bytes.
const requestTime = 5 * time.Second

// Close drains the node: no new work, sockets closed with "going away",
// requests and commits finished; what is not done when ctx ends is cut off. It
// is idempotent.
func (n *Node) Close(ctx context.Context) error {
	var err error
	n.once.Do(func() {
		// Statements that are still running after half of the time are stopped, so
		// that there is time to say so to their clients and to close.
		if end, ok := ctx.Deadline(); ok {
			defer time.AfterFunc(time.Until(end)/2, n.cut).Stop()
		}
		defer n.cut()
		err = errors.Join(n.edge.Close(ctx), n.http.Shutdown(ctx))
		if err != nil {
			n.http.Close()
		}
		n.serving.Wait()
		err = errors.Join(err, n.closeStore())
	})
	return err
}

func (n *Node) closeStore() error {
	var err error
	if n.hub != nil {
		err = n.hub.Close()
	}
	if n.topics != nil {
		err = errors.Join(err, n.topics.Close())
	}
	if n.files != nil {
		err = errors.Join(err, n.files.Close())
	}
	if n.accounts != nil {
		err = errors.Join(err, n.accounts.Close())
	}
	if n.mail != nil {
		err = errors.Join(err, n.mail.Close())
	}
	if n.users != nil {
		err = errors.Join(err, n.users.Close())
	}
	if n.db != nil {
		err = errors.Join(err, n.db.Close())
	}
	return err
}

func (n *Node) closeListeners() {
	for _, l := range n.listeners {
		l.Close()
	}
}

// Backup writes a consistent copy of the database into a new file.
func (n *Node) Backup(ctx context.Context, path string) error { return n.db.Backup(ctx, path) }
