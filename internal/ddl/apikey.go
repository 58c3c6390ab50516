package ddl

import (
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	_ = enter(always[*dialect.CreateAPIKey](right.Need{Reach: right.Accounts}), bindCreateAPIKey)
	_ = enter(always[*dialect.DropAPIKey](right.Need{Reach: right.Accounts}), bindDropAPIKey)
)

var apiKeyFields = []wire.Field{
	{Name: "name", Type: wire.Type{Kind: wire.Text}, Flags: wire.FlagNotNull, Index: 0},
	{Name: "key", Type: wire.Type{Kind: wire.Text}, Flags: wire.FlagNotNull, Index: 1},
}

// bindCreateAPIKey binds CREATE API KEY, whose one row is the only place where
// the key ever stands.
func bindCreateAPIKey(r *Request, tree *dialect.CreateAPIKey) (*Statement, error) {
	s := *tree
	s.User, s.ExpiresIn = ownText(s.User), ownText(s.ExpiresIn)
	if err := r.bindTexts(&s.Name, s.User, s.ExpiresIn); err != nil {
		return nil, err
	}
	return &Statement{run: func(tx *store.Tx) (wire.Result, error) {
		n := &identity.NewAPIKey{Name: s.Name.Value, User: textOr(s.User, ""), ReadOnly: s.ReadOnly}
		if err := r.keyScope(tx.Catalog(), &s, n); err != nil {
			return wire.Result{}, err
		}
		name, key, err := r.Users.CreateAPIKey(tx, r.trail, r.Who, n, r.addr)
		if err != nil {
			return wire.Result{}, r.at(s.Name.Pos, err)
		}
		row := []wire.Value{wire.TextValue(name), wire.TextValue(key)}
		return wire.Result{Schema: apiKeyFields, Rows: [][]wire.Value{row}, RowCount: 1, AsUser: r.Who.UserID}, nil
	}}, nil
}

// keyScope reads what a key is for. Whatever it names has to exist, so that a
// misspelt name is found now and not when the key is refused.
func (r *Request) keyScope(c *catalog.Snapshot, s *dialect.CreateAPIKey, n *identity.NewAPIKey) error {
	for _, id := range s.Namespaces {
		if c.Namespace(id.Name) == nil && !catalog.OwnNamespace(id.Name) {
			return r.at(id.Pos, NoNamespace(id.Name))
		}
		n.Namespaces = append(n.Namespaces, id.Name)
	}
	if n.ReadOnly && s.Topics != nil {
		return r.fail(s.Topics[0][0].Pos, wire.CodeInvalidInput, "a READ ONLY key consumes no topics: leave out READ ONLY or TOPICS")
	}
	for _, name := range s.Topics {
		t, err := FindTopic(c, r.Namespace, name)
		if err != nil {
			return r.at(name[0].Pos, err)
		}
		if right.InNamespaces(&identity.Scope{Namespaces: n.Namespaces}, t.Namespace) != nil {
			return r.fail(name[0].Pos, wire.CodeInvalidInput, "topic ", t.FullName(), " is not in the NAMESPACES of the key, which could never consume it")
		}
		n.Topics = append(n.Topics, t.FullName())
	}
	if s.ExpiresIn == nil {
		return nil
	}
	us, err := expr.AddInterval(r.Now.UnixMicro(), s.ExpiresIn.Value)
	if err != nil {
		return r.at(s.ExpiresIn.Pos, err)
	}
	n.ExpiresAt = time.UnixMicro(us)
	return nil
}

// bindDropAPIKey binds DROP API KEY.
func bindDropAPIKey(r *Request, tree *dialect.DropAPIKey) (*Statement, error) {
	s := *tree
	s.User = ownText(s.User)
	if err := r.bindTexts(&s.Name, s.User); err != nil {
		return nil, err
	}
	return &Statement{run: func(tx *store.Tx) (wire.Result, error) {
		dropped, err := r.Users.DropAPIKey(tx, r.trail, r.Who, s.Name.Value, textOr(s.User, ""), r.addr)
		switch {
		case err != nil:
			return wire.Result{}, r.at(s.Name.Pos, err)
		case dropped:
			return r.done("API key '" + s.Name.Value + "' dropped"), nil
		case s.IfExists:
			return r.done("API key '" + s.Name.Value + "' does not exist"), nil
		}
		return wire.Result{}, r.fail(s.Name.Pos, wire.CodeNotFound, "API key '", s.Name.Value, "' of user '", textOr(s.User, r.Who.UserID), "' does not exist")
	}}, nil
}
