package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// ticket is what a ticket says beside the resource that it is good for.
type ticket struct {
	UserID    string   `json:"u"`
	Issuer    string   `json:"s"`
	SessionID string   `json:"i,omitempty"`
	KeyID     string   `json:"k,omitempty"` // of the key that signed the session's token
	Token     []byte   `json:"t,omitempty"` // without a session: the SHA-256 of the token
	APIKey    string   `json:"p,omitempty"` // the prefix of the API key, which has neither
	IssuedAt  *float64 `json:"a,omitempty"` // of the token, which may be void since a later moment
	ExpiresAt int64    `json:"e"`           // seconds since 1970, as IssuedAt
}

// Ticket lets whoever has it act as p on one resource until a moment, as long as
// the session of p lives, or its token where there is no session. The moment
// that it gives back is the earlier of the two ends.
func (s *Service) Ticket(p *Principal, resource string, until time.Time) (string, time.Time, error) {
	t := ticket{UserID: p.UserID, Issuer: p.Issuer, SessionID: p.SessionID, IssuedAt: p.issued}
	switch {
	case p.Scope != nil:
		t.APIKey = p.Scope.Prefix
	case p.SessionID != "":
		t.KeyID = strings.TrimPrefix(p.anchors[1].key, signingKeyKey(""))
	default:
		sum, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(p.anchors[0].key, tokenPrefix))
		if err != nil {
			return "", time.Time{}, err
		}
		t.Token = sum
	}
	if p.SessionID == "" && !p.ExpiresAt.IsZero() && p.ExpiresAt.Before(until) {
		until = p.ExpiresAt
	}
	t.ExpiresAt = until.Unix()
	b, err := json.Marshal(t)
	if err != nil {
		return "", time.Time{}, err
	}
	text := base64.RawURLEncoding.EncodeToString(b)
	return text + "." + base64.RawURLEncoding.EncodeToString(s.ticketSum(text, resource)), time.Unix(t.ExpiresAt, 0), nil
}

func (s *Service) ticketSum(text, resource string) []byte {
	h := hmac.New(sha256.New, s.refreshKey)
	h.Write([]byte("ticket\x00" + text + "\x00" + resource))
	return h.Sum(nil)
}

// Redeem returns whom a ticket for a resource lets its bearer act as. It fails
// like Verify.
func (s *Service) Redeem(ctx context.Context, presented, resource string) (*Principal, error) {
	text, sum, _ := strings.Cut(presented, ".")
	got, err := base64.RawURLEncoding.DecodeString(sum)
	if len(presented) > maxTokenBytes || err != nil || !hmac.Equal(got, s.ticketSum(text, resource)) {
		return nil, errInvalid()
	}
	var t ticket
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil {
		return nil, errInvalid()
	}
	expires := float64(t.ExpiresAt)
	c := &received{Issuer: t.Issuer, IssuedAt: t.IssuedAt, ExpiresAt: &expires, SessionID: t.SessionID, keyID: t.KeyID}
	if t.APIKey != "" {
		if err := c.check(s.options.Now()); err != nil {
			return nil, err
		}
		return s.redeemKey(ctx, &t)
	}
	if t.SessionID == "" && copy(c.sum[:], t.Token) != len(c.sum) {
		return nil, errInvalid()
	}
	if err := c.check(s.options.Now()); err != nil {
		return nil, err
	}
	p, err := s.principal(ctx, c, t.UserID)
	if err != nil {
		return nil, err
	}
	if s.Revoked(p) {
		return nil, errInvalid()
	}
	return p, nil
}

// redeemKey is Redeem for a ticket of an API key.
func (s *Service) redeemKey(ctx context.Context, t *ticket) (*Principal, error) {
	p, err := s.keyPrincipal(ctx, t.APIKey, nil)
	if err == nil && p.UserID != t.UserID {
		err = errInvalid()
	}
	return p, err
}
