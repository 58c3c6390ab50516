package identity_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

func TestRefreshRotates(t *testing.T) {
	s := configured(t, identity.Options{})
	first := s.login("alice", alicePassword)
	s.clock.advance(50 * time.Minute)
	second := s.refresh(first.RefreshToken)
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Fatal("a token stayed the same")
	}
	if second.SessionID != first.SessionID || second.User.ID != "alice" {
		t.Fatalf("refreshed session %q of %q", second.SessionID, second.User.ID)
	}
	if want := s.clock.now().Add(7 * 24 * time.Hour); !second.RefreshExpiresAt.Equal(want) {
		t.Fatalf("refresh token expires %v, want %v", second.RefreshExpiresAt, want)
	}
	if p := s.verify(second.AccessToken); p.SessionID != first.SessionID {
		t.Fatalf("the access token is of session %q", p.SessionID)
	}
	s.verify(first.AccessToken) // the former access token lives on to its end
	s.clock.advance(time.Hour)
	s.refresh(second.RefreshToken)
}

func TestReplayInsideGraceGivesTheSameSuccessor(t *testing.T) {
	s := configured(t, identity.Options{})
	first := s.login("alice", alicePassword)
	second := s.refresh(first.RefreshToken)
	s.clock.advance(29 * time.Second)
	replay := s.refresh(first.RefreshToken)
	if replay.RefreshToken != second.RefreshToken {
		t.Fatal("the replay got another successor")
	}
	if !replay.RefreshExpiresAt.Equal(second.RefreshExpiresAt) {
		t.Fatalf("the replay extended the session to %v", replay.RefreshExpiresAt)
	}
	s.verify(replay.AccessToken)
	s.restart()
	if again := s.refresh(first.RefreshToken); again.RefreshToken != second.RefreshToken {
		t.Fatal("the replay after a restart got another successor")
	}
	s.refresh(second.RefreshToken)
}

// TestLostAnswerMayBeAskedForAgainUntilItIsUsed: whoever is offline after a
// renewal whose answer was lost stays signed in, and a thief is still found out.
func TestLostAnswerMayBeAskedForAgainUntilItIsUsed(t *testing.T) {
	begin := func(t *testing.T) (s *server, first, lost *identity.Grant) {
		s = configured(t, identity.Options{})
		first = s.login("alice", alicePassword)
		s.clock.advance(50 * time.Minute)
		lost = s.refresh(first.RefreshToken)
		s.verify(first.AccessToken) // of the time before, so it says nothing of the answer
		return s, first, lost
	}
	t.Run("two days later", func(t *testing.T) {
		s, first, lost := begin(t)
		s.clock.advance(48 * time.Hour)
		s.restart()
		again := s.refresh(first.RefreshToken)
		if again.RefreshToken != lost.RefreshToken {
			t.Fatal("another successor")
		}
		if !again.RefreshExpiresAt.Equal(lost.RefreshExpiresAt) {
			t.Error("the replay made the session longer")
		}
		s.verify(again.AccessToken)
		s.clock.advance(29 * time.Second)
		s.verify(s.refresh(first.RefreshToken).AccessToken)
		s.clock.advance(2 * time.Second) // from the first use on
		s.refusedRefresh(first.RefreshToken)
		s.refusedRefresh(again.RefreshToken)
		s.refusedToken(again.AccessToken, wire.CodeInvalidCredentials)
	})
	t.Run("a thief who uses what they got", func(t *testing.T) {
		s, first, stolen := begin(t)
		s.verify(stolen.AccessToken)
		s.clock.advance(31 * time.Second)
		s.refusedRefresh(first.RefreshToken)
		s.refusedToken(stolen.AccessToken, wire.CodeInvalidCredentials)
	})
	t.Run("a thief who waits for the owner", func(t *testing.T) {
		s, first, stolen := begin(t)
		s.clock.advance(time.Hour)
		own := s.refresh(first.RefreshToken)
		s.verify(own.AccessToken)
		s.clock.advance(50 * time.Minute)
		s.verify(s.refresh(own.RefreshToken).AccessToken)
		s.clock.advance(31 * time.Second)
		s.refusedRefresh(stolen.RefreshToken) // both held it: the second one is found out
		s.refusedRefresh(first.RefreshToken)
	})
	t.Run("no longer than the session", func(t *testing.T) {
		s, first, _ := begin(t)
		s.clock.advance(7 * 24 * time.Hour)
		s.refusedRefresh(first.RefreshToken)
	})
}

func TestParallelRefreshesAgree(t *testing.T) {
	s := configured(t, identity.Options{})
	first := s.login("alice", alicePassword)
	tokens := make([]string, 20)
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() {
			g, err := s.Refresh(t.Context(), first.RefreshToken, "")
			if err != nil {
				t.Error(err)
				return
			}
			tokens[i] = g.RefreshToken
		})
	}
	all.Wait()
	for _, token := range tokens {
		if token != tokens[0] {
			t.Fatal("two parallel refreshes got different successors")
		}
	}
	s.refresh(tokens[0])
}

func TestReuseEndsTheFamily(t *testing.T) {
	tests := map[string]func(s *server, first, second *identity.Grant){
		"predecessor after the grace window": func(s *server, first, second *identity.Grant) {
			s.clock.advance(31 * time.Second)
			s.refusedRefresh(first.RefreshToken)
		},
		"older than the predecessor": func(s *server, first, second *identity.Grant) {
			s.refresh(second.RefreshToken)
			s.refusedRefresh(first.RefreshToken)
		},
		"after a restart": func(s *server, first, second *identity.Grant) {
			s.clock.advance(31 * time.Second)
			s.restart()
			s.refusedRefresh(first.RefreshToken)
		},
	}
	for name, reuse := range tests {
		t.Run(name, func(t *testing.T) {
			s := configured(t, identity.Options{})
			other := s.login("alice", alicePassword)
			first := s.login("alice", alicePassword)
			second := s.refresh(first.RefreshToken)
			held := s.verify(second.AccessToken)
			service, changed := s.Service, s.Watch()
			reuse(s, first, second)
			s.refusedRefresh(second.RefreshToken)
			s.refusedToken(first.AccessToken, wire.CodeInvalidCredentials)
			s.refusedToken(second.AccessToken, wire.CodeInvalidCredentials)
			if service == s.Service {
				if s.Valid(held) {
					t.Error("a principal of the dead family is valid")
				}
				wantClosed(t, changed)
			}
			s.refresh(other.RefreshToken) // another session of the same user
			if !strings.Contains(s.log.String(), "user=alice") {
				t.Errorf("the log says nothing of the reuse: %q", s.log)
			}
		})
	}
}

func TestMadeUpRefreshTokenEndsNothing(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	part := strings.Split(g.RefreshToken, ".")
	flip := func(s string, i int) string {
		b := []byte(s)
		if b[i] == 'A' {
			b[i] = 'B'
		} else {
			b[i] = 'A'
		}
		return string(b)
	}
	for _, token := range []string{
		"", "kr1", "kr1.", "kr1...", "kr1." + part[1] + ".0.", "kr1." + part[1] + ".0." + strings.Repeat("A", 64),
		strings.Join([]string{part[0], part[1], "1", part[3]}, "."),
		strings.Join([]string{part[0], part[1], "-1", part[3]}, "."),
		strings.Join([]string{part[0], flip(part[1], 3), part[2], part[3]}, "."),
		strings.Join([]string{part[0], part[1], part[2], flip(part[3], 0)}, "."),
		strings.Join([]string{part[0], part[1], part[2], flip(part[3], 60)}, "."),
		g.RefreshToken + ".x", g.RefreshToken + "A", g.AccessToken, strings.Repeat("kr1.", 10000),
	} {
		s.refusedRefresh(token)
		s.logout(token[:min(len(token), 40)])
	}
	s.refresh(g.RefreshToken)
}

func TestSessionLimits(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		s := configured(t, identity.Options{})
		g := s.login("alice", alicePassword)
		s.clock.advance(7*24*time.Hour - time.Second)
		g = s.refresh(g.RefreshToken)
		s.clock.advance(7 * 24 * time.Hour)
		s.refusedRefresh(g.RefreshToken)
	})
	t.Run("absolute", func(t *testing.T) {
		s := configured(t, identity.Options{})
		g := s.login("alice", alicePassword)
		end := s.clock.now().Add(30 * 24 * time.Hour)
		for range 5 {
			s.clock.advance(6*24*time.Hour - 6*time.Minute)
			g = s.refresh(g.RefreshToken)
		}
		if !g.RefreshExpiresAt.Equal(end) || g.ExpiresAt.After(end) {
			t.Fatalf("tokens expire %v and %v, the session %v", g.RefreshExpiresAt, g.ExpiresAt, end)
		}
		s.verify(g.AccessToken)
		s.clock.advance(31 * time.Minute)
		s.refusedToken(g.AccessToken, wire.CodeTokenExpired)
		s.refusedRefresh(g.RefreshToken)
	})
}

func TestRefreshOfUserNoLongerValid(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	s.exec("UPDATE users SET disabled = 1 WHERE user_id = 'alice'") // as if the sessions had been forgotten
	s.refusedRefresh(g.RefreshToken)
	s.exec("UPDATE users SET disabled = 0 WHERE user_id = 'alice'")
	s.refusedRefresh(g.RefreshToken)
}

func TestRefreshAndAccessAreNotInterchangeable(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	s.refusedToken(g.RefreshToken, wire.CodeInvalidCredentials)
	s.refusedRefresh(g.AccessToken)
}

func TestLogoutEndsTheSession(t *testing.T) {
	for _, name := range []string{"access", "expired access", "refresh", "replaced refresh"} {
		t.Run(name, func(t *testing.T) {
			s := configured(t, identity.Options{})
			other := s.login("alice", alicePassword)
			g := s.login("alice", alicePassword)
			token := g.AccessToken
			switch name {
			case "expired access":
				s.clock.advance(2 * time.Hour)
				g = s.refresh(g.RefreshToken)
			case "refresh":
				token = g.RefreshToken
			case "replaced refresh":
				token = g.RefreshToken
				g = s.refresh(g.RefreshToken)
			}
			held := s.verify(g.AccessToken)
			changed := s.Watch()
			s.logout(token)
			wantClosed(t, changed)
			if s.Valid(held) {
				t.Error("the principal is still valid")
			}
			s.refusedToken(g.AccessToken, wire.CodeInvalidCredentials)
			s.refusedRefresh(g.RefreshToken)
			s.logout(token)
			s.restart()
			s.refusedToken(g.AccessToken, wire.CodeInvalidCredentials)
			s.refresh(other.RefreshToken)
		})
	}
}

// TestLoginTakesTwoOldSessionsAlong makes sessions that end, of several users,
// and sees them go a few at a time, whoever signs in.
func TestLoginTakesTwoOldSessionsAlong(t *testing.T) {
	s := configured(t, identity.Options{JWTSecret: jwtSecret})
	kept := func(want int) {
		t.Helper()
		if n := len(s.text("SELECT session_id FROM sessions")); n != want {
			t.Errorf("%d sessions are kept, want %d", n, want)
		}
	}
	for range 5 {
		s.login("alice", alicePassword)
	}
	s.clock.advance(5 * 24 * time.Hour)
	g := s.login("alice", alicePassword)
	kept(6)
	s.clock.advance(3 * 24 * time.Hour)
	for _, want := range []int{5, 4, 4, 5} {
		s.login(identity.Root, rootPassword)
		kept(want)
	}
	s.refresh(g.RefreshToken)

	// So do tokens of an application that were logged out, once they have ended.
	for i := range 3 {
		now := s.clock.now()
		s.logout(mint(t, jose.HS256, []byte(jwtSecret), nil, map[string]any{
			"iss": "kalamdb", "sub": "alice", "role": "user", "token_type": "access", "jti": i,
			"iat": now.Unix(), "exp": now.Add(10 * 24 * time.Hour).Unix(),
		}))
	}
	kept(8)
	s.clock.advance(10 * 24 * time.Hour)
	for _, want := range []int{5, 3, 3} { // five sessions and three tokens were over
		s.login(identity.Root, rootPassword)
		kept(want)
	}
}

func TestDatabaseHoldsNoToken(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	secret := strings.Split(g.RefreshToken, ".")[3]
	for _, row := range s.text("SELECT session_id || quote(token_hash) || coalesce(quote(previous_hash), '') || coalesce(client_addr, '') FROM sessions") {
		if strings.Contains(row, secret) || !strings.HasSuffix(row, "192.0.2.1") {
			t.Fatalf("row is %s", row)
		}
	}
}

func wantClosed(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(time.Minute):
		t.Error("nobody was woken")
	}
}
