// Package auth is how an application says who it is: credentials as a tagged
// union, and a provider that is asked for them whenever they are needed.
//
// It holds no session and does no I/O; the client exchanges, renews and sends
// credentials. It uses the standard library only and is compiled to WebAssembly
// with the client.
package auth

import (
	"context"
	"errors"
)

// Auth is one set of credentials: user and password, or a token. The zero Auth
// is none. It prints without its secret, in every format.
type Auth struct {
	// p is a function, so that a struct that holds an Auth prints no secret
	// either: fmt walks through pointers but not into functions.
	p func() credentials
}

type credentials struct {
	basic  bool
	user   string
	secret string
}

// Basic makes user and password credentials. They are only ever sent in the
// body of the login request, which exchanges them for a token.
func Basic(user, password string) Auth {
	c := credentials{basic: true, user: user, secret: password}
	return Auth{func() credentials { return c }}
}

// JWT makes credentials of an access token.
func JWT(token string) Auth {
	c := credentials{secret: token}
	return Auth{func() credentials { return c }}
}

// IsBasic reports whether a is user and password.
func IsBasic(a Auth) bool { return a.p != nil && a.p().basic }

// IsJWT reports whether a is a token.
func IsJWT(a Auth) bool { return a.p != nil && !a.p().basic }

// IsAuthenticated reports whether a is credentials at all.
func IsAuthenticated(a Auth) bool { return a.p != nil }

// User returns the user name of Basic credentials.
func (a Auth) User() string {
	if a.p == nil {
		return ""
	}
	return a.p().user
}

// Reveal returns the secret: the password or the token. It is the only way to
// get at it.
func (a Auth) Reveal() string {
	if a.p == nil {
		return ""
	}
	return a.p().secret
}

// Equal reports whether a and b are the same credentials.
func (a Auth) Equal(b Auth) bool {
	if a.p == nil || b.p == nil {
		return a.p == nil && b.p == nil
	}
	return a.p() == b.p()
}

// ErrBasicHeader is the error of Header for user and password.
var ErrBasicHeader = errors.New("user and password are only valid for POST /v1/api/auth/login, log in to get a token")

// Header returns the value of the Authorization header: "Bearer " and the
// token, or nothing without credentials. For Basic credentials it is an error.
func Header(a Auth) (string, error) {
	switch {
	case IsBasic(a):
		return "", ErrBasicHeader
	case IsJWT(a):
		return "Bearer " + a.p().secret, nil
	}
	return "", nil
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// EncodeBasic returns the base64 form of "user:password", both in UTF-8 (RFC
// 7617), for servers other than KalamDB that take it in a header. It is written
// out here because encoding/base64 would bring reflection into the WebAssembly
// build.
func EncodeBasic(user, password string) string {
	s := user + ":" + password
	out := make([]byte, 0, (len(s)+2)/3*4)
	for ; len(s) >= 3; s = s[3:] {
		n := uint(s[0])<<16 | uint(s[1])<<8 | uint(s[2])
		out = append(out, alphabet[n>>18], alphabet[n>>12&63], alphabet[n>>6&63], alphabet[n&63])
	}
	switch len(s) {
	case 1:
		n := uint(s[0]) << 16
		out = append(out, alphabet[n>>18], alphabet[n>>12&63], '=', '=')
	case 2:
		n := uint(s[0])<<16 | uint(s[1])<<8
		out = append(out, alphabet[n>>18], alphabet[n>>12&63], alphabet[n>>6&63], '=')
	}
	return string(out)
}

// Provider gives credentials whenever the client needs some: before the first
// call, at every connect and reconnect of the socket, shortly before a token
// expires and after the server rejected one. What needs credentials at the same
// time shares one call. The context ends when the client stops waiting.
//
// A failure is taken for a passing one and tried again, unless it is marked
// with Permanent.
type Provider interface {
	Auth(ctx context.Context) (Auth, error)
}

// ProviderFunc is a function as a Provider.
type ProviderFunc func(ctx context.Context) (Auth, error)

// Auth calls f.
func (f ProviderFunc) Auth(ctx context.Context) (Auth, error) { return f(ctx) }

// Static returns a provider that always gives a.
func Static(a Auth) Provider {
	return ProviderFunc(func(context.Context) (Auth, error) { return a, nil })
}

// Permanent marks a failure of a provider as final: the client does not ask
// again by itself and ends what waits with this error.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

// IsPermanent reports whether err was marked with Permanent.
func IsPermanent(err error) bool {
	var p *permanent
	return errors.As(err, &p)
}

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }
