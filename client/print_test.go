//go:build !js

package client_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/consumer"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/wire"
)

// TestPrintingShowsValues formats the values that the package returns with the
// verbs of fmt.
func TestPrintingShowsValues(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	r, err := c.Query(ctx, "SELECT 1 AS i, 9007199254740993 AS b, 'a \"b\"' AS t, 1.50 AS d, CAST(0.5 AS DOUBLE) AS f, true AS y, NULL AS n,"+
		" CAST('2024-01-02' AS DATE) AS day, CAST('2024-01-02 03:04:05' AS TIMESTAMP) AS at, CAST('\\x6869' AS BYTES) AS raw, CAST('03:04:05' AS TIME) AS clock")
	if err != nil {
		t.Fatal(err)
	}
	row := r.Rows()[0]
	const want = `{i: 1, b: 9007199254740993, t: "a \"b\"", d: 1.50, f: 0.5, y: true, n: NULL, day: 2024-01-02, at: 2024-01-02T03:04:05Z, raw: \x6869, clock: 03:04:05}`
	for _, verb := range []string{"%v", "%+v", "%s"} {
		for what, c := range map[string][2]any{
			"row":     {row, want},
			"rows":    {r.Rows(), "[" + want + "]"},
			"result":  {r, "[" + want + "]"},
			"value":   {row.Value("t"), `a "b"`},
			"null":    {row.Value("n"), "NULL"},
			"number":  {row.Value("i"), "1"},
			"float":   {row.Value("f"), "0.5"},
			"bytes":   {row.Value("raw"), `\x6869`},
			"boolean": {[]wire.Value{row.Value("y")}, "[true]"},
			"event":   {client.Event{Type: client.EventUpdate, Old: r.Rows(), Rows: r.Rows()}, "update [" + want + "] -> [" + want + "]"},
			"nothing": {client.Row{}, "{}"},
			"empty":   {client.Result{Message: "Inserted 1 row(s)"}, "Inserted 1 row(s)"},
		} {
			if got := fmt.Sprintf(verb, c[0]); got != c[1] {
				t.Errorf("%s of a %s is\n%s\nand not\n%s", verb, what, got, c[1])
			}
		}
	}
	for e, err := range c.Subscribe(ctx, "SELECT id FROM chat.messages WHERE id < 0", client.SubscribeOptions{}) {
		if text := fmt.Sprint(e); err != nil || !strings.HasPrefix(text, "ack") {
			t.Errorf("got %s, %v", text, err)
		}
		break
	}
}

// TestNoVerbPrintsASecretOrInternals goes through what holds a token or a
// password, or what is mostly private, alone and inside other values.
func TestNoVerbPrintsASecretOrInternals(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	const secret = "hidden-secret"
	events := make(chan client.AuthEvent, 10)
	provider := auth.Static(auth.Basic("alice", servertest.Password))
	c, err := client.New(s.URL, provider, client.Options{OnAuth: func(e client.AuthEvent) { events <- e }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	login, err := c.Login(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Query(ctx, "SELECT 1 AS i")
	if err != nil {
		t.Fatal(err)
	}
	event := <-events
	_, refused := c.Query(ctx, "SELECT nothing")
	worker, err := consumer.New(s.URL, provider, consumer.Options{Topic: "app.jobs", Group: "workers"})
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	secrets := []string{secret, servertest.Password, login.AccessToken, login.RefreshToken, event.RefreshToken()}
	internals := regexp.MustCompile(`0xc?[0-9a-f]{6,}|sync\.|mu:|num:|%!`)
	for want, v := range map[string]any{
		"client of " + s.URL:                    c,
		"consumer of app.jobs in group workers": worker,
		"cache of credentials":                  auth.NewCache(auth.Static(auth.JWT(secret)), auth.CacheOptions{}),
		"signed-in alice":                       event,
		"login of alice":                        &wire.LoginRequest{User: "alice", Password: secret},
		"session of alice":                      login,
		"authenticate":                          wire.ClientFrame{Type: "authenticate", Token: secret},
		"link to a file until 5":                &wire.FileLink{URL: "/f?sig=" + secret, ExpiresAt: 5},
		"token-rejected":                        auth.Request{Reason: "token-rejected", Rejected: secret},
		"basic(alice, [redacted])":              auth.Basic("alice", secret),
		"{i: 1}":                                r.Rows()[0],
		"[{i: 1}]":                              r,
		"1":                                     r.Rows()[0].Value("i"),
		"insert [{i: 1}]":                       client.Event{Type: client.EventInsert, Rows: r.Rows()},
		refused.Error():                         refused,
		"app.jobs[0]@7 Insert k of alice: {}":   &consumer.Message{Topic: "app.jobs", Offset: 7, Op: "Insert", Key: "k", User: "alice", Payload: []byte("{}")},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			for _, text := range []string{fmt.Sprintf(verb, v), fmt.Sprintf(verb, struct{ V any }{v}), fmt.Sprintf(verb, []any{&v})} {
				for _, secret := range secrets {
					if secret != "" && (strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret))) {
						t.Errorf("%s of a %T shows a secret: %s", verb, v, text)
					}
				}
			}
			text := fmt.Sprintf(verb, v)
			if strings.HasSuffix(verb, "v") && (!strings.Contains(text, want) || internals.MatchString(text)) {
				t.Errorf("%s of a %T is %s, not %s", verb, v, text, want)
			}
		}
	}
}
