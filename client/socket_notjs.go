//go:build !js

package client

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

const compression = "gzip"

// pings tells whether conn.Ping waits for an answer.
const pings = true

type socketDialer struct{ client *http.Client }

// Dial implements dialer.
func (d *socketDialer) Dial(ctx context.Context, url string) (conn, error) {
	client := *d.client
	client.Timeout = 0 // it would end the socket, too
	c, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &client})
	if err != nil {
		if resp != nil && resp.StatusCode >= 300 && resp.StatusCode < 400 {
			return nil, errors.New("the server redirected the socket; use its final url")
		}
		return nil, err
	}
	c.SetReadLimit(maxMessage)
	return &nativeConn{c}, nil
}

type nativeConn struct{ ws *websocket.Conn }

// Read implements conn.
func (c *nativeConn) Read(ctx context.Context) ([]byte, bool, error) {
	typ, b, err := c.ws.Read(ctx)
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		err = &closeError{Code: int(closed.Code), Reason: closed.Reason}
	}
	return b, typ == websocket.MessageBinary, err
}

// Write implements conn.
func (c *nativeConn) Write(ctx context.Context, b []byte) error {
	return c.ws.Write(ctx, websocket.MessageText, b)
}

// Ping implements conn.
func (c *nativeConn) Ping(ctx context.Context) error { return c.ws.Ping(ctx) }

// Close implements conn. It says goodbye and waits a second for the answer.
func (c *nativeConn) Close(code int, reason string) {
	if code == 0 {
		c.ws.CloseNow()
		return
	}
	late := time.AfterFunc(time.Second, func() { c.ws.CloseNow() })
	defer late.Stop()
	c.ws.Close(websocket.StatusCode(code), reason)
}
