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
	_, l, err := a.begin(ctx, "signup", s.body(), false)
	return l, err
}

// SendCode sends a code to an address, for the purpose "login" or "reset", or
// "verify" for another code of a sign-up. It says the same when the address has
// no account.
func (a Accounts) SendCode(ctx context.Context, email, purpose, redirectTo string) error {
	_, _, err := a.begin(ctx, "code", wire.AppendFields(nil, "email", email, "purpose", purpose, "redirect_to", redirectTo), false)
	return err
}

// RedeemCode redeems a code and returns the session that has begun. For a code of
// Upgrade or UpdateProfile the client has to be signed in as the account; its
// session goes on, and the response holds only the user.
func (a Accounts) RedeemCode(ctx context.Context, in Code) (*wire.LoginResponse, error) {
	body := wire.AppendFields(nil, "email", in.Email, "code", in.Code, "purpose", in.Purpose, "password", in.Password)
	_, l, err := a.begin(ctx, "code/redeem", body, in.Purpose == "verify")
	return l, err
}

// SignInAnonymously creates an account without a name and returns its session.
// Upgrade turns it into a named account.
func (a Accounts) SignInAnonymously(ctx context.Context) (*wire.LoginResponse, error) {
	_, l, err := a.begin(ctx, "anonymous", []byte("{}"), false)
	return l, err
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
	_, err := a.c.SendAuth(ctx, "DELETE", "me", body, true)
	return err
}

// change does a request that changes the account of the client.
func (a Accounts) change(ctx context.Context, method, path string, body []byte) (*wire.LoginUser, error) {
	answer, err := a.c.asUser(ctx, method, path, body)
	if err != nil || answer == nil {
		return nil, err
	}
	return a.c.user(answer)
}

// begin sends a request that may start a session, and adopts the session if it does.
// With asUser the request carries the token of the signed-in user, if there is one.
// begin returns the response body and the login decoded from it, which is nil if the
// server sent a code instead.
func (a Accounts) begin(ctx context.Context, path string, body []byte, asUser bool) (answer []byte, l *wire.LoginResponse, err error) {
	post := func(ctx context.Context, token string) error {
		answer, err = a.c.authRoute(ctx, &request{Method: "POST", Token: token, Body: body}, path)
		return err
	}
	if asUser {
		err = a.c.authorized(ctx, a.c.timeout, post)
	}
	if !asUser || errors.Is(err, ErrLoginRequired) {
		if err = a.c.session.reentered(ctx); err == nil {
			err = a.c.during(ctx, a.c.timeout, func(ctx context.Context) error { return post(ctx, "") })
		}
	}
	if err != nil || answer == nil {
		return nil, nil, err
	}
	if l, err = wire.DecodeLoginResponse(answer); err != nil || l.User.ID == "" {
		return nil, nil, a.c.notOurs(200)
	}
	if l.AccessToken != "" {
		err = a.c.authCall(ctx, func(context.Context) error {
			a.c.session.begin(l)
			return nil
		})
	}
	return answer, l, err
}

// SendAuth does a request of a route under /v1/api/auth with a body as it is and
// returns the body of the answer as it is, nil when the server has sent a code:
// for bindings to other languages, which build and read JSON themselves. It is
// done as the user, or with asUser false as nobody, and takes up a session that
// begins and forgets one that ends, as the method for the route does.
func (c *Client) SendAuth(ctx context.Context, method, path string, body []byte, asUser bool) (answer []byte, err error) {
	switch {
	case path == "logout":
		return nil, c.Logout(ctx)
	case !asUser || path == "code/redeem":
		answer, _, err = c.Accounts().begin(ctx, path, body, asUser)
		return answer, err
	}
	answer, err = c.asUser(ctx, method, path, body)
	if err == nil && method == "DELETE" && path == "me" {
		c.forget()
	}
	return answer, err
}
