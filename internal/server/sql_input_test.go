package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
)

func TestBrokenRequestsSayWhere(t *testing.T) {
	s := start(t)
	token := mint(t, "alice")
	deep := strings.Repeat("[", 100_000)
	for _, c := range []struct{ name, body, code, text string }{
		{"empty", ``, "INVALID_INPUT", "offset 0"},
		{"cut off", `{"sql":"SELECT 1"`, "INVALID_INPUT", "offset 17"},
		{"not an object", `[1]`, "INVALID_INPUT", "offset 0"},
		{"null", `null`, "INVALID_INPUT", ""},
		{"single quotes", `{'sql':'SELECT 1'}`, "INVALID_INPUT", "offset 1"},
		{"text after it", `{"sql":"SELECT 1"} x`, "INVALID_INPUT", "offset 19"},
		{"trailing comma", `{"sql":"SELECT 1",}`, "INVALID_INPUT", "offset 18"},
		{"no sql", `{}`, "INVALID_INPUT", "missing field `sql`"},
		{"sql is null", `{"sql":null}`, "INVALID_INPUT", "missing field `sql`"},
		{"sql is a number", `{"sql":1}`, "INVALID_INPUT", "offset 7"},
		{"params is an object", `{"sql":"SELECT 1","params":{}}`, "INVALID_INPUT", "array"},
		{"array parameter", `{"sql":"SELECT $1","params":[[1]]}`, "INVALID_PARAMETER", "Parameter $1 invalid"},
		{"object parameter", `{"sql":"SELECT $1, $2","params":[1,{}]}`, "INVALID_PARAMETER", "Parameter $2 invalid"},
		{"deeply nested", deep, "INVALID_INPUT", "offset 0"},
		{"deeply nested parameters", `{"sql":"SELECT 1","params":` + deep, "INVALID_INPUT", "nested too deeply"},
		{"deeply nested in what nobody reads", `{"sql":"SELECT 1","other":` + deep + `}`, "INVALID_INPUT", "nested too deeply"},
		{"invalid UTF-8", "{\"sql\":\"SELECT '\xff'\"}", "INVALID_INPUT", "UTF-8 at offset 16"},
		{"sql beside statements", `{"sql":"SELECT 1","statements":[{"sql":"SELECT 1"}]}`, "INVALID_INPUT", "exclude"},
		{"params beside statements", `{"params":[1],"statements":[{"sql":"SELECT 1"}]}`, "INVALID_INPUT", ""},
		{"no statements", `{"statements":[]}`, "EMPTY_SQL", ""},
		{"statement without sql", `{"statements":[{}]}`, "INVALID_INPUT", "missing field `sql`"},
		{"two in one entry", `{"statements":[{"sql":"SELECT 1; SELECT 2"}]}`, "INVALID_INPUT", "exactly one"},
		{"empty text", `{"sql":""}`, "EMPTY_SQL", ""},
		{"comment only", `{"sql":" -- nothing\n ;; "}`, "EMPTY_SQL", ""},
		{"params with a batch", `{"sql":"SELECT $1; SELECT 2","params":[1]}`, "PARAMS_WITH_BATCH", ""},
		{"a parameter too few", `{"sql":"SELECT $1, $2","params":[1]}`, "PARAMETER_COUNT", ""},
		{"a parameter too many", `{"sql":"SELECT $1","params":[1,2]}`, "PARAMETER_COUNT", ""},
		{"51 parameters", `{"sql":"SELECT 1","params":[0` + strings.Repeat(",1", 50) + `]}`, "INVALID_PARAMETER", "50"},
		{"a parameter of 513 KiB", `{"sql":"SELECT $1","params":["` + strings.Repeat("x", 513<<10) + `"]}`, "INVALID_PARAMETER", "$1"},
		{"a text of 1 MiB and one", `{"sql":"SELECT 1` + strings.Repeat(" ", 1<<20) + `"}`, "INVALID_SQL", "too long"},
		{"a huge parameter number", `{"sql":"SELECT $99999999999999999999"}`, "INVALID_SQL", ""},
		{"parameter zero", `{"sql":"SELECT $0"}`, "INVALID_SQL", ""},
		{"unknown namespace", `{"sql":"SELECT * FROM t","namespace_id":"nowhere"}`, "TABLE_NOT_FOUND", "not available"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantError(t, post(t, s.URL+"/v1/api/sql", token, c.body), 400, c.code, c.text)
		})
	}
	for _, ct := range []string{"", "text/plain", "application/x-www-form-urlencoded", "json", ";;"} {
		a := do(t, "POST", s.URL+"/v1/api/sql", strings.NewReader(`{"sql":"SELECT 1"}`), "Content-Type", ct, "Authorization", "Bearer "+token)
		wantError(t, a, 400, "INVALID_INPUT", "application/json")
	}
	for _, ct := range []string{"application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"} {
		a := do(t, "POST", s.URL+"/v1/api/sql", strings.NewReader(`{"sql":"SELECT 1","unknown":{"a":[1]},"params":null,"namespace_id":null}`), "Content-Type", ct, "Authorization", "Bearer "+token)
		if a.status != 200 {
			t.Errorf("%s: %d %s", ct, a.status, a.body)
		}
	}
}

func TestHostileTextsGetAnAnswer(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := mint(t, "alice")
	// Within the limits: it works.
	padded := "SELECT 1" + strings.Repeat(" ", 1<<20-8)
	if a := query(t, s, token, padded); a.status != 200 {
		t.Errorf("1 MiB of SQL: %d %.200s", a.status, a.body)
	}
	long := "SELECT '" + strings.Repeat("ü", 500_000) + "'"
	if a := query(t, s, token, long); a.status != 200 || len(a.body) < 1_000_000 {
		t.Errorf("a long literal: %d %.200s", a.status, a.body)
	}
	for _, c := range []struct{ name, sql string }{
		{"parentheses", "SELECT " + strings.Repeat("(", 200_000) + "1"},
		{"balanced parentheses", "SELECT " + strings.Repeat("(", 200_000) + "1" + strings.Repeat(")", 200_000)},
		{"NOT", "SELECT " + strings.Repeat("NOT ", 200_000) + "true"},
		{"minus", "SELECT " + strings.Repeat("- ", 300_000) + "1"},
		{"CASE", "SELECT " + strings.Repeat("CASE WHEN true THEN ", 40_000)},
		{"calls", "SELECT " + strings.Repeat("abs(", 200_000) + "1" + strings.Repeat(")", 200_000)},
		{"sub-queries", "SELECT * FROM " + strings.Repeat("(SELECT * FROM ", 50_000) + "t"},
		{"EXECUTE AS", strings.Repeat("EXECUTE AS USER 'alice' (", 30_000) + "SELECT 1"},
		{"casts", "SELECT 1" + strings.Repeat("::int", 150_000)},
		{"NUL", "SELECT 1\x00"},
		{"no end of a string", "SELECT 'abc"},
		{"no end of a comment", "SELECT 1 /* abc"},
		{"unknown statement", "VACUUM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := query(t, s, token, c.sql)
			if a.status != 400 {
				t.Fatalf("%d %.300s", a.status, a.body)
			}
			if _, code, message := failure(t, a); code != "INVALID_SQL" && code != "UNSUPPORTED_STATEMENT" || len(message) > 1000 {
				t.Errorf("%s %.300s", code, message)
			}
		})
	}
	for _, c := range []struct{ name, sql string }{
		{"a chain of OR", "SELECT true" + strings.Repeat(" OR false", 100_000)},
		{"a chain of +", "SELECT 1" + strings.Repeat("+1", 200_000)},
		{"a chain of ||", "SELECT 'a'" + strings.Repeat("||'a'", 100_000)},
		{"a list of IN", "SELECT 1 IN (1" + strings.Repeat(",1", 300_000) + ")"},
		{"many columns", "SELECT 1" + strings.Repeat(",1", 100_000)},
		{"many statements", strings.Repeat("SELECT 1;", 20_000)},
		{"many rows", "INSERT INTO chat.messages (body) VALUES ('a')" + strings.Repeat(",('a')", 50_000) + ",(1/0)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := query(t, s, token, c.sql)
			if a.status != 200 && a.status != 400 {
				t.Fatalf("%d %.300s", a.status, a.body)
			}
			if a.status == 400 {
				if _, code, message := failure(t, a); code == "INTERNAL_ERROR" || len(message) > 1000 {
					t.Errorf("%s %.300s", code, message)
				}
			}
		})
	}
	run(t, s, token, "SELECT 1")
}

func TestNumbersOfEverySize(t *testing.T) {
	s := start(t)
	token := mint(t, "alice")
	for _, c := range []struct{ sql, params, want string }{
		{"SELECT $1::BIGINT", `[9223372036854775807]`, `[["9223372036854775807"]]`},
		{"SELECT $1::BIGINT", `[-9223372036854775808]`, `[["-9223372036854775808"]]`},
		{"SELECT $1::DOUBLE", `[1e308]`, `[[1e+308]]`},
		{"SELECT $1::TEXT", `[null]`, `[[null]]`},
		{"SELECT $1::BOOLEAN", `[true]`, `[[true]]`},
		{"SELECT 9223372036854775808", ``, `[["9223372036854775808"]]`},
		{"SELECT 2147483647, 2147483648", ``, `[[2147483647,"2147483648"]]`},
	} {
		body := `{"sql":` + quote(c.sql) + `}`
		if c.params != "" {
			body = `{"sql":` + quote(c.sql) + `,"params":` + c.params + `}`
		}
		a := post(t, s.URL+"/v1/api/sql", token, body)
		if a.status != 200 || rows(t, a) != c.want {
			t.Errorf("%s %s: %d %s", c.sql, c.params, a.status, a.body)
		}
	}
	for _, c := range []struct{ sql, params, code string }{
		{"SELECT $1::BIGINT", `[9223372036854775808]`, ""},
		{"SELECT $1::INT", `[1e400]`, ""},
		{"SELECT $1::INT", `[` + strings.Repeat("9", 100_000) + `]`, ""},
		{"SELECT 9223372036854775807 + 1", `[]`, "NUMERIC_OUT_OF_RANGE"},
		{"SELECT 1/0", `[]`, "DIVISION_BY_ZERO"},
		{"SELECT CAST('12x' AS INT)", `[]`, "INVALID_TEXT_REPRESENTATION"},
	} {
		a := post(t, s.URL+"/v1/api/sql", token, `{"sql":`+quote(c.sql)+`,"params":`+c.params+`}`)
		status, code, _ := failure(t, a)
		if status != 400 || c.code != "" && code != c.code || code == "INTERNAL_ERROR" {
			t.Errorf("%s: %d %.300s", c.sql, a.status, a.body)
		}
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func TestTextWithNUL(t *testing.T) {
	s := start(t)
	token := mint(t, "alice")
	a := query(t, s, token, "INSERT INTO chat.messages (id, body) VALUES (1, $1)", "a\x00b")
	if a.status == 200 { // stored as it is, or refused; never cut
		if got := rows(t, run(t, s, token, "SELECT body, body = $1 FROM chat.messages WHERE id = 1", "a\x00b")); got != `[["a\u0000b",true]]` {
			t.Errorf("got %s", got)
		}
		return
	}
	if _, code, _ := failure(t, a); code == "INTERNAL_ERROR" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestQueriesOverTheRateAreRefused(t *testing.T) {
	s := start(t, func(c *config.Config) { c.RateLimit.MaxQueriesPerSec = 5 })
	token := mint(t, "alice")
	for i := 0; ; i++ {
		a := query(t, s, token, "SELECT 1")
		if a.status == 429 {
			wantError(t, a, 429, "RATE_LIMIT_EXCEEDED", "")
			if a.header.Get("Retry-After") != "1" {
				t.Errorf("header %v", a.header)
			}
			break
		}
		if i == 100 {
			t.Fatal("100 requests in a row were let through")
		}
	}
	run(t, s, mint(t, "bob"), "SELECT 1")
}

func TestErrorsSayStatementLineAndColumn(t *testing.T) {
	s := start(t)
	token := mint(t, "alice")
	for _, c := range []struct {
		sql, code               string
		statement, line, column int
	}{
		{"SELECT 1;\nSELEC 2", "", 0, 2, 1},
		{"SELECT 1 FROM\n  WHERE", "INVALID_SQL", 0, 2, 3},
		{"SELECT 1;\n  SELECT nope FROM chat.messages", "COLUMN_NOT_FOUND", 2, 2, 10},
		{"SELECT 1;\nSELECT 2;\nSELECT * FROM chat.nothing", "TABLE_NOT_FOUND", 3, 3, 15},
		{"SELECT nofunction(1)", "FUNCTION_NOT_FOUND", 1, 1, 8},
		{"SELECT 1; SELECT 1/0", "DIVISION_BY_ZERO", 2, 0, 0},
		{"INSERT INTO chat.messages (id) VALUES (1)", "NOT_NULL_VIOLATION", 1, 0, 0},
		{"BEGIN; SELECT 1", "SQL_EXECUTION_ERROR", 1, 0, 0},
		{"SELECT 1; COMMIT", "SQL_EXECUTION_ERROR", 2, 1, 11},
	} {
		a := query(t, s, token, c.sql)
		_, code, _ := failure(t, a)
		var in struct {
			Error struct{ Statement, Line, Column int }
		}
		json.Unmarshal([]byte(a.body), &in)
		e := in.Error
		if c.code != "" && code != c.code || e.Statement != c.statement || c.line > 0 && (e.Line != c.line || e.Column != c.column) {
			t.Errorf("%q: %s", c.sql, a.body)
		}
	}
	a := post(t, s.URL+"/v1/api/sql", token, `{"statements":[{"sql":"SELECT 1"},{"sql":"SELECT $1::INT","params":["x"]}]}`)
	if _, code, _ := failure(t, a); code != "INVALID_TEXT_REPRESENTATION" || !strings.Contains(a.body, `"statement":2`) {
		t.Errorf("%s", a.body)
	}
	if fmt.Sprint(a.status) != "400" {
		t.Error(a.status)
	}
}
