package identity_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// auditLog gives the rows of the audit log as "action outcome actor target method addr".
func (s *server) auditLog() []string {
	s.t.Helper()
	return s.text("SELECT action || ' ' || outcome || ' ' || coalesce(actor, '-') || ' ' || target || ' ' || coalesce(method, '-') || ' ' || coalesce(client_addr, '-') FROM audit ORDER BY id")
}

// TestEveryEventIsAudited does what the log is for and reads it.
func TestEveryEventIsAudited(t *testing.T) {
	s := configured(t, identity.Options{})
	s.Login(t.Context(), "alice", "wrong password", "192.0.2.1")
	s.Login(t.Context(), "My Secret Typed Into The Name Field", "x", "192.0.2.1")
	g := s.login("alice", alicePassword)
	g2 := s.refresh(g.RefreshToken)
	s.clock.advance(time.Hour)
	s.refresh(g2.RefreshToken)
	s.refusedRefresh(g.RefreshToken)
	s.logout(s.login("alice", alicePassword).AccessToken)
	p := s.verify(s.login("alice", alicePassword).AccessToken)
	if _, err := s.EndOtherSessions(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.ChangePassword(t.Context(), p, "wrong password", "Secret456!", "192.0.2.1")
	if err := s.ChangePassword(t.Context(), p, alicePassword, "Secret456!", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	s.alter(root, "alice", "ROLE", "service")
	s.alter(root, "alice", "PASSWORD", "Secret789!")
	s.alter(root, "alice", "DISABLE", "")
	if err := s.drop(root, "alice"); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(s.auditLog(), "\n")
	// The name that is none is a keyed hash.
	name := ""
	for _, line := range strings.Split(got, "\n") {
		if i := strings.Index(line, "unknown:"); i >= 0 {
			name = strings.Fields(line[i:])[0]
		}
	}
	want := strings.Join([]string{
		"CREATE_USER ok root user:alice - -",
		"LOGIN_FAILED refused - user:alice password 192.0.2.1",
		"LOGIN_FAILED refused - user:" + name + " password 192.0.2.1",
		"LOGIN ok alice user:alice password 192.0.2.1",
		"REFRESH ok alice user:alice password 192.0.2.1",
		"REFRESH ok alice user:alice password 192.0.2.1",
		"REFRESH_REUSED refused - user:alice - -",
		"LOGIN ok alice user:alice password 192.0.2.1",
		"LOGOUT ok alice user:alice password -",
		"LOGIN ok alice user:alice password 192.0.2.1",
		"SESSION_ENDED ok alice user:alice password -",
		"PASSWORD_CHANGE_FAILED refused - user:alice password 192.0.2.1",
		"PASSWORD_CHANGED ok alice user:alice password 192.0.2.1",
		"ALTER_USER ok root user:alice - -",
		"ALTER_USER ok root user:alice - -",
		"ALTER_USER ok root user:alice - -",
		"DROP_USER ok root user:alice - -",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if name == "" || strings.Contains(strings.ToLower(got), "typed") {
		t.Errorf("a name that nobody has is in the log: %s", got)
	}
	// Sessions appear under their reference, which stands in no token.
	for _, ref := range s.text("SELECT DISTINCT session FROM audit WHERE session IS NOT NULL") {
		if strings.Contains(g.AccessToken+g.RefreshToken+g.SessionID, ref) || len(ref) != 16 {
			t.Errorf("session reference %q", ref)
		}
	}
}

func TestAuditIsAppendOnly(t *testing.T) {
	s := configured(t, identity.Options{})
	s.login("alice", alicePassword)
	for _, sql := range []string{"UPDATE audit SET actor = 'bob'", "DELETE FROM audit"} {
		err := s.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(&store.Stmt{SQL: sql})
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestOldAuditRowsGo(t *testing.T) {
	s := fresh(t, identity.Options{AuditTTL: 40 * 24 * time.Hour})
	s.clock.t = time.Now().Add(-60 * 24 * time.Hour)
	s.exec("UPDATE users SET password_hash = $1 WHERE user_id = 'root'", rootHash())
	g := s.login("root", rootPassword)
	s.logout(g.AccessToken)
	s.clock.t = time.Now()
	s.login("root", rootPassword)
	for _, line := range s.auditLog() {
		if strings.HasPrefix(line, "LOGOUT") {
			t.Errorf("a row of 60 days ago is there: %s", line)
		}
	}
}

// TestNoSecretInDatabaseLogOrAudit signs in, fails, rotates and changes, and
// looks for every secret of it in all that the service wrote, in every spelling.
func TestNoSecretInDatabaseLogOrAudit(t *testing.T) {
	s := configured(t, identity.Options{JWTSecret: jwtSecret})
	const mistyped, next = "hunter2-hunter2-hunter2", "a-fresh-passphrase"
	s.Login(t.Context(), "alice", mistyped, "192.0.2.1")
	s.Login(t.Context(), mistyped, mistyped, "192.0.2.1")
	g := s.login("alice", alicePassword)
	g2 := s.refresh(g.RefreshToken)
	s.clock.advance(time.Hour)
	s.refusedRefresh(g.RefreshToken + "x")
	s.refresh(g2.RefreshToken)
	s.refusedRefresh(g.RefreshToken)
	p := s.verify(s.login("alice", alicePassword).AccessToken)
	if err := s.ChangePassword(t.Context(), p, alicePassword, next, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	all.WriteString(s.log.String())
	for _, table := range []string{"users", "sessions", "audit"} {
		for _, column := range s.text("SELECT name FROM pragma_table_info('" + table + "')") {
			for _, v := range s.text("SELECT CAST(" + column + " AS TEXT) FROM " + table + " WHERE " + column + " IS NOT NULL") {
				all.WriteString(v + "\n")
			}
		}
	}
	signature := g.AccessToken[strings.LastIndexByte(g.AccessToken, '.')+1:]
	refresh := g.RefreshToken[strings.LastIndexByte(g.RefreshToken, '.')+1:]
	for _, secret := range []string{mistyped, next, alicePassword, rootPassword, jwtSecret, signature, refresh, g2.RefreshToken} {
		for name, text := range spellings(secret) {
			if strings.Contains(all.String(), text) {
				t.Errorf("%s of %q is in what was written", name, secret)
			}
		}
	}
}

// spellings are the ways in which a secret may hide.
func spellings(secret string) map[string]string {
	return map[string]string{
		"raw":        secret,
		"base64":     strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
		"base64url":  base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"URL":        url.QueryEscape(secret),
		"URL path":   url.PathEscape(secret),
		"lower case": strings.ToLower(secret),
	}
}

func TestStrangersSlowThemselvesDownOnly(t *testing.T) {
	s := configured(t, identity.Options{})
	s.login("alice", alicePassword) // from 192.0.2.1: her device
	// A thousand wrong passwords from a hundred other networks.
	throttled := 0
	for i := range 1000 {
		_, err := s.Login(t.Context(), "alice", "", "198.51.100."+string(rune('0'+i%10)))
		var e *identity.ThrottledError
		if errorsAs(err, &e) {
			throttled++
			continue
		}
		wantCode(t, err, wire.CodeInvalidCredentials)
	}
	if throttled < 900 {
		t.Errorf("%d of 1000 guesses were slowed down", throttled)
	}
	s.login("alice", alicePassword)
}

func TestGuessingSlowsDownAndRecovers(t *testing.T) {
	for _, name := range []string{"alice", "nobody"} {
		s := configured(t, identity.Options{})
		wait := time.Duration(0)
		for i := range 8 {
			_, err := s.Login(t.Context(), name, "wrong password", "198.51.100.7")
			var e *identity.ThrottledError
			switch slowed := errorsAs(err, &e); {
			case i < 5 && slowed:
				t.Fatalf("%s: slowed down at attempt %d", name, i)
			case i >= 5 && !slowed:
				t.Fatalf("%s: attempt %d was let through: %v", name, i, err)
			case slowed:
				if e.After < wait || e.Seconds() < 1 {
					t.Errorf("%s: wait %v after %v", name, e.After, wait)
				}
				wait = e.After
				s.clock.advance(e.After)
				if _, err := s.Login(t.Context(), name, "wrong password", "198.51.100.7"); errorsAs(err, &e) {
					t.Errorf("%s: slowed down after the time that was said", name)
				}
			}
		}
		s.clock.advance(time.Minute)
		if name == "alice" {
			if _, err := s.Login(t.Context(), "alice", alicePassword, "198.51.100.7"); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestManyNetworksMeetALimitThatTheOwnerDoesNot(t *testing.T) {
	s := configured(t, identity.Options{})
	s.login("alice", alicePassword)
	for i := range 100 {
		s.Login(t.Context(), "alice", "", "2001:db8:0:"+string("0123456789abcdef"[i%16])+string("0123456789abcdef"[i/16])+"::1")
	}
	var e *identity.ThrottledError
	if _, err := s.Login(t.Context(), "alice", alicePassword, "203.0.113.9"); !errorsAs(err, &e) {
		t.Errorf("the 101st guess from yet another network: %v", err)
	}
	s.login("alice", alicePassword)
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	s := configured(t, identity.Options{})
	s.create(identity.NewUser{Name: "eve", Auth: "INTERNAL"})
	first := s.login("alice", alicePassword)
	s.clock.advance(time.Second)
	second := s.verify(s.login("alice", alicePassword).AccessToken)
	list, err := s.Sessions(t.Context(), second)
	if err != nil || len(list) != 2 || !list[0].Current || list[1].Current || list[1].ClientAddr != "192.0.2.1" || list[1].Method != "password" {
		t.Fatalf("%+v, %v", list, err)
	}
	eve := &identity.Principal{UserID: "eve", Role: identity.RoleUser}
	if ended, err := s.EndSession(t.Context(), eve, list[1].ID); ended || err != nil {
		t.Errorf("another user ended it: %v, %v", ended, err)
	}
	if ended, err := s.EndSession(t.Context(), second, list[1].ID); !ended || err != nil {
		t.Errorf("%v, %v", ended, err)
	}
	s.refusedToken(first.AccessToken, wire.CodeInvalidCredentials)
	s.refusedRefresh(first.RefreshToken)
	if ended, err := s.EndSession(t.Context(), dba, list[0].ID); !ended || err != nil {
		t.Errorf("an admin ends it: %v, %v", ended, err)
	}
	if s.Valid(second) {
		t.Error("the session that the admin ended is valid")
	}
}

func TestOwnPasswordChangeKeepsOnlyTheSessionItWasMadeIn(t *testing.T) {
	s := configured(t, identity.Options{})
	other := s.login("alice", alicePassword)
	mine := s.verify(s.login("alice", alicePassword).AccessToken)
	wantCode(t, s.ChangePassword(t.Context(), mine, "wrong password", "Secret456!", ""), wire.CodeInvalidCredentials)
	wantCode(t, s.ChangePassword(t.Context(), mine, alicePassword, "password", ""), wire.CodeWeakPassword)
	wantCode(t, s.ChangePassword(t.Context(), mine, alicePassword, alicePassword, ""), wire.CodeWeakPassword)
	if err := s.ChangePassword(t.Context(), mine, alicePassword, "Secret456!", ""); err != nil {
		t.Fatal(err)
	}
	s.refusedToken(other.AccessToken, wire.CodeInvalidCredentials)
	if !s.Valid(mine) {
		t.Error("the session of the change has ended")
	}
	s.login("alice", "Secret456!")
}

func TestOperatorResetsALostPassword(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	if err := s.ResetPassword(t.Context(), "root", "another good one"); err != nil {
		t.Fatal(err)
	}
	s.login("root", "another good one")
	if err := s.ResetPassword(t.Context(), "alice", "another good one"); err != nil {
		t.Fatal(err)
	}
	s.refusedToken(g.AccessToken, wire.CodeInvalidCredentials)
	wantCode(t, s.ResetPassword(t.Context(), "nobody", "another good one"), wire.CodeUserNotFound)
}
