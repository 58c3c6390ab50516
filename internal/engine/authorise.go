package engine

import (
	"context"
	"errors"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/ddl"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/wire"
)

// admit decides what can be decided of a statement before any name in it is
// looked up: whether the role may run its sort, and whether the caller may run
// anything as the user whom EXECUTE AS names. It begins the statement's plan.
func (r *run) admit(ctx context.Context, source string, s dialect.Statement, params []wire.Value) (*plan, error) {
	p := &plan{source: source, tree: s}
	if err := right.Check(r.who.Role, right.Anyone, ""); err != nil {
		return nil, fault.At(source, s.Pos(), err)
	}
	if as, ok := s.(*dialect.ExecuteAs); ok {
		if placeOf(as.Inner) != rows {
			return nil, noExecuteAs(source, as.Inner)
		}
		name, err := ddl.TextOf(source, as.User, params)
		if err != nil {
			return nil, err
		}
		p.as = as
		return p, fault.At(source, as.Pos(), r.mayActAs(ctx, name))
	}
	k := kindOf(s)
	if k.need == nil {
		return p, nil
	}
	need, err := k.need(source, s)
	if err != nil {
		return nil, err
	}
	return p, fault.At(source, s.Pos(), need.Check(r.who))
}

// may is the right to a table of a statement that is being bound. The binder
// asks it before it resolves any name in the table.
func (r *run) may(as bool) func(*catalog.Table, bool) error {
	if r.trusted {
		return nil
	}
	return func(t *catalog.Table, write bool) error { return r.mayUse(t, write, as) }
}

// mayUse is the right to the rows of a table; with as, of the user whom EXECUTE
// AS names and who has the role user.
func (r *run) mayUse(t *catalog.Table, write, as bool) error {
	if as && t.Kind == catalog.Shared && !t.Governed() {
		return errShared()
	}
	if err := right.Use(r.role(as), t, write); err != nil {
		return err
	}
	return right.InScope(r.who.Scope, t, write)
}

// role is the role that a statement runs with: with as, that of the users whom
// EXECUTE AS names.
func (r *run) role(as bool) string {
	switch {
	case r.trusted:
		return identity.RoleSystem
	case as:
		return identity.RoleUser
	}
	return r.who.Role
}

// mayRun decides of a plan that was made before, perhaps for somebody else, what
// binding it would decide for the caller now.
func (r *run) mayRun(ctx context.Context, p *plan, params []wire.Value) error {
	if err := right.Check(r.who.Role, right.Anyone, ""); err != nil {
		return err
	}
	if p.as != nil {
		if err := r.mayActAs(ctx, p.subject(params)); err != nil {
			return fault.At(p.source, p.as.Pos(), err)
		}
	}
	for _, t := range p.tables {
		if err := r.mayUse(t, t == p.table, p.as != nil); err != nil {
			return err
		}
	}
	return nil
}

// mayActAs decides whether the caller may run statements as another user, who
// then has the role user. Whatever is wrong, the refusal reads the same.
func (r *run) mayActAs(ctx context.Context, name string) error {
	if name == r.who.UserID || r.e.users.MayActAs(ctx, r.who, name) {
		return nil
	}
	r.e.users.ImpersonationDenied(ctx, r.who, name)
	return r.noActAs()
}

func (r *run) noActAs() error {
	return wire.NewError(wire.CodePermissionDenied, "permission denied: role ", r.who.Role, " is not authorized to execute as this user")
}

func noExecuteAs(source string, s dialect.Statement) error {
	return fault.At(source, s.Pos(), wire.NewError(wire.CodeUnsupported, "EXECUTE AS USER takes SELECT, INSERT, UPDATE or DELETE"))
}

func errShared() error {
	return wire.NewError(wire.CodeSQLExecution, "EXECUTE AS USER does not work on SHARED tables without policies, whose rows belong to nobody; run the statement as yourself")
}

// refusal reports whether an error of binding says that the caller may not run
// the statement, rather than that it makes no sense now.
func refusal(s dialect.Statement, err error) bool {
	var e *wire.Error
	if !errors.As(err, &e) {
		return true // nobody knows
	}
	_, as := s.(*dialect.ExecuteAs)
	return e.Code == wire.CodePermissionDenied || as && e.Code == wire.CodeSQLExecution
}
