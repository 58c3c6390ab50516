package server_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/node"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// login signs a user in with a password and gives the answer.
func login(t testing.TB, s *servertest.Server, user, password string) answer {
	t.Helper()
	b, _ := json.Marshal(map[string]string{"user": user, "password": password})
	return post(t, s.URL+"/v1/api/auth/login", "", string(b))
}

// session signs a user in and gives the two tokens.
func session(t testing.TB, s *servertest.Server, user string) (access, refresh string) {
	t.Helper()
	a := login(t, s, user, servertest.Password)
	in := a.json(t)
	access, _ = in["access_token"].(string)
	refresh, _ = in["refresh_token"].(string)
	if a.status != 200 || access == "" || refresh == "" {
		t.Fatalf("login: %d %s", a.status, a.body)
	}
	return access, refresh
}

// offset is how old clients want their times: a numeric offset and no Z.
const offset = "2006-01-02T15:04:05.999999-07:00"

func TestLoginGivesUserAndTokens(t *testing.T) {
	s := start(t)
	a := login(t, s, "alice", servertest.Password)
	in := a.json(t)
	if a.status != 200 || len(in) != 6 || in["admin_ui_access"] != false {
		t.Fatalf("%d %s", a.status, a.body)
	}
	user := in["user"].(map[string]any)
	if user["id"] != "alice" || user["role"] != "user" || user["email"] != "alice@example.com" || len(user) != 5 {
		t.Errorf("user is %v", user)
	}
	for _, text := range []any{in["expires_at"], in["refresh_expires_at"], user["created_at"], user["updated_at"]} {
		at, err := time.Parse(offset, text.(string))
		if err != nil || !strings.HasSuffix(text.(string), "+00:00") || time.Since(at) > time.Hour {
			t.Errorf("time %v: %v", text, err)
		}
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("header %v", a.header)
	}
	in = login(t, s, "admin", servertest.Password).json(t)
	if user := in["user"].(map[string]any); in["admin_ui_access"] != true || user["role"] != "dba" || user["email"] != nil {
		t.Errorf("admin is %v", in)
	}
	b, _ := json.Marshal(map[string]string{"username": "bob", "password": servertest.Password})
	if a := post(t, s.URL+"/v1/api/auth/login", "", string(b)); a.status != 200 {
		t.Errorf("username for user: %d %s", a.status, a.body)
	}
}

func TestLoginRefusals(t *testing.T) {
	t.Parallel()
	s := start(t)
	for name, in := range map[string][2]string{
		"wrong password": {"alice", "wrong"}, "empty password": {"alice", ""}, "unknown user": {"nobody", "Secret123!"},
		"blank user": {"  ", "Secret123!"}, "path": {"../alice", "Secret123!"}, "NUL": {"ali\x00ce", "Secret123!"},
		"long user": {strings.Repeat("a", 200), "Secret123!"}, "long password": {"alice", strings.Repeat("a", 400)},
	} {
		a := login(t, s, in[0], in[1])
		wantAuthError(t, a, 401, "unauthorized", "Invalid credentials")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	url := s.URL + "/v1/api/auth/login"
	for _, body := range []string{``, `{`, `[]`, `null`, `{"user":"alice"}`, `{"password":"x"}`, `{"user":1,"password":"x"}`, `{"user":"a","password":"b"}x`,
		"{\"user\":\"\xff\",\"password\":\"x\"}", strings.Repeat(`[`, 5000)} {
		wantAuthError(t, post(t, url, "", body), 400, "invalid_request", "")
	}
	wantAuthError(t, post(t, url, "", `{"user":"alice","pass`), 400, "invalid_request", "offset 21")
	wantAuthError(t, do(t, "POST", url, strings.NewReader(`{"user":"alice","password":"Secret123!"}`), "Content-Type", "text/plain"), 415, "invalid_request", "application/json")
	wantAuthError(t, post(t, url, "", `{"user":"alice","password":"`+strings.Repeat("x", 20<<10)+`"}`), 413, "invalid_request", "too large")
}

func TestRefreshRotates(t *testing.T) {
	s := start(t)
	_, refresh := session(t, s, "alice")
	url := s.URL + "/v1/api/auth/refresh"
	a := do(t, "POST", url, nil, "Authorization", "Bearer "+refresh)
	in := a.json(t)
	if a.status != 200 || in["refresh_token"] == refresh || in["access_token"] == nil || in["user"].(map[string]any)["id"] != "alice" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	run(t, s, in["access_token"].(string), "SELECT 1")
	access := in["access_token"].(string)
	for name, header := range map[string][]string{
		"none": nil, "access token": {"Authorization", "Bearer " + access}, "Basic": {"Authorization", "Basic YWxpY2U6eA=="}, "garbage": {"Authorization", "Bearer x"},
	} {
		if a := do(t, "POST", url, nil, header...); a.status != 401 || a.json(t)["error"] != "unauthorized" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	wantAuthError(t, do(t, "POST", url, nil, "Authorization", "Bearer a", "Authorization", "Bearer b"), 400, "invalid_request", "more than one")
}

func TestLogoutEndsTheSessionAndSaysNothing(t *testing.T) {
	s := start(t)
	access, refresh := session(t, s, "alice")
	url := s.URL + "/v1/api/auth/logout"
	for _, header := range [][]string{nil, {"Authorization", "Bearer nonsense"}, {"Authorization", "Bearer " + access}, {"Authorization", "Bearer " + access}} {
		a := do(t, "POST", url, nil, header...)
		if a.status != 200 || a.body != `{"message":"Logged out successfully"}` {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
	}
	wantError(t, query(t, s, access, "SELECT 1"), 401, "INVALID_CREDENTIALS", "Invalid credentials")
	if a := do(t, "POST", s.URL+"/v1/api/auth/refresh", nil, "Authorization", "Bearer "+refresh); a.status != 401 {
		t.Errorf("refresh after logout: %d %s", a.status, a.body)
	}
}

func TestMeIsTheSignedInUser(t *testing.T) {
	s := start(t)
	url := s.URL + "/v1/api/auth/me"
	a := do(t, "GET", url, nil, "Authorization", "Bearer "+mint(t, "admin"))
	in := a.json(t)
	if a.status != 200 || len(in) != 2 || in["admin_ui_access"] != true || in["user"].(map[string]any)["id"] != "admin" {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantAuthError(t, do(t, "GET", url, nil), 401, "unauthorized", "Authentication required")
	wantAuthError(t, do(t, "GET", url, nil, "Authorization", "Basic YWxpY2U6eA=="), 401, "unauthorized", "Invalid credentials")
	wantAuthError(t, do(t, "GET", url, nil, "Authorization", "Bearer "+mintFor(t, "alice", -time.Minute)), 401, "unauthorized", "Invalid credentials")
	wantAuthError(t, do(t, "GET", url, nil, "Authorization", "Bearer x", "Authorization", "Bearer y"), 400, "invalid_request", "more than one")
}

func TestSetupOnceAndFromThisMachineOnly(t *testing.T) {
	n, err := node.Start(t.Context(), freshConfig(t), node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close(t.Context())
	s := &servertest.Server{URL: n.URL()}
	status := func() answer { return do(t, "GET", s.URL+"/v1/api/auth/status", nil) }
	if a := status(); a.status != 200 || a.json(t)["needs_setup"] != true {
		t.Errorf("%d %s", a.status, a.body)
	}
	// Before setup everything else waits for it.
	wantAuthError(t, login(t, s, "root", ""), 428, "setup_required", "kalam setup")
	wantAuthError(t, login(t, s, "alice", "Secret123!"), 428, "setup_required", "")
	wantError(t, query(t, s, mint(t, "alice"), "SELECT 1"), 401, "SETUP_REQUIRED", "")

	url := s.URL + "/v1/api/auth/setup"
	const good = `{"user":"boss","password":"Secret123!","root_password":"Secret456!","email":"boss@example.com"}`
	for _, header := range [][]string{{"Host", "rebound.example.com"}, {"X-Forwarded-For", "203.0.113.7"}} {
		a := do(t, "POST", url, strings.NewReader(good), append(header, "Content-Type", jsonType)...)
		wantAuthError(t, a, 403, "forbidden", "own machine")
		wantAuthError(t, do(t, "GET", s.URL+"/v1/api/auth/status", nil, header...), 403, "forbidden", "own machine")
	}
	wantAuthError(t, post(t, url, "", `{"user":"boss","password":"short","root_password":"Secret456!"}`), 400, "weak_password", "")
	wantAuthError(t, post(t, url, "", `{"user":"boss","password":"Secret123!","root_password":"short"}`), 400, "weak_password", "Root password: ")
	wantAuthError(t, post(t, url, "", `{"user":"root","password":"Secret123!","root_password":"Secret456!"}`), 400, "invalid_user", "")
	wantAuthError(t, post(t, url, "", `{"user":`), 400, "invalid_request", "")
	wantAuthError(t, do(t, "POST", url, strings.NewReader(good), "Content-Type", "text/plain"), 415, "invalid_request", "")
	if a := status(); a.json(t)["needs_setup"] != true {
		t.Errorf("a refused setup changed something: %s", a.body)
	}
	a := post(t, url, "", good)
	user, _ := a.json(t)["user"].(map[string]any)
	if a.status != 200 || user["id"] != "boss" || user["role"] != "dba" || user["email"] != "boss@example.com" || len(a.json(t)) != 2 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	wantAuthError(t, post(t, url, "", good), 409, "already_configured", "")
	if a := status(); a.json(t)["needs_setup"] != false {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := login(t, s, "boss", "Secret123!"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func freshConfig(t testing.TB) *config.Config {
	c := &config.Config{}
	c.Storage.DataPath = t.TempDir()
	c.Auth.JWTSecret = secret
	c.RateLimit.MaxAuthRequestsPerIPPerSec = 1000
	return c
}

func TestLoginFloodIsSlowedDown(t *testing.T) {
	s := start(t, func(c *config.Config) { c.RateLimit.MaxAuthRequestsPerIPPerSec = 3 })
	for i := 0; ; i++ {
		a := post(t, s.URL+"/v1/api/auth/login", "", `{}`) // refused, but counted
		if a.status == 429 {
			wantAuthError(t, a, 429, "rate_limited", "")
			if a.header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
			}
			break
		}
		if i == 100 {
			t.Fatal("100 attempts in a row were let through")
		}
	}
	// What is not an attempt still works.
	run(t, s, mint(t, "alice"), "SELECT 1")
}

func TestBearerFailures(t *testing.T) {
	s := start(t)
	_, refresh := session(t, s, "alice")
	change := func(key string, value any) string {
		c := claims("alice", "user", time.Hour)
		if value == nil {
			delete(c, key)
		} else {
			c[key] = value
		}
		return "Bearer " + sign(t, jose.HS256, secret, c)
	}
	none := strings.TrimRight(strings.Split(mint(t, "alice"), ".")[1], "=")
	cases := map[string]struct{ header, code, text string }{
		"no header":       {"", "MISSING_AUTHORIZATION", "Authentication required"},
		"expired":         {"Bearer " + mintFor(t, "alice", -time.Second), "TOKEN_EXPIRED", "Invalid credentials"},
		"bad signature":   {"Bearer " + sign(t, jose.HS256, secret+"x", claims("alice", "user", time.Hour)), "INVALID_CREDENTIALS", ""},
		"HS384":           {"Bearer " + sign(t, jose.HS384, secret+secret, claims("alice", "user", time.Hour)), "INVALID_CREDENTIALS", ""},
		"alg none":        {"Bearer eyJhbGciOiJub25lIn0." + none + ".", "INVALID_CREDENTIALS", ""},
		"unknown issuer":  {change("iss", "https://evil.example.com"), "INVALID_CREDENTIALS", ""},
		"no subject":      {change("sub", nil), "INVALID_CREDENTIALS", ""},
		"empty subject":   {change("sub", ""), "INVALID_CREDENTIALS", ""},
		"unknown user":    {change("sub", "nobody"), "INVALID_CREDENTIALS", ""},
		"other role":      {change("role", "dba"), "INVALID_CREDENTIALS", ""},
		"no end":          {change("exp", nil), "INVALID_CREDENTIALS", ""},
		"refresh claim":   {change("token_type", "refresh"), "INVALID_CREDENTIALS", ""},
		"no token_type":   {change("token_type", nil), "INVALID_CREDENTIALS", ""},
		"from the future": {change("iat", time.Now().Add(time.Hour).Unix()), "INVALID_CREDENTIALS", ""},
		"refresh token":   {"Bearer " + refresh, "INVALID_CREDENTIALS", ""},
		"Basic":           {"Basic YWxpY2U6U2VjcmV0MTIzIQ==", "INVALID_CREDENTIALS", ""},
		"basic with JWT":  {"Basic " + mint(t, "alice"), "INVALID_CREDENTIALS", ""},
		"no scheme":       {mint(t, "alice"), "INVALID_CREDENTIALS", ""},
		"malformed":       {"Bearer a.b.c", "INVALID_CREDENTIALS", ""},
		"huge":            {"Bearer " + strings.Repeat("a", 40<<10), "INVALID_CREDENTIALS", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			header := []string{"Content-Type", jsonType}
			if c.header != "" {
				header = append(header, "Authorization", c.header)
			}
			a := do(t, "POST", s.URL+"/v1/api/sql", strings.NewReader(`{"sql":"SELECT 1"}`), header...)
			wantError(t, a, 401, c.code, c.text)
			if c.text == "" {
				wantError(t, a, 401, c.code, "Invalid credentials")
			}
			if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("header %v", a.header)
			}
		})
	}
	two := do(t, "POST", s.URL+"/v1/api/sql", strings.NewReader(`{"sql":"SELECT 1"}`),
		"Content-Type", jsonType, "Authorization", "Bearer "+mint(t, "alice"), "Authorization", "Bearer "+mint(t, "bob"))
	wantError(t, two, 400, "INVALID_INPUT", "more than one Authorization")
}

func TestRoleChangeAndDropEndTokens(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, "CREATE USER eve WITH PASSWORD 'Secret123!' ROLE user; CREATE USER mallory WITH PASSWORD 'Secret123!' ROLE user")
	eve, mallory := mint(t, "eve"), mint(t, "mallory")
	run(t, s, eve, "SELECT 1")
	run(t, s, mallory, "SELECT 1")
	run(t, s, admin, "ALTER USER eve SET ROLE service")
	wantError(t, query(t, s, eve, "SELECT 1"), 401, "INVALID_CREDENTIALS", "Invalid credentials")
	run(t, s, admin, "DROP USER mallory")
	wantError(t, query(t, s, mallory, "SELECT 1"), 401, "INVALID_CREDENTIALS", "Invalid credentials")
	wantAuthError(t, login(t, s, "mallory", "Secret123!"), 401, "unauthorized", "Invalid credentials")
}
