package engine

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

func errRevoked() error {
	return wire.NewError(wire.CodeInvalidCredentials, "Invalid credentials: the session has ended meanwhile, and nothing was written")
}

// exec runs a plan in a transaction. Whoever was dropped or disabled since the
// request began writes nothing any more, and nobody writes for them.
func (r *run) exec(tx *store.Tx, p *plan, params []wire.Value) (wire.Result, error) {
	if r.e.users.Revoked(r.who) {
		return wire.Result{}, errRevoked()
	}
	if user := p.subject(params); user != "" && user != r.who.UserID {
		may, err := identity.MayActAs(tx, r.who, user)
		if err != nil {
			return wire.Result{}, err
		}
		if !may {
			return wire.Result{}, fault.At(p.source, p.as.Pos(), r.noActAs())
		}
		r.e.users.Impersonated(r.trail, r.who, user, r.addr, dialect.Redact(p.source))
	}
	res, err := p.run(r, tx, p, params)
	return res, p.muted(err)
}

// rowEnv is what the expressions of a statement on rows are evaluated in, with
// its files.
func (r *run) rowEnv(tx *store.Tx, p *plan, params []wire.Value) (*expr.Env, error) {
	env, err := r.env(p, params)
	if err != nil {
		return nil, err
	}
	return env, r.addFiles(tx, p, env)
}

// owner is whose rows the statement writes.
func owner(t *catalog.Table, env *expr.Env) string {
	if t.Kind.Private() {
		return env.User
	}
	return ""
}

// system fills in the system columns of a row.
func system(t *catalog.Table, row []wire.Value, seq store.Seq) {
	row[len(t.Columns)] = wire.IntValue(seq)
	row[len(t.Columns)+1] = wire.BoolValue(false)
}
