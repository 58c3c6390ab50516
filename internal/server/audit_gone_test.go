package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestImpersonationStaysAuditedWhenTheClientHangsUp in the middle of a read or of
// a write.
func TestImpersonationStaysAuditedWhenTheClientHangsUp(t *testing.T) {
	const endless = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"
	for want, sql := range map[string]string{
		`[["ok"]]`:          "EXECUTE AS USER 'alice' (SELECT body, " + endless + " FROM chat.messages)",
		`[["rolled back"]]`: "BEGIN; EXECUTE AS USER 'alice' (UPDATE chat.messages SET body = 'x' RETURNING body); SELECT " + endless + "; COMMIT",
	} {
		s := start(t)
		admin := mint(t, "admin")
		run(t, s, mint(t, "alice"), "INSERT INTO chat.messages (id, body) VALUES (77, 'hers')")
		// The hanging-up must come after the statement has begun: later each time.
		got := "[]"
		for wait := 10 * time.Millisecond; got == "[]" && wait < time.Minute; wait *= 2 {
			ctx, hangUp := context.WithTimeout(t.Context(), wait)
			r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/v1/api/sql", strings.NewReader(`{"sql":"`+sql+`"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", jsonType)
			r.Header.Set("Authorization", "Bearer "+admin)
			if answer, err := http.DefaultClient.Do(r); err == nil {
				answer.Body.Close()
				t.Fatalf("%s is answered: %d", sql, answer.StatusCode)
			}
			hangUp()
			const running = "SELECT metric_value FROM system.stats WHERE metric_name = 'running_requests'"
			for began := time.Now(); compact(t, rows(t, run(t, s, admin, running))) != `[["1"]]`; {
				if time.Since(began) > time.Minute {
					t.Fatalf("%s goes on without its client", sql)
				}
			}
			got = impersonations(t, s, admin)
		}
		if got != want {
			t.Errorf("%s: the audit has %s, want %s", sql, got, want)
		}
	}
}

// TestDownloadsAsAnotherUserAreAudited, and refusals too.
func TestDownloadsAsAnotherUserAreAudited(t *testing.T) {
	s := start(t)
	admin, alice, bob := mint(t, "admin"), mint(t, "alice"), mint(t, "bob")
	run(t, s, admin, docs)
	f := putFile(t, s, alice, "1", formPart{file: "a.txt", typ: "text/plain", content: "hers"})
	path := f.path("app.docs") + "?user_id=alice"
	if a := get(t, s, admin, path); a.status != 200 || a.body != "hers" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := do(t, "HEAD", s.URL+path, nil, "Authorization", "Bearer "+admin); a.status != 200 {
		t.Errorf("HEAD: %d", a.status)
	}
	if a := get(t, s, admin, path, "Range", "bytes=0-0"); a.status != 206 {
		t.Errorf("a range: %d", a.status)
	}
	if a := get(t, s, bob, path); a.status == 200 {
		t.Errorf("bob reads %s", a.body)
	}
	if a := get(t, s, alice, path); a.status != 200 {
		t.Errorf("her own: %d", a.status)
	}
	// The first read of each minute, session and user is recorded.
	const audit = "SELECT DISTINCT action, actor_user_id, subject_user_id, outcome FROM system.audit_log WHERE action LIKE 'EXECUTE_AS_USER%' ORDER BY 1"
	want := `[["EXECUTE_AS_USER","admin","alice","ok"],["EXECUTE_AS_USER_DENIED","bob","alice","refused"]]`
	if got := compact(t, rows(t, run(t, s, admin, audit))); got != want {
		t.Errorf("the audit has %s, want %s", got, want)
	}
}
