package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// mintAs makes a token of a role that mint does not know the user of.
func mintAs(t *testing.T, user, role string) string {
	t.Helper()
	return sign(t, "HS256", secret, claims(user, role, 3600e9))
}

func TestNobodyRemovesTheLastAdministrator(t *testing.T) {
	s := start(t)
	root, admin := mint(t, "root"), mint(t, "admin")
	refused := func(token, sql string) {
		t.Helper()
		wantError(t, query(t, s, token, sql), 403, "PERMISSION_DENIED", "cannot be")
	}
	// The last one, whoever asks and whatever the other one is like.
	run(t, s, root, "CREATE USER other WITH PASSWORD 'Secret123!' ROLE dba; ALTER USER other DISABLE")
	for _, sql := range []string{"DROP USER admin", "DROP USER admin CASCADE", "DROP USER IF EXISTS admin", "ALTER USER admin DISABLE", "ALTER USER admin SET ROLE user", "ALTER USER admin SET ROLE service"} {
		refused(root, sql)
		refused(admin, sql)
	}
	run(t, s, root, "ALTER USER other ENABLE")
	// Oneself, even when there is another.
	for _, sql := range []string{"DROP USER admin", "DROP USER admin CASCADE", "ALTER USER admin DISABLE", "ALTER USER admin SET ROLE user"} {
		refused(admin, sql)
	}
	for _, sql := range []string{"DROP USER root", "DROP USER root CASCADE", "ALTER USER root DISABLE", "ALTER USER root SET ROLE dba"} {
		refused(root, sql)
		wantError(t, query(t, s, admin, sql), 403, "PERMISSION_DENIED", "")
	}
	run(t, s, admin, "ALTER USER admin SET ROLE dba; ALTER USER admin SET EMAIL 'a@example.com'")
	run(t, s, root, "ALTER USER admin SET ROLE user")
	refused(root, "DROP USER other")
}

func TestAdministratorsWhoDropEachOtherLeaveOne(t *testing.T) {
	s := start(t)
	root := mint(t, "root")
	for round := range 5 {
		run(t, s, root, "CREATE USER one WITH PASSWORD 'Secret123!' ROLE dba; CREATE USER two WITH PASSWORD 'Secret123!' ROLE dba")
		one, two := mintAs(t, "one", "dba"), mintAs(t, "two", "dba")
		run(t, s, one, "SELECT 1")
		run(t, s, two, "SELECT 1")
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for _, c := range []struct{ token, sql string }{{one, "DROP USER two"}, {two, "DROP USER one"}} {
			wg.Go(func() {
				<-begin
				query(t, s, c.token, c.sql)
			})
		}
		close(begin)
		wg.Wait()
		if got := compact(t, rows(t, run(t, s, root, "SELECT count(*) FROM system.users WHERE user_id IN ('one', 'two') AND deleted_at IS NULL"))); got != `[["1"]]` {
			t.Fatalf("round %d: %s are left", round, got)
		}
		run(t, s, root, "DROP USER IF EXISTS one CASCADE; DROP USER IF EXISTS two CASCADE")
		if a := query(t, s, root, "DROP USER one CASCADE"); a.status == 200 {
			t.Errorf("erased twice: %s", a.body)
		}
	}
}

// found are the files below dir that hold a word.
func found(t *testing.T, dir, word string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), word) {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDroppedUsersRowsAreErased(t *testing.T) {
	s := start(t)
	admin, alice, bob := mint(t, "admin"), mint(t, "alice"), mint(t, "bob")
	run(t, s, admin, "CREATE USER TABLE chat.notes (id SERIAL PRIMARY KEY, body TEXT, photo FILE); CREATE USER TABLE chat.old (id INT PRIMARY KEY, body TEXT);"+
		" CREATE STREAM TABLE chat.seen (id INT PRIMARY KEY, body TEXT) WITH (TTL_SECONDS = 3600); CREATE SHARED TABLE chat.board (id INT PRIMARY KEY, body TEXT) WITH (ACCESS_LEVEL = 'restricted')")
	for i, token := range []string{alice, bob} {
		who := []string{"alice", "bob"}[i]
		run(t, s, token, "DELETE FROM chat.messages")
		run(t, s, token, "INSERT INTO chat.messages (id, body) VALUES (1, 'word-of-"+who+"')")
		run(t, s, token, "INSERT INTO chat.old VALUES (1, 'word-of-"+who+"')")
		run(t, s, token, "INSERT INTO chat.seen VALUES (1, 'word-of-"+who+"')")
		uploadNote(t, s, token, who)
		session(t, s, who)
	}
	// More than goes in one step; values that only the log has; a table that is gone.
	run(t, s, alice, "INSERT INTO chat.notes (body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) SELECT 'word-of-alice' FROM n")
	run(t, s, alice, "UPDATE chat.messages SET body = 'later-word-of-alice'; DELETE FROM chat.messages")
	run(t, s, admin, "DROP TABLE chat.old")
	a := run(t, s, admin, "DROP USER alice CASCADE")
	if strings.Contains(a.body, "left") {
		t.Errorf("%s", a.body)
	}
	wantError(t, query(t, s, admin, "EXECUTE AS USER 'alice' (SELECT 1)"), 403, "PERMISSION_DENIED", "")
	if a := query(t, s, alice, "SELECT 1"); a.status != 401 {
		t.Errorf("her token: %d %s", a.status, a.body)
	}
	for _, c := range []struct{ sql, want string }{
		{"SELECT count(*) FROM system.sessions WHERE user_id = 'alice'", `[["0"]]`},
		{"SELECT count(*) FROM system.sessions WHERE user_id = 'bob'", `[["1"]]`},
		{"SELECT email FROM system.users WHERE user_id = 'alice'", `[[null]]`},
		{"SELECT DISTINCT details FROM system.audit_log WHERE action = 'DROP_USER' AND subject_user_id = 'alice'", `[["with their data"]]`},
	} {
		if got := compact(t, rows(t, run(t, s, admin, c.sql))); got != c.want {
			t.Errorf("%s: %s", c.sql, got)
		}
	}
	for _, sql := range []string{"SELECT count(*) FROM chat.messages", "SELECT count(*) FROM chat.seen", "SELECT count(*) FROM chat.notes"} {
		if got := compact(t, rows(t, run(t, s, bob, sql))); got != `[["1"]]` {
			t.Errorf("bob, %s: %s", sql, got)
		}
	}
	// A user of the same name begins anew, and old tokens are not theirs.
	run(t, s, admin, "CREATE USER alice WITH PASSWORD 'Another123!'")
	a = login(t, s, "alice", "Another123!")
	again, _ := a.json(t)["access_token"].(string)
	for _, sql := range []string{"SELECT count(*) FROM chat.messages", "SELECT count(*) FROM chat.seen", "SELECT count(*) FROM chat.notes"} {
		if got := compact(t, rows(t, run(t, s, again, sql))); got != `[["0"]]` {
			t.Errorf("the new alice, %s: %s", sql, got)
		}
	}
	if got := compact(t, rows(t, run(t, s, again, "INSERT INTO chat.notes (body) VALUES ('x') RETURNING id"))); got != `[[1]]` && got != `[["1"]]` {
		t.Errorf("her numbers go on at %s", got)
	}
	if files := found(t, filepath.Join(s.Dir, "files"), "content-of-alice"); len(files) > 0 {
		t.Errorf("her files are there: %v", files)
	}
	if files := found(t, filepath.Join(s.Dir, "files"), "content-of-bob"); len(files) != 1 {
		t.Errorf("bob's files: %v", files)
	}
	s.Close()
	driver, err := sqlite.Open(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), driver, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, sql := range []string{
		"SELECT count(*) FROM changes WHERE instr(coalesce(old, x'') || coalesce(new, x''), 'word-of-alice') > 0", "SELECT count(*) FROM files WHERE owner = 'alice'",
		"SELECT count(*) FROM file_refs WHERE usr = 'alice'",
	} {
		err := db.Query(t.Context(), &store.Stmt{SQL: sql, Cols: []wire.Type{{Kind: wire.BigInt}}}, nil, func(row []wire.Value) error {
			if row[0].Int() != 0 {
				t.Errorf("%s: %d", sql, row[0].Int())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A request that was let in before its user was dropped writes nothing after
// that, nor does one of somebody else on their behalf.
func TestRequestsUnderWayAtADropWriteNothing(t *testing.T) {
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{})
	admin := mint(t, "admin")
	verify := func(user string) *identity.Principal {
		p, err := s.users.Verify(t.Context(), mint(t, user))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	alice, boss := verify("alice"), verify("admin")
	insert := "INSERT INTO chat.messages (id, body) VALUES (1, 'hers')"
	run(t, s.Server, admin, "DROP USER alice CASCADE")
	for _, c := range []struct {
		who *identity.Principal
		sql string
	}{{alice, insert}, {alice, "BEGIN; " + insert + "; COMMIT"}, {boss, "EXECUTE AS USER 'alice' (" + insert + ")"}} {
		if _, err := s.engine.Run(t.Context(), c.who, &wire.Request{SQL: c.sql}); err == nil {
			t.Errorf("%s: %s is done", c.who.UserID, c.sql)
		}
	}
}

// uploadNote puts a file into a note of the token's user.
func uploadNote(t *testing.T, s *servertest.Server, token, who string) {
	t.Helper()
	body := "--x\r\nContent-Disposition: form-data; name=\"sql\"\r\n\r\nINSERT INTO chat.notes (body, photo) VALUES ('word-of-" + who + "', FILE(\"p\"))\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"file:p\"; filename=\"p.txt\"\r\nContent-Type: text/plain\r\n\r\ncontent-of-" + who + "\r\n--x--\r\n"
	a := do(t, http.MethodPost, s.URL+"/v1/api/sql", strings.NewReader(body), "Content-Type", "multipart/form-data; boundary=x", "Authorization", "Bearer "+token)
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
}

func TestDroppedUsersRowsStayWithoutCascade(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, mint(t, "alice"), "INSERT INTO chat.messages (id, body) VALUES (77, 'hers')")
	run(t, s, admin, "DROP USER alice")
	wantError(t, query(t, s, admin, "CREATE USER alice WITH PASSWORD 'Secret123!'"), 400, "ALREADY_EXISTS", "CASCADE")
	// It can still be said later.
	run(t, s, admin, "DROP USER alice CASCADE")
	run(t, s, admin, "CREATE USER alice WITH PASSWORD 'Secret123!'")
	a := login(t, s, "alice", "Secret123!")
	token, _ := a.json(t)["access_token"].(string)
	if got := compact(t, rows(t, run(t, s, token, "SELECT count(*) FROM chat.messages"))); got != `[["0"]]` {
		t.Errorf("the new alice has %s rows", got)
	}
}
