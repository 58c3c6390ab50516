package account

import (
	"context"
	"errors"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/mail"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Anonymous makes an account without a name, and its session.
func (s *Service) Anonymous(ctx context.Context, addr string) (*identity.Grant, error) {
	if !s.options.Anonymous {
		return nil, wire.NewError(CodeSignUpClosed, "this server has no anonymous accounts: auth.accounts.anonymous is off")
	}
	id := newID()
	return s.users.Begin(ctx, identity.AuthAnonymous, addr, func(tx *store.Tx, trail *identity.Trail) (string, error) {
		return id, s.users.CreateAccount(tx, trail, &identity.NewAccount{
			ID: id, Role: identity.RoleUser, AuthType: identity.AuthAnonymous, Method: identity.AuthAnonymous, Addr: addr,
		})
	})
}

// Upgrade sends a code to the address that an account without a name takes. The
// account has it when the code is redeemed.
func (s *Service) Upgrade(ctx context.Context, who *identity.Principal, in SignUp) error {
	address, name, err := s.checkSignUp(in.Email, in.Name, in.Password, in.RedirectTo)
	if err != nil {
		return err
	}
	c := &code{purpose: mail.Verify, address: address, userID: who.UserID, name: name, redirectTo: in.RedirectTo}
	if in.Password != "" {
		if c.passwordHash, err = s.users.HashPassword(ctx, in.Password); err != nil {
			return err
		}
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		if err := s.mustBe(tx, who, identity.AuthAnonymous, "only an anonymous account can be upgraded; change the address with PATCH /v1/api/auth/me"); err != nil {
			return err
		}
		return s.issue(tx, c, in.Flow, false)
	})
}

// UpgradeNamed gives an account without a name a user name and a password, where
// the server needs no address.
func (s *Service) UpgradeNamed(ctx context.Context, who *identity.Principal, user, password, addr string) error {
	if !s.options.WithoutEmail {
		return wire.NewError(wire.CodeInvalidInput, "this server needs an e-mail address: send email, not user")
	}
	name, err := checkUserName(user)
	if err != nil {
		return err
	}
	hash, err := s.hash(ctx, password, name)
	if err != nil {
		return err
	}
	return s.users.Write(ctx, func(tx *store.Tx, trail *identity.Trail) error {
		if err := s.mustBe(tx, who, identity.AuthAnonymous, "only an anonymous account can be upgraded"); err != nil {
			return err
		}
		if err := s.users.SetCredential(tx, who.UserID, identity.ByName, name); err != nil {
			return err
		}
		if err := s.users.SetName(tx, who.UserID, name); err != nil {
			return err
		}
		return s.users.Upgrade(tx, trail, who, hash, addr)
	})
}

// mustBe refuses an account that is not of a sort.
func (s *Service) mustBe(tx *store.Tx, who *identity.Principal, authType, why string) error {
	u, err := s.users.UserIn(tx, who.UserID)
	if err == nil && (u == nil || u.AuthType != authType) {
		err = wire.NewError(wire.CodeInvalidInput, why)
	}
	return err
}

// Profile is what a user may change of their own account; nil leaves it as it
// is.
type Profile struct {
	Name  *string
	Email *string
	Addr  string // of the client
	Flow  Flow   // of the browser
}

// Change changes the profile of a user. A new address gets a code first and is
// that of the account when the code is redeemed; sent reports that.
func (s *Service) Change(ctx context.Context, who *identity.Principal, p Profile) (sent bool, err error) {
	var name, address string
	if p.Name != nil {
		if name, err = checkName(*p.Name); err != nil {
			return false, err
		}
	}
	if p.Email != nil {
		if !s.mail.Sends() {
			return false, errNoMail()
		}
		if address, err = checkAddress(*p.Email); err != nil {
			return false, err
		}
		if who.Issuer != identity.Issuer {
			return false, wire.NewError(wire.CodeInvalidInput, "this account signs in with another issuer, which keeps its address")
		}
	}
	return p.Email != nil, s.users.Write(ctx, func(tx *store.Tx, trail *identity.Trail) error {
		if u, err := s.users.UserIn(tx, who.UserID); err != nil || u == nil {
			return or(err, wire.NewError(wire.CodeInvalidCredentials, "Invalid credentials")) // deleted meanwhile
		}
		if p.Name != nil {
			if err := s.users.SetName(tx, who.UserID, name); err != nil {
				return err
			}
			s.users.Noted(trail, who, p.Addr, "PROFILE_CHANGED", "name")
		}
		if p.Email == nil {
			return nil
		}
		return s.issue(tx, &code{purpose: mail.Verify, address: address, userID: who.UserID}, p.Flow, false)
	})
}

// moveTo makes an address that is proved that of an account, and tells the old
// one.
func (s *Service) moveTo(ctx context.Context, c *code, who *identity.Principal, addr string) error {
	err := s.users.Write(ctx, func(tx *store.Tx, trail *identity.Trail) error {
		u, err := s.users.UserIn(tx, who.UserID)
		if err != nil || u == nil {
			return or(err, errInvalidCode())
		}
		if err := s.users.SetAddress(tx, u.ID, c.address); err != nil {
			return err
		}
		if c.name != "" {
			if err := s.users.SetName(tx, u.ID, c.name); err != nil {
				return err
			}
		}
		if u.AuthType == identity.AuthAnonymous {
			return s.users.Upgrade(tx, trail, who, c.passwordHash, addr)
		}
		s.users.Noted(trail, who, addr, "PROFILE_CHANGED", "address")
		if u.Email == "" || u.Email == c.address {
			return nil
		}
		return s.mail.Queue(tx, mail.Message{Purpose: mail.Changed, To: u.Email, Key: s.users.AddressKey(u.Email), User: u.ID})
	})
	if errors.Is(err, identity.ErrTaken) {
		return wire.NewError(CodeAddressTaken, "another account has this address")
	}
	return err
}
