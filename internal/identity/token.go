package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/kalamdb/kalam-go/internal/issuer"
	"github.com/kalamdb/kalam-go/internal/keys"
	"github.com/kalamdb/kalam-go/wire"
)

const (
	maxTokenBytes = 8 << 10
	clockSkew     = 60 * time.Second // allowed to iat and nbf, not to exp
	typeAccess    = "access"
)

func errMissing() error {
	return wire.NewError(wire.CodeMissingAuthorization, "Authentication required")
}
func errExpired() error {
	return &refusal{&wire.Error{Code: wire.CodeTokenExpired, Message: "Invalid credentials"}, reasonExpired}
}
func errInvalid(text ...string) error {
	if len(text) == 0 {
		text = []string{"Invalid credentials"}
	}
	return wire.NewError(wire.CodeInvalidCredentials, text...)
}

// claims are what an access token of the server says.
type claims struct {
	Subject   string  `json:"sub"`
	Issuer    string  `json:"iss"`
	ExpiresAt int64   `json:"exp"`
	IssuedAt  int64   `json:"iat"`
	Email     *string `json:"email"` // null, never absent
	Role      string  `json:"role"`
	TokenType string  `json:"token_type"`
	SessionID string  `json:"sid"`
	ID        string  `json:"jti"`
}

// sign makes an access token.
func (s *Service) sign(c claims) (string, error) {
	c.Issuer, c.TokenType, c.ID = Issuer, typeAccess, rand.Text()
	token, err := jwt.Signed(s.keys.Current(s.options.Now()).Signer).Claims(c).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

// received are the claims of a presented token that mean something to the
// server. Times are seconds; a minted token may give fractions.
type received struct {
	Subject   string   `json:"sub"`
	Issuer    string   `json:"iss"`
	ExpiresAt *float64 `json:"exp"`
	NotBefore *float64 `json:"nbf"`
	IssuedAt  *float64 `json:"iat"`
	Role      *string  `json:"role"`
	TokenType string   `json:"token_type"`
	SessionID string   `json:"sid"`

	sum   [sha256.Size]byte // of the whole token, which names it where there is no session
	keyID string            // of the own key that signed it
	other *issuer.Issuer    // that made it; nil: we or an app that has our secret
	all   map[string]any    // the claims of a token of another issuer
}

// open checks the signature of an access token and everything about its claims
// that needs neither clock nor database. Its claim iss chooses among the issuers
// that are configured, each with its own algorithms and keys; of the header only
// kid is looked at, to find one of them.
func (s *Service) open(ctx context.Context, token string) (*received, error) {
	if len(token) > maxTokenBytes {
		return nil, refuse(reasonTooLong)
	}
	parsed, err := jwt.ParseSigned(token, s.algorithms)
	var other *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &other):
		return nil, refuse(reasonAlgorithm)
	case err != nil || len(parsed.Headers) != 1:
		return nil, refuse(reasonNoJWT)
	}
	var said struct {
		Issuer string `json:"iss"`
	}
	if err := parsed.UnsafeClaimsWithoutVerification(&said); err != nil {
		return nil, refuse(reasonNoJWT)
	}
	if said.Issuer == Issuer {
		return openOwn(s.keys, token, parsed, s.options.Now())
	}
	if i := s.issuers[said.Issuer]; i != nil {
		return openOther(ctx, i, token, parsed)
	}
	return nil, refuse(reasonIssuer)
}

// openOwn checks a token of the server's own.
func openOwn(k *keys.Set, token string, parsed *jwt.JSONWebToken, now time.Time) (*received, error) {
	header := parsed.Headers[0]
	if header.Algorithm != string(k.Alg) {
		return nil, refuse(reasonAlgorithm)
	}
	key, err := k.ByID(header.KeyID, now)
	if err != nil {
		return nil, refuse(reasonKeyID)
	}
	c := &received{keyID: key.Id}
	if err := parsed.Claims(key.Verify, c); err != nil {
		return nil, refuse(badClaims(err))
	}
	if c.Issuer != Issuer || c.Subject == "" || c.ExpiresAt == nil {
		return nil, refuse(reasonClaims)
	}
	if c.TokenType != typeAccess {
		return nil, refuse(reasonType)
	}
	if c.SessionID == "" {
		if k.Alg != jose.HS256 {
			return nil, refuse(reasonClaims) // nobody else has the key: all our tokens have a session
		}
		c.sum = tokenSum(token)
	}
	return c, nil
}

// badClaims is why the claims of a token could not be read with a key.
func badClaims(err error) string {
	if errors.Is(err, jose.ErrCryptoFailure) {
		return reasonSignature
	}
	return reasonClaims
}

// method is how the bearer of the token has signed in.
func (c *received) method() string {
	if c.other != nil {
		return AuthOIDC
	}
	return mintedToken
}

// check compares the times of a token with the clock.
func (c *received) check(now time.Time) error {
	t := float64(now.UnixMicro()) / 1e6
	if !(t < *c.ExpiresAt) {
		return errExpired()
	}
	late := t + clockSkew.Seconds()
	if c.NotBefore != nil && !(*c.NotBefore <= late) || c.IssuedAt != nil && !(*c.IssuedAt <= late) {
		return refuse(reasonNotYet)
	}
	return nil
}

// expiry is the end of the token's life.
func (c *received) expiry() time.Time {
	const lastSecond = 253402300799 // of the year 9999
	return time.UnixMicro(int64(min(*c.ExpiresAt, lastSecond) * 1e6)).UTC()
}

// tokenSum is the SHA-256 of a token, to know it again without keeping it. The
// copy on the stack saves an allocation for each request.
func tokenSum(token string) [sha256.Size]byte {
	var buf [1024]byte
	return sha256.Sum256(append(buf[:0], token...))
}
