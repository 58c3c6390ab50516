package engine

import (
	"context"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// atLeastService reports whether a role is service or above.
func atLeastService(role string) bool {
	return role == identity.RoleService || identity.IsAdminRole(role)
}

// authorise checks, before anything of the request runs, whether the role may
// run a statement of this sort. What depends on a table is checked for tables
// that exist already, and again by mayRun when the statement runs.
func (r *run) authorise(source string, s dialect.Statement) error {
	role := r.who.Role
	denied := func(what, need string) error {
		return at(source, s.Pos(), wire.NewError(wire.CodePermissionDenied, "Admin privileges required: role ", role, " has no permission for ", what, "; it needs ", need))
	}
	switch s := s.(type) {
	case *dialect.CreateNamespace, *dialect.DropNamespace, *dialect.AlterNamespace:
		if !identity.IsAdminRole(role) {
			return denied("namespaces", "dba or system")
		}
	case *dialect.CreateUser, *dialect.AlterUser, *dialect.DropUser:
		if !identity.IsAdminRole(role) {
			return denied("user management", "dba or system")
		}
	case *dialect.Explain:
		if !identity.IsAdminRole(role) {
			return denied("EXPLAIN", "dba or system")
		}
		return r.authorise(source, s.Inner)
	case *dialect.SetVar, *dialect.KillLive:
		if !identity.IsAdminRole(role) {
			return denied("this statement", "dba or system")
		}
	case *dialect.Describe:
		if !s.Table && !identity.IsAdminRole(role) {
			return denied("DESCRIBE without TABLE", "dba or system; write DESCRIBE TABLE")
		}
	case *dialect.Show:
		if (s.What == "ALL" || s.What == "COLUMNS") && !identity.IsAdminRole(role) {
			return denied("SHOW "+s.What, "dba or system; write DESCRIBE TABLE")
		}
	case *dialect.CreateTable:
		kind, err := tableKind(source, s)
		if err != nil {
			return err
		}
		if kind == catalog.Shared && !atLeastService(role) {
			return denied("SHARED tables", "service, dba or system")
		}
	case *dialect.ExecuteAs:
		target, err := r.target(source, s)
		if err != nil {
			return err
		}
		if err := r.noShared(source, s.Inner); err != nil {
			return err
		}
		inner := &run{e: r.e, who: target, namespace: r.namespace}
		return inner.authorise(source, s.Inner)
	case *dialect.Query, *dialect.Insert, *dialect.Update, *dialect.Delete:
		return r.authoriseTables(source, s)
	}
	return nil
}

// authoriseTables checks the right to every table that a statement names.
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

// mayUse is the role matrix for the rows of a table.
func mayUse(role string, t *catalog.Table, write bool) *wire.Error {
	ok := true
	switch t.Kind {
	case catalog.System:
		ok = identity.IsAdminRole(role) && !write
	case catalog.Shared:
		switch {
		case t.Access == "dba":
			ok = identity.IsAdminRole(role)
		case write || t.Access != "public":
			ok = atLeastService(role)
		}
	}
	if ok {
		return nil
	}
	verb := "read"
	if write {
		verb = "write"
	}
	return wire.NewError(wire.CodePermissionDenied, "permission denied: role ", role, " may not ", verb, " ", t.FullName())
}

// mayRun checks the right to the tables of a plan.
func (r *run) mayRun(p *plan) error {
	role := r.who.Role
	if p.asUser != "" {
		if _, err := r.target(p.source, p.stmt.(*dialect.ExecuteAs)); err != nil {
			return err
		}
		role = identity.RoleUser
	}
	for _, t := range p.tables {
		if p.asUser != "" && t.Kind == catalog.Shared {
			return errShared()
		}
		if e := mayUse(role, t, t == p.table); e != nil {
			return e
		}
	}
	return nil
}

// target is the principal that EXECUTE AS runs as: the named user with the role
// user. Whatever is wrong, the refusal reads the same.
func (r *run) target(source string, s *dialect.ExecuteAs) (*identity.Principal, error) {
	if s.User != r.who.UserID {
		role, err := r.e.users.Role(context.Background(), s.User)
		if err != nil || !identity.MayImpersonate(r.who.Role, role) {
			return nil, at(source, s.Pos(), wire.NewError(wire.CodePermissionDenied, "permission denied: role ", r.who.Role, " is not authorized to execute as this user"))
		}
	}
	target := *r.who
	target.UserID, target.Role = s.User, identity.RoleUser
	return &target, nil
}
