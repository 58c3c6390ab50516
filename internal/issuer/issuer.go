// Package issuer fetches the signing keys of other issuers of tokens (OpenID
// providers). It decides nothing about a token's claims.
package issuer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/kalamdb/kalam-go/wire"
)

// Options describe a trusted issuer of tokens, an OpenID provider.
type Options struct {
	Alias      string   // prefix of the ids of its users, as in "corp:248289761001"
	Name       string   // for people; default Alias
	Issuer     string   // its URL, exactly as in the claim iss; https
	Audience   []string // a token needs one of them in aud
	Algorithms []string // that its keys sign with; default RS256
	ClientID   string   // that an app of this server uses at the issuer; told to clients, not checked

	AutoProvision bool              // the first token of a subject makes a user
	Role          string            // of such a user; default user
	RoleClaim     string            // claim that names groups, a dot goes one level down; "" for none
	Roles         map[string]string // group to role; the highest wins; never system

	AcceptIDTokens bool   // ID tokens are good as access tokens too
	AllowPrivate   bool   // the issuer has a private or loopback address
	CAFile         string // PEM with the certificates that its TLS certificate is checked with; "" for the system's
}

// How the key sets of issuers are fetched.
const (
	fetchTimeout   = 10 * time.Second
	maxMetadata    = 1 << 20          // bytes
	missPause      = 30 * time.Second // between fetches for a kid that is not there
	failPause      = 5 * time.Second  // between fetches while there are no keys at all
	refreshKeysAge = time.Hour
	maxKeysAge     = 24 * time.Hour // without one successful fetch
	minRSABits     = 2048
	maxKeyIDBytes  = 256
)

// Issuer verifies the tokens of one provider. Its keys are its own.
type Issuer struct {
	Options Options
	Algs    []jose.SignatureAlgorithm
	client  *http.Client
	now     func() time.Time
	log     *slog.Logger
	run     func(func(context.Context)) // in the background, until the service ends

	mu      sync.Mutex
	keys    []jose.JSONWebKey // mu guards it and the rest
	jwksURI string
	fetched time.Time     // the last success
	tried   time.Time     // the last attempt
	flight  chan struct{} // closed when the running fetch has ended; nil: none runs
}

// checkIssuer refuses options that make no sense or no safety.
func checkIssuer(o *Options) error {
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("issuer %q is no https URL", o.Issuer)
	case o.Alias == "" || strings.ContainsFunc(o.Alias, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}):
		return fmt.Errorf("issuer %s: the alias %q needs lower-case letters, digits, - and _", o.Issuer, o.Alias)
	case len(o.Audience) == 0 || slices.Contains(o.Audience, ""):
		return fmt.Errorf("issuer %s: audience is required, or a token for any other service would be good here", o.Issuer)
	}
	if o.Name == "" {
		o.Name = o.Alias
	}
	if len(o.Algorithms) == 0 {
		o.Algorithms = []string{string(jose.RS256)}
	}
	known := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	for _, alg := range o.Algorithms {
		if !slices.Contains(known, alg) {
			return fmt.Errorf("issuer %s: algorithm %q is none of %s", o.Issuer, alg, strings.Join(known, ", "))
		}
	}
	return nil
}

func New(o Options, now func() time.Time, log *slog.Logger, run func(func(context.Context))) (*Issuer, error) {
	if err := checkIssuer(&o); err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: fetchTimeout, Control: dialControl(o.AllowPrivate)}).DialContext,
		TLSHandshakeTimeout: fetchTimeout, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("issuer %s: %w", o.Issuer, err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("issuer %s: %s holds no certificate", o.Issuer, o.CAFile)
		}
	}
	i := &Issuer{Options: o, now: now, log: log, run: run, client: &http.Client{
		Transport: transport, Timeout: fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, alg := range o.Algorithms {
		i.Algs = append(i.Algs, jose.SignatureAlgorithm(alg))
	}
	return i, nil
}

// dialControl refuses addresses inside a private network, whatever name led
// there, unless they are allowed.
func dialControl(allowPrivate bool) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		ip := a.Addr().Unmap()
		if !allowPrivate && (!ip.IsGlobalUnicast() || ip.IsPrivate()) {
			return fmt.Errorf("%s is a private address; allow_private permits it", ip)
		}
		return nil
	}
}

// Reasons why an issuer has no key for a token.
var (
	ErrKeyID    = errors.New("the issuer has no key of that id")
	ErrNoKeyID  = errors.New("the token names no key, and its issuer has several")
	ErrReplaced = errors.New("the issuer has no other key of that id")
)

// errIssuerAway is no refusal: nobody can say whether the token is good.
func errIssuerAway() error {
	return wire.NewError(wire.CodeUnavailable, "the issuer of the token cannot be reached, try again in a moment")
}

// Key returns the key of that id for that algorithm, but not one that is known
// not to be it any more. What a token says chooses among keys that are there; it
// leads to a fetch at most every missPause, and never to another place than the
// configured issuer.
func (i *Issuer) Key(ctx context.Context, kid, alg string, not any) (any, error) {
	if len(kid) > maxKeyIDBytes {
		return nil, ErrKeyID
	}
	for {
		i.mu.Lock()
		now := i.now()
		age := now.Sub(i.fetched)
		good := !i.fetched.IsZero() && age < maxKeysAge
		var key any
		if good {
			key = choose(i.keys, kid, alg)
		}
		if equalKeys(key, not) {
			key = nil
		}
		pause := missPause
		if !good {
			pause = failPause
		}
		due := i.tried.IsZero() || now.Sub(i.tried) >= pause
		if i.flight == nil && due && (key == nil || age > refreshKeysAge) {
			i.start(now)
		}
		flight := i.flight
		i.mu.Unlock()
		switch {
		case key != nil:
			return key, nil
		case flight == nil && !good:
			return nil, errIssuerAway()
		case flight == nil && not != nil:
			return nil, ErrReplaced
		case flight == nil && kid == "":
			return nil, ErrNoKeyID
		case flight == nil:
			return nil, ErrKeyID
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// choose finds the key of a token in a set: the one of its kid. A token without
// kid is good for the only key of its algorithm (OpenID Connect Core 1.0, section
// 10.1), and so is a token with one when that key has none.
func choose(keys []jose.JSONWebKey, kid, alg string) any {
	var only any
	fitting := 0
	for _, k := range keys {
		if !fits(k, alg) {
			continue
		}
		if kid != "" && k.KeyID == kid {
			return k.Key
		}
		fitting++
		if kid == "" || k.KeyID == "" {
			only = k.Key
		}
	}
	if fitting == 1 {
		return only
	}
	return nil
}

// fits reports whether a key may sign with an algorithm.
func fits(k jose.JSONWebKey, alg string) bool {
	if k.Algorithm != "" {
		return k.Algorithm == alg
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[alg] == key.Curve.Params().Name
	case ed25519.PublicKey:
		return alg == string(jose.EdDSA)
	}
	return false
}

func equalKeys(a, b any) bool {
	known, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && b != nil && known.Equal(b)
}

// start begins a fetch. The caller holds mu.
func (i *Issuer) start(now time.Time) {
	done := make(chan struct{})
	i.flight, i.tried = done, now
	uri := i.jwksURI
	i.run(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		keys, uri, err := i.fetch(ctx, uri)
		i.mu.Lock()
		defer i.mu.Unlock()
		i.jwksURI = uri
		if err != nil {
			i.jwksURI = "" // it may have moved
			i.log.Warn("the keys of an issuer could not be fetched", "issuer", i.Options.Issuer, "error", err)
		} else {
			i.keys, i.fetched = keys, i.now()
		}
		i.flight = nil
		close(done)
	})
}

// fetch reads the key set, and before that where it is unless that is known.
func (i *Issuer) fetch(ctx context.Context, uri string) ([]jose.JSONWebKey, string, error) {
	if uri == "" {
		var meta struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		if err := i.get(ctx, strings.TrimSuffix(i.Options.Issuer, "/")+"/.well-known/openid-configuration", &meta); err != nil {
			return nil, "", err
		}
		if meta.Issuer != i.Options.Issuer {
			return nil, "", fmt.Errorf("the metadata is of issuer %q", meta.Issuer)
		}
		if u, err := url.Parse(meta.JWKSURI); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return nil, "", errors.New("jwks_uri of the metadata is no https URL")
		}
		uri = meta.JWKSURI
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := i.get(ctx, uri, &set); err != nil {
		return nil, uri, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey // one of a kind that we do not know does not spoil the others
		if json.Unmarshal(raw, &k) == nil && usable(k) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, uri, errors.New("the key set holds no usable key")
	}
	return keys, uri, nil
}

func usable(k jose.JSONWebKey) bool {
	if !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
		return false
	}
	rsaKey, ok := k.Key.(*rsa.PublicKey)
	return !ok || rsaKey.N.BitLen() >= minRSABits
}

func (i *Issuer) get(ctx context.Context, url string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := i.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered with status %d", url, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata+1))
	switch {
	case err != nil:
		return err
	case len(body) > maxMetadata:
		return fmt.Errorf("%s answered with more than %d bytes", url, maxMetadata)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}
