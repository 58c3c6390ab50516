package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

type signupCmd struct {
	remote
	Who    string `arg:"" placeholder:"ADDRESS|NAME" help:"The e-mail address, or where the server asks for none a user name."`
	Name   string `placeholder:"NAME" help:"A name for people to see."`
	Invite bool   `help:"Sign up with an invitation; asks for its secret."`
	Redeem bool   `help:"Ask for the code alone, which an earlier kalam signup has had sent."`
}

// Help is what kalam signup --help says beside the flags.
func (signupCmd) Help() string {
	return `Creates an account, where the server lets people do that, and signs in. With an
address the server sends a code there, which this asks for; without a password the
account signs in by code.

Unattended, the answers are lines of the standard input: the secret of the
invitation with --invite, the password, the code for an address.

    kalam signup dora@example.com
    kalam signup dora@example.com --redeem
    kalam signup dora --invite`
}

func (c *signupCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	url, err := c.address()
	if err != nil {
		return err
	}
	api, err := client.New(url, auth.Static(auth.Auth{}), client.Options{})
	if err != nil {
		return err
	}
	defer api.Close()
	ask := newAsker(s)
	var l *wire.LoginResponse
	if !c.Redeem {
		if l, err = c.signUp(ctx, ask, api.Accounts()); err != nil {
			return explain(err, url)
		}
	}
	if l == nil {
		if l, err = c.redeem(ctx, ask, api.Accounts()); err != nil {
			return explain(err, url)
		}
	}
	made := &session{URL: url}
	made.adopt(l)
	if err := made.replace(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Signed up and in at %s as %s (role %s).\n", url, made.User, l.User.Role)
	return err
}

// signUp asks for what the account needs. It returns nil when a code was sent.
func (c *signupCmd) signUp(ctx context.Context, ask *asker, accounts client.Accounts) (*wire.LoginResponse, error) {
	in := client.SignUp{User: c.Who, Name: c.Name}
	prompt := "Password"
	if strings.Contains(c.Who, "@") {
		in.Email, in.User = c.Who, ""
		prompt = "Password (may be empty)"
	}
	var err error
	if c.Invite {
		if in.Invite, err = ask.password("Secret of the invitation: ", "the secret of the invitation"); err != nil {
			return nil, err
		}
	}
	if in.Password, err = ask.newPassword(prompt, "the password"); err != nil {
		return nil, err
	}
	l, err := accounts.SignUp(ctx, in)
	if err == nil && l == nil {
		fmt.Fprintf(ask.s.err, "A code is on its way to %s.\n", in.Email)
	}
	return l, err
}

func (c *signupCmd) redeem(ctx context.Context, ask *asker, accounts client.Accounts) (*wire.LoginResponse, error) {
	code, err := ask.line("Code from the mail: ", "the code")
	if err != nil {
		return nil, fmt.Errorf("%w: kalam signup %s --redeem takes it later", err, c.Who)
	}
	if err := ask.done(); err != nil {
		return nil, err
	}
	return accounts.RedeemCode(ctx, client.Code{Email: c.Who, Code: code, Purpose: "verify"})
}
