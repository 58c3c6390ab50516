package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
)

func TestFloodOfMadeUpNamesIsCounted(t *testing.T) {
	s := configured(t, identity.Options{})
	const flood = 40
	var wg sync.WaitGroup
	for i := range flood {
		wg.Go(func() { s.Login(t.Context(), fmt.Sprint("ghost", i), "guess", "192.0.2.9") })
	}
	wg.Wait()
	count := func(where string) string {
		return s.text("SELECT CAST(count(*) AS TEXT) FROM audit WHERE action = 'LOGIN_FAILED' AND " + where)[0]
	}
	if got := count("client_addr = '192.0.2.9'"); got != "10" {
		t.Errorf("%d attempts of one address in a minute have %s rows", flood, got)
	}
	// An attempt at somebody who exists has its row all the same, from there too.
	s.Login(t.Context(), "alice", "guess", "192.0.2.9")
	if got := count("subject = 'alice'"); got != "1" {
		t.Errorf("the attempt at alice has %s rows", got)
	}
	s.clock.advance(time.Minute)
	s.Login(t.Context(), "ghost", "guess", "192.0.2.10")
	got := s.text("SELECT target || ' ' || client_addr || ' ' || details FROM audit WHERE action = 'LOGIN_FAILED' AND details IS NOT NULL")
	if len(got) != 1 || !strings.HasPrefix(got[0], "users:others 192.0.2.9 30 more within a minute") {
		t.Errorf("the others are counted as %q", got)
	}
	if got := count("client_addr = '192.0.2.10'"); got != "1" {
		t.Errorf("the next minute has %s rows", got)
	}
}

func TestAttemptsOfManyAddressesAreCounted(t *testing.T) {
	s := configured(t, identity.Options{})
	actor := &identity.Principal{UserID: "alice", Role: identity.RoleUser}
	for i := range 500 {
		s.ImpersonationDenied(t.Context(), actor, fmt.Sprint("ghost", i))
	}
	for i := range 300 {
		who := &identity.Principal{UserID: fmt.Sprint("u", i), Role: identity.RoleUser}
		s.ImpersonationDenied(t.Context(), who, "ghost")
	}
	if err := s.Close(); err != nil { // what is counted is recorded at the end
		t.Fatal(err)
	}
	got := s.text("SELECT coalesce(actor, '-') || ' ' || details FROM audit WHERE action LIKE '%DENIED' AND details LIKE '%more within%' AND actor = 'alice'")
	if len(got) != 1 || !strings.HasPrefix(got[0], "alice 490 more") {
		t.Errorf("alice's attempts are counted as %q", got)
	}
	if rows := s.text("SELECT id FROM audit WHERE outcome = 'refused'"); len(rows) > 100+51 {
		t.Errorf("800 attempts have %d rows", len(rows))
	}
}

func TestAuditRowsOfAKindAreBounded(t *testing.T) {
	s := configured(t, identity.Options{AuditRows: 1})
	s.login("alice", alicePassword)
	for range 60 {
		if err := s.Trailed(t.Context(), "alice", 200); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.text("SELECT CAST(count(*) AS TEXT) FROM audit WHERE action = 'LOGIN'"); got[0] != "10000" {
		t.Errorf("%s sign-ins are kept, want the 10000 that every server keeps", got[0])
	}
	if got := s.text("SELECT subject FROM audit WHERE action = 'CREATE_USER'"); len(got) != 1 || got[0] != "alice" {
		t.Errorf("what an administrator did is gone: %q", got)
	}
	// The newest stay, whoever asks.
	err := s.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(&store.Stmt{SQL: "DELETE FROM audit WHERE action = 'LOGIN'"})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "append-only") {
		t.Errorf("deleting the newest: %v", err)
	}
}

// Whoever comes second does not read before what the first has recorded is on disk.
func TestImpersonatedReadsWaitForTheAudit(t *testing.T) {
	s := configured(t, identity.Options{})
	busy, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		s.db.Write(t.Context(), func(*store.Tx) error {
			close(busy)
			<-release
			return nil
		})
	})
	<-busy
	actor := &identity.Principal{UserID: "root", Role: identity.RoleSystem}
	early := make(chan struct{}, 3)
	for range 3 {
		wg.Go(func() {
			err := s.ImpersonatedToRead(t.Context(), actor, "alice", "SELECT ?")
			if rows := s.text("SELECT id FROM audit WHERE action = 'EXECUTE_AS_USER'"); err != nil || len(rows) != 1 {
				t.Errorf("a read goes on with %d rows in the audit: %v", len(rows), err)
				early <- struct{}{}
			}
		})
	}
	select {
	case <-early:
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	wg.Wait()
}

func TestReadThatCannotBeAuditedIsRefused(t *testing.T) {
	s := configured(t, identity.Options{})
	actor := &identity.Principal{UserID: "root", Role: identity.RoleSystem}
	s.exec("ALTER TABLE audit RENAME TO elsewhere")
	if err := s.ImpersonatedToRead(t.Context(), actor, "alice", "SELECT ?"); err == nil {
		t.Error("a read goes on without its row in the audit")
	}
	secret := errors.New("the value 4711")
	err := s.Write(t.Context(), func(tx *store.Tx, trail *identity.Trail) error {
		s.Impersonated(trail, actor, "alice", "", "SELECT ?")
		return secret
	})
	if err == nil || errors.Is(err, secret) || strings.Contains(err.Error(), "4711") {
		t.Errorf("a statement without its row in the audit shows %v", err)
	}
	s.exec("ALTER TABLE elsewhere RENAME TO audit")
	if err := s.ImpersonatedToRead(t.Context(), actor, "alice", "SELECT ?"); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// Only a user who was dropped with their data loses it, whoever asks for the
// erasing: the account may have been upgraded meanwhile.
func TestUsersWhoAreThereAreNeverErased(t *testing.T) {
	s := configured(t, identity.Options{})
	err := s.Write(t.Context(), func(tx *store.Tx, trail *identity.Trail) error {
		return s.CreateAccount(tx, trail, &identity.NewAccount{ID: "usr_1", Role: identity.RoleUser, AuthType: identity.AuthAnonymous})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.exec("UPDATE users SET last_login_at = 1 WHERE user_id = 'usr_1'")
	s.exec("INSERT INTO sessions (session_id, user_id, auth_method, generation, token_hash, rotated_at, created_at, last_seen_at, expires_at, ref) VALUES ('s', 'usr_1', 'anonymous', 0, x'00', 1, 1, 1, 9223372036854775807, 'r')")
	since := time.Now().Add(-time.Hour)
	ids, err := s.IdleAnonymous(t.Context(), since)
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	s.exec("UPDATE sessions SET last_seen_at = 8000000000000000000 WHERE session_id = 's'") // it is used again
	abandon := func() {
		t.Helper()
		err := s.Write(t.Context(), func(tx *store.Tx, trail *identity.Trail) error { return s.Abandoned(tx, trail, "usr_1", since) })
		if err == nil {
			err = s.EraseUser(t.Context(), "usr_1")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	abandon()
	if got := s.text("SELECT session_id FROM sessions WHERE user_id = 'usr_1'"); len(got) != 1 {
		t.Error("an account that is used again has lost its session")
	}
	s.exec("UPDATE users SET auth_type = 'password' WHERE user_id = 'usr_1'")
	s.exec("UPDATE sessions SET last_seen_at = 1 WHERE session_id = 's'")
	abandon()
	if got := s.text("SELECT session_id FROM sessions WHERE user_id = 'usr_1'"); len(got) != 1 {
		t.Error("an account that was upgraded has lost its session")
	}
}
