package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// session is a signed-in user of a server. Those that kalam login keeps, one for
// each server, are in a file; the one of kalam sql --user lives as long as the
// command.
type session struct {
	URL     string    `json:"url"`
	User    string    `json:"user"`
	Access  string    `json:"access_token"`
	Refresh string    `json:"refresh_token"`
	RenewAt time.Time `json:"renew_at"` // by this machine's clock
}

// configDir is the user's folder of this program, made if there is none.
func configDir() (string, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the configuration folder: %w", err)
	}
	dir := filepath.Join(base, "kalam")
	return dir, os.MkdirAll(dir, 0o700)
}

func sessionPath() (string, error) {
	dir, err := configDir()
	return filepath.Join(dir, "session.json"), err
}

// sessions are the kept ones by the URLs of their servers.
type sessions struct {
	Current  string              `json:"current"` // the server of commands without --url; "" when there is none
	Sessions map[string]*session `json:"sessions"`
}

// loadSessions reads the kept sessions.
func loadSessions() (*sessions, error) {
	path, err := sessionPath()
	if err != nil {
		return nil, err
	}
	all := &sessions{Sessions: make(map[string]*session)}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the kept sessions: %w", err)
	}
	damaged := fmt.Errorf("%s is damaged: sign in again with kalam login", path)
	if err := json.Unmarshal(b, all); err != nil || all.Sessions == nil {
		return nil, damaged
	}
	for url, k := range all.Sessions {
		if k == nil || k.URL != url || k.Access == "" {
			return nil, damaged
		}
	}
	return all, nil
}

// loadSession reads the kept session of a server; nil when there is none.
func loadSession(url string) (*session, error) {
	all, err := loadSessions()
	if err != nil {
		return nil, err
	}
	return all.Sessions[url], nil
}

// save keeps the sessions; the file is replaced as a whole and readable by its
// owner only, and there is none when nobody is signed in. The caller holds the
// lock.
func (all *sessions) save() error {
	path, err := sessionPath()
	if err != nil {
		return err
	}
	if len(all.Sessions) == 0 {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "session-*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("keep the session: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep the session: %w", err)
	}
	return os.Rename(f.Name(), path)
}

// save keeps the session beside those of other servers. The caller holds the
// lock.
func (s *session) save() error {
	all, err := loadSessions()
	if err != nil {
		return err
	}
	all.Sessions[s.URL] = s
	return all.save()
}

// replace keeps the session in place of the server's one before, which ends, and
// makes its server the current one.
func (s *session) replace() error {
	unlock, err := lockSession()
	if err != nil {
		return err
	}
	defer unlock()
	all, err := loadSessions()
	if err != nil { // signing in is what mends a damaged file
		all = &sessions{Sessions: make(map[string]*session)}
	}
	before := all.Sessions[s.URL]
	all.Sessions[s.URL], all.Current = s, s.URL
	if err := all.save(); err != nil {
		return err
	}
	if before != nil && before.Refresh != "" { // a bare token is somebody else's to end
		endQuietly(before)
	}
	return nil
}

// lockSession keeps other commands from renewing the kept session meanwhile.
func lockSession() (unlock func(), err error) {
	dir, err := configDir()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "session.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// adopt takes the tokens of an answer.
func (s *session) adopt(l *wire.LoginResponse) {
	s.User, s.Access, s.Refresh = l.User.ID, l.AccessToken, l.RefreshToken
	s.RenewAt = time.Now().Add(renewAfter(l.AccessToken)).Round(time.Second)
}

// renewAfter is how long a new token is used: its life without the last part,
// whatever the server's clock says.
func renewAfter(jwt string) time.Duration {
	const unknown = 5 * time.Minute
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return unknown
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return unknown
	}
	c, err := wire.DecodeClaims(payload)
	if err != nil || c.ExpiresAt <= c.IssuedAt {
		return unknown
	}
	life := time.Duration(c.ExpiresAt-c.IssuedAt) * time.Second
	return life - min(2*time.Minute, life/4)
}

// provider gives the client the token of a session and renews the session when
// it is time, or when the server takes its token no more: that may be the
// token's fault alone, as when the keys were revoked.
type provider struct {
	kept bool // renewed tokens go into the file
	mu   sync.Mutex
	s    *session
}

// Auth implements auth.Provider.
func (p *provider) Auth(ctx context.Context) (auth.Auth, error) {
	rejected := auth.RequestOf(ctx).Rejected
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.s.Refresh == "" {
		if !p.s.RenewAt.IsZero() && !time.Now().Before(p.s.RenewAt) {
			return auth.Auth{}, auth.Permanent(errTokenOver)
		}
		return auth.JWT(p.s.Access), nil
	}
	good := func() bool { return p.s.Access != rejected && time.Now().Before(p.s.RenewAt) }
	if good() {
		return auth.JWT(p.s.Access), nil
	}
	if p.kept {
		unlock, err := lockSession()
		if err != nil {
			return auth.Auth{}, err
		}
		defer unlock()
		// Another command may have renewed it.
		now, err := loadSession(p.s.URL)
		if err == nil && now != nil && now.User == p.s.User {
			p.s = now
		}
		if good() {
			return auth.JWT(p.s.Access), nil
		}
	}
	if err := p.renew(ctx); err != nil {
		return auth.Auth{}, err
	}
	return auth.JWT(p.s.Access), nil
}

// refused is the context in which the provider gives another token than one that
// the server has refused, if it can.
func refused(ctx context.Context, token string) context.Context {
	return auth.WithRequest(ctx, auth.Request{Reason: auth.ReasonRejected, Rejected: token})
}

func (p *provider) renew(ctx context.Context) error {
	c, err := client.New(p.s.URL, auth.Static(auth.Auth{}), client.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	l, err := c.RefreshToken(ctx, p.s.Refresh)
	if errors.Is(err, client.ErrUnauthenticated) {
		return auth.Permanent(errSessionOver)
	}
	if err != nil {
		return err
	}
	next := *p.s
	next.adopt(l)
	p.s = &next
	if p.kept {
		return next.save()
	}
	return nil
}

// current is the session as it is now.
func (p *provider) current() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.s
}

var errTokenOver = errors.New("the token is over: get a new one and keep it with kalam login --with-token")

var errSessionOver = errors.New("the session is over: sign in again with kalam login")

// logIn makes a session of user and password.
func logIn(ctx context.Context, url, user, password string) (*session, *wire.LoginResponse, error) {
	c, err := client.New(url, auth.Static(auth.Basic(user, password)), client.Options{})
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	l, err := c.Login(ctx)
	if err != nil {
		if isCode(err, wire.CodeInvalidCredentials) {
			return nil, nil, errors.New("wrong user or password")
		}
		return nil, nil, explain(err, url)
	}
	s := &session{URL: url}
	s.adopt(l)
	return s, l, nil
}

// end ends the session on the server. The refresh token does that also when the
// access token is over.
func (s *session) end(ctx context.Context) error {
	token := s.Refresh
	if token == "" {
		token = s.Access
	}
	c, err := client.New(s.URL, auth.Static(auth.JWT(token)), client.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.AccessToken(ctx, ""); err != nil { // what it is to end
		return err
	}
	return c.Logout(ctx)
}
