package engine

import (
	"context"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// authorise checks, before anything of the request runs, whether the role may
// run a statement. What depends on a table is checked for tables that exist
// already, and again when the statement runs.
func (r *run) authorise(source string, s dialect.Statement, params []wire.Value) error {
	need, what, err := classify(source, s)
	if err != nil {
		return err
	}
	if e := has(r.who.Role, need, what); e != nil {
		return at(source, s.Pos(), e)
	}
	switch s := s.(type) {
	case *dialect.Explain:
		return r.authorise(source, s.Inner, params)
	case *dialect.ExecuteAs:
		if !inTransaction(s.Inner) {
			return noExecuteAs(source, s.Inner)
		}
		name, err := textOf(source, s.User, params)
		if err != nil {
			return err
		}
		target, err := r.target(source, s.Pos(), name)
		if err != nil {
			return err
		}
		if err := r.noShared(source, s.Inner); err != nil {
			return err
		}
		inner := &run{e: r.e, who: target, namespace: r.namespace}
		return inner.authorise(source, s.Inner, params)
	case *dialect.Query, *dialect.Insert, *dialect.Update, *dialect.Delete:
		return r.authoriseTables(source, s)
	case *dialect.AlterTable:
		return r.authoriseDefine(source, s.Name)
	case *dialect.DropTable:
		return r.authoriseDefine(source, s.Name)
	case *dialect.CreateIndex:
		return r.authoriseDefine(source, s.Table)
	case *dialect.DropIndex:
		if t := indexTable(r.e.db.Catalog(), r.indexNamespace(s), s.Name[len(s.Name)-1].Name); t != nil {
			return r.authoriseDefine(source, dialect.Name{{Name: t.Namespace, Pos: s.Pos()}, {Name: t.Name}})
		}
	}
	return nil
}

// authoriseDefine checks the right to change or drop a table.
func (r *run) authoriseDefine(source string, name dialect.Name) error {
	t := lookup(r.e.db.Catalog(), r.namespace, name)
	if t == nil || has(r.who.Role, defineRight(t), "") == nil {
		return nil
	}
	err := r.share().Read(context.Background(), func(tx *store.Tx) error { return r.mayDefine(tx, t) })
	return placedAt(source, name[0].Pos, r.e.visible(err, false))
}

// mayDefine is the right to change or drop a table: what the matrix says, and
// for a private table also its owner while no other user has a row in it.
func (r *run) mayDefine(tx *store.Tx, t *catalog.Table) error {
	denied := has(r.who.Role, defineRight(t), t.FullName())
	if denied == nil {
		return nil
	}
	if t.Kind.Private() && t.Owner == r.who.UserID && has(r.who.Role, createPrivate, "") == nil {
		others, err := tx.OthersHaveRows(t, r.who.UserID)
		if err != nil || !others {
			return err
		}
	}
	return denied
}

// authoriseTables refuses a request before anything of it runs when a statement
// names a table that the caller may not use. What decides is the binding (may):
// a name may stand for something else there, such as a WITH query.
func (r *run) authoriseTables(source string, s dialect.Statement) error {
	snapshot := r.e.db.Catalog()
	_, query := s.(*dialect.Query)
	for i, name := range tables(s) {
		t := lookup(snapshot, r.namespace, name)
		if t == nil {
			continue
		}
		// The first table of a statement that writes is the one it writes to.
		if e := mayUse(r.who.Role, t, !query && i == 0); e != nil {
			return at(source, name[0].Pos, e)
		}
	}
	return nil
}

// noShared refuses EXECUTE AS on a table whose rows belong to nobody.
func (r *run) noShared(source string, s dialect.Statement) error {
	for _, name := range tables(s) {
		if t := lookup(r.e.db.Catalog(), r.namespace, name); t != nil && t.Kind == catalog.Shared {
			return at(source, name[0].Pos, errShared())
		}
	}
	return nil
}

func noExecuteAs(source string, s dialect.Statement) error {
	return at(source, s.Pos(), wire.NewError(wire.CodeUnsupported, "EXECUTE AS USER takes SELECT, INSERT, UPDATE or DELETE"))
}

func errShared() *wire.Error {
	return wire.NewError(wire.CodeSQLExecution, "EXECUTE AS USER does not work on SHARED tables, whose rows belong to nobody; run the statement as yourself")
}

// tables are the names of the tables that a statement reads or writes, the one
// it writes first. A name of a WITH query is none; binding tells for sure.
func tables(s dialect.Statement) []dialect.Name {
	var out []dialect.Name
	switch s := s.(type) {
	case *dialect.Insert:
		out = append(out, s.Table)
	case *dialect.Update:
		out = append(out, s.Table)
	case *dialect.Delete:
		out = append(out, s.Table)
	}
	with := make(map[string]bool)
	dialect.Walk(s, func(n dialect.Node) bool {
		if w, ok := n.(*dialect.With); ok {
			for _, c := range w.CTEs {
				with[c.Name.Name] = true
			}
		}
		return true
	})
	dialect.Walk(s, func(n dialect.Node) bool {
		if ref, ok := n.(*dialect.TableRef); ok && (len(ref.Name) > 1 || !with[ref.Name[0].Name]) {
			out = append(out, ref.Name)
		}
		return true
	})
	return out
}

func lookup(s *catalog.Snapshot, namespace string, name dialect.Name) *catalog.Table {
	if len(name) == 2 {
		namespace = name[0].Name
	}
	return s.Table(namespace, name[len(name)-1].Name)
}

// may is the right to a table of a statement that is being bound; p is nil for a
// live query.
func (r *run) may(p *plan) func(*catalog.Table, bool) *wire.Error {
	if r.trusted {
		return nil
	}
	return func(t *catalog.Table, write bool) *wire.Error {
		if p != nil && p.as != nil {
			if t.Kind == catalog.Shared {
				return errShared()
			}
			return mayUse(identity.RoleUser, t, write)
		}
		return mayUse(r.who.Role, t, write)
	}
}

// mayRun checks the right to the tables of a plan, which another user may have
// bound.
func (r *run) mayRun(p *plan, params []wire.Value) error {
	role := r.who.Role
	if e := has(role, anyone, ""); e != nil {
		return e
	}
	if p.as != nil {
		if _, err := r.target(p.source, p.as.Pos(), p.subject(params)); err != nil {
			return err
		}
		role = identity.RoleUser
	}
	for _, t := range p.tables {
		if p.as != nil && t.Kind == catalog.Shared {
			return errShared()
		}
		if e := mayUse(role, t, t == p.table); e != nil {
			return e
		}
	}
	return r.checkFiles(p)
}

// target is the principal that EXECUTE AS runs as: the named user with the role
// user. Whatever is wrong, the refusal reads the same.
func (r *run) target(source string, pos dialect.Pos, name string) (*identity.Principal, error) {
	if name != r.who.UserID {
		if !r.e.users.MayActAs(context.Background(), r.who, name) {
			r.e.users.ImpersonationDenied(context.Background(), r.who, name)
			return nil, r.mayNotActAs(source, pos, nil)
		}
	}
	target := *r.who
	target.UserID, target.Role = name, identity.RoleUser
	return &target, nil
}

// mayNotActAs is the refusal of EXECUTE AS, unless err says that nobody knows.
func (r *run) mayNotActAs(source string, pos dialect.Pos, err error) error {
	if err != nil {
		return err
	}
	return at(source, pos, wire.NewError(wire.CodePermissionDenied, "permission denied: role ", r.who.Role, " is not authorized to execute as this user"))
}
