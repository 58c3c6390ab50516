package identity

import (
	"context"
	"time"

	"github.com/kalamdb/kalam-go/internal/redact"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// AuthAnonymous is how the user of an account without a name proves who they
// are: not at all, so the session that began with the account is all they have.
const AuthAnonymous = "anonymous"

// The actions of accounts in the audit log.
const (
	auditSignUp         = "SIGN_UP"
	auditUpgraded       = "UPGRADE_ACCOUNT"
	auditProfileChanged = "PROFILE_CHANGED"
	auditInvited        = "INVITE"
	auditInviteRevoked  = "INVITE_REVOKED"
)

// NewAccount is an account that its owner makes.
type NewAccount struct {
	redact.Redacted

	ID           string
	Role         string
	AuthType     string // AuthPassword or AuthAnonymous
	PasswordHash string // of HashPassword, "" for none
	Name         string // for people
	Method       string // how its owner has proved who they are, for the audit log
	Addr         string // of the client
}

// CheckPassword refuses a password that is too weak for the user of these names.
func (s *Service) CheckPassword(password string, names ...string) error {
	return s.checkPassword(password, names...)
}

// HashPassword hashes a password, which takes a while: call it before the
// transaction.
func (s *Service) HashPassword(ctx context.Context, password string) (string, error) {
	return s.hasher.Hash(ctx, password)
}

// IsPassword reports whether a hash is that of a password. It takes as long as
// HashPassword.
func (s *Service) IsPassword(ctx context.Context, hash, password string) (bool, error) {
	ok, _, err := s.hasher.Verify(ctx, hash, password, func() error { return nil })
	return ok, err
}

// CreateAccount adds the user of a new account.
func (s *Service) CreateAccount(tx *store.Tx, trail *Trail, a *NewAccount) error {
	trail.add(event{action: auditSignUp, actor: a.ID, method: a.Method, addr: a.Addr, details: "Role: " + a.Role})
	row := &userRow{id: a.ID, role: a.Role, authType: a.AuthType, passwordHash: a.PasswordHash, createdAt: s.now()}
	if err := insertUserRow(tx, row); err != nil || a.Name == "" {
		return err
	}
	return s.SetName(tx, a.ID, a.Name)
}

// SetName sets the name of an account that people see, "" for none.
func (s *Service) SetName(tx *store.Tx, id, name string) error {
	_, err := tx.Exec(updateName, wire.TextValue(id), optional(name), wire.IntValue(s.now()))
	return err
}

// SetAddress makes a verified address that of an account, which signs in with it
// from now on. It fails with ErrTaken.
func (s *Service) SetAddress(tx *store.Tx, id, address string) error {
	if err := s.SetCredential(tx, id, ByEmail, address); err != nil {
		return err
	}
	_, err := tx.Exec(updateEmail, wire.TextValue(id), wire.TextValue(address), wire.IntValue(1), wire.IntValue(s.now()))
	return err
}

// Upgrade makes an anonymous account one that signs in, with a password if hash
// is not "". Its sessions go on.
func (s *Service) Upgrade(tx *store.Tx, trail *Trail, p *Principal, hash, addr string) error {
	id, now := wire.TextValue(p.UserID), wire.IntValue(s.now())
	if _, err := tx.Exec(updateAuthType, id, wire.TextValue(AuthPassword), now); err != nil {
		return err
	}
	trail.add(s.by(p, addr, event{action: auditUpgraded}))
	if hash == "" {
		return nil
	}
	_, err := tx.Exec(updatePassword, id, wire.TextValue(hash), now)
	return err
}

// ReplacePassword sets the password of an account whose owner has proved an
// address by a code, and ends all of its sessions.
func (s *Service) ReplacePassword(tx *store.Tx, trail *Trail, id, hash, addr string) error {
	if _, err := tx.Exec(updatePassword, wire.TextValue(id), wire.TextValue(hash), wire.IntValue(s.now())); err != nil {
		return err
	}
	trail.add(event{action: auditPasswordChanged, actor: id, method: "code", addr: addr})
	_, err := s.endSessions(tx, id, "")
	return err
}

// Noted adds what an account or an administrator did to the audit log.
func (s *Service) Noted(trail *Trail, p *Principal, addr, action, details string) {
	trail.add(s.by(p, addr, event{action: action, details: details}))
}

// UserIn is User inside a transaction; nil for one that is not there or was
// dropped or disabled.
func (s *Service) UserIn(tx *store.Tx, id string) (*User, error) {
	u, err := findUser(tx, id)
	if err != nil || !u.active() {
		return nil, err
	}
	return u.user(), nil
}

// CheckUserName returns the one form of a name that a user of this server may
// have, or refuses it.
func CheckUserName(name string) (string, error) { return localName(name) }

// ConfirmPassword refuses a password that is not that of p, as ChangePassword
// does.
func (s *Service) ConfirmPassword(ctx context.Context, p *Principal, password, clientAddr string) error {
	_, _, err := s.checkLogin(ctx, p.UserID, password, clientAddr, auditPasswordFailed)
	return err
}

// Began returns when the session of p began; zero for a token without a session.
func (s *Service) Began(tx *store.Tx, p *Principal) (time.Time, error) {
	c, err := findSession(tx, p.SessionID)
	if err != nil || c == nil || p.SessionID == "" {
		return time.Time{}, err
	}
	return fromMicros(c.createdAt), nil
}

const abandoned = `SELECT user_id FROM users WHERE auth_type = 'anonymous' AND deleted_at IS NULL AND last_login_at < $1
	AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.user_id = users.user_id AND last_seen_at >= $1)`

var (
	selectAbandoned = &store.Stmt{SQL: abandoned + " LIMIT 100", Args: []wire.Type{integer}, Cols: []wire.Type{text}}
	isAbandoned     = &store.Stmt{SQL: abandoned + " AND user_id = $2", Args: []wire.Type{integer, text}, Cols: []wire.Type{text}}
)

// IdleAnonymous returns some anonymous accounts whose sessions nobody has used
// since a moment.
func (s *Service) IdleAnonymous(ctx context.Context, since time.Time) (ids []string, err error) {
	err = s.db.Query(ctx, selectAbandoned, []wire.Value{wire.IntValue(since.UnixMicro())}, func(row []wire.Value) error {
		ids = append(ids, row[0].Text())
		return nil
	})
	return ids, err
}
