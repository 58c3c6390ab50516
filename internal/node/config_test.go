package node_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/node"
)

// load reads a configuration file with that text.
func load(t *testing.T, text string, environ ...string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kalam.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path, environ)
}

// warnings starts a server and returns what it logs as warnings.
func warnings(t *testing.T, c *config.Config) string {
	t.Helper()
	var out bytes.Buffer
	c.Storage.DataPath, c.Server.Host, c.Server.Port = t.TempDir(), "", 0
	n, err := node.Start(t.Context(), c, node.Options{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	return out.String()
}

const oldFile = "testdata/server-0.4.toml"

// TestServerTOMLOf04StartsTheServer loads a file with every key of KalamDB 0.4.
// Those that mean the same have their effect; the others are in one warning.
func TestServerTOMLOf04StartsTheServer(t *testing.T) {
	c, err := config.Load(oldFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string][2]any{
		"jwt_expiry_hours":        {c.Auth.JWTExpiryMinutes, 24 * 60},
		"min_password_length":     {c.Auth.MinPasswordLength, 9},
		"allow_remote_setup":      {c.Auth.AllowRemoteSetup, true},
		"auth.local.enabled":      {c.Auth.NoPasswordLogin, false},
		"trusted_proxy_ranges":    {fmt.Sprint(c.Security.TrustedProxies), "[10.0.0.0/8 10.1.2.3]"},
		"handler_timeout_seconds": {c.Limits.StatementTimeout, 31},
		"level":                   {c.Logging.Level, "debug"},
		"the sample of a secret":  {c.Auth.JWTSecret, ""},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %v, want %v", what, got[0], got[1])
		}
	}
	log := warnings(t, c)
	if n := strings.Count(log, "mean nothing here"); n != 1 {
		t.Errorf("%d warnings about keys in\n%s", n, log)
	}
	for _, key := range []string{"transaction_timeout_secs; ", "[server] workers, ", "[storage.rocksdb.cf_profiles.hot_data] write_buffer_size, ", " bcrypt_cost, ", " node_id, ", " endpoint, "} {
		if !strings.Contains(log, key) {
			t.Errorf("no %s in\n%s", key, log)
		}
	}
	for _, used := range []string{"jwt_expiry_hours", "visibility_timeout_secs", "trusted_proxy_ranges", "[server] host"} {
		if strings.Contains(log, used) {
			t.Errorf("%s is in the warning\n%s", used, log)
		}
	}
	if !strings.Contains(log, "jwt_secret") || strings.Contains(log, "your-secret-key") || strings.Contains(log, "Root-password-1") {
		t.Errorf("about the sample secret:\n%s", log)
	}
}

// TestEveryKeyOf04IsInTheDocumentation compares the file with the table of
// docs/compatibility.md.
func TestEveryKeyOf04IsInTheDocumentation(t *testing.T) {
	b, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| (`\\[.*?\\]`|top level) \\| (.*?) \\|").FindAllStringSubmatch(string(b), -1) {
		section := strings.Trim(strings.TrimSuffix(row[1], "top level"), "`[]")
		for _, name := range regexp.MustCompile("`(.*?)`").FindAllStringSubmatch(row[2], -1) {
			documented[strings.TrimPrefix(section+"."+name[1], ".")] = true
		}
		if strings.Contains(row[2], "every key") {
			documented[section+".*"] = true
		}
	}
	var all map[string]any
	meta, err := toml.DecodeFile(oldFile, &all)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range meta.Keys() {
		if meta.Type(k...) == "Hash" {
			continue
		}
		key := strings.Replace(k.String(), "authentication", "auth", 1)
		ok := documented[key]
		for i := range k {
			ok = ok || documented[strings.Replace(strings.Join(k[:i], "."), "authentication", "auth", 1)+".*"]
		}
		if !ok {
			t.Errorf("%s is not in the table", key)
		}
	}
	if len(meta.Keys()) < 100 || len(documented) < 100 {
		t.Errorf("%d keys, %d documented: one of the lists is not there", len(meta.Keys()), len(documented))
	}
}

// TestUnknownKeysAreRefusedAllAtOnce names every unknown key of a file with what
// may have been meant.
func TestUnknownKeysAreRefusedAllAtOnce(t *testing.T) {
	_, err := load(t, `
port = 80
[server]
hots = "x"
max_rows = 5
[storag]
data_path = "x"
[websockets]
whatever = 1
[flush]
defualt_row_limit = 3
[[auth.issuers]]
alias = "a"
audiense = ["x"]
[nothing]
like = "this"
`)
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, line := range []string{
		"port: did you mean [server] port?",
		"[server] hots: did you mean [server] host?",
		"[server] max_rows: did you mean [limits] max_rows?",
		"[storag] data_path: did you mean [storage] data_path?",
		"[websockets] whatever: did you mean section [websocket]?",
		"[flush] defualt_row_limit: ",
		"[auth.issuers] audiense: docs/authentication.md",
		"[nothing] like: the sections are [auth.accounts], [auth], ",
	} {
		if !strings.Contains(err.Error(), line) {
			t.Errorf("no %q in\n%v", line, err)
		}
	}
}

// TestNearMissOfAVariableIsRefused and what is unknown otherwise is named in one
// warning: Kubernetes, for one, sets variables named after a service.
func TestNearMissOfAVariableIsRefused(t *testing.T) {
	for name, want := range map[string]string{
		"KALAMDB_DATA_DIRR":                       "KALAMDB_DATA_DIR",
		"KALAMDB_ROOT_PASWORD":                    "KALAMDB_ROOT_PASSWORD",
		"KALAMDB_SERVER_PROT":                     "KALAMDB_SERVER_PORT",
		"KALAMDB_LIMITS_MAX_ROW":                  "KALAMDB_LIMITS_MAX_ROWS",
		"KALAMDB_SECURITY_CORS_ALLOWED_ORIGIN":    "KALAMDB_SECURITY_CORS_ALLOWED_ORIGINS",
		"KALAMDB_SECURITY_ALLOW_PLAINTEXTT_LOGIN": "KALAMDB_SECURITY_ALLOW_PLAINTEXT_LOGIN",
	} {
		_, err := config.Load("", []string{name + "=secret-value"})
		if err == nil || !strings.Contains(err.Error(), name+": did you mean "+want+"?") || strings.Contains(err.Error(), "secret-value") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := config.Load("", []string{"KALAMDB_DATA_DIRR=a", "KALAMDB_LOG_LEVLE=b"}); err == nil || strings.Count(err.Error(), "did you mean") != 2 {
		t.Errorf("of two: %v", err)
	}

	c, err := config.Load("", []string{
		"KALAMDB_SERVICE_HOST=10.0.0.1", "KALAMDB_SERVICE_PORT=8080", "KALAMDB_PORT=tcp://10.0.0.1:8080", "KALAMDB_PORT_8080_TCP_ADDR=10.0.0.1",
		"KALAMDB_URL=http://x", "KALAMDB_DATABASE_DIR=x", "KALAMDB_COOKIE_SECURE=false", "KALAMDB_LOGS_DIR=x", "KALAMDB_JWT_EXPIRY_HOURS=2", "PATH=/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Auth.JWTExpiryMinutes != 120 {
		t.Errorf("KALAMDB_JWT_EXPIRY_HOURS: %d minutes", c.Auth.JWTExpiryMinutes)
	}
	log := warnings(t, c)
	if lines := slices.Collect(strings.Lines(log)); len(lines) != 2 {
		t.Errorf("want a warning about unknown variables and one about those of 0.4:\n%s", log)
	}
	for _, name := range []string{"KALAMDB_SERVICE_HOST (did you mean KALAMDB_SERVER_HOST?)", "KALAMDB_PORT_8080_TCP_ADDR", "KALAMDB_URL", "KALAMDB_DATABASE_DIR", "KALAMDB_COOKIE_SECURE", "KALAMDB_LOGS_DIR"} {
		if !strings.Contains(log, name) {
			t.Errorf("no %s in\n%s", name, log)
		}
	}
}

// TestKeyByTwoNamesIsRefused sets a key by its name here and by that of 0.4.
func TestKeyByTwoNamesIsRefused(t *testing.T) {
	for _, text := range []string{
		"[auth]\njwt_expiry_hours = 1\njwt_expiry_minutes = 5",
		"[auth]\njwt_expiry_minutes = 5\n[authentication]\nmin_password_length = 9",
		"[security]\ntrusted_proxies = []\ntrusted_proxy_ranges = []",
	} {
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), "keep one") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := config.Load("", []string{"KALAMDB_DATA_DIR=a", "KALAMDB_STORAGE_DATA_PATH=b"}); err == nil || !strings.Contains(err.Error(), "keep one") {
		t.Errorf("variables: %v", err)
	}
	if c, err := load(t, "[storage]\ndata_path = 'a'", "KALAMDB_DATA_DIR=b", "KALAMDB_STORAGE_DATA_PATH=b"); err != nil || c.Storage.DataPath != "b" {
		t.Errorf("the same twice, over the file: %+v, %v", c, err)
	}
}

// TestClusterOf04IsRefused refuses peers: each node would be a database of its
// own. A section for one node is noted.
func TestClusterOf04IsRefused(t *testing.T) {
	_, err := load(t, "[cluster]\nnode_id = 1\n[[cluster.peers]]\nnode_id = 2\nrpc_addr = 'x:1'\n[[cluster.peers]]\nnode_id = 3")
	if err == nil || !strings.Contains(err.Error(), "several databases") {
		t.Errorf("in the file: %v", err)
	}
	if _, err := config.Load("", []string{"KALAMDB_CLUSTER_PEERS=2@x:1@http://x"}); err == nil || !strings.Contains(err.Error(), "several databases") {
		t.Errorf("as a variable: %v", err)
	}
	for _, text := range []string{"[cluster]\nnode_id = 1", "[cluster]"} {
		if c, err := load(t, text); err != nil || !strings.Contains(warnings(t, c), "cluster") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestOriginsThatNeverMatchAreMendedOrRefused lists origins as people write them
// and sends the header as browsers do.
func TestOriginsThatNeverMatchAreMendedOrRefused(t *testing.T) {
	mended := map[string]string{ // as written: as a browser sends it
		"http://localhost:3000/":         "http://localhost:3000",
		"HTTPS://App.Example.com":        "https://app.example.com",
		"https://a.example.com:443":      "https://a.example.com",
		"http://b.example.com:80/":       "http://b.example.com",
		" https://c.example.com ":        "https://c.example.com",
		"http://[0:0:0:0:0:0:0:1]:3000":  "http://[::1]:3000",
		"https://d.example.com:08443":    "https://d.example.com:8443",
		"capacitor://localhost":          "capacitor://localhost",
		"chrome-extension://abcdefghijk": "chrome-extension://abcdefghijk",
	}
	c := &config.Config{}
	c.Storage.DataPath = t.TempDir()
	for written := range mended {
		c.Security.CORS.AllowedOrigins = append(c.Security.CORS.AllowedOrigins, written)
	}
	n, err := node.Start(t.Context(), c, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	for written, sent := range mended {
		req, err := http.NewRequest("GET", n.URL()+"/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", sent)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != sent {
			t.Errorf("%q: a page of %s is answered with %q", written, sent, got)
		}
	}
	for written, says := range map[string]string{
		"localhost:3000":                      "https://localhost:3000",
		"app.example.com":                     "https://app.example.com",
		"//app.example.com":                   "scheme",
		"https://*.example.com":               "no patterns",
		"http://localhost:*":                  "no patterns",
		"https://app.example.com/login":       "https://app.example.com",
		"https://app.example.com?x":           "https://app.example.com",
		"https://me@app.example.com":          "https://app.example.com",
		"https://bücher.example":              "xn--",
		"http://127.0.1:80":                   "not an address",
		"https://app.example.com:99999":       "not a port",
		"https://":                            "host",
		"https:///x":                          "host",
		"null":                                "sandboxed",
		"https://a.example https://b.example": "no spaces",
	} {
		_, err := load(t, fmt.Sprintf("[security.cors]\nallowed_origins = [%q]", written))
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "allowed_origins") {
			t.Errorf("%q: %v, want %q", written, err, says)
		}
	}
}
