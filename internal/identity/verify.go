package identity

import (
	"context"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Verify returns who an access token or an API key belongs to. It fails with
// MISSING_AUTHORIZATION, TOKEN_EXPIRED, INVALID_CREDENTIALS or SETUP_REQUIRED.
// A token that was verified before costs a hash and a look-up.
func (s *Service) Verify(ctx context.Context, accessToken string) (*Principal, error) {
	if accessToken == "" {
		return nil, errMissing()
	}
	if len(accessToken) > maxTokenBytes {
		return nil, s.refused("", refuse(reasonTooLong))
	}
	id := tokenSum(accessToken)
	if p, ok := s.cache.GetIfPresent(id); ok {
		if s.Valid(p) {
			s.keyUsed(p)
			return p, nil
		}
		s.cache.Invalidate(id)
	}
	verify := s.verify
	if isAPIKey(accessToken) {
		verify = s.verifyKey
	}
	p, err := verify(ctx, accessToken)
	if err != nil {
		return nil, s.refused(accessToken, err)
	}
	s.keyUsed(p)
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
	c, err := s.open(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := c.check(s.options.Now()); err != nil {
		return nil, err
	}
	id, err := s.userOf(ctx, c)
	if err != nil {
		return nil, err
	}
	for range 4 {
		p, err := s.principal(ctx, c, id)
		if err != nil {
			return nil, err
		}
		if !s.Revoked(p) {
			s.firstSeen(ctx, p, c)
			return p, nil
		}
		// Something was revoked between taking the anchors and reading: what was
		// read may be older or newer than that. Look again.
	}
	return nil, refuse(reasonRevoked)
}

// userOf is the id of the user whom a token is about. The first token of a
// subject of another issuer makes the user, where that is configured.
func (s *Service) userOf(ctx context.Context, c *received) (string, error) {
	var u *userRow
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		u, err = c.user(tx)
		return err
	})
	switch {
	case err != nil:
		return "", err
	case u != nil:
		return u.id, nil
	case c.other != nil && c.other.Options.AutoProvision:
		return s.provision(ctx, c)
	}
	return "", refuse(reasonUnknownUser)
}

// user finds the user whom a token is about, nil if there is none.
func (c *received) user(tx *store.Tx) (*userRow, error) {
	if c.other == nil {
		return findUser(tx, c.Subject)
	}
	return findUserBySubject(tx, c.Issuer, c.Subject)
}

// principal looks up what the database says about the user and the session of a
// token. The anchors come first: a change that commits after the look-up then
// cuts them.
func (s *Service) principal(ctx context.Context, c *received, userID string) (*Principal, error) {
	p := &Principal{UserID: userID, SessionID: c.SessionID, Issuer: c.Issuer, ExpiresAt: c.expiry(), issued: c.IssuedAt, via: c.method()}
	sessionID := c.SessionID
	if c.SessionID != "" {
		p.anchors[0] = s.registry.anchor(sessionKey(sessionID))
		p.anchors[1] = s.registry.anchor(signingKeyKey(c.keyID))
		if _, err := s.keys.ByID(c.keyID, s.options.Now()); err != nil {
			return nil, refuse(reasonKeyID) // removed meanwhile
		}
	} else {
		sessionID = tokenKey(c.sum)
		p.anchors[0] = s.registry.anchor(sessionID)
		p.anchors[1] = s.registry.anchor(userTokensKey(userID))
	}
	var (
		u    *userRow
		held *session
	)
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		if u, err = findUser(tx, userID); err != nil {
			return err
		}
		held, err = findSession(tx, sessionID)
		return err
	})
	if err != nil {
		return nil, err
	}
	switch {
	case u == nil:
		return nil, refuse(reasonUnknownUser)
	case !u.active():
		return nil, refuse(reasonInactiveUser)
	case c.other == nil && c.Role != nil && *c.Role != u.role:
		return nil, refuse(reasonRole)
	}
	if c.SessionID == "" && (held != nil || c.before(u.epoch)) {
		return nil, refuse(reasonRevoked) // logged out, or made before all was revoked
	}
	if c.SessionID != "" {
		if !held.alive(s.now(), s.options.IdleTTL) || held.userID != u.id {
			return nil, refuse(reasonSession)
		}
		if err := s.useRotation(ctx, held, c); err != nil {
			return nil, err
		}
		p.via = held.method
	}
	p.Role, p.Email = u.role, u.email
	return p, nil
}

// useRotation notes that the answer to the newest refresh of a session has
// arrived, since somebody uses its access token. Tokens know the second in which
// they were issued; one that may be of the newest refresh counts as such.
func (s *Service) useRotation(ctx context.Context, held *session, c *received) error {
	if held.rotatedAt != unused || c.before(held.lastSeenAt/1e6*1e6) {
		return nil
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(useRotation, wire.TextValue(held.id), wire.IntValue(held.generation), wire.IntValue(s.now()))
		return err
	})
}

// firstSeen records that somebody came with a token that was not made here,
// which is all that the server learns of such a sign-in. A new token of the same
// user within a minute is not another one.
func (s *Service) firstSeen(ctx context.Context, p *Principal, c *received) {
	if c.SessionID == "" && s.once.first(auditLogin+"\x00"+p.UserID, s.options.Now()) {
		s.recordSoon(ctx, s.by(p, ClientOf(ctx).Addr, event{action: auditLogin}))
	}
}

// before reports whether a token was, or may have been, issued before a moment
// in microseconds; 0 is no moment.
func (c *received) before(epoch int64) bool {
	return epoch != 0 && (c.IssuedAt == nil || *c.IssuedAt*1e6 < float64(epoch))
}
