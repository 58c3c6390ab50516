package auth_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
)

func TestHeaderOfBasicIsAnError(t *testing.T) {
	if h, err := auth.Header(auth.Basic("alice", "Secret123!")); h != "" || !errors.Is(err, auth.ErrBasicHeader) {
		t.Errorf("basic: got %q, %v", h, err)
	}
	if h, err := auth.Header(auth.JWT("a.b.c")); h != "Bearer a.b.c" || err != nil {
		t.Errorf("jwt: got %q, %v", h, err)
	}
	if h, err := auth.Header(auth.Auth{}); h != "" || err != nil {
		t.Errorf("none: got %q, %v", h, err)
	}
}

func TestKinds(t *testing.T) {
	cases := []struct {
		a                         auth.Auth
		basic, jwt, authenticated bool
	}{
		{auth.Basic("", ""), true, false, true},
		{auth.JWT(""), false, true, true},
		{auth.Auth{}, false, false, false},
	}
	for _, c := range cases {
		if auth.IsBasic(c.a) != c.basic || auth.IsJWT(c.a) != c.jwt || auth.IsAuthenticated(c.a) != c.authenticated {
			t.Errorf("%v", c.a)
		}
	}
}

func TestEqual(t *testing.T) {
	all := []auth.Auth{{}, auth.Basic("a", "b"), auth.Basic("a", "c"), auth.Basic("b", "b"), auth.JWT("b"), auth.JWT("c")}
	again := []auth.Auth{{}, auth.Basic("a", "b"), auth.Basic("a", "c"), auth.Basic("b", "b"), auth.JWT("b"), auth.JWT("c")}
	for i := range all {
		for j := range again {
			if all[i].Equal(again[j]) != (i == j) {
				t.Errorf("%v and %v", all[i], again[j])
			}
		}
	}
}

func TestEncodeBasicIsUTF8(t *testing.T) {
	for _, c := range [][2]string{{"", ""}, {"a", ""}, {"ab", ""}, {"alice", "Secret123!"}, {"grüße", "пароль🔑"}, {"a:b", "c"}} {
		want := base64.StdEncoding.EncodeToString([]byte(c[0] + ":" + c[1]))
		if got := auth.EncodeBasic(c[0], c[1]); got != want {
			t.Errorf("%q: got %q, want %q", c, got, want)
		}
	}
}

// TestSecretsNeverPrint puts credentials through everything that prints.
func TestSecretsNeverPrint(t *testing.T) {
	const secret = "hunter2-hunter2"
	type holder struct {
		Public  auth.Auth
		private auth.Auth
		list    []auth.Auth
	}
	for _, a := range []auth.Auth{auth.Basic("alice", secret), auth.JWT(secret)} {
		h := holder{a, a, []auth.Auth{a}}
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%c", "%U", "%e", "%T", "%w"} {
			for _, v := range []any{a, &a, h, &h, []auth.Auth{a}, map[string]auth.Auth{"k": a}, any(a)} {
				fmt.Fprintf(&out, verb, v)
			}
		}
		fmt.Fprintln(&out, a, h)
		for _, v := range []any{a, &a, h, map[string]any{"a": a}} {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(b)
		}
		if b, err := xml.Marshal(a); err == nil {
			out.Write(b)
		}
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("x", "a", a, "h", h, "p", &a)
		}
		fmt.Fprint(&out, fmt.Errorf("failed with %v", a))
		got := out.String()
		for _, bad := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if strings.Contains(got, bad) {
				i := strings.Index(got, bad)
				t.Errorf("the secret is in the output: …%s…", got[max(0, i-40):i+20])
			}
		}
		if a.Reveal() != secret {
			t.Errorf("Reveal gave %q", a.Reveal())
		}
	}
}

func TestPermanentSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("get a token: %w", auth.Permanent(io.EOF))
	if !auth.IsPermanent(err) || !errors.Is(err, io.EOF) || err.Error() != "get a token: EOF" {
		t.Errorf("got %v", err)
	}
	if auth.IsPermanent(io.EOF) || auth.Permanent(nil) != nil {
		t.Error("a plain error is not permanent")
	}
}

func TestProviderFunc(t *testing.T) {
	var p auth.Provider = auth.ProviderFunc(func(context.Context) (auth.Auth, error) { return auth.JWT("t"), nil })
	if a, err := p.Auth(context.Background()); err != nil || a.Reveal() != "t" {
		t.Errorf("got %v, %v", a, err)
	}
}
