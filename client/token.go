package client

import (
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// token is an access token and when to renew it. The times are guesses from
// what the token says; only the server knows whether a token is good.
type token struct {
	text    string
	subject string
	agreed  bool      // the server has issued it, or accepted it
	due     time.Time // renew from here on, in the background; zero for never
	expires time.Time // ask for a new one before using it; zero for never
}

// newToken reads the life of a token that was received at now. For a token of
// our own login the life counts from its arrival, so that a wrong clock does
// not matter; a provider's token may have been issued long ago.
func newToken(text string, now time.Time, fresh bool) token {
	t := token{text: text, agreed: fresh}
	c := readClaims(text)
	if c == nil {
		return t
	}
	t.subject = c.Subject
	if c.ExpiresAt == 0 {
		return t
	}
	life := time.Duration(c.ExpiresAt-c.IssuedAt) * time.Second
	left := time.Unix(c.ExpiresAt, 0).Sub(now)
	if fresh && c.IssuedAt > 0 {
		left = life
	}
	if left <= 0 {
		return t // the clocks differ, or it is over: the server will tell
	}
	if c.IssuedAt == 0 || life < left {
		life = left
	}
	t.expires = now.Add(left)
	t.due = t.expires.Add(-min(time.Minute, life/5))
	return t
}

// postpone puts off the next renewal, so that one that brought nothing is not
// tried again with every call.
func (t *token) postpone(now time.Time) {
	const pause = 5 * time.Second
	if past(t.due, now) {
		t.due = now.Add(pause)
	}
	if past(t.expires, now) {
		t.expires = now.Add(pause)
	}
}

// past reports whether the moment t is over. Both clocks count: the monotonic
// one stands still while a machine sleeps, the wall clock may be set back.
func past(t, now time.Time) bool {
	return !t.IsZero() && (!now.Before(t) || !now.Round(0).Before(t.Round(0)))
}

// readClaims reads the payload of a JWT; nil for any other text.
func readClaims(jwt string) *wire.Claims {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return nil
	}
	payload, ok := decodeBase64URL(parts[1])
	if !ok {
		return nil
	}
	c, err := wire.DecodeClaims(payload)
	if err != nil {
		return nil
	}
	return c
}

// decodeBase64URL is here because encoding/base64 brings reflection along.
func decodeBase64URL(s string) ([]byte, bool) {
	s = strings.TrimRight(s, "=")
	out := make([]byte, 0, len(s)*3/4)
	var acc, bits uint
	for i := 0; i < len(s); i++ {
		c := s[i]
		var v uint
		switch {
		case c >= 'A' && c <= 'Z':
			v = uint(c - 'A')
		case c >= 'a' && c <= 'z':
			v = uint(c-'a') + 26
		case c >= '0' && c <= '9':
			v = uint(c-'0') + 52
		case c == '-':
			v = 62
		case c == '_':
			v = 63
		default:
			return nil, false
		}
		acc, bits = acc<<6|v, bits+6
		if bits >= 8 {
			bits -= 8
			out = append(out, byte(acc>>bits))
		}
	}
	return out, true
}
