package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/issuer"
	"github.com/kalamdb/kalam-go/wire"
)

// rsaKeys are made once: they take a while.
var rsaKeys = sync.OnceValue(func() (out [3]*rsa.PrivateKey) {
	for i := range out {
		out[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return out
})

// provider is an issuer that a test has in its hands: what it answers can be
// changed and what it is asked is counted.
type provider struct {
	*httptest.Server
	caFile   string
	requests atomic.Int64
	mu       sync.Mutex
	keys     []jose.JSONWebKey
	meta     map[string]any // replaces members of the metadata
	down     bool
}

func newProvider(t *testing.T) *provider {
	p := &provider{meta: map[string]any{}}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case p.down:
			http.Error(w, "no", http.StatusInternalServerError)
		case r.URL.Path == "/.well-known/openid-configuration":
			json.NewEncoder(w).Encode(with(map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys"}, p.meta))
		case r.URL.Path == "/keys":
			json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: p.keys})
		case r.URL.Path == "/elsewhere":
			http.Redirect(w, r, "https://example.com/keys", http.StatusFound)
		default:
			t.Errorf("the provider was asked for %s", r.URL)
		}
	}))
	t.Cleanup(p.Close)
	p.caFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile(p.caFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	p.publish(jose.JSONWebKey{Key: rsaKeys()[0].Public(), KeyID: "one", Use: "sig", Algorithm: "RS256"})
	return p
}

func (p *provider) publish(keys ...jose.JSONWebKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

func (p *provider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// options trust the provider.
func (p *provider) options(change ...func(*issuer.Options)) issuer.Options {
	o := issuer.Options{
		Alias: "corp", Issuer: p.URL, Audience: []string{"kalam"}, AutoProvision: true, AllowPrivate: true, CAFile: p.caFile,
	}
	for _, fn := range change {
		fn(&o)
	}
	return o
}

// claims of an access token of the provider.
func (p *provider) claims(s *server, subject string) map[string]any {
	now := s.clock.now()
	return map[string]any{"iss": p.URL, "sub": subject, "aud": "kalam", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
}

func sign(t *testing.T, key any, kid string, claims map[string]any) string {
	t.Helper()
	alg := jose.RS256
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		alg = jose.ES256
	}
	return mint(t, alg, key, map[jose.HeaderKey]any{"kid": kid, "typ": "at+jwt"}, claims)
}

func TestTokenOfAnIssuerMakesAUser(t *testing.T) {
	p := newProvider(t)
	s := configured(t, identity.Options{Issuers: []issuer.Options{p.options(func(o *issuer.Options) {
		o.RoleClaim, o.Roles = "realm_access.roles", map[string]string{"ops": "service"}
	})}})
	c := with(p.claims(s, "248289761001"), map[string]any{"email": "jane@example.com", "email_verified": true})
	token := sign(t, rsaKeys()[0], "one", c)
	got := s.verify(token)
	if got.UserID != "corp:248289761001" || got.Role != identity.RoleUser || got.Issuer != p.URL || got.Email != "jane@example.com" || got.SessionID != "" {
		t.Errorf("%+v", got)
	}
	ops := s.verify(sign(t, rsaKeys()[0], "one", with(p.claims(s, "ops-1"), map[string]any{"realm_access": map[string]any{"roles": []string{"x", "ops"}}})))
	if ops.Role != identity.RoleService {
		t.Errorf("the group gave role %s", ops.Role)
	}
	// The stored role stands, whatever later tokens say of groups, until SQL changes it.
	left := sign(t, rsaKeys()[0], "one", with(p.claims(s, "ops-1"), map[string]any{"jti": "2"}))
	if again := s.verify(left); again.Role != identity.RoleService {
		t.Errorf("without the group the role is %s", again.Role)
	}
	came := with(p.claims(s, "248289761001"), map[string]any{"jti": "3", "realm_access": map[string]any{"roles": []string{"ops"}}})
	if again := s.verify(sign(t, rsaKeys()[0], "one", came)); again.Role != identity.RoleUser {
		t.Errorf("a group that came later gave role %s", again.Role)
	}
	// Whatever it says about a role of ours is not read.
	if again := s.verify(sign(t, rsaKeys()[0], "one", with(c, map[string]any{"role": "system", "jti": "2"}))); again.Role != identity.RoleUser {
		t.Errorf("role %s", again.Role)
	}
	if n := p.requests.Load(); n != 2 {
		t.Errorf("%d requests for six tokens, want metadata and keys once", n)
	}
	s.Close() // which waits for the log
	log := strings.Join(s.auditLog(), "\n")
	if !strings.Contains(log, "PROVISION_USER ok - user:corp:248289761001 oidc") || !strings.Contains(log, "LOGIN ok corp:248289761001 user:corp:248289761001 oidc") {
		t.Errorf("the log has\n%s", log)
	}
}

func TestSubjectsCannotBecomeLocalOrEachOther(t *testing.T) {
	p := newProvider(t)
	s := configured(t, identity.Options{Issuers: []issuer.Options{p.options()}})
	ids := map[string]string{}
	for _, subject := range []string{"alice", "root", "../root", "a/b", "e\u0301", "\u00e9", strings.Repeat("x", 250), " spaced ", "auth0|42"} {
		got := s.verify(sign(t, rsaKeys()[0], "one", p.claims(s, subject)))
		if got.UserID == "alice" || got.UserID == "root" || !strings.HasPrefix(got.UserID, "corp:") || got.Role != identity.RoleUser {
			t.Errorf("%q is %+v", subject, got)
		}
		if other, ok := ids[got.UserID]; ok {
			t.Errorf("%q and %q are the same user", subject, other)
		}
		ids[got.UserID] = subject
		if again := s.verify(sign(t, rsaKeys()[0], "one", with(p.claims(s, subject), map[string]any{"jti": "2"}))); again.UserID != got.UserID {
			t.Errorf("%q is %s and then %s", subject, got.UserID, again.UserID)
		}
	}
	for _, subject := range []string{"", strings.Repeat("x", 300)} {
		s.refusedToken(sign(t, rsaKeys()[0], "one", p.claims(s, subject)), wire.CodeInvalidCredentials)
	}
}

func TestWithoutProvisioningTheAdminMakesTheUsers(t *testing.T) {
	p := newProvider(t)
	s := configured(t, identity.Options{Issuers: []issuer.Options{p.options(func(o *issuer.Options) { o.AutoProvision = false })}})
	token := sign(t, rsaKeys()[0], "one", p.claims(s, "42"))
	s.refusedToken(token, wire.CodeInvalidCredentials)
	s.create(identity.NewUser{Name: "jane", Auth: "OIDC", Role: "service", Secret: `{"issuer":"` + p.URL + `","subject":"42"}`})
	if got := s.verify(token); got.UserID != "jane" || got.Role != identity.RoleService {
		t.Errorf("%+v", got)
	}
}

// TestForeignTokensThatAreRefused is the attack corpus for tokens of issuers.
func TestForeignTokensThatAreRefused(t *testing.T) {
	p, q := newProvider(t), newProvider(t)
	q.publish(jose.JSONWebKey{Key: rsaKeys()[1].Public(), KeyID: "one", Use: "sig"})
	s := configured(t, identity.Options{Issuers: []issuer.Options{p.options(), q.options(func(o *issuer.Options) { o.Alias = "other" })}})
	good := p.claims(s, "42")
	s.verify(sign(t, rsaKeys()[0], "one", good))
	key := rsaKeys()[0]
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	header := func(more map[jose.HeaderKey]any) string {
		h := map[jose.HeaderKey]any{"kid": "one", "typ": "at+jwt"}
		for k, v := range more {
			h[k] = v
		}
		return mint(t, jose.RS256, rsaKeys()[1], h, good)
	}
	jwk := jose.JSONWebKey{Key: rsaKeys()[1].Public(), KeyID: "one"}
	claim := func(name string, v any) string { return sign(t, key, "one", with(good, map[string]any{name: v})) }
	typ := func(typ string, more map[string]any) string {
		return mint(t, jose.RS256, key, map[jose.HeaderKey]any{"kid": "one", "typ": typ}, with(good, more))
	}
	before := p.requests.Load()
	for name, token := range map[string]string{
		"key of another issuer":     sign(t, rsaKeys()[1], "one", good),
		"public key as HMAC secret": mint(t, jose.HS256, publicPEM, map[jose.HeaderKey]any{"kid": "one"}, good),
		"public DER as HMAC secret": mint(t, jose.HS256, public, map[jose.HeaderKey]any{"kid": "one"}, good),
		"algorithm not configured":  mint(t, jose.ES256, ec, map[jose.HeaderKey]any{"kid": "one"}, good),
		"RS384":                     mint(t, jose.RS384, key, map[jose.HeaderKey]any{"kid": "one"}, good),
		"PS256":                     mint(t, jose.PS256, key, map[jose.HeaderKey]any{"kid": "one"}, good),
		"jwk in the header":         header(map[jose.HeaderKey]any{"jwk": jwk}),
		"jku in the header":         header(map[jose.HeaderKey]any{"jku": "https://example.com/keys"}),
		"x5u in the header":         header(map[jose.HeaderKey]any{"x5u": "https://example.com/cert"}),
		"crit in the header":        mint(t, jose.RS256, key, map[jose.HeaderKey]any{"kid": "one", "crit": []string{"exp"}}, good),
		"long kid":                  sign(t, key, strings.Repeat("k", 300), good),
		"kid that is a path":        sign(t, key, "../../keys", good),
		"unknown kid":               sign(t, key, "two", good),
		"unknown issuer":            claim("iss", "https://evil.example.com"),
		"issuer with a slash":       claim("iss", p.URL+"/"),
		"issuer in capitals":        claim("iss", strings.ToUpper(p.URL)),
		"no issuer":                 claim("iss", nil),
		"list of issuers":           claim("iss", []string{p.URL}),
		"our issuer":                claim("iss", "kalamdb"),
		"no audience":               claim("aud", nil),
		"other audience":            claim("aud", "another-service"),
		"audience in a list":        claim("aud", []string{"another-service"}),
		"no subject":                claim("sub", nil),
		"subject that is a number":  claim("sub", 42),
		"no end":                    claim("exp", nil),
		"not yet":                   claim("nbf", s.clock.now().Add(time.Hour).Unix()),
		"from the future":           claim("iat", s.clock.now().Add(time.Hour).Unix()),
		"ID token by nonce":         typ("JWT", map[string]any{"nonce": "n"}),
		"ID token by at_hash":       typ("", map[string]any{"at_hash": "h"}),
		"ID token by its type":      typ("JWT", map[string]any{"token_use": "id"}),
		"ID token of Keycloak":      typ("JWT", map[string]any{"typ": "ID"}),
		"refresh token":             typ("refresh+jwt", nil),
		"refresh token of Keycloak": typ("JWT", map[string]any{"typ": "Refresh"}),
		"logout token":              typ("logout+jwt", nil),
		"DPoP proof":                typ("dpop+jwt", nil),
		"oversized":                 claim("x", strings.Repeat("x", 10<<10)),
		"nested":                    strings.Repeat("[", 3000),
	} {
		if _, err := s.Verify(t.Context(), token); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			wantCode(t, err, wire.CodeInvalidCredentials)
		}
	}
	s.refusedToken(claim("exp", s.clock.now().Unix()), wire.CodeTokenExpired)
	// One look for the unknown kid at most; nothing that a token said led anywhere.
	if n := p.requests.Load() - before; n > 1 {
		t.Errorf("%d requests", n)
	}
	// The same issuer with ID tokens allowed takes one.
	s = configured(t, identity.Options{Issuers: []issuer.Options{p.options(func(o *issuer.Options) { o.AcceptIDTokens = true })}})
	s.verify(typ("JWT", map[string]any{"nonce": "n"}))
}

func TestUnknownKeyIDsLeadToOneFetchInThirtySeconds(t *testing.T) {
	p := newProvider(t)
	s := configured(t, identity.Options{Issuers: []issuer.Options{p.options()}})
	s.verify(sign(t, rsaKeys()[0], "one", p.claims(s, "42")))
	before := p.requests.Load()
	s.clock.advance(time.Minute)
	tokens := make([]string, 64)
	for i := range tokens {
		tokens[i] = sign(t, rsaKeys()[0], fmt.Sprint("random-", i), p.claims(s, "42"))
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < len(tokens); i += 8 {
				if _, err := s.Verify(t.Context(), tokens[i]); err == nil {
					t.Error("accepted")
				}
			}
		})
	}
	wg.Wait()
	if n := p.requests.Load() - before; n != 1 {
		t.Errorf("%d fetches for %d unknown key ids", n, len(tokens))
	}
	// The keys that were there stay there.
	s.verify(sign(t, rsaKeys()[0], "one", with(p.claims(s, "42"), map[string]any{"jti": "b"})))
	// A genuine rotation is seen within thirty seconds.
	p.publish(jose.JSONWebKey{Key: rsaKeys()[2].Public(), KeyID: "new", Use: "sig"})
	s.clock.advance(29 * time.Second)
	s.refusedToken(sign(t, rsaKeys()[2], "new", p.claims(s, "42")), wire.CodeInvalidCredentials)
	s.clock.advance(time.Second)
	s.verify(sign(t, rsaKeys()[2], "new", p.claims(s, "42")))
	s.refusedToken(sign(t, rsaKeys()[0], "one", with(p.claims(s, "42"), map[string]any{"jti": "c"})), wire.CodeInvalidCredentials)
}

func TestIssuerThatIsAwayIsNoRefusal(t *testing.T) {
	p := newProvider(t)
	s := configured(t, identity.Options{Issuers: []issuer.Options{p.options()}})
	p.set(func() { p.down = true })
	token := func(jti string) string {
		return sign(t, rsaKeys()[0], "one", with(p.claims(s, "42"), map[string]any{"jti": jti}))
	}
	s.refusedToken(token("a"), wire.CodeUnavailable)
	p.set(func() { p.down = false })
	s.clock.advance(5 * time.Second)
	s.verify(token("b"))
	// With keys in hand it goes on for a day, and not longer.
	p.set(func() { p.down = true })
	s.clock.advance(23 * time.Hour)
	s.verify(token("c"))
	s.clock.advance(2 * time.Hour)
	s.refusedToken(token("d"), wire.CodeUnavailable)
}

func TestMetadataIsNotTrustedBlindly(t *testing.T) {
	for name, meta := range map[string]map[string]any{
		"other issuer":     {"issuer": "https://evil.example.com"},
		"plain key set":    {"jwks_uri": "http://127.0.0.1:1/keys"},
		"no key set":       {"jwks_uri": nil},
		"user in the URL":  {"jwks_uri": "https://u:p@127.0.0.1:1/keys"},
		"redirect":         {"jwks_uri": "REDIRECT"},
		"not an URL":       {"jwks_uri": "%%"},
		"file":             {"jwks_uri": "file:///etc/passwd"},
		"private when not": {},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			if meta["jwks_uri"] == "REDIRECT" {
				meta["jwks_uri"] = p.URL + "/elsewhere"
			}
			p.meta = meta
			s := configured(t, identity.Options{Issuers: []issuer.Options{p.options(func(o *issuer.Options) { o.AllowPrivate = name != "private when not" })}})
			s.refusedToken(sign(t, rsaKeys()[0], "one", p.claims(s, "42")), wire.CodeUnavailable)
		})
	}
}

func TestUsersOfIssuersAreRevokedLikeOthers(t *testing.T) {
	p := newProvider(t)
	s := configured(t, identity.Options{Issuers: []issuer.Options{p.options()}})
	n := 0
	sign := func() string {
		n++
		s.clock.advance(2 * time.Second)
		return sign(t, rsaKeys()[0], "one", with(p.claims(s, "42"), map[string]any{"jti": fmt.Sprint(n)}))
	}
	for name, end := range map[string]func(token string, who *identity.Principal){
		"logout":           func(token string, _ *identity.Principal) { s.logout(token) },
		"end all sessions": func(_ string, who *identity.Principal) { s.EndOtherSessions(t.Context(), who) },
		"role":             func(string, *identity.Principal) { s.alter(root, "corp:42", "ROLE", "service") },
		"role back":        func(string, *identity.Principal) { s.alter(root, "corp:42", "ROLE", "user") },
		"disable": func(string, *identity.Principal) {
			s.alter(root, "corp:42", "DISABLE", "")
			s.alter(root, "corp:42", "ENABLE", "")
		},
	} {
		token := sign()
		who := s.verify(token)
		wantCode(t, s.ChangePassword(t.Context(), who, "", "Secret456!", ""), wire.CodeInvalidInput)
		end(token, who)
		if name == "role back" || name == "role" {
			if u, err := s.User(t.Context(), "corp:42"); err != nil || u.Role == who.Role && s.Valid(who) {
				continue // it had that role already
			}
		}
		if s.Valid(who) {
			t.Errorf("%s: the principal is valid", name)
		}
		s.refusedToken(token, wire.CodeInvalidCredentials)
		s.verify(sign())
	}
	if err := s.drop(root, "corp:42"); err != nil {
		t.Fatal(err)
	}
	s.refusedToken(sign(), wire.CodeInvalidCredentials)
	_, err := s.Login(t.Context(), "corp:42", "", "")
	wantCode(t, err, wire.CodeInvalidCredentials)
}

func TestIssuersThatMakeNoSense(t *testing.T) {
	for name, change := range map[string]func(*issuer.Options){
		"plain":          func(o *issuer.Options) { o.Issuer = "http://id.example.com" },
		"no audience":    func(o *issuer.Options) { o.Audience = nil },
		"empty audience": func(o *issuer.Options) { o.Audience = []string{""} },
		"no alias":       func(o *issuer.Options) { o.Alias = "" },
		"colon in alias": func(o *issuer.Options) { o.Alias = "a:b" },
		"our alias":      func(o *issuer.Options) { o.Alias = "kalamdb" },
		"HMAC":           func(o *issuer.Options) { o.Algorithms = []string{"HS256"} },
		"none":           func(o *issuer.Options) { o.Algorithms = []string{"none"} },
		"system":         func(o *issuer.Options) { o.Role = "system" },
		"group system":   func(o *issuer.Options) { o.Roles = map[string]string{"x": "system"} },
		"no such CA":     func(o *issuer.Options) { o.CAFile = "/nowhere" },
	} {
		o := issuer.Options{Alias: "corp", Issuer: "https://id.example.com", Audience: []string{"kalam"}}
		change(&o)
		s := fresh(t, identity.Options{})
		if _, err := identity.New(s.db, identity.Options{KeyDir: t.TempDir(), Issuers: []issuer.Options{o}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestKeyRenewedUnderItsIDIsFetchedOnce(t *testing.T) {
	p := newProvider(t)
	s := configured(t, identity.Options{Issuers: []issuer.Options{p.options()}})
	s.verify(sign(t, rsaKeys()[0], "one", p.claims(s, "42")))
	p.publish(jose.JSONWebKey{Key: rsaKeys()[1].Public(), KeyID: "one", Use: "sig", Algorithm: "RS256"})
	s.clock.advance(time.Minute)
	before := p.requests.Load()
	s.verify(sign(t, rsaKeys()[1], "one", p.claims(s, "42")))
	if n := p.requests.Load() - before; n != 1 {
		t.Errorf("%d requests for the renewed key", n)
	}
	// Wrong signatures lead to no flood of requests, and cost no key.
	for i := range 50 {
		s.refusedToken(sign(t, rsaKeys()[2], "one", with(p.claims(s, "42"), map[string]any{"jti": fmt.Sprint(i)})), wire.CodeInvalidCredentials)
	}
	s.clock.advance(31 * time.Second)
	for i := range 50 {
		s.refusedToken(sign(t, rsaKeys()[2], "one", with(p.claims(s, "42"), map[string]any{"jti": fmt.Sprint(50 + i)})), wire.CodeInvalidCredentials)
	}
	if n := p.requests.Load() - before; n != 2 {
		t.Errorf("%d requests in half a minute of wrong signatures", n-1)
	}
	s.verify(sign(t, rsaKeys()[1], "one", with(p.claims(s, "42"), map[string]any{"jti": "good"})))
}

func TestOnlyKeyNeedsNoID(t *testing.T) {
	first, second := rsaKeys()[0], rsaKeys()[1]
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := func(private *rsa.PrivateKey, kid string) jose.JSONWebKey {
		return jose.JSONWebKey{Key: private.Public(), KeyID: kid, Use: "sig"}
	}
	for name, c := range map[string]struct {
		keys []jose.JSONWebKey
		kid  any // of the token
		good bool
	}{
		"neither has an id":                   {[]jose.JSONWebKey{key(first, "")}, nil, true},
		"the token has none":                  {[]jose.JSONWebKey{key(first, "a")}, nil, true},
		"the key has none":                    {[]jose.JSONWebKey{key(first, "")}, "a", true},
		"the other key is of another sort":    {[]jose.JSONWebKey{key(first, ""), {Key: ec.Public(), Use: "sig"}}, nil, true},
		"another id":                          {[]jose.JSONWebKey{key(first, "b")}, "a", false},
		"two keys and a token without id":     {[]jose.JSONWebKey{key(first, "a"), key(second, "b")}, nil, false},
		"two keys without id":                 {[]jose.JSONWebKey{key(first, ""), key(second, "")}, nil, false},
		"two keys, one without id":            {[]jose.JSONWebKey{key(first, ""), key(second, "b")}, "a", false},
		"two keys, one without id, the other": {[]jose.JSONWebKey{key(second, ""), key(first, "b")}, "b", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			p.publish(c.keys...)
			s := configured(t, identity.Options{Issuers: []issuer.Options{p.options()}})
			header := map[jose.HeaderKey]any{"typ": "at+jwt"}
			if c.kid != nil {
				header["kid"] = c.kid
			}
			token := mint(t, jose.RS256, first, header, p.claims(s, "42"))
			if _, err := s.Verify(t.Context(), token); (err == nil) != c.good {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Why a token is refused is in the log and is counted; its bearer does not learn it.
func TestRefusedTokensSayWhyInTheLog(t *testing.T) {
	p := newProvider(t)
	p.publish(jose.JSONWebKey{Key: rsaKeys()[0].Public(), KeyID: "one", Use: "sig"}, jose.JSONWebKey{Key: rsaKeys()[2].Public(), KeyID: "two", Use: "sig"})
	s := configured(t, identity.Options{JWTSecret: jwtSecret, Issuers: []issuer.Options{p.options(func(o *issuer.Options) { o.AutoProvision = false })}})
	now := s.clock.now()
	own := func(secret string, more map[string]any) string {
		return mint(t, jose.HS256, []byte(secret), nil, with(map[string]any{"iss": "kalamdb", "sub": "alice", "token_type": "access", "exp": now.Add(time.Hour).Unix()}, more))
	}
	theirs := func(more map[string]any) string {
		return sign(t, rsaKeys()[0], "one", with(p.claims(s, "secret-subject"), more))
	}
	for _, c := range []struct{ token, reason, also string }{
		{"no.token", "no_jwt", ""},
		{own(jwtSecret, map[string]any{"iss": "https://elsewhere.example"}), "issuer_not_configured", "https://elsewhere.example"},
		{own("another secret of thirty-two bytes", nil), "signature_wrong", "auth.jwt_secret"},
		{own(jwtSecret, map[string]any{"sub": "nobody"}), "user_unknown", ""},
		{own(jwtSecret, map[string]any{"role": "dba"}), "role_differs", ""},
		{own(jwtSecret, map[string]any{"token_type": "refresh"}), "type_wrong", "refresh"},
		{own(jwtSecret, map[string]any{"token_type": nil}), "type_wrong", ""},
		{own(jwtSecret, map[string]any{"exp": nil}), "claims_missing", ""},
		{own(jwtSecret, map[string]any{"nbf": now.Add(time.Hour).Unix()}), "not_yet_valid", "clocks"},
		{own(jwtSecret, map[string]any{"exp": now.Add(-time.Hour).Unix()}), "expired", ""},
		{mint(t, jose.HS384, []byte(jwtSecret+jwtSecret), nil, map[string]any{"iss": "kalamdb"}), "algorithm_not_accepted", "HS384"},
		{theirs(map[string]any{"aud": []string{"first", "second"}}), "audience_wrong", "first second"},
		{theirs(map[string]any{"nonce": "n"}), "user_unknown", ""}, // at+jwt says what it is
		{mint(t, jose.RS256, rsaKeys()[0], map[jose.HeaderKey]any{"kid": "one", "typ": "JWT"}, with(p.claims(s, "x"), map[string]any{"nonce": "n"})), "type_wrong", "JWT"},
		{mint(t, jose.RS256, rsaKeys()[0], map[jose.HeaderKey]any{"typ": "at+jwt"}, p.claims(s, "x")), "key_id_missing", ""},
		{sign(t, rsaKeys()[0], "three", p.claims(s, "x")), "key_unknown", "kid=three"},
		{sign(t, rsaKeys()[1], "one", p.claims(s, "x")), "signature_wrong", p.URL},
		{theirs(nil), "user_unknown", "auto_provision"},
	} {
		before, counted := s.log.Len(), s.RefusedTokens()[c.reason]
		_, err := s.Verify(t.Context(), c.token)
		if err == nil || err.Error() != "Invalid credentials" {
			t.Errorf("%s: the bearer learns %v", c.reason, err)
		}
		line := s.log.String()[before:]
		if !strings.Contains(line, "level=INFO") || !strings.Contains(line, "reason="+c.reason+" ") || !strings.Contains(line, c.also) {
			t.Errorf("%s: the log has %q", c.reason, line)
		}
		if parts := strings.Split(c.token, "."); len(parts) == 3 && (strings.Contains(line, parts[1]) || strings.Contains(line, parts[2])) || strings.Contains(line, "secret-subject") {
			t.Errorf("%s: the log shows the token: %q", c.reason, line)
		}
		if n := s.RefusedTokens()[c.reason]; n != counted+1 {
			t.Errorf("%s: counted %d times", c.reason, n-counted)
		}
	}
	// A flood is counted and does not fill the log.
	for range 200 {
		s.Verify(t.Context(), "no.token")
	}
	if n := strings.Count(s.log.String(), "a token was refused"); n > 30 {
		t.Errorf("%d lines in a minute", n)
	}
	if n := s.RefusedTokens()["no_jwt"]; n != 201 {
		t.Errorf("counted %d", n)
	}
}
