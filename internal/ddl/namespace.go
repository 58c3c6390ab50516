package ddl

import (
	"encoding/json"
	"strings"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	_ = administers("CREATE NAMESPACE", (*Request).createNamespace)
	_ = administers("DROP NAMESPACE", (*Request).dropNamespace)
	_ = administers("ALTER NAMESPACE", (*Request).alterNamespace)
)

func (r *Request) createNamespace(tx *store.Tx, s *dialect.CreateNamespace) (wire.Result, error) {
	name := s.Name.Name
	if err := r.checkName(s.Name); err != nil {
		return wire.Result{}, err
	}
	if tx.Catalog().Namespace(name) != nil {
		if s.IfNotExists {
			return r.done("Namespace '" + name + "' already exists"), nil
		}
		return wire.Result{}, r.fail(s.Name.Pos, wire.CodeAlreadyExists, "Namespace '", name, "' already exists")
	}
	if dialect.ReservedNamespace(name) {
		return wire.Result{}, r.fail(s.Name.Pos, wire.CodeInvalidSQL, "'", name, "' is a reserved namespace name")
	}
	return r.done("Namespace '" + name + "' created"), tx.CreateNamespace(name)
}

func (r *Request) dropNamespace(tx *store.Tx, s *dialect.DropNamespace) (wire.Result, error) {
	name := s.Name.Name
	if catalog.OwnNamespace(name) || name == DefaultNamespace {
		return wire.Result{}, r.fail(s.Name.Pos, wire.CodeInvalidSQL, "namespace '", name, "' cannot be dropped")
	}
	if tx.Catalog().Namespace(name) == nil {
		if s.IfExists {
			return r.done("Namespace '" + name + "' does not exist"), nil
		}
		return wire.Result{}, r.fail(s.Name.Pos, wire.CodeNamespaceNotFound, "Namespace '", name, "' not found: it does not exist")
	}
	for _, t := range tx.Catalog().Tables(name) {
		err := unusedByPolicies(tx, "Table "+t.FullName(), func(of *catalog.Table, tree *bind.PolicyTree) bool { return of.Namespace != name && tree.Reads(t) })
		if err != nil {
			return wire.Result{}, r.at(s.Name.Pos, err)
		}
	}
	if err := dropTopics(tx, name); err != nil {
		return wire.Result{}, err
	}
	return r.done("Namespace '" + name + "' dropped"), tx.DropNamespace(name)
}

func (r *Request) alterNamespace(tx *store.Tx, s *dialect.AlterNamespace) (wire.Result, error) {
	name := s.Name.Name
	if tx.Catalog().Namespace(name) == nil || catalog.OwnNamespace(name) {
		return wire.Result{}, r.fail(s.Name.Pos, wire.CodeNamespaceNotFound, "Namespace '", name, "' not found: it does not exist")
	}
	options := make(map[string]string)
	for _, o := range s.Options {
		text, ok := optionText(o)
		if !ok {
			return wire.Result{}, r.fail(o.At, wire.CodeInvalidSQL, "option ", o.Key, " needs a value")
		}
		options[strings.ToLower(o.Key)] = text
	}
	b, err := json.Marshal(options)
	if err != nil {
		return wire.Result{}, err
	}
	return r.done("Namespace '" + name + "' altered"), tx.SetNamespaceOptions(name, string(b))
}
