package main

import (
	"os"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

func TestDoctorExplainsATokenFromStandardInput(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) {
		c.Auth.JWTSecret = appSecret
		c.Auth.Issuers = []config.IssuerConfig{{Alias: "corp", Issuer: "https://id.example.com", Audience: []string{"kalam"}}}
	}})
	p := newPerson(t)
	claims := func(more map[string]any) map[string]any {
		out := map[string]any{"iss": "kalamdb", "sub": "alice", "token_type": "access", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	signed := func(secret string, more map[string]any) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.Signed(signer).Claims(claims(more)).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := signed(appSecret, nil)
	if out := p.ok(good+"\n", "auth", "doctor", "--url", s.URL, "--with-token"); !strings.Contains(out, "the server knows alice, role user") || !strings.Contains(out, "open and signed in") {
		t.Errorf("a good token: %s", out)
	}
	foreign := map[string]any{"iss": "https://id.example.com", "aud": "another"}
	for token, want := range map[string]string{
		"nonsense": "it is no JWT",
		signed(appSecret, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}):                               "it is over since",
		signed("a secret that is not the one of the server", nil):                                                 "auth.jwt_secret",
		signed(appSecret, map[string]any{"sub": "ghost"}):                                                         "no user ghost",
		signed(appSecret, map[string]any{"iss": "https://elsewhere.example"}):                                     "the server trusts https://id.example.com",
		signed(appSecret, map[string]any{"iss": "https://id.example.com/"}):                                       "exactly as in the token",
		signed(appSecret, foreign):                                                                                "it is signed with HS256, and the server takes RS256",
		good[:strings.IndexByte(good, '.')+1] + strings.Repeat("A", 40) + good[strings.LastIndexByte(good, '.'):]: "no JWT",
	} {
		o := p.run(token+"\n", "auth", "doctor", "--url", s.URL, "--with-token")
		if o.code != 1 || !strings.Contains(o.out, want) {
			t.Errorf("exit code %d, no %q in\n%s%s", o.code, want, o.out, o.err)
		}
		if parts := strings.Split(token, "."); len(parts) == 3 && strings.Contains(o.out+o.err, parts[2]) {
			t.Errorf("the token is shown: %s%s", o.out, o.err)
		}
	}
	if _, err := os.Stat(p.sessionFile()); err == nil {
		t.Error("the doctor keeps the token")
	}
}
