package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kalamdb/kalam-go/internal/password"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Root is the user that exists from the first start on. It can be neither
// dropped nor disabled nor demoted.
const Root = "root"

const rootEmail = "root@localhost"

func errSetupRequired() error {
	return wire.NewError(wire.CodeSetupRequired, "Server requires initial setup")
}

func errAlreadyConfigured() error {
	return wire.NewError(CodeAlreadyConfigured, "The server is already set up")
}

// weakRootName is where the database keeps that root has got a weak password: the
// key that would have permitted it, and the hash.
const weakRootName = "identity.weak_root"

var (
	setMeta = &store.Stmt{
		SQL:  "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		Args: []wire.Type{text, blob},
	}
)

// makeRoot creates the user root on first start, and gives it the configured
// password while it has none. A password that was set stays. A weak one is good
// only as long as nobody else reaches the server.
func (s *Service) makeRoot(ctx context.Context) error {
	root, err := s.readUser(ctx, Root)
	if err != nil {
		return err
	}
	if err := s.checkWeakRoot(ctx, root); err != nil {
		return err
	}
	hash, weak := "", ""
	if s.options.RootPassword != "" && (root == nil || root.passwordHash == "") {
		permit, err := s.rules().Check(s.options.RootPassword, Root, rootEmail)
		switch {
		case err == nil:
		case permit == "":
			return fmt.Errorf("auth.root_password (KALAMDB_ROOT_PASSWORD): %w", err)
		case !s.options.Loopback:
			return fmt.Errorf("auth.root_password (KALAMDB_ROOT_PASSWORD): %w; choose another one, or permit it with %s", err, permit)
		default:
			s.options.Logger.Warn("root has a weak password, which is accepted because only this machine reaches the server", "problem", err.Error(), "permitted_elsewhere_by", permit)
			weak = permit
		}
		if hash, err = s.hasher.Hash(ctx, s.options.RootPassword); err != nil {
			return err
		}
	}
	if root != nil && hash == "" {
		return nil
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		if weak != "" {
			if _, err := tx.Exec(setMeta, wire.TextValue(weakRootName), wire.BytesValue([]byte(weak+" "+hash))); err != nil {
				return err
			}
		}
		if root != nil {
			_, err := tx.Exec(updatePassword, wire.TextValue(Root), wire.TextValue(hash), wire.IntValue(s.now()))
			return err
		}
		return insertUserRow(tx, &userRow{
			id: Root, passwordHash: hash, role: RoleSystem, email: rootEmail, authType: AuthInternal, createdAt: s.now(),
		})
	})
}

// checkWeakRoot refuses to start where others reach the server while root has a
// weak password that it got when nobody else did.
func (s *Service) checkWeakRoot(ctx context.Context, root *userRow) error {
	if s.options.Loopback || root == nil {
		return nil
	}
	mark := ""
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Query(selectMeta, []wire.Value{wire.TextValue(weakRootName)}, func(row []wire.Value) error {
			mark = string(row[0].Bytes())
			return nil
		})
	})
	permit, hash, _ := strings.Cut(mark, " ")
	if err != nil || hash == "" || hash != root.passwordHash {
		return err
	}
	if permit == password.PermitCommon && s.options.CommonPasswords || permit == password.PermitLength && s.options.MinPasswordLength < password.MinLength {
		return nil
	}
	return fmt.Errorf("root has a weak password, which it got while only this machine reached the server: change it with kalam user set-password root, or permit it with %s", permit)
}

// NeedsSetup reports whether root has no password yet. Once it has one the
// answer costs nothing.
func (s *Service) NeedsSetup(ctx context.Context) (bool, error) {
	if s.configured.Load() {
		return false, nil
	}
	root, err := s.readUser(ctx, Root)
	if err != nil {
		return false, err
	}
	if root == nil {
		return false, errors.New("user root is missing")
	}
	if root.passwordHash == "" {
		return true, nil
	}
	s.configured.Store(true)
	return false, nil
}

// Setup gives root its password and creates the first dba, both or neither.
// It fails with ALREADY_CONFIGURED, WEAK_PASSWORD, INVALID_USER or USER_EXISTS,
// tried in this order. email may be "".
func (s *Service) Setup(ctx context.Context, user, password, rootPassword, email string) (*User, error) {
	needed, err := s.NeedsSetup(ctx)
	if err != nil {
		return nil, err
	}
	if !needed {
		return nil, errAlreadyConfigured()
	}
	if err := s.checkSetupPasswords(user, password, rootPassword, email); err != nil {
		return nil, err
	}
	name, err := localName(user)
	if err != nil {
		return nil, err
	}
	if name == Root {
		return nil, wire.NewError(CodeInvalidUser, "the name root is taken by the system user")
	}
	if err := checkEmail(email); err != nil {
		return nil, err
	}
	row := &userRow{id: name, role: RoleDBA, email: email, authType: AuthPassword, createdAt: s.now()}
	if row.passwordHash, err = s.hasher.Hash(ctx, password); err != nil {
		return nil, err
	}
	rootHash, err := s.hasher.Hash(ctx, rootPassword)
	if err != nil {
		return nil, err
	}
	err = s.Write(ctx, func(tx *store.Tx, trail *Trail) error {
		root, err := findUser(tx, Root)
		if err != nil {
			return err
		}
		if root == nil || root.passwordHash != "" {
			return errAlreadyConfigured()
		}
		taken, err := findUser(tx, name)
		if err != nil {
			return err
		}
		if taken != nil {
			return wire.NewError(CodeUserExists, "user '", name, "' already exists")
		}
		if err := insertUserRow(tx, row); err != nil {
			return err
		}
		e := event{action: auditSetup, subject: name, method: byPassword, addr: ClientOf(ctx).Addr}
		trail.add(e)
		_, err = tx.Exec(updatePassword, wire.TextValue(Root), wire.TextValue(rootHash), wire.IntValue(row.createdAt))
		return err
	})
	if err != nil {
		return nil, err
	}
	s.configured.Store(true)
	s.options.Logger.Info("the server is set up", "dba", name)
	return row.user(), nil
}

// checkSetupPasswords says all that is wrong with the two passwords at once.
func (s *Service) checkSetupPasswords(user, password, rootPassword, email string) error {
	var problems []string
	if err := s.checkPassword(password, user, email); err != nil {
		problems = append(problems, "DBA user password: "+err.Error())
	}
	if err := s.checkPassword(rootPassword, Root, rootEmail); err != nil {
		problems = append(problems, "Root password: "+err.Error())
	}
	if len(problems) == 0 {
		return nil
	}
	return wire.NewError(wire.CodeWeakPassword, strings.Join(problems, "; "))
}

func (s *Service) checkPassword(password string, names ...string) error {
	_, err := s.rules().Check(password, names...)
	return err
}

func (s *Service) rules() password.Rules {
	return password.Rules{MinLength: s.options.MinPasswordLength, Common: s.options.CommonPasswords}
}
