//go:build !js

package client_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/wire"
)

const insertPhoto = `INSERT INTO chat.photos (id, title, photo) VALUES ($1, $2, FILE("photo"))`

// photos makes a client of alice and a table with files.
func photos(t *testing.T, s *servertest.Server) *client.Client {
	t.Helper()
	mustExec(t, within(t), signIn(t, s.URL, "admin"), "CREATE USER TABLE chat.photos (id INT PRIMARY KEY, title TEXT, photo FILE, more FILE)")
	return signIn(t, s.URL, "alice")
}

// aMinute gives a context for a test that moves megabytes.
func aMinute(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(stop)
	return ctx
}

func randomBytes(n int) []byte {
	out := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(out)
	return out
}

// once hides that a reader can be read again.
type once struct{ io.Reader }

// stored gives the reference of a row's photo, or nil without the row.
func stored(t *testing.T, ctx context.Context, c *client.Client, id int) *client.FileRef {
	t.Helper()
	row, err := c.QueryRow(ctx, "SELECT photo FROM chat.photos WHERE id = $1", id)
	if errors.Is(err, client.ErrNoRows) {
		return nil
	}
	f := &client.FileRef{}
	if err == nil {
		err = row.Scan(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func readFile(t *testing.T, ctx context.Context, c *client.Client, f *client.FileRef, part client.Range) string {
	t.Helper()
	r, err := c.OpenFile(ctx, "chat.photos", f, part)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFilesGoUpAndComeBack(t *testing.T) {
	ctx := aMinute(t)
	c := photos(t, servertest.Start(t, servertest.Options{}))
	content := randomBytes(3<<20 + 17)
	var steps []int64
	result, err := c.QueryFiles(ctx, `INSERT INTO chat.photos (id, title, photo, more) VALUES ($1, $2, FILE("photo"), FILE("a b")) RETURNING photo, more`, client.Files{
		"photo": {Name: `cät "1".bin`, Body: once{bytes.NewReader(content)}, OnProgress: func(n int64) { steps = append(steps, n) }},
		"a b":   {Type: "text/markdown", Body: strings.NewReader("# hi")},
	}, 1, "it's")
	if err != nil {
		t.Fatal(err)
	}
	var photo, more client.FileRef
	if err := result.Rows()[0].Scan(&photo, &more); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	if photo.Name != `cät "1".bin` || photo.Size != int64(len(content)) || photo.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("photo is %+v", photo)
	}
	if more.Name != "a b" || more.MIME != "text/markdown; charset=utf-8" || more.FormatSize() != "4 B" {
		t.Errorf("more is %+v", more)
	}
	for i := 1; i < len(steps); i++ {
		if steps[i] <= steps[i-1] {
			t.Fatalf("progress went from %d to %d", steps[i-1], steps[i])
		}
	}
	if len(steps) < 10 || steps[len(steps)-1] != int64(len(content)) {
		t.Errorf("%d steps, the last %v", len(steps), steps[len(steps)-1:])
	}
	if got := readFile(t, ctx, c, &photo, client.Range{}); got != string(content) {
		t.Error("the content is another one")
	}
	for part, want := range map[client.Range]string{
		{Offset: 1}:               string(content[1:]),
		{Length: 3}:               string(content[:3]),
		{Offset: 10, Length: 100}: string(content[10:110]),
		{Offset: int64(len(content)) - 5, Length: 100}: string(content[len(content)-5:]),
	} {
		if got := readFile(t, ctx, c, &photo, part); got != want {
			t.Errorf("%+v: got %d bytes, want %d", part, len(got), len(want))
		}
	}
	for _, part := range []client.Range{{Offset: -1}, {Length: -1}, {Offset: int64(len(content))}} {
		var e *wire.Error
		if _, err := c.OpenFile(ctx, "chat.photos", &photo, part); !errors.As(err, &e) || e.Code != wire.CodeInvalidInput {
			t.Errorf("%+v: got %v", part, err)
		}
	}
	// A reference that was read can be written.
	mustExec(t, ctx, c, "INSERT INTO chat.photos (id, photo, more) VALUES (2, $1, $2)", photo, &more)
	if got := readFile(t, ctx, c, stored(t, ctx, c, 2), client.Range{Length: 3}); got != string(content[:3]) {
		t.Errorf("the copy is %q", got)
	}
}

func TestFileURLNeedsNoToken(t *testing.T) {
	ctx := aMinute(t)
	s := servertest.Start(t, servertest.Options{})
	c := photos(t, s)
	if _, err := c.ExecFiles(ctx, insertPhoto, client.Files{"photo": {Body: strings.NewReader("hers")}}, 1, nil); err != nil {
		t.Fatal(err)
	}
	f := stored(t, ctx, c, 1)
	link, err := c.FileURL(ctx, "chat.photos", f, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || string(b) != "hers" {
		t.Errorf("got %d, %q, %v", resp.StatusCode, b, err)
	}
	bob := signIn(t, s.URL, "bob")
	var e *wire.Error
	if _, err := bob.FileURL(ctx, "chat.photos", f, 0); !errors.As(err, &e) || e.Code != wire.CodeFileNotFound {
		t.Errorf("bob signs: %v", err)
	}
	if _, err := bob.OpenFile(ctx, "chat.photos", f, client.Range{}); !errors.As(err, &e) || e.Code != wire.CodeFileNotFound {
		t.Errorf("bob opens: %v", err)
	}
}

func TestRefusedUploadsLeaveNothing(t *testing.T) {
	ctx := aMinute(t)
	c := photos(t, servertest.Start(t, servertest.Options{}))
	broken := errors.New("the disk went away")
	cases := map[string]struct {
		files client.Files
		want  func(error) bool
	}{
		"no file":     {nil, func(err error) bool { return code(err) == wire.CodeMissingFile }},
		"no body":     {client.Files{"photo": {}}, func(err error) bool { return code(err) == wire.CodeMissingFile }},
		"extra file":  {client.Files{"photo": {Body: strings.NewReader("a")}, "x": {Body: strings.NewReader("b")}}, func(err error) bool { return code(err) == wire.CodeExtraFile }},
		"too large":   {client.Files{"photo": {Body: once{bytes.NewReader(make([]byte, 26<<20))}}}, func(err error) bool { return code(err) == wire.CodeFileTooLarge }},
		"bad source":  {client.Files{"photo": {Body: io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(broken))}}, func(err error) bool { return errors.Is(err, broken) && strings.Contains(err.Error(), `"photo"`) }},
		"bad at once": {client.Files{"photo": {Body: iotest.ErrReader(broken)}}, func(err error) bool { return errors.Is(err, broken) }},
	}
	for name, test := range cases {
		if _, err := c.ExecFiles(ctx, insertPhoto, test.files, 1, name); !test.want(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	// A context that ends while the content is read.
	stopped, stop := context.WithCancel(ctx)
	endless := iotest.OneByteReader(neverEnds{})
	_, err := c.ExecFiles(stopped, insertPhoto, client.Files{"photo": {Body: endless, OnProgress: func(n int64) {
		if n == 1000 {
			stop()
		}
	}}}, 1, "stopped")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if f := stored(t, ctx, c, 1); f != nil {
		t.Errorf("there is %+v", f)
	}
}

type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) { return len(p), nil }

func code(err error) wire.Code {
	var e *wire.Error
	errors.As(err, &e)
	if e == nil {
		return ""
	}
	return e.Code
}

// A token that the server does not take any more is found out before a content
// is read; when it is found out later, only a content that can be read again is.
func TestUploadsAreSentOnceMoreWithAnotherToken(t *testing.T) {
	s := sharingServer(t)
	admin := signIn(t, s.URL, "admin")
	mustExec(t, within(t), admin, "CREATE USER TABLE chat.photos (id INT PRIMARY KEY, title TEXT, photo FILE)")
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	var late atomic.Bool // the refusal comes when all was read
	front := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if late.CompareAndSwap(true, false) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"status":"error","error":{"code":"TOKEN_EXPIRED","message":"Invalid credentials"}}`)
			return
		}
		front.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	begin := func(first time.Duration, url string) *client.Client {
		asked := 0
		c, err := client.New(url, auth.ProviderFunc(func(context.Context) (auth.Auth, error) {
			if asked++; asked == 1 {
				return auth.JWT(mint("alice", first)), nil
			}
			return auth.JWT(mint("alice", time.Hour)), nil
		}), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ctx := aMinute(t)
	content := randomBytes(1 << 20)
	seekable := func() io.Reader {
		r := bytes.NewReader(append([]byte("skipped"), content...))
		r.Seek(7, io.SeekStart)
		return r
	}
	check := func(c *client.Client, id int, body io.Reader) error {
		_, err := c.ExecFiles(ctx, insertPhoto, client.Files{"photo": {Body: body}}, id, nil)
		if f := stored(t, ctx, c, id); (f != nil) != (err == nil) || f != nil && readFile(t, ctx, c, f, client.Range{}) != string(content) {
			t.Errorf("row %d is %+v after %v", id, f, err)
		}
		return err
	}
	if err := check(begin(-10*time.Minute, s.URL), 1, once{bytes.NewReader(content)}); err != nil {
		t.Errorf("expired before: %v", err)
	}
	late.Store(true)
	if err := check(begin(time.Hour, proxy.URL), 2, seekable()); err != nil {
		t.Errorf("expired meanwhile, read again: %v", err)
	}
	late.Store(true)
	if err := check(begin(time.Hour, proxy.URL), 3, once{bytes.NewReader(content)}); !errors.Is(err, client.ErrTokenExpired) || !strings.Contains(err.Error(), "io.Seeker") {
		t.Errorf("expired meanwhile, read once: %v", err)
	}
}

// An upload that is refused before its content is answered whole at once, though
// the server still waits for the content.
func TestRefusedUploadIsAnsweredAtOnce(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x.y.z\r\nContent-Type: multipart/form-data; boundary=b\r\n"+
		"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized || resp.ContentLength <= 0 {
		t.Errorf("status %d, length %d: the end of the answer comes with the end of the connection", resp.StatusCode, resp.ContentLength)
	}
}
