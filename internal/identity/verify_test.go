package identity_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// mint signs claims as an app, or an attacker, would.
func mint(t *testing.T, alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// segment decodes the header (0) or the claims (1) of a token.
func segment(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// with returns a copy of m with some members changed; nil removes one.
func with(m map[string]any, changes map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	for k, v := range changes {
		out[k] = v
		if v == nil {
			delete(out, k)
		}
	}
	return out
}

func Key(t *testing.T, dir string) ed25519.PrivateKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "signing-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(ed25519.PrivateKey)
}

func TestAccessTokenSaysWhoAsks(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	p := s.verify(g.AccessToken)
	if p.UserID != "alice" || p.Role != "user" || p.Email != "alice@example.com" || p.SessionID != g.SessionID ||
		p.Issuer != "kalamdb" || !p.ExpiresAt.Equal(g.ExpiresAt) || p.IsAdmin() || !s.Valid(p) {
		t.Fatalf("principal is %+v", p)
	}
	claims := segment(t, g.AccessToken, 1)
	now := float64(s.clock.now().Unix())
	want := map[string]any{
		"sub": "alice", "iss": "kalamdb", "exp": now + 3600, "iat": now, "email": "alice@example.com",
		"role": "user", "token_type": "access", "sid": g.SessionID, "jti": claims["jti"],
	}
	for name, value := range want {
		if claims[name] != value {
			t.Errorf("claim %s is %v, want %v", name, claims[name], value)
		}
	}
	if len(claims) != len(want) || claims["jti"] == "" {
		t.Errorf("claims are %v", claims)
	}
	if header := segment(t, g.AccessToken, 0); header["typ"] != "JWT" || header["alg"] != "EdDSA" || header["kid"] == "" {
		t.Errorf("header is %v", header)
	}
	s.create(identity.NewUser{Name: "bob", Auth: "PASSWORD", Secret: alicePassword})
	if email, ok := segment(t, s.login("bob", alicePassword).AccessToken, 1)["email"]; !ok || email != nil {
		t.Errorf("without an address email is %v, %v", email, ok)
	}
}

// A server that does not know what it has missed trusts no principal that it has
// in memory, and looks again.
func TestMissedRevocationsVoidWhatIsInMemory(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	p, changed := s.verify(g.AccessToken), s.Watch()
	s.Miss()
	wantClosed(t, changed)
	if s.Valid(p) {
		t.Error("the principal is trusted all the same")
	}
	if again := s.verify(g.AccessToken); again == p || !s.Valid(again) {
		t.Error("the token was not looked up again")
	}
}

func TestExpiredTokenIsToldApart(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	p := s.verify(g.AccessToken)
	s.clock.advance(g.ExpiresAt.Sub(s.clock.now()) - time.Millisecond)
	s.verify(g.AccessToken)
	if !s.Valid(p) {
		t.Fatal("invalid before its end")
	}
	s.clock.advance(time.Millisecond) // no leeway
	s.refusedToken(g.AccessToken, wire.CodeTokenExpired)
	if s.Valid(p) {
		t.Fatal("valid after its end")
	}
	s.restart()
	s.refusedToken(g.AccessToken, wire.CodeTokenExpired)
	s.refusedToken("", wire.CodeMissingAuthorization)
}

func TestForgedTokensAreRefused(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	key := Key(t, s.options.KeyDir)
	public := key.Public().(ed25519.PublicKey)
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	good, kid := segment(t, g.AccessToken, 1), segment(t, g.AccessToken, 0)["kid"].(string)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ours := func(changes map[string]any) string {
		return mint(t, jose.EdDSA, jose.JSONWebKey{Key: key, KeyID: kid}, nil, with(good, changes))
	}
	s.verify(ours(nil)) // the means of this test work
	part := strings.Split(g.AccessToken, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	tampered, _ := json.Marshal(with(good, map[string]any{"role": "dba"}))
	der, _ := x509.MarshalPKIXPublicKey(public)
	deep := strings.Repeat(`{"a":`, 1500) + "1" + strings.Repeat("}", 1500)
	tests := map[string]string{
		"alg none":             b64([]byte(`{"alg":"none"}`)) + "." + part[1] + ".",
		"alg None, signed":     b64([]byte(`{"alg":"None","kid":"`+kid+`"}`)) + "." + part[1] + "." + part[2],
		"no signature":         part[0] + "." + part[1] + ".",
		"tampered role":        part[0] + "." + b64(tampered) + "." + part[2],
		"HS256, public key":    mint(t, jose.HS256, []byte(public), map[jose.HeaderKey]any{"kid": kid}, good),
		"HS256, public DER":    mint(t, jose.HS256, der, map[jose.HeaderKey]any{"kid": kid}, good),
		"RS256":                mint(t, jose.RS256, jose.JSONWebKey{Key: rsaKey, KeyID: kid}, nil, good),
		"stranger, our kid":    mint(t, jose.EdDSA, jose.JSONWebKey{Key: stranger, KeyID: kid}, nil, good),
		"foreign kid":          mint(t, jose.EdDSA, jose.JSONWebKey{Key: key, KeyID: "../../etc/passwd"}, nil, good),
		"no kid":               mint(t, jose.EdDSA, key, nil, good),
		"jwk in header":        mintEmbedded(t, stranger, good),
		"jku":                  mint(t, jose.EdDSA, stranger, map[jose.HeaderKey]any{"kid": kid, "jku": "http://127.0.0.1:1/jwks"}, good),
		"unknown crit":         mint(t, jose.EdDSA, jose.JSONWebKey{Key: key, KeyID: kid}, map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}, good),
		"no iss":               ours(map[string]any{"iss": nil}),
		"other iss":            ours(map[string]any{"iss": "kalamdb "}),
		"no exp":               ours(map[string]any{"exp": nil}),
		"exp as text":          ours(map[string]any{"exp": "9999999999"}),
		"no sub":               ours(map[string]any{"sub": nil}),
		"empty sub":            ours(map[string]any{"sub": ""}),
		"unknown sub":          ours(map[string]any{"sub": "nobody"}),
		"other sub":            ours(map[string]any{"sub": "root", "role": "system"}),
		"no token_type":        ours(map[string]any{"token_type": nil}),
		"refresh as access":    ours(map[string]any{"token_type": "refresh"}),
		"other role":           ours(map[string]any{"role": "dba"}),
		"no session":           ours(map[string]any{"sid": nil}),
		"unknown session":      ours(map[string]any{"sid": "AAAAAAAAAAAAAAAAAAAAAAAAAA"}),
		"issued in the future": ours(map[string]any{"iat": s.clock.now().Unix() + 62}),
		"not yet valid":        ours(map[string]any{"nbf": s.clock.now().Unix() + 62}),
		"not JSON":             part[0] + "." + b64([]byte("sub=alice")) + "." + part[2],
		"deeply nested":        part[0] + "." + b64([]byte(deep)) + "." + part[2],
		"oversized":            g.AccessToken + strings.Repeat("A", 8<<10),
		"JSON serialisation":   `{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`,
		"one more part":        g.AccessToken + ".x",
		"blank":                " ",
		"binary":               "\x00\xff.\x00.\x00",
	}
	for name, token := range tests {
		_, err := s.Verify(t.Context(), token)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		wantCode(t, err, wire.CodeInvalidCredentials)
		if err.Error() != "Invalid credentials" {
			t.Errorf("%s: the message %q says why", name, err)
		}
	}
	s.verify(ours(map[string]any{"iat": s.clock.now().Unix() + 59, "nbf": s.clock.now().Unix() + 59}))
	s.verify(ours(map[string]any{"aud": "anything", "email": 5}))
	s.refusedToken(ours(map[string]any{"exp": -1e300}), wire.CodeTokenExpired)
	s.verify(ours(map[string]any{"exp": 1e300}))
}

func mintEmbedded(t *testing.T, key ed25519.PrivateKey, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAppMintsTokensInSecretMode(t *testing.T) {
	s := configured(t, identity.Options{JWTSecret: jwtSecret})
	now := s.clock.now()
	claims := map[string]any{
		"sub": "alice", "iss": "kalamdb", "exp": now.Unix() + 600, "iat": now.Unix(), "email": nil,
		"role": "user", "token_type": "access",
	}
	app := func(changes map[string]any) string {
		return mint(t, jose.HS256, []byte(jwtSecret), nil, with(claims, changes))
	}
	token := app(nil)
	p := s.verify(token)
	if p.UserID != "alice" || p.SessionID != "" || p.Email != "alice@example.com" {
		t.Fatalf("principal is %+v", p)
	}
	s.verify(app(map[string]any{"role": nil, "iat": nil}))
	s.refusedToken(app(map[string]any{"role": "dba"}), wire.CodeInvalidCredentials)
	s.refusedToken(app(map[string]any{"sub": "nobody"}), wire.CodeInvalidCredentials)
	s.refusedToken(app(map[string]any{"sid": "AAAA"}), wire.CodeInvalidCredentials)
	s.refusedToken(app(map[string]any{"exp": now.Unix()}), wire.CodeTokenExpired)
	s.refusedToken(mint(t, jose.HS384, []byte(jwtSecret+jwtSecret), nil, claims), wire.CodeInvalidCredentials)
	s.refusedToken(mint(t, jose.HS256, []byte(jwtSecret+"x"), nil, claims), wire.CodeInvalidCredentials)
	if string(s.JWKS()) != `{"keys":[]}` {
		t.Errorf("key set is %s", s.JWKS())
	}

	// Logging one out refuses it, and only it, until its end.
	other := app(map[string]any{"exp": now.Unix() + 900})
	q := s.verify(other)
	changed := s.Watch()
	s.logout(token)
	wantClosed(t, changed)
	if s.Valid(p) || !s.Valid(q) {
		t.Fatalf("valid: the token logged out %v, another one %v", s.Valid(p), s.Valid(q))
	}
	s.refusedToken(token, wire.CodeInvalidCredentials)
	s.verify(other)
	s.restart()
	s.refusedToken(token, wire.CodeInvalidCredentials)
	s.verify(other)

	// The server's own tokens have a session in this mode too.
	g := s.login("alice", alicePassword)
	if alg := segment(t, g.AccessToken, 0)["alg"]; alg != "HS256" {
		t.Errorf("signed with %v", alg)
	}
	s.verify(g.AccessToken)
	s.logout(g.AccessToken)
	s.refusedToken(g.AccessToken, wire.CodeInvalidCredentials)

	// What ends all sessions ends the tokens that were minted before.
	q = s.verify(other)
	s.clock.advance(time.Second)
	s.alter(root, "alice", "PASSWORD", "a new password")
	if s.Valid(q) {
		t.Error("a minted token outlived the password")
	}
	s.refusedToken(other, wire.CodeInvalidCredentials)
	s.refusedToken(app(map[string]any{"iat": nil}), wire.CodeInvalidCredentials)
	s.clock.advance(time.Second)
	s.verify(app(map[string]any{"iat": s.clock.now().Unix()}))

	// A user who is disabled or dropped has no tokens, minted when they may be.
	later := map[string]any{"iat": now.Unix() + 30}
	s.alter(root, "alice", "DISABLE", "")
	s.refusedToken(app(later), wire.CodeInvalidCredentials)
	s.alter(root, "alice", "ENABLE", "")
	s.verify(app(later))
	if err := s.drop(root, "alice"); err != nil {
		t.Fatal(err)
	}
	s.refusedToken(app(later), wire.CodeInvalidCredentials)
}

func TestForgottenPrincipalsLeaveNothingInMemory(t *testing.T) {
	s := configured(t, identity.Options{JWTSecret: jwtSecret})
	for n := range 100 {
		s.verify(mint(t, jose.HS256, []byte(jwtSecret), nil, map[string]any{
			"sub": "alice", "iss": "kalamdb", "exp": s.clock.now().Unix() + 600 + int64(n), "token_type": "access",
		}))
	}
	if n := s.Anchors(); n != 101 {
		t.Fatalf("%d anchors for 100 tokens of one user", n)
	}
	s.Close() // empties the cache
	deadline := time.Now().Add(10 * time.Second)
	for s.Anchors() > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d anchors are left", s.Anchors())
		}
		runtime.GC()
	}
}

func TestVerifyAgainCostsNothing(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	p := s.verify(g.AccessToken)
	s.db.Close() // a hit needs no database
	if s.verify(g.AccessToken) != p {
		t.Fatal("another principal for the same token")
	}
	if n := testing.AllocsPerRun(100, func() { s.Verify(t.Context(), g.AccessToken) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { s.Valid(p) }); n != 0 {
		t.Errorf("%v allocations in Valid", n)
	}
}

func TestDatabaseFailureIsNoRefusal(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	s.exec("ALTER TABLE sessions RENAME TO elsewhere")
	for name, call := range map[string]func() error{
		"verify":  func() error { _, err := s.Verify(t.Context(), g.AccessToken); return err },
		"refresh": func() error { _, err := s.Refresh(t.Context(), g.RefreshToken, ""); return err },
		"login":   func() error { _, err := s.Login(t.Context(), "alice", alicePassword, ""); return err },
		"logout":  func() error { return s.Logout(t.Context(), g.RefreshToken) },
	} {
		err := call()
		if err == nil {
			t.Errorf("%s worked without its table", name)
		}
		if _, coded := err.(*wire.Error); coded {
			t.Errorf("%s reports a failure of the database as %v", name, err)
		}
	}
	s.exec("ALTER TABLE elsewhere RENAME TO sessions")
	s.verify(g.AccessToken) // a failure is not remembered
	s.refresh(g.RefreshToken)
}

func FuzzTokens(f *testing.F) {
	service, db := open(f)
	g, err := service.Login(f.Context(), "root", rootPassword, "")
	if err != nil {
		f.Fatal(err)
	}
	defer db.Close()
	f.Add(g.AccessToken)
	f.Add(g.RefreshToken)
	f.Add("kr1.A.0.AAAA")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if p, err := service.Verify(t.Context(), token); err == nil && p.UserID != "root" {
			t.Fatalf("%q is a token of %q", token, p.UserID)
		}
		if grant, err := service.Refresh(t.Context(), token, ""); err == nil && token != g.RefreshToken {
			t.Fatalf("%q refreshed a session of %q", token, grant.User.ID)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s, db := open(b)
	defer db.Close()
	g, err := s.Login(b.Context(), "root", rootPassword, "")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(b.Context(), g.AccessToken); err != nil {
			b.Fatal(err)
		}
	}
}

func open(tb testing.TB) (*identity.Service, *store.DB) {
	tb.Helper()
	driver, err := sqlite.Open(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	db, err := store.Open(context.Background(), driver, store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := identity.New(db, identity.Options{KeyDir: tb.TempDir(), RootPassword: rootPassword})
	if err != nil {
		tb.Fatal(err)
	}
	return s, db
}
