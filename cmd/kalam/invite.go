package main

import (
	"fmt"
	"net/url"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

type inviteCmd struct {
	Create inviteCreateCmd `cmd:"" help:"Create an invitation and print its secret."`
	List   inviteListCmd   `cmd:"" help:"List the newest invitations."`
	Revoke inviteRevokeCmd `cmd:"" help:"Revoke an invitation that nobody has used."`
}

// invite is an invitation in an answer of the server.
type invite struct {
	ID        string
	Email     string
	Role      string
	CreatedBy string    `json:"created_by"`
	ExpiresAt time.Time `json:"expires_at"`
	UsedBy    string    `json:"used_by"`
	Invite    string    // the secret, in the answer that creates it
}

// state says whether an invitation is still good.
func (i *invite) state() string {
	switch {
	case i.UsedBy != "":
		return "used by " + i.UsedBy
	case time.Now().After(i.ExpiresAt):
		return "expired"
	}
	return "open"
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

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
	ctx, stop := interruptible()
	defer stop()
	p, err := c.keptSession()
	if err != nil {
		return err
	}
	in := map[string]any{"email": c.Email, "role": c.Role, "expires_in": c.Expires.Seconds()}
	var made invite
	if err := p.call(ctx, "POST", "invites", in, &made); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Invitation %s, role %s, good until %s:\n", made.ID, made.Role, clock(made.ExpiresAt))
	_, err = fmt.Fprintln(s.out, made.Invite)
	return err
}

type inviteListCmd struct{ remote }

func (c *inviteListCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	p, err := c.keptSession()
	if err != nil {
		return err
	}
	var in struct{ Invites []invite }
	if err := p.call(ctx, "GET", "invites", nil, &in); err != nil {
		return err
	}
	if len(in.Invites) == 0 {
		_, err := fmt.Fprintln(s.out, "There are no invitations. Create one with kalam invite create.")
		return err
	}
	t := table.NewWriter()
	t.SetOutputMirror(s.out)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"id", "for", "role", "by", "ends", "state"})
	for _, i := range in.Invites {
		email := i.Email
		if email == "" {
			email = "anybody"
		}
		t.AppendRow(table.Row{i.ID, email, i.Role, i.CreatedBy, clock(i.ExpiresAt), i.state()})
	}
	t.Render()
	return nil
}

type inviteRevokeCmd struct {
	remote
	ID string `arg:"" placeholder:"ID" help:"The invitation, as kalam invite list names it."`
}

func (c *inviteRevokeCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	p, err := c.keptSession()
	if err != nil {
		return err
	}
	err = p.call(ctx, "DELETE", "invites/"+url.PathEscape(c.ID), nil, nil)
	if isStatus(err, 404) {
		return fmt.Errorf("there is no open invitation %s; kalam invite list shows them", c.ID)
	}
	if err == nil {
		_, err = fmt.Fprintf(s.out, "Invitation %s is revoked.\n", c.ID)
	}
	return err
}
