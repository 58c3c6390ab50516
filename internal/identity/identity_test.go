package identity_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

const (
	rootPassword  = "correct horse battery"
	alicePassword = "Secret123!"
	phcPrefix     = "$argon2id$v=19$m=19456,t=2,p=1$"
	jwtSecret     = "Zk3vX9qLw7RtY2uPn8sBd4mHc6jGf1aE"
)

// clock is a time that a test moves by hand.
type clock struct {
	mu   sync.Mutex
	t    time.Time
	skip int
	then func()
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	then := c.then
	if then != nil && c.skip > 0 {
		c.skip--
		then = nil
	}
	if then != nil {
		c.then = nil
	}
	t := c.t
	c.mu.Unlock()
	if then != nil {
		then()
	}
	return t
}

// interrupt runs f in the middle of what happens next: when it looks at the
// clock for the n-th time.
func (c *clock) interrupt(n int, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skip, c.then = n-1, f
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// server is a service on a database of its own.
type server struct {
	*identity.Service
	t       *testing.T
	db      *store.DB
	clock   *clock
	options identity.Options
	log     *strings.Builder
}

// fresh opens a service on an empty database.
func fresh(t *testing.T, o identity.Options) *server {
	t.Helper()
	driver, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), driver, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &server{t: t, db: db, clock: &clock{t: time.Date(2026, 11, 23, 12, 0, 0, 250_000_000, time.UTC)}, log: new(strings.Builder)}
	if o.KeyDir == "" && o.JWTSecret == "" {
		o.KeyDir = t.TempDir()
	}
	o.Now = s.clock.now
	o.Logger = slog.New(slog.NewTextHandler(s.log, nil))
	s.options = o
	s.restart()
	return s
}

// configured opens a service where root has a password and alice is a user.
// The hashes are computed once for all tests.
func configured(t *testing.T, o identity.Options) *server {
	t.Helper()
	s := fresh(t, o)
	s.exec("UPDATE users SET password_hash = $1 WHERE user_id = 'root'", rootHash())
	s.create(identity.NewUser{Name: "alice", Auth: "INTERNAL", Email: "alice@example.com"})
	s.exec("UPDATE users SET auth_type = 'password', password_hash = $1 WHERE user_id = 'alice'", aliceHash())
	s.exec("INSERT INTO users (user_id, password_hash, role, auth_type, created_at, updated_at) VALUES ('keeper', $1, 'dba', 'password', 0, 0)", aliceHash())
	return s
}

var (
	rootHash  = sync.OnceValue(func() string { return hash(rootPassword) })
	aliceHash = sync.OnceValue(func() string { return hash(alicePassword) })
)

func hash(password string) string {
	salt := []byte("0123456789abcdef")
	b64 := base64.RawStdEncoding.EncodeToString
	return phcPrefix + b64(salt) + "$" + b64(argon2.IDKey([]byte(password), salt, 2, 19*1024, 1, 32))
}

// restart opens the service again on the same database, as a new process does.
func (s *server) restart() {
	s.t.Helper()
	service, err := identity.New(s.db, s.options)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { service.Close() })
	s.Service = service
}

var (
	root = &identity.Principal{UserID: "root", Role: identity.RoleSystem}
	dba  = &identity.Principal{UserID: "keeper", Role: identity.RoleDBA}
)

func (s *server) tryCreate(actor *identity.Principal, n identity.NewUser) error {
	p, err := s.PrepareUser(context.Background(), actor, n)
	if err != nil {
		return err
	}
	return s.Write(context.Background(), func(tx *store.Tx, trail *identity.Trail) error { return s.CreateUser(tx, trail, p) })
}

func (s *server) create(n identity.NewUser) {
	s.t.Helper()
	if err := s.tryCreate(root, n); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) tryAlter(actor *identity.Principal, name, action, value string) error {
	p, err := s.PrepareChange(context.Background(), actor, identity.UserChange{Name: name, Action: action, Value: value})
	if err != nil {
		return err
	}
	return s.Write(context.Background(), func(tx *store.Tx, trail *identity.Trail) error { return s.AlterUser(tx, trail, p) })
}

func (s *server) alter(actor *identity.Principal, name, action, value string) {
	s.t.Helper()
	if err := s.tryAlter(actor, name, action, value); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) drop(actor *identity.Principal, name string) error {
	return s.Write(context.Background(), func(tx *store.Tx, trail *identity.Trail) error { return s.DropUser(tx, trail, actor, name, "", false) })
}

func (s *server) login(user, password string) *identity.Grant {
	s.t.Helper()
	g, err := s.Login(s.t.Context(), user, password, "192.0.2.1")
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

func (s *server) refresh(token string) *identity.Grant {
	s.t.Helper()
	g, err := s.Refresh(s.t.Context(), token, "192.0.2.1")
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

func (s *server) verify(token string) *identity.Principal {
	s.t.Helper()
	p, err := s.Verify(s.t.Context(), token)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *server) logout(token string) {
	s.t.Helper()
	if err := s.Logout(s.t.Context(), token); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) refusedRefresh(token string) {
	s.t.Helper()
	_, err := s.Refresh(s.t.Context(), token, "")
	wantCode(s.t, err, wire.CodeInvalidCredentials)
}

func (s *server) refusedToken(token string, code wire.Code) {
	s.t.Helper()
	_, err := s.Verify(s.t.Context(), token)
	wantCode(s.t, err, code)
}

// exec runs a statement of the test's own.
func (s *server) exec(sql string, args ...string) {
	s.t.Helper()
	stmt := &store.Stmt{SQL: sql}
	var values []wire.Value
	for _, a := range args {
		stmt.Args = append(stmt.Args, wire.Type{Kind: wire.Text})
		values = append(values, wire.TextValue(a))
	}
	err := s.db.Write(s.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(stmt, values...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// text reads the texts of a one-column query.
func (s *server) text(sql string) []string {
	s.t.Helper()
	var out []string
	err := s.db.Read(s.t.Context(), func(tx *store.Tx) error {
		return tx.Query(&store.Stmt{SQL: sql, Cols: []wire.Type{{Kind: wire.Text}}}, nil, func(row []wire.Value) error {
			out = append(out, row[0].Text())
			return nil
		})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func wantCode(t *testing.T, err error, code wire.Code) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	if e.Code != code {
		t.Fatalf("got code %s (%s), want %s", e.Code, e.Message, code)
	}
}

func errorsAs[T error](err error, target *T) bool { return errors.As(err, target) }
