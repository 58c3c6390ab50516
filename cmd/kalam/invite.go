package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

type inviteCmd struct {
	Create inviteCreateCmd `cmd:"" help:"Create an invitation and print its secret."`
	List   inviteListCmd   `cmd:"" help:"List the newest invitations."`
	Revoke inviteRevokeCmd `cmd:"" help:"Revoke an invitation that nobody has used."`
}

// inviteState says whether an invitation is still good.
func inviteState(i *client.Invite) string {
	switch {
	case i.UsedBy != "":
		return "used by " + i.UsedBy
	case time.Now().After(i.ExpiresAt):
		return "expired"
	}
	return "open"
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// clockOf is clock for a time of the wire, which it shows as it is when it cannot
// be read.
func clockOf(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return clock(t)
}

type inviteCreateCmd struct {
	remote
	Email   string        `placeholder:"ADDRESS" help:"The address that it is for; the server sends it there if it sends mails. Default: anybody."`
	Role    string        `default:"user" enum:"user,service" help:"Role of the account: user or service."`
	Expires time.Duration `default:"168h" placeholder:"TIME" help:"How long it is good, from 1m to 2160h."`
}

// Help is what kalam invite create --help says beside the flags.
func (inviteCreateCmd) Help() string {
	return `Lets one person sign up where [auth.accounts] signup is "invite", or get the role
service. The secret is printed alone, and only now: the server keeps a hash. Whoever
signs up sends it as "invite".

    kalam invite create --email carol@example.com
    kalam invite create --role service --expires 24h`
}

func (c *inviteCreateCmd) Run(s *streams) error {
	return c.asKept(func(ctx context.Context, _ *provider, api *client.Client) error {
		made, secret, err := api.Accounts().CreateInvite(ctx, client.NewInvite{Email: c.Email, Role: c.Role, ExpiresIn: c.Expires})
		if err != nil {
			return err
		}
		fmt.Fprintf(s.err, "Invitation %s, role %s, good until %s:\n", made.ID, made.Role, clock(made.ExpiresAt))
		_, err = fmt.Fprintln(s.out, secret)
		return err
	})
}

type inviteListCmd struct{ remote }

func (c *inviteListCmd) Run(s *streams) error {
	return c.asKept(func(ctx context.Context, _ *provider, api *client.Client) error {
		list, err := api.Accounts().Invites(ctx)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(s.out, "There are no invitations. Create one with kalam invite create.")
			return err
		}
		t := table.NewWriter()
		t.SetOutputMirror(s.out)
		t.SetStyle(table.StyleLight)
		t.AppendHeader(table.Row{"id", "for", "role", "by", "ends", "state"})
		for _, i := range list {
			email := i.Email
			if email == "" {
				email = "anybody"
			}
			t.AppendRow(table.Row{i.ID, email, i.Role, i.CreatedBy, clock(i.ExpiresAt), inviteState(&i)})
		}
		t.Render()
		return nil
	})
}

type inviteRevokeCmd struct {
	remote
	ID string `arg:"" placeholder:"ID" help:"The invitation, as kalam invite list names it."`
}

func (c *inviteRevokeCmd) Run(s *streams) error {
	return c.asKept(func(ctx context.Context, _ *provider, api *client.Client) error {
		err := api.Accounts().RevokeInvite(ctx, c.ID)
		if isCode(err, wire.CodeNotFound) {
			return fmt.Errorf("there is no open invitation %s; kalam invite list shows them", c.ID)
		}
		if err == nil {
			_, err = fmt.Fprintf(s.out, "Invitation %s is revoked.\n", c.ID)
		}
		return err
	})
}
