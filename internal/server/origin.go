package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// origins decides which web pages may call the server.
type origins struct {
	listed   []string
	any      bool
	loopback bool // with nothing listed, any page of this machine may call
}

func newOrigins(list []string, loopback bool) origins {
	return origins{listed: list, any: slices.Contains(list, "*"), loopback: loopback && len(list) == 0}
}

// allows reports whether a page of that origin may call, and whether it is
// listed by name.
func (o *origins) allows(origin, host string) (ok, listed bool) {
	if slices.Contains(o.listed, origin) {
		return true, true
	}
	if o.any {
		return true, false
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false, false
	}
	if len(o.listed) > 0 {
		return false, false
	}
	if o.loopback {
		// Not the name in Host, which a hostile page may have pointed at us.
		return isLoopbackName(u.Host), false
	}
	return strings.EqualFold(u.Host, host), false
}

// apply answers preflights and adds the CORS headers. It reports whether the
// request goes on.
func (o *origins) apply(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	ok, listed := o.allows(origin, r.Host)
	if ok {
		h.Set("Access-Control-Allow-Origin", origin)
		if listed {
			h.Set("Access-Control-Allow-Credentials", "true")
		}
	}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return true
	}
	if ok {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, PATCH, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, Origin, X-Requested-With, X-Request-ID, X-Kalam-CSRF, Range, If-Range, If-None-Match")
		h.Set("Access-Control-Max-Age", "3600")
	}
	w.WriteHeader(http.StatusNoContent)
	return false
}
