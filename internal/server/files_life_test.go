package server_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/files"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestFileCellsElsewhere: a live query and a topic see the reference, never the
// content.
func TestFileCellsElsewhere(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	run(t, s, admin, "CREATE TOPIC app.changes")
	run(t, s, admin, "ALTER TOPIC app.changes ADD SOURCE app.docs ON INSERT")
	k := open(t, s, "alice")
	k.subscribe("a", "SELECT id, body FROM app.docs WHERE body IS NOT NULL", "{}")
	k.snapshot("a")
	f := putFile(t, s, alice, "1", formPart{file: "a.txt", content: "the content"})
	ref := refCell(t, s, alice)
	change := k.wantChange("a", "insert")
	if got, ok := change.Rows[0]["body"].(string); !ok || got != ref {
		t.Errorf("live: %s, want %s", change.raw, ref)
	}
	m := consume(t, s, admin, `{"topic_id":"app.changes","group_id":"g","start":"earliest"}`).Messages
	if len(m) != 1 {
		t.Fatalf("%d messages", len(m))
	}
	payload, err := base64.StdEncoding.DecodeString(m[0].Payload)
	if err != nil || !strings.Contains(string(payload), `\"id\":\"`+f.ID+`\"`) || strings.Contains(string(payload), "the content") {
		t.Errorf("topic: %s (%v)", payload, err)
	}
	if got := rows(t, run(t, s, alice, "SELECT body::json->>'name', body::json->>'size' FROM app.docs")); compact(t, got) != `[["a.txt","11"]]` {
		t.Errorf("its fields: %s", got)
	}
}

// refCell is the one FILE cell of app.docs, as text.
func refCell(t testing.TB, s *servertest.Server, token string) string {
	t.Helper()
	in := run(t, s, token, "SELECT body FROM app.docs").json(t)
	cell := in["results"].([]any)[0].(map[string]any)["rows"].([]any)[0].([]any)[0]
	return cell.(string)
}

// TestUploadForAnotherUser: EXECUTE AS gives the file to the rows of the user.
func TestUploadForAnotherUser(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	file := formPart{name: "file:a", content: "hello"}
	a := upload(t, s, admin, formPart{name: "sql", content: "EXECUTE AS USER 'alice' (INSERT INTO app.docs (id, body) VALUES (1, FILE('a')))"}, file)
	if a.status != 200 {
		t.Fatal(a.body)
	}
	f := refs(t, s, alice, "SELECT body FROM app.docs")[0]
	if got := get(t, s, alice, f.path("app.docs")); got.status != 200 || got.body != "hello" {
		t.Errorf("%d %s", got.status, got.body)
	}
	wantError(t, upload(t, s, alice, formPart{name: "sql", content: "EXECUTE AS USER 'bob' (INSERT INTO app.docs (id, body) VALUES (1, FILE('a')))"}, file), 403, "PERMISSION_DENIED", "")
	// A statement that touches no row leaves no file.
	if a := upload(t, s, alice, formPart{name: "sql", content: "UPDATE app.docs SET extra = FILE('a') WHERE id = 99"}, file); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := upload(t, s, alice, formPart{name: "sql", content: "INSERT INTO app.docs (id, body) VALUES (1, FILE('a')) ON CONFLICT DO NOTHING"}, file); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	eventually(t, "one file", func() bool { return len(stored(t, s)) == 1 })
	// The rows of a dropped user stay, and so do their files.
	run(t, s, admin, "CREATE USER 'gone' WITH PASSWORD 'Secret123!' ROLE user")
	putFile(t, s, mint(t, "gone"), "1", formPart{content: "left behind"})
	run(t, s, admin, "DROP USER 'gone'")
	if got := get(t, s, mint(t, "gone"), f.path("app.docs")); got.status != 401 {
		t.Errorf("a dropped user: %d", got.status)
	}
	run(t, s, admin, "DROP TABLE app.docs")
	eventually(t, "no file", func() bool { return len(stored(t, s)) == 0 })
}

// TestDownloadOutlivesTheRow: who has begun to read reads on to the end.
func TestDownloadOutlivesTheRow(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	content := strings.Repeat("0123456789abcdef", 1<<20) // more than the sockets hold
	f := putFile(t, s, alice, "1", formPart{content: content})
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+f.path("app.docs"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+alice)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	run(t, s, alice, "DELETE FROM app.docs")
	eventually(t, "no file", func() bool { return len(stored(t, s)) == 0 })
	b, err := io.ReadAll(res.Body)
	if err != nil || string(b) != content {
		t.Errorf("%d bytes: %v", len(b), err)
	}
}

// TestContentsAreHeldForABackup: nothing is removed while somebody holds the
// contents, and it is afterwards, also by the next server.
func TestContentsAreHeldForABackup(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	release, err := files.Hold(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	putFile(t, s, alice, "1", formPart{content: "x"})
	run(t, s, alice, "DELETE FROM app.docs")
	wantError(t, upload(t, s, alice, formPart{name: "sql", content: "SELECT 1"}, formPart{name: "file:a"}), 400, "EXTRA_FILE", "")
	if list := stored(t, s); len(list) != 2 {
		t.Errorf("held: %v", list)
	}
	s.Close()
	s = servertest.Start(t, servertest.Options{Dir: s.Dir, Config: func(c *config.Config) { c.Auth.JWTSecret = secret }})
	if list := stored(t, s); len(list) != 2 {
		t.Errorf("held at a start: %v", list)
	}
	release()
	eventually(t, "no file", func() bool { return len(stored(t, s)) == 0 })
}

// TestStartComparesRowsAndContents: contents without a row go at a start, and a
// missing one does not stop it.
func TestStartComparesRowsAndContents(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Files.MaxFilesPerFolder = 2 })
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	var all []fileRef
	for i := range 5 {
		all = append(all, putFile(t, s, alice, fmt.Sprint(i), formPart{content: "x"}))
	}
	if all[1].Sub != "f0001" || all[2].Sub != "f0002" || all[4].Sub != "f0003" {
		t.Errorf("folders %v", all)
	}
	s.Close()
	for _, name := range []string{"f0001/5", "f0003/half", "f0004/7"} {
		path := filepath.Join(s.Dir, "files", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(s.Dir, "files", all[0].Sub, all[0].ID)); err != nil {
		t.Fatal(err)
	}
	s = servertest.Start(t, servertest.Options{Dir: s.Dir, Config: func(c *config.Config) { c.Auth.JWTSecret = secret }})
	if list := stored(t, s); len(list) != 4 {
		t.Errorf("contents %v", list)
	}
	if a := get(t, s, alice, all[0].path("app.docs")); a.status != 404 {
		t.Errorf("a missing content: %d %s", a.status, a.body)
	}
	if a := get(t, s, alice, all[1].path("app.docs")); a.status != 200 {
		t.Errorf("another: %d %s", a.status, a.body)
	}
	run(t, s, alice, "DELETE FROM app.docs")
	eventually(t, "no file", func() bool { return len(stored(t, s)) == 0 })
}
