package client

import (
	"context"
	"errors"

	"github.com/kalamdb/kalam-go/wire"
)

// Accounts is how people get, change and leave an account at the server, as far
// as its configuration lets them. A session that begins here is the client's
// from then on. It renews itself as long as the provider gives no credentials,
// so an application whose people only sign in this way uses
// auth.Static(auth.Auth{}).
type Accounts struct{ c *Client }

// Accounts returns the accounts of the server.
func (c *Client) Accounts() Accounts { return Accounts{c} }

// SignUp is what somebody signs up with: an address, or where the server asks for
// none a user name and a password.
type SignUp struct {
	Email      string
	User       string
	Password   string // "" for none: the account signs in by code
	Name       string // for people to see, "" for none
	Invite     string // secret of an invitation, "" for none
	RedirectTo string // where the page behind the link of the mail leads back to, "" for nowhere
}

// String returns the names in the sign-up without its secrets.
func (s SignUp) String() string { return "sign-up of " + s.Email + s.User }

func (s *SignUp) body() []byte {
	return wire.AppendFields(nil, "email", s.Email, "user", s.User, "password", s.Password,
		"name", s.Name, "invite", s.Invite, "redirect_to", s.RedirectTo)
}

// Code is what a code from a mail is redeemed with.
type Code struct {
	Email    string
	Code     string
	Purpose  string // "verify" for SignUp, Upgrade and UpdateProfile; "login" or "reset" for SendCode
	Password string // the new one: "reset" needs it, "verify" may set it
}

// String names whom the code is for, without the code.
func (c Code) String() string { return c.Purpose + " code of " + c.Email }

// Profile is what users may change of their own account; nil leaves it as it is.
type Profile struct {
	Name  *string
	Email *string
}

// SignUp creates an account. With a user name it returns the session that has
// begun. With an address it returns nil: the server has sent a code there, which
// RedeemCode takes with the purpose "verify". It says the same when the address
// has an account.
func (a Accounts) SignUp(ctx context.Context, s SignUp) (*wire.LoginResponse, error) {
	return a.begin(ctx, "signup", s.body())
}

// SendCode sends a code to an address, for the purpose "login" or "reset", or
// "verify" for another code of a sign-up. It says the same when the address has
// no account.
func (a Accounts) SendCode(ctx context.Context, email, purpose, redirectTo string) error {
	body := wire.AppendFields(nil, "email", email, "purpose", purpose, "redirect_to", redirectTo)
	return a.c.during(ctx, a.c.timeout, func(ctx context.Context) error {
		_, err := a.post(ctx, "", "code", body)
		return err
	})
}

// RedeemCode redeems a code and returns the session that has begun. For a code of
// Upgrade or UpdateProfile the client has to be signed in as the account; its
// session goes on, and the response holds only the user.
func (a Accounts) RedeemCode(ctx context.Context, in Code) (*wire.LoginResponse, error) {
	body := wire.AppendFields(nil, "email", in.Email, "code", in.Code, "purpose", in.Purpose, "password", in.Password)
	if in.Purpose != "verify" {
		return a.begin(ctx, "code/redeem", body)
	}
	var l *wire.LoginResponse
	err := a.c.authorized(ctx, a.c.timeout, func(ctx context.Context, token string) (err error) {
		l, err = a.redeem(ctx, token, body)
		return err
	})
	if errors.Is(err, ErrLoginRequired) {
		return a.begin(ctx, "code/redeem", body) // nobody is signed in: it is the code of a sign-up
	}
	if err == nil && l.AccessToken != "" {
		err = a.use(ctx, l)
	}
	return l, err
}

// SignInAnonymously creates an account without a name and returns its session.
// Upgrade turns it into a named account.
func (a Accounts) SignInAnonymously(ctx context.Context) (*wire.LoginResponse, error) {
	return a.begin(ctx, "anonymous", []byte("{}"))
}

// Upgrade adds an address or a user name to the client's anonymous account; its
// id, session and live queries stay. With a user name it returns the updated user.
// With an address it returns nil: the account has the address when RedeemCode is
// called with the code that was sent there.
func (a Accounts) Upgrade(ctx context.Context, s SignUp) (*wire.LoginUser, error) {
	return a.change(ctx, "POST", "upgrade", s.body())
}

// UpdateProfile changes the name and the address of the user. It returns the user
// as it is now, or nil when an address is to change: it does when RedeemCode gets
// the code that was sent there.
func (a Accounts) UpdateProfile(ctx context.Context, p Profile) (*wire.LoginUser, error) {
	body := []byte{'{'}
	for _, f := range []struct {
		name string
		text *string
	}{{`"name":`, p.Name}, {`"email":`, p.Email}} {
		if f.text == nil {
			continue
		}
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = wire.AppendString(append(body, f.name...), *f.text)
	}
	return a.change(ctx, "PATCH", "me", append(body, '}'))
}

// DeleteAccount removes the account of the user with its private rows, files and
// sessions, and forgets the session. It needs the password, or "" within five
// minutes after signing in.
func (a Accounts) DeleteAccount(ctx context.Context, password string) error {
	var body []byte
	if password != "" {
		body = wire.AppendFields(nil, "password", password)
	}
	if _, err := a.c.asUser(ctx, "DELETE", "me", body); err != nil {
		return err
	}
	a.c.forget()
	return nil
}

// change does a request that changes the account of the client.
func (a Accounts) change(ctx context.Context, method, path string, body []byte) (*wire.LoginUser, error) {
	answer, err := a.c.asUser(ctx, method, path, body)
	if err != nil || answer == nil {
		return nil, err
	}
	return a.c.user(answer)
}

// begin does a request without a token and takes up the session that it begins,
// if it does.
func (a Accounts) begin(ctx context.Context, path string, body []byte) (*wire.LoginResponse, error) {
	if err := a.c.session.reentered(ctx); err != nil {
		return nil, err
	}
	var l *wire.LoginResponse
	err := a.c.during(ctx, a.c.timeout, func(ctx context.Context) (err error) {
		l, err = a.session(a.post(ctx, "", path, body))
		return err
	})
	if err == nil && l != nil {
		err = a.use(ctx, l)
	}
	return l, err
}

// use makes a session that has begun the client's.
func (a Accounts) use(ctx context.Context, l *wire.LoginResponse) error {
	return a.c.authCall(ctx, func(context.Context) error {
		a.c.session.begin(l)
		return nil
	})
}

func (a Accounts) redeem(ctx context.Context, token string, body []byte) (*wire.LoginResponse, error) {
	return a.session(a.post(ctx, token, "code/redeem", body))
}

func (a Accounts) post(ctx context.Context, token, path string, body []byte) ([]byte, error) {
	return a.c.authRoute(ctx, &request{Method: "POST", Token: token, Body: body}, path)
}

// session reads an answer like that of a login, nil for one without a body.
func (a Accounts) session(answer []byte, err error) (*wire.LoginResponse, error) {
	if err != nil || answer == nil {
		return nil, err
	}
	l, err := wire.DecodeLoginResponse(answer)
	if err != nil || l.User.ID == "" {
		return nil, a.c.notOurs(200)
	}
	return l, nil
}
