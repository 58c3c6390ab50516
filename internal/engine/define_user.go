package engine

import (
	"context"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// createUser plans CREATE USER: the password is hashed before the transaction.
func (r *run) createUser(p *plan, s *dialect.CreateUser) {
	n := identity.NewUser{Name: s.Name.Name, Auth: s.Auth, Secret: s.Secret, Role: s.Role}
	if s.Email != nil {
		n.Email = *s.Email
	}
	p.before = func(ctx context.Context, r *run) error {
		u, err := r.e.users.PrepareUser(ctx, r.who, n)
		p.state = u
		return placedAt(p.source, s.Name.Pos, err)
	}
	p.other = func(r *run, tx *store.Tx, p *plan) (wire.Result, error) {
		err := r.e.users.CreateUser(tx, p.state.(*identity.PreparedUser))
		if e, ok := err.(*wire.Error); ok && e.Code == wire.CodeAlreadyExists && s.IfNotExists {
			return r.done("User '" + s.Name.Name + "' already exists"), nil
		}
		return r.done("User '" + s.Name.Name + "' created"), placedAt(p.source, s.Name.Pos, err)
	}
}

func (r *run) alterUser(p *plan, s *dialect.AlterUser) {
	c := identity.UserChange{Name: s.Name.Name, Action: s.Action, Value: s.Value}
	p.before = func(ctx context.Context, r *run) error {
		u, err := r.e.users.PrepareChange(ctx, r.who, c)
		p.state = u
		return placedAt(p.source, s.Name.Pos, err)
	}
	p.other = func(r *run, tx *store.Tx, p *plan) (wire.Result, error) {
		err := r.e.users.AlterUser(tx, p.state.(*identity.PreparedChange))
		return r.done("User '" + s.Name.Name + "' altered"), placedAt(p.source, s.Name.Pos, err)
	}
}

func (r *run) dropUser(tx *store.Tx, p *plan, s *dialect.DropUser) (wire.Result, error) {
	addr, _ := p.state.(string)
	err := r.e.users.DropUser(tx, r.who, s.Name.Name, addr)
	if err == nil {
		err = ungrant(tx, s.Name.Name)
	}
	if e, ok := err.(*wire.Error); ok && e.Code == wire.CodeUserNotFound && s.IfExists {
		return r.done("User '" + s.Name.Name + "' does not exist"), nil
	}
	return r.done("User '" + s.Name.Name + "' dropped"), placedAt(p.source, s.Name.Pos, err)
}
