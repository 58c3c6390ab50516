package client

import (
	"context"

	"github.com/kalamdb/kalam-go/wire"
)

// Logout ends the session at the server and then forgets it. The live queries
// end with ErrSessionEnded, and so do calls that are under way. When the server
// does not answer, the error says so and the session stays, for another try.
//
// The client may be used again; its next call asks the provider.
func (c *Client) Logout(ctx context.Context) error {
	if err := c.session.reentered(ctx); err != nil {
		return err
	}
	return c.during(ctx, c.session.timeout, func(ctx context.Context) error {
		c.leave() // first, or the socket would sign in again when the server closes it
		if err := c.session.settle(ctx); err != nil {
			return err
		}
		t, token := c.session.pair()
		if token == "" {
			token = t.text
		}
		if token != "" {
			if _, err := c.authRoute(ctx, &request{Method: "POST", Token: token}, "logout"); err != nil {
				return err
			}
		}
		c.forget()
		return nil
	})
}

// leave ends the live queries and closes the socket.
func (c *Client) leave() {
	c.socket.letGo()
	c.socket.endAll(errLoggedOut())
}

// forget forgets a session that has ended.
func (c *Client) forget() {
	c.leave()
	c.session.forget()
	c.session.state.report(token{}, "", errLoggedOut())
}

// errLoggedOut is how what belongs to a session ends when the application ends
// the session.
func errLoggedOut() error {
	return &failure{
		cause:   &wire.Error{Code: wire.CodeSessionEnded, Message: "signed out"},
		classes: []error{ErrSessionEnded, ErrUnauthenticated}, final: true,
	}
}
