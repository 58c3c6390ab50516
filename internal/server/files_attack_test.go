package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// goodForm is an upload that would go well.
func goodForm(t testing.TB, content string) (body []byte, contentType string) {
	b, typ := form(t,
		formPart{name: "sql", content: "INSERT INTO app.docs (id, body) VALUES (1, FILE('a'))"},
		formPart{name: "file:a", file: "a.txt", typ: "text/plain", content: content})
	return b.Bytes(), typ
}

// raw sends a request by hand, gives up its half of the connection, and reads
// the answer, if there is one.
func raw(t testing.TB, s *servertest.Server, head string, body []byte) (status int, answer string) {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, head)
	c.Write(body)
	c.(*net.TCPConn).CloseWrite()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

// nothing checks that neither row nor content is there and the server serves.
func nothing(t testing.TB, s *servertest.Server, token, after string) {
	t.Helper()
	eventually(t, "no content after "+after, func() bool { return len(stored(t, s)) == 0 })
	if n := rows(t, run(t, s, token, "SELECT count(*) FROM app.docs")); n != `[["0"]]` {
		t.Errorf("after %s: rows %s", after, n)
	}
}

// TestTruncatedUploads ends the body of a good upload at every place.
func TestTruncatedUploads(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, mint(t, "admin"), docs)
	body, typ := goodForm(t, strings.Repeat("0123456789", 100))
	head := func(length string) string {
		return "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + alice + "\r\nContent-Type: " + typ + "\r\n" + length + "\r\n\r\n"
	}
	end := bytes.LastIndex(body, []byte("--\r\n")) // what is after the last boundary
	for cut := 0; cut < end; cut += 1 + rand.IntN(40) {
		// The length says that there is more.
		if status, answer := raw(t, s, head(fmt.Sprintf("Content-Length: %d", len(body))), body[:cut]); status == 200 {
			t.Fatalf("cut at %d of %d: %s", cut, len(body), answer)
		}
		// The length is right, but the form is not whole.
		status, answer := raw(t, s, head(fmt.Sprintf("Content-Length: %d", cut)), body[:cut])
		if status != 400 || !strings.Contains(answer, "INVALID_INPUT") {
			t.Fatalf("form of %d of %d bytes: %d %s", cut, len(body), status, answer)
		}
		// In chunks, without an end.
		chunk := append([]byte(fmt.Sprintf("%x\r\n", cut)), body[:cut]...)
		if status, answer := raw(t, s, head("Transfer-Encoding: chunked"), append(chunk, "\r\n"...)); status == 200 {
			t.Fatalf("chunk of %d: %s", cut, answer)
		}
	}
	nothing(t, s, alice, "truncated uploads")
	if a := do(t, "POST", s.URL+"/v1/api/sql", bytes.NewReader(body), "Content-Type", typ, "Authorization", "Bearer "+alice); a.status != 200 {
		t.Errorf("the whole form: %d %s", a.status, a.body)
	}
}

func TestBrokenForms(t *testing.T) {
	s := start(t, func(c *config.Config) {
		c.Files.MaxFilesPerRequest = 5
		c.Files.MaxSizeBytes = 1 << 20
		c.Security.MaxRequestBodySize = 1 << 20
	})
	alice := mint(t, "alice")
	run(t, s, mint(t, "admin"), docs)
	body, typ := goodForm(t, "hello")
	send := func(name, typ string, body []byte, status int, code string, headers ...string) {
		t.Helper()
		a := do(t, "POST", s.URL+"/v1/api/sql", bytes.NewReader(body), append(headers, "Content-Type", typ, "Authorization", "Bearer "+alice)...)
		if a.status != status || !strings.Contains(a.body, `"`+code+`"`) {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, a.body, status, code)
		}
	}
	send("no boundary", "multipart/form-data", body, 400, "INVALID_INPUT")
	send("another boundary", "multipart/form-data; boundary=nothing", body, 400, "INVALID_INPUT")
	send("a boundary of 1000 bytes", "multipart/form-data; boundary="+strings.Repeat("b", 1000), body, 400, "INVALID_INPUT")
	send("another kind of multipart", "multipart/mixed; boundary=x", body, 400, "INVALID_INPUT")
	send("a compressed request", typ, body, 400, "INVALID_INPUT", "Content-Encoding", "gzip")
	send("nothing", typ, nil, 400, "INVALID_INPUT")
	send("zeros", typ, make([]byte, 100_000), 400, "INVALID_INPUT")
	send("JSON as a form", typ, []byte(`{"sql":"SELECT 1"}`), 400, "INVALID_INPUT")
	send("a form as JSON", "application/json", body, 400, "INVALID_INPUT")
	send("a part without a name", typ, bytes.Replace(body, []byte(`name="file:a"; `), nil, 1), 400, "INVALID_INPUT")
	send("a part without a disposition", typ, bytes.Replace(body, []byte("Content-Disposition: form-data;"), []byte("X: y;"), 1), 400, "INVALID_INPUT")
	send("a name in another header", typ, bytes.Replace(body, []byte(`name="file:a"`), []byte(`name="x"; name="file:a"`), 1), 400, "INVALID_INPUT")
	send("a header without an end", typ, bytes.Replace(body, []byte("text/plain\r\n\r\n"), []byte("text/plain"), 1), 400, "INVALID_INPUT")
	send("SQL that is no text", typ, bytes.Replace(body, []byte("INSERT"), []byte("\xff\xfe\x00\x01\x80\x81"), 1), 400, "INVALID_INPUT")

	var tiny []formPart
	for i := range 5000 {
		tiny = append(tiny, formPart{name: fmt.Sprint("x", i), content: "x"})
	}
	many, typ := form(t, tiny...)
	send("thousands of tiny parts", typ, many.Bytes(), 400, "INVALID_INPUT")
	for i := range tiny {
		tiny[i].name = fmt.Sprint("file:x", i)
	}
	many, typ = form(t, tiny...)
	send("thousands of tiny files", typ, many.Bytes(), 400, "TOO_MANY_FILES")

	// More than the limits, with a length that says so, and in chunks without.
	large, typ := form(t, formPart{name: "file:a", content: strings.Repeat("x", 8<<20)})
	send("8 MiB with a length", typ, large.Bytes(), 413, "BODY_TOO_LARGE")
	for name, c := range map[string]struct {
		part formPart
		code int
		text string
	}{
		"a file in chunks":  {formPart{name: "file:a", content: strings.Repeat("x", 8<<20)}, 400, "FILE_TOO_LARGE"},
		"a text in chunks":  {formPart{name: "sql", content: strings.Repeat("x", 8<<20)}, 413, "BODY_TOO_LARGE"},
		"another in chunks": {formPart{name: "x", content: strings.Repeat("x", 8<<20)}, 413, "BODY_TOO_LARGE"},
	} {
		b, typ := form(t, c.part)
		a := do(t, "POST", s.URL+"/v1/api/sql", struct{ io.Reader }{b}, "Content-Type", typ, "Authorization", "Bearer "+alice)
		if a.status != c.code || !strings.Contains(a.body, c.text) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	nothing(t, s, alice, "broken forms")
	if a := do(t, "POST", s.URL+"/v1/api/sql", bytes.NewReader(body), "Content-Type", typ); a.status != 401 {
		t.Errorf("without a token: %d %s", a.status, a.body)
	}
}

// TestAbortedUpload gives up in the middle of a file.
func TestAbortedUpload(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, mint(t, "admin"), docs)
	body, typ := goodForm(t, strings.Repeat("x", 1<<20))
	for range 5 {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", alice, typ, len(body))
		c.Write(body[:len(body)/2])
		eventually(t, "the file arrives", func() bool { return len(stored(t, s)) > 0 })
		c.Close()
		nothing(t, s, alice, "an aborted upload")
	}
}

// TestUploadsOfAUserAreLimited: what a user has uploaded and is uploading.
func TestUploadsOfAUserAreLimited(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Files.MaxBytesPerUser = 1000 })
	alice, bob := mint(t, "alice"), mint(t, "bob")
	run(t, s, mint(t, "admin"), docs)
	file := func(size int) formPart { return formPart{content: strings.Repeat("x", size)} }
	putFile(t, s, alice, "1", file(600))
	sql := formPart{name: "sql", content: "INSERT INTO app.docs (id, body) VALUES (2, FILE('a'))"}
	more := file(401)
	more.name = "file:a"
	wantError(t, upload(t, s, alice, sql, more), 400, "FILE_QUOTA_EXCEEDED", "1000 bytes")
	wantError(t, upload(t, s, alice, sql, formPart{name: "file:a", content: more.content[:200]}, formPart{name: "file:b", content: more.content[:201]}),
		400, "FILE_QUOTA_EXCEEDED", "")
	putFile(t, s, bob, "1", file(1000))
	putFile(t, s, alice, "2", file(400))
	run(t, s, alice, "DELETE FROM app.docs WHERE id = 1")
	putFile(t, s, alice, "3", file(600))
	if list := stored(t, s); len(list) < 3 {
		t.Errorf("contents %v", list)
	}
}

// TestUploadsAtOnceStayWithinTheQuota: they are counted in the transaction that
// adds them.
func TestUploadsAtOnceStayWithinTheQuota(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Files.MaxBytesPerUser = 1000 })
	alice := mint(t, "alice")
	run(t, s, mint(t, "admin"), docs)
	var stored atomic.Int64
	var uploads sync.WaitGroup
	for i := range 12 {
		uploads.Go(func() {
			sql := formPart{name: "sql", content: fmt.Sprintf("INSERT INTO app.docs (id, body) VALUES (%d, FILE('a'))", i)}
			r := upload(t, s, alice, sql, formPart{name: "file:a", content: strings.Repeat("x", 300)})
			switch {
			case r.status == 200:
				stored.Add(1)
			case r.status != 400 || !strings.Contains(string(r.body), "files.max_bytes_per_user"):
				t.Errorf("got %d %s", r.status, r.body)
			}
		})
	}
	uploads.Wait()
	if n := stored.Load(); n > 3 || rows(t, query(t, s, alice, "SELECT count(*) FROM app.docs")) != fmt.Sprintf(`[["%d"]]`, n) {
		t.Errorf("%d files of 300 bytes are stored, with a quota of 1000", n)
	}
	// What goes with its table is taken off.
	run(t, s, mint(t, "admin"), "DROP NAMESPACE app")
	run(t, s, mint(t, "admin"), docs)
	for i := range 3 {
		putFile(t, s, alice, fmt.Sprint(i), formPart{content: strings.Repeat("x", 300)})
	}
}

func TestFilesOfAUserHaveAQuotaByDefault(t *testing.T) {
	s := start(t)
	if got := rows(t, query(t, s, mint(t, "admin"), "SELECT value FROM system.settings WHERE name = 'files.max_bytes_per_user'")); got != `[["10737418240"]]` {
		t.Errorf("got %s", got)
	}
}

// TestEarlyAnswerReachesAClientThatStillSends: a browser reads the answer when
// it has sent everything, however early it was given.
func TestEarlyAnswerReachesAClientThatStillSends(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, mint(t, "admin"), docs)
	body, typ := goodForm(t, strings.Repeat("x", 40<<20)) // above the limit of a file, and more than the sockets hold
	for name, c := range map[string]struct {
		token  string
		status int
		code   string
	}{
		"no user":       {mintFor(t, "alice", -time.Hour), 401, "TOKEN_EXPIRED"},
		"a large file":  {alice, 400, "FILE_TOO_LARGE"},
		"no such token": {"nothing", 401, "INVALID_CREDENTIALS"},
	} {
		c2, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
		if err != nil {
			t.Fatal(err)
		}
		defer c2.Close()
		head := fmt.Sprintf("POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", c.token, typ, len(body))
		if _, err := io.WriteString(c2, head); err != nil {
			t.Fatal(err)
		}
		if n, err := c2.Write(body); err != nil {
			t.Fatalf("%s: sent %d of %d bytes: %v", name, n, len(body), err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c2), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != c.status || !strings.Contains(string(b), c.code) {
			t.Errorf("%s: %d %s %v", name, res.StatusCode, b, err)
		}
	}
	nothing(t, s, alice, "early answers")
}

// TestSessionThatEndsDuringAnUpload: nothing is written for it.
func TestSessionThatEndsDuringAnUpload(t *testing.T) {
	s := start(t)
	alice, other := mint(t, "alice"), mintFor(t, "alice", 59*time.Minute)
	run(t, s, mint(t, "admin"), docs)
	body, typ := goodForm(t, strings.Repeat("x", 1<<20))
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", alice, typ, len(body))
	c.Write(body[:len(body)/2])
	eventually(t, "the file arrives", func() bool { return len(stored(t, s)) > 0 })
	if a := do(t, "POST", s.URL+"/v1/api/auth/logout", nil, "Authorization", "Bearer "+alice); a.status != 200 {
		t.Fatal(a.body)
	}
	c.Write(body[len(body)/2:])
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != 401 || !strings.Contains(string(b), "INVALID_CREDENTIALS") {
		t.Errorf("%d %s", res.StatusCode, b)
	}
	nothing(t, s, other, "an upload whose session ended")
}
