package identity_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

func TestLoginGivesTokensAndUser(t *testing.T) {
	s := configured(t, identity.Options{})
	g := s.login("alice", alicePassword)
	now := s.clock.now()
	if g.User.ID != "alice" || g.User.Role != identity.RoleUser || g.User.Email != "alice@example.com" || !g.User.LastLoginAt.Equal(now) {
		t.Errorf("user is %+v", g.User)
	}
	if want := now.Add(time.Hour).Truncate(time.Second); !g.ExpiresAt.Equal(want) {
		t.Errorf("access token expires %v, want %v", g.ExpiresAt, want)
	}
	if want := now.Add(7 * 24 * time.Hour); !g.RefreshExpiresAt.Equal(want) {
		t.Errorf("refresh token expires %v, want %v", g.RefreshExpiresAt, want)
	}
	s.alter(root, "alice", "PASSWORD", alicePassword)
	hash := s.text("SELECT password_hash FROM users WHERE user_id = 'alice'")[0]
	if !strings.HasPrefix(hash, phcPrefix) {
		t.Errorf("stored hash is %q", hash)
	}
	if again := s.login("alice", alicePassword); again.SessionID == g.SessionID {
		t.Error("two logins share a session")
	}
}

func TestLoginRefusalsAreAlike(t *testing.T) {
	s := configured(t, identity.Options{})
	s.create(identity.NewUser{Name: "off", Auth: "PASSWORD", Secret: alicePassword})
	s.alter(root, "off", "DISABLE", "")
	s.create(identity.NewUser{Name: "gone", Auth: "PASSWORD", Secret: alicePassword})
	if err := s.drop(root, "gone"); err != nil {
		t.Fatal(err)
	}
	s.create(identity.NewUser{Name: "worker", Auth: "INTERNAL", Role: "service"})
	s.create(identity.NewUser{Name: "ext", Auth: "OIDC", Secret: `{"issuer":"https://id.example","subject":"1"}`})
	s.exec("UPDATE users SET password_hash = 'rubbish' WHERE user_id = 'worker'")
	s.exec("UPDATE users SET password_hash = $1 WHERE user_id = 'ext'", aliceHash())
	tests := []struct{ user, password string }{
		{"alice", "wrong password"}, {"alice", ""}, {"alice", alicePassword + " "}, {"alice", strings.Repeat("x", 300)},
		{"Alice", alicePassword}, {"nobody", alicePassword}, {"", alicePassword}, {" ", alicePassword},
		{"../alice", alicePassword}, {"al\x00ice", alicePassword}, {"\xff", alicePassword},
		{"off", alicePassword}, {"gone", alicePassword}, {"worker", ""}, {"worker", "rubbish"}, {"ext", ""}, {"ext", alicePassword},
		{"root", ""},
	}
	text := ""
	for _, test := range tests {
		_, err := s.Login(t.Context(), test.user, test.password, "")
		wantCode(t, err, wire.CodeInvalidCredentials)
		if text == "" {
			text = err.Error()
		}
		if err.Error() != text {
			t.Errorf("%q: the message %q differs from %q", test.user, err, text)
		}
	}
}

func TestUnknownUserCostsTheSameWork(t *testing.T) {
	s := configured(t, identity.Options{})
	best := map[string]time.Duration{"alice": time.Hour, "nobody": time.Hour}
	for range 4 {
		for user := range best {
			start := time.Now()
			s.Login(t.Context(), user, "wrong password", "")
			best[user] = min(best[user], time.Since(start))
		}
	}
	// Without the work the unknown user would be a hundred times faster.
	if known, unknown := best["alice"], best["nobody"]; unknown < known/4 || known < unknown/4 {
		t.Fatalf("a wrong password took %v, an unknown user %v", known, unknown)
	}
}

func TestPasswordIsNeverTruncated(t *testing.T) {
	s := configured(t, identity.Options{})
	long := strings.Repeat("abcdefgh", 32) // 256 bytes
	s.alter(root, "alice", "PASSWORD", long)
	s.login("alice", long)
	_, err := s.Login(t.Context(), "alice", long[:255], "")
	wantCode(t, err, wire.CodeInvalidCredentials)
	_, err = s.Login(t.Context(), "alice", long[:255]+"i", "")
	wantCode(t, err, wire.CodeInvalidCredentials)
}

func TestPasswordIsTheSameInEveryUnicodeForm(t *testing.T) {
	s := configured(t, identity.Options{})
	s.alter(root, "alice", "PASSWORD", "gr\u00fc\u00df dich \ufb01n") // composed, with a ligature
	s.login("alice", "gru\u0308\u00df dich fin")
}

func TestOldHashesVerifyAndAreReplaced(t *testing.T) {
	s := configured(t, identity.Options{})
	old, err := bcrypt.GenerateFromPassword([]byte(alicePassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 80)
	cut, err := bcrypt.GenerateFromPassword([]byte(long[:72]), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	salt := []byte("0123456789abcdef")
	b64 := base64.RawStdEncoding.EncodeToString
	weaker := "$argon2id$v=19$m=8192,t=1,p=1$" + b64(salt) + "$" + b64(argon2.IDKey([]byte(alicePassword), salt, 1, 8192, 1, 32))
	for _, hash := range []string{string(old), weaker} {
		s.exec("UPDATE users SET password_hash = $1 WHERE user_id = 'alice'", hash)
		_, err := s.Login(t.Context(), "alice", "wrong password", "")
		wantCode(t, err, wire.CodeInvalidCredentials)
		s.login("alice", alicePassword)
		if now := s.text("SELECT password_hash FROM users WHERE user_id = 'alice'")[0]; !strings.HasPrefix(now, phcPrefix) {
			t.Errorf("hash after login is %q", now)
		}
		s.login("alice", alicePassword)
	}
	s.exec("UPDATE users SET password_hash = $1 WHERE user_id = 'alice'", string(cut))
	_, err = s.Login(t.Context(), "alice", long, "")
	wantCode(t, err, wire.CodeInvalidCredentials) // bcrypt would look at 72 bytes only
}

func TestDamagedHashIsRefused(t *testing.T) {
	s := configured(t, identity.Options{})
	for _, hash := range []string{
		"$argon2id$v=19$m=4294967295,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=19$m=19456,t=0,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=19$m=19456,t=2,p=1$$", "$argon2id$", "$2a$", "plain",
	} {
		s.exec("UPDATE users SET password_hash = $1 WHERE user_id = 'alice'", hash)
		s.clock.advance(time.Hour) // nobody is slowed down
		_, err := s.Login(t.Context(), "alice", alicePassword, "")
		wantCode(t, err, wire.CodeInvalidCredentials)
	}
}

func TestFloodOfLoginsIsBusyAndEnds(t *testing.T) {
	s := configured(t, identity.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var (
		mu                    sync.Mutex
		busy, canceled, other int
		all                   sync.WaitGroup
	)
	for i := range 300 {
		all.Go(func() {
			_, err := s.Login(ctx, "somebody"+strconv.Itoa(i), "wrong password", "") // each once: nobody is slowed down
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, &wire.Error{Code: wire.CodeUnavailable}):
				busy++
				cancel() // those that wait need not
			case errors.Is(err, context.Canceled):
				canceled++
			default:
				other++
			}
		})
	}
	all.Wait()
	if busy == 0 || canceled == 0 {
		t.Fatalf("busy %d, canceled %d, other %d", busy, canceled, other)
	}
	s.login("alice", alicePassword)
}

func TestPasswordPolicy(t *testing.T) {
	s := configured(t, identity.Options{})
	weak := []string{
		"", "short12", "password", "PassWord", "Password123!", "12345678", "qwertyuiop", "ääääää1",
		strings.Repeat("x", 257), "carol.smith", "Carol.Smith", "carol@example.com", "bad\xffutf8 text",
	}
	for i, password := range weak {
		err := s.tryCreate(root, identity.NewUser{Name: "carol.smith", Auth: "PASSWORD", Secret: password, Email: "carol@example.com"})
		wantCode(t, err, wire.CodeWeakPassword)
		if len(password) > 8 && strings.Contains(err.Error(), password) {
			t.Errorf("%d: the message repeats the password", i)
		}
	}
	for i, password := range []string{alicePassword, "alice has 1", "password of mine", "日本語のパスワード", "        "} {
		s.create(identity.NewUser{Name: fmt.Sprintf("alice%d", i), Auth: "PASSWORD", Secret: password})
	}
	wantCode(t, s.tryAlter(root, "alice", "PASSWORD", "iloveyou"), wire.CodeWeakPassword)
	wantCode(t, s.tryAlter(root, "alice", "PASSWORD", "alice@example.com"), wire.CodeWeakPassword)
}

func TestOperatorRaisesPasswordLength(t *testing.T) {
	s := fresh(t, identity.Options{MinPasswordLength: 15, RootPassword: "correct horse battery"})
	err := s.tryCreate(root, identity.NewUser{Name: "alice", Auth: "PASSWORD", Secret: alicePassword})
	wantCode(t, err, wire.CodeWeakPassword)
}
