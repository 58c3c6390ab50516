package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestFilesByCurl runs the commands of files.md that call curl, as they stand
// there but for the port and the id.
func TestFilesByCurl(t *testing.T) {
	text, err := os.ReadFile("files.md")
	if err != nil {
		t.Fatal(err)
	}
	server := servertest.Start(t, servertest.Options{})
	tokens := make(map[string]string)
	for _, user := range []string{"alice", "admin"} {
		c, err := client.New(server.URL, auth.Static(auth.Basic(user, servertest.Password)), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		session, err := c.Login(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tokens[user] = session.AccessToken
	}
	run := func(command, user string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", command)
		cmd.Env = append(os.Environ(), "TOKEN="+tokens[user])
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
		return string(out)
	}
	post := func(sql, user string) string {
		t.Helper()
		body, err := json.Marshal(map[string]string{"sql": sql})
		if err != nil {
			t.Fatal(err)
		}
		return run(`curl -sS -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' `+server.URL+`/v1/api/sql -d '`+string(body)+`'`, user)
	}
	var uploads, downloads, signs []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(curl .*?)```").FindAllStringSubmatch(string(text), -1) {
		command := strings.ReplaceAll(strings.Replace(m[1], "curl", "curl -sS", 1), "http://localhost:8080", server.URL)
		switch {
		case strings.Contains(command, "-F "):
			uploads = append(uploads, command)
		case strings.Contains(command, "/sign"):
			signs = append(signs, command)
		default:
			downloads = append(downloads, command)
		}
	}
	if len(uploads) != 1 || len(downloads) != 1 || len(signs) != 1 {
		t.Fatalf("the document has %d uploads, %d downloads, %d signed URLs", len(uploads), len(downloads), len(signs))
	}
	definition := regexp.MustCompile("(?s)```sql\n(.*?)```").FindStringSubmatch(string(text))[1]
	if a := post(definition, "admin"); !strings.Contains(a, `"status":"success"`) {
		t.Fatal(a)
	}
	t.Chdir(t.TempDir())
	const content = "\xff\xd8\xff\xe0 a photo"
	if err := os.WriteFile("cat.jpg", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := run(uploads[0], "alice"); !strings.Contains(a, "Inserted 1 row(s)") {
		t.Fatal(a)
	}
	id := regexp.MustCompile(`\{\\"id\\":\\"(\d+)\\",\\"sub\\":\\"f0001\\",\\"name\\":\\"cat.jpg\\",\\"size\\":12,\\"mime\\":\\"image/jpeg\\",\\"sha256\\":\\"[0-9a-f]{64}\\"\}`).
		FindStringSubmatch(post("SELECT photo FROM app.notes", "alice"))
	if id == nil {
		t.Fatal("the cell is not what the document says")
	}
	os.Remove("cat.jpg")
	ids := regexp.MustCompile(`\d{18}`)
	run(ids.ReplaceAllString(downloads[0], id[1]), "alice")
	if b, err := os.ReadFile("cat.jpg"); err != nil || string(b) != content {
		t.Errorf("downloaded %q: %v", b, err)
	}
	var link struct {
		URL       string
		ExpiresAt int64 `json:"expires_at"`
	}
	if a := run(ids.ReplaceAllString(signs[0], id[1]), "alice"); json.Unmarshal([]byte(a), &link) != nil || link.ExpiresAt == 0 {
		t.Fatal(a)
	}
	if a := run("curl -sS '"+server.URL+link.URL+"'", "alice"); a != content {
		t.Errorf("by the signed URL: %q", a)
	}
}
