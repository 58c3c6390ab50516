package auth

import "context"

// Reason says why a provider is asked.
type Reason string

// The reasons.
const (
	ReasonFirst    Reason = "initialize" // there were no credentials yet
	ReasonConnect  Reason = "connect"    // a socket is about to connect
	ReasonExpiring Reason = "expiring"   // the token ends soon
	ReasonRejected Reason = "rejected"   // the server did not accept the token
)

// Request is what a provider may want to know. It finds it in its context with
// RequestOf.
type Request struct {
	Reason   Reason
	Rejected string // the token that the server did not accept
}

type requestKey struct{}

// WithRequest gives a context for a provider.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestOf returns why a provider is asked; the zero Request outside of one.
func RequestOf(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}
