// Package oauth joins package auth and golang.org/x/oauth2: a token source as a
// provider of credentials, a client's session as a token source, and a transport
// that signs an application's own requests.
//
// It is for native programs; in a browser the application's own sign-in library
// gives the token.
package oauth

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
)

// Provider makes a provider of a token source, as oauth2.Config.TokenSource and
// its siblings give one. A source knows no context, so it runs in a goroutine of
// its own that the caller need not wait for. A refused grant (RFC 6749, section
// 5.2) is a permanent failure: the person has to sign in again.
//
// A source that reuses its token gives the same one again after the server has
// rejected it, until it ends.
func Provider(source oauth2.TokenSource) auth.Provider {
	return auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
		type answer struct {
			token *oauth2.Token
			err   error
		}
		answers := make(chan answer, 1)
		go func() {
			a := answer{err: errors.New("the token source panicked")}
			defer func() {
				recover() // what it says may hold a secret
				answers <- a
			}()
			token, err := source.Token()
			a = answer{token, err}
		}()
		select {
		case a := <-answers:
			if a.err != nil {
				return auth.Auth{}, classify(a.err)
			}
			return auth.JWT(a.token.AccessToken), nil
		case <-ctx.Done():
			return auth.Auth{}, ctx.Err()
		}
	})
}

// classify tells failures that pass from those that do not. The text of a
// RetrieveError is left out: it quotes the answer, which may quote the request.
func classify(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return err
	}
	e := &retrieveError{code: refused.ErrorCode}
	if refused.Response != nil {
		e.status = refused.Response.StatusCode
	}
	switch refused.ErrorCode {
	case "invalid_grant", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "access_denied", "interaction_required", "login_required":
		return auth.Permanent(e)
	}
	if refused.Response != nil {
		if n, err := strconv.Atoi(refused.Response.Header.Get("Retry-After")); err == nil && n > 0 {
			return auth.RetryAfter(e, time.Duration(min(n, 3600))*time.Second)
		}
	}
	return e
}

type retrieveError struct {
	code   string
	status int
}

func (e *retrieveError) Error() string {
	text := "the token endpoint answered with status " + strconv.Itoa(e.status)
	if e.code != "" {
		text += ", error " + strconv.Quote(e.code)
	}
	return text
}

// TokenSource makes a token source of a client's session, for libraries that
// take one. Each token is as fresh as the client's own.
func TokenSource(ctx context.Context, c *client.Client) oauth2.TokenSource {
	return &tokenSource{ctx, c}
}

// reuse is how long a library may keep a token before it asks again, which costs
// nothing. The token itself is good for longer, but may be replaced or revoked.
const reuse = time.Minute

// tokenSource keeps a context, since the interface has none: the one that its
// caller gave for it.
type tokenSource struct {
	ctx    context.Context
	client *client.Client
}

// Token implements oauth2.TokenSource.
func (s *tokenSource) Token() (*oauth2.Token, error) {
	token, err := s.client.AccessToken(s.ctx, "")
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: token, TokenType: "Bearer", Expiry: time.Now().Add(reuse)}, nil
}

// TransportOptions configure a transport. The zero value works.
type TransportOptions struct {
	// Base does the requests. Default: http.DefaultTransport.
	Base http.RoundTripper

	// Origins are where the token may go beside the client's own server, as in
	// "https://api.example.com": those that verify it.
	Origins []string
}

// Transport gives requests the token of a client's session, on their way to the
// client's server and to the listed origins and nowhere else, so that a redirect
// leads it to nobody. A request that is answered with 401 is sent once more with
// another token, if its body can be had again.
func Transport(c *client.Client, o TransportOptions) http.RoundTripper {
	t := &transport{client: c, base: o.Base, origins: map[string]bool{origin(c.URL()): true}}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	for _, text := range o.Origins {
		t.origins[origin(text)] = true
	}
	return t
}
