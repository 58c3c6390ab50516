package server_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// renewCookie posts a refresh with the cookie of a browser.
func renewCookie(t *testing.T, s *servertest.Server, cookie string) answer {
	t.Helper()
	return do(t, "POST", s.URL+"/v1/api/auth/refresh", nil, "Cookie", "kalamdb_refresh="+cookie, "X-Kalam-CSRF", "1", "Sec-Fetch-Site", "same-origin")
}

// kept is the refresh token that an answer gives the browser to keep.
func kept(a answer) string {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == "kalamdb_refresh" {
			return c.Value
		}
	}
	return ""
}

// TestPagesThatRenewAtOnceKeepOneSession as when a server renders many pages of
// one browser, each with the cookie that the browser had when it asked.
func TestPagesThatRenewAtOnceKeepOneSession(t *testing.T) {
	s := start(t)
	cookie := kept(login(t, s, "alice", servertest.Password))
	for range 3 { // renewals in turn
		answers := make([]answer, 20)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = renewCookie(t, s, cookie) })
		}
		all.Wait()
		next := kept(answers[0])
		for _, a := range answers {
			token, _ := a.json(t)["access_token"].(string)
			if a.status != 200 || kept(a) != next || next == cookie {
				t.Fatalf("%d %s: another cookie than that of the first", a.status, a.body)
			}
			if got := query(t, s, token, "SELECT 1"); got.status != 200 {
				t.Fatalf("a page's token: %d %s", got.status, got.body)
			}
		}
		cookie = next
	}
	list, _ := do(t, "GET", s.URL+"/v1/api/auth/sessions", nil, "Authorization", "Bearer "+mustToken(t, renewCookie(t, s, cookie))).json(t)["sessions"].([]any)
	if len(list) != 1 {
		t.Errorf("%d sessions", len(list))
	}
}

// TestRenewalOfAnEndedSessionBringsNothingBack when it was under way while the
// user signed out: its answer neither renews the session nor sets a cookie.
func TestRenewalOfAnEndedSessionBringsNothingBack(t *testing.T) {
	s := start(t)
	cookie := kept(login(t, s, "alice", servertest.Password))
	newest := kept(renewCookie(t, s, cookie))
	if a := do(t, "POST", s.URL+"/v1/api/auth/logout", nil, "Cookie", "kalamdb_refresh="+newest, "X-Kalam-CSRF", "1"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, late := range []string{cookie, newest, newest} {
		if a := renewCookie(t, s, late); a.status != 401 || kept(a) != "" {
			t.Errorf("after the sign-out: %d, cookie %q", a.status, kept(a))
		}
	}
}

// TestTwoCookiesAreNoWayIn: a host beside ours may set a cookie of the same name,
// which a browser sends along. Whichever is read, only a session of the server
// counts, and none is ended by the other.
func TestTwoCookiesAreNoWayIn(t *testing.T) {
	s := start(t)
	mine, others := kept(login(t, s, "alice", servertest.Password)), kept(login(t, s, "bob", servertest.Password))
	for name, cookies := range map[string]string{
		"junk behind": "kalamdb_refresh=" + mine + "; kalamdb_refresh=x",
		"junk before": "kalamdb_refresh=x; kalamdb_refresh=" + mine,
		"two users":   "kalamdb_refresh=" + mine + "; kalamdb_refresh=" + others,
	} {
		a := do(t, "POST", s.URL+"/v1/api/auth/refresh", nil, "Cookie", cookies, "X-Kalam-CSRF", "1")
		if a.status != 401 || kept(a) != "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for _, cookie := range []string{mine, others} {
		if a := renewCookie(t, s, cookie); a.status != 200 {
			t.Errorf("the session is gone: %d %s", a.status, a.body)
		}
	}
	// Over plain HTTP the name for TLS means nothing.
	if a := do(t, "POST", s.URL+"/v1/api/auth/refresh", nil, "Cookie", "__Host-kalamdb_refresh="+mine, "X-Kalam-CSRF", "1"); a.status != 401 {
		t.Errorf("the cookie of TLS: %d", a.status)
	}
}

func mustToken(t *testing.T, a answer) string {
	t.Helper()
	token, _ := a.json(t)["access_token"].(string)
	if token == "" || strings.HasPrefix(token, "kr1.") {
		t.Fatalf("no access token: %d %s", a.status, a.body)
	}
	return token
}
