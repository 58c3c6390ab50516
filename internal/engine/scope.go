package engine

import (
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/right"
)

// keyMay refuses a statement that an API key may not run by its sort, whatever
// its user may. What the statement does to tables and topics is asked where the
// right to them is.
func (r *run) keyMay(s dialect.Statement) error {
	scope := r.who.Scope
	if scope == nil {
		return nil
	}
	switch s := s.(type) {
	case *dialect.CreateUser, *dialect.AlterUser, *dialect.DropUser, *dialect.CreateAPIKey, *dialect.DropAPIKey:
		return right.OutsideKey("does not manage users or API keys, as none does; sign in")
	case *dialect.Show:
		return r.keyShows(s)
	case *dialect.Query, *dialect.ExecuteAs, *dialect.Explain, *dialect.Describe, *dialect.Use, *dialect.Begin,
		*dialect.Commit, *dialect.Rollback, *dialect.Savepoint, *dialect.Release, *dialect.RollbackTo:
		return nil
	}
	if scope.ReadOnly {
		return right.OutsideKey("only reads")
	}
	if scope.Namespaces == nil {
		return nil
	}
	switch s := s.(type) {
	case *dialect.Insert, *dialect.Update, *dialect.Delete, *dialect.Consume, *dialect.Ack,
		*dialect.AlterTable, *dialect.DropTable, *dialect.CreateIndex, *dialect.DropIndex:
		return nil
	case *dialect.CreateTable:
		namespace := r.namespace
		if len(s.Name) > 1 {
			namespace = s.Name[0].Name
		}
		return right.InNamespaces(scope, namespace)
	}
	return right.OutsideKey("is for ", right.Listed("namespace", scope.Namespaces), " and runs only statements on their tables and topics")
}

// keyShows refuses a key with NAMESPACES a list that goes beyond them.
func (r *run) keyShows(s *dialect.Show) error {
	scope := r.who.Scope
	if scope.Namespaces == nil {
		return nil
	}
	switch s.What {
	case "COLUMNS", "INDEXES", "CONSTRAINTS", "STATS":
		return nil
	case "TABLES":
		if s.Namespace != nil {
			return right.InNamespaces(scope, s.Namespace.Name)
		}
	}
	return right.OutsideKey("is for ", right.Listed("namespace", scope.Namespaces), "; SHOW TABLES IN shows one of them")
}
