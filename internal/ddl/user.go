package ddl

import (
	"context"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// TextOf is what a text of a statement about users says: what is written, or
// the parameter. The error shows nothing of the parameter.
func TextOf(source string, t dialect.Text, params []wire.Value) (string, error) {
	if t.Param == 0 {
		return t.Value, nil
	}
	if t.Param > len(params) {
		return "", fault.At(source, t.Pos, wire.NewError(wire.CodeParameterCount, "parameter $", strconv.Itoa(t.Param), " has no value: ", strconv.Itoa(len(params)), " given"))
	}
	v := params[t.Param-1]
	if v.Tag() == wire.TagBytes {
		v, _ = expr.Coerce(v, wire.Type{Kind: wire.Text})
	}
	if v.Tag() != wire.TagText {
		return "", fault.At(source, t.Pos, wire.NewError(wire.CodeInvalidParameter, "parameter $", strconv.Itoa(t.Param), " must be a text here"))
	}
	return v.Text(), nil
}

// BindTexts puts the values of parameters into the texts of a statement about
// users. A nil text is one that the statement does not have.
func BindTexts(source string, types *expr.Params, params []wire.Value, texts ...*dialect.Text) error {
	for _, t := range texts {
		if t == nil || t.Param == 0 {
			continue
		}
		value, err := TextOf(source, *t, params)
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

var (
	_ = enter(always[*dialect.CreateUser](right.Need{Right: right.Administer, What: "CREATE USER", Reach: right.Accounts}), bindCreateUser)
	_ = enter(always[*dialect.AlterUser](right.Need{Right: right.Administer, What: "ALTER USER", Reach: right.Accounts}), bindAlterUser)
	_ = enter(always[*dialect.DropUser](right.Need{Right: right.Administer, What: "DROP USER", Reach: right.Accounts}), bindDropUser)
)

// bindCreateUser binds CREATE USER: the password is hashed before the transaction.
func bindCreateUser(r *Request, tree *dialect.CreateUser) (*Statement, error) {
	s := *tree
	s.Secret, s.Role, s.Email = ownText(s.Secret), ownText(s.Role), ownText(s.Email)
	if err := r.bindTexts(&s.Name, s.Secret, s.Role, s.Email); err != nil {
		return nil, err
	}
	n := identity.NewUser{
		Name: s.Name.Value, Auth: s.Auth, Secret: textOr(s.Secret, ""), Role: textOr(s.Role, ""), Email: textOr(s.Email, ""),
	}
	var prepared *identity.PreparedUser
	return &Statement{
		Before: func(ctx context.Context) (err error) {
			prepared, err = r.Users.PrepareUser(ctx, r.Who, n)
			return r.at(s.Name.Pos, err)
		},
		run: func(tx *store.Tx) (wire.Result, error) {
			err := r.Users.CreateUser(tx, r.trail, prepared)
			if e, ok := err.(*wire.Error); ok && e.Code == wire.CodeAlreadyExists && s.IfNotExists {
				return r.done("User '" + n.Name + "' already exists"), nil
			}
			return r.done("User '" + n.Name + "' created"), r.at(s.Name.Pos, err)
		},
	}, nil
}

// bindAlterUser binds ALTER USER, whose password is hashed before the transaction.
func bindAlterUser(r *Request, tree *dialect.AlterUser) (*Statement, error) {
	s := *tree
	if err := r.bindTexts(&s.Name, &s.Value); err != nil {
		return nil, err
	}
	c := identity.UserChange{Name: s.Name.Value, Action: s.Action, Value: s.Value.Value}
	var prepared *identity.PreparedChange
	return &Statement{
		Before: func(ctx context.Context) (err error) {
			prepared, err = r.Users.PrepareChange(ctx, r.Who, c)
			return r.at(s.Name.Pos, err)
		},
		run: func(tx *store.Tx) (wire.Result, error) {
			err := r.Users.AlterUser(tx, r.trail, prepared)
			return r.done("User '" + c.Name + "' altered"), r.at(s.Name.Pos, err)
		},
	}, nil
}

// bindDropUser binds DROP USER. With CASCADE the user's data goes after the
// commit that drops the user, in steps, so that others write in between.
func bindDropUser(r *Request, tree *dialect.DropUser) (*Statement, error) {
	s := *tree
	if err := r.bindTexts(&s.Name); err != nil {
		return nil, err
	}
	name := s.Name.Value
	bound := &Statement{run: func(tx *store.Tx) (wire.Result, error) {
		err := r.Users.DropUser(tx, r.trail, r.Who, name, r.addr, s.Cascade)
		if err == nil {
			err = ungrant(tx, name)
		}
		if e, ok := err.(*wire.Error); ok && e.Code == wire.CodeUserNotFound && s.IfExists {
			return r.done("User '" + name + "' does not exist"), nil
		}
		return r.done("User '" + name + "' dropped"), r.at(s.Name.Pos, err)
	}}
	if s.Cascade {
		bound.After = func(ctx context.Context, res *wire.Result) {
			if err := r.Users.EraseUser(ctx, name); err != nil {
				r.Logger.Warn("the data of a dropped user is not all erased yet; the rest follows", "user", name, "error", err)
				res.Message += "; the data that is left is being erased"
			}
		}
	}
	return bound, nil
}

// bindTexts puts the values of parameters into texts of the statement.
func (r *Request) bindTexts(texts ...*dialect.Text) error {
	return BindTexts(r.Source, r.Params, r.Values, texts...)
}
