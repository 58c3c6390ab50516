package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
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

// call sends a request to an auth route of the session's server, with the
// session's token.
func (p *provider) call(ctx context.Context, method, path string, in, out any) error {
	for range 2 {
		a, err := p.Auth(ctx)
		if err != nil {
			return err
		}
		base := p.current().URL
		if err = call(ctx, method, base+"/v1/api/auth/"+path, a.Reveal(), in, out); !isStatus(err, 401) {
			return explain(err, base)
		}
		ctx = refused(ctx, a.Reveal())
	}
	return errSessionOver
}

type authStatusCmd struct{ remote }

// Help is what kalam auth status --help says beside the flags.
func (authStatusCmd) Help() string {
	return `Asks the server who the kept session belongs to. The exit code is 1 when nobody is
signed in or the session is over.`
}

func (c *authStatusCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	p, err := c.keptSession()
	if err != nil {
		return err
	}
	var me struct {
		User struct {
			ID, Role string
			Email    *string
		}
	}
	if err := p.call(ctx, "GET", "me", nil, &me); err != nil {
		return err
	}
	now := p.current()
	fmt.Fprintf(s.out, "Server:   %s\nUser:     %s (role %s)\n", now.URL, me.User.ID, me.User.Role)
	if me.User.Email != nil {
		fmt.Fprintf(s.out, "E-mail:   %s\n", *me.User.Email)
	}
	switch c := claimsOf(now.Access); {
	case c == nil:
		fmt.Fprintln(s.out, "Token:    one that only the server can read")
	case c.SessionID == "":
		fmt.Fprintf(s.out, "Token:    of %s, without a session; good until %s\n", c.Issuer, c.end())
	default:
		fmt.Fprintf(s.out, "Session:  renewed by use; this token is good until %s\n", c.end())
	}
	all, err := loadSessions()
	if err != nil {
		return err
	}
	for _, url := range slices.Sorted(maps.Keys(all.Sessions)) {
		if url != now.URL {
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
	ctx, stop := interruptible()
	defer stop()
	p, err := c.keptSession()
	if err != nil {
		return err
	}
	if c.End != "" || c.EndOthers {
		return c.end(ctx, s, p)
	}
	var in struct {
		Sessions []struct {
			ID         string
			Current    bool
			AuthMethod string    `json:"auth_method"`
			ClientAddr string    `json:"client_addr"`
			CreatedAt  time.Time `json:"created_at"`
			LastSeenAt time.Time `json:"last_seen_at"`
			ExpiresAt  time.Time `json:"expires_at"`
		}
	}
	if err := p.call(ctx, "GET", "sessions", nil, &in); err != nil {
		return err
	}
	if p.current().Refresh == "" {
		fmt.Fprintln(s.out, "You are signed in with a token, which has no session here.")
	}
	if len(in.Sessions) == 0 {
		return nil
	}
	t := table.NewWriter()
	t.SetOutputMirror(s.out)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"id", "from", "by", "signed in", "last renewed", "ends"})
	for _, c := range in.Sessions {
		id := c.ID
		if c.Current {
			id += " (this one)"
		}
		t.AppendRow(table.Row{id, c.ClientAddr, c.AuthMethod, clock(c.CreatedAt), clock(c.LastSeenAt), clock(c.ExpiresAt)})
	}
	t.Render()
	return nil
}

func (c *sessionsCmd) end(ctx context.Context, s *streams, p *provider) error {
	path := "sessions"
	if c.End != "" {
		path += "/" + url.PathEscape(c.End)
	}
	var out struct{ Ended int }
	err := p.call(ctx, "DELETE", path, nil, &out)
	if isStatus(err, 404) {
		return fmt.Errorf("there is no open session %s; kalam sessions lists yours", c.End)
	}
	if err == nil {
		_, err = fmt.Fprintf(s.out, "Ended %d session(s).\n", out.Ended)
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
	ctx, stop := interruptible()
	defer stop()
	p, err := c.keptSession()
	if err != nil {
		return err
	}
	ask := newAsker(s)
	var in struct {
		Current string `json:"current"`
		New     string `json:"new"`
	}
	if in.Current, err = ask.password("Current password: ", "the current password"); err != nil {
		return err
	}
	if in.New, err = ask.newPassword("New password", "the new password"); err != nil {
		return err
	}
	if err := ask.done(); err != nil {
		return err
	}
	if err := p.call(ctx, "POST", "password", in, nil); err != nil {
		var refused *answerError
		if errors.As(err, &refused) {
			return errors.New(refused.Message)
		}
		return err
	}
	_, err = fmt.Fprintf(s.out, "The password of %s is changed. All other sessions have ended.\n", p.current().User)
	return err
}

// withToken keeps a token that an application or a provider made.
func (c *loginCmd) withToken(ctx context.Context, s *streams, url string) error {
	ask := newAsker(s)
	token, err := ask.password("Token: ", "the token")
	if err != nil {
		return err
	}
	token = strings.TrimSpace(token)
	var me struct{ User struct{ ID, Role string } }
	if err := call(ctx, "GET", url+"/v1/api/auth/me", token, nil, &me); err != nil {
		if isStatus(err, 401) {
			return errors.New("the server does not accept this token; kalam auth doctor --with-token says why")
		}
		return explain(err, url)
	}
	made := &session{URL: url, User: me.User.ID, Access: token}
	if c := claimsOf(token); c != nil && c.ExpiresAt > 0 {
		made.RenewAt = time.Now().Add(time.Until(time.Unix(c.ExpiresAt, 0))).Round(time.Second)
	}
	if err := made.replace(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Signed in to %s as %s (role %s) with a token. It is not renewed.\n", url, me.User.ID, me.User.Role)
	return err
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
