package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// accounts is a server that people sign up at, and where its mails go.
type accounts struct {
	*servertest.Server
	t    *testing.T
	mail *servertest.Mail
}

func startAccounts(t *testing.T, change ...func(*config.Config)) accounts {
	m := servertest.StartMail(t)
	s := start(t, append([]func(*config.Config){m.Config, func(c *config.Config) {
		c.Auth.Accounts.SignUp = "open"
		c.Auth.Accounts.Anonymous = true
	}}, change...)...)
	return accounts{s, t, m}
}

// ask posts a body to a route of accounts.
func (a accounts) ask(route string, body map[string]any, headers ...string) answer {
	a.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		a.t.Fatal(err)
	}
	return do(a.t, "POST", a.URL+"/v1/api/auth/"+route, strings.NewReader(string(b)), append([]string{"Content-Type", jsonType}, headers...)...)
}

type fields = map[string]any

// want is ask that must answer with a status.
func (a accounts) want(status int, route string, body fields, headers ...string) map[string]any {
	a.t.Helper()
	got := a.ask(route, body, headers...)
	if got.status != status {
		a.t.Fatalf("%s %v: %d %s, want %d", route, body, got.status, got.body, status)
	}
	return got.json(a.t)
}

// signUp signs somebody up with an address and returns the answer that begins
// the session.
func (a accounts) signUp(email, password string) map[string]any {
	a.t.Helper()
	before := len(a.mail.To(email))
	a.want(202, "signup", fields{"email": email, "password": password})
	code := a.mail.Wait(email, before+1).Code()
	return a.want(200, "code/redeem", fields{"email": email, "code": code, "purpose": "verify"})
}

func user(in map[string]any) map[string]any { u, _ := in["user"].(map[string]any); return u }

func TestSignUpByCode(t *testing.T) {
	a := startAccounts(t)
	got := a.signUp("carol@example.com", "correct-horse-9")
	u := user(got)
	id, _ := u["id"].(string)
	if !strings.HasPrefix(id, "usr_") || u["role"] != "user" || u["email"] != "carol@example.com" || u["email_verified"] != true {
		t.Errorf("user %v", u)
	}
	token, _ := got["access_token"].(string)
	run(t, a.Server, token, "INSERT INTO chat.messages (body) VALUES ('mine')")
	if got := compact(t, rows(t, run(t, a.Server, token, "SELECT body, CURRENT_USER() FROM chat.messages"))); got != `[["mine","`+id+`"]]` {
		t.Error(got)
	}
	// From now on with the address and the password, however it is written.
	for _, name := range []string{"carol@example.com", "CAROL@Example.COM", " carol@example.com "} {
		if got := login(t, a.Server, strings.TrimSpace(name), "correct-horse-9"); got.status != 200 || user(got.json(t))["id"] != id {
			t.Errorf("login as %q: %d %s", name, got.status, got.body)
		}
	}
	// The code is used up.
	mails := a.mail.To("carol@example.com")
	a.want(400, "code/redeem", fields{"email": "carol@example.com", "code": mails[0].Code(), "purpose": "verify"})
}

func TestKnownAddressIsToldByMailOnly(t *testing.T) {
	a := startAccounts(t)
	a.signUp("dan@example.com", "correct-horse-9")
	known := a.ask("signup", fields{"email": "dan@example.com", "password": "another-horse-9"})
	unknown := a.ask("signup", fields{"email": "eve@example.com", "password": "another-horse-9"})
	if known.status != 202 || known.status != unknown.status || known.body != unknown.body {
		t.Errorf("known %d %s, unknown %d %s", known.status, known.body, unknown.status, unknown.body)
	}
	if told := a.mail.Wait("dan@example.com", 2); told.Code() != "" || !strings.Contains(told.Text, "already have an account") {
		t.Errorf("the owner got %q", told.Text)
	}
	for _, purpose := range []string{"login", "reset", "verify"} {
		known := a.ask("code", fields{"email": "dan@example.com", "purpose": purpose})
		unknown := a.ask("code", fields{"email": "nobody@example.com", "purpose": purpose})
		if known.status != 202 || known.body != unknown.body || known.status != unknown.status {
			t.Errorf("%s: known %d %s, unknown %d %s", purpose, known.status, known.body, unknown.status, unknown.body)
		}
		wrongKnown := a.ask("code/redeem", fields{"email": "dan@example.com", "code": "000000", "purpose": purpose, "password": "correct-horse-8"})
		wrongUnknown := a.ask("code/redeem", fields{"email": "nobody@example.com", "code": "000000", "purpose": purpose, "password": "correct-horse-8"})
		if wrongKnown.status != 400 || wrongKnown.body != wrongUnknown.body {
			t.Errorf("%s: known %d %s, unknown %d %s", purpose, wrongKnown.status, wrongKnown.body, wrongUnknown.status, wrongUnknown.body)
		}
	}
	if got := a.mail.To("nobody@example.com"); len(got) != 0 {
		t.Errorf("an address without an account got %v", got)
	}
}

func TestCodesAreTriedFiveTimes(t *testing.T) {
	a := startAccounts(t)
	a.want(202, "signup", fields{"email": "f@example.com", "password": "correct-horse-9"})
	right := a.mail.Wait("f@example.com", 1).Code()
	wrong := "000000"
	if right == wrong {
		wrong = "000001"
	}
	for range 5 {
		a.want(400, "code/redeem", fields{"email": "f@example.com", "code": wrong, "purpose": "verify"})
	}
	a.want(400, "code/redeem", fields{"email": "f@example.com", "code": right, "purpose": "verify"})
	// A new code begins anew, and one of another purpose is none.
	a.want(202, "code", fields{"email": "f@example.com", "purpose": "verify"})
	right = a.mail.Wait("f@example.com", 2).Code()
	a.want(400, "code/redeem", fields{"email": "f@example.com", "code": right, "purpose": "login"})
	a.want(200, "code/redeem", fields{"email": "f@example.com", "code": right, "purpose": "verify"})
	if got := login(t, a.Server, "f@example.com", "correct-horse-9"); got.status != 200 {
		t.Errorf("the password of the sign-up: %d %s", got.status, got.body)
	}
}

func TestSecondSignUpDropsBothPasswords(t *testing.T) {
	for name, second := range map[string]fields{
		"another password": {"email": "g@example.com", "password": "thief-horse-99"},
		"no password":      {"email": "g@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			a := startAccounts(t)
			a.want(202, "signup", fields{"email": "g@example.com", "password": "correct-horse-9"})
			a.want(202, "signup", second)
			code := a.mail.Wait("g@example.com", 2).Code()
			a.want(200, "code/redeem", fields{"email": "g@example.com", "code": code, "purpose": "verify"})
			for _, password := range []string{"correct-horse-9", "thief-horse-99"} {
				if got := login(t, a.Server, "g@example.com", password); got.status != 401 {
					t.Errorf("%s works: %d", password, got.status)
				}
			}
		})
	}
	a := startAccounts(t)
	for range 2 { // a form that was sent twice
		a.want(202, "signup", fields{"email": "h@example.com", "password": "correct-horse-9"})
	}
	code := a.mail.Wait("h@example.com", 2).Code()
	a.want(200, "code/redeem", fields{"email": "h@example.com", "code": code, "purpose": "verify"})
	if got := login(t, a.Server, "h@example.com", "correct-horse-9"); got.status != 200 {
		t.Errorf("the same password twice: %d", got.status)
	}
}

func TestResetEndsAllOtherSessions(t *testing.T) {
	a := startAccounts(t)
	before, _ := a.signUp("i@example.com", "correct-horse-9")["access_token"].(string)
	a.want(202, "code", fields{"email": "i@example.com", "purpose": "reset"})
	code := a.mail.Wait("i@example.com", 2).Code()
	a.want(400, "code/redeem", fields{"email": "i@example.com", "code": code, "purpose": "reset", "password": "short"})
	got := a.want(200, "code/redeem", fields{"email": "i@example.com", "code": code, "purpose": "reset", "password": "battery-staple-7"})
	if a := query(t, a.Server, before, "SELECT 1"); a.status != 401 {
		t.Errorf("the session before the reset: %d", a.status)
	}
	after, _ := got["access_token"].(string)
	run(t, a.Server, after, "SELECT 1")
	if got := login(t, a.Server, "i@example.com", "correct-horse-9"); got.status != 401 {
		t.Errorf("the old password: %d", got.status)
	}
	if got := login(t, a.Server, "i@example.com", "battery-staple-7"); got.status != 200 {
		t.Errorf("the new password: %d %s", got.status, got.body)
	}
}

func TestAnonymousAccountTakesAnAddress(t *testing.T) {
	a := startAccounts(t)
	begun := a.want(201, "anonymous", fields{})
	token, _ := begun["access_token"].(string)
	id := user(begun)["id"]
	bearer := []string{"Authorization", "Bearer " + token}
	run(t, a.Server, token, "INSERT INTO chat.messages (body) VALUES ('before')")

	// An address that is taken moves nothing.
	a.signUp("j@example.com", "correct-horse-9")
	a.want(202, "upgrade", fields{"email": "j@example.com", "password": "battery-staple-7"}, bearer...)
	taken := a.mail.Wait("j@example.com", 2).Code()
	a.want(400, "code/redeem", fields{"email": "j@example.com", "code": taken, "purpose": "verify"}) // not without the bearer
	a.want(202, "upgrade", fields{"email": "j@example.com", "password": "battery-staple-7"}, bearer...)
	taken = a.mail.Wait("j@example.com", 3).Code()
	a.want(409, "code/redeem", fields{"email": "j@example.com", "code": taken, "purpose": "verify"}, bearer...)

	a.want(202, "upgrade", fields{"email": "k@example.com", "password": "battery-staple-7"}, bearer...)
	code := a.mail.Wait("k@example.com", 1).Code()
	got := a.want(200, "code/redeem", fields{"email": "k@example.com", "code": code, "purpose": "verify"}, bearer...)
	if user(got)["id"] != id || user(got)["email"] != "k@example.com" || user(got)["anonymous"] != nil {
		t.Errorf("upgraded to %v", got)
	}
	run(t, a.Server, token, "SELECT 1") // the same session
	again := login(t, a.Server, "k@example.com", "battery-staple-7")
	if again.status != 200 || user(again.json(t))["id"] != id {
		t.Fatalf("login: %d %s", again.status, again.body)
	}
	next, _ := again.json(t)["access_token"].(string)
	if got := compact(t, rows(t, run(t, a.Server, next, "SELECT body FROM chat.messages"))); got != `[["before"]]` {
		t.Errorf("the rows of before: %s", got)
	}
}

func TestAddressMovesWhenItsCodeIsRedeemed(t *testing.T) {
	a := startAccounts(t)
	token, _ := a.signUp("l@example.com", "correct-horse-9")["access_token"].(string)
	bearer := []string{"Content-Type", jsonType, "Authorization", "Bearer " + token}
	if got := do(t, "PATCH", a.URL+"/v1/api/auth/me", strings.NewReader(`{"name":"Lou"}`), bearer...); got.status != 200 || user(got.json(t))["name"] != "Lou" {
		t.Errorf("name: %d %s", got.status, got.body)
	}
	if got := do(t, "PATCH", a.URL+"/v1/api/auth/me", strings.NewReader(`{"email":"lou@example.com"}`), bearer...); got.status != 202 {
		t.Errorf("address: %d %s", got.status, got.body)
	}
	code := a.mail.Wait("lou@example.com", 1).Code()
	if got := login(t, a.Server, "l@example.com", "correct-horse-9"); got.status != 200 {
		t.Errorf("the old address before the code: %d", got.status)
	}
	a.want(200, "code/redeem", fields{"email": "lou@example.com", "code": code, "purpose": "verify"}, "Authorization", "Bearer "+token)
	if got := login(t, a.Server, "lou@example.com", "correct-horse-9"); got.status != 200 {
		t.Errorf("the new address: %d", got.status)
	}
	if got := login(t, a.Server, "l@example.com", "correct-horse-9"); got.status != 401 {
		t.Errorf("the old address: %d", got.status)
	}
	if told := a.mail.Wait("l@example.com", 2); told.Code() != "" {
		t.Errorf("the old address got %q", told.Text)
	}
}

func TestInvitesAreUsedOnce(t *testing.T) {
	a := startAccounts(t, func(c *config.Config) { c.Auth.Accounts.SignUp = "invite" })
	a.want(403, "signup", fields{"email": "m@example.com", "password": "correct-horse-9"})
	a.want(403, "invites", fields{"email": "m@example.com"}, "Authorization", "Bearer "+mint(t, "alice"))
	admin := []string{"Authorization", "Bearer " + mint(t, "admin")}
	a.want(400, "invites", fields{"role": "dba"}, admin...)
	made := a.want(201, "invites", fields{"role": "service"}, admin...)
	secret, _ := made["invite"].(string)
	a.want(202, "signup", fields{"email": "m@example.com", "password": "correct-horse-9", "invite": secret})
	code := a.mail.Wait("m@example.com", 1).Code()
	if got := a.want(200, "code/redeem", fields{"email": "m@example.com", "code": code, "purpose": "verify"}); user(got)["role"] != "service" {
		t.Errorf("the invited user is %v", got)
	}
	a.want(403, "signup", fields{"email": "n@example.com", "password": "correct-horse-9", "invite": secret})
	list := do(t, "GET", a.URL+"/v1/api/auth/invites", nil, admin...)
	if strings.Contains(list.body, secret) || !strings.Contains(list.body, `"used_by":"usr_`) {
		t.Errorf("invites: %s", list.body)
	}
	// One for an address is good for nobody else.
	made = a.want(201, "invites", fields{"email": "o@example.com"}, admin...)
	secret, _ = made["invite"].(string)
	a.want(403, "signup", fields{"email": "p@example.com", "password": "correct-horse-9", "invite": secret})
	id, _ := made["id"].(string)
	if got := do(t, "DELETE", a.URL+"/v1/api/auth/invites/"+id, nil, admin...); got.status != 204 {
		t.Errorf("revoke: %d %s", got.status, got.body)
	}
	a.want(403, "signup", fields{"email": "o@example.com", "password": "correct-horse-9", "invite": secret})
}

func TestSignUpIsClosedByDefault(t *testing.T) {
	s := start(t)
	for _, body := range []string{`{"email":"q@example.com","password":"correct-horse-9"}`, `{"user":"q","password":"correct-horse-9"}`} {
		if a := post(t, s.URL+"/v1/api/auth/signup", "", body); a.status < 400 || a.status >= 600 {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if a := post(t, s.URL+"/v1/api/auth/anonymous", "", `{}`); a.status != 403 {
		t.Errorf("anonymous: %d %s", a.status, a.body)
	}
}

func TestSignUpWithAUserName(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Auth.Accounts.SignUp, c.Auth.Accounts.Email = "open", "none" })
	a := accounts{s, t, nil}
	got := a.want(201, "signup", fields{"user": "Quinn", "password": "correct-horse-9"})
	for _, name := range []string{"Quinn", "quinn", "QUINN"} {
		if l := login(t, s, name, "correct-horse-9"); l.status != 200 || user(l.json(t))["id"] != user(got)["id"] {
			t.Errorf("login as %s: %d %s", name, l.status, l.body)
		}
	}
	for name, status := range map[string]int{"quinn": 409, "ｑｕｉｎｎ": 409, "alice": 409, "a@b.c": 400, "usr_x": 400, "a:b": 400, "": 400} {
		if a := a.ask("signup", fields{"user": name, "password": "correct-horse-9"}); a.status != status {
			t.Errorf("sign up as %q: %d %s, want %d", name, a.status, a.body, status)
		}
	}
}

func TestAddressesOfEveryOddKind(t *testing.T) {
	a := startAccounts(t)
	for _, address := range []string{
		"", "x", "@example.com", "x@", "x@y@example.com", "x @example.com", "x@exam ple.com", "x@example", "x@-example.com", "x@example..com",
		"\"x\"@example.com", "x@[127.0.0.1]", "X <x@example.com>", "x@example.com\r\nBcc: y@example.com", "x\x00@example.com", "x\u200b@example.com",
		strings.Repeat("x", 65) + "@example.com", "x@" + strings.Repeat("a.", 130) + "com", ".x@example.com", "x,y@example.com",
		"x@127.0.0.1", "x@example.123", "x@" + strings.Repeat("a", 64) + ".com", "x@example.com.", "x@exam_ple.com", "x\u202e@example.com", "x%00@[::1]",
	} {
		if got := a.ask("signup", fields{"email": address, "password": "correct-horse-9"}); got.status != 400 {
			t.Errorf("%q: %d %s", address, got.status, got.body)
		}
	}
	for _, address := range []string{"a.b+c@example.com", "ünï@example.com", "x@bücher.example", "x'y@sub.example.co", "x@" + strings.Repeat("a", 63) + ".com", "x@1.example"} {
		if got := a.ask("signup", fields{"email": address, "password": "correct-horse-9"}); got.status != 202 {
			t.Errorf("%q: %d %s", address, got.status, got.body)
		}
	}
}

func TestMailsToAnAddressAreLimited(t *testing.T) {
	a := startAccounts(t)
	for i := range 8 {
		if got := a.ask("signup", fields{"email": "r@example.com", "password": "correct-horse-9"}); got.status != 202 {
			t.Fatalf("%d: %d %s", i, got.status, got.body)
		}
	}
	a.ask("signup", fields{"email": "s@example.com", "password": "correct-horse-9"})
	a.mail.Wait("s@example.com", 1) // queued after all of those
	if n := len(a.mail.To("r@example.com")); n != 5 {
		t.Errorf("the address got %d mails, want 5", n)
	}
}

// browser follows links as people do.
type browser struct {
	*http.Client
	t *testing.T
}

func newBrowser(t *testing.T) browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser{&http.Client{Jar: jar}, t}
}

func (b browser) send(method, url string, body io.Reader, contentType string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, url, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	resp, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	if strings.Contains(resp.Header.Get("Content-Type"), "html") && !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		b.t.Errorf("%s: policy %q", url, resp.Header.Get("Content-Security-Policy"))
	}
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(out)
}

var linkInMail = regexp.MustCompile(`https?://\S+/confirm\?token=(\S+)`)

func TestLinksConfirmAndSignInOnlyWhereTheyWereAskedFor(t *testing.T) {
	var origin string
	a := startAccounts(t, func(c *config.Config) { c.Server.PublicOrigin = "http://localhost:1" })
	origin = a.URL
	linkOf := func(email string, n int) (string, url.Values) {
		m := linkInMail.FindStringSubmatch(a.mail.Wait(email, n).Text)
		if m == nil {
			t.Fatalf("no link in %q", a.mail.Wait(email, n).Text)
		}
		token, err := url.QueryUnescape(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return origin + "/v1/api/auth/confirm?token=" + m[1], url.Values{"token": {token}}
	}
	form := "application/x-www-form-urlencoded"
	own, other := newBrowser(t), newBrowser(t)
	if status, body := own.send("POST", a.URL+"/v1/api/auth/signup", strings.NewReader(`{"email":"t@example.com","password":"correct-horse-9"}`), jsonType); status != 202 {
		t.Fatal(status, body)
	}
	link, values := linkOf("t@example.com", 1)
	for range 3 { // scanners of mails look, and change nothing
		if status, _ := other.send("HEAD", link, nil, ""); status != 200 {
			t.Errorf("HEAD: %d", status)
		}
		if status, body := other.send("GET", link, nil, ""); status != 200 || !strings.Contains(body, "t***@example.com") || strings.Contains(body, "<script") {
			t.Errorf("GET: %d %s", status, body)
		}
	}
	if got := login(t, a.Server, "t@example.com", "correct-horse-9"); got.status != 401 {
		t.Errorf("a look has confirmed: %d", got.status)
	}
	// Elsewhere it takes the password: nobody confirms what a stranger has begun.
	for _, password := range []string{"", "thief-horse-99"} {
		values.Set("password", password)
		if status, _ := other.send("POST", a.URL+"/v1/api/auth/confirm", strings.NewReader(values.Encode()), form); status != 400 {
			t.Errorf("POST elsewhere with the password %q: %d", password, status)
		}
	}
	values.Set("password", "correct-horse-9")
	status, body := other.send("POST", a.URL+"/v1/api/auth/confirm", strings.NewReader(values.Encode()), form)
	if status != 200 || !strings.Contains(body, "Confirmed") {
		t.Errorf("POST elsewhere: %d %s", status, body)
	}
	at, _ := url.Parse(a.URL)
	for _, c := range other.Jar.Cookies(at) {
		if strings.Contains(c.Name, "refresh") && c.Value != "" {
			t.Error("a link has signed in another browser")
		}
	}
	if got := login(t, a.Server, "t@example.com", "correct-horse-9"); got.status != 200 {
		t.Errorf("login after confirming: %d %s", got.status, got.body)
	}
	if status, _ := other.send("POST", a.URL+"/v1/api/auth/confirm", strings.NewReader(values.Encode()), form); status != 404 {
		t.Errorf("the same link again: %d", status)
	}
	// A sign-in belongs to the browser that asked for it.
	own.send("POST", a.URL+"/v1/api/auth/code", strings.NewReader(`{"email":"t@example.com","purpose":"login"}`), jsonType)
	_, values = linkOf("t@example.com", 2)
	if status, _ := other.send("POST", a.URL+"/v1/api/auth/confirm", strings.NewReader(values.Encode()), form); status != 404 {
		t.Errorf("a sign-in link elsewhere: %d", status)
	}
	status, body = own.send("POST", a.URL+"/v1/api/auth/confirm", strings.NewReader(values.Encode()), form)
	if status != 200 || !strings.Contains(body, "signed in") {
		t.Errorf("a sign-in link at home: %d %s", status, body)
	}
	signedIn := false
	for _, c := range own.Jar.Cookies(at) {
		signedIn = signedIn || c.Name == "kalamdb_refresh" && c.Value != ""
	}
	if !signedIn {
		t.Error("the browser that asked is not signed in")
	}
}

func TestMailWaitsForTheSMTPServer(t *testing.T) {
	a := startAccounts(t)
	a.mail.Stop()
	a.want(202, "signup", fields{"email": "u@example.com", "password": "correct-horse-9"})
	admin := mint(t, "admin")
	for state := ""; !strings.Contains(state, `"queued"`) || !strings.Contains(state, "refused"); {
		state = query(t, a.Server, admin, "SELECT state, recipient, last_error FROM system.mail").body
		if strings.Contains(state, "u@example.com") {
			t.Fatalf("system.mail shows an address: %s", state)
		}
	}
	a.mail.Start()
	code := a.mail.Wait("u@example.com", 1).Code()
	a.want(200, "code/redeem", fields{"email": "u@example.com", "code": code, "purpose": "verify"})
	if n := len(a.mail.To("u@example.com")); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// TestDeletedAccountLeavesNothing looks for what an account has written in every
// file of the data folder.
func TestDeletedAccountLeavesNothing(t *testing.T) {
	a := startAccounts(t)
	secrets := []string{"v-unmistakable@example.com", "body-unmistakable-1", "body-unmistakable-2", "Vera Unmistakable"}
	token, _ := a.signUp(secrets[0], "correct-horse-9")["access_token"].(string)
	bearer := []string{"Content-Type", jsonType, "Authorization", "Bearer " + token}
	do(t, "PATCH", a.URL+"/v1/api/auth/me", strings.NewReader(`{"name":"`+secrets[3]+`"}`), bearer...)
	for range 300 { // pages of them
		run(t, a.Server, token, "INSERT INTO chat.messages (body) VALUES ($1)", secrets[1]+strings.Repeat("x", 500))
	}
	run(t, a.Server, token, "UPDATE chat.messages SET body = $1", secrets[2])
	key := makeKey(t, a.Server, token, "CREATE API KEY ci")
	if got := query(t, a.Server, key, "SELECT 1"); got.status != 200 {
		t.Fatalf("its key: %d %s", got.status, got.body)
	}
	hash := sha256.Sum256([]byte(key)) // what is kept of it; the audit goes on to name it
	secrets = append(secrets, string(hash[:]))
	found := func() (out []string) {
		err := filepath.WalkDir(a.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			for _, secret := range secrets {
				if bytes.Contains(b, []byte(secret)) {
					out = append(out, filepath.Base(path)+" has "+secret)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if all := strings.Join(found(), "\n"); !strings.Contains(all, secrets[0]) || !strings.Contains(all, secrets[2]) || !strings.Contains(all, secrets[4]) {
		t.Fatalf("the test does not find what is there of an account: %q", all)
	}
	if got := do(t, "DELETE", a.URL+"/v1/api/auth/me", strings.NewReader(`{"password":"wrong-horse-99"}`), bearer...); got.status != 403 {
		t.Errorf("with a wrong password: %d %s", got.status, got.body)
	}
	if got := do(t, "DELETE", a.URL+"/v1/api/auth/me", strings.NewReader(`{"password":"correct-horse-9"}`), bearer...); got.status != 204 {
		t.Fatalf("delete: %d %s", got.status, got.body)
	}
	if got := query(t, a.Server, token, "SELECT 1"); got.status != 401 {
		t.Errorf("its session: %d", got.status)
	}
	if got := query(t, a.Server, key, "SELECT 1"); got.status != 401 {
		t.Errorf("its key: %d", got.status)
	}
	if got := query(t, a.Server, mint(t, "admin"), "SELECT name FROM system.api_keys"); strings.Contains(got.body, `"ci"`) {
		t.Errorf("keys that are left: %s", got.body)
	}
	if got := login(t, a.Server, secrets[0], "correct-horse-9"); got.status != 401 {
		t.Errorf("its login: %d", got.status)
	}
	audit := query(t, a.Server, mint(t, "admin"), "SELECT actor_user_id FROM system.audit_log WHERE action = 'DROP_USER'").body
	if !strings.Contains(audit, "usr_") {
		t.Errorf("the audit: %s", audit)
	}
	a.Close()
	if left := found(); len(left) > 0 {
		t.Errorf("left in the data folder: %v", left)
	}
}

func TestAccountIsDeletedByAFreshSessionOrThePassword(t *testing.T) {
	a := startAccounts(t)
	begun := a.want(201, "anonymous", fields{})
	token, _ := begun["access_token"].(string)
	if got := do(t, "DELETE", a.URL+"/v1/api/auth/me", nil, "Authorization", "Bearer "+token); got.status != 204 {
		t.Errorf("a fresh session: %d %s", got.status, got.body)
	}
	// A token without a session is never fresh, and the last administrator stays.
	if got := do(t, "DELETE", a.URL+"/v1/api/auth/me", nil, "Authorization", "Bearer "+mint(t, "bob")); got.status != 403 {
		t.Errorf("without password and session: %d %s", got.status, got.body)
	}
	in := login(t, a.Server, "admin", servertest.Password).json(t)
	if got := do(t, "DELETE", a.URL+"/v1/api/auth/me", nil, "Authorization", "Bearer "+in["access_token"].(string)); got.status != 403 {
		t.Errorf("the last dba: %d %s", got.status, got.body)
	}
	// The address of an account that is gone is free again.
	token, _ = a.signUp("w@example.com", "correct-horse-9")["access_token"].(string)
	if got := do(t, "DELETE", a.URL+"/v1/api/auth/me", nil, "Authorization", "Bearer "+token); got.status != 204 {
		t.Fatalf("delete: %d %s", got.status, got.body)
	}
	a.signUp("w@example.com", "battery-staple-7")
}
