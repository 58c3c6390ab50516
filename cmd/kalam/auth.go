package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

type authCmd struct {
	Status authStatusCmd `cmd:"" help:"Show who is signed in, and where."`
	Token  authTokenCmd  `cmd:"" help:"Print an access token of the kept session, for other programs."`
	Doctor authDoctorCmd `cmd:"" help:"Look at every step from the kept session to an open socket, and say which one fails and why."`
}

// keptSession is the kept session of the server with its provider, which renews
// it.
func (r *remote) keptSession() (*provider, error) {
	url, err := r.address()
	if err != nil {
		return nil, err
	}
	kept, err := loadSession(url)
	if err != nil {
		return nil, err
	}
	if kept == nil {
		return nil, notSignedIn(url)
	}
	return &provider{kept: true, s: kept}, nil
}

// notSignedIn says how to sign in to a server.
func notSignedIn(url string) error {
	flag := ""
	if url != defaultURL {
		flag = " --url " + url
	}
	return fmt.Errorf("nobody is signed in to %s: run kalam login%s", url, flag)
}

// client is a client of the kept session's server.
func (p *provider) client() (*client.Client, error) {
	return client.New(p.current().URL, auth.ProviderFunc(p.Auth), client.Options{})
}

// asKept calls fn with a client of the kept session, and words its error.
func (r *remote) asKept(fn func(ctx context.Context, p *provider, c *client.Client) error) error {
	ctx, stop := interruptible()
	defer stop()
	p, err := r.keptSession()
	if err != nil {
		return err
	}
	c, err := p.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return explain(fn(ctx, p, c), p.current().URL)
}

type authStatusCmd struct{ remote }

// Help is what kalam auth status --help says beside the flags.
func (authStatusCmd) Help() string {
	return `Asks the server who the kept session belongs to. The exit code is 1 when nobody is
signed in or the session is over.`
}

func (c *authStatusCmd) Run(s *streams) error {
	return c.asKept(func(ctx context.Context, p *provider, api *client.Client) error {
		me, err := api.Me(ctx)
		if err != nil {
			return err
		}
		now := p.current()
		fmt.Fprintf(s.out, "Server:   %s\nUser:     %s (role %s)\n", now.URL, me.ID, me.Role)
		if me.HasEmail {
			fmt.Fprintf(s.out, "E-mail:   %s\n", me.Email)
		}
		switch c := claimsOf(now.Access); {
		case c == nil:
			fmt.Fprintln(s.out, "Token:    one that only the server can read")
		case c.SessionID == "":
			fmt.Fprintf(s.out, "Token:    of %s, without a session; good until %s\n", c.Issuer, c.end())
		default:
			fmt.Fprintf(s.out, "Session:  renewed by use; this token is good until %s\n", c.end())
		}
		return otherSessions(s, now.URL)
	})
}

// otherSessions names the kept sessions of other servers.
func otherSessions(s *streams, but string) error {
	all, err := loadSessions()
	if err != nil {
		return err
	}
	for _, url := range slices.Sorted(maps.Keys(all.Sessions)) {
		if url != but {
			fmt.Fprintf(s.out, "Also:     %s at %s\n", all.Sessions[url].User, url)
		}
	}
	return nil
}

type authTokenCmd struct{ remote }

// Help is what kalam auth token --help says beside the flags.
func (authTokenCmd) Help() string {
	return `Prints a token that is good for a while, and renews the session first where that is
due. Whoever has the token is you, so keep it out of files and of the history.

    curl -H "Authorization: Bearer $(kalam auth token)" http://localhost:8080/v1/api/auth/me`
}

func (c *authTokenCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	p, err := c.keptSession()
	if err != nil {
		return err
	}
	a, err := p.Auth(ctx)
	if err != nil {
		return explain(err, p.current().URL)
	}
	_, err = fmt.Fprintln(s.out, a.Reveal())
	return err
}

type sessionsCmd struct {
	remote
	End       string `placeholder:"ID" help:"End one session. Administrators end anybody's."`
	EndOthers bool   `help:"End all of your sessions but this one."`
}

// Help is what kalam sessions --help says beside the flags.
func (sessionsCmd) Help() string {
	return `Lists your open sessions, here and on other devices. Ending one closes its sockets
at once.

    kalam sessions
    kalam sessions --end k3x5m2qhjw7ptzq4
    kalam sessions --end-others

Administrators find everybody's in system.sessions.`
}

func (c *sessionsCmd) Run(s *streams) error {
	return c.asKept(func(ctx context.Context, p *provider, api *client.Client) error {
		if c.End != "" || c.EndOthers {
			return c.end(ctx, s, api)
		}
		list, err := api.Sessions(ctx)
		if err != nil {
			return err
		}
		if p.current().Refresh == "" {
			fmt.Fprintln(s.out, "You are signed in with a token, which has no session here.")
		}
		if len(list) == 0 {
			return nil
		}
		t := table.NewWriter()
		t.SetOutputMirror(s.out)
		t.SetStyle(table.StyleLight)
		t.AppendHeader(table.Row{"id", "from", "by", "signed in", "last renewed", "ends"})
		for _, c := range list {
			id := c.ID
			if c.Current {
				id += " (this one)"
			}
			t.AppendRow(table.Row{id, c.ClientAddr, c.AuthMethod, clockOf(c.CreatedAt), clockOf(c.LastSeenAt), clockOf(c.ExpiresAt)})
		}
		t.Render()
		return nil
	})
}

func (c *sessionsCmd) end(ctx context.Context, s *streams, api *client.Client) error {
	n, err := 1, error(nil)
	if c.End != "" {
		err = api.EndSession(ctx, c.End)
	} else {
		n, err = api.EndOtherSessions(ctx)
	}
	if isCode(err, wire.CodeNotFound) {
		return fmt.Errorf("there is no open session %s; kalam sessions lists yours", c.End)
	}
	if err == nil {
		_, err = fmt.Fprintf(s.out, "Ended %d session(s).\n", n)
	}
	return err
}

type passwdCmd struct{ remote }

// Help is what kalam passwd --help says beside the flags.
func (passwdCmd) Help() string {
	return `Changes your password and ends your other sessions. Asks for the current one and
twice for the new one; unattended, they are two lines of the standard input.

An administrator sets anybody's with ALTER USER name SET PASSWORD '...'. A lost
password of root is set with kalam user set-password on the server's machine.`
}

func (c *passwdCmd) Run(s *streams) error {
	return c.asKept(func(ctx context.Context, p *provider, api *client.Client) error {
		ask := newAsker(s)
		current, err := ask.password("Current password: ", "the current password")
		if err != nil {
			return err
		}
		next, err := ask.newPassword("New password", "the new password")
		if err != nil {
			return err
		}
		if err := ask.done(); err != nil {
			return err
		}
		if err := api.ChangePassword(ctx, current, next); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "The password of %s is changed. All other sessions have ended.\n", p.current().User)
		return err
	})
}

// withToken keeps a token that an application or a provider made.
func (c *loginCmd) withToken(ctx context.Context, s *streams, url string) error {
	ask := newAsker(s)
	token, err := ask.password("Token: ", "the token")
	if err != nil {
		return err
	}
	token = strings.TrimSpace(token)
	me, err := whoIs(ctx, url, token)
	if errors.Is(err, client.ErrUnauthenticated) {
		return errors.New("the server does not accept this token; kalam auth doctor --with-token says why")
	}
	if err != nil {
		return explain(err, url)
	}
	made := &session{URL: url, User: me.ID, Access: token}
	if c := claimsOf(token); c != nil && c.ExpiresAt > 0 {
		made.RenewAt = time.Now().Add(time.Until(time.Unix(c.ExpiresAt, 0))).Round(time.Second)
	}
	if err := made.replace(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Signed in to %s as %s (role %s) with a token. It is not renewed.\n", url, me.ID, me.Role)
	return err
}

// whoIs asks a server who a token belongs to.
func whoIs(ctx context.Context, url, token string) (*wire.LoginUser, error) {
	c, err := client.New(url, auth.Static(auth.JWT(token)), client.Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Me(ctx)
}

// fileMode is the mode of the kept session's file, for the doctor.
func fileMode() (os.FileMode, string, error) {
	path, err := sessionPath()
	if err != nil {
		return 0, "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, path, err
	}
	return info.Mode().Perm(), path, nil
}
