package server_test

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/server"
)

func TestUnknownRoutesAndMethods(t *testing.T) {
	s := start(t)
	for _, path := range []string{"/", "/v1", "/v1/api/nothing", "/v1/api/sql/more", "/healthz"} {
		wantAuthError(t, do(t, "GET", s.URL+path, nil), 404, "not_found", "")
	}
	for path, allow := range map[string]string{
		"/v1/api/auth/login": "POST", "/v1/api/auth/refresh": "POST", "/v1/api/auth/logout": "POST", "/v1/api/auth/setup": "POST",
		"/v1/api/auth/status": "GET, HEAD", "/health": "GET, HEAD", "/v1/api/healthcheck": "GET, HEAD", "/v1/ws": "GET",
	} {
		a := do(t, "DELETE", s.URL+path, nil)
		wantAuthError(t, a, 405, "method_not_allowed", allow)
		if a.header.Get("Allow") != allow {
			t.Errorf("%s: Allow %q", path, a.header.Get("Allow"))
		}
	}
	for path, allow := range map[string]string{
		"/v1/api/auth/me": "GET, HEAD, PATCH, DELETE", "/v1/api/auth/invites": "GET, HEAD, POST", "/v1/api/auth/confirm": "GET, HEAD, POST",
		"/v1/api/auth/sessions/x": "DELETE", "/.well-known/jwks.json": "GET, HEAD",
	} {
		a := do(t, "PUT", s.URL+path, nil)
		wantAuthError(t, a, 405, "method_not_allowed", allow)
		if a.header.Get("Allow") != allow {
			t.Errorf("%s: Allow %q", path, a.header.Get("Allow"))
		}
	}
	a := do(t, "GET", s.URL+"/v1/api/sql", nil)
	wantError(t, a, 405, "METHOD_NOT_ALLOWED", "POST")
	wantAuthError(t, do(t, "GET", s.URL+"/v1/ws", nil), 426, "upgrade_required", "")
}

func TestBodiesOverTheLimitAreRefused(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Security.MaxRequestBodySize = 64 << 10 })
	body := `{"sql":"SELECT 1","pad":"` + strings.Repeat("x", 64<<10) + `"}`
	for _, path := range []string{"/v1/api/sql", "/v1/api/auth/login"} {
		a := post(t, s.URL+path, mint(t, "alice"), body)
		in := a.json(t)
		if a.status != 413 || in["error"] != "BODY_TOO_LARGE" || fmt.Sprint(in["max_bytes"]) != "65536" || in["size_bytes"] == nil {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	// A chunked body tells its length to nobody.
	chunked := struct{ io.Reader }{strings.NewReader(body)}
	a := do(t, "POST", s.URL+"/v1/api/sql", chunked, "Content-Type", jsonType, "Authorization", "Bearer "+mint(t, "alice"))
	if in := a.json(t); a.status != 413 || in["error"] != "BODY_TOO_LARGE" || in["max_bytes"] == nil {
		t.Errorf("%d %s", a.status, a.body)
	}
	run(t, s, mint(t, "alice"), "SELECT 1")
}

func TestPreflights(t *testing.T) {
	s := start(t)
	listed := start(t, func(c *config.Config) { c.Security.CORS.AllowedOrigins = []string{"https://app.example.com"} })
	all := start(t, func(c *config.Config) { c.Security.CORS.AllowedOrigins = []string{"*"} })
	cases := []struct {
		name, url, origin  string
		allowed, withCreds bool
	}{
		{"loopback page", s.URL, "http://localhost:5173", true, false},
		{"loopback address", s.URL, "http://127.0.0.1:3000", true, false},
		{"loopback IPv6", s.URL, "https://[::1]:3000", true, false},
		{"stranger", s.URL, "https://evil.example.com", false, false},
		{"looks like loopback", s.URL, "https://localhost.evil.example.com", false, false},
		{"no origin at all", s.URL, "null", false, false},
		{"odd scheme", s.URL, "file://localhost", false, false},
		{"listed", listed.URL, "https://app.example.com", true, true},
		{"not listed", listed.URL, "https://other.example.com", false, false},
		{"loopback beside a list", listed.URL, "http://localhost:5173", false, false},
		{"listed with another port", listed.URL, "https://app.example.com:444", false, false},
		{"any", all.URL, "https://evil.example.com", true, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := do(t, "OPTIONS", c.url+"/v1/api/sql", nil, "Origin", c.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,x-request-id")
			got := a.header.Get("Access-Control-Allow-Origin")
			if a.status != 204 || (got == c.origin) != c.allowed || !c.allowed && got != "" {
				t.Errorf("%d %v", a.status, a.header)
			}
			if (a.header.Get("Access-Control-Allow-Credentials") == "true") != c.withCreds {
				t.Errorf("credentials: %v", a.header)
			}
			if a.header.Get("Vary") != "Origin" {
				t.Errorf("Vary: %v", a.header)
			}
			if c.allowed {
				for _, h := range []string{"Authorization", "Content-Type", "X-Request-ID"} {
					if !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), h) {
						t.Errorf("%s is not allowed: %v", h, a.header)
					}
				}
				if !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "POST") || a.header.Get("Access-Control-Max-Age") != "3600" {
					t.Errorf("%v", a.header)
				}
			}
			// The answer itself carries the same permission, errors too.
			a = do(t, "POST", c.url+"/v1/api/sql", strings.NewReader(`{}`), "Origin", c.origin)
			if got := a.header.Get("Access-Control-Allow-Origin"); (got == c.origin) != c.allowed {
				t.Errorf("%d %v", a.status, a.header)
			}
		})
	}
}

func TestPanicIsAnsweredInTheFamilyOfTheRoute(t *testing.T) {
	for family, want := range map[fault.Family]string{
		fault.SQL:   `"code":"INTERNAL_ERROR"`,
		fault.File:  `"code":"INTERNAL_ERROR"`,
		fault.Topic: `"code":"INTERNAL_ERROR"`,
		fault.Auth:  `"error":"internal_error"`,
	} {
		w := httptest.NewRecorder()
		server.Panicking(family)(w, httptest.NewRequest("POST", "/", nil))
		if body := w.Body.String(); w.Code != 500 || !strings.Contains(body, want) || strings.Contains(body, "a bug") {
			t.Errorf("family %d: %d %s", family, w.Code, body)
		}
	}
}
