package identity

import (
	"context"
	"encoding/base64"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/kalamdb/kalam-go/internal/store"
)

// Issuer is the issuer of the server's own users and tokens.
const Issuer = "kalamdb"

// Principal is who is asking: a user as verified from an access token. It is
// immutable and shared by everybody who presents the same token; copy it to
// change it. Email is as it was when the token was verified, "" for none.
// SessionID is "" for a token that an app minted.
type Principal struct {
	UserID    string
	Role      string
	Email     string
	SessionID string
	Issuer    string
	ExpiresAt time.Time // zero: never

	// Scope narrows what the principal may do of what the user may; nil: it has
	// signed in, without an API key.
	Scope *Scope

	issued *float64 // the token's claim iat, nil for none
	via    string   // how the session began; "token" for a token that an app minted

	// anchors are what the principal hangs on: its session and the key that
	// signed the token; or its token or API key, and all those of the user without
	// a session. Entries may be nil.
	anchors [2]*anchor
}

// IsAdmin reports whether the principal may administer the server.
func (p *Principal) IsAdmin() bool { return IsAdminRole(p.Role) }

// method is how the principal has proved who they are, for the audit log.
func (p *Principal) method() string { return p.via }

// revoked reports whether an anchor of the principal was cut.
func (p *Principal) revoked() bool {
	for _, a := range p.anchors {
		if a != nil && a.cut.Load() {
			return true
		}
	}
	return false
}

// Same reports whether p and q are one user who has signed in the same way: with
// the same issuer, and the same API key or none.
func (p *Principal) Same(q *Principal) bool {
	return p.UserID == q.UserID && p.Issuer == q.Issuer && p.keyPrefix() == q.keyPrefix()
}

// keyPrefix names the API key of the principal, "" for none.
func (p *Principal) keyPrefix() string {
	if p.Scope == nil {
		return ""
	}
	return p.Scope.Prefix
}

func (p *Principal) expired(now time.Time) bool {
	return !p.ExpiresAt.IsZero() && !now.Before(p.ExpiresAt)
}

// anchor is something that principals in memory hang on.
// Once cut it stays so; whoever is verified later gets a new one.
type anchor struct {
	key string // also keeps the object out of the tiny allocator, where weak pointers do not end
	cut atomic.Bool
}

// registry finds the anchors that some principal in memory hangs on. It holds
// them weakly: what nobody hangs on any more is collected, so its size follows
// that of the token cache and the open sockets.
//
// It reads what commits revoke before it answers whether a principal is revoked,
// so a revocation holds when its caller is answered.
type registry struct {
	news    *store.Listener
	mu      sync.Mutex
	anchors map[string]weak.Pointer[anchor] // guarded by mu
	changed chan struct{}                   // guarded by mu; closed and replaced by each cut
}

func newRegistry(db *store.DB) *registry {
	return &registry{news: db.Listen(store.AboutRevoked), anchors: make(map[string]weak.Pointer[anchor]), changed: make(chan struct{})}
}

// revoked is what a commit tells that ends what principals hang on.
func revoked(keys ...string) store.Notice { return store.Notice{Revoked: keys} }

// follow cuts what commits revoke, so that who waits for that need not ask.
func (r *registry) follow(ctx context.Context) {
	defer r.news.Close()
	for {
		r.catchUp()
		select {
		case <-r.news.Wake:
		case <-ctx.Done():
			return
		}
	}
}

// catchUp cuts what all commits up to now have revoked.
func (r *registry) catchUp() {
	if r.news.Behind() {
		r.news.Read(r.hear)
	}
}

// hear cuts what a commit has revoked: everything, when it is not known what.
func (r *registry) hear(n store.Notice) {
	if n.Missed {
		r.mu.Lock()
		n.Revoked = slices.Collect(maps.Keys(r.anchors))
		r.mu.Unlock()
	}
	r.cut(n.Revoked...)
}

// anchor returns the anchor of that key, the same one for all until it is cut.
func (r *registry) anchor(key string) *anchor {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.anchors[key].Value(); a != nil {
		return a
	}
	a := &anchor{key: key}
	r.anchors[key] = weak.Make(a)
	runtime.AddCleanup(a, r.forget, key)
	return a
}

// forget removes a collected anchor, unless another has taken its place.
func (r *registry) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, ok := r.anchors[key]; ok && w.Value() == nil {
		delete(r.anchors, key)
	}
}

// cut revokes every principal that hangs on one of the keys and wakes who waits
// for that.
func (r *registry) cut(keys ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		if a := r.anchors[key].Value(); a != nil {
			a.cut.Store(true)
		}
		delete(r.anchors, key)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *registry) watch() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Keys of anchors. The prefix keeps the kinds apart.
const tokenPrefix = "t:"

func sessionKey(id string) string    { return "s:" + id }
func userTokensKey(id string) string { return "m:" + id } // tokens without a session
func signingKeyKey(id string) string { return "k:" + id } // tokens that a key of the server signed
func apiKeyKey(prefix string) string { return "a:" + prefix }
func tokenKey(sum [32]byte) string   { return tokenPrefix + base64.RawURLEncoding.EncodeToString(sum[:]) }
