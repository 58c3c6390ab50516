//go:build !js

package client

import (
	"context"
	"encoding/json"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// What operators do is not part of the WebAssembly build.

// Invite is an invitation to sign up.
type Invite struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"` // whom it is for, "" for anybody
	Role      string    `json:"role"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	UsedBy    string    `json:"used_by"` // the account that it made, "" for none yet
}

// NewInvite is an invitation to create. Zero values: for anybody, the role user,
// for seven days.
type NewInvite struct {
	Email     string
	Role      string // user or service
	ExpiresIn time.Duration
}

// CreateInvite creates an invitation and returns it with its secret, which the
// server shows this once. Administrators may.
func (a Accounts) CreateInvite(ctx context.Context, n NewInvite) (made *Invite, secret string, err error) {
	in, err := json.Marshal(map[string]any{"email": n.Email, "role": n.Role, "expires_in": n.ExpiresIn.Seconds()})
	if err != nil {
		return nil, "", err
	}
	var out struct {
		Invite
		Secret string `json:"invite"`
	}
	if err := a.c.operate(ctx, "POST", "invites", in, &out); err != nil {
		return nil, "", err
	}
	return &out.Invite, out.Secret, nil
}

// Invites returns the newest invitations.
func (a Accounts) Invites(ctx context.Context) ([]Invite, error) {
	var out struct{ Invites []Invite }
	err := a.c.operate(ctx, "GET", "invites", nil, &out)
	return out.Invites, err
}

// RevokeInvite revokes an invitation by its id. The error of one that is not open
// is a *wire.Error with the code NOT_FOUND.
func (a Accounts) RevokeInvite(ctx context.Context, id string) error {
	_, err := a.c.asUser(ctx, "DELETE", "invites/"+escapeSegment(id), nil)
	return err
}

// operate is asUser for an answer that is decoded into out.
func (c *Client) operate(ctx context.Context, method, path string, body []byte, out any) error {
	answer, err := c.asUser(ctx, method, path, body)
	if err != nil {
		return err
	}
	if json.Unmarshal(answer, out) != nil {
		return c.notOurs(200)
	}
	return nil
}

// NeedsSetup reports whether the server is new and nobody can sign in yet. Only
// clients on the server's own machine are told.
func (c *Client) NeedsSetup(ctx context.Context) (needed bool, err error) {
	err = c.during(ctx, c.timeout, func(ctx context.Context) error {
		answer, err := c.authRoute(ctx, &request{Method: "GET"}, "status")
		if err != nil {
			return err
		}
		var in struct {
			NeedsSetup *bool `json:"needs_setup"`
		}
		if json.Unmarshal(answer, &in) != nil || in.NeedsSetup == nil {
			return c.notOurs(200)
		}
		needed = *in.NeedsSetup
		return nil
	})
	return needed, err
}

// SignInOptions is how one can sign in at a server.
type SignInOptions struct {
	Password bool // with user and password
	Issuers  []TrustedIssuer
}

// TrustedIssuer is an issuer whose access tokens the server accepts.
type TrustedIssuer struct {
	Alias      string   `json:"alias"`
	Issuer     string   `json:"issuer"`     // the claim iss of its tokens
	Audience   []string `json:"audience"`   // a token needs one of them
	Algorithms []string `json:"algorithms"` // of its signatures
}

// SignInOptions returns how one can sign in. Nobody needs to be signed in for that.
func (c *Client) SignInOptions(ctx context.Context) (o *SignInOptions, err error) {
	err = c.during(ctx, c.timeout, func(ctx context.Context) error {
		answer, err := c.authRoute(ctx, &request{Method: "GET"}, "options")
		if err != nil {
			return err
		}
		var in struct {
			Password *bool           `json:"password"`
			Issuers  []TrustedIssuer `json:"issuers"`
		}
		if json.Unmarshal(answer, &in) != nil || in.Password == nil {
			return c.notOurs(200)
		}
		o = &SignInOptions{Password: *in.Password, Issuers: in.Issuers}
		return nil
	})
	return o, err
}

// FirstAdmin is what a new server is set up with.
type FirstAdmin struct {
	User         string
	Password     string
	RootPassword string // of root, the user above all others
	Email        string // "" for none
}

// String names the user, without the passwords.
func (f FirstAdmin) String() string { return "first admin " + f.User }

// Setup sets up a new server. The error of one that is set up already is a
// *wire.Error with the code ALREADY_CONFIGURED.
func (c *Client) Setup(ctx context.Context, f FirstAdmin) error {
	body := wire.AppendFields(nil, "user", f.User, "password", f.Password, "root_password", f.RootPassword, "email", f.Email)
	return c.during(ctx, c.timeout, func(ctx context.Context) error {
		_, err := c.authRoute(ctx, &request{Method: "POST", Body: body}, "setup")
		return err
	})
}
