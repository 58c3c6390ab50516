package identity

import (
	"context"
	"crypto/rand"
	"math"
	"time"

	"github.com/kalamdb/kalam-go/internal/password"
	"github.com/kalamdb/kalam-go/internal/redact"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// maxPasswordBytes is the length of the longest password.
const maxPasswordBytes = password.MaxBytes

// Grant is what a login or a refresh gives.
type Grant struct {
	redact.Redacted

	User             *User
	SessionID        string
	AccessToken      string
	ExpiresAt        time.Time
	RefreshToken     string
	RefreshExpiresAt time.Time
}

// session is a row of the table sessions. Times are microseconds since 1970.
type session struct {
	redact.Redacted
	id, userID, method                          string
	generation                                  int64
	tokenHash, previousHash                     []byte
	rotatedAt, createdAt, lastSeenAt, expiresAt int64
	clientAddr                                  string
	endedAt                                     int64 // 0: not ended
}

// unused stands in rotatedAt until somebody has used an access token that was
// issued since the rotation: only then the time begins in which the predecessor
// may be replayed. Until then the answer may have been lost.
const unused = math.MaxInt64

// The methods by which a session began. mintedToken is no session but a token
// of an app that was logged out: the row refuses it until its end.
const (
	byPassword  = "password"
	mintedToken = "token"
)

// refreshUntil is the end of the session if it is not refreshed again.
func (c *session) refreshUntil(idle time.Duration) int64 {
	return min(c.lastSeenAt+idle.Microseconds(), c.expiresAt)
}

func (c *session) alive(now int64, idle time.Duration) bool {
	return c != nil && c.endedAt == 0 && now < c.refreshUntil(idle)
}

var (
	selectSession = &store.Stmt{
		SQL: `SELECT user_id, auth_method, generation, token_hash, previous_hash, rotated_at, created_at, last_seen_at, expires_at, ended_at
			FROM sessions WHERE session_id = $1`,
		Args: []wire.Type{text},
		Cols: []wire.Type{text, text, integer, blob, blob, integer, integer, integer, integer, integer},
	}
	selectOpenSessions = &store.Stmt{
		SQL:  "SELECT session_id FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND session_id <> $2",
		Args: []wire.Type{text, text}, Cols: []wire.Type{text},
	}
	insertSession = &store.Stmt{
		SQL: `INSERT INTO sessions (session_id, user_id, auth_method, generation, token_hash, rotated_at, created_at, last_seen_at, expires_at, client_addr, ended_at, ref)
			VALUES ($1, $2, $3, $4, $5, $6, $6, $6, $7, $8, $9, $10) ON CONFLICT (session_id) DO NOTHING`,
		Args: []wire.Type{text, text, text, integer, blob, integer, integer, text, integer, text},
	}
	rotateSession = &store.Stmt{
		SQL: `UPDATE sessions SET generation = $2, token_hash = $3, previous_hash = $4, rotated_at = $5, last_seen_at = $6, client_addr = $7
			WHERE session_id = $1`,
		Args: []wire.Type{text, integer, blob, blob, integer, integer, text},
	}
	useRotation = &store.Stmt{
		SQL:  "UPDATE sessions SET rotated_at = $3 WHERE session_id = $1 AND generation = $2 AND rotated_at > $3",
		Args: []wire.Type{text, integer, integer},
	}
	endSession = &store.Stmt{
		SQL:  "UPDATE sessions SET ended_at = $2 WHERE session_id = $1 AND ended_at IS NULL",
		Args: []wire.Type{text, integer},
	}
	// Each new row takes two old ones along, so that nothing piles up and no
	// statement ever has many to delete.
	deleteOldSessions = &store.Stmt{
		SQL: `DELETE FROM sessions WHERE session_id IN (
			SELECT session_id FROM (SELECT session_id FROM sessions WHERE auth_method <> 'token' AND last_seen_at <= $1 LIMIT 2) AS idle
			UNION ALL
			SELECT session_id FROM (SELECT session_id FROM sessions WHERE auth_method = 'token' AND expires_at <= $2 LIMIT 2) AS minted)`,
		Args: []wire.Type{integer, integer},
	}
	updateLogin = &store.Stmt{
		SQL:  "UPDATE users SET last_login_at = $2 WHERE user_id = $1",
		Args: []wire.Type{text, integer},
	}
)

func findSession(tx *store.Tx, id string) (*session, error) {
	var c *session
	err := tx.Query(selectSession, []wire.Value{wire.TextValue(id)}, func(row []wire.Value) error {
		c = &session{
			id: id, userID: row[0].Text(), method: row[1].Text(), generation: row[2].Int(), tokenHash: row[3].Bytes(),
			previousHash: row[4].Bytes(), rotatedAt: row[5].Int(), createdAt: row[6].Int(), lastSeenAt: row[7].Int(),
			expiresAt: row[8].Int(), endedAt: row[9].Int(),
		}
		return nil
	})
	return c, err
}

// insertSession adds a session and removes some that nobody has refreshed for the
// idle limit, whoever they were of, so that their number is bounded by the logins
// of such a time.
func (s *Service) insertSession(tx *store.Tx, c *session) error {
	now := s.now()
	if _, err := tx.Exec(deleteOldSessions, wire.IntValue(now-s.options.IdleTTL.Microseconds()), wire.IntValue(now)); err != nil {
		return err
	}
	ended := wire.Null
	if c.endedAt != 0 {
		ended = wire.IntValue(c.endedAt)
	}
	_, err := tx.Exec(insertSession, wire.TextValue(c.id), wire.TextValue(c.userID), wire.TextValue(c.method),
		wire.IntValue(c.generation), wire.BytesValue(c.tokenHash), wire.IntValue(c.createdAt), wire.IntValue(c.expiresAt),
		optional(c.clientAddr), ended, wire.TextValue(s.ref(c.id)))
	return err
}

// Login checks a password and begins a session. Whatever is wrong about user or
// password, the answer is INVALID_CREDENTIALS and takes the same work. It fails
// with SETUP_REQUIRED until the server is set up, and with SERVER_UNAVAILABLE
// when too many passwords are being checked.
func (s *Service) Login(ctx context.Context, user, password, clientAddr string) (*Grant, error) {
	needed, err := s.NeedsSetup(ctx)
	if err != nil {
		return nil, err
	}
	if needed {
		return nil, errSetupRequired()
	}
	u, newHash, err := s.checkLogin(ctx, user, password, clientAddr, auditLoginFailed)
	if err != nil {
		return nil, err
	}
	return s.Begin(ctx, byPassword, clientAddr, func(tx *store.Tx, _ *Trail) (string, error) {
		current, err := findUser(tx, u.id)
		if err != nil {
			return "", err
		}
		if !current.active() || current.passwordHash != u.passwordHash {
			return "", errInvalid() // changed while the password was being checked
		}
		if newHash != u.passwordHash {
			_, err = tx.Exec(updatePassword, wire.TextValue(u.id), wire.TextValue(newHash), wire.IntValue(s.now()))
		}
		return u.id, err
	})
}

// Begin begins a session of the user whom who returns, in the transaction that
// who is called in. method is how the user has proved who they are.
func (s *Service) Begin(ctx context.Context, method, clientAddr string, who func(tx *store.Tx, trail *Trail) (userID string, err error)) (*Grant, error) {
	now := s.now()
	begun := session{
		id: rand.Text(), method: method, clientAddr: clientAddr,
		rotatedAt: now, createdAt: now, lastSeenAt: now, expiresAt: now + s.options.AbsoluteTTL.Microseconds(),
	}
	token := firstRefresh(begun.id)
	begun.tokenHash = token.hash()
	u, err := Write(ctx, s, s.db, func(tx *store.Tx, trail *Trail) (*userRow, error) {
		id, err := who(tx, trail)
		if err != nil {
			return nil, err
		}
		u, err := findUser(tx, id)
		if err != nil {
			return nil, err
		}
		if !u.active() {
			return nil, errInvalid()
		}
		if _, err := tx.Exec(updateLogin, wire.TextValue(u.id), wire.IntValue(now)); err != nil {
			return nil, err
		}
		trail.add(event{action: auditLogin, actor: u.id, method: method, addr: clientAddr, session: s.ref(begun.id)})
		c := begun
		c.userID = u.id
		return u, s.insertSession(tx, &c)
	})
	if err != nil {
		return nil, err
	}
	u.lastLoginAt = now
	begun.userID = u.id
	return s.grant(u, &begun, token, now)
}

// checkLogin returns the user that the password belongs to, and the hash to
// keep: a new one when the parameters have changed. What fails is counted
// against the account and the network, and goes into the audit log under the
// given action.
func (s *Service) checkLogin(ctx context.Context, name, password, clientAddr, action string) (*userRow, string, error) {
	var u *userRow
	account := name
	if id, err := checkName(name); err == nil {
		account = id
		err = s.db.Read(ctx, func(tx *store.Tx) error {
			u, err = s.signInUser(tx, id)
			return err
		})
		if err != nil {
			return nil, "", err
		}
		if u != nil {
			account = u.id // whichever of its names was typed
		}
	}
	account, network := s.keyedHash("name", account), NetworkOf(clientAddr)
	gate := func() error { return s.mayGuess(ctx, u, account, network) }
	failed := event{action: action, outcome: outcomeRefused, method: byPassword, addr: clientAddr, target: "user:" + s.named(name)}
	if u != nil && u.deletedAt == 0 {
		failed.subject, failed.target = u.id, ""
	}
	if err := gate(); err != nil {
		if s.throttle.tell(account, network) {
			failed.action = auditLoginThrottled
			s.attempted(ctx, failed, network)
		}
		return nil, "", err
	}
	hash := ""
	if u.active() && u.authType != AuthOIDC && !s.options.NoPasswordLogin && password != "" && len(password) <= maxPasswordBytes {
		hash = u.passwordHash
	} else {
		password = "" // of any length, and nobody's
	}
	match, outdated, err := s.hasher.Verify(ctx, hash, password, gate)
	if err != nil {
		return nil, "", err
	}
	if !match {
		s.throttle.fail(account, network, s.options.Now())
		s.attempted(ctx, failed, network)
		return nil, "", errInvalid()
	}
	s.throttle.succeed(account, network)
	if outdated {
		hash, err = s.hasher.Hash(ctx, password)
	}
	return u, hash, err
}

// mayGuess refuses a password, right or wrong, that comes too soon after wrong
// ones. It says the same of every name.
func (s *Service) mayGuess(ctx context.Context, u *userRow, account, network string) error {
	strange := func() bool { return !s.knows(ctx, u, network) }
	if wait := s.throttle.wait(account, network, s.options.Now(), strange); wait > 0 {
		return &ThrottledError{After: wait}
	}
	return nil
}

// grant signs the access token of a session and puts the answer together. No
// token outlives the session.
func (s *Service) grant(u *userRow, c *session, token refreshToken, now int64) (*Grant, error) {
	until := c.refreshUntil(s.options.IdleTTL)
	expires := min(now+s.options.AccessTTL.Microseconds(), until) / 1e6
	said := claims{Subject: u.id, ExpiresAt: expires, IssuedAt: now / 1e6, Role: u.role, SessionID: c.id}
	if u.email != "" {
		said.Email = &u.email
	}
	access, err := s.sign(said)
	if err != nil {
		return nil, err
	}
	return &Grant{
		User: u.user(), SessionID: c.id,
		AccessToken: access, ExpiresAt: time.Unix(expires, 0).UTC(),
		RefreshToken: token.text(s.refreshKey), RefreshExpiresAt: fromMicros(until),
	}, nil
}
