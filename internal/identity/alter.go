package identity

import (
	"context"
	"strings"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// UserChange is a change of a user, as the statement has it.
type UserChange struct {
	redacted

	Name   string
	Action string // PASSWORD, ROLE, EMAIL, DISABLE or ENABLE
	Value  string // the password, the role's word, or the address; "" removes the address
}

// PreparedChange is a change that may be made: checked, with the password
// hashed.
type PreparedChange struct {
	redacted

	actor  Principal
	name   string
	action string
	value  string // the password's hash, the role, or the address
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
	p := &PreparedChange{actor: *actor, name: name, action: strings.ToUpper(c.Action), value: c.Value, addr: ClientOf(ctx)}
	switch p.action {
	case "PASSWORD":
		p.value, err = s.preparePassword(ctx, name, c.Value)
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

func (s *Service) preparePassword(ctx context.Context, name, password string) (string, error) {
	known, err := s.readUser(ctx, name)
	if err != nil {
		return "", err
	}
	names := []string{name}
	if known != nil {
		names = append(names, known.email)
	}
	if err := s.checkPassword(password, names...); err != nil {
		return "", err
	}
	return s.hasher.hash(ctx, password)
}

// AlterUser makes a prepared change in the caller's transaction, or fails with
// USER_NOT_FOUND. A new role, a new password and DISABLE end the sessions of
// the user, which takes effect with the commit; who changes their own password
// keeps the session they do it in.
func (s *Service) AlterUser(tx *store.Tx, trail *Trail, p *PreparedChange) error {
	u, err := managed(tx, &p.actor, p.name, "alter")
	if err != nil {
		return err
	}
	if u.id == Root && (p.action == "DISABLE" || p.action == "ROLE" && p.value != RoleSystem) {
		return errDenied("permission denied: root can be neither demoted nor disabled")
	}
	trail.add(s.by(&p.actor, p.addr, event{action: auditUserAltered, subject: u.id, details: p.describe()}))
	id, now := wire.TextValue(u.id), wire.IntValue(s.now())
	keep := "" // the session that stays
	switch p.action {
	case "PASSWORD":
		if u.authType == AuthOIDC {
			return errNoPassword(u.id)
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
		_, err = tx.Exec(updateEmail, id, optional(p.value), now)
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

// DropUser marks a user as dropped in the caller's transaction and ends their
// sessions with the commit, or fails with USER_NOT_FOUND. The data stays. addr
// is the client's, for the audit log.
func (s *Service) DropUser(tx *store.Tx, trail *Trail, actor *Principal, name, addr string) error {
	id, err := checkName(name)
	if err != nil {
		return errUserNotFound(name)
	}
	u, err := managed(tx, actor, id, "drop")
	if err != nil {
		return err
	}
	if u.id == Root {
		return errDenied("permission denied: root cannot be dropped")
	}
	if _, err := tx.Exec(dropUser, wire.TextValue(u.id), wire.IntValue(s.now())); err != nil {
		return err
	}
	trail.add(s.by(actor, addr, event{action: auditUserDropped, subject: u.id}))
	_, err = s.endSessions(tx, u.id, "")
	return err
}

// managed returns the row of a user whom actor may alter or drop.
func managed(tx *store.Tx, actor *Principal, name, verb string) (*userRow, error) {
	if err := authorise(actor, RoleUser, verb); err != nil {
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
