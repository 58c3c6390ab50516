package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/redact"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// A refresh token is
//
//	kr1.<session id>.<generation>.<base64url(secret || tag)>
//
// The secret of a session's first token is random; each later one is derived
// from its predecessor, so that the same predecessor has the same successor
// whenever the server is asked. The tag tells a token that the server once made
// from one that somebody made up: only the former can end a session by being
// too old.
type refreshToken struct {
	redact.Redacted
	sessionID  string
	generation int64
	secret     [sha256.Size]byte
}

const (
	refreshPrefix = "kr1."
	refreshTagLen = 16
)

// firstRefresh makes the first token of a session.
func firstRefresh(sessionID string) refreshToken {
	t := refreshToken{sessionID: sessionID}
	rand.Read(t.secret[:])
	return t
}

// successor derives the token that replaces t.
func (t refreshToken) successor(serverKey []byte) refreshToken {
	next := refreshToken{sessionID: t.sessionID, generation: t.generation + 1}
	next.mac(serverKey, "successor", t.secret[:], next.secret[:0])
	return next
}

// text writes the token.
func (t refreshToken) text(serverKey []byte) string {
	raw := append(t.secret[:], t.tag(serverKey)...)
	return refreshPrefix + t.sessionID + "." + strconv.FormatInt(t.generation, 10) + "." + base64.RawURLEncoding.EncodeToString(raw)
}

// hash is what the database keeps of the token.
func (t refreshToken) hash() []byte {
	sum := sha256.Sum256(t.secret[:])
	return sum[:]
}

func (t refreshToken) tag(serverKey []byte) []byte {
	return t.mac(serverKey, "tag", t.secret[:], nil)[:refreshTagLen]
}

// mac appends HMAC(server key, purpose, session, generation, content) to dst.
// Every part but the last has a fixed length or a length before it.
func (t refreshToken) mac(serverKey []byte, purpose string, content, dst []byte) []byte {
	h := hmac.New(sha256.New, serverKey)
	var n [8]byte
	for _, part := range []string{purpose, t.sessionID} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	binary.BigEndian.PutUint64(n[:], uint64(t.generation))
	h.Write(n[:])
	h.Write(content)
	return h.Sum(dst)
}

// isRefresh reports whether a text is meant as a refresh token.
func isRefresh(text string) bool { return strings.HasPrefix(text, refreshPrefix) }

// parseRefresh reads a token and reports whether the server made it.
func parseRefresh(text string, serverKey []byte) (refreshToken, bool) {
	var t refreshToken
	rest, ok := strings.CutPrefix(text, refreshPrefix)
	part := strings.Split(rest, ".")
	if !ok || len(text) > maxTokenBytes || len(part) != 3 {
		return t, false
	}
	generation, err := strconv.ParseInt(part[1], 10, 64)
	if err != nil || generation < 0 {
		return t, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part[2])
	if err != nil || len(raw) != len(t.secret)+refreshTagLen {
		return t, false
	}
	t.sessionID, t.generation = part[0], generation
	copy(t.secret[:], raw)
	return t, hmac.Equal(raw[len(t.secret):], t.tag(serverKey))
}

// Refresh replaces a refresh token by its one successor and gives a new access
// token. The token that was replaced last may be replayed, since an answer can
// get lost, and has the same successor again: until somebody uses an access token
// of such an answer, and for the grace time after that. Later it is in two hands,
// as any older one is: it ends the session. Every refusal is INVALID_CREDENTIALS.
func (s *Service) Refresh(ctx context.Context, refreshToken, clientAddr string) (*Grant, error) {
	if !isRefresh(refreshToken) {
		return nil, errInvalid("Refresh endpoint requires a refresh token")
	}
	token, ok := parseRefresh(refreshToken, s.refreshKey)
	if !ok {
		return nil, errInvalid()
	}
	now := s.now()
	next := token.successor(s.refreshKey)
	type outcome struct {
		user    *userRow
		session *session
		refused error // the transaction is committed all the same
	}
	out, err := Write(ctx, s, s.db, func(tx *store.Tx, trail *Trail) (out outcome, err error) {
		c, err := findSession(tx, token.sessionID)
		if err != nil {
			return out, err
		}
		if !c.alive(now, s.options.IdleTTL) {
			return out, errInvalid()
		}
		u, err := findUser(tx, c.userID)
		if err != nil {
			return out, err
		}
		out = outcome{user: u, session: c}
		if !u.active() {
			out.refused = errInvalid("User no longer valid")
			return out, s.end(tx, c.id)
		}
		switch c.recognise(token, now, s.options.Grace) {
		case current:
			c.generation, c.lastSeenAt, c.rotatedAt = next.generation, now, unused
			trail.add(event{action: auditRefresh, actor: u.id, method: c.method, addr: clientAddr, session: s.ref(c.id)})
			_, err = tx.Exec(rotateSession, wire.TextValue(c.id), wire.IntValue(c.generation), wire.BytesValue(next.hash()),
				wire.BytesValue(token.hash()), wire.IntValue(c.rotatedAt), wire.IntValue(now), optional(clientAddr))
			return out, err
		case replayed:
			if !hmac.Equal(next.hash(), c.tokenHash) {
				return out, fmt.Errorf("refresh: the successor of generation %d is not the stored one", token.generation)
			}
			return out, nil
		}
		out.refused = errInvalid()
		e := event{action: auditRefreshReused, outcome: outcomeRefused, subject: u.id, addr: clientAddr, session: s.ref(c.id),
			details: fmt.Sprintf("generation %d of %d; the session has ended", token.generation, c.generation)}
		trail.add(e)
		return out, s.end(tx, c.id)
	})
	if err != nil {
		return nil, err
	}
	if out.refused != nil {
		s.options.Logger.Warn("a session was ended at its refresh", "user", out.session.userID, "generation", out.session.generation, "presented", token.generation)
		return nil, out.refused
	}
	return s.grant(out.user, out.session, next, now)
}

// What a session makes of one of its refresh tokens.
type recognition int

const (
	superseded recognition = iota
	current
	replayed
)

func (c *session) recognise(t refreshToken, now int64, grace time.Duration) recognition {
	hash := t.hash()
	switch {
	case hmac.Equal(hash, c.tokenHash):
		return current
	case hmac.Equal(hash, c.previousHash) && now-c.rotatedAt <= grace.Microseconds():
		return replayed
	}
	return superseded
}
