package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

type authDoctorCmd struct {
	remote
	WithToken bool `help:"Look at a token that an application or a provider made, read from standard input, instead of the kept session."`
}

// Help is what kalam auth doctor --help says beside the flags.
func (authDoctorCmd) Help() string {
	return `Goes the way that every command goes: the kept session, the server and its clock, how
one can sign in there, what the token says, whether the server accepts it, its
renewal, and a socket. No secret is shown. The exit code is 1 when a step fails.

With a token of your own it says which rule refuses it:

    kalam auth doctor --with-token < token.txt

What it cannot see from outside, such as a wrong secret, is in the server's log
under "a token was refused".`
}

// claims are what a token says of itself; nobody has checked it.
type claims struct {
	wire.Claims
	KeyID     string
	Algorithm string
	Type      string
	SessionID string
	Audience  audience
	NotBefore int64
	Nonce     bool // as ID tokens have it
}

func (c *claims) end() string {
	if c.ExpiresAt == 0 {
		return "for ever"
	}
	return time.Unix(c.ExpiresAt, 0).Local().Format("2006-01-02 15:04:05")
}

// claimsOf reads a token; nil when it is no JWT.
func claimsOf(token string) *claims {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	header, err1 := base64.RawURLEncoding.DecodeString(parts[0])
	payload, err2 := base64.RawURLEncoding.DecodeString(parts[1])
	var h struct{ Kid, Alg, Typ string }
	var c struct {
		Iss, Sub, Sid, Nonce string
		Aud                  audience
		Exp, Iat, Nbf        float64
	}
	if err1 != nil || err2 != nil || json.Unmarshal(header, &h) != nil || json.Unmarshal(payload, &c) != nil {
		return nil
	}
	return &claims{
		Claims: wire.Claims{Subject: c.Sub, Issuer: c.Iss, ExpiresAt: int64(c.Exp), IssuedAt: int64(c.Iat)},
		KeyID:  h.Kid, Algorithm: h.Alg, Type: h.Typ, SessionID: c.Sid, Audience: c.Aud, NotBefore: int64(c.Nbf), Nonce: c.Nonce != "",
	}
}

// doctor prints one line a step.
type doctor struct {
	out     io.Writer
	began   time.Time
	failed  bool
	issuers []client.TrustedIssuer // that the server trusts
}

func (d *doctor) say(mark, step, format string, args ...any) {
	fmt.Fprintf(d.out, "%6s  %-5s %-8s %s\n", time.Since(d.began).Round(time.Millisecond), mark, step, fmt.Sprintf(format, args...))
}

func (d *doctor) ok(step, format string, args ...any)   { d.say("ok", step, format, args...) }
func (d *doctor) note(step, format string, args ...any) { d.say("note", step, format, args...) }
func (d *doctor) fail(step, format string, args ...any) {
	d.failed = true
	d.say("FAIL", step, format, args...)
}

func (c *authDoctorCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d := &doctor{out: s.out, began: time.Now()}
	url, err := c.address()
	if err != nil {
		return err
	}
	kept, err := c.session(s, d, url)
	if err != nil {
		return err
	}
	skew, up := d.server(ctx, url)
	if up && kept != nil {
		d.token(ctx, kept, skew)
	}
	if d.failed {
		return errors.New("a step failed")
	}
	return nil
}

// session is what there is to look at; nil when it is not good for that.
func (c *authDoctorCmd) session(s *streams, d *doctor, url string) (*session, error) {
	if c.WithToken {
		token, err := newAsker(s).password("Token: ", "the token")
		if err == nil {
			d.ok("resolve", "a token from standard input")
		}
		return &session{URL: url, Access: strings.TrimSpace(token)}, err
	}
	kept, err := loadSession(url)
	switch mode, path, statErr := fileMode(); {
	case err != nil:
		d.fail("resolve", "%v", err)
		kept = nil
	case kept == nil:
		d.fail("resolve", "%v", notSignedIn(url))
	case statErr == nil && mode&0o077 != 0:
		d.fail("resolve", "%s can be read by others on this machine (mode %v): chmod 600 it, and sign in anew", path, mode)
	default:
		d.ok("resolve", "session of %s in %s", kept.User, path)
	}
	return kept, nil
}

// server looks at the server and measures how far its clock is ahead of ours.
func (d *doctor) server(ctx context.Context, url string) (skew time.Duration, up bool) {
	clock := &clockReader{base: http.DefaultTransport}
	c, err := client.New(url, auth.Static(auth.Auth{}), client.Options{Native: client.Native{HTTPClient: &http.Client{Transport: clock}}})
	if err != nil {
		d.fail("server", "%v", err)
		return 0, false
	}
	defer c.Close()
	offers, err := c.SignInOptions(ctx)
	if err != nil {
		d.fail("server", "%v", explain(err, url))
		return 0, false
	}
	d.ok("server", "%s answers in %v", url, clock.took.Round(time.Millisecond))
	if clock.read {
		skew = clock.skew
		if skew.Abs() > 5*time.Second {
			d.note("clock", "this machine's clock differs from the server's by %v; tokens are judged by the server's", skew.Round(time.Second))
			d.note("clock", "set it, or tokens that apps make here are not good yet or no more")
		} else {
			d.ok("clock", "differs from the server's by less than 5 s")
		}
	}
	d.issuers = offers.Issuers
	if needed, err := c.NeedsSetup(ctx); err == nil && needed {
		d.fail("options", "nobody can sign in yet: run kalam setup on the server's machine")
		return skew, true
	}
	ways := []string{}
	if offers.Password {
		ways = append(ways, "password")
	}
	for _, i := range offers.Issuers {
		ways = append(ways, i.Issuer)
	}
	d.ok("options", "one signs in with: %s", strings.Join(ways, ", "))
	return skew, true
}

// clockReader notes how long the last answer took and what time it was at the
// server, which the client has no use for.
type clockReader struct {
	base http.RoundTripper
	took time.Duration
	skew time.Duration
	read bool // the answer said what time it was
}

func (r *clockReader) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := time.Now()
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	r.took = time.Since(sent)
	at, err := http.ParseTime(resp.Header.Get("Date"))
	r.read = err == nil
	r.skew = at.Add(500 * time.Millisecond).Sub(sent.Add(r.took / 2)) // the header has whole seconds
	return resp, nil
}

// token follows the token of the kept session to a socket.
func (d *doctor) token(ctx context.Context, kept *session, skew time.Duration) {
	p := &provider{kept: true, s: kept}
	switch {
	case kept.Refresh == "":
		d.note("refresh", "a token without a session is not renewed")
	case time.Now().Before(kept.RenewAt):
		d.ok("refresh", "not due before %s", kept.RenewAt.Local().Format("15:04:05"))
	default:
		if _, err := p.Auth(ctx); err != nil {
			d.fail("refresh", "%v", err)
			return
		}
		d.ok("refresh", "the session was due and has been renewed")
	}
	me, why := d.accept(ctx, p.current(), skew)
	if why != "" && kept.Refresh != "" {
		d.note("accept", "the server refuses the token: %s", why)
		if _, err := p.Auth(refused(ctx, p.current().Access)); err != nil {
			d.fail("refresh", "%v", err)
			return
		}
		d.ok("refresh", "the session itself stands and has been renewed")
		me, why = d.accept(ctx, p.current(), skew)
	}
	if why != "" {
		d.fail("accept", "the server refuses the token: %s", why)
		return
	}
	kept = p.current()
	d.ok("accept", "the server knows %s, role %s", me.ID, me.Role)
	conn, err := client.New(kept.URL, auth.Static(auth.JWT(kept.Access)), client.Options{})
	if err != nil {
		d.fail("socket", "%v", err)
		return
	}
	defer conn.Close()
	switch err := conn.Connect(ctx); {
	case errors.Is(err, client.ErrUnauthenticated):
		d.fail("socket", "%v: the session has just ended", err)
		return
	case err != nil:
		d.fail("socket", "%v: does a proxy let WebSockets through to /v1/ws?", err)
		return
	}
	d.ok("socket", "open and signed in")
}

// accept says what a token holds and asks the server who it is of, or why the
// server refuses it.
func (d *doctor) accept(ctx context.Context, kept *session, skew time.Duration) (me *wire.LoginUser, why string) {
	c := claimsOf(kept.Access)
	if c == nil {
		d.note("token", "is no JWT")
	} else {
		d.ok("token", "of %s for %s, signed %s with key %s, good until %s", c.Issuer, c.Subject, c.Algorithm, orNone(c.KeyID), c.end())
	}
	me, err := whoIs(ctx, kept.URL, kept.Access)
	if err != nil {
		return nil, d.why(ctx, kept, c, skew, err)
	}
	return me, ""
}

// why guesses from outside which rule refused a token; the server says the same
// of all of them.
func (d *doctor) why(ctx context.Context, kept *session, c *claims, skew time.Duration, err error) string {
	if !errors.Is(err, client.ErrUnauthenticated) {
		return err.Error()
	}
	now := time.Now().Add(skew)
	switch {
	case c == nil:
		return "it is no JWT"
	case c.ExpiresAt > 0 && !now.Before(time.Unix(c.ExpiresAt, 0)):
		return "it is over since " + c.end() + " by the server's clock; sign in again, or get a new one"
	case c.IssuedAt > now.Add(time.Minute).Unix():
		return "it is from the future by the server's clock: set the clock where it is made"
	case c.Issuer != "kalamdb":
		return d.whyForeign(ctx, c, kept.Access, now)
	}
	var set struct{ Keys []struct{ Kid string } }
	if fetchJSON(ctx, kept.URL+"/.well-known/jwks.json", &set) == nil && c.Algorithm == "EdDSA" {
		for _, k := range set.Keys {
			if k.Kid == c.KeyID {
				return "its session has ended: by a logout, a new password, another role, or an administrator"
			}
		}
		return "its key is not one of the server's any more: the keys were revoked, or it is of another server"
	}
	if c.SessionID == "" {
		return "it was not signed with auth.jwt_secret of the server, token_type is not access, role is not the role of the user, or there is no user " + c.Subject + "; the server's log says which"
	}
	return "its session has ended, its role is not the user's, or it was not signed with the secret of the server"
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
