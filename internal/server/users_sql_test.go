package server_test

import (
	"strings"
	"testing"
)

// withParams posts one statement with parameters, given as JSON.
func withParams(t *testing.T, url, token, sql, params string) answer {
	t.Helper()
	return post(t, url+"/v1/api/sql", token, `{"sql":`+quote(sql)+`,"params":`+params+`}`)
}

func TestStatementsOnUsersTakeParameters(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	ok := func(sql, params string) {
		t.Helper()
		if a := withParams(t, s.URL, admin, sql, params); a.status != 200 {
			t.Errorf("%s: %d %s", sql, a.status, a.body)
		}
	}
	ok("CREATE USER $1 WITH PASSWORD $2 ROLE $3 EMAIL $4", `["O'Neil","it's ; -- '); DROP","Service","o@example.com"]`)
	if a := login(t, s, "O'Neil", "it's ; -- '); DROP"); a.status != 200 {
		t.Errorf("signing in with the password of a parameter: %d %s", a.status, a.body)
	}
	ok("ALTER USER $2 SET PASSWORD $1", `["another ' secret","O'Neil"]`)
	if a := login(t, s, "O'Neil", "another ' secret"); a.status != 200 {
		t.Errorf("signing in with the changed password: %d %s", a.status, a.body)
	}
	ok("ALTER USER 'O''Neil' SET EMAIL $1", `["n@example.com"]`)
	ok("ALTER USER 'O''Neil' SET ROLE $1", `["user"]`)
	ok("CREATE USER fed WITH OIDC $1", `["{\"issuer\":\"https://idp.example\",\"subject\":\"1\"}"]`)
	ok("DROP USER $1", `["fed"]`)
	got := rows(t, run(t, s, admin, `SELECT role, email FROM system.users WHERE user_id = 'O''Neil'`))
	if got != `[["user","n@example.com"]]` {
		t.Errorf("got %s", got)
	}
	for _, c := range []struct{ sql, params, code string }{
		{"CREATE USER x WITH PASSWORD $1", `[]`, "PARAMETER_COUNT"},
		{"CREATE USER x WITH PASSWORD $1", `["Secret123!","more"]`, "PARAMETER_COUNT"},
		{"CREATE USER x WITH PASSWORD $1", `[12345678]`, "INVALID_PARAMETER"},
		{"CREATE USER x WITH PASSWORD $1", `[null]`, "INVALID_PARAMETER"},
		{"ALTER USER alice SET PASSWORD $1", `["short"]`, "WEAK_PASSWORD"},
		{"EXECUTE AS USER $1 (SELECT 1)", `[7]`, "INVALID_PARAMETER"},
		{"EXECUTE AS USER $2 (SELECT 1)", `["alice"]`, "PARAMETER_COUNT"},
	} {
		a := withParams(t, s.URL, admin, c.sql, c.params)
		if _, code, _ := failure(t, a); code != c.code || strings.Contains(a.body, "short\"") {
			t.Errorf("%s %s: %d %s", c.sql, c.params, a.status, a.body)
		}
	}
}

func TestExecuteAsUserTakesItsUserAsAParameter(t *testing.T) {
	s := start(t)
	admin, alice, bob := mint(t, "admin"), mint(t, "alice"), mint(t, "bob")
	run(t, s, alice, "DELETE FROM chat.messages; INSERT INTO chat.messages (id, body) VALUES (1, 'of alice')")
	run(t, s, bob, "DELETE FROM chat.messages; INSERT INTO chat.messages (id, body) VALUES (1, 'of bob')")
	// The plan is kept and shared: the user is an argument of it.
	for _, user := range []string{"alice", "bob", "alice"} {
		a := withParams(t, s.URL, admin, "EXECUTE AS USER $2 (SELECT body FROM chat.messages WHERE id = $1)", `[1,"`+user+`"]`)
		if a.status != 200 || rows(t, a) != `[["of `+user+`"]]` || !strings.Contains(a.body, `"as_user":"`+user+`"`) {
			t.Errorf("as %s: %d %s", user, a.status, a.body)
		}
	}
	a := withParams(t, s.URL, bob, "EXECUTE AS USER $1 (SELECT body FROM chat.messages)", `["alice"]`)
	wantError(t, a, 403, "PERMISSION_DENIED", "not authorized")
	a = post(t, s.URL+"/v1/api/sql", admin, `{"statements":[{"sql":"EXECUTE AS USER $1 (UPDATE chat.messages SET body = $2 WHERE id = 1)","params":["bob","changed"]},{"sql":"EXECUTE AS USER $1 (SELECT body FROM chat.messages)","params":["alice"]}]}`)
	if a.status != 200 || rows(t, run(t, s, bob, "SELECT body FROM chat.messages")) != `[["changed"]]` {
		t.Errorf("in a transaction: %d %s", a.status, a.body)
	}
	a = post(t, s.URL+"/v1/api/sql", bob, `{"statements":[{"sql":"EXECUTE AS USER $1 (SELECT 1)","params":["alice"]}]}`)
	wantError(t, a, 403, "PERMISSION_DENIED", "not authorized")
}
