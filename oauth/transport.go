package oauth

import (
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/kalamdb/kalam-go/client"
)

type transport struct {
	client  *client.Client
	base    http.RoundTripper
	origins map[string]bool
}

// origin is scheme, host and port of a URL, the port written out; "" for what is
// no http URL.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return originOf(u)
}

func originOf(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http":
		port = "80"
	case u.Scheme == "https":
		port = "443"
	default:
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// RoundTrip implements http.RoundTripper. The request itself is left as it is.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.origins[originOf(r.URL)] || r.Header.Get("Authorization") != "" {
		return t.base.RoundTrip(r)
	}
	token, err := t.client.AccessToken(r.Context(), "")
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	resp, err := t.base.RoundTrip(signed(r, token))
	if err != nil || resp.StatusCode != http.StatusUnauthorized || r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return resp, err
	}
	next, err := t.client.AccessToken(r.Context(), token)
	if err != nil || next == token {
		return resp, nil // the caller sees the 401
	}
	again := signed(r, next)
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return resp, nil
		}
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	resp.Body.Close()
	return t.base.RoundTrip(again)
}

func signed(r *http.Request, token string) *http.Request {
	out := r.Clone(r.Context())
	out.Header.Set("Authorization", "Bearer "+token)
	return out
}
