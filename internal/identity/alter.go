package identity

import (
	"context"
	"strings"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/kalamdb/kalam-go/internal/redact"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// UserChange is a change of a user, as the statement has it.
type UserChange struct {
	redact.Redacted

	Name   string
	Action string // PASSWORD, ROLE, EMAIL, DISABLE or ENABLE
	Value  string // the password, the role's word, or the address; "" removes the address
}

// PreparedChange is a change that may be made: checked, with the password
// hashed.
type PreparedChange struct {
	redact.Redacted

	actor  Principal
	name   string
	action string
	value  string // the password's hash, the role, or the address
	same   bool   // the password is the one that the user has
	addr   string // of the client
}

// PrepareChange checks a change that actor wants to make and hashes the
// password, which takes a while: call it before the transaction.
func (s *Service) PrepareChange(ctx context.Context, actor *Principal, c UserChange) (*PreparedChange, error) {
	if err := authorise(actor, RoleUser, "alter"); err != nil {
		return nil, err
	}
	name, err := checkName(c.Name)
	if err != nil {
		return nil, errUserNotFound(c.Name)
	}
	p := &PreparedChange{actor: *actor, name: name, action: strings.ToUpper(c.Action), value: c.Value, addr: ClientOf(ctx).Addr}
	switch p.action {
	case "PASSWORD":
		p.value, p.same, err = s.preparePassword(ctx, name, c.Value)
	case "ROLE":
		role, ok := ParseRole(c.Value)
		if !ok {
			return nil, wire.NewError(wire.CodeInvalidInput, "unknown role '", c.Value, "'")
		}
		if !mayManage(actor.Role, role) {
			return nil, errDenied("permission denied: only system may grant the role ", role)
		}
		p.value = role
	case "EMAIL":
		err = checkEmail(c.Value)
	case "DISABLE", "ENABLE":
	default:
		err = wire.NewError(wire.CodeInvalidInput, "unknown change of a user: ", c.Action)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// preparePassword returns the hash of a new password, and whether it is the one
// that the user has, whose hash that then is.
func (s *Service) preparePassword(ctx context.Context, name, password string) (hash string, same bool, err error) {
	known, err := s.readUser(ctx, name)
	if err != nil {
		return "", false, err
	}
	names := []string{name}
	if known != nil {
		names = append(names, known.email)
	}
	if err := s.checkPassword(password, names...); err != nil {
		return "", false, err
	}
	if known != nil && known.passwordHash != "" {
		if same, _, err = s.hasher.Verify(ctx, known.passwordHash, password, nil); same || err != nil {
			return known.passwordHash, same, err
		}
	}
	hash, err = s.hasher.Hash(ctx, password)
	return hash, false, err
}

// AlterUser makes a prepared change in the caller's transaction, or fails with
// USER_NOT_FOUND. A new role, a new password and DISABLE end the sessions of
// the user, which takes effect with the commit; who changes their own password
// keeps the session they do it in, and a password that is the user's already
// changes nothing.
func (s *Service) AlterUser(tx *store.Tx, trail *Trail, p *PreparedChange) error {
	u, err := managed(tx, &p.actor, p.name, "alter")
	if err != nil {
		return err
	}
	if p.action == "DISABLE" || p.action == "ROLE" && p.value != u.role {
		if err := s.mayLose(tx, &p.actor, u, p.action, p.value); err != nil {
			return err
		}
	}
	trail.add(s.by(&p.actor, p.addr, event{action: auditUserAltered, subject: u.id, details: p.describe()}))
	id, now := wire.TextValue(u.id), wire.IntValue(s.now())
	keep := "" // the session that stays
	switch p.action {
	case "PASSWORD":
		if u.authType == AuthOIDC {
			return errNoPassword(u.id)
		}
		if p.same && u.passwordHash == p.value {
			return nil
		}
		if u.id == p.actor.UserID {
			keep = p.actor.SessionID
		}
		_, err = tx.Exec(updatePassword, id, wire.TextValue(p.value), now)
	case "ROLE":
		if u.role == p.value {
			return nil
		}
		_, err = tx.Exec(updateRole, id, wire.TextValue(p.value), now)
	case "EMAIL":
		_, err = tx.Exec(updateEmail, id, optional(p.value), wire.IntValue(0), now)
		return err
	case "ENABLE":
		_, err = tx.Exec(updateDisabled, id, wire.IntValue(0), now)
		return err
	case "DISABLE":
		_, err = tx.Exec(updateDisabled, id, wire.IntValue(1), now)
	}
	if err != nil {
		return err
	}
	_, err = s.endSessions(tx, u.id, keep)
	return err
}

// describe is the change in words, without what is nobody's business.
func (p *PreparedChange) describe() string {
	switch p.action {
	case "ROLE":
		return "SetRole(" + p.value + ")"
	case "DISABLE", "ENABLE":
		return p.action
	}
	return "Set" + p.action[:1] + strings.ToLower(p.action[1:]) + "([REDACTED])"
}

// managed returns the row of a user whom actor may alter or drop.
func managed(tx *store.Tx, actor *Principal, name, verb string) (*userRow, error) {
	if err := authorise(actor, RoleUser, verb); err != nil {
		return nil, err
	}
	if err := mayStill(tx, actor); err != nil {
		return nil, err
	}
	u, err := findUser(tx, name)
	if err != nil {
		return nil, err
	}
	if u == nil || u.deletedAt != 0 {
		return nil, errUserNotFound(name)
	}
	return u, authorise(actor, u.role, verb)
}

// mayStill refuses an actor who is not what they were when they were verified:
// of two administrators who drop each other at once, one stays.
func mayStill(tx *store.Tx, actor *Principal) error {
	u, err := findUser(tx, actor.UserID)
	if err == nil && (!u.active() || u.role != actor.Role) {
		err = errDenied("permission denied: your own user has just been changed; sign in again")
	}
	return err
}

// adminsBeside counts the administrators who could sign in, but for root and $1.
// $2 says whether users without a password or an issuer can, with the tokens of
// an application.
var adminsBeside = &store.Stmt{
	SQL: `SELECT count(*) FROM users WHERE role IN ('dba', 'system') AND disabled = 0 AND deleted_at IS NULL
		AND user_id NOT IN ('root', $1) AND (auth_type <> 'internal' OR $2 <> 0)`,
	Args: []wire.Type{text, integer}, Cols: []wire.Type{integer},
}

// mayLose refuses to take from a user what nobody could give back: from root,
// from oneself, and from the last administrator beside root. action is DROP,
// DISABLE or ROLE.
func (s *Service) mayLose(tx *store.Tx, actor *Principal, u *userRow, action, role string) error {
	what := map[string]string{"DROP": "dropped", "DISABLE": "disabled", "ROLE": "demoted"}[action]
	if u.id == Root {
		return errDenied("permission denied: root cannot be ", what)
	}
	if !IsAdminRole(u.role) || action == "ROLE" && IsAdminRole(role) {
		return nil
	}
	if u.id == actor.UserID {
		return errDenied("permission denied: administrators cannot be ", what, " by themselves; another one can do it")
	}
	minted := wire.IntValue(0)
	if s.keys.Alg == jose.HS256 {
		minted = wire.IntValue(1)
	}
	others := int64(0)
	err := tx.Query(adminsBeside, []wire.Value{wire.TextValue(u.id), minted}, func(row []wire.Value) error {
		others = row[0].Int()
		return nil
	})
	if err == nil && others == 0 && !u.disabled {
		err = errDenied("permission denied: '", u.id, "' is the last administrator beside root and cannot be ", what, "; make another one first")
	}
	return err
}
