package account

import (
	"context"
	"crypto/hmac"
	"strings"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/mail"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// SignUp is a request for an account.
type SignUp struct {
	Email      string
	Password   string // "" for none: the account signs in by code
	Name       string // for people, "" for none
	Invite     string // secret of an invitation, "" for none
	RedirectTo string // where the page behind the link leads back to, "" for nowhere
	Addr       string // of the client
	Flow       Flow   // of the browser
}

// SignUp sends a code to an address, or to the owner of an account with that
// address a mail that says so. Its answer and its time are the same.
func (s *Service) SignUp(ctx context.Context, in SignUp) error {
	c := &code{purpose: mail.Verify, role: identity.RoleUser, redirectTo: in.RedirectTo}
	var err error
	if c.address, c.name, err = s.checkSignUp(in.Email, in.Name, in.Password, in.RedirectTo); err != nil {
		return err
	}
	if c.role, c.invite, err = s.admit(ctx, in.Invite, c.address); err != nil {
		return err
	}
	for settled := false; err == nil && !settled; {
		settled, err = s.signUp(ctx, c, in)
	}
	return err
}

// signUp stores a sign-up and sends its mail. It reports false where another
// sign-up for the address came while the password was hashed: what to do with
// the passwords is then decided anew. The limit of mails bounds how often.
func (s *Service) signUp(ctx context.Context, c *code, in SignUp) (settled bool, err error) {
	var pending *code
	err = s.db.Read(ctx, func(tx *store.Tx) (err error) {
		pending, err = s.pending(tx, c.address)
		return err
	})
	if err != nil {
		return false, err
	}
	if c.passwordHash, err = s.pendingHash(ctx, pending, in.Password); err != nil {
		return false, err
	}
	return store.Write(ctx, s.db, func(tx *store.Tx) (settled bool, err error) {
		now, err := s.pending(tx, c.address)
		if err != nil {
			return false, err
		}
		settled = now == nil && pending == nil || now != nil && pending != nil && hmac.Equal(now.link, pending.link)
		if !settled {
			return false, nil
		}
		owner, err := s.address(tx, c)
		if err != nil {
			return false, err
		}
		if owner != "" {
			return true, s.tellOwner(tx, c, owner)
		}
		if pending != nil && pending.passwordHash != c.passwordHash { // also where no further mail is allowed
			key, kind := wire.BytesValue(pending.addressKey), wire.TextValue(string(pending.purpose))
			if _, err := tx.Exec(dropPassword, key, kind, wire.TextValue(dropped)); err != nil {
				return false, err
			}
		}
		return true, s.issue(tx, c, in.Flow, false)
	})
}

// address looks up the account that signs in with the address of a code, and
// makes the account's own spelling that of the code: one that is only compared
// as equal may be somebody else's mailbox.
func (s *Service) address(tx *store.Tx, c *code) (owner string, err error) {
	owner, err = s.users.Owner(tx, identity.ByEmail, c.address)
	if err != nil || owner == "" {
		return "", err
	}
	u, err := s.users.UserIn(tx, owner)
	if err == nil && u != nil {
		c.address = u.Email
	}
	return owner, err
}

// checkSignUp refuses what no account can be made from.
func (s *Service) checkSignUp(email, name, password, redirectTo string) (address, called string, err error) {
	if !s.mail.Sends() {
		return "", "", errNoMail()
	}
	if address, err = checkAddress(email); err != nil {
		return "", "", err
	}
	if called, err = checkName(name); err != nil {
		return "", "", err
	}
	if password != "" {
		if err = s.users.CheckPassword(password, address, called); err != nil {
			return "", "", err
		}
	}
	return address, called, s.redirect(redirectTo)
}

// tellOwner tells the owner of an account that somebody signed up with its
// address. It stores a code that nobody knows, as for a new address: the work
// of this request and of those that try codes is the same.
func (s *Service) tellOwner(tx *store.Tx, c *code, owner string) error {
	return s.store(tx, &code{purpose: mail.Verify, address: c.address}, "", mail.Message{Purpose: mail.Known, User: owner})
}

// pending is what waits for a code that verifies an address, a sign-up or a
// change of an account, nil if nothing does.
func (s *Service) pending(tx *store.Tx, address string) (*code, error) {
	c, err := find(tx, selectCode, wire.BytesValue(s.users.AddressKey(address)), wire.TextValue(string(mail.Verify)))
	if c != nil && (!c.known() || c.expiresAt <= s.options.Now().UnixMicro()) {
		c = nil
	}
	return c, err
}

// dropped stands for the password of an address for which two were chosen: the
// owner sets one after redeeming the code, so nobody's choice is taken.
const dropped = "-"

// pendingHash is the hash of the password that a sign-up has chosen. It makes
// one hash whatever it finds, so that its time tells nothing.
func (s *Service) pendingHash(ctx context.Context, pending *code, password string) (string, error) {
	switch {
	case pending == nil && password == "":
		return "", nil
	case pending == nil:
		return s.users.HashPassword(ctx, password)
	case password == "" && pending.passwordHash == "":
		return "", nil
	case password == "":
		return dropped, nil
	}
	before := pending.passwordHash
	if before == "" || before == dropped {
		_, err := s.users.HashPassword(ctx, password)
		return dropped, err
	}
	same, err := s.users.IsPassword(ctx, before, password)
	if !same {
		before = dropped
	}
	return before, err
}

// SendCode sends a code for a purpose to an address: login or reset to that of
// an account, verify again to one that is signing up.
func (s *Service) SendCode(ctx context.Context, email, purpose, redirectTo string, flow Flow) error {
	kind := mail.Purpose(purpose)
	if kind != mail.Login && kind != mail.Reset && kind != mail.Verify {
		return wire.NewError(wire.CodeInvalidInput, "purpose is login, reset or verify")
	}
	if !s.mail.Sends() {
		return errNoMail()
	}
	address, err := checkAddress(email)
	if err == nil {
		err = s.redirect(redirectTo)
	}
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		c := &code{purpose: kind, address: address, redirectTo: redirectTo}
		if kind == mail.Verify {
			waiting, err := s.pending(tx, address)
			if err != nil {
				return err
			}
			if waiting != nil {
				c = waiting
				c.redirectTo = redirectTo
			}
			return s.issue(tx, c, flow, waiting == nil)
		}
		owner, err := s.address(tx, c)
		if err != nil {
			return err
		}
		c.userID = owner
		// An address without an account gets a code that nobody knows: the same work.
		return s.issue(tx, c, flow, owner == "")
	})
}

// Redemption is what somebody redeems a code with.
type Redemption struct {
	Email    string
	Code     string
	Purpose  string
	Password string              // the new one, for reset; for verify "" leaves it as it is
	Who      *identity.Principal // signed in, nil for nobody
	Addr     string              // of the client
}

// Redeem does what a code was about. It returns the session that has begun, nil
// where the one of Who goes on.
func (s *Service) Redeem(ctx context.Context, in Redemption) (*identity.Grant, error) {
	purpose := mail.Purpose(in.Purpose)
	if purpose != mail.Login && purpose != mail.Reset && purpose != mail.Verify {
		return nil, wire.NewError(wire.CodeInvalidInput, "purpose is login, reset or verify")
	}
	hash := ""
	if purpose == mail.Reset || in.Password != "" {
		var err error
		if err = s.users.CheckPassword(in.Password, strings.TrimSpace(in.Email)); err != nil {
			return nil, err
		}
		if hash, err = s.users.HashPassword(ctx, in.Password); err != nil {
			return nil, err
		}
	}
	c, err := s.take(ctx, in.Email, purpose, strings.TrimSpace(in.Code))
	if err != nil {
		return nil, err
	}
	if hash != "" {
		c.passwordHash = hash
	}
	return s.redeemed(ctx, c, in.Who, in.Addr)
}

// redeemed does what a code that was taken is about.
func (s *Service) redeemed(ctx context.Context, c *code, who *identity.Principal, addr string) (*identity.Grant, error) {
	if c.passwordHash == dropped {
		c.passwordHash = ""
	}
	switch {
	case c.purpose == mail.Verify && c.userID != "":
		if who == nil || who.UserID != c.userID {
			return nil, errInvalidCode()
		}
		return nil, s.moveTo(ctx, c, who, addr)
	case c.purpose == mail.Verify && c.role != "":
		return s.open(ctx, c, addr)
	case c.userID == "":
		return nil, errInvalidCode()
	}
	return s.users.Begin(ctx, "code", addr, func(tx *store.Tx, trail *identity.Trail) (string, error) {
		if u, err := s.users.UserIn(tx, c.userID); err != nil || u == nil {
			return "", or(err, errInvalidCode())
		}
		if c.purpose == mail.Login {
			return c.userID, nil
		}
		return c.userID, s.users.ReplacePassword(tx, trail, c.userID, c.passwordHash, addr)
	})
}

// open makes the account of a sign-up whose address is proved, and its first
// session.
func (s *Service) open(ctx context.Context, c *code, addr string) (*identity.Grant, error) {
	id := newID()
	return s.users.Begin(ctx, "code", addr, func(tx *store.Tx, trail *identity.Trail) (string, error) {
		owner, err := s.users.Owner(tx, identity.ByEmail, c.address)
		if err != nil || owner != "" {
			return owner, err // signed up twice: the account is there
		}
		if err := s.useInvite(tx, c.invite, id); err != nil {
			return "", err
		}
		err = s.users.CreateAccount(tx, trail, &identity.NewAccount{
			ID: id, Role: c.role, AuthType: identity.AuthPassword, PasswordHash: c.passwordHash, Name: c.name, Method: "code", Addr: addr,
		})
		if err != nil {
			return "", err
		}
		return id, s.users.SetAddress(tx, id, c.address)
	})
}

// SignUpNamed makes an account with a user name and a password, where the server
// needs no address.
func (s *Service) SignUpNamed(ctx context.Context, user, password, invite, addr string) (*identity.Grant, error) {
	if !s.options.WithoutEmail {
		return nil, wire.NewError(wire.CodeInvalidInput, "this server needs an e-mail address to sign up: send email, not user")
	}
	name, err := checkUserName(user)
	if err != nil {
		return nil, err
	}
	role, used, err := s.admit(ctx, invite, "")
	if err != nil {
		return nil, err
	}
	hash, err := s.hash(ctx, password, name)
	if err != nil {
		return nil, err
	}
	id := newID()
	return s.users.Begin(ctx, "password", addr, func(tx *store.Tx, trail *identity.Trail) (string, error) {
		if err := s.useInvite(tx, used, id); err != nil {
			return "", err
		}
		a := &identity.NewAccount{ID: id, Role: role, AuthType: identity.AuthPassword, PasswordHash: hash, Name: name, Method: "password", Addr: addr}
		if err := s.users.CreateAccount(tx, trail, a); err != nil {
			return "", err
		}
		return id, s.users.SetCredential(tx, id, identity.ByName, name)
	})
}

func (s *Service) hash(ctx context.Context, password string, names ...string) (string, error) {
	if err := s.users.CheckPassword(password, names...); err != nil {
		return "", err
	}
	return s.users.HashPassword(ctx, password)
}

// or returns err, or instead of nil the other one.
func or(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
