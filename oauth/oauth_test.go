package oauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/oauth"
)

func newClient(t *testing.T, url string, p auth.Provider) *client.Client {
	t.Helper()
	c, err := client.New(url, p, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestLiveQuerySurvivesTheRotationOfAProvidersToken signs a person in at a real
// provider, follows a live query, and lets tokens end under it.
func TestLiveQuerySurvivesTheRotationOfAProvidersToken(t *testing.T) {
	provider := servertest.StartProvider(t, 8*time.Second)
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) { c.Auth.Issuers = []config.IssuerConfig{provider.Issuer} }})
	signed := provider.SignIn(t, servertest.ProviderUser)
	source := &counted{source: oauth2.ReuseTokenSourceWithExpiry(signed, provider.Source(&oauth2.Token{RefreshToken: signed.RefreshToken}), 3*time.Second)}
	c := newClient(t, s.URL, oauth.Provider(source))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	row, err := c.QueryRow(ctx, "SELECT CURRENT_USER() AS id")
	if err != nil || row.Text("id") != "test:id1" {
		t.Fatalf("%v %v", row, err)
	}
	// One row a second: each is seen, once and in order, whatever becomes of the
	// token meanwhile, until three have been used.
	go func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for i := 1; ctx.Err() == nil; i++ {
			<-tick.C
			if _, err := c.Exec(ctx, "INSERT INTO chat.messages (id, body) VALUES ($1, 'x')", i); err != nil && ctx.Err() == nil {
				t.Errorf("insert: %v", err)
			}
		}
	}()
	next, resets := int64(1), 0
	for e, err := range c.Subscribe(ctx, "SELECT id FROM chat.messages", client.SubscribeOptions{}) {
		if err != nil {
			t.Fatalf("the live query ended: %v", err)
		}
		if e.Type == client.EventReset {
			resets++
		}
		for _, r := range e.Rows {
			if id := r.Int("id"); id != next {
				t.Fatalf("row %d, want %d", id, next)
			}
			next++
		}
		if source.tokens() >= 3 && next > 8 {
			break
		}
	}
	if resets > 0 {
		t.Errorf("the rows were sent anew %d times", resets)
	}
	cancel()
}

// counted counts the tokens that a source gives.
type counted struct {
	source oauth2.TokenSource
	last   atomic.Value
	n      atomic.Int32
}

func (c *counted) Token() (*oauth2.Token, error) {
	t, err := c.source.Token()
	if err == nil && c.last.Swap(t.AccessToken) != any(t.AccessToken) {
		c.n.Add(1)
	}
	return t, err
}

func (c *counted) tokens() int { return int(c.n.Load()) }

type sourceFunc func() (*oauth2.Token, error)

func (f sourceFunc) Token() (*oauth2.Token, error) { return f() }

func TestProviderTellsFailuresApart(t *testing.T) {
	answer := func(status int, code string, header http.Header) error {
		return &oauth2.RetrieveError{Response: &http.Response{StatusCode: status, Header: header}, ErrorCode: code, Body: []byte("hunter2-hunter2")}
	}
	for name, c := range map[string]struct {
		err       error
		permanent bool
		after     time.Duration
	}{
		"grant refused": {answer(400, "invalid_grant", nil), true, 0},
		"busy":          {answer(503, "", http.Header{"Retry-After": {"7"}}), false, 7 * time.Second},
		"broken":        {answer(500, "", nil), false, 0},
		"network":       {io.ErrUnexpectedEOF, false, 0},
	} {
		_, err := oauth.Provider(sourceFunc(func() (*oauth2.Token, error) { return nil, c.err })).Auth(t.Context())
		after, _ := auth.RetryAfterOf(err)
		if auth.IsPermanent(err) != c.permanent || after != c.after || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, %v", name, err, after)
		}
	}
	// A source that hangs holds nobody.
	forever := make(chan struct{})
	defer close(forever)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := oauth.Provider(sourceFunc(func() (*oauth2.Token, error) { <-forever; return nil, io.EOF })).Auth(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := oauth.Provider(sourceFunc(func() (*oauth2.Token, error) { panic("hunter2") })).Auth(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestSessionAsTokenSource(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := newClient(t, s.URL, auth.Static(auth.Basic("alice", servertest.Password)))
	token, err := oauth.TokenSource(t.Context(), c).Token()
	if err != nil || token.TokenType != "Bearer" || token.Expiry.IsZero() || len(strings.Split(token.AccessToken, ".")) != 3 {
		t.Fatalf("%v", err)
	}
	me, err := oauth2.NewClient(t.Context(), oauth.TokenSource(t.Context(), c)).Get(s.URL + "/v1/api/auth/me")
	if err != nil || me.StatusCode != 200 {
		t.Fatalf("%v %v", me, err)
	}
	me.Body.Close()
}

// TestTransportKeepsTheTokenAtItsOrigin sends a request around: to another port,
// another scheme, another host and back. Only the pinned origin sees the token.
func TestTransportKeepsTheTokenAtItsOrigin(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := newClient(t, s.URL, auth.Static(auth.Basic("alice", servertest.Password)))
	seen := map[string]string{}
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		key := r.URL.Scheme + "://" + r.URL.Host
		seen[key] += r.Header.Get("Authorization") + ";"
		h := http.Header{}
		if next := r.URL.Query().Get("next"); next != "" {
			h.Set("Location", next)
			return &http.Response{StatusCode: 307, Header: h, Body: http.NoBody, Request: r}, nil
		}
		return &http.Response{StatusCode: 200, Header: h, Body: http.NoBody, Request: r}, nil
	})
	http := &http.Client{Transport: oauth.Transport(c, oauth.TransportOptions{Base: base, Origins: []string{"https://api.example.com"}})}
	own, _ := url.Parse(s.URL)
	chain := ""
	others := []string{"http://localhost:1", "https://" + own.Host, "http://127.0.0.1:" + own.Port(), "https://evil.example.com", "https://api.example.com.evil.example.com", "http://api.example.com", "https://api.example.com:444"}
	for _, host := range append(others, s.URL, "https://api.example.com") {
		chain = host + "/?next=" + url.QueryEscape(chain)
	}
	resp, err := http.Get(chain)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for _, host := range others {
		if got, ok := seen[host]; !ok || got != ";" {
			t.Errorf("%s saw %q", host, got)
		}
	}
	for _, host := range []string{s.URL, "https://api.example.com"} {
		if !strings.HasPrefix(seen[host], "Bearer ") {
			t.Errorf("%s saw %q", host, seen[host])
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransportRenewsOnceAndResendsTheBody(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	var calls atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if n := calls.Add(1); n == 1 || string(body) != "hello" {
			w.WriteHeader(401)
		}
	}))
	defer api.Close()
	c := newClient(t, s.URL, auth.Static(auth.Basic("alice", servertest.Password)))
	h := &http.Client{Transport: oauth.Transport(c, oauth.TransportOptions{Origins: []string{api.URL}})}
	resp, err := h.Post(api.URL, "text/plain", strings.NewReader("hello"))
	if err != nil || resp.StatusCode != 200 || calls.Load() != 2 {
		t.Fatalf("%v %v after %d calls", resp, err, calls.Load())
	}
	resp.Body.Close()
	// A body that is gone is not sent again.
	calls.Store(0)
	resp, err = h.Post(api.URL, "text/plain", io.NopCloser(strings.NewReader("hello")))
	if err != nil || resp.StatusCode != 401 || calls.Load() != 1 {
		t.Fatalf("%v %v after %d calls", resp, err, calls.Load())
	}
	resp.Body.Close()
}

// ExampleProvider runs a client on whatever golang.org/x/oauth2 can sign in with.
func ExampleProvider() {
	config := &oauth2.Config{ClientID: "app", Endpoint: oauth2.Endpoint{TokenURL: "https://id.example.com/token"}}
	token := &oauth2.Token{RefreshToken: "kept from the sign-in"}
	c, err := client.New("https://db.example.com", oauth.Provider(config.TokenSource(context.Background(), token)), client.Options{})
	if err != nil {
		panic(err)
	}
	defer c.Close()
}
