package docs_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestAuthenticationIsAsWritten does what authentication.md says in SQL, in
// configurations and in terminals. Only the addresses differ. Its Go and
// TypeScript have tests of their own.
func TestAuthenticationIsAsWritten(t *testing.T) {
	server := servertest.Start(t, servertest.Options{Config: func(c *config.Config) {
		c.Auth.Accounts.SignUp, c.Auth.Accounts.Email, c.Auth.Accounts.Anonymous = "open", "none", true // as the demo has it
	}})
	admin := connect(t, server.URL, "admin")
	r := newReader(t, server.URL)
	var provider *provider
	answer := ""
	for _, f := range fences(t, "authentication.md") {
		switch {
		case f.language == "sql":
			if _, err := admin.Run(t.Context(), f.text); err != nil {
				t.Fatal(err)
			}
		case f.language == "toml":
			loads(t, f.text)
		case f.language == "json" && strings.Contains(f.text, `"iss"`):
			signsIn(t, f.text)
		case f.language == "json":
			sameFields(t, f.text, answer)
		case f.language != "sh":
		case f.text == "make provider\n":
			provider = startProvider(t)
		case strings.HasPrefix(f.text, "./bin/kalam serve "):
			provider.serve(strings.TrimSpace(f.text))
			provider.signIn()
		case strings.Contains(f.text, "http://localhost:9090"):
			if out := provider.does(f.text); !strings.Contains(out, "test:id1") {
				t.Errorf("who is signed in?\n%s", out)
			}
		default:
			answer = r.does(f.text)
		}
	}
	if provider == nil {
		t.Error("the document does not start a provider")
	}
}

// loads reads a configuration as a server does.
func loads(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kalam.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path, nil); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// signsIn signs claims with the secret of a server, with the time of today, and
// signs in with that.
func signsIn(t *testing.T, claims string) {
	t.Helper()
	const secret = "V0lkOWZ6c0h1Q2ZpUWx5cW1kN1RrS3l3bEZ5dG9R"
	server := servertest.Start(t, servertest.Options{Config: func(c *config.Config) { c.Auth.JWTSecret = secret }})
	var in map[string]any
	if err := json.Unmarshal([]byte(claims), &in); err != nil {
		t.Fatal(err)
	}
	in["iat"], in["exp"] = time.Now().Unix(), time.Now().Add(time.Hour).Unix()
	payload, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	token := text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	db, err := client.New(server.URL, auth.Static(auth.JWT(token)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if row, err := db.QueryRow(t.Context(), "SELECT CURRENT_USER() AS me"); err != nil || row.Text("me") != in["sub"] {
		t.Errorf("%v %v", row, err)
	}
}

// provider is what make provider starts, on a port of its own, and a reader who
// works with it.
type provider struct {
	*reader
	url    string
	folder string
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	r := newReader(t, "")
	folder := filepath.Join(r.home, "demo", "provider")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	bin, _ := program()
	if err := os.Symlink(bin, filepath.Join(r.home, "bin")); err != nil {
		t.Fatal(err)
	}
	command, err := exec.Command("make", "-n", "--no-print-directory", "-C", "..", "provider").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	page := l.Addr().String()
	l.Close()
	script := strings.NewReplacer("cd bench", "cd "+root+"/bench", "localhost:9090", page, "../../demo/provider", folder).Replace(string(command))
	r.begins(script, "Then open: +http://"+page)
	r.ports = strings.NewReplacer("http://localhost:9090", "http://"+page)
	return &provider{r, "http://" + page, folder}
}

// serve starts the server of the document on a free port.
func (p *provider) serve(script string) {
	p.t.Helper()
	served := p.begins(script+" --listen localhost:0", ` serves (\S+) `)
	p.env = append(p.env, "KALAM_URL="+served[1])
}

// signIn does what a person does on the page.
func (p *provider) signIn() {
	t := p.t
	t.Helper()
	config, err := config.Load(filepath.Join(p.folder, "kalam.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(config.Auth.Issuers[0].CAFile)
	if err != nil {
		t.Fatal(err)
	}
	trust := &servertest.Certificate{Pool: x509.NewCertPool()}
	trust.Pool.AppendCertsFromPEM(text)
	browser := trust.Client()
	browser.Jar, _ = cookiejar.New(nil)
	login, err := browser.Get(p.url + "/sign-in")
	if err != nil {
		t.Fatal(err)
	}
	login.Body.Close()
	form := url.Values{"id": {login.Request.URL.Query().Get("authRequestID")}, "username": {servertest.ProviderUser}, "password": {servertest.ProviderPassword}}
	back, err := browser.PostForm(config.Auth.Issuers[0].Issuer+"/login/username", form)
	if err != nil {
		t.Fatal(err)
	}
	back.Body.Close()
	if back.StatusCode != http.StatusOK || back.Request.URL.Path != "/" {
		t.Fatalf("signing in ends at %s: %s", back.Request.URL, back.Status)
	}
}
