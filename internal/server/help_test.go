package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// secret signs the tokens that tests mint.
const secret = "a-secret-of-the-tests-that-is-long-enough"

// start starts a server that takes minted tokens, so that tests need no logins.
func start(t testing.TB, change ...func(*config.Config)) *servertest.Server {
	t.Helper()
	return servertest.Start(t, servertest.Options{Config: func(c *config.Config) {
		c.Auth.JWTSecret = secret
		for _, fn := range change {
			fn(c)
		}
	}})
}

// claims of a token that the server would give to user.
func claims(user, role string, life time.Duration) map[string]any {
	now := time.Now()
	return map[string]any{
		"sub": user, "iss": "kalamdb", "iat": now.Unix(), "exp": float64(now.Add(life).UnixMilli()) / 1000,
		"email": nil, "role": role, "token_type": "access",
	}
}

func sign(t testing.TB, alg jose.SignatureAlgorithm, key string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: []byte(key)}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// mint makes an access token of an hour for a user of the demo data.
func mint(t testing.TB, user string) string { return mintFor(t, user, time.Hour) }

func mintFor(t testing.TB, user string, life time.Duration) string {
	role := map[string]string{"admin": "dba", "root": "system", "svc": "service"}[user]
	if role == "" {
		role = "user"
	}
	return sign(t, jose.HS256, secret, claims(user, role, life))
}

// answer is what a server said to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// json decodes the body.
func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(a.body))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		t.Fatalf("status %d, body %q: %v", a.status, a.body, err)
	}
	return out
}

// do sends a request; headers come in pairs.
func do(t testing.TB, method, url string, body io.Reader, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

const jsonType = "application/json"

// post sends a body of JSON with a bearer token, if there is one.
func post(t testing.TB, url, token, body string) answer {
	t.Helper()
	headers := []string{"Content-Type", jsonType}
	if token != "" {
		headers = append(headers, "Authorization", "Bearer "+token)
	}
	return do(t, "POST", url, strings.NewReader(body), headers...)
}

// query sends one text with parameters.
func query(t testing.TB, s *servertest.Server, token, sql string, params ...any) answer {
	t.Helper()
	in := map[string]any{"sql": sql}
	if len(params) > 0 {
		in["params"] = params
	}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return post(t, s.URL+"/v1/api/sql", token, string(b))
}

// run sends a text that must succeed.
func run(t testing.TB, s *servertest.Server, token, sql string, params ...any) answer {
	t.Helper()
	a := query(t, s, token, sql, params...)
	if a.status != 200 {
		t.Fatalf("%s: %d %s", sql, a.status, a.body)
	}
	return a
}

// rows gives the rows of the first result as JSON.
func rows(t testing.TB, a answer) string {
	t.Helper()
	var in struct {
		Results []struct{ Rows json.RawMessage }
	}
	if err := json.Unmarshal([]byte(a.body), &in); err != nil || len(in.Results) == 0 {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return string(in.Results[0].Rows)
}

// failure gives status, code and message of an error of the SQL route.
func failure(t testing.TB, a answer) (status int, code, message string) {
	t.Helper()
	in := a.json(t)
	e, _ := in["error"].(map[string]any)
	if in["status"] != "error" || e == nil {
		t.Fatalf("no error of the SQL route: %d %s", a.status, a.body)
	}
	if list, ok := in["results"].([]any); !ok || len(list) != 0 {
		t.Errorf("results of an error: %s", a.body)
	}
	if _, ok := in["took"].(json.Number); !ok {
		t.Errorf("an error without took: %s", a.body)
	}
	code, _ = e["code"].(string)
	message, _ = e["message"].(string)
	return a.status, code, message
}

// wantError checks an error of the SQL route; the message contains text.
func wantError(t testing.TB, a answer, status int, code, text string) {
	t.Helper()
	s, c, m := failure(t, a)
	if s != status || c != code || !strings.Contains(m, text) {
		t.Errorf("got %d %s %q, want %d %s %q", s, c, m, status, code, text)
	}
	wantJSON(t, a)
}

// wantAuthError checks an error of the auth routes.
func wantAuthError(t testing.TB, a answer, status int, code, text string) {
	t.Helper()
	in := a.json(t)
	m, _ := in["message"].(string)
	if a.status != status || in["error"] != code || !strings.Contains(m, text) || len(in) != 2 {
		t.Errorf("got %d %s, want %d %s %q", a.status, a.body, status, code, text)
	}
	wantJSON(t, a)
}

func wantJSON(t testing.TB, a answer) {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != jsonType {
		t.Errorf("content type %q", got)
	}
}

// compact writes JSON without its white space.
func compact(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return b.String()
}

func TestMain(m *testing.M) {
	// Connections that the test's own client keeps open are no leak of the server.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}
