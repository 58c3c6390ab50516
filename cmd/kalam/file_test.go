package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

func TestFileCommands(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "admin")
	p.ok("", "sql", "-e", `CREATE USER TABLE chat.notes (id INT PRIMARY KEY, "a title" TEXT, photo FILE)`)
	dir := t.TempDir()
	cat := filepath.Join(dir, "the cat.jpg")
	content := strings.Repeat("a photo of a cat ", 100_000)
	if err := os.WriteFile(cat, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	p.ok("", "file", "put", "chat.notes", "photo", cat, "id=1", "a title=it's 1=1")
	if out := p.ok("", "sql", "--csv", "-e", `SELECT id, "a title", photo FROM chat.notes`); !strings.Contains(out, "it's 1=1") || !strings.Contains(out, `the cat.jpg`) {
		t.Errorf("the row is %s", out)
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{out, filepath.Join(out, "other.jpg")} {
		p.ok("", "file", "get", "chat.notes", "photo", "id=1", "-o", where)
	}
	for _, name := range []string{"the cat.jpg", "other.jpg"} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != content {
			t.Errorf("%s has %d bytes, %v", name, len(got), err)
		}
	}
	p.fails(1, "is there already", "file", "get", "chat.notes", "photo", "id=1", "-o", out)
	p.ok("", "file", "get", "chat.notes", "photo", "id=1", "-o", out, "-f")
	if entries, err := os.ReadDir(out); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}

	p.ok("from a pipe", "file", "put", "chat.notes", "photo", "-", "id=1", "--update", "--name", "p.txt")
	if got := p.ok("", "file", "get", "chat.notes", "photo", "id=1", "-o", "-"); got != "from a pipe" {
		t.Errorf("got %q", got)
	}

	p.ok("", "sql", "-e", "INSERT INTO chat.notes (id) VALUES (2)")
	p.fails(1, "has no file", "file", "get", "chat.notes", "photo", "id=2", "-o", "-")
	p.fails(1, "no row with id=3", "file", "get", "chat.notes", "photo", "id=3")
	p.fails(1, "no row with id=3", "file", "put", "chat.notes", "photo", cat, "id=3", "--update")
	p.fails(1, "already exists", "file", "put", "chat.notes", "photo", cat, "id=1")
	p.fails(1, "no such file", "file", "put", "chat.notes", "photo", cat+"x", "id=4")
	p.fails(1, "is a folder", "file", "put", "chat.notes", "photo", dir, "id=4")
	p.fails(2, "not COLUMN=VALUE", "file", "put", "chat.notes", "photo", cat, "4")
	p.fails(1, "FILE", "file", "put", "chat.notes", "a title", cat, "id=4")
}

// cutter passes on a response until it has written enough, and then breaks the
// connection; or it writes one byte as another one.
type cutter struct {
	http.ResponseWriter
	left  int
	wrong bool
}

func (c *cutter) Write(b []byte) (int, error) {
	if c.wrong {
		b = append([]byte{b[0] ^ 1}, b[1:]...)
		c.wrong = false
		return c.ResponseWriter.Write(b)
	}
	if len(b) >= c.left {
		c.ResponseWriter.Write(b[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

func TestFileGetGoesOnAndCompares(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	var cuts atomic.Int32 // to come; below 0: a wrong byte
	var ranges atomic.Int32
	onward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/files/") {
			if r.Header.Get("Range") != "" {
				ranges.Add(1)
			}
			switch n := cuts.Load(); {
			case n > 0:
				cuts.Add(-1)
				w = &cutter{ResponseWriter: w, left: 100_000}
			case n < 0:
				w = &cutter{ResponseWriter: w, left: 1 << 30, wrong: true}
			}
		}
		onward.ServeHTTP(w, r)
	}))
	defer proxy.Close()

	p := newPerson(t, "KALAM_URL="+proxy.URL, "KALAM_PASSWORD="+servertest.Password)
	p.ok("", "sql", "-u", "admin", "-e", `CREATE USER TABLE chat.notes (id INT PRIMARY KEY, photo FILE)`)
	content := strings.Repeat("0123456789abcdef", 40_000)
	p.ok(content, "file", "put", "-u", "alice", "chat.notes", "photo", "-", "id=1", "--name", "a.txt")
	out := filepath.Join(t.TempDir(), "a.txt")

	cuts.Store(2)
	p.ok("", "file", "get", "-u", "alice", "chat.notes", "photo", "id=1", "-o", out)
	if got, err := os.ReadFile(out); err != nil || string(got) != content || ranges.Load() != 2 {
		t.Errorf("%d bytes, %v, after %d ranges", len(got), err, ranges.Load())
	}

	cuts.Store(-1)
	p.fails(1, "SHA-256 differs", "file", "get", "-u", "alice", "chat.notes", "photo", "id=1", "-o", out+"2")
	if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
