package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/kalamdb/kalam-go/internal/node"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// outputs is everything that a server lets out, except for the answers that
// give somebody their own tokens.
type outputs struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *outputs) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *outputs) see(a answer) answer {
	fmt.Fprintln(o, a.status, a.header, a.body)
	return a
}

// find reports the spelling in which a secret is there, or "".
func (o *outputs) find(secret string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.all.String()
	for name, s := range map[string]string{
		"raw": secret, "hex": hex.EncodeToString([]byte(secret)), "JSON": strings.Trim(string(must(json.Marshal(secret))), `"`),
		"base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="), "base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"URL": url.QueryEscape(secret), "URL path": url.PathEscape(secret), "slog": strings.Trim(fmt.Sprintf("%q", secret), `"`),
	} {
		if strings.Contains(text, s) {
			return name
		}
	}
	// A part of it, at any offset of base64, is as bad.
	for i := range 3 {
		part := base64.RawStdEncoding.EncodeToString([]byte(secret[i:]))
		if mid := part[4 : len(part)-4]; len(mid) >= 12 && strings.Contains(text, mid) {
			return "part of base64"
		}
	}
	return ""
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestNoSecretLeavesTheServer puts secrets wherever a client can put one, signs
// in and out, and then looks for them in the logs at the finest level, in every
// answer, and in every table that an administrator can read.
func TestNoSecretLeavesTheServer(t *testing.T) {
	out := &outputs{}
	c := freshConfig(t)
	c.Auth.RootPassword = "root-Secret/with+odd=chars"
	n, err := node.Start(t.Context(), c, node.Options{Demo: true, Logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close(t.Context())
	s := &servertest.Server{URL: n.URL(), Port: n.Port()}
	secrets := map[string]string{"token secret": secret, "root's password": c.Auth.RootPassword}
	seed := func(name string) string {
		secrets[name] = name + "-hunter2+hunter2/" + fmt.Sprint(len(secrets))
		return secrets[name]
	}
	body := func(v any) string { return string(must(json.Marshal(v))) }
	auth := s.URL + "/v1/api/auth/"

	out.see(post(t, auth+"login", "", body(map[string]string{"user": "alice", "password": seed("wrong")})))
	out.see(post(t, auth+"login", "", body(map[string]string{"user": seed("typed-as-name"), "password": "x"})))
	out.see(post(t, auth+"login", "", `{"user":"alice","password":"`+seed("malformed")+`"`))
	out.see(post(t, auth+"login", "", `{"user":"alice","pass":"`+seed("misnamed")+`"}`))
	out.see(post(t, auth+"login?password="+url.QueryEscape(seed("in-login-query")), "", "{}"))
	out.see(do(t, "POST", auth+"login", strings.NewReader("user=alice&password="+seed("form")), "Content-Type", "application/x-www-form-urlencoded"))
	out.see(do(t, "GET", s.URL+"/v1/ws?token="+url.QueryEscape(seed("in-socket-query")), nil, "Connection", "Upgrade", "Upgrade", "websocket"))
	out.see(do(t, "GET", s.URL+"/v1/nowhere/"+url.PathEscape(seed("in-path")), nil))
	for _, scheme := range []string{"Bearer ", "Basic ", "Digest ", ""} {
		out.see(do(t, "POST", s.URL+"/v1/api/sql", strings.NewReader(`{"sql":"SELECT 1"}`), "Content-Type", jsonType, "Authorization", scheme+seed("header"+strings.TrimSpace(scheme))))
	}
	for _, path := range []string{"refresh", "logout", "me", "sessions"} {
		out.see(do(t, map[bool]string{true: "GET", false: "POST"}[path == "me" || path == "sessions"], auth+path, nil, "Authorization", "Bearer "+seed("to-"+path)))
		out.see(do(t, "POST", auth+path, nil, "Cookie", "kalamdb_refresh="+seed("cookie-"+path)+"; kalamdb_auth="+secrets["cookie-"+path], "X-Kalam-CSRF", "1"))
	}
	signIn := func(user, password string) (access, refresh string) {
		a := login(t, s, user, password) // not an output: it is theirs
		if a.status != 200 {
			t.Fatalf("sign in as %s: %d %s", user, a.status, a.body)
		}
		in := a.json(t)
		access, refresh = in["access_token"].(string), in["refresh_token"].(string)
		secrets[user+" signature "+fmt.Sprint(len(secrets))] = access[strings.LastIndexByte(access, '.')+1:]
		secrets[user+" refresh "+fmt.Sprint(len(secrets))] = refresh[strings.LastIndexByte(refresh, '.')+1:]
		return access, refresh
	}
	access, refresh := signIn("alice", servertest.Password)
	do(t, "POST", auth+"refresh", nil, "Authorization", "Bearer "+refresh)
	next := seed("next")
	out.see(post(t, auth+"password", access, body(map[string]string{"current": servertest.Password, "new": next})))
	out.see(post(t, auth+"password", access, body(map[string]string{"current": seed("wrong-current"), "new": seed("never-set")})))
	admin, _ := signIn("root", c.Auth.RootPassword)
	out.see(query(t, s, admin, "CREATE USER eve WITH PASSWORD '"+seed("created")+"' ROLE user"))
	out.see(query(t, s, admin, "ALTER USER eve SET PASSWORD '"+seed("altered")+"'"))
	out.see(query(t, s, admin, "CREATE USER eve2 WITH PASSWORD '"+seed("mistaken")+"' ROLE nonsense"))
	out.see(query(t, s, admin, "CREATE USR eve3 WITH PASSWORD '"+seed("syntax")+"'"))
	out.see(query(t, s, admin, "EXECUTE AS USER 'alice' (SELECT id FROM chat.messages WHERE body = '"+seed("literal")+"')"))
	out.see(query(t, s, access, "SELECT id FROM chat.messages WHERE body = $1 AND nonsense", seed("parameter")))
	out.see(do(t, "POST", auth+"logout", nil, "Authorization", "Bearer "+access))
	k := dial(t, s, "")
	k.send(`{"type":"authenticate","method":"jwt","token":"` + seed("on-the-socket") + `"}`)
	fmt.Fprintln(out, k.next().raw)
	for _, table := range []string{"users", "sessions", "audit_log", "settings", "stats", "live"} {
		if a := out.see(query(t, s, admin, "SELECT * FROM system."+table)); a.status != 200 {
			t.Errorf("system.%s: %s", table, a.body)
		}
	}
	for name, secret := range secrets {
		if how := out.find(secret); how != "" {
			t.Errorf("%s (%s) is in an output, %s", name, secret, how)
		}
	}
	if out.find("LOGIN_FAILED") == "" {
		t.Error("the search finds nothing at all")
	}
}

// TestSmuggledRequests sends what parsers disagree about.
func TestSmuggledRequests(t *testing.T) {
	s := start(t)
	token := mint(t, "alice")
	const head = "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	const sql = `{"sql":"SELECT 1"}`
	for name, c := range map[string]struct {
		request string
		want    string
	}{
		"two authorizations":        {head + "Authorization: Bearer " + token + "\r\nauthorization: Bearer x\r\nContent-Length: 18\r\n\r\n" + sql, "400"},
		"two lengths":               {head + "Authorization: Bearer " + token + "\r\nContent-Length: 18\r\nContent-Length: 5\r\n\r\n" + sql, "400"},
		"space before the colon":    {head + "Authorization : Bearer " + token + "\r\nContent-Length: 18\r\n\r\n" + sql, "400"},
		"folded header":             {head + "X-A: b\r\n Authorization: Bearer " + token + "\r\nContent-Length: 18\r\n\r\n" + sql, "40"},
		"NUL in the token":          {head + "Authorization: Bearer a\x00b\r\nContent-Length: 18\r\n\r\n" + sql, "400"},
		"odd transfer encoding":     {head + "Authorization: Bearer " + token + "\r\nTransfer-Encoding: xchunked\r\n\r\n" + sql, "501"},
		"two hosts":                 {head + "Host: evil.example.com\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 18\r\n\r\n" + sql, "400"},
		"comma of tokens":           {head + "Authorization: Bearer x, Bearer " + token + "\r\nContent-Length: 18\r\n\r\n" + sql, "401"},
		"no space after the scheme": {head + "Authorization: Bearer" + token + "\r\nContent-Length: 18\r\n\r\n" + sql, "401"},
		"line feed only":            {head + "X: y\nAuthorization: Bearer " + token + "x\r\nContent-Length: 18\r\n\r\n" + sql, "401"},
	} {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write([]byte(c.request))
		var buf [64]byte
		n, _ := conn.Read(buf[:])
		conn.Close()
		if got := string(buf[:n]); !strings.HasPrefix(got, "HTTP/1.1 "+c.want) {
			t.Errorf("%s: got %q, want %s", name, got, c.want)
		}
	}
}

// TestLookAlikeNamesAreNobody: a name that only looks like another is another,
// and one that is the same text in another form is the same.
func TestLookAlikeNamesAreNobody(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	for _, name := range []string{"аlice", "alicе", "ａlice", "ALICE", "alice\u0301"} {
		a := login(t, s, name, servertest.Password)
		wantAuthError(t, a, 401, "unauthorized", "Invalid credentials")
		wantError(t, query(t, s, sign(t, jose.HS256, secret, claims(name, "user", time.Hour)), "SELECT 1"), 401, "INVALID_CREDENTIALS", "")
	}
	for _, name := range []string{"alice\u200b", "ali\u00adce", "alice ", " alice", "alice\x00", "al\u202eice", "corp:alice", "a/../alice"} {
		if a := query(t, s, admin, `CREATE USER "`+name+`" WITH PASSWORD 'Secret123!' ROLE user`); a.status == 200 {
			t.Errorf("user %q was created", name)
		}
		a := login(t, s, name, servertest.Password)
		if a.status != 401 {
			t.Errorf("%q: %d %s", name, a.status, a.body)
		}
	}
	run(t, s, admin, "CREATE USER \"ren\u00e9e\" WITH PASSWORD 'Secret123!' ROLE user")
	wantError(t, query(t, s, admin, "CREATE USER \"rene\u0301e\" WITH PASSWORD 'Secret123!' ROLE user"), 400, "ALREADY_EXISTS", "")
	if a := login(t, s, "rene\u0301e", servertest.Password); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestTokensInURLsAreNotRead: a token in a query or a path lets nobody in.
func TestTokensInURLsAreNotRead(t *testing.T) {
	s := start(t)
	token := mint(t, "alice")
	for _, path := range []string{
		"/v1/api/auth/me?access_token=" + token, "/v1/api/auth/me?token=" + token, "/v1/api/auth/sessions?authorization=Bearer%20" + token,
	} {
		wantAuthError(t, do(t, "GET", s.URL+path, nil), 401, "unauthorized", "Authentication required")
	}
	a := do(t, "POST", s.URL+"/v1/api/sql?access_token="+token, strings.NewReader(`{"sql":"SELECT 1"}`), "Content-Type", jsonType)
	wantError(t, a, 401, "MISSING_AUTHORIZATION", "")
}
