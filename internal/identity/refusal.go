package identity

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// refusal is why a token is not good. The log has the reason; its bearer learns
// the code alone.
type refusal struct {
	told   *wire.Error // to the bearer
	reason string
}

// Error is what the bearer learns.
func (r *refusal) Error() string { return r.told.Error() }

// Unwrap returns what the bearer learns.
func (r *refusal) Unwrap() error { return r.told }

func refuse(reason string) error {
	return &refusal{&wire.Error{Code: wire.CodeInvalidCredentials, Message: "Invalid credentials"}, reason}
}

// Reasons of refusals: what the log says and system.stats counts.
const (
	reasonTooLong      = "too_long"
	reasonNoJWT        = "no_jwt"
	reasonAlgorithm    = "algorithm_not_accepted"
	reasonIssuer       = "issuer_not_configured"
	reasonNoKeyID      = "key_id_missing"
	reasonKeyID        = "key_unknown"
	reasonSignature    = "signature_wrong"
	reasonClaims       = "claims_missing"
	reasonAudience     = "audience_wrong"
	reasonType         = "type_wrong"
	reasonExpired      = "expired"
	reasonNotYet       = "not_yet_valid"
	reasonUnknownUser  = "user_unknown"
	reasonInactiveUser = "user_disabled_or_dropped"
	reasonRole         = "role_differs"
	reasonSession      = "session_ended"
	reasonRevoked      = "revoked"
	reasonKeyTypo      = "api_key_mistyped"
	reasonKeyUnknown   = "api_key_unknown"
)

// explanations say of each reason what to look at.
var explanations = map[string]string{
	reasonTooLong:      "the token is longer than 8 KiB",
	reasonNoJWT:        "the token is no signed JWT",
	reasonAlgorithm:    "its algorithm is not one that this server takes from its issuer: for a provider, algorithms in [[auth.issuers]]; for an application, HS256 with auth.jwt_secret",
	reasonIssuer:       "its issuer is in no [[auth.issuers]]: it must be there byte for byte",
	reasonNoKeyID:      "it names no key, and its issuer has several",
	reasonKeyID:        "it names a key that is not in its issuer's key set",
	reasonSignature:    "its signature is not of that key: for an application, is auth.jwt_secret the secret it signs with?",
	reasonClaims:       "it lacks sub or exp, or they are not what they should be",
	reasonAudience:     "its audience is none of those in [[auth.issuers]]",
	reasonType:         "it is no access token, but an ID token, a refresh token or of another type",
	reasonExpired:      "it has expired",
	reasonNotYet:       "its nbf or iat is in the future: do the clocks agree?",
	reasonUnknownUser:  "there is no such user; create it, or set auto_provision for its issuer",
	reasonInactiveUser: "its user is disabled or was dropped",
	reasonRole:         "its claim role is not the role that the user has",
	reasonSession:      "its session has ended",
	reasonKeyTypo:      "it begins like an API key, but a character is missing or wrong",
	reasonKeyUnknown:   "there is no such API key, or it was dropped",
	reasonRevoked:      "it was logged out, or made before all tokens of its user were revoked",
}

// maxRefusalsLogged bounds the lines about refused tokens in a minute.
const maxRefusalsLogged = 30

// refusals counts refused tokens and bounds what the log says of them.
type refusals struct {
	mu     sync.Mutex
	counts map[string]int64 // by reason; mu guards it and the rest
	began  time.Time        // of the minute
	lines  int              // in it
}

func newRefusals() *refusals { return &refusals{counts: make(map[string]int64)} }

// count counts a refusal and reports whether the log has room for it.
func (r *refusals) count(reason string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[reason]++
	if now.Sub(r.began) >= time.Minute || now.Before(r.began) {
		r.began, r.lines = now, 0
	}
	r.lines++
	return r.lines <= maxRefusalsLogged
}

// RefusedTokens counts the refused tokens since the start, by reason.
func (s *Service) RefusedTokens() map[string]int64 {
	s.refusals.mu.Lock()
	defer s.refusals.mu.Unlock()
	return maps.Clone(s.refusals.counts)
}

// refused counts and logs why a token is not good, and returns what its bearer
// may know. What the log says of the token is what it says of itself: nothing
// that somebody could sign in with.
func (s *Service) refused(token string, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	if s.refusals.count(r.reason, s.options.Now()) {
		d := describe(token)
		s.options.Logger.Info("a token was refused", "reason", r.reason, "explanation", explanations[r.reason],
			"issuer", d.issuer, "audience", d.audience, "kid", d.keyID, "alg", d.algorithm, "type", d.typ)
	}
	return r.told
}

// description is what an unverified token says of itself.
type description struct {
	issuer, keyID, algorithm, typ string
	audience                      []string
}

// describe reads a token without checking anything. Of long texts it takes the
// beginning.
func describe(token string) (d description) {
	if prefix, ok := parseKey(token); ok {
		return description{keyID: prefix, typ: byAPIKey}
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > maxTokenBytes {
		return d
	}
	read := func(part string) (out map[string]any) {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err == nil {
			json.Unmarshal(b, &out) // what does not fit stays out
		}
		return out
	}
	short := func(v any) string {
		text, _ := v.(string)
		return strings.ToValidUTF8(text[:min(len(text), 200)], "")
	}
	header, claims := read(parts[0]), read(parts[1])
	d.keyID, d.algorithm, d.typ = short(header["kid"]), short(header["alg"]), short(header["typ"])
	for _, name := range []string{"token_use", "token_type"} {
		if text := short(claims[name]); text != "" {
			d.typ += " " + text
		}
	}
	d.issuer = short(claims["iss"])
	list, ok := claims["aud"].([]any)
	if !ok {
		list = []any{claims["aud"]}
	}
	for _, v := range list[:min(len(list), 10)] {
		if text := short(v); text != "" {
			d.audience = append(d.audience, text)
		}
	}
	slices.Sort(d.audience)
	return d
}
