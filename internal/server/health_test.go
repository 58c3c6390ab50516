package server_test

import "testing"

func TestHealthTellsVersionOnLoopbackOnly(t *testing.T) {
	s := start(t)
	for _, path := range []string{"/health", "/v1/api/healthcheck"} {
		a := do(t, "GET", s.URL+path, nil)
		in := a.json(t)
		if a.status != 200 || in["status"] != "healthy" || in["api_version"] != "v1" || in["version"] != "test" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		if _, ok := in["build_date"].(string); !ok {
			t.Errorf("%s has no build_date: %s", path, a.body)
		}
		wantJSON(t, a)
	}
	// A name that a hostile page may have pointed at this machine, and a proxy.
	for _, header := range [][]string{
		{"Host", "rebound.example.com"}, {"X-Forwarded-For", "203.0.113.7"}, {"Forwarded", "for=203.0.113.7"}, {"X-Real-IP", "203.0.113.7"},
	} {
		a := do(t, "GET", s.URL+"/health", nil, header...)
		if a.status != 200 || compact(t, a.body) != `{"status":"healthy","api_version":"v1"}` {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
	}
}
