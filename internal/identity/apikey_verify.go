package identity

import (
	"context"
	"crypto/subtle"

	"github.com/kalamdb/kalam-go/internal/redact"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// keyRow is a row of the table api_keys.
type keyRow struct {
	redact.Redacted
	prefix, userID    string
	hash              []byte
	scope             Scope
	expiresAt, usedAt int64 // microseconds, 0 for none
}

func findKey(tx *store.Tx, prefix string) (k *keyRow, err error) {
	err = tx.Query(selectAPIKey, []wire.Value{wire.TextValue(prefix)}, func(row []wire.Value) (err error) {
		k = &keyRow{prefix: prefix, userID: row[0].Text(), hash: row[1].Bytes(), expiresAt: row[5].Int(), usedAt: row[6].Int()}
		k.scope = Scope{Prefix: prefix, ReadOnly: row[2].Int() != 0}
		if k.scope.Namespaces, err = readList(row[3]); err == nil {
			k.scope.Topics, err = readList(row[4])
		}
		return err
	})
	return k, err
}

// verifyKey returns whom an API key lets its bearer act as.
func (s *Service) verifyKey(ctx context.Context, key string) (*Principal, error) {
	prefix, ok := parseKey(key)
	if !ok {
		return nil, &refusal{errInvalid("This is no whole API key: a character is missing or wrong").(*wire.Error), reasonKeyTypo}
	}
	p, err := s.keyPrincipal(ctx, prefix, keyHash(key))
	if err == nil && s.once.first(auditLogin+"\x00"+apiKeyKey(prefix), s.options.Now()) {
		s.recordSoon(ctx, s.by(p, ClientOf(ctx).Addr, event{action: auditLogin}))
	}
	return p, err
}

// keyPrincipal looks up what the database says about a key and its user. hash is
// that of the presented key, nil for a ticket, which was made for it. The anchors
// come first, as in principal.
func (s *Service) keyPrincipal(ctx context.Context, prefix string, hash []byte) (*Principal, error) {
	var (
		k *keyRow
		u *userRow
	)
	for range 4 {
		err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
			k, err = findKey(tx, prefix)
			return err
		})
		if err != nil {
			return nil, err
		}
		if k == nil {
			return nil, refuse(reasonKeyUnknown)
		}
		p := &Principal{UserID: k.userID, Issuer: Issuer, via: byAPIKey, anchors: [2]*anchor{
			s.registry.anchor(apiKeyKey(prefix)), s.registry.anchor(userTokensKey(k.userID)),
		}}
		err = s.db.Read(ctx, func(tx *store.Tx) (err error) {
			if k, err = findKey(tx, prefix); err == nil {
				u, err = findUser(tx, p.UserID)
			}
			return err
		})
		switch {
		case err != nil:
			return nil, err
		case k == nil || hash != nil && subtle.ConstantTimeCompare(k.hash, hash) != 1:
			return nil, refuse(reasonKeyUnknown)
		case k.expiresAt != 0 && s.now() >= k.expiresAt:
			return nil, errExpired()
		case !u.active():
			return nil, refuse(reasonInactiveUser)
		}
		if k.expiresAt != 0 {
			p.ExpiresAt = fromMicros(k.expiresAt)
		}
		p.Role, p.Email, p.Scope = u.role, u.email, &k.scope
		p.Scope.use = &keyUse{prefix: prefix}
		p.Scope.use.at.Store(k.usedAt)
		if !s.Revoked(p) {
			return p, nil
		}
	}
	return nil, refuse(reasonRevoked)
}
