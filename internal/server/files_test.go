package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/textproto"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
)

const docs = `CREATE NAMESPACE app;
	CREATE USER TABLE app.docs (id INT PRIMARY KEY, title TEXT, body FILE, extra FILE);
	CREATE SHARED TABLE app.news (id INT PRIMARY KEY, body FILE) WITH (ACCESS_LEVEL = 'PUBLIC');
	CREATE SHARED TABLE app.staff (id INT PRIMARY KEY, body FILE)`

func TestUpload(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	content := "%PDF-1.7\n" + strings.Repeat("x", 100_000)
	a := upload(t, s, alice,
		formPart{name: "file:b", file: `..\..\Übung "1".PDF`, typ: "image/png", content: content},
		formPart{name: "namespace_id", content: "app"},
		formPart{name: "sql", content: `INSERT INTO docs (id, title, body, extra) VALUES ($1, 'it says FILE("nothing")', file ( "b" ), FILE('e')) RETURNING body`},
		formPart{name: "params", content: `[1]`},
		formPart{name: "other", content: "ignored"},
		formPart{name: "file:e"},
	)
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	f := refs(t, s, alice, "SELECT body FROM app.docs")[0]
	sum := sha256.Sum256([]byte(content))
	if f.Name != `Übung "1".PDF` || f.Size != int64(len(content)) || f.MIME != "application/pdf" || f.SHA256 != hex.EncodeToString(sum[:]) || f.Sub != "f0001" {
		t.Errorf("reference %+v", f)
	}
	if e := refs(t, s, alice, "SELECT extra FROM app.docs")[0]; e.Size != 0 || e.Name != "e" || e.MIME != "application/octet-stream" {
		t.Errorf("reference to an empty file %+v", e)
	}
	if !strings.Contains(a.body, `"data_type":"File"`) || !strings.Contains(a.body, f.ID) {
		t.Errorf("RETURNING gave %s", a.body)
	}
	got := get(t, s, alice, f.path("app.docs"))
	if got.status != 200 || got.body != content {
		t.Errorf("download: %d, %d bytes", got.status, len(got.body))
	}
}

// TestUploadRefuses checks code, row and content of what is not accepted.
func TestUploadRefuses(t *testing.T) {
	s := start(t, func(c *config.Config) {
		c.Files.MaxSizeBytes, c.Files.MaxFilesPerRequest, c.Files.MaxRequestBytes = 1000, 3, 2500
		c.Files.AllowedMIMETypes = []string{"text/plain", "image/*", "application/octet-stream"}
	})
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	run(t, s, admin, "CREATE STREAM TABLE app.feed (id INT PRIMARY KEY, body TEXT) WITH (TTL_SECONDS = 60)")
	insert := func(cells string) formPart {
		return formPart{name: "sql", content: "INSERT INTO app.docs (id, body, extra) VALUES (1, " + cells + ")"}
	}
	a := formPart{name: "file:a", file: "a.txt", content: "hello"}
	big := strings.Repeat("x", 1001)
	for name, c := range map[string]struct {
		parts  []formPart
		status int
		code   string
		text   string
	}{
		"no statement":      {[]formPart{a}, 400, "EMPTY_SQL", `"sql"`},
		"blank statement":   {[]formPart{a, {name: "sql", content: " \n"}}, 400, "EMPTY_SQL", `"sql"`},
		"missing":           {[]formPart{insert(`FILE("a"), FILE("b")`), a}, 400, "MISSING_FILE", `"file:b"`},
		"extra":             {[]formPart{insert(`FILE("a"), NULL`), a, {name: "file:b", content: "x"}}, 400, "EXTRA_FILE", `"file:b"`},
		"only in a text":    {[]formPart{{name: "sql", content: `INSERT INTO app.docs (id, title) VALUES (1, 'FILE("a")')`}, a}, 400, "EXTRA_FILE", `"file:a"`},
		"duplicate":         {[]formPart{insert(`FILE("a"), NULL`), a, a}, 400, "INVALID_INPUT", `two parts named "file:a"`},
		"two statements":    {[]formPart{insert(`FILE("a"), NULL); SELECT (1`), a}, 400, "INVALID_INPUT", "exactly one statement"},
		"a transaction":     {[]formPart{{name: "sql", content: "BEGIN"}, a}, 400, "INVALID_INPUT", "exactly one statement"},
		"a query":           {[]formPart{{name: "sql", content: `SELECT FILE("a")`}, a}, 400, "INVALID_INPUT", "column of type FILE"},
		"a condition":       {[]formPart{{name: "sql", content: `DELETE FROM app.docs WHERE body = FILE("a")`}, a}, 400, "INVALID_INPUT", "column of type FILE"},
		"another column":    {[]formPart{{name: "sql", content: `INSERT INTO app.docs (id, title) VALUES (1, FILE("a"))`}, a}, 400, "INVALID_INPUT", "column of type FILE"},
		"a stream":          {[]formPart{{name: "sql", content: `INSERT INTO app.feed VALUES (1, FILE("a"))`}, a}, 400, "INVALID_INPUT", ""},
		"no table":          {[]formPart{{name: "sql", content: `INSERT INTO app.nothing VALUES (1, FILE("a"))`}, a}, 400, "TABLE_NOT_FOUND", ""},
		"bad parameters":    {[]formPart{insert(`FILE("a"), NULL`), a, {name: "params", content: `{"a":1}`}}, 400, "INVALID_PARAMETER", "array"},
		"broken parameters": {[]formPart{insert(`FILE("a"), NULL`), a, {name: "params", content: `[1`}}, 400, "INVALID_PARAMETER", "array"},
		"not SQL":           {[]formPart{{name: "sql", content: "INSERT INTO"}, a}, 400, "INVALID_SQL", ""},
		"too large":         {[]formPart{insert(`FILE("a"), NULL`), {name: "file:a", content: big}}, 400, "FILE_TOO_LARGE", "1000 bytes"},
		"too large together": {[]formPart{insert(`FILE("a"), FILE("b")`), {name: "file:a", content: big[:900]}, {name: "file:b", content: big[:900]},
			{name: "file:c", content: big[:900]}}, 400, "FILE_TOO_LARGE", "2500 bytes"},
		"too many":    {[]formPart{insert(`FILE("a"), FILE("b")`), a, {name: "file:b"}, {name: "file:c"}, {name: "file:d"}}, 400, "TOO_MANY_FILES", "3 files"},
		"a type":      {[]formPart{insert(`FILE("a"), NULL`), {name: "file:a", typ: "image/png", content: "<!DOCTYPE html><script>"}}, 400, "INVALID_MIME_TYPE", "text/html"},
		"a wrong sum": {[]formPart{insert(`FILE("a"), NULL`), a, {name: "sha256:a", content: strings.Repeat("0", 64)}}, 400, "CHECKSUM_MISMATCH", `the file "a"`},
		"a sum alone": {[]formPart{insert(`FILE("a"), NULL`), a, {name: "sha256:b", content: strings.Repeat("0", 64)}}, 400, "MISSING_FILE", `"file:b"`},
		"an encoding": {[]formPart{insert(`FILE("a"), NULL`), {name: "file:a", content: "eA==", header: textproto.MIMEHeader{"Content-Transfer-Encoding": {"base64"}}}},
			400, "INVALID_INPUT", "Content-Transfer-Encoding"},
		"quoted-printable": {[]formPart{insert(`FILE("a"), NULL`), {name: "file:a", content: "=41", header: textproto.MIMEHeader{"Content-Transfer-Encoding": {"quoted-printable"}}}},
			400, "INVALID_INPUT", "Content-Transfer-Encoding"},
		"compressed":     {[]formPart{insert(`FILE("a"), NULL`), {name: "file:a", content: "x", header: textproto.MIMEHeader{"Content-Encoding": {"gzip"}}}}, 400, "INVALID_INPUT", "Content-Encoding"},
		"no part name":   {[]formPart{insert(`FILE("a"), NULL`), {name: "file:", content: "x"}}, 400, "INVALID_INPUT", "name"},
		"a violated key": {[]formPart{{name: "sql", content: `INSERT INTO app.docs (id, body) VALUES (9, FILE("a")), (9, NULL)`}, a}, 400, "UNIQUE_VIOLATION", ""},
		"not the role":   {[]formPart{{name: "sql", content: `INSERT INTO app.staff VALUES (9, FILE("a"))`}, a}, 403, "PERMISSION_DENIED", ""},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, upload(t, s, alice, c.parts...), c.status, c.code, c.text)
			if n := rows(t, run(t, s, alice, "SELECT count(*) FROM app.docs")); n != `[["0"]]` {
				t.Errorf("rows: %s", n)
			}
			if left := stored(t, s); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
	wantError(t, query(t, s, alice, `INSERT INTO app.docs (id, body) VALUES (1, FILE("a"))`), 400, "INVALID_INPUT", "multipart/form-data")
	wantError(t, post(t, s.URL+"/v1/api/sql", alice, `{"statements":[{"sql":"INSERT INTO app.docs (id, body) VALUES (1, FILE('a'))"}]}`), 400, "INVALID_INPUT", "multipart/form-data")
	wantError(t, query(t, s, alice, `SELECT 1; INSERT INTO app.docs (id, body) VALUES (1, FILE("a"))`), 400, "INVALID_INPUT", "multipart/form-data")
	sum := sha256.Sum256([]byte("hello"))
	ok := upload(t, s, alice, formPart{name: "sha256:a", content: " " + strings.ToUpper(hex.EncodeToString(sum[:]))}, a, insert(`FILE("a"), FILE("a")`))
	if ok.status != 200 || len(stored(t, s)) != 1 {
		t.Errorf("a good one: %d %s, %v", ok.status, ok.body, stored(t, s))
	}
}

// TestFileLivesAsLongAsItsRows follows what releases a file.
func TestFileLivesAsLongAsItsRows(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	add := func(token, table string, id int) {
		t.Helper()
		a := upload(t, s, token, formPart{name: "sql", content: "INSERT INTO " + table + " (id, body) VALUES ($1, FILE('a'))"},
			formPart{name: "params", content: fmt.Sprintf("[%d]", id)}, formPart{name: "file:a", file: "a.txt", content: fmt.Sprint("content ", id)})
		if a.status != 200 {
			t.Fatal(a.body)
		}
	}
	left := func(n int, after string) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d files after %s", n, after), func() bool { return len(stored(t, s)) == n })
	}
	add(alice, "app.docs", 1)
	path := refs(t, s, alice, "SELECT body FROM app.docs")[0].path("app.docs")
	reads := func(status int, after string) {
		t.Helper()
		if a := get(t, s, alice, path); a.status != status {
			t.Errorf("after %s: %d %s", after, a.status, a.body)
		}
	}
	run(t, s, alice, "INSERT INTO app.docs (id, body) SELECT 2, body FROM app.docs")
	run(t, s, alice, "UPDATE app.docs SET extra = body WHERE id = 2")
	run(t, s, alice, "DELETE FROM app.docs WHERE id = 1")
	run(t, s, alice, "UPDATE app.docs SET body = NULL")
	reads(200, "the deletion of all references but one")
	run(t, s, alice, "BEGIN; DELETE FROM app.docs; ROLLBACK")
	query(t, s, alice, "BEGIN; DELETE FROM app.docs; SELECT 1/0; COMMIT")
	run(t, s, alice, "UPDATE app.docs SET id = 3")
	run(t, s, alice, "INSERT INTO app.docs (id, extra) SELECT 3, extra FROM app.docs ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.extra, extra = NULL")
	run(t, s, alice, "BEGIN; DELETE FROM app.docs; SAVEPOINT a; INSERT INTO app.docs (id) VALUES (3); ROLLBACK TO a; INSERT INTO app.docs (id) VALUES (4); ROLLBACK")
	reads(200, "changes that keep a reference")
	left(1, "changes that keep a reference")
	run(t, s, alice, "DELETE FROM app.docs")
	left(0, "DELETE")
	reads(404, "DELETE")

	for _, end := range []string{
		"UPDATE app.docs SET body = NULL WHERE id = 10",
		"INSERT INTO app.docs (id) VALUES (10) ON CONFLICT (id) DO UPDATE SET body = NULL",
		"ALTER TABLE app.docs DROP COLUMN body",
		"DROP TABLE app.docs",
		"DROP NAMESPACE app",
	} {
		if end == "DROP TABLE app.docs" {
			run(t, s, admin, "ALTER TABLE app.docs ADD COLUMN body FILE")
		}
		table, token := "app.docs", alice
		if strings.HasPrefix(end, "DROP NAMESPACE") {
			table, token = "app.news", admin
		}
		query(t, s, token, "DELETE FROM "+table)
		add(token, table, 10)
		left(1, "an upload")
		if strings.HasPrefix(end, "UPDATE") || strings.HasPrefix(end, "INSERT") {
			run(t, s, alice, end)
		} else {
			run(t, s, admin, end)
		}
		left(0, end)
	}
}

// TestFileReferenceIsNoCapability: a reference that somebody writes down names
// only files that they may read.
func TestFileReferenceIsNoCapability(t *testing.T) {
	s := start(t)
	admin, alice, bob, svc := mint(t, "admin"), mint(t, "alice"), mint(t, "bob"), mint(t, "svc")
	run(t, s, admin, docs)
	run(t, s, admin, "CREATE USER 'svc' WITH PASSWORD 'Secret123!' ROLE service")
	give := func(token, sql string) fileRef {
		t.Helper()
		a := upload(t, s, token, formPart{name: "sql", content: sql + " RETURNING body"}, formPart{name: "file:a", file: "a.txt", content: "secret"})
		if a.status != 200 {
			t.Fatal(a.body)
		}
		var cells [][]string
		if err := json.Unmarshal([]byte(rows(t, a)), &cells); err != nil {
			t.Fatal(err)
		}
		var f fileRef
		if err := json.Unmarshal([]byte(cells[0][0]), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	own := give(alice, "INSERT INTO app.docs (id, body) VALUES (1, FILE('a'))")
	public := give(admin, "INSERT INTO app.news VALUES (1, FILE('a'))")
	staff := give(admin, "INSERT INTO app.staff VALUES (1, FILE('a'))")
	cell := func(f fileRef) string { return `{"id":"` + f.ID + `","name":"x.html","mime":"text/html","size":1}` }

	for _, bad := range []string{cell(own), cell(staff), cell(fileRef{ID: "12"}), cell(fileRef{ID: "99999999999999999999999"})} {
		wantError(t, query(t, s, bob, "INSERT INTO app.docs (id, body) VALUES (7, $1)", bad), 400, "FILE_NOT_FOUND", "may not use")
	}
	wantError(t, query(t, s, bob, "INSERT INTO app.docs (id, body) VALUES (7, 'photo.png')"), 400, "INVALID_TEXT_REPRESENTATION", `FILE("name")`)
	wantError(t, query(t, s, admin, "UPDATE app.news SET body = $1", cell(own)), 400, "FILE_NOT_FOUND", "")
	run(t, s, bob, "INSERT INTO app.docs (id, body) VALUES (7, $1)", cell(public))
	if f := refs(t, s, bob, "SELECT body FROM app.docs")[0]; f != public {
		t.Errorf("a copied reference reads %+v, want %+v", f, public)
	}
	run(t, s, alice, "INSERT INTO app.docs (id, body) VALUES (2, $1)", cell(own))

	for name, c := range map[string]struct {
		token, path string
		status      int
	}{
		"one's own":                {alice, own.path("app.docs"), 200},
		"by its stored name":       {alice, "/v1/files/app/docs/" + own.Sub + "/" + own.ID + "-a.txt", 200},
		"by the path of old SDKs":  {alice, "/api" + own.path("app.docs"), 200},
		"by another name":          {alice, "/v1/files/app/docs/" + own.Sub + "/" + own.ID + "-b.txt", 404},
		"in another folder":        {alice, "/v1/files/app/docs/f0002/" + own.ID, 404},
		"another user's":           {bob, own.path("app.docs"), 404},
		"another user's, by name":  {bob, own.path("app.docs") + "?user_id=alice", 403},
		"nobody's":                 {svc, own.path("app.docs") + "?user_id=nobody", 403},
		"an admin's own":           {admin, own.path("app.docs"), 404},
		"for a user":               {svc, own.path("app.docs") + "?user_id=alice", 200},
		"in another table":         {alice, own.path("app.news"), 404},
		"public":                   {bob, public.path("app.news"), 200},
		"public, copied":           {bob, public.path("app.docs"), 200},
		"public, not copied":       {alice, public.path("app.docs"), 404},
		"public, of a user":        {svc, public.path("app.news") + "?user_id=alice", 400},
		"private":                  {bob, staff.path("app.staff"), 403},
		"private, for the staff":   {svc, staff.path("app.staff"), 200},
		"no token":                 {"", public.path("app.news"), 401},
		"of a table of the server": {admin, "/v1/files/system/users/f0001/1", 400},
		"no table":                 {alice, "/v1/files/app/nothing/f0001/1", 404},
	} {
		t.Run(name, func(t *testing.T) {
			a := get(t, s, c.token, c.path)
			if a.status != c.status {
				t.Errorf("%d %s, want %d", a.status, a.body, c.status)
			}
			if (a.status == 200) != (a.body == "secret") {
				t.Errorf("body %q", a.body)
			}
		})
	}
	run(t, s, admin, "ALTER TABLE app.news SET TBLPROPERTIES (ACCESS_LEVEL = 'private')")
	if a := get(t, s, bob, public.path("app.news")); a.status != 403 {
		t.Errorf("rights are not those of now: %d", a.status)
	}
}
