package account

import (
	"context"
	"crypto/hmac"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/mail"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Link is what the page behind a link in a mail shows.
type Link struct {
	Purpose    mail.Purpose
	Address    string // masked
	SignsIn    bool   // confirming it signs this browser in, which has asked for the mail
	NeedsCode  bool   // confirming it here does nothing: the code goes into the app that asked for it
	Password   bool   // confirming it here takes the password that the sign-up has chosen
	RedirectTo string // "" for nowhere
}

// Look returns what a link is about without changing anything, nil for one that
// is not good any more.
func (s *Service) Look(ctx context.Context, token string, flow Flow) (*Link, error) {
	c, err := s.linked(ctx, token)
	if err != nil || c == nil {
		return nil, err
	}
	here := s.isFlow(c, flow)
	return &Link{
		Purpose: c.purpose, Address: mail.Mask(c.address), RedirectTo: c.redirectTo,
		SignsIn: here && c.userID == "" || here && c.purpose == mail.Login,
		// A sign-in or a change of an account belongs to the browser that asked for it.
		NeedsCode: !here && (c.purpose == mail.Login || c.userID != "" && c.purpose == mail.Verify),
		// Whoever confirms a stranger's sign-up would open an account to which the
		// stranger has the password.
		Password: !here && c.purpose == mail.Verify && c.userID == "" && c.passwordHash != "" && c.passwordHash != dropped,
	}, nil
}

func (s *Service) isFlow(c *code, flow Flow) bool {
	return flow != "" && hmac.Equal(c.flow, s.users.SecretHash("flow", string(flow)))
}

func (s *Service) linked(ctx context.Context, token string) (c *code, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		c, err = find(tx, selectLink, wire.BytesValue(s.users.SecretHash("link", token)))
		return err
	})
	if c != nil && (c.tries <= 0 || c.expiresAt <= s.options.Now().UnixMicro()) {
		c = nil
	}
	return c, err
}

// Confirm does what a link is about. It returns the session that has begun in
// the browser that asked for the mail; nil elsewhere, where it confirms only.
// password is the new one of a reset, or the one that the link asks for.
func (s *Service) Confirm(ctx context.Context, token, password string, flow Flow, addr string) (*identity.Grant, *Link, error) {
	link, err := s.Look(ctx, token, flow)
	if err != nil || link == nil || link.NeedsCode {
		return nil, link, or(err, errInvalidCode())
	}
	c, err := s.linked(ctx, token)
	if err != nil || c == nil {
		return nil, nil, or(err, errInvalidCode())
	}
	if c.purpose == mail.Reset {
		if c.passwordHash, err = s.hash(ctx, password, c.address); err != nil {
			return nil, link, err
		}
	}
	key, kind := wire.BytesValue(c.addressKey), wire.TextValue(string(c.purpose))
	if link.Password {
		same, err := s.users.IsPassword(ctx, c.passwordHash, password)
		if err == nil && !same {
			err = s.db.Write(ctx, func(tx *store.Tx) error {
				_, err := tx.Exec(tryCode, key, kind)
				return err
			})
			err = or(err, wire.NewError(wire.CodeWeakPassword, "this is not the password of the sign-up"))
		}
		if err != nil {
			return nil, link, err
		}
	}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		now, err := find(tx, selectCode, key, kind)
		if err != nil || now == nil || !hmac.Equal(now.link, c.link) {
			return or(err, errInvalidCode())
		}
		_, err = tx.Exec(deleteCode, key, kind)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	who := &identity.Principal{UserID: c.userID, Issuer: identity.Issuer}
	grant, err := s.redeemed(ctx, c, who, addr)
	if err != nil || grant == nil || link.SignsIn {
		return grant, link, err
	}
	// Elsewhere nobody is signed in: the session that has begun ends again.
	return nil, link, s.users.Logout(ctx, grant.RefreshToken)
}
