package client

import (
	"context"
	"time"
)

// What differs between a native build and WebAssembly: how a request is done
// and how a socket is dialled. Everything else of the package is shared.

// transport does HTTP requests.
type transport interface {
	// Do sends one request to the server, follows no redirect and sends no
	// cookie. An answer with any status is no error.
	Do(ctx context.Context, r *request) (*response, error)
	// Close drops idle connections.
	Close()
}

// dialer opens sockets.
type dialer interface {
	Dial(ctx context.Context, url string) (conn, error)
}

// request is an HTTP request with a JSON body.
type request struct {
	Method string
	URL    string
	Token  string // for the Authorization header; empty for none
	Body   []byte
}

// response is the answer to a request.
type response struct {
	Status     int
	Body       []byte
	RetryAfter time.Duration
}

// conn is a WebSocket. One goroutine reads, one writes.
type conn interface {
	// Read returns the next message, text or binary.
	Read(ctx context.Context) ([]byte, bool, error)
	// Write sends a text message.
	Write(ctx context.Context, b []byte) error
	// Ping returns when the other end has shown that it is there. Where the
	// platform has no ping it returns at once.
	Ping(ctx context.Context) error
	// Close closes the socket with a status code, or at once and without a word
	// for code 0. The reader returns.
	Close(code int, reason string)
}

// closeError is what Read returns when the other end closed the socket.
type closeError struct {
	Code   int
	Reason string
}

// Error gives the reason.
func (e *closeError) Error() string {
	if e.Reason == "" {
		return "socket closed"
	}
	return "socket closed: " + e.Reason
}
