package server_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// changing are the parts of an answer that differ from run to run.
var (
	took = regexp.MustCompile(`"took":[0-9.]+`)
	jobs = regexp.MustCompile(`CL-[0-9]+`)
	seqs = regexp.MustCompile(`"[1-9][0-9]{17,18}"`)
)

var update = flag.Bool("update", false, "write the answers into testdata; read the difference before committing it")

// wantGolden compares an answer with a file of testdata.
func wantGolden(t testing.TB, name string, a answer) {
	t.Helper()
	got := took.ReplaceAllString(compact(t, a.body), `"took":0`)
	got = seqs.ReplaceAllString(got, `"SEQ"`)
	got = jobs.ReplaceAllString(got, "CL-1")
	path := filepath.Join("testdata", name+".json")
	if *update {
		os.WriteFile(path, []byte(strings.ReplaceAll(got, `},{"schema"`, "},\n{\"schema\"")+"\n"), 0o644)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; the answer is\n%s", err, got)
	}
	if want := compact(t, string(b)); got != want {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
	wantJSON(t, a)
}

const everything = `CREATE TABLE chat.everything (
	id BIGINT PRIMARY KEY, b BOOLEAN, si SMALLINT, i INT NOT NULL DEFAULT 7, bi BIGINT, f FLOAT, d DOUBLE, t TEXT UNIQUE, de DECIMAL(12,3),
	ts TIMESTAMP, dt DATETIME, da DATE, ti TIME, j JSON, by BYTES, e EMBEDDING(3), u UUID) WITH (TYPE='USER')`

func makeEverything(t testing.TB, s *servertest.Server, token string) {
	t.Helper()
	run(t, s, token, everything)
	run(t, s, token, `INSERT INTO chat.everything (id, b, si, bi, f, d, t, de, ts, dt, da, ti, j, by, e, u)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)`,
		json.Number("1"), true, -7, json.Number("9007199254740993"), 0.1, 1.5e300, "tëxt \"q\" \u2028", "-0.5",
		"2026-02-03 04:05:06.789", "1969-12-31T23:59:59Z", "1970-01-02", "04:05:06.5", `{"a":[1,2]}`, `\x0001ff`, "[0.5,-1,2]", "01890A5D-AC96-774B-BCCE-B302099A8057")
	run(t, s, token, "INSERT INTO chat.everything (id) VALUES (2)")
}

func TestCellsAndSchemaOfEveryType(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	makeEverything(t, s, alice)
	wantGolden(t, "every_type", query(t, s, alice, "SELECT * FROM chat.everything ORDER BY id"))
	wantGolden(t, "computed", query(t, s, alice, "SELECT count(*) AS n, max(i), min(de), sum(i) AS s FROM chat.everything"))
	wantGolden(t, "no_rows", query(t, s, alice, "SELECT id, t AS text FROM chat.everything WHERE id = 99"))
	wantGolden(t, "several", query(t, s, alice, `
		INSERT INTO chat.messages (id, body) VALUES (1, 'a'), (2, 'b'), (3, 'c');
		SELECT id, body FROM chat.messages WHERE id < 10 ORDER BY id;
		UPDATE chat.messages SET body = upper(body) WHERE id >= 2 AND id < 10 RETURNING id, body;
		UPDATE chat.messages SET body = 'x' WHERE id = 99;
		DELETE FROM chat.messages WHERE id = 3;
		SELECT count(*) FROM chat.messages WHERE id < 10`))
	wantGolden(t, "definition", query(t, s, mint(t, "admin"), "CREATE NAMESPACE app; CREATE TABLE app.t (id INT PRIMARY KEY) WITH (TYPE='USER'); DROP TABLE app.t; DROP NAMESPACE app"))
}

func TestTransactionsInOneText(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, alice, "DELETE FROM chat.messages")
	count := func() string { return rows(t, run(t, s, alice, "SELECT count(*) FROM chat.messages")) }
	wantGolden(t, "transaction", query(t, s, alice, "BEGIN; INSERT INTO chat.messages (id, body) VALUES (1, 'a'); SELECT body FROM chat.messages; COMMIT"))
	wantGolden(t, "rollback", query(t, s, alice, "BEGIN; DELETE FROM chat.messages; SELECT count(*) FROM chat.messages; ROLLBACK"))
	if got := count(); got != `[["1"]]` {
		t.Errorf("after ROLLBACK: %s", got)
	}
	a := query(t, s, alice, "BEGIN; INSERT INTO chat.messages (id, body) VALUES (2, 'b'); INSERT INTO chat.messages (id, body) VALUES (1, 'again'); COMMIT")
	wantError(t, a, 400, "UNIQUE_VIOLATION", "Statement 3 failed")
	if got := count(); got != `[["1"]]` {
		t.Errorf("after an error: %s", got)
	}
	wantError(t, query(t, s, alice, "BEGIN; INSERT INTO chat.messages (id, body) VALUES (3, 'c')"), 400, "SQL_EXECUTION_ERROR", "open")
	wantError(t, query(t, s, alice, "BEGIN; BEGIN; COMMIT"), 400, "SQL_EXECUTION_ERROR", "already open")
	if got := count(); got != `[["1"]]` {
		t.Errorf("after an open transaction: %s", got)
	}
	// Without BEGIN what came before the failure stays.
	a = query(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (4, 'd'); SELECT 1/0; INSERT INTO chat.messages (id, body) VALUES (5, 'e')")
	wantError(t, a, 400, "DIVISION_BY_ZERO", "Statement 2 failed")
	if got := count(); got != `[["2"]]` {
		t.Errorf("after a failed batch: %s", got)
	}
}

func TestStatementsAreOneTransaction(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, alice, "DELETE FROM chat.messages")
	url := s.URL + "/v1/api/sql"
	wantGolden(t, "statements", post(t, url, alice, `{"namespace_id":"chat","statements":[
		{"sql":"INSERT INTO messages (id, body) VALUES ($1, $2)","params":[1,"a"]},
		{"sql":"SELECT body FROM messages WHERE id = $1","params":[1]},
		{"sql":"DELETE FROM messages WHERE id = 99"}]}`))
	a := post(t, url, alice, `{"statements":[
		{"sql":"INSERT INTO chat.messages (id, body) VALUES ($1, $2)","params":[2,"b"]},
		{"sql":"INSERT INTO chat.messages (id, body) VALUES ($1, $2)","params":[1,"again"]}]}`)
	wantError(t, a, 400, "UNIQUE_VIOLATION", "")
	if !strings.Contains(a.body, `"statement":2`) {
		t.Error(a.body)
	}
	if got := rows(t, run(t, s, alice, "SELECT count(*) FROM chat.messages")); got != `[["1"]]` {
		t.Errorf("after an error: %s", got)
	}
	for _, sql := range []string{"BEGIN", "CREATE TABLE chat.x (id INT PRIMARY KEY)", "DROP TABLE chat.messages", "CREATE USER x WITH PASSWORD 'Secret123!'"} {
		a := post(t, url, alice, `{"statements":[{"sql":`+quote(sql)+`}]}`)
		if status, code, _ := failure(t, a); status != 400 && status != 403 || code != "UNSUPPORTED_STATEMENT" && code != "PERMISSION_DENIED" {
			t.Errorf("%s: %d %s", sql, a.status, a.body)
		}
	}
}

func TestExecuteAsUser(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, "CREATE USER svc WITH PASSWORD 'Secret123!' ROLE service; CREATE SHARED TABLE chat.board (id INT PRIMARY KEY)")
	svc := mint(t, "svc")
	run(t, s, alice, "DELETE FROM chat.messages; INSERT INTO chat.messages (id, body) VALUES (1, 'hers')")
	for _, token := range []string{admin, svc, alice} {
		a := run(t, s, token, "EXECUTE AS USER 'alice' (SELECT body FROM chat.messages)")
		if rows(t, a) != `[["hers"]]` || !strings.Contains(a.body, `"as_user":"alice"`) {
			t.Errorf("%s", a.body)
		}
	}
	run(t, s, svc, "execute as user alice (INSERT INTO chat.messages (id, body) VALUES (2, 'from svc'))")
	if got := rows(t, run(t, s, alice, "SELECT count(*) FROM chat.messages")); got != `[["2"]]` {
		t.Errorf("got %s", got)
	}
	// Whoever may not, learns nothing about who exists.
	known := query(t, s, alice, "EXECUTE AS USER 'bob' (SELECT 1)")
	unknown := query(t, s, alice, "EXECUTE AS USER 'who' (SELECT 1)")
	wantError(t, known, 403, "PERMISSION_DENIED", "")
	if _, _, a := failure(t, known); true {
		if _, _, b := failure(t, unknown); a != b || unknown.status != 403 {
			t.Errorf("%s and %s", known.body, unknown.body)
		}
	}
	wantError(t, query(t, s, admin, "EXECUTE AS USER 'who' (SELECT 1)"), 403, "PERMISSION_DENIED", "")
	wantError(t, query(t, s, svc, "EXECUTE AS USER 'admin' (SELECT 1)"), 403, "PERMISSION_DENIED", "")
	wantError(t, query(t, s, admin, "EXECUTE AS USER 'root' (SELECT 1)"), 403, "PERMISSION_DENIED", "")
	wantError(t, query(t, s, admin, "EXECUTE AS USER 'alice' (SELECT * FROM system.users)"), 403, "PERMISSION_DENIED", "")
	wantError(t, query(t, s, admin, "EXECUTE AS USER 'alice' (SELECT * FROM chat.board)"), 400, "SQL_EXECUTION_ERROR", "SHARED")
	for _, sql := range []string{"EXECUTE AS USER 'alice' (SELECT 1; SELECT 2)", "EXECUTE AS USER 'alice' SELECT 1", "EXECUTE AS USER 'alice' (SELECT 1) x", "EXECUTE AS USER (SELECT 1)"} {
		if status, code, _ := failure(t, query(t, s, admin, sql)); status != 400 || code != "INVALID_INPUT" && code != "INVALID_SQL" {
			t.Errorf("%s: %d %s", sql, status, code)
		}
	}
}

func TestRolesMayDoWhatTheirMatrixSays(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, "CREATE USER svc WITH PASSWORD 'Secret123!' ROLE service; CREATE SHARED TABLE chat.board (id INT PRIMARY KEY)")
	svc := mint(t, "svc")
	for _, sql := range []string{
		"CREATE NAMESPACE x", "DROP NAMESPACE chat", "CREATE USER x WITH PASSWORD 'Secret123!'", "ALTER USER bob SET ROLE dba", "DROP USER bob",
		"CREATE SHARED TABLE chat.x (id INT PRIMARY KEY)", "SELECT * FROM system.users", "DROP TABLE chat.messages", "INSERT INTO chat.board VALUES (1)",
	} {
		wantError(t, query(t, s, alice, sql), 403, "PERMISSION_DENIED", "")
	}
	for _, sql := range []string{"CREATE NAMESPACE x", "CREATE USER x WITH PASSWORD 'Secret123!'", "SELECT * FROM system.users"} {
		wantError(t, query(t, s, svc, sql), 403, "PERMISSION_DENIED", "")
	}
	run(t, s, svc, "INSERT INTO chat.board VALUES (1)")
	// Nothing of a text runs when some of it may not.
	wantError(t, query(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (77, 'x'); DROP NAMESPACE chat"), 403, "PERMISSION_DENIED", "")
	if got := rows(t, run(t, s, alice, "SELECT count(*) FROM chat.messages WHERE id = 77")); got != `[["0"]]` {
		t.Errorf("got %s", got)
	}
	// A table that is not there reads to a user like one that is somebody else's.
	wantError(t, query(t, s, alice, "SELECT * FROM chat.nothing"), 400, "TABLE_NOT_FOUND", "not available")
	wantError(t, query(t, s, admin, "SELECT * FROM chat.nothing"), 400, "TABLE_NOT_FOUND", "chat.nothing")
	if a := run(t, s, admin, "SELECT user_id, password_hash FROM system.users"); strings.Contains(a.body, "argon2") {
		t.Errorf("a hash of a password: %s", a.body)
	}
}
