//go:build !js

package client_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
)

func TestURLs(t *testing.T) {
	good := []struct {
		raw, http, ws string
		safe          bool
	}{
		{"http://localhost:8080", "http://localhost:8080", "ws://localhost:8080/v1/ws", true},
		{"HTTP://LOCALHOST:8080/", "http://LOCALHOST:8080", "ws://LOCALHOST:8080/v1/ws", true},
		{"https://db.example.com", "https://db.example.com", "wss://db.example.com/v1/ws", true},
		{"https://example.com/kalam/", "https://example.com/kalam", "wss://example.com/kalam/v1/ws", true},
		{"http://127.8.9.1:1", "http://127.8.9.1:1", "ws://127.8.9.1:1/v1/ws", true},
		{"http://[::1]:80", "http://[::1]:80", "ws://[::1]:80/v1/ws", true},
		{"http://10.0.0.1", "http://10.0.0.1", "ws://10.0.0.1/v1/ws", false},
		{"http://127.0.0.1.evil.com", "http://127.0.0.1.evil.com", "ws://127.0.0.1.evil.com/v1/ws", false},
		{"http://127.0.0.999", "http://127.0.0.999", "ws://127.0.0.999/v1/ws", false},
		{"http://localhost.evil.com", "http://localhost.evil.com", "ws://localhost.evil.com/v1/ws", false},
		{"http://[::2]", "http://[::2]", "ws://[::2]/v1/ws", false},
	}
	for _, c := range good {
		gotHTTP, ws, safe, err := client.ParseURL(c.raw)
		if err != nil || gotHTTP != c.http || ws != c.ws || safe != c.safe {
			t.Errorf("%s: got %s %s %v %v", c.raw, gotHTTP, ws, safe, err)
		}
	}
	for _, raw := range []string{
		"", "localhost:8080", "ftp://x", "ws://x", "http://", "http:///x", "http://u:p@host", "http://localhost@evil.com", "http://h?q=1",
		"http://h#f", "http://h:", "http://h:0", "http://h:65536", "http://h:x", "http://h:1:2", "http://[::1", "http://[::1]x", "http://a b",
		"http://h/\x00", "http://h\\evil", "http://%6c", "http://hé", "http://h:99999999999999999999",
	} {
		if _, _, _, err := client.ParseURL(raw); err == nil {
			t.Errorf("%q: no error", raw)
		}
		if _, err := client.New(raw, alice, client.Options{}); err == nil {
			t.Errorf("%q: New took it", raw)
		}
	}
	if _, err := client.New("http://localhost", nil, client.Options{}); err == nil {
		t.Error("New took no provider")
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("http://localhost:8080/x")
	f.Fuzz(func(t *testing.T, raw string) {
		h, ws, _, err := client.ParseURL(raw)
		if err == nil && (!strings.HasPrefix(h, "http") || !strings.HasSuffix(ws, "/v1/ws")) {
			t.Errorf("%q: got %q, %q", raw, h, ws)
		}
	})
}

func TestBase64URL(t *testing.T) {
	for _, s := range []string{"", "a", "ab", "abc", "abcd", "\x00\xff\xfe~~~???"} {
		got, ok := client.DecodeBase64URL(base64.RawURLEncoding.EncodeToString([]byte(s)))
		if !ok || string(got) != s {
			t.Errorf("%q: got %q", s, got)
		}
	}
	if _, ok := client.DecodeBase64URL("a+b/"); ok {
		t.Error("took standard base64")
	}
}

func TestInflateIsBounded(t *testing.T) {
	pack := func(b []byte) []byte {
		var buf bytes.Buffer
		z := gzip.NewWriter(&buf)
		z.Write(b)
		z.Close()
		return buf.Bytes()
	}
	if got, err := client.Inflate(pack([]byte("hello"))); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := client.Inflate([]byte(`{"raw":1}`)); err != nil || string(got) != `{"raw":1}` {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := client.Inflate(pack(make([]byte, 65<<20))); err == nil {
		t.Error("a bomb went off")
	}
	if _, err := client.Inflate([]byte{0x1f, 0x8b, 1, 2}); err == nil {
		t.Error("took junk")
	}
}

// A23, S04: no redirect is followed, so that nothing reaches another host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var leaked []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked = append(leaked, r.URL.Path)
	}))
	defer other.Close()
	for _, status := range []int{302, 307} {
		first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, status)
		}))
		for _, a := range []auth.Auth{auth.Basic("alice", "Secret123!"), auth.JWT("t")} {
			c, err := client.New(first.URL, auth.Static(a), client.Options{ConnectTimeout: time.Millisecond, AuthTimeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Query(context.Background(), "SELECT 1"); !errors.Is(err, client.ErrUnavailable) {
				t.Errorf("%d: got %v", status, err)
			}
			for _, err := range c.Live(context.Background(), "SELECT 1", client.LiveOptions{}) {
				if !errors.Is(err, client.ErrUnavailable) {
					t.Errorf("%d: live got %v", status, err)
				}
			}
			c.Close()
		}
		first.Close()
	}
	if len(leaked) > 0 {
		t.Errorf("the other host saw %v", leaked)
	}
}

// The caller's http.Client is used, and left as it is.
func TestOwnHTTPClient(t *testing.T) {
	used := false
	own := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		used = true
		return nil, errors.New("offline")
	})}
	c, err := client.New("http://localhost:1", auth.Static(auth.JWT("t")), client.Options{Native: client.Native{HTTPClient: own}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Query(context.Background(), "SELECT 1"); !errors.Is(err, client.ErrUnavailable) || !used {
		t.Errorf("got %v, used %v", err, used)
	}
	if own.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
