package server_test

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// putFile uploads one file into a row of app.docs and gives its reference.
func putFile(t testing.TB, s *servertest.Server, token string, id string, file formPart) fileRef {
	t.Helper()
	file.name = "file:a"
	a := upload(t, s, token, formPart{name: "sql", content: "INSERT INTO app.docs (id, body) VALUES (" + id + ", FILE('a'))"}, file)
	if a.status != 200 {
		t.Fatal(a.body)
	}
	return refs(t, s, token, "SELECT body FROM app.docs WHERE id = "+id)[0]
}

func TestFileDownload(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	f := putFile(t, s, alice, "1", formPart{file: "a b.txt", typ: "text/markdown; charset=UTF-8", content: "0123456789"})
	path, tag := f.path("app.docs"), `"`+f.SHA256+`"`

	a := get(t, s, alice, path)
	for k, want := range map[string]string{
		"Etag": tag, "Accept-Ranges": "bytes", "Content-Length": "10", "Content-Type": "text/markdown; charset=utf-8",
		"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache", "Content-Disposition": `attachment; filename="a b.txt"`,
	} {
		if got := a.header.Get(k); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "sandbox") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "allow-") {
		t.Errorf("policy %q", csp)
	}
	for name, c := range map[string]struct {
		headers []string
		status  int
		body    string
	}{
		"a range":               {[]string{"Range", "bytes=2-4"}, 206, "234"},
		"the end":               {[]string{"Range", "bytes=-3"}, 206, "789"},
		"beyond the end":        {[]string{"Range", "bytes=10-"}, 416, ""},
		"no range":              {[]string{"Range", "lines=1-2"}, 416, ""},
		"unchanged":             {[]string{"If-None-Match", tag}, 304, ""},
		"another":               {[]string{"If-None-Match", `"x"`}, 200, "0123456789"},
		"a range if unchanged":  {[]string{"Range", "bytes=0-0", "If-Range", tag}, 206, "0"},
		"all if changed":        {[]string{"Range", "bytes=0-0", "If-Range", `"x"`}, 200, "0123456789"},
		"only if it is another": {[]string{"If-Match", `"x"`}, 412, ""},
	} {
		a := get(t, s, alice, path, c.headers...)
		if a.status != c.status || a.status < 300 && a.body != c.body {
			t.Errorf("%s: %d %q, want %d %q", name, a.status, a.body, c.status, c.body)
		}
	}
	h := do(t, "HEAD", s.URL+path, nil, "Authorization", "Bearer "+alice)
	if h.status != 200 || h.header.Get("Content-Length") != "10" || h.body != "" {
		t.Errorf("HEAD: %d %v %q", h.status, h.header, h.body)
	}
	if a := do(t, "DELETE", s.URL+path, nil, "Authorization", "Bearer "+alice); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("DELETE: %d %v", a.status, a.header)
	}
	wantError(t, get(t, s, "", path), 401, "MISSING_AUTHORIZATION", "")
	a = get(t, s, alice, path+"0")
	if in := a.json(t); a.status != 404 || in["code"] != "FILE_NOT_FOUND" || in["error"] != "File not found" {
		t.Errorf("missing: %d %s", a.status, a.body)
	}
	page := do(t, "GET", s.URL+path, nil, "Authorization", "Bearer "+alice, "Origin", "http://localhost:3000")
	if page.header.Get("Access-Control-Allow-Origin") == "" || !strings.Contains(page.header.Get("Access-Control-Expose-Headers"), "Content-Disposition") {
		t.Errorf("a page of another origin: %v", page.header)
	}
}

// TestFileCannotActAsTheSite uploads what would, and looks at how it is served.
func TestFileCannotActAsTheSite(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	for i, c := range []struct{ file, typ, content, mime, disposition string }{
		{"x.html", "image/png", "<html><script>alert(1)</script>", "text/html; charset=utf-8", "attachment"},
		{"x.png", "text/html", "\x89PNG\r\n\x1a\n<script>", "image/png", "inline"},
		{"x.svg", "image/svg+xml", "<?xml version='1.0'?><svg onload='alert(1)'/>", "image/svg+xml", "attachment"},
		{"x.svg", "image/svg+xml", "<svg onload='alert(1)'/>", "image/svg+xml", "attachment"},
		{"x.html", "image/svg+xml", "<!-- <svg> --><html><script>alert(1)</script>", "text/html; charset=utf-8", "attachment"},
		{"x.html", "video/webm", "\n <SCRIPT>alert(1)</SCRIPT>", "text/html; charset=utf-8", "attachment"},
		{"x.html", "application/xhtml+xml", "<x xmlns='http://www.w3.org/1999/xhtml'/>", "text/plain; charset=utf-8", "inline"},
		{"x.xhtml", "application/xhtml+xml", "<?xml version='1.0'?><html/>", "text/xml; charset=utf-8", "attachment"},
		{"x.bin", "text/html", "\x00\x01\x02\x03", "application/octet-stream", "attachment"},
		{"x.js", "application/javascript", "alert(1)", "application/javascript", "attachment"},
		{"x.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "PK\x03\x04....", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "attachment"},
		{"x.heic", "image/heic", "\x00\x00\x00\x18ftypheic\x00\x00", "image/heic", "inline"},
		{"x.txt", "text/plain; charset=iso-8859-1\"; x=", "hello", "text/plain; charset=utf-8", "inline"},
		{"x", "multipart/form-data; boundary=a", "hello", "text/plain; charset=utf-8", "inline"},
	} {
		f := putFile(t, s, alice, strconv.Itoa(i), formPart{file: c.file, typ: c.typ, content: c.content})
		a := get(t, s, alice, f.path("app.docs"))
		disposition, _, _ := strings.Cut(a.header.Get("Content-Disposition"), ";")
		if f.MIME != c.mime || a.header.Get("Content-Type") != c.mime || disposition != c.disposition {
			t.Errorf("%s as %s: recorded %q, served %q %q, want %q %q", c.file, c.typ, f.MIME, a.header.Get("Content-Type"), disposition, c.mime, c.disposition)
		}
		if a := get(t, s, alice, f.path("app.docs")+"?download=1"); !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: to be saved, got %v", c.file, a.header)
		}
	}
}

// TestFileNamesAreHarmless sends names that try to be a path or a header.
func TestFileNamesAreHarmless(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	for i, c := range []struct{ sent, name string }{
		{"../../../etc/passwd", "passwd"},
		{`C:\Windows\..\evil.exe`, "evil.exe"},
		{"..", "a"},
		{"/", "a"},
		{"a%22; filename=%22b.html", `a"; filename="b.html`},
		{"a\u0085b.txt", "ab.txt"},
		{"\u202etxt.exe", "txt.exe"},
		{strings.Repeat("ü", 300) + ".txt", strings.Repeat("ü", 127)},
		{"naïve résumé.txt", "naïve résumé.txt"},
		{"%0d%0aSet-Cookie: a=b", "%0d%0aSet-Cookie: a=b"},
	} {
		f := putFile(t, s, alice, strconv.Itoa(i), formPart{file: c.sent, content: "x"})
		a := get(t, s, alice, f.path("app.docs"))
		_, params, err := mime.ParseMediaType(a.header.Get("Content-Disposition"))
		if c.name == "txt.exe" && a.header.Get("Content-Disposition") != `inline; filename="txt.exe"` {
			t.Errorf("got %s, not as KalamDB 0.4 writes it", a.header.Get("Content-Disposition"))
		}
		if f.Name != c.name || a.status != 200 || err != nil || params["filename"] != c.name || len(params) != 1 {
			t.Errorf("%q: name %q, served as %q (%v)", c.sent, f.Name, a.header.Get("Content-Disposition"), err)
		}
		if a.header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %v", c.sent, a.header)
		}
	}
	if list := stored(t, s); len(list) != 10 {
		t.Errorf("contents %v", list)
	}
	for _, path := range []string{
		"/v1/files/app/docs/f0001/../../../LOCK", "/v1/files/app/docs/f0001/..", "/v1/files/app/docs/../kalam.db", "/v1/files/app/docs/f0001/%2e%2e%2fLOCK",
		"/v1/files/app/docs/f0001/a%5cb", "/v1/files/app/docs/f0001/1%00", "/v1/files/app/docs/f1/1", "/v1/files/app/docs/F0001/1", "/v1/files/app/docs/f00011/1",
		"/v1/files/app/docs/f0001", "/v1/files/app/docs/f0001/", "/v1/files/app/docs/f0001/1/2", "/v1/files/a%2fb/docs/f0001/1", "/api/v1/files/app/docs/%2e%2e/1",
	} {
		r, err := http.NewRequest("GET", s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = strings.TrimPrefix(s.URL, "http:") + path // as it is
		r.Header.Set("Authorization", "Bearer "+alice)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// signed asks for a signed URL.
func signed(t testing.TB, s *servertest.Server, token, path string, seconds int) (url string, a answer) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"path": path, "expires_in": seconds})
	if err != nil {
		t.Fatal(err)
	}
	a = post(t, s.URL+"/v1/api/files/sign", token, string(body))
	if a.status != 200 {
		return "", a
	}
	var out struct {
		URL       string
		ExpiresAt int64 `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(time.Unix(out.ExpiresAt, 0)); left > time.Duration(seconds)*time.Second {
		t.Errorf("the URL lives %v", left)
	}
	return out.URL, a
}

func TestSignedURL(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin, _ := session(t, s, "admin")
	alice, _ := session(t, s, "alice")
	run(t, s, admin, docs)
	f := putFile(t, s, alice, "1", formPart{content: "hello"})
	other := putFile(t, s, alice, "2", formPart{content: "other"})
	path := f.path("app.docs")
	url, _ := signed(t, s, alice, "/api"+path, 60)
	if a := get(t, s, "", url); a.status != 200 || a.body != "hello" {
		t.Fatalf("%s: %d %s", url, a.status, a.body)
	}
	if a := get(t, s, "", strings.TrimPrefix(url, "/api")); a.status != 200 {
		t.Errorf("by the other prefix: %d %s", a.status, a.body)
	}
	ticket := url[strings.Index(url, "?"):]
	for name, bad := range map[string]string{
		"another file":    other.path("app.docs") + ticket,
		"another user":    path + ticket + "&user_id=bob",
		"another ticket":  path + ticket[:len(ticket)-2] + "xx",
		"half a ticket":   path + ticket[:len(ticket)/2],
		"no ticket":       path + "?ticket=",
		"a ticket of dot": path + "?ticket=.",
	} {
		if a := get(t, s, "", bad); a.status != 401 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := post(t, s.URL+"/v1/api/sql", strings.TrimPrefix(ticket, "?ticket="), `{"sql":"SELECT 1"}`); a.status != 401 {
		t.Errorf("a ticket as a token: %d", a.status)
	}
	for _, c := range []struct {
		token, path string
		seconds     int
		status      int
		code        string
	}{
		{"", path, 60, 401, "MISSING_AUTHORIZATION"},
		{admin, path, 60, 404, "FILE_NOT_FOUND"},
		{alice, path + "?user_id=bob", 60, 403, "PERMISSION_DENIED"},
		{alice, path, -1, 400, "INVALID_INPUT"},
		{alice, path, 86401, 400, "INVALID_INPUT"},
		{alice, "http://evil.example" + path, 60, 400, "INVALID_INPUT"},
		{alice, "//evil.example" + path, 60, 400, "INVALID_INPUT"},
		{alice, "/v1/api/sql", 60, 400, "INVALID_INPUT"},
		{alice, "/v1/files/app/docs/f0001/..", 60, 400, "INVALID_INPUT"},
	} {
		if _, a := signed(t, s, c.token, c.path, c.seconds); a.status != c.status || !strings.Contains(a.body, c.code) {
			t.Errorf("%s for %d s: %d %s", c.path, c.seconds, a.status, a.body)
		}
	}
	forAlice, _ := signed(t, s, admin, path+"?user_id=alice", 60)
	if a := get(t, s, "", forAlice); a.status != 200 {
		t.Errorf("for another user: %d %s", a.status, a.body)
	}

	// The right to the row is asked each time, and so is the session.
	run(t, s, alice, "UPDATE app.docs SET body = NULL WHERE id = 1")
	if a := get(t, s, "", url); a.status != 404 {
		t.Errorf("after the file has gone: %d %s", a.status, a.body)
	}
	run(t, s, alice, "UPDATE app.docs SET extra = body")
	url, _ = signed(t, s, alice, other.path("app.docs"), 60)
	if a := get(t, s, "", url); a.status != 200 {
		t.Errorf("before the session ends: %d %s", a.status, a.body)
	}
	again, _ := session(t, s, "alice")
	stays, _ := signed(t, s, again, other.path("app.docs"), 60)
	if a := do(t, "POST", s.URL+"/v1/api/auth/logout", nil, "Authorization", "Bearer "+alice); a.status != 200 {
		t.Fatal(a.body)
	}
	if a := get(t, s, "", url); a.status != 401 {
		t.Errorf("after the session has ended: %d %s", a.status, a.body)
	}
	if a := get(t, s, "", stays); a.status != 200 {
		t.Errorf("in another session: %d %s", a.status, a.body)
	}
	run(t, s, admin, "ALTER USER 'alice' SET ROLE service")
	if a := get(t, s, "", stays); a.status != 401 {
		t.Errorf("after the user has changed: %d %s", a.status, a.body)
	}
}

// TestSignedURLOfMintedToken: without a session, a URL lives as long as the token.
func TestSignedURLOfMintedToken(t *testing.T) {
	s := start(t)
	run(t, s, mint(t, "admin"), docs)
	alice := mint(t, "alice")
	f := putFile(t, s, alice, "1", formPart{content: "hello"})
	short := mintFor(t, "alice", 10*time.Minute)
	url, a := signed(t, s, short, f.path("app.docs"), 3600)
	if got := get(t, s, "", url); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var out struct {
		ExpiresAt int64 `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || time.Until(time.Unix(out.ExpiresAt, 0)) > 10*time.Minute {
		t.Errorf("it lives longer than its token: %s", a.body)
	}
	if a := do(t, "POST", s.URL+"/v1/api/auth/logout", nil, "Authorization", "Bearer "+short); a.status != 200 {
		t.Fatal(a.body)
	}
	if got := get(t, s, "", url); got.status != 401 {
		t.Errorf("after the token was given up: %d %s", got.status, got.body)
	}
	now, _ := signed(t, s, alice, f.path("app.docs"), 1)
	eventually(t, "the URL ends", func() bool { return get(t, s, "", now).status == 401 })
}
