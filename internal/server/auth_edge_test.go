package server_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/store"
)

// from sends a request to a server's handler as if it came from an address.
func from(t testing.TB, e edge, addr, method, path, body string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = net.JoinHostPort(addr, "40000")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	e.edge.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

func TestPasswordsDoNotTravelInTheClear(t *testing.T) {
	root := `{"user":"root","password":"` + servertest.Password + `"}`
	e := startEdge(t, store.Options{}, live.Options{}, server.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	send := func(addr string, headers ...string) answer {
		return from(t, e, addr, "POST", "/v1/api/auth/login", root, append(headers, "Content-Type", jsonType)...)
	}
	wantAuthError(t, send("192.0.2.7"), 403, "insecure_transport", "https")
	wantAuthError(t, send("192.0.2.7", "X-Forwarded-Proto", "https"), 403, "insecure_transport", "https")
	wantAuthError(t, send("10.1.2.3"), 403, "insecure_transport", "https")
	for _, path := range []string{"refresh", "password"} {
		wantAuthError(t, from(t, e, "192.0.2.7", "POST", "/v1/api/auth/"+path, "{}", "Content-Type", jsonType), 403, "insecure_transport", "https")
	}
	for _, a := range []answer{
		send("127.0.0.1"), send("::1"), send("10.1.2.3", "X-Forwarded-Proto", "https", "X-Forwarded-For", "192.0.2.7"),
	} {
		if a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	open := startEdge(t, store.Options{}, live.Options{}, server.Options{AllowPlaintext: true})
	if a := from(t, open, "192.0.2.7", "POST", "/v1/api/auth/login", root, "Content-Type", jsonType); a.status != 200 {
		t.Errorf("allowed: %d %s", a.status, a.body)
	}
}

func TestForwardedHeadersCountFromProxiesOnly(t *testing.T) {
	e := startEdge(t, store.Options{}, live.Options{}, server.Options{
		AuthRate: server.AuthRate{Login: 1}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	try := func(peer string, forwarded ...string) int {
		headers := []string{"Content-Type", jsonType, "X-Forwarded-Proto", "https"}
		for _, f := range forwarded {
			headers = append(headers, "X-Forwarded-For", f)
		}
		return from(t, e, peer, "POST", "/v1/api/auth/login", "{}", headers...).status
	}
	// The same client through the proxy is one client, whatever it claims before.
	if got := try("10.0.0.1", "203.0.113.1, 192.0.2.1"); got != 400 {
		t.Errorf("first: %d", got)
	}
	if got := try("10.0.0.1", "203.0.113.2, 192.0.2.1"); got != 429 {
		t.Errorf("second, with another claim: %d", got)
	}
	if got := try("10.0.0.2", "203.0.113.2", "192.0.2.1, 10.0.0.1"); got != 429 {
		t.Errorf("through two proxies: %d", got)
	}
	if got := try("10.0.0.1", "192.0.2.2"); got != 400 {
		t.Errorf("another client: %d", got)
	}
	// From elsewhere the header says nothing.
	try("192.0.2.50", "192.0.2.3")
	if got := try("192.0.2.50", "192.0.2.4"); got != 429 && got != 403 {
		t.Errorf("a client that forwards itself: %d", got)
	}
	// No header makes anybody local.
	for _, peer := range []string{"10.0.0.1", "192.0.2.1"} {
		a := from(t, e, peer, "GET", "/v1/api/auth/status", "", "X-Forwarded-For", "127.0.0.1", "Host", "localhost")
		wantAuthError(t, a, 403, "forbidden", "own machine")
	}
	// The audit log has the client's address.
	if a := from(t, e, "10.0.0.3", "POST", "/v1/api/auth/login", `{"user":"root","password":"wrong password"}`,
		"Content-Type", jsonType, "X-Forwarded-Proto", "https", "X-Forwarded-For", "192.0.2.77"); a.status != 401 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	got := rows(t, from(t, e, "127.0.0.1", "POST", "/v1/api/sql", `{"sql":"SELECT ip_address, action FROM system.audit_log WHERE action = 'LOGIN_FAILED'"}`,
		"Content-Type", jsonType, "Authorization", "Bearer "+mint(t, "root")))
	if compact(t, got) != `[["192.0.2.77","LOGIN_FAILED"]]` {
		t.Errorf("the log has %s", got)
	}
}

func TestCookieOfALogin(t *testing.T) {
	s := start(t)
	a := login(t, s, "alice", servertest.Password)
	got := (&http.Response{Header: a.header}).Cookies()
	in := a.json(t)
	if len(got) != 1 || got[0].Name != "kalamdb_refresh" || got[0].Value != in["refresh_token"] {
		t.Fatalf("cookies %v", got)
	}
	if c := got[0]; !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || c.Expires.Before(time.Now()) || c.Secure {
		t.Errorf("%+v", c)
	}
	kept := "kalamdb_refresh=" + got[0].Value
	auth := s.URL + "/v1/api/auth/"
	// Only refresh and logout read it.
	wantError(t, do(t, "POST", s.URL+"/v1/api/sql", strings.NewReader(`{"sql":"SELECT 1"}`), "Content-Type", jsonType, "Cookie", kept, "X-Kalam-CSRF", "1"), 401, "MISSING_AUTHORIZATION", "")
	if a := do(t, "GET", auth+"me", nil, "Cookie", kept, "X-Kalam-CSRF", "1"); a.status != 401 {
		t.Errorf("me: %d %s", a.status, a.body)
	}
	// An Authorization header wins, also a bad one.
	if a := do(t, "POST", auth+"refresh", nil, "Cookie", kept, "X-Kalam-CSRF", "1", "Authorization", "Bearer x"); a.status != 401 {
		t.Errorf("refresh with a bad header: %d %s", a.status, a.body)
	}
	// A page of another site can send the cookie, but not the header; and with it
	// only a page of this origin.
	for name, headers := range map[string][]string{
		"nothing":        {},
		"JSON alone":     {"Content-Type", jsonType, "Origin", s.URL},
		"a form":         {"Content-Type", "application/x-www-form-urlencoded"},
		"another value":  {"X-Kalam-CSRF", "0"},
		"another site":   {"X-Kalam-CSRF", "1", "Origin", "https://evil.example.com"},
		"another port":   {"X-Kalam-CSRF", "1", "Origin", "http://localhost:1"},
		"fetch says so":  {"X-Kalam-CSRF", "1", "Sec-Fetch-Site", "cross-site"},
		"the same site":  {"X-Kalam-CSRF", "1", "Sec-Fetch-Site", "same-site"},
		"an opaque page": {"X-Kalam-CSRF", "1", "Origin", "null"},
		"a longer port":  {"X-Kalam-CSRF", "1", "Origin", s.URL + "0"},
	} {
		for _, path := range []string{"refresh", "logout"} {
			a := do(t, "POST", auth+path, nil, append(headers, "Cookie", kept)...)
			if a.status != 403 {
				t.Errorf("%s from %s: %d %s", path, name, a.status, a.body)
			}
		}
	}
	a = do(t, "POST", auth+"refresh", nil, "Cookie", kept, "X-Kalam-CSRF", "1", "Origin", s.URL, "Sec-Fetch-Site", "same-origin")
	if a.status != 200 || len(a.header["Set-Cookie"]) != 1 {
		t.Fatalf("refresh: %d %s", a.status, a.body)
	}
	next, _ := a.json(t)["refresh_token"].(string)
	a = do(t, "POST", auth+"logout", nil, "Cookie", "kalamdb_refresh="+next, "X-Kalam-CSRF", "1")
	cleared := (&http.Response{Header: a.header}).Cookies()
	if a.status != 200 || len(cleared) != 1 || cleared[0].Value != "" || cleared[0].Expires.After(time.Now()) {
		t.Errorf("logout: %d %v", a.status, cleared)
	}
	wantAuthError(t, do(t, "POST", auth+"refresh", nil, "Authorization", "Bearer "+next), 401, "unauthorized", "")
}

func TestTLSWithHostCookies(t *testing.T) {
	cert := servertest.NewCertificate(t)
	s := start(t, func(c *config.Config) { c.Server.TLSCert, c.Server.TLSKey = cert.CertFile, cert.KeyFile })
	if !strings.HasPrefix(s.URL, "https://localhost:") {
		t.Fatal(s.URL)
	}
	resp, err := cert.Client().Post(s.URL+"/v1/api/auth/login", jsonType, strings.NewReader(`{"user":"alice","password":"`+servertest.Password+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%d %v %v", resp.StatusCode, resp.Header, err)
	}
	var names []string
	for _, c := range resp.Cookies() {
		names = append(names, c.Name)
		if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("%+v", c)
		}
	}
	if !slices.Equal(names, []string{"__Host-kalamdb_refresh"}) {
		t.Errorf("cookies %v", names)
	}
	// Plain HTTP on the same port is told so, and led nowhere.
	plain, err := http.DefaultTransport.RoundTrip(httptest.NewRequest("GET", strings.Replace(s.URL, "https", "http", 1)+"/health", nil))
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != 400 || plain.Header.Get("Location") != "" {
		t.Errorf("plain: %d %v", plain.StatusCode, plain.Header)
	}
}

func TestOptionsAndKeySet(t *testing.T) {
	s := start(t, func(c *config.Config) {
		c.Auth.JWTSecret = ""
		c.Auth.NoPasswordLogin = true
		c.Auth.Issuers = []config.IssuerConfig{{Alias: "corp", Name: "Corp", Issuer: "https://id.example.com", Audience: []string{"x"}, ClientID: "app"}}
	})
	a := do(t, "GET", s.URL+"/v1/api/auth/options", nil)
	if a.status != 200 || a.body != `{"password":false,"issuers":[{"alias":"corp","name":"Corp","issuer":"https://id.example.com","client_id":"app","audience":["x"],"algorithms":["RS256"]}]}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantAuthError(t, login(t, s, "alice", servertest.Password), 401, "unauthorized", "Invalid credentials")
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(do(t, "GET", s.URL+"/.well-known/jwks.json", nil).body), &set); err != nil || len(set.Keys) != 1 || set.Keys[0]["d"] != nil || set.Keys[0]["kid"] == "" {
		t.Errorf("%v %v", set, err)
	}
}

func TestOwnSessionsAndPasswordOverHTTP(t *testing.T) {
	s := start(t)
	auth := s.URL + "/v1/api/auth/"
	mine, _ := session(t, s, "alice")
	other, otherRefresh := session(t, s, "alice")
	list := func() []any {
		a := do(t, "GET", auth+"sessions", nil, "Authorization", "Bearer "+mine)
		if a.status != 200 || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		out, _ := a.json(t)["sessions"].([]any)
		return out
	}
	if got := list(); len(got) != 2 {
		t.Fatalf("%v", got)
	}
	bob, _ := session(t, s, "bob")
	var id string
	for _, c := range list() {
		if c := c.(map[string]any); c["current"] == false {
			id = c["id"].(string)
		}
	}
	wantAuthError(t, do(t, "DELETE", auth+"sessions/"+id, nil, "Authorization", "Bearer "+bob), 404, "not_found", "")
	wantAuthError(t, do(t, "DELETE", auth+"sessions/"+id, nil), 401, "unauthorized", "")
	if a := do(t, "DELETE", auth+"sessions/"+id, nil, "Authorization", "Bearer "+mine); a.status != 200 || a.body != `{"ended":1}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantError(t, query(t, s, other, "SELECT 1"), 401, "INVALID_CREDENTIALS", "")
	wantAuthError(t, do(t, "POST", auth+"refresh", nil, "Authorization", "Bearer "+otherRefresh), 401, "unauthorized", "")

	third, _ := session(t, s, "alice")
	wantAuthError(t, post(t, auth+"password", mine, `{"current":"wrong password","new":"Secret456!"}`), 403, "wrong_password", "")
	wantAuthError(t, post(t, auth+"password", mine, `{"current":"`+servertest.Password+`","new":"password"}`), 400, "weak_password", "")
	wantAuthError(t, post(t, auth+"password", mine, `{"new":"Secret456!"}`), 400, "invalid_request", "")
	wantAuthError(t, post(t, auth+"password", "", `{"current":"x","new":"Secret456!"}`), 401, "unauthorized", "")
	if a := post(t, auth+"password", mine, `{"current":"`+servertest.Password+`","new":"Secret456!"}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	wantError(t, query(t, s, third, "SELECT 1"), 401, "INVALID_CREDENTIALS", "")
	run(t, s, mine, "SELECT 1")
	wantAuthError(t, login(t, s, "alice", servertest.Password), 401, "unauthorized", "")
	if a := login(t, s, "alice", "Secret456!"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	// Signing in again with a session in hand ends that one.
	b := post(t, auth+"login", mine, `{"user":"alice","password":"Secret456!"}`)
	if b.status != 200 {
		t.Fatalf("%d %s", b.status, b.body)
	}
	wantError(t, query(t, s, mine, "SELECT 1"), 401, "INVALID_CREDENTIALS", "")

	// Administrators see everybody's, and nobody else does.
	got := rows(t, run(t, s, mint(t, "admin"), "SELECT user_id, state, auth_method FROM system.sessions WHERE user_id = 'bob'"))
	if compact(t, got) != `[["bob","open","password"]]` {
		t.Errorf("%s", got)
	}
	wantError(t, query(t, s, bob, "SELECT * FROM system.sessions"), 403, "PERMISSION_DENIED", "")
	wantError(t, query(t, s, bob, "SELECT * FROM system.audit_log"), 403, "PERMISSION_DENIED", "")
	for _, sql := range []string{"DELETE FROM system.audit_log", "UPDATE system.audit_log SET target = ''", "INSERT INTO system.audit_log (audit_id) VALUES ('1')", "DROP TABLE system.audit_log"} {
		wantError(t, query(t, s, mint(t, "admin"), sql), 403, "PERMISSION_DENIED", "")
	}
}

func TestWrongPasswordsAreSlowedDownOverHTTP(t *testing.T) {
	s := start(t)
	for _, user := range []string{"bob", "nobody"} {
		for range 5 {
			wantAuthError(t, login(t, s, user, "wrong password"), 401, "unauthorized", "Invalid credentials")
		}
		a := login(t, s, user, servertest.Password)
		wantAuthError(t, a, 429, "rate_limited", "try again in")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if a := login(t, s, "alice", servertest.Password); a.status != 200 {
		t.Errorf("another account: %d %s", a.status, a.body)
	}
}

func TestImpersonationIsAuditedAndNotChained(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, "CREATE USER svc WITH PASSWORD 'Secret123!' ROLE service")
	svc := mint(t, "svc")
	run(t, s, svc, "EXECUTE AS USER 'alice' (INSERT INTO chat.messages (id, body) VALUES (77, 'a private word'))")
	run(t, s, svc, "EXECUTE AS USER 'alice' (SELECT body FROM chat.messages WHERE id = 77)")
	run(t, s, svc, "EXECUTE AS USER 'alice' (SELECT body FROM chat.messages WHERE id = 77)")
	if a := query(t, s, mint(t, "bob"), "EXECUTE AS USER 'alice' (SELECT 1)"); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := query(t, s, svc, "EXECUTE AS USER 'ghost word' (SELECT 1)"); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := query(t, s, svc, "EXECUTE AS USER 'alice' (EXECUTE AS USER 'bob' (SELECT 1))"); a.status == 200 {
		t.Errorf("chained: %s", a.body)
	}
	got := rows(t, run(t, s, admin, `SELECT actor_user_id, action, subject_user_id, outcome, details, ip_address FROM system.audit_log WHERE action LIKE 'EXECUTE%' ORDER BY audit_id`))
	for _, want := range []string{
		`["svc","EXECUTE_AS_USER","alice","ok","EXECUTE AS USER ? (INSERT INTO chat.messages (id, body) VALUES (?, ?))"`,
		`["svc","EXECUTE_AS_USER","alice","ok","EXECUTE AS USER ? (SELECT body FROM chat.messages WHERE id = ?)"`,
		`["bob","EXECUTE_AS_USER_DENIED","alice","refused","role_not_allowed"`,
		`["svc","EXECUTE_AS_USER_DENIED",null,"refused","role_not_allowed"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, "private word") || strings.Contains(got, "ghost") {
		t.Errorf("a literal or a name of nobody is in the log: %s", got)
	}
}

// TestSystemSessionsKnowsThoseThatAreOver looks at a session that nobody has
// used for longer than the idle limit, which is an hour ago.
func TestSystemSessionsKnowsThoseThatAreOver(t *testing.T) {
	clock := &clock{}
	clock.add(-3 * time.Hour)
	s := startEdgeWith(t, store.Options{}, live.Options{}, server.Options{}, identity.Options{IdleTTL: 2 * time.Hour, Now: clock.now}).Server
	session(t, s, "alice")
	clock.add(90 * time.Minute)
	session(t, s, "admin")
	clock.add(90 * time.Minute)
	got := rows(t, run(t, s, mint(t, "admin"), "SELECT user_id, state, expires_at > NOW() FROM system.sessions ORDER BY user_id"))
	if compact(t, got) != `[["admin","open",true],["alice","expired",false]]` {
		t.Errorf("the sessions are %s", got)
	}
}

// TestSlowBodiesOfStrangersEnd begins requests without ever sending their bodies.
func TestSlowBodiesOfStrangersEnd(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range []struct{ request, status string }{
		{"POST /v1/api/auth/login HTTP/1.1\r\nContent-Type: application/json\r\n", "408"},
		{"POST /v1/api/auth/logout HTTP/1.1\r\n", "200"},
		{"GET /health HTTP/1.1\r\n", "200"},
		{"POST /v1/api/sql HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer x\r\n", "401"},
		{"POST /v1/api/topics/consume HTTP/1.1\r\nContent-Type: application/json\r\n", "401"},
		{"POST /nothing HTTP/1.1\r\n", "404"},
	} {
		t.Run(c.request, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(3 * patience))
			io.WriteString(conn, c.request+"Host: localhost\r\nContent-Length: 1000\r\n\r\n{")
			all, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 "+c.status) {
				t.Errorf("got %q, %v", all, err)
			}
		})
	}
}
