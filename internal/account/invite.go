package account

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/mail"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// How long an invitation is good.
const (
	inviteLife    = 7 * 24 * time.Hour
	maxInviteLife = 90 * 24 * time.Hour
)

// Invite is an invitation as administrators see it.
type Invite struct {
	ID        string
	Email     string // "" for anybody
	Role      string
	CreatedBy string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedBy    string // "" for not used
}

var (
	insertInvite = &store.Stmt{
		SQL:  "INSERT INTO invites (id, hash, email, role, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		Args: []wire.Type{text, blob, text, text, text, integer, integer},
	}
	selectInvite = &store.Stmt{
		SQL:  "SELECT id, email, role FROM invites WHERE hash = $1 AND used_at IS NULL AND expires_at > $2",
		Args: []wire.Type{blob, integer}, Cols: []wire.Type{text, text, text},
	}
	selectInvites = &store.Stmt{
		SQL:  "SELECT id, email, role, created_by, created_at, expires_at, coalesce(used_by, '') FROM invites ORDER BY created_at DESC LIMIT 1000",
		Cols: []wire.Type{text, text, text, text, integer, integer, text},
	}
	useInvite = &store.Stmt{
		SQL:  "UPDATE invites SET used_by = $2, used_at = $3 WHERE id = $1 AND used_at IS NULL AND expires_at > $3",
		Args: []wire.Type{text, text, integer},
	}
	deleteInvite = &store.Stmt{SQL: "DELETE FROM invites WHERE id = $1 AND used_at IS NULL", Args: []wire.Type{text}}
)

// admit decides whether somebody may sign up, with which role, and which
// invitation that uses up, "" for none.
func (s *Service) admit(ctx context.Context, secret, address string) (role, invite string, err error) {
	if secret == "" {
		if s.options.SignUp == SignUpOpen {
			return identity.RoleUser, "", nil
		}
		return "", "", errClosed()
	}
	var email string
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		args := []wire.Value{wire.BytesValue(s.users.SecretHash("invite", secret)), wire.IntValue(s.options.Now().UnixMicro())}
		return tx.Query(selectInvite, args, func(row []wire.Value) error {
			invite, email, role = row[0].Text(), row[1].Text(), row[2].Text()
			return nil
		})
	})
	if err != nil {
		return "", "", err
	}
	if invite == "" || email != "" && identity.Fold(email) != identity.Fold(address) {
		return "", "", wire.NewError(CodeSignUpClosed, "the invitation is not good: it was used, has expired, or is for another address")
	}
	return role, invite, nil
}

// useInvite uses an invitation up.
func (s *Service) useInvite(tx *store.Tx, id, user string) error {
	if id == "" {
		return nil
	}
	n, err := tx.Exec(useInvite, wire.TextValue(id), wire.TextValue(user), wire.IntValue(s.options.Now().UnixMicro()))
	if err == nil && n == 0 {
		err = wire.NewError(CodeSignUpClosed, "the invitation was used or has expired meanwhile")
	}
	return err
}

// CreateInvite makes an invitation, which is for administrators, and returns its
// secret: it is shown once. One for an address is sent there too, where the
// server sends mails.
func (s *Service) CreateInvite(ctx context.Context, who *identity.Principal, email, role string, life time.Duration, addr string) (*Invite, string, error) {
	if !who.IsAdmin() {
		return nil, "", errNotAdmin()
	}
	if role == "" {
		role = identity.RoleUser
	}
	if role != identity.RoleUser && role != identity.RoleService {
		return nil, "", wire.NewError(wire.CodeInvalidInput, "an invitation is for the role user or service; other roles are given with ALTER USER")
	}
	if life == 0 {
		life = inviteLife
	}
	if life < time.Minute || life > maxInviteLife {
		return nil, "", wire.NewError(wire.CodeInvalidInput, "an invitation is good for a minute at least and 90 days at most")
	}
	var err error
	if email != "" {
		if email, err = checkAddress(email); err != nil {
			return nil, "", err
		}
	}
	now := s.options.Now()
	secret := "inv_" + strings.ToLower(rand.Text())
	in := &Invite{ID: ulid.Make().String(), Email: email, Role: role, CreatedBy: who.UserID, CreatedAt: now, ExpiresAt: now.Add(life)}
	err = s.users.Write(ctx, func(tx *store.Tx, trail *identity.Trail) error {
		s.users.Noted(trail, who, addr, "INVITE", "invite:"+in.ID+", role "+role)
		_, err := tx.Exec(insertInvite, wire.TextValue(in.ID), wire.BytesValue(s.users.SecretHash("invite", secret)), wire.TextValue(email),
			wire.TextValue(role), wire.TextValue(who.UserID), wire.IntValue(now.UnixMicro()), wire.IntValue(in.ExpiresAt.UnixMicro()))
		if err != nil || email == "" || !s.mail.Sends() {
			return err
		}
		return s.mail.Queue(tx, mail.Message{Purpose: mail.Invite, To: email, Key: s.users.AddressKey(email), Code: secret})
	})
	return in, secret, err
}

// Invites lists the newest invitations, for administrators.
func (s *Service) Invites(ctx context.Context, who *identity.Principal) (list []Invite, err error) {
	if !who.IsAdmin() {
		return nil, errNotAdmin()
	}
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Query(selectInvites, nil, func(row []wire.Value) error {
			list = append(list, Invite{
				ID: row[0].Text(), Email: row[1].Text(), Role: row[2].Text(), CreatedBy: row[3].Text(),
				CreatedAt: time.UnixMicro(row[4].Int()).UTC(), ExpiresAt: time.UnixMicro(row[5].Int()).UTC(), UsedBy: row[6].Text(),
			})
			return nil
		})
	})
	return list, err
}

// RevokeInvite removes an invitation that nobody has used, and reports whether
// there was one.
func (s *Service) RevokeInvite(ctx context.Context, who *identity.Principal, id, addr string) (revoked bool, err error) {
	if !who.IsAdmin() {
		return false, errNotAdmin()
	}
	return identity.Write(ctx, s.users, s.db, func(tx *store.Tx, trail *identity.Trail) (bool, error) {
		n, err := tx.Exec(deleteInvite, wire.TextValue(id))
		if n > 0 {
			s.users.Noted(trail, who, addr, "INVITE_REVOKED", "invite:"+id)
		}
		return n > 0, err
	})
}

func errNotAdmin() error {
	return wire.NewError(wire.CodePermissionDenied, "Admin privileges required: only dba and system may invite")
}
