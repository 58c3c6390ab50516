package server_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// sharedNotes is a table whose rows belong to those who wrote them, and of which
// everybody reads the public ones.
const sharedNotes = "CREATE NAMESPACE share; " +
	sharedUsers + "CREATE SHARED TABLE share.notes (id INT PRIMARY KEY, owner TEXT, body TEXT, open BOOLEAN DEFAULT FALSE); " +
	"CREATE POLICY own ON share.notes USING (owner = CURRENT_USER()); " +
	"CREATE POLICY readable ON share.notes FOR SELECT USING (open)"

// sharedUsers are those beside alice and bob.
const sharedUsers = "CREATE USER svc WITH PASSWORD 'Secret123!' ROLE service; CREATE USER dave WITH PASSWORD 'Secret123!'; "

// wantRows checks the rows of a query.
func wantRows(t testing.TB, s *servertest.Server, token, sql, want string) {
	t.Helper()
	if got := compact(t, rows(t, run(t, s, token, sql))); got != want {
		t.Errorf("%s: %s, want %s", sql, got, want)
	}
}

func TestPoliciesDecideOnReadsAndWrites(t *testing.T) {
	s := start(t)
	admin, alice, bob := mint(t, "admin"), mint(t, "alice"), mint(t, "bob")
	run(t, s, admin, sharedNotes)
	run(t, s, alice, "INSERT INTO share.notes VALUES (1, 'alice', 'a', FALSE), (2, 'alice', 'b', TRUE)")
	run(t, s, bob, "INSERT INTO share.notes VALUES (3, 'bob', 'c', FALSE)")

	const all = "SELECT id FROM share.notes"
	wantRows(t, s, alice, all, "[[1],[2]]")
	wantRows(t, s, bob, all, "[[2],[3]]")
	wantRows(t, s, admin, all, "[[1],[2],[3]]")
	wantRows(t, s, bob, "UPDATE share.notes SET body = 'x' RETURNING id", "[[3]]")
	wantRows(t, s, bob, "DELETE FROM share.notes WHERE owner = 'alice' RETURNING id", "[]")
	wantRows(t, s, alice, "SELECT body FROM share.notes", `[["a"],["b"]]`)

	for _, sql := range []string{
		"INSERT INTO share.notes VALUES (4, 'alice', 'forged', FALSE)",
		"INSERT INTO share.notes (id, owner) SELECT 5, 'alice'",
		"UPDATE share.notes SET owner = 'alice'",
		"INSERT INTO share.notes VALUES (1, 'bob', 'taken', FALSE) ON CONFLICT (id) DO UPDATE SET owner = 'bob'",
	} {
		a := query(t, s, bob, sql)
		wantError(t, a, 403, "POLICY_VIOLATION", "share.notes")
	}
	wantRows(t, s, admin, "SELECT id, owner FROM share.notes", `[[1,"alice"],[2,"alice"],[3,"bob"]]`)
}

// TestAPlanIsOfNoUser runs the same text as several users and roles, so that the
// later ones find the plan of the first.
func TestAPlanIsOfNoUser(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, sharedNotes+"; CREATE POLICY audit ON share.notes FOR SELECT TO service USING (id > 1)")
	run(t, s, admin, "INSERT INTO share.notes VALUES (1, 'alice', 'a', FALSE), (2, 'bob', 'b', FALSE), (3, 'carol', 'c', TRUE)")
	for range 2 {
		for user, want := range map[string]string{
			"admin": "[[1],[2],[3]]", "alice": "[[1],[3]]", "bob": "[[2],[3]]", "svc": "[[2],[3]]", "dave": "[[3]]",
		} {
			wantRows(t, s, mint(t, user), "SELECT id FROM share.notes WHERE id > 0", want)
		}
	}
	run(t, s, admin, "DROP POLICY readable ON share.notes")
	wantRows(t, s, mint(t, "dave"), "SELECT id FROM share.notes WHERE id > 0", "[]")
}

func TestPoliciesUnderExecuteAs(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, sharedNotes)
	run(t, s, alice, "INSERT INTO share.notes VALUES (1, 'alice', 'a', FALSE)")
	wantRows(t, s, admin, "EXECUTE AS USER 'bob' (SELECT id FROM share.notes)", "[]")
	wantRows(t, s, admin, "EXECUTE AS USER 'alice' (SELECT id FROM share.notes)", "[[1]]")
	wantError(t, query(t, s, admin, "EXECUTE AS USER 'bob' (INSERT INTO share.notes VALUES (2, 'alice', 'x', FALSE))"), 403, "POLICY_VIOLATION", "share.notes")
	run(t, s, admin, "EXECUTE AS USER 'bob' (INSERT INTO share.notes VALUES (2, 'bob', 'x', FALSE))")
}

// TestDownloadNeedsAVisibleRow downloads, copies and loses files of shared rows.
func TestDownloadNeedsAVisibleRow(t *testing.T) {
	s := start(t)
	admin, alice, bob := mint(t, "admin"), mint(t, "alice"), mint(t, "bob")
	run(t, s, admin, "CREATE NAMESPACE share; "+sharedUsers+"CREATE SHARED TABLE share.docs (id INT PRIMARY KEY, owner TEXT, open BOOLEAN, body FILE); "+
		"CREATE POLICY own ON share.docs USING (owner = CURRENT_USER()); CREATE POLICY readable ON share.docs FOR SELECT USING (open)")
	a := upload(t, s, alice, formPart{name: "sql", content: "INSERT INTO share.docs VALUES (1, 'alice', FALSE, FILE('a'))"}, formPart{name: "file:a", file: "a.txt", content: "secret"})
	if a.status != 200 {
		t.Fatal(a.body)
	}
	f := refs(t, s, alice, "SELECT body FROM share.docs")[0]
	path := f.path("share.docs")
	status := func(token string) int { t.Helper(); return get(t, s, token, path).status }
	if status(alice) != 200 || status(admin) != 200 {
		t.Error("the owner cannot download")
	}
	if status(bob) != 404 || status(mint(t, "svc")) != 404 {
		t.Error("a file of a hidden row can be downloaded")
	}
	copied := query(t, s, bob, "INSERT INTO share.docs VALUES (2, 'bob', FALSE, $1)", `{"id":"`+f.ID+`","sub":"f0001","name":"x","size":1,"mime":"a/b","sha256":"x"}`)
	wantError(t, copied, 400, "FILE_NOT_FOUND", f.ID)
	run(t, s, alice, "UPDATE share.docs SET open = TRUE")
	if status(bob) != 200 {
		t.Error("a file of a visible row cannot be downloaded")
	}
	run(t, s, alice, "UPDATE share.docs SET open = FALSE")
	if status(bob) != 404 {
		t.Error("a file can be downloaded after its row has been hidden")
	}
}

// TestExplainAsUserNamesPolicyAndIndex asks which policies apply to a user, and
// what serves them.
func TestExplainAsUserNamesPolicyAndIndex(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, sharedNotes+"; CREATE INDEX notes_owner ON share.notes (owner); DROP POLICY readable ON share.notes")
	a := run(t, s, admin, "EXPLAIN AS USER 'bob' SELECT id FROM share.notes")
	for _, part := range []string{"own (owner = current_user)", "notes_owner"} {
		if !strings.Contains(a.body, part) {
			t.Errorf("%q is not in %s", part, a.body)
		}
	}
	if a := run(t, s, admin, "EXPLAIN AS USER 'admin' SELECT id FROM share.notes"); !strings.Contains(a.body, "role dba sees all rows") {
		t.Error(a.body)
	}
	wantError(t, query(t, s, admin, "EXPLAIN AS USER 'nobody' SELECT id FROM share.notes"), 400, "USER_NOT_FOUND", "nobody")
	wantError(t, query(t, s, admin, "EXPLAIN ANALYZE AS USER 'bob' SELECT id FROM share.notes"), 400, "UNSUPPORTED_STATEMENT", "EXECUTE AS USER")
	wantError(t, query(t, s, mint(t, "alice"), "EXPLAIN AS USER 'bob' SELECT id FROM share.notes"), 403, "PERMISSION_DENIED", "")
}

// TestATableHasAHundredPolicies makes one more, which changes nothing.
func TestATableHasAHundredPolicies(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, sharedNotes)
	for i := range 98 {
		run(t, s, admin, "CREATE POLICY p"+strconv.Itoa(i)+" ON share.notes FOR SELECT USING (id = "+strconv.Itoa(1000+i)+")")
	}
	wantError(t, query(t, s, admin, "CREATE POLICY more ON share.notes USING (TRUE)"), 400, "QUOTA_EXCEEDED", "100 policies")
	run(t, s, admin, "INSERT INTO share.notes VALUES (1, 'alice', 'a', FALSE), (1005, 'alice', 'b', FALSE)")
	wantRows(t, s, mint(t, "bob"), "SELECT id FROM share.notes", "[[1005]]")
	wantRows(t, s, mint(t, "bob"), "SELECT id FROM share.notes WHERE lower(body) = 'b' AND 1 / (id - 1) >= 0", "[[1005]]")
}
