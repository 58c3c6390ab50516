package client

import "github.com/kalamdb/kalam-go/auth"

// The platform seam, so that tests can script a broken network.
type (
	Request    = request
	Response   = response
	Conn       = conn
	CloseError = closeError
	Transport  = transport
	Dialer     = dialer
)

// NewScripted makes a client on a scripted platform.
func NewScripted(url string, p auth.Provider, o Options, t Transport, d Dialer) (*Client, error) {
	return newClient(url, p, o, t, d)
}

// ParseURL takes a base URL apart.
func ParseURL(raw string) (http, ws string, safe bool, err error) {
	e, err := parseURL(raw)
	return e.http, e.ws, e.safe, err
}

// DecodeBase64URL decodes the payload of a token.
var DecodeBase64URL = decodeBase64URL

// Inflate undoes the gzip of a message.
var Inflate = inflate
