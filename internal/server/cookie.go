package server

import (
	"net/http"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// The cookies of a session (protocol 1.0.6). They are there for pages that the
// server's own origin serves; the packages for browsers use neither.
const (
	accessCookie  = "kalamdb_auth"
	refreshCookie = "kalamdb_refresh"
	hostPrefix    = "__Host-" // where there is TLS: no other host and no plain page can set it
)

// setCookie sets a cookie, or removes it when value is "".
func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, name, value string, expires time.Time) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Expires: expires, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if value == "" {
		c.Expires = time.Unix(0, 0)
	}
	if s.isHTTPS(r) {
		c.Name, c.Secure = hostPrefix+name, true
	}
	http.SetCookie(w, c)
}

func (s *Server) setCookies(w http.ResponseWriter, r *http.Request, g *identity.Grant) {
	if g == nil {
		g = &identity.Grant{}
	}
	s.setCookie(w, r, accessCookie, g.AccessToken, g.ExpiresAt)
	s.setCookie(w, r, refreshCookie, g.RefreshToken, g.RefreshExpiresAt)
}

// credential is the token of a request: of the Authorization header, which
// wins, or of a cookie. A cookie comes along with whatever a browser sends, also
// on behalf of another site, so a request that changes something must show that
// a page of this origin made it.
func (s *Server) credential(r *http.Request, cookie string) (string, error) {
	token, err := bearer(r)
	if err == nil || len(r.Header["Authorization"]) > 0 {
		return token, err
	}
	name := cookie
	if s.isHTTPS(r) {
		name = hostPrefix + cookie
	}
	c, missing := r.Cookie(name)
	if missing != nil || c.Value == "" {
		return "", err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !s.sameOrigin(r) {
		return "", wire.NewError(wire.CodePermissionDenied, "a request with a cookie needs a page of this origin and Content-Type: application/json or X-Requested-With")
	}
	return c.Value, nil
}

// sameOrigin reports whether a page of this origin, or of a listed one, made a
// request, by headers that no form and no image can send.
func (s *Server) sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		scheme := "http://"
		if s.isHTTPS(r) {
			scheme = "https://"
		}
		if _, listed := s.origins.allows(origin, r.Host); !listed && origin != scheme+r.Host {
			return false
		}
	}
	return isJSON(r) || r.Header.Get("X-Requested-With") != ""
}
