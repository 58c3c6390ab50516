package identity

import (
	"context"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Session is what a user may know of one of their sessions. ID is no secret and
// stands in no token.
type Session struct {
	ID         string
	Method     string // how it began: password
	ClientAddr string // of its last login or refresh, "" for unknown
	CreatedAt  time.Time
	LastSeenAt time.Time // its last login or refresh
	ExpiresAt  time.Time // its end if it is not refreshed again
	Current    bool      // it is the one that asks
}

var (
	selectUserSessions = &store.Stmt{
		SQL: `SELECT session_id, ref, auth_method, client_addr, created_at, last_seen_at, expires_at FROM sessions
			WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 AND last_seen_at > $3 ORDER BY last_seen_at DESC, ref`,
		Args: []wire.Type{text, integer, integer},
		Cols: []wire.Type{text, text, text, text, integer, integer, integer},
	}
	selectSessionByRef = &store.Stmt{
		SQL:  "SELECT session_id, user_id FROM sessions WHERE ref = $1 AND ended_at IS NULL",
		Args: []wire.Type{text}, Cols: []wire.Type{text, text},
	}
	selectClientAddrs = &store.Stmt{
		SQL:  "SELECT DISTINCT client_addr FROM sessions WHERE user_id = $1 AND client_addr IS NOT NULL",
		Args: []wire.Type{text}, Cols: []wire.Type{text},
	}
	selectNamelessSessions = &store.Stmt{SQL: "SELECT session_id FROM sessions WHERE ref IS NULL", Cols: []wire.Type{text}}
	nameSession            = &store.Stmt{SQL: "UPDATE sessions SET ref = $2 WHERE session_id = $1", Args: []wire.Type{text, text}}
)

// nameSessions gives the sessions of an older database their names.
func (s *Service) nameSessions(ctx context.Context) error {
	var ids []string
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Query(selectNamelessSessions, nil, func(row []wire.Value) error {
			ids = append(ids, row[0].Text())
			return nil
		})
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if _, err := tx.Exec(nameSession, wire.TextValue(id), wire.TextValue(s.ref(id))); err != nil {
				return err
			}
		}
		return nil
	})
}

// knows reports whether the user has signed in from a network before.
func (s *Service) knows(ctx context.Context, u *userRow, network string) (known bool) {
	if u == nil {
		return false
	}
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Query(selectClientAddrs, []wire.Value{wire.TextValue(u.id)}, func(row []wire.Value) error {
			known = known || NetworkOf(row[0].Text()) == network
			return nil
		})
	})
	return known && err == nil
}

// Sessions lists the open sessions of a principal's user, the latest first.
func (s *Service) Sessions(ctx context.Context, p *Principal) ([]Session, error) {
	out := []Session{}
	now := s.now()
	idle := s.options.IdleTTL.Microseconds()
	args := []wire.Value{wire.TextValue(p.UserID), wire.IntValue(now), wire.IntValue(now - idle)}
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Query(selectUserSessions, args, func(row []wire.Value) error {
			out = append(out, Session{
				ID: row[1].Text(), Current: row[0].Text() == p.SessionID, Method: row[2].Text(), ClientAddr: row[3].Text(),
				CreatedAt: fromMicros(row[4].Int()), LastSeenAt: fromMicros(row[5].Int()),
				ExpiresAt: fromMicros(min(row[5].Int()+idle, row[6].Int())),
			})
			return nil
		})
	})
	return out, err
}

// EndSession ends the session that is called id: one's own, or for an
// administrator anybody's. It reports whether it was open.
func (s *Service) EndSession(ctx context.Context, p *Principal, id string) (ended bool, err error) {
	return Write(ctx, s, s.db, func(tx *store.Tx, trail *Trail) (bool, error) {
		var key, owner string
		err := tx.Query(selectSessionByRef, []wire.Value{wire.TextValue(id)}, func(row []wire.Value) error {
			key, owner = row[0].Text(), row[1].Text()
			return nil
		})
		if err != nil || key == "" {
			return false, err
		}
		e := event{action: auditSessionEnded, target: "session:" + id}
		if owner != p.UserID {
			if _, err := managed(tx, p, owner, "end the sessions of"); err != nil {
				return false, nil // as if there were none
			}
			e.subject = owner
		}
		trail.add(s.by(p, ClientOf(ctx).Addr, e))
		return true, s.end(tx, key)
	})
}

// EndOtherSessions ends all sessions of a principal's user but its own, and
// refuses the tokens without a session that were made until now. It returns how
// many sessions ended.
func (s *Service) EndOtherSessions(ctx context.Context, p *Principal) (int, error) {
	return Write(ctx, s, s.db, func(tx *store.Tx, trail *Trail) (int, error) {
		trail.add(s.by(p, ClientOf(ctx).Addr, event{action: auditSessionEnded, details: "all other sessions"}))
		return s.endSessions(tx, p.UserID, p.SessionID)
	})
}

// end ends a session with the commit of tx.
func (s *Service) end(tx *store.Tx, id string) error {
	n, err := tx.Exec(endSession, wire.TextValue(id), wire.IntValue(s.now()))
	if n > 0 {
		tx.Tell(revoked(sessionKey(id)))
	}
	return err
}

// endSessions ends all sessions of a user but one with the commit of tx, and
// refuses the tokens without a session that were made for the user until now.
// It returns how many sessions ended.
func (s *Service) endSessions(tx *store.Tx, userID, keep string) (int, error) {
	now := wire.IntValue(s.now())
	keys := []string{userTokensKey(userID)}
	var open []string
	err := tx.Query(selectOpenSessions, []wire.Value{wire.TextValue(userID), wire.TextValue(keep)}, func(row []wire.Value) error {
		open = append(open, row[0].Text())
		return nil
	})
	for _, id := range open {
		keys = append(keys, sessionKey(id))
		if err == nil {
			_, err = tx.Exec(endSession, wire.TextValue(id), now)
		}
	}
	if err == nil {
		_, err = tx.Exec(updateEpoch, wire.TextValue(userID), now, now)
	}
	tx.Tell(revoked(keys...))
	return len(open), err
}

// Logout ends the session of an access or a refresh token, also of one that has
// expired or been replaced. A token without a session, of an app or of another
// issuer, is refused from now on. A token that means nothing to the server is
// no error.
func (s *Service) Logout(ctx context.Context, token string) error {
	if isRefresh(token) {
		t, ok := parseRefresh(token, s.refreshKey)
		if !ok {
			return nil
		}
		return s.logoutSession(ctx, t.sessionID)
	}
	c, err := s.open(ctx, token)
	if err != nil {
		return nil
	}
	if c.SessionID != "" {
		return s.logoutSession(ctx, c.SessionID)
	}
	now := s.now()
	if c.check(s.options.Now()) != nil {
		return nil
	}
	return s.Write(ctx, func(tx *store.Tx, trail *Trail) error {
		u, err := c.user(tx)
		if err != nil || u == nil {
			return err
		}
		if known, err := findSession(tx, tokenKey(c.sum)); err != nil || known != nil {
			return err
		}
		key := tokenKey(c.sum)
		tx.Tell(revoked(key))
		e := event{action: auditLogout, actor: u.id, method: c.method(), addr: ClientOf(ctx).Addr, session: s.ref(key)}
		trail.add(e)
		return s.insertSession(tx, &session{
			id: key, userID: u.id, method: mintedToken, tokenHash: c.sum[:],
			createdAt: now, expiresAt: c.expiry().UnixMicro(), endedAt: now,
		})
	})
}

func (s *Service) logoutSession(ctx context.Context, id string) error {
	return s.Write(ctx, func(tx *store.Tx, trail *Trail) error {
		c, err := findSession(tx, id)
		if err != nil || c == nil || c.endedAt != 0 {
			return err
		}
		e := event{action: auditLogout, actor: c.userID, method: c.method, addr: ClientOf(ctx).Addr, session: s.ref(id)}
		trail.add(e)
		return s.end(tx, id)
	})
}

// ChangePassword sets a new password for a principal's user, who must know the
// current one, and ends the user's other sessions. It fails with
// INVALID_CREDENTIALS, WEAK_PASSWORD or a ThrottledError; and with INVALID_INPUT
// for a user of another issuer, who has no password.
func (s *Service) ChangePassword(ctx context.Context, p *Principal, current, next, clientAddr string) error {
	if p.Issuer != Issuer {
		return errNoPassword(p.UserID)
	}
	u, _, err := s.checkLogin(ctx, p.UserID, current, clientAddr, auditPasswordFailed)
	if err != nil {
		return err
	}
	if next == current {
		return wire.NewError(wire.CodeWeakPassword, "the new password is the current one")
	}
	if err := s.checkPassword(next, u.id, u.email); err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, next)
	if err != nil {
		return err
	}
	return s.Write(ctx, func(tx *store.Tx, trail *Trail) error {
		now, err := findUser(tx, u.id)
		if err != nil {
			return err
		}
		if !now.active() || now.passwordHash != u.passwordHash {
			return errInvalid() // changed meanwhile
		}
		if _, err := tx.Exec(updatePassword, wire.TextValue(u.id), wire.TextValue(hash), wire.IntValue(s.now())); err != nil {
			return err
		}
		trail.add(s.by(p, clientAddr, event{action: auditPasswordChanged}))
		_, err = s.endSessions(tx, u.id, p.SessionID)
		return err
	})
}

// ResetPassword sets the password of a user and ends their sessions, unless it is
// the one they have. It is for
// the operator of a stopped server, who needs no other proof than the data.
func (s *Service) ResetPassword(ctx context.Context, name, password string) error {
	u, err := s.User(ctx, name)
	if err != nil {
		return err
	}
	if u.AuthType == AuthOIDC {
		return errNoPassword(u.ID)
	}
	hash, same, err := s.preparePassword(ctx, u.ID, password)
	if err != nil || same {
		return err
	}
	return s.Write(ctx, func(tx *store.Tx, trail *Trail) error {
		if _, err := tx.Exec(updatePassword, wire.TextValue(u.ID), wire.TextValue(hash), wire.IntValue(s.now())); err != nil {
			return err
		}
		trail.add(event{action: auditPasswordChanged, subject: u.ID, method: "operator", details: "reset on the server's machine"})
		_, err := s.endSessions(tx, u.ID, "")
		return err
	})
}
