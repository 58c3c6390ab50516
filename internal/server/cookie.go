package server

import (
	"net/http"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// The cookies of a browser: its session's refresh token, and the flow that links
// in mails belong to. Only the routes of auth read them.
const (
	refreshCookie = "kalamdb_refresh"
	flowCookie    = "kalamdb_flow"
	hostPrefix    = "__Host-" // where there is TLS: no other host and no plain page can set it

	// csrfHeader comes with each request that a cookie authenticates. No form and
	// no link can send it, and pages of other origins only after a preflight.
	csrfHeader = "X-Kalam-CSRF"
)

func (s *Server) cookieName(r *http.Request, name string) string {
	if s.isHTTPS(r) {
		return hostPrefix + name
	}
	return name
}

// setCookie sets a cookie, or removes it when value is "".
func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, name, value string, expires time.Time) {
	c := &http.Cookie{
		Name: s.cookieName(r, name), Value: value, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.isHTTPS(r),
	}
	if value == "" {
		c.Expires = time.Unix(0, 0)
	}
	http.SetCookie(w, c)
}

// keepSession gives a browser the session's refresh token, nil takes it away.
func (s *Server) keepSession(w http.ResponseWriter, r *http.Request, g *identity.Grant) {
	if g == nil {
		g = &identity.Grant{}
	}
	s.setCookie(w, r, refreshCookie, g.RefreshToken, g.RefreshExpiresAt)
}

// cookie is the value of a cookie, "" for none. Two of one name are as none: one
// of them is of another page than ours, as one of a host beside this one, and no
// browser says which.
func (s *Server) cookie(r *http.Request, name string) string {
	if all := r.CookiesNamed(s.cookieName(r, name)); len(all) == 1 {
		return all[0].Value
	}
	return ""
}

// credential is the token of a request: of the Authorization header, which
// wins, or of the session's cookie. A cookie comes along with whatever a browser
// sends, also on behalf of another site, so such a request must show that a page
// of this origin or of a listed one made it.
func (s *Server) credential(r *http.Request) (string, error) {
	token, err := bearer(r)
	if err == nil || len(r.Header["Authorization"]) > 0 {
		return token, err
	}
	kept := s.cookie(r, refreshCookie)
	if kept == "" {
		return "", err
	}
	if r.Header.Get(csrfHeader) != "1" || !s.ownPage(r) {
		return "", wire.NewError(wire.CodePermissionDenied, "a request with the session's cookie needs the header "+csrfHeader+": 1 and a page of this origin, or of one in security.cors.allowed_origins")
	}
	return kept, nil
}

// ownPage reports whether a page of this origin or of a listed one made a
// request, or no page at all.
func (s *Server) ownPage(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		switch r.Header.Get("Sec-Fetch-Site") {
		case "", "same-origin", "none":
			return true
		}
		return false
	}
	scheme := "http://"
	if s.isHTTPS(r) {
		scheme = "https://"
	}
	_, listed := s.origins.allows(origin, r.Host)
	return listed || origin == scheme+r.Host
}
