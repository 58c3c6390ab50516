package servertest

import (
	"bufio"
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/kalamdb/kalam-go/internal/config"
)

// Users of a Provider; both have the password ProviderPassword. The first is in
// the groups staff and operators, the second in staff.
const (
	ProviderUser     = "test-user@localhost"
	ProviderUser2    = "test-user2"
	ProviderPassword = "verysecure"
)

// Provider is a real OpenID provider in a process of its own (bench/peers/oidc).
type Provider struct {
	URL    string
	Issuer config.IssuerConfig // trusts it, with its users made at their first token
	HTTP   *http.Client        // trusts its certificate
	oauth  oauth2.Config
}

// StartProvider builds and starts a provider whose access tokens live so long,
// and ends it with the test.
func StartProvider(t testing.TB, life time.Duration) *Provider {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	peers := filepath.Join(filepath.Dir(here), "..", "..", "bench", "peers")
	program := filepath.Join(t.TempDir(), "oidc")
	build := exec.Command("go", "build", "-o", program, "./oidc")
	build.Dir = peers
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the provider: %v\n%s", err, out)
	}
	const client, callback = "kalam-app", "http://localhost/callback"
	cert := NewCertificate(t)
	run := exec.Command(program, "-cert", cert.CertFile, "-key", cert.KeyFile, "-client", client, "-redirect", callback, "-life", life.String())
	run.Stderr = t.Output()
	in, err := run.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // ends it
		run.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider does not start: %v", err)
	}
	issuer := strings.TrimSpace(line)
	return &Provider{
		URL: issuer, HTTP: cert.Client(),
		Issuer: config.IssuerConfig{
			Alias: "test", Name: "Test provider", Issuer: issuer, Audience: []string{client}, ClientID: client,
			AutoProvision: true, AllowPrivate: true, CAFile: cert.CertFile,
		},
		oauth: oauth2.Config{
			ClientID: client, RedirectURL: callback, Scopes: []string{"openid", "offline_access"},
			Endpoint: oauth2.Endpoint{AuthURL: issuer + "/auth", TokenURL: issuer + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams},
		},
	}
}

// SignIn does what a person does: it opens the login page, types user and
// password, and exchanges the code that comes back (RFC 6749, section 4.1, with
// RFC 7636).
func (p *Provider) SignIn(t testing.TB, user string) *oauth2.Token {
	t.Helper()
	browser := *p.HTTP
	browser.Jar, _ = cookiejar.New(nil)
	callback := ""
	browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), p.oauth.RedirectURL) {
			callback = r.URL.Query().Get("code")
			return http.ErrUseLastResponse
		}
		return nil
	}
	verifier := oauth2.GenerateVerifier()
	page, err := browser.Get(p.oauth.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	if err != nil {
		t.Fatal(err)
	}
	page.Body.Close()
	form := url.Values{"id": {page.Request.URL.Query().Get("authRequestID")}, "username": {user}, "password": {ProviderPassword}}
	done, err := browser.PostForm(p.URL+"/login/username", form)
	if err != nil {
		t.Fatal(err)
	}
	done.Body.Close()
	if callback == "" {
		t.Fatalf("the provider did not call back: %s at %s", done.Status, page.Request.URL)
	}
	token, err := p.oauth.Exchange(p.context(), callback, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatalf("exchange the code: %v", err)
	}
	return token
}

// Source renews a token whenever it is over.
func (p *Provider) Source(token *oauth2.Token) oauth2.TokenSource {
	return p.oauth.TokenSource(p.context(), token)
}

func (p *Provider) context() context.Context {
	return context.WithValue(context.Background(), oauth2.HTTPClient, p.HTTP)
}
