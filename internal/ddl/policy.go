package ddl

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	_ = enter(always[*dialect.CreatePolicy](right.Need{Reach: right.Writing}), runs((*Request).createPolicy))
	_ = enter(always[*dialect.AlterPolicy](right.Need{Reach: right.Writing}), runs((*Request).alterPolicy))
	_ = enter(always[*dialect.DropPolicy](right.Need{Reach: right.Writing}), runs((*Request).dropPolicy))
	_ = enter(func(_ string, s *dialect.ShowPolicies) (right.Need, error) {
		if s.Table != nil {
			return right.Need{Reach: right.Reading}, nil
		}
		return right.Need{Reach: right.Listing}, nil
	}, bindShowPolicies)
)

func (r *Request) createPolicy(tx *store.Tx, s *dialect.CreatePolicy) (wire.Result, error) {
	t, err := r.governed(tx, s.Table)
	if err != nil {
		return wire.Result{}, err
	}
	if err := r.checkName(s.Name); err != nil {
		return wire.Result{}, err
	}
	if t.Policy(s.Name.Name) >= 0 {
		return wire.Result{}, r.fail(s.Name.Pos, wire.CodeAlreadyExists, "policy ", s.Name.Name, " of ", t.FullName(), " already exists")
	}
	if len(t.Policies) >= catalog.MaxPolicies {
		return wire.Result{}, r.fail(s.Name.Pos, wire.CodeQuotaExceeded, t.FullName(), " has ", strconv.Itoa(catalog.MaxPolicies), " policies, which is the most that a table may have; drop one, or join conditions with OR")
	}
	p := catalog.Policy{Name: s.Name.Name, Restrictive: s.Restrictive, Command: catalog.Command(s.Command)}
	next := t.Clone()
	next.Access = catalog.AccessPolicies
	if err := r.policyParts(tx, next, &p, s.Roles, s.Using, s.Check); err != nil {
		return wire.Result{}, err
	}
	next.Policies = append(next.Policies, p)
	if err := tx.Redefine(next); err != nil {
		return wire.Result{}, err
	}
	message := "Policy " + p.Name + " on " + t.FullName() + " created"
	if !t.Governed() {
		message += "; the access level was " + t.Access + " and is policies now"
	}
	return r.done(message + shutOut(next)), nil
}

// shutOut is a notice that names the roles which no policy lets in.
func shutOut(t *catalog.Table) string {
	var out []string
	for _, role := range catalog.PolicyRoles {
		in := slices.ContainsFunc(t.Policies, func(p catalog.Policy) bool {
			return !p.Restrictive && p.Using+p.Check != "" && p.Holds(role, p.Command)
		})
		if !in {
			out = append(out, role)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ". Notice: no policy lets in " + right.Listed("role", out) + "; for them the table shows no row and takes none"
}

func (r *Request) alterPolicy(tx *store.Tx, s *dialect.AlterPolicy) (wire.Result, error) {
	t, err := r.governed(tx, s.Table)
	if err != nil {
		return wire.Result{}, err
	}
	i := t.Policy(s.Name.Name)
	if i < 0 {
		return wire.Result{}, r.noPolicy(t, s.Name)
	}
	next := t.Clone()
	p := &next.Policies[i]
	if s.Rename != nil {
		if err := r.checkName(*s.Rename); err != nil {
			return wire.Result{}, err
		}
		if t.Policy(s.Rename.Name) >= 0 {
			return wire.Result{}, r.fail(s.Rename.Pos, wire.CodeAlreadyExists, "policy ", s.Rename.Name, " of ", t.FullName(), " already exists")
		}
		p.Name = s.Rename.Name
	}
	if err := r.policyParts(tx, next, p, s.Roles, s.Using, s.Check); err != nil {
		return wire.Result{}, err
	}
	if err := tx.Redefine(next); err != nil {
		return wire.Result{}, err
	}
	return r.done("Policy " + s.Name.Name + " on " + t.FullName() + " altered" + shutOut(next)), nil
}

func (r *Request) dropPolicy(tx *store.Tx, s *dialect.DropPolicy) (wire.Result, error) {
	if s.IfExists && r.lookup(tx.Catalog(), s.Table) == nil {
		return r.done("Table " + s.Table[len(s.Table)-1].Name + " does not exist"), nil
	}
	t, err := r.governed(tx, s.Table)
	if err != nil {
		return wire.Result{}, err
	}
	i := t.Policy(s.Name.Name)
	switch {
	case i < 0 && s.IfExists:
		return r.done("Policy " + s.Name.Name + " on " + t.FullName() + " does not exist"), nil
	case i < 0:
		return wire.Result{}, r.noPolicy(t, s.Name)
	}
	next := t.Clone()
	next.Policies = slices.Delete(next.Policies, i, i+1)
	notice := ""
	if next.Governed() {
		notice = shutOut(next)
	}
	return r.done("Policy " + s.Name.Name + " on " + t.FullName() + " dropped" + notice), tx.Redefine(next)
}

// governed finds a table whose policies the caller may change, and records that
// they do.
func (r *Request) governed(tx *store.Tx, name dialect.Name) (*catalog.Table, error) {
	t := r.lookup(tx.Catalog(), name)
	switch {
	case t == nil:
		return nil, r.fail(name[0].Pos, wire.CodeTableNotFound, "Table not found: ", name[len(name)-1].Name, " does not exist")
	case t.Kind != catalog.Shared:
		return nil, r.fail(name[0].Pos, wire.CodeInvalidSQL, "policies are for SHARED tables; ", t.FullName(), " is a ", strings.ToUpper(t.Kind.String()), " table")
	}
	err := right.Govern(r.Who, t)
	if err == nil {
		err = right.InScope(r.Who.Scope, t, true)
	}
	if err != nil {
		return nil, r.at(name[0].Pos, err)
	}
	r.Users.Defined(r.trail, r.Who, t.FullName(), r.addr, dialect.Redact(r.Source))
	return t, nil
}

func (r *Request) noPolicy(t *catalog.Table, id dialect.Ident) error {
	return r.fail(id.Pos, wire.CodeInvalidSQL, "policy ", id.Name, " of ", t.FullName(), " does not exist")
}

// policyParts puts the parts of a statement that are written into a policy.
func (r *Request) policyParts(tx *store.Tx, t *catalog.Table, p *catalog.Policy, roles []dialect.Ident, using, check dialect.Expr) error {
	switch {
	case using != nil && p.Command == catalog.Insert:
		return r.fail(using.Pos(), wire.CodeInvalidSQL, "only WITH CHECK is allowed for INSERT, since there is no row before")
	case check != nil && (p.Command == catalog.Select || p.Command == catalog.Delete):
		return r.fail(check.Pos(), wire.CodeInvalidSQL, "WITH CHECK is not allowed for SELECT or DELETE, since there is no row after")
	}
	if roles != nil {
		p.Roles = nil
	}
	for _, id := range roles {
		switch {
		case id.Name == "public" && !id.Quoted && len(roles) == 1:
		case !slices.Contains(catalog.PolicyRoles, id.Name):
			return r.fail(id.Pos, wire.CodeInvalidSQL, "a policy is TO PUBLIC, user or service, not ", id.Name, "; dba and system see all rows")
		case !slices.Contains(p.Roles, id.Name):
			p.Roles = append(p.Roles, id.Name)
		}
	}
	b := &bind.Binder{Catalog: tx.Catalog(), Source: r.Source, Params: new(expr.Params), Budget: tx.Budget(), May: r.mayReadAll}
	for _, part := range []struct {
		x    dialect.Expr
		text *string
	}{{using, &p.Using}, {check, &p.Check}} {
		if part.x == nil {
			continue
		}
		tree, err := b.PolicyTree(t, part.x)
		if err != nil {
			return err
		}
		*part.text = tree.Text()
	}
	return nil
}

// mayReadAll is the right to name a table in a membership, which sees every row
// of it.
func (r *Request) mayReadAll(t *catalog.Table, _ bool) error {
	if t.Governed() {
		if right.Govern(r.Who, t) != nil {
			return wire.NewError(wire.CodePermissionDenied, "permission denied: a membership sees every row of ", t.FullName(), ", which is governed by policies; it needs dba, or the service that owns the table")
		}
	} else if err := right.Use(r.Who.Role, t, false); err != nil {
		return err
	}
	return right.InScope(r.Who.Scope, t, false)
}

// eachPolicyTree calls fn for each condition of a policy in the catalog.
func eachPolicyTree(tx *store.Tx, fn func(t *catalog.Table, policy int, text *string, tree *bind.PolicyTree) error) error {
	for _, t := range tx.Catalog().All() {
		for i := range t.Policies {
			for _, text := range []*string{&t.Policies[i].Using, &t.Policies[i].Check} {
				if *text == "" {
					continue
				}
				x, err := dialect.ParseExpr(*text)
				if err != nil {
					return err
				}
				b := &bind.Binder{Catalog: tx.Catalog(), Source: *text, Params: new(expr.Params), Budget: tx.Budget()}
				tree, err := b.PolicyTree(t, x)
				if err == nil {
					err = fn(t, i, text, tree)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// unusedByPolicies refuses to drop or retype what a policy names.
func unusedByPolicies(tx *store.Tx, what string, uses func(t *catalog.Table, tree *bind.PolicyTree) bool) error {
	return eachPolicyTree(tx, func(t *catalog.Table, i int, _ *string, tree *bind.PolicyTree) error {
		if uses(t, tree) {
			return wire.NewError(wire.CodeInvalidSQL, what, " is used by policy ", t.Policies[i].Name, " of ", t.FullName(), "; alter or drop the policy first")
		}
		return nil
	})
}

// renameInPolicies rewrites the conditions of all policies; own is the new version
// of the table whose name or column changes.
func renameInPolicies(tx *store.Tx, own *catalog.Table, rename func(tree *bind.PolicyTree)) error {
	changed := map[int64]*catalog.Table{own.ID: own}
	err := eachPolicyTree(tx, func(t *catalog.Table, i int, text *string, tree *bind.PolicyTree) error {
		rename(tree)
		now := tree.Text()
		if now == *text {
			return nil
		}
		if changed[t.ID] == nil {
			changed[t.ID] = t.Clone()
		}
		p := &changed[t.ID].Policies[i]
		if text == &t.Policies[i].Using {
			p.Using = now
		} else {
			p.Check = now
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range changed {
		if t != own {
			if err := tx.Redefine(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// policyColumns are the columns of system.policies.
const policyColumns = "SELECT namespace_id, table_name, policy_name, permissive, command, roles, using_expression, check_expression FROM system.policies"

func bindShowPolicies(r *Request, s *dialect.ShowPolicies) (*Statement, error) {
	if s.Table == nil {
		return own(policyColumns + " ORDER BY namespace_id, table_name, policy_name")
	}
	t, err := r.readable(r.DB.Catalog(), s.Table)
	if err != nil {
		return nil, err
	}
	return own(policyColumns+" WHERE namespace_id = $1 AND table_name = $2 ORDER BY policy_name", wire.TextValue(t.Namespace), wire.TextValue(t.Name))
}
