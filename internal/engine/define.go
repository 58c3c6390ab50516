package engine

import (
	"encoding/json"
	"strings"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// define binds a statement that is neither a query nor a change of rows.
func (r *run) define(b *bind.Binder, p *plan, s dialect.Statement, params []wire.Value) error {
	switch s := s.(type) {
	case *dialect.CreateNamespace:
		p.other = does((*run).createNamespace, s)
	case *dialect.DropNamespace:
		p.other = does((*run).dropNamespace, s)
	case *dialect.CreateTable:
		p.other = does((*run).createTable, s)
	case *dialect.DropTable:
		p.other = does((*run).dropTable, s)
	case *dialect.CreateUser:
		return r.createUser(b, p, *s, params)
	case *dialect.AlterUser:
		return r.alterUser(b, p, *s, params)
	case *dialect.DropUser:
		return r.dropUser(b, p, *s, params)
	case *dialect.AlterTable:
		p.other = does((*run).alterTable, s)
	case *dialect.CreateIndex:
		p.other = does((*run).createIndex, s)
	case *dialect.DropIndex:
		p.other = does((*run).dropIndex, s)
	case *dialect.AlterNamespace:
		p.other = does((*run).alterNamespace, s)
	case *dialect.Explain:
		return r.explain(p, s, params)
	case *dialect.Describe:
		return r.describe(p, s.Name, s.History)
	case *dialect.Show:
		return r.show(p, s)
	case *dialect.KillLive:
		r.kill(p, s)
	case *dialect.Storage:
		return r.storage(p, s)
	case *dialect.CommandOnly:
		return commandOnly(p, s)
	case *dialect.SetVar:
		return at(p.source, s.Pos(), wire.NewError(wire.CodeUnsupported, "SET ", s.Name[len(s.Name)-1].Name,
			" is not supported: a request has no settings of its own, and those of the server are in its configuration (SHOW ALL)"))
	default:
		return r.defineTopic(b, p, s, params)
	}
	return nil
}

// does makes the other of a plan from the method that runs statement s.
func does[S dialect.Statement](method func(*run, *store.Tx, *plan, S) (wire.Result, error), s S) func(*run, *store.Tx, *plan) (wire.Result, error) {
	return func(r *run, tx *store.Tx, p *plan) (wire.Result, error) { return method(r, tx, p, s) }
}

func (r *run) createNamespace(tx *store.Tx, p *plan, s *dialect.CreateNamespace) (wire.Result, error) {
	name := s.Name.Name
	if err := r.checkName(p, s.Name); err != nil {
		return wire.Result{}, err
	}
	if tx.Catalog().Namespace(name) != nil {
		if s.IfNotExists {
			return r.done("Namespace '" + name + "' already exists"), nil
		}
		return wire.Result{}, at(p.source, s.Name.Pos, wire.NewError(wire.CodeAlreadyExists, "Namespace '", name, "' already exists"))
	}
	if dialect.ReservedNamespace(name) {
		return wire.Result{}, at(p.source, s.Name.Pos, wire.NewError(wire.CodeInvalidSQL, "'", name, "' is a reserved namespace name"))
	}
	return r.done("Namespace '" + name + "' created"), tx.CreateNamespace(name)
}

func (r *run) dropNamespace(tx *store.Tx, p *plan, s *dialect.DropNamespace) (wire.Result, error) {
	name := s.Name.Name
	if catalog.OwnNamespace(name) || name == DefaultNamespace {
		return wire.Result{}, at(p.source, s.Name.Pos, wire.NewError(wire.CodeInvalidSQL, "namespace '", name, "' cannot be dropped"))
	}
	if tx.Catalog().Namespace(name) == nil {
		if s.IfExists {
			return r.done("Namespace '" + name + "' does not exist"), nil
		}
		return wire.Result{}, at(p.source, s.Name.Pos, wire.NewError(wire.CodeNamespaceNotFound, "Namespace '", name, "' not found: it does not exist"))
	}
	if err := dropTopics(tx, name); err != nil {
		return wire.Result{}, err
	}
	return r.done("Namespace '" + name + "' dropped"), tx.DropNamespace(name)
}

func (r *run) alterNamespace(tx *store.Tx, p *plan, s *dialect.AlterNamespace) (wire.Result, error) {
	name := s.Name.Name
	if tx.Catalog().Namespace(name) == nil || catalog.OwnNamespace(name) {
		return wire.Result{}, at(p.source, s.Name.Pos, wire.NewError(wire.CodeNamespaceNotFound, "Namespace '", name, "' not found: it does not exist"))
	}
	options := make(map[string]string)
	for _, o := range s.Options {
		text, ok := optionText(o)
		if !ok {
			return wire.Result{}, at(p.source, o.At, wire.NewError(wire.CodeInvalidSQL, "option ", o.Key, " needs a value"))
		}
		options[strings.ToLower(o.Key)] = text
	}
	b, err := json.Marshal(options)
	if err != nil {
		return wire.Result{}, err
	}
	return r.done("Namespace '" + name + "' altered"), tx.SetNamespaceOptions(name, string(b))
}

// checkName refuses a name that a definition may not give.
func (r *run) checkName(p *plan, id dialect.Ident) error {
	if err := dialect.CheckName(id); err != nil {
		return at(p.source, id.Pos, wire.NewError(wire.CodeInvalidSQL, err.Error()))
	}
	return nil
}
