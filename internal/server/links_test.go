package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
)

// TestLinksComeFromTheConfigurationAlone: what a request says of the server's
// name is in no mail.
func TestLinksComeFromTheConfigurationAlone(t *testing.T) {
	for origin, link := range map[string]string{"": "", "https://db.example.com": "https://db.example.com/v1/api/auth/confirm?token="} {
		a := startAccounts(t, func(c *config.Config) { c.Server.PublicOrigin = origin })
		body := `{"email":"x@example.com","password":"correct-horse-9"}`
		r, err := http.NewRequestWithContext(t.Context(), "POST", a.URL+"/v1/api/auth/signup", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "evil.example.net"
		for _, name := range []string{"X-Forwarded-Host", "X-Original-Host", "Forwarded", "Origin", "Referer"} {
			r.Header.Set(name, "https://evil.example.net")
		}
		r.Header.Set("Content-Type", jsonType)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Fatal(resp.Status)
		}
		m := a.mail.Wait("x@example.com", 1)
		for _, text := range []string{m.Text, m.HTML} {
			if strings.Contains(text, "evil") || strings.Contains(text, "token=") != (link != "") || !strings.Contains(text, link) {
				t.Errorf("public_origin %q: %s", origin, text)
			}
		}
	}
}
