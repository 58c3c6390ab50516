package client

import (
	"context"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// Me returns the user that the client is signed in as.
func (c *Client) Me(ctx context.Context) (*wire.LoginUser, error) {
	body, err := c.asUser(ctx, "GET", "me", nil)
	if err != nil {
		return nil, err
	}
	return c.user(body)
}

// Sessions returns the open sessions of the user, on this device and others.
func (c *Client) Sessions(ctx context.Context) ([]wire.SessionInfo, error) {
	body, err := c.asUser(ctx, "GET", "sessions", nil)
	if err != nil {
		return nil, err
	}
	list, err := wire.DecodeSessions(body)
	if err != nil {
		return nil, c.notOurs(200)
	}
	return list, nil
}

// EndSession ends an open session by its id: one of the user's own, or for an
// administrator anybody's. The error of an id that no open session has is a
// *wire.Error with the code NOT_FOUND.
func (c *Client) EndSession(ctx context.Context, id string) error {
	_, err := c.asUser(ctx, "DELETE", "sessions/"+escapeSegment(id), nil)
	return err
}

// EndOtherSessions ends all sessions of the user but this one and returns how
// many they were.
func (c *Client) EndOtherSessions(ctx context.Context) (int, error) {
	body, err := c.asUser(ctx, "DELETE", "sessions", nil)
	if err != nil {
		return 0, err
	}
	n, err := wire.DecodeEnded(body)
	if err != nil {
		return 0, c.notOurs(200)
	}
	return n, nil
}

// ChangePassword changes the password of the user and ends their other sessions.
// The error of a wrong current password is a *wire.Error with the code
// WRONG_PASSWORD.
func (c *Client) ChangePassword(ctx context.Context, current, next string) error {
	body := append(wire.AppendString([]byte(`{"current":`), current), `,"new":`...)
	body = append(wire.AppendString(body, next), '}')
	_, err := c.asUser(ctx, "POST", "password", body)
	return err
}

// user reads an answer like that of GET me.
func (c *Client) user(body []byte) (*wire.LoginUser, error) {
	l, err := wire.DecodeLoginResponse(body)
	if err != nil || l.User.ID == "" {
		return nil, c.notOurs(200)
	}
	return &l.User, nil
}

// asUser does a request of an auth route with a token of the session and returns
// the body of its answer.
func (c *Client) asUser(ctx context.Context, method, path string, body []byte) (answer []byte, err error) {
	err = c.authorized(ctx, c.timeout, func(ctx context.Context, token string) error {
		answer, err = c.authRoute(ctx, &request{Method: method, Token: token, Body: body}, path)
		return err
	})
	return answer, err
}

// authRoute does a request of a route under /v1/api/auth and returns the body of
// its answer, which is nil when the answer is 202: a code is on its way. It tries
// once, since doing such a request twice may send two mails.
func (c *Client) authRoute(ctx context.Context, r *request, path string) ([]byte, error) {
	if err := c.mayTravel(); err != nil {
		return nil, err
	}
	r.URL = c.endpoint.http + "/v1/api/auth/" + path
	resp, err := c.transport.Do(ctx, r)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, c.noAnswer(err)
	case resp.Status == 202:
		return nil, nil
	case resp.Status >= 200 && resp.Status < 300:
		return resp.Body, nil
	}
	return nil, c.authRefusal(resp, strings.HasPrefix(path, "sessions/") || strings.HasPrefix(path, "invites/"))
}

// authRefusal makes an error of an answer of an auth route. Where the route names
// one of several things, status 404 is about that thing and not about the route.
func (c *Client) authRefusal(resp *response, named bool) error {
	a := wire.DecodeAuthError(resp.Body)
	if a == nil || resp.Status == 405 || resp.Status == 404 && !named {
		return c.strangeAnswer(resp)
	}
	e := &wire.Error{Code: wire.Code(strings.ToUpper(a.Code)), Message: a.Message}
	switch {
	case resp.Status == 401:
		e.Code = wire.CodeInvalidCredentials
	case resp.Status == 429:
		e.Code = wire.CodeRateLimited
	case resp.Status >= 500:
		return &failure{cause: e, classes: []error{ErrUnavailable}, status: resp.Status}
	}
	return classify(resp.Status, e)
}

// escapeSegment escapes a segment of a path. net/url would be an eighth of a
// megabyte in the WebAssembly build.
func escapeSegment(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
