// Package identity answers who is asking: it checks passwords, keeps sessions,
// signs and verifies tokens, and holds the users with their roles.
//
// One flow: a login checks the password and begins a session, which gives a
// short access token and a refresh token; each request brings the access token,
// and Verify turns it into a Principal, almost always from memory. What ends a
// session is committed first and then cuts whatever hangs on it in memory, so
// that Valid tells the owner of an open socket at once.
//
// The package knows neither HTTP nor the statements of users: the server decodes
// requests, and the engine decides when a user is made or changed.
package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/maypok86/otter/v2"

	"github.com/kalamdb/kalam-go/internal/issuer"
	"github.com/kalamdb/kalam-go/internal/keys"
	"github.com/kalamdb/kalam-go/internal/password"
	"github.com/kalamdb/kalam-go/internal/redact"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Codes of failures beside those of package wire.
const (
	CodeAlreadyConfigured wire.Code = "ALREADY_CONFIGURED"
	CodeInvalidUser                 = wire.CodeInvalidUser
	CodeUserExists                  = wire.CodeUserExists
)

// Options configure a Service. Either KeyDir or JWTSecret is needed; the zero
// value of every other field works.
type Options struct {
	redact.Redacted

	KeyDir            string           // folder of the key pair that signs tokens, made on first start
	JWTSecret         string           // sign and verify with HS256 and this secret instead; apps that know it mint tokens
	AccessTTL         time.Duration    // life of an access token; default 1 hour
	IdleTTL           time.Duration    // life of a session without a refresh; default 7 days
	AbsoluteTTL       time.Duration    // life of a session; default 30 days
	Grace             time.Duration    // how long a replaced refresh token may be replayed; default 30 seconds
	MinPasswordLength int              // in characters; default 8
	CommonPasswords   bool             // passwords that guessers try first are accepted
	Loopback          bool             // only this machine reaches the server: root may have a weak password
	RootPassword      string           // password of root, as long as root has none
	CachedTokens      int              // verified tokens kept in memory; default 65536
	AuditTTL          time.Duration    // how long the audit log is kept; default 90 days, at least 30
	AuditRows         int              // of each kind of event in it; default 1,000,000, at least 10,000
	Issuers           []issuer.Options // others whose tokens are good here
	NoPasswordLogin   bool             // nobody signs in with a password; tokens of other issuers only
	HashCommand       []string         // starts a process that calls password.ServeHashes; default: hashes are made in this one
	HashPatience      time.Duration    // for such a process to make a hash, before this one does; default 2 seconds
	Now               func() time.Time
	Logger            *slog.Logger
}

func (o *Options) setDefaults() {
	durations := []struct {
		field    *time.Duration
		standard time.Duration
	}{
		{&o.AccessTTL, time.Hour},
		{&o.IdleTTL, 7 * 24 * time.Hour},
		{&o.AbsoluteTTL, 30 * 24 * time.Hour},
		{&o.Grace, 30 * time.Second},
		{&o.HashPatience, 2 * time.Second},
	}
	for _, d := range durations {
		if *d.field == 0 {
			*d.field = d.standard
		}
	}
	if o.MinPasswordLength <= 0 {
		o.MinPasswordLength = password.MinLength
	}
	if o.AuditTTL == 0 {
		o.AuditTTL = 90 * 24 * time.Hour
	}
	o.AuditTTL = max(o.AuditTTL, minAuditAge)
	if o.AuditRows == 0 {
		o.AuditRows = 1_000_000
	}
	o.AuditRows = max(o.AuditRows, minAuditRows)
	if o.CachedTokens == 0 {
		o.CachedTokens = 1 << 16
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Service answers who is asking. It is safe for concurrent use.
type Service struct {
	redact.Redacted
	db         *store.DB
	options    Options
	keys       *keys.Set
	hasher     *password.Hasher
	refreshKey []byte // derives and authenticates refresh tokens
	cache      *otter.Cache[[32]byte, *Principal]
	registry   *registry
	issuers    map[string]*issuer.Issuer // by the claim iss
	algorithms []jose.SignatureAlgorithm // that any of ours and theirs may have
	stop       context.CancelFunc
	background sync.WaitGroup
	throttle   *throttle
	once       *once
	attempts   *attempts
	refusals   *refusals
	uses       keyUses
	erasing    sync.Mutex  // held by the one EraseUser that runs
	pending    chan event  // to be recorded; see maxPending
	configured atomic.Bool // root has a password; never false again
}

// New opens the service on a database, whose first start gets the user root.
func New(db *store.DB, o Options) (*Service, error) {
	o.setDefaults()
	s := &Service{db: db, options: o, hasher: password.New(o.HashCommand, o.HashPatience, o.Logger), registry: newRegistry(db), throttle: newThrottle(), once: newOnce(), attempts: newAttempts(), refusals: newRefusals(), pending: make(chan event, maxPending)}
	var err error
	if o.JWTSecret != "" {
		s.keys, err = keys.FromSecret(o.JWTSecret)
	} else {
		s.keys, err = keys.Load(o.KeyDir, o.AccessTTL+clockSkew, o.Logger)
	}
	if err != nil {
		return nil, err
	}
	s.cache, err = otter.New(&otter.Options[[32]byte, *Principal]{MaximumSize: o.CachedTokens})
	if err != nil {
		return nil, fmt.Errorf("make token cache: %w", err)
	}
	ctx := context.Background()
	if s.refreshKey, err = loadRefreshKey(ctx, db); err != nil {
		return nil, fmt.Errorf("load refresh key: %w", err)
	}
	if err := s.nameSessions(ctx); err != nil {
		return nil, fmt.Errorf("name sessions: %w", err)
	}
	if err := s.makeRoot(ctx); err != nil {
		return nil, fmt.Errorf("make user %s: %w", Root, err)
	}
	s.options.JWTSecret, s.options.RootPassword = "", ""
	ctx, s.stop = context.WithCancel(ctx)
	run := func(f func(context.Context)) { s.background.Go(func() { f(ctx) }) }
	if err := s.trust(run); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	run(s.recordPending)
	run(s.recordAttempts)
	run(s.eraseRest)
	run(s.recordUses)
	run(s.registry.follow)
	if s.keys.Dir != "" {
		run(s.watchKeys)
	}
	return s, nil
}

// trust takes up the configured issuers.
func (s *Service) trust(run func(func(context.Context))) error {
	s.issuers = make(map[string]*issuer.Issuer)
	s.algorithms = []jose.SignatureAlgorithm{s.keys.Alg}
	aliases := make(map[string]bool)
	for _, o := range s.options.Issuers {
		if o.Alias == Issuer {
			return fmt.Errorf("issuer %s: the alias %q is this server's own", o.Issuer, o.Alias)
		}
		if err := checkRoles(&o); err != nil {
			return err
		}
		i, err := issuer.New(o, s.options.Now, s.options.Logger, run)
		if err != nil {
			return err
		}
		if s.issuers[o.Issuer] != nil || aliases[o.Alias] {
			return fmt.Errorf("issuer %s: its URL or its alias %q is configured twice", o.Issuer, o.Alias)
		}
		s.issuers[o.Issuer], aliases[o.Alias] = i, true
		for _, alg := range i.Algs {
			if !slices.Contains(s.algorithms, alg) {
				s.algorithms = append(s.algorithms, alg)
			}
		}
	}
	return nil
}

// watchKeys notices keys that rotation has added or removed. Looking is one
// system call a second.
func (s *Service) watchKeys(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.ReloadKeys(ctx); err != nil {
			s.options.Logger.Error("the signing keys cannot be read again; those in memory go on", "error", err)
		}
	}
}

// ReloadKeys reads the key folder if it has changed. Tokens of keys that are
// gone are void when it returns. It happens by itself every second.
func (s *Service) ReloadKeys(ctx context.Context) error {
	changed, gone, err := s.keys.Reload(s.options.Logger)
	if err != nil || !changed {
		return err
	}
	cut := make([]string, len(gone))
	for i, id := range gone {
		cut[i] = signingKeyKey(id)
	}
	s.registry.cut(cut...)
	newest := s.keys.Newest()
	s.options.Logger.Info("the signing keys have changed", "newest", newest.Id, "signs_from", newest.From, "removed", len(gone))
	s.record(ctx, event{action: auditKeyChanged, target: "key:" + newest.Id, method: "operator",
		details: fmt.Sprintf("signs from %s; %d removed", newest.From.UTC().Format(time.RFC3339), len(gone))})
	return nil
}

// Close ends the service. The database stays open.
func (s *Service) Close() error {
	s.stop()
	s.background.Wait()
	s.hasher.Close()
	s.cache.InvalidateAll()
	s.cache.StopAllGoroutines()
	return nil
}

// JWKS returns the public keys that verify access tokens, as a JWK set. In
// HS256 mode it is empty.
func (s *Service) JWKS() []byte { return s.keys.Public() }

// Watch returns a channel that is closed when a principal may have become
// invalid. Who keeps principals takes the channel first, then asks Valid of
// each, then waits. The end of a token's life closes no channel.
func (s *Service) Watch() <-chan struct{} { return s.registry.watch() }

// Valid reports whether p may still act: its token has not expired, and its
// session and user are as they were. It costs a few loads from memory.
func (s *Service) Valid(p *Principal) bool {
	return !s.Revoked(p) && !p.expired(s.options.Now())
}

// Revoked reports whether the session or the user of p has ended or changed,
// whether or not its token has expired.
func (s *Service) Revoked(p *Principal) bool {
	s.registry.catchUp()
	return p.revoked()
}

// now is the time in microseconds, as the database keeps it.
func (s *Service) now() int64 { return s.options.Now().UnixMicro() }

const refreshKeyName = "identity.refresh_key"

// loadRefreshKey reads the key of refresh tokens, or makes it. It is kept in
// the database and not in a file, since the sessions are worth nothing without
// it and it nothing without them.
func loadRefreshKey(ctx context.Context, db *store.DB) ([]byte, error) {
	key, err := store.Write(ctx, db, func(tx *store.Tx) (key []byte, err error) {
		err = tx.Query(selectMeta, []wire.Value{wire.TextValue(refreshKeyName)}, func(row []wire.Value) error {
			key = row[0].Bytes()
			return nil
		})
		if err != nil || len(key) > 0 {
			return key, err
		}
		key = make([]byte, 32)
		rand.Read(key)
		_, err = tx.Exec(insertMeta, wire.TextValue(refreshKeyName), wire.BytesValue(key))
		return key, err
	})
	if err == nil && len(key) != 32 {
		err = errors.New("the stored key is damaged")
	}
	return key, err
}

// Types of arguments and columns. Times are microseconds since 1970.
var (
	text    = wire.Type{Kind: wire.Text}
	integer = wire.Type{Kind: wire.BigInt}
	blob    = wire.Type{Kind: wire.Bytes}

	selectMeta = &store.Stmt{
		SQL: "SELECT value FROM meta WHERE key = $1", Args: []wire.Type{text}, Cols: []wire.Type{blob},
	}
	insertMeta = &store.Stmt{
		SQL: "INSERT INTO meta (key, value) VALUES ($1, $2)", Args: []wire.Type{text, blob},
	}
)

// optional is NULL for "".
func optional(s string) wire.Value {
	if s == "" {
		return wire.Null
	}
	return wire.TextValue(s)
}
