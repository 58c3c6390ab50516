package live_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// user sends statements as one user.
type user struct {
	t     testing.TB
	url   string
	token string
	http  *http.Client
}

func signIn(t testing.TB, s *servertest.Server, name string) *user {
	t.Helper()
	u := &user{t: t, url: s.URL, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	t.Cleanup(u.http.CloseIdleConnections)
	b, _ := json.Marshal(map[string]string{"user": name, "password": servertest.Password})
	status, body := u.post("/v1/api/auth/login", b)
	var in struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &in); status != 200 || in.AccessToken == "" {
		t.Fatalf("login: %d %s", status, body)
	}
	u.token = in.AccessToken
	return u
}

func (u *user) post(path string, body []byte) (int, []byte) {
	r, err := http.NewRequest("POST", u.url+path, bytes.NewReader(body))
	if err != nil {
		u.t.Error(err)
		return 0, nil
	}
	r.Header.Set("Content-Type", "application/json")
	if u.token != "" {
		r.Header.Set("Authorization", "Bearer "+u.token)
	}
	resp, err := u.http.Do(r)
	if err != nil {
		u.t.Error(err)
		return 0, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Error(err)
	}
	return resp.StatusCode, b
}

func (u *user) send(sql string) (int, []byte) {
	b, _ := json.Marshal(map[string]string{"sql": sql})
	return u.post("/v1/api/sql", b)
}

// run sends a text that must succeed. It may be called by any goroutine.
func (u *user) run(sql string) {
	u.t.Helper()
	if status, body := u.send(sql); status != 200 {
		u.t.Errorf("%s: %d %s", sql, status, body)
	}
}

// fail sends a text that must fail.
func (u *user) fail(sql string) {
	u.t.Helper()
	if status, body := u.send(sql); status != 400 {
		u.t.Errorf("%s: %d %s", sql, status, body)
	}
}

// connect opens an authenticated socket whose frames are not compressed.
func connect(t testing.TB, ctx context.Context, s *servertest.Server, token string) *websocket.Conn {
	c, _, err := websocket.Dial(ctx, strings.Replace(s.URL, "http", "ws", 1)+"/v1/ws?compress=false", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		t.Error(err)
		return nil
	}
	c.SetReadLimit(-1)
	if _, b, err := c.Read(ctx); err != nil || !bytes.Contains(b, []byte("auth_success")) {
		t.Errorf("authenticate: %s %v", b, err)
	}
	return c
}
