package engine

import (
	"context"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// textOf is what a text of a statement about users says: what is written, or
// the parameter. The error shows nothing of the parameter.
func textOf(source string, t dialect.Text, params []wire.Value) (string, error) {
	if t.Param == 0 {
		return t.Value, nil
	}
	if t.Param > len(params) {
		return "", at(source, t.Pos, wire.NewError(wire.CodeParameterCount, "parameter $", itoa(t.Param), " has no value: ", itoa(len(params)), " given"))
	}
	v := params[t.Param-1]
	if v.Tag() == wire.TagBytes {
		v, _ = expr.Coerce(v, wire.Type{Kind: wire.Text})
	}
	if v.Tag() != wire.TagText {
		return "", at(source, t.Pos, wire.NewError(wire.CodeInvalidParameter, "parameter $", itoa(t.Param), " must be a text here"))
	}
	return v.Text(), nil
}

// bindTexts puts the values of parameters into the texts of a statement about
// users. A nil text is one that the statement does not have.
func bindTexts(source string, types *expr.Params, params []wire.Value, texts ...*dialect.Text) error {
	for _, t := range texts {
		if t == nil || t.Param == 0 {
			continue
		}
		value, err := textOf(source, *t, params)
		if err != nil {
			return err
		}
		types.Used = max(types.Used, t.Param)
		*t = dialect.Text{Value: value, Pos: t.Pos}
	}
	return nil
}

// ownText is a copy of an optional text, which may be bound.
func ownText(t *dialect.Text) *dialect.Text {
	if t == nil {
		return nil
	}
	own := *t
	return &own
}

func textOr(t *dialect.Text, or string) string {
	if t == nil {
		return or
	}
	return t.Value
}

// createUser plans CREATE USER: the password is hashed before the transaction.
func (r *run) createUser(b *bind.Binder, p *plan, s dialect.CreateUser, params []wire.Value) error {
	s.Secret, s.Role, s.Email = ownText(s.Secret), ownText(s.Role), ownText(s.Email)
	if err := bindTexts(p.source, b.Params, params, &s.Name, s.Secret, s.Role, s.Email); err != nil {
		return err
	}
	n := identity.NewUser{
		Name: s.Name.Value, Auth: s.Auth, Secret: textOr(s.Secret, ""), Role: textOr(s.Role, ""), Email: textOr(s.Email, ""),
	}
	p.before = func(ctx context.Context, r *run) error {
		u, err := r.e.users.PrepareUser(ctx, r.who, n)
		p.state = u
		return placedAt(p.source, s.Name.Pos, err)
	}
	p.other = func(r *run, tx *store.Tx, p *plan) (wire.Result, error) {
		err := r.e.users.CreateUser(tx, r.trail, p.state.(*identity.PreparedUser))
		if e, ok := err.(*wire.Error); ok && e.Code == wire.CodeAlreadyExists && s.IfNotExists {
			return r.done("User '" + n.Name + "' already exists"), nil
		}
		return r.done("User '" + n.Name + "' created"), placedAt(p.source, s.Name.Pos, err)
	}
	return nil
}

// alterUser plans ALTER USER, whose password is hashed before the transaction.
func (r *run) alterUser(b *bind.Binder, p *plan, s dialect.AlterUser, params []wire.Value) error {
	if err := bindTexts(p.source, b.Params, params, &s.Name, &s.Value); err != nil {
		return err
	}
	c := identity.UserChange{Name: s.Name.Value, Action: s.Action, Value: s.Value.Value}
	p.before = func(ctx context.Context, r *run) error {
		u, err := r.e.users.PrepareChange(ctx, r.who, c)
		p.state = u
		return placedAt(p.source, s.Name.Pos, err)
	}
	p.other = func(r *run, tx *store.Tx, p *plan) (wire.Result, error) {
		err := r.e.users.AlterUser(tx, r.trail, p.state.(*identity.PreparedChange))
		return r.done("User '" + c.Name + "' altered"), placedAt(p.source, s.Name.Pos, err)
	}
	return nil
}

// dropUser plans DROP USER. With CASCADE the user's data goes after the commit
// that drops the user, in steps, so that others write in between.
func (r *run) dropUser(b *bind.Binder, p *plan, s dialect.DropUser, params []wire.Value) error {
	if err := bindTexts(p.source, b.Params, params, &s.Name); err != nil {
		return err
	}
	name := s.Name.Value
	p.before = func(ctx context.Context, r *run) error {
		p.state = identity.ClientOf(ctx)
		return nil
	}
	p.other = func(r *run, tx *store.Tx, p *plan) (wire.Result, error) {
		addr, _ := p.state.(string)
		err := r.e.users.DropUser(tx, r.trail, r.who, name, addr, s.Cascade)
		if err == nil {
			err = ungrant(tx, name)
		}
		if e, ok := err.(*wire.Error); ok && e.Code == wire.CodeUserNotFound && s.IfExists {
			return r.done("User '" + name + "' does not exist"), nil
		}
		return r.done("User '" + name + "' dropped"), placedAt(p.source, s.Name.Pos, err)
	}
	if !s.Cascade {
		return nil
	}
	p.after = func(ctx context.Context, r *run, res *wire.Result) {
		if err := r.e.users.EraseUser(ctx, name); err != nil {
			r.e.options.Logger.Warn("the data of a dropped user is not all erased yet; the rest follows", "user", name, "error", err)
			res.Message += "; the data that is left is being erased"
		}
	}
	return nil
}
