package identity

import (
	"context"
	"crypto/rand"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/password"
	"github.com/kalamdb/kalam-go/internal/store"
)

// Anchors counts what the principals in memory hang on.
func (s *Service) Anchors() int {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	return len(s.registry.anchors)
}

// Miss is what happens when the service has missed what commits have revoked.
func (s *Service) Miss() { s.registry.hear(store.Notice{Missed: true}) }

// CommonPasswords counts the passwords that are refused as common.
func CommonPasswords() int { return len(password.Common()) }

// BeginSession begins a session without a password, for tests of many.
func (s *Service) BeginSession(ctx context.Context, user string) (*Grant, error) {
	now := s.now()
	c := &session{
		id: rand.Text(), userID: user, method: byPassword, clientAddr: "192.0.2.1",
		rotatedAt: now, createdAt: now, lastSeenAt: now, expiresAt: now + s.options.AbsoluteTTL.Microseconds(),
	}
	token := firstRefresh(c.id)
	c.tokenHash = token.hash()
	var u *userRow
	err := s.db.Write(ctx, func(tx *store.Tx) (err error) {
		if u, err = findUser(tx, user); err != nil {
			return err
		}
		return s.insertSession(tx, c)
	})
	if err != nil {
		return nil, err
	}
	return s.grant(u, c, token, now)
}

// Trailed records sign-ins of a user, for tests of many.
func (s *Service) Trailed(ctx context.Context, user string, n int) error {
	return s.Write(ctx, func(_ *store.Tx, trail *Trail) error {
		for i := range n {
			trail.add(event{action: auditLogin, actor: user, details: strconv.Itoa(i)})
		}
		return nil
	})
}
