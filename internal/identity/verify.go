package identity

import (
	"context"

	"github.com/kalamdb/kalam-go/internal/store"
)

// Verify returns who an access token belongs to. It fails with
// MISSING_AUTHORIZATION, TOKEN_EXPIRED, INVALID_CREDENTIALS or SETUP_REQUIRED.
// A token that was verified before costs a hash and a look-up.
func (s *Service) Verify(ctx context.Context, accessToken string) (*Principal, error) {
	if accessToken == "" {
		return nil, errMissing()
	}
	if len(accessToken) > maxTokenBytes {
		return nil, errInvalid()
	}
	id := tokenSum(accessToken)
	if p, ok := s.cache.GetIfPresent(id); ok {
		if s.Valid(p) {
			return p, nil
		}
		s.cache.Invalidate(id)
	}
	p, err := s.verify(ctx, accessToken)
	if err != nil {
		return nil, err
	}
	s.cache.Set(id, p)
	return p, nil
}

func (s *Service) verify(ctx context.Context, token string) (*Principal, error) {
	needed, err := s.NeedsSetup(ctx)
	if err != nil {
		return nil, err
	}
	if needed {
		return nil, errSetupRequired()
	}
	c, err := s.keys.open(token)
	if err != nil {
		return nil, err
	}
	if err := c.check(s.options.Now()); err != nil {
		return nil, err
	}
	for range 4 {
		p, err := s.principal(ctx, c)
		if err != nil || !p.revoked() {
			return p, err
		}
		// Something was revoked between taking the anchors and reading: what was
		// read may be older or newer than that. Look again.
	}
	return nil, errInvalid()
}

// principal looks up what the database says about the user and the session of a
// token. The anchors come first: a change that commits after the look-up then
// cuts them.
func (s *Service) principal(ctx context.Context, c *received) (*Principal, error) {
	p := &Principal{UserID: c.Subject, SessionID: c.SessionID, Issuer: Issuer, ExpiresAt: c.expiry()}
	sessionID := c.SessionID
	if c.SessionID != "" {
		p.anchors[0] = s.registry.anchor(sessionKey(sessionID))
	} else {
		sessionID = tokenKey(c.sum)
		p.anchors[0] = s.registry.anchor(sessionID)
		p.anchors[1] = s.registry.anchor(userTokensKey(c.Subject))
	}
	var (
		u    *userRow
		held *session
	)
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		if u, err = findUser(tx, c.Subject); err != nil {
			return err
		}
		held, err = findSession(tx, sessionID)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !u.active() || c.Role != nil && *c.Role != u.role {
		return nil, errInvalid()
	}
	if c.SessionID == "" && (held != nil || c.before(u.epoch)) {
		return nil, errInvalid() // logged out, or minted before all was revoked
	}
	if c.SessionID != "" && (!held.alive(s.now(), s.options.IdleTTL) || held.userID != u.id) {
		return nil, errInvalid()
	}
	p.Role, p.Email = u.role, u.email
	return p, nil
}

// before reports whether a token was, or may have been, issued before a moment
// in microseconds; 0 is no moment.
func (c *received) before(epoch int64) bool {
	return epoch != 0 && (c.IssuedAt == nil || *c.IssuedAt*1e6 < float64(epoch))
}
