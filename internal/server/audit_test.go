package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/store"
)

// impersonations are the outcomes of what ran as another user, oldest first.
func impersonations(t *testing.T, s *servertest.Server, admin string) string {
	t.Helper()
	return compact(t, rows(t, run(t, s, admin, "SELECT outcome FROM system.audit_log WHERE action = 'EXECUTE_AS_USER' ORDER BY audit_id::BIGINT")))
}

func TestImpersonationStaysAuditedWhateverBecomesOfIt(t *testing.T) {
	for name, c := range map[string]struct {
		body, shows, want string
		status            int
	}{
		"rolled back": {
			body:   `{"sql":"BEGIN; EXECUTE AS USER 'alice' (SELECT body FROM chat.messages WHERE id = 77); ROLLBACK"}`,
			status: 200, shows: "hers", want: `[["rolled back"]]`,
		},
		"a savepoint": {
			body:   `{"sql":"BEGIN; SAVEPOINT a; EXECUTE AS USER 'alice' (SELECT body FROM chat.messages WHERE id = 77); ROLLBACK TO a; COMMIT"}`,
			status: 200, shows: "hers", want: `[["ok"]]`,
		},
		"savepoints in each other": {
			body: `{"sql":"BEGIN; SAVEPOINT a; EXECUTE AS USER 'alice' (SELECT body FROM chat.messages WHERE id = 77); SAVEPOINT b;` +
				` EXECUTE AS USER 'bob' (SELECT 1); ROLLBACK TO b; ROLLBACK TO a; EXECUTE AS USER 'bob' (SELECT 2); ROLLBACK"}`,
			status: 200, shows: "hers", want: `[["rolled back"],["rolled back"]]`,
		},
		"an error that shows a value": {
			body:   `{"sql":"EXECUTE AS USER 'alice' (UPDATE chat.messages SET id = body::INT WHERE id = 77)"}`,
			status: 400, shows: "hers", want: `[["rolled back"]]`,
		},
		"an error that shows a value in a transaction": {
			body:   `{"sql":"BEGIN; EXECUTE AS USER 'alice' (SELECT body::INT FROM chat.messages WHERE id = 77); COMMIT"}`,
			status: 400, shows: "hers", want: `[["rolled back"]]`,
		},
		"an error that shows a value to a SELECT": {
			body:   `{"sql":"EXECUTE AS USER 'alice' (SELECT body::INT FROM chat.messages WHERE id = 77)"}`,
			status: 400, shows: "hers", want: `[["ok"]]`,
		},
		"a later statement fails": {
			body: `{"statements":[{"sql":"EXECUTE AS USER $2 (UPDATE chat.messages SET body = body WHERE id = $1 RETURNING body)","params":[77,"alice"]},` +
				`{"sql":"INSERT INTO chat.messages (id) VALUES ($1)","params":["no number"]}]}`,
			status: 400, want: `[["rolled back"]]`,
		},
		"committed": {
			body:   `{"sql":"EXECUTE AS USER 'alice' (UPDATE chat.messages SET body = body || '!' WHERE id = 77 RETURNING body)"}`,
			status: 200, shows: "hers", want: `[["ok"]]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			admin, alice := mint(t, "admin"), mint(t, "alice")
			run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (77, 'hers')")
			a := post(t, s.URL+"/v1/api/sql", admin, c.body)
			if a.status != c.status || !strings.Contains(a.body, c.shows) {
				t.Errorf("%d %s", a.status, a.body)
			}
			if got := impersonations(t, s, admin); got != c.want {
				t.Errorf("the audit has %s, want %s", got, c.want)
			}
		})
	}
}

func TestImpersonationThatTimesOutStaysAudited(t *testing.T) {
	s := startEdgeWith(t, store.Options{WriteTimeout: 300 * time.Millisecond}, live.Options{}, server.Options{}, identity.Options{}).Server
	admin := mint(t, "admin")
	run(t, s, mint(t, "alice"), "INSERT INTO chat.messages (id, body) VALUES (77, 'hers')")
	endless := "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"
	a := query(t, s, admin, "EXECUTE AS USER 'alice' (UPDATE chat.messages SET body = 'x' WHERE id < "+endless+")")
	wantError(t, a, 400, "STATEMENT_TIMEOUT", "")
	if got := impersonations(t, s, admin); got != `[["rolled back"]]` {
		t.Errorf("the audit has %s", got)
	}
}

func TestNobodyActsAsADisabledUser(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, mint(t, "alice"), "INSERT INTO chat.messages (id, body) VALUES (77, 'hers')")
	run(t, s, admin, "ALTER USER alice DISABLE")
	unknown := query(t, s, admin, "EXECUTE AS USER 'ghost' (SELECT body FROM chat.messages)")
	disabled := query(t, s, admin, "EXECUTE AS USER 'alice' (SELECT body FROM chat.messages)")
	wantError(t, disabled, 403, "PERMISSION_DENIED", "not authorized to execute as this user")
	_, _, a := failure(t, unknown)
	if _, _, b := failure(t, disabled); a != b {
		t.Errorf("a disabled user is told from an unknown one: %q and %q", a, b)
	}
	for _, body := range []string{
		`{"sql":"BEGIN; EXECUTE AS USER 'alice' (SELECT 1); COMMIT"}`,
		`{"statements":[{"sql":"EXECUTE AS USER $1 (SELECT 1)","params":["alice"]}]}`,
	} {
		wantError(t, post(t, s.URL+"/v1/api/sql", admin, body), 403, "PERMISSION_DENIED", "not authorized")
	}
	run(t, s, admin, "ALTER USER alice ENABLE")
	run(t, s, admin, "EXECUTE AS USER 'alice' (SELECT 1)")
}
