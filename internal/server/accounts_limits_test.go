package server_test

import (
	"net"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
)

// TestMailServerDelaysNoRequest has an SMTP server that takes connections and
// never says a word: whoever waited for a mail would wait for half a minute.
func TestMailServerDelaysNoRequest(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	connected := make(chan bool, 64)
	hangUp := make(chan bool)
	t.Cleanup(func() { close(hangUp) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connected <- true
			go func() {
				<-hangUp
				c.Close()
			}()
		}
	}()
	s := start(t, func(c *config.Config) {
		c.Mail.SMTP = "smtp://" + l.Addr().String()
		c.Auth.Accounts.SignUp = "open"
	})
	ask := func(route, body string) {
		t.Helper()
		answers := make(chan answer, 1)
		go func() { answers <- post(t, s.URL+"/v1/api/auth/"+route, "", body) }()
		if a := receive(t, answers); a.status != 202 {
			t.Errorf("%s: %d %s", route, a.status, a.body)
		}
	}
	ask("signup", `{"email":"first@example.com"}`)
	<-connected // and from here on the sender waits
	ask("signup", `{"email":"carol@example.com","password":"correct-horse-9"}`)
	ask("code", `{"email":"carol@example.com","purpose":"verify"}`)
	for _, purpose := range []string{"login", "reset"} {
		ask("code", `{"email":"alice@example.com","purpose":"`+purpose+`"}`)
	}
	closed := make(chan answer, 1)
	go func() {
		s.Close()
		closed <- answer{}
	}()
	receive(t, closed) // nor does the end of the server wait for it
}

// TestAccountsAreLimitedApartFromLogins: whoever floods the server with requests
// of one kind is told to wait, and all other kinds go on.
func TestAccountsAreLimitedApartFromLogins(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{
		"signup": `{"user":""}`, "code/redeem": `{"email":"a@example.com","code":"1","purpose":"verify"}`,
		"login": `{"user":"","password":""}`, "refresh": "{}",
	}
	for flooded, body := range kinds {
		s := start(t, func(c *config.Config) {
			c.RateLimit.MaxAuthRequestsPerIPPerSec = 2
			c.Auth.Accounts.SignUp, c.Auth.Accounts.Email = "open", "none"
		})
		ask := func(kind string) answer { return post(t, s.URL+"/v1/api/auth/"+kind, "", kinds[kind]) }
		var last answer
		for range 100 {
			if last = post(t, s.URL+"/v1/api/auth/"+flooded, "", body); last.status == 429 {
				break
			}
		}
		if last.status != 429 || last.header.Get("Retry-After") == "" || !strings.Contains(last.body, "wait") {
			t.Errorf("%s: %d %s, Retry-After %q", flooded, last.status, last.body, last.header.Get("Retry-After"))
		}
		for kind := range kinds {
			if a := ask(kind); kind != flooded && a.status == 429 {
				t.Errorf("%s is limited by %s", kind, flooded)
			}
		}
	}
}
