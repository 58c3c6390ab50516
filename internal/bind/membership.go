package bind

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// maxLevels is how deep memberships may stand inside each other.
const maxLevels = 3

// membershipsAndRest binds a condition of a policy whose memberships have their
// one form, IN. It calls the table by its own name, whatever the statement calls it.
func (b *Binder) membershipsAndRest(r *relation, x dialect.Expr) (expr.Node, error) {
	named := *r
	named.as = r.table.Name
	x, err := b.conditionTree(x, &named, 0)
	if err != nil {
		return nil, err
	}
	return b.condition(x, named.level(), "a policy", expr.BindOptions{})
}

// conditionTree checks the shape of a condition on rows of a table, and writes its
// memberships as IN. Memberships stand under AND and OR only.
func (b *Binder) conditionTree(x dialect.Expr, r *relation, depth int) (dialect.Expr, error) {
	switch n := x.(type) {
	case *dialect.Binary:
		if n.Op != "AND" && n.Op != "OR" {
			break
		}
		l, err := b.conditionTree(n.L, r, depth)
		if err != nil {
			return nil, err
		}
		right, err := b.conditionTree(n.R, r, depth)
		if err != nil {
			return nil, err
		}
		out := *n
		out.L, out.R = l, right
		return &out, nil
	case *dialect.In:
		if n.Query != nil && !n.Not {
			return b.memberIn(n, r, depth+1)
		}
	case *dialect.Exists:
		return b.memberExists(n, r, depth+1)
	}
	return x, b.noQuery(x)
}

// noQuery refuses sub-queries where no membership may stand.
func (b *Binder) noQuery(x dialect.Expr) error {
	var err error
	dialect.Walk(x, func(n dialect.Node) bool {
		switch n := n.(type) {
		case *dialect.Scalar:
			err = b.fail(wire.CodeInvalidSQL, n.Pos(), "a policy has no sub-query that stands for a value; it has memberships: column IN (SELECT ...) and EXISTS (SELECT ...)")
		case *dialect.Quantified:
			err = b.fail(wire.CodeInvalidSQL, n.Pos(), "a policy has no ANY or ALL with a sub-query; write column IN (SELECT ...)")
		case *dialect.Query:
			err = b.fail(wire.CodeInvalidSQL, n.Pos(), "a membership stands under AND and OR only, and not under NOT, CASE, a function or a comparison: who is not a member would have to lose rows when somebody else joins")
		case *dialect.Call:
			if n.Over != nil {
				err = b.fail(wire.CodeInvalidSQL, n.Pos(), "a policy has no window function")
			}
		}
		return err == nil
	})
	return err
}

// memberQuery checks the sub-query of a membership, and finds its table.
func (b *Binder) memberQuery(q *dialect.Query, depth int) (*dialect.Select, *relation, error) {
	refuse := func(n dialect.Node, clause string) (*dialect.Select, *relation, error) {
		return nil, nil, b.fail(wire.CodeInvalidSQL, n.Pos(), "the sub-query of a membership has no ", clause, ": it is SELECT columns FROM one table WHERE condition")
	}
	if depth > maxLevels {
		return nil, nil, b.fail(wire.CodeInvalidSQL, q.Pos(), "memberships stand inside each other in ", strconv.Itoa(maxLevels), " levels at most")
	}
	s, ok := q.Body.(*dialect.Select)
	switch {
	case q.With != nil:
		return refuse(q.With, "WITH")
	case !ok:
		return refuse(q.Body, "set operation or VALUES")
	case len(q.OrderBy) > 0:
		return refuse(q.OrderBy[0].X, "ORDER BY")
	case q.Limit != nil:
		return refuse(q.Limit, "LIMIT")
	case q.Offset != nil:
		return refuse(q.Offset, "OFFSET")
	case s.Distinct || len(s.DistinctOn) > 0:
		return refuse(s, "DISTINCT")
	case len(s.GroupBy) > 0:
		return refuse(s.GroupBy[0], "GROUP BY")
	case s.Having != nil:
		return refuse(s.Having, "HAVING")
	case len(s.Windows) > 0:
		return refuse(s, "WINDOW")
	case len(s.From) != 1:
		return refuse(s, "list of tables")
	}
	ref, ok := s.From[0].(*dialect.TableRef)
	if !ok {
		return refuse(s.From[0], "JOIN or sub-query in FROM")
	}
	if len(ref.Columns) > 0 {
		return refuse(ref, "column list after an alias")
	}
	t, err := b.table(ref.Name, false)
	if err != nil {
		return nil, nil, err
	}
	if t.Kind != catalog.Shared && t.Kind != catalog.User {
		return nil, nil, b.fail(wire.CodeInvalidSQL, ref.Pos(), "a membership reads a SHARED table, or the rows of the caller in a USER table; ", t.FullName(), " is a ", strings.ToUpper(t.Kind.String()), " table")
	}
	b.Tables = b.Tables[:len(b.Tables)-1] // it is found again when the query is bound
	return s, b.relation(t, ref.As), nil
}

// memberIn checks x IN (SELECT ...).
func (b *Binder) memberIn(in *dialect.In, r *relation, depth int) (dialect.Expr, error) {
	s, member, err := b.memberQuery(in.Query, depth)
	if err != nil {
		return nil, err
	}
	left := []dialect.Expr{in.X}
	if t, ok := in.X.(*dialect.Tuple); ok {
		left = t.Items
	}
	for _, x := range left {
		if _, ok := x.(*dialect.Column); !ok {
			return nil, b.fail(wire.CodeInvalidSQL, x.Pos(), "a membership compares columns of ", r.table.FullName(), ": column IN (SELECT ...)")
		}
	}
	for _, item := range s.Items {
		c, ok := item.X.(*dialect.Column)
		if !ok || !owns(member, c.Name) {
			return nil, b.fail(wire.CodeInvalidSQL, item.At, "the sub-query of a membership selects columns of ", member.table.FullName(), " and nothing else")
		}
	}
	return b.member(in.Pos(), left, s.Items, in.Query, s, s.Where, member, depth)
}

// memberExists writes EXISTS (SELECT ... WHERE m.a = t.b AND ...) as t.b IN
// (SELECT m.a ... WHERE ...).
func (b *Binder) memberExists(e *dialect.Exists, r *relation, depth int) (dialect.Expr, error) {
	s, member, err := b.memberQuery(e.Query, depth)
	if err != nil {
		return nil, err
	}
	var left []dialect.Expr
	var items []dialect.SelectItem
	var rest dialect.Expr
	for _, x := range conjuncts(s.Where) {
		outer, inner := correlation(x, member)
		if outer == nil {
			if rest != nil {
				x = &dialect.Binary{Op: "AND", L: rest, R: x}
			}
			rest = x
			continue
		}
		left = append(left, outer)
		items = append(items, dialect.SelectItem{X: inner, At: inner.Pos()})
	}
	if left == nil {
		return nil, b.fail(wire.CodeInvalidSQL, e.Pos(), "EXISTS in a policy compares columns of ", member.table.FullName(), " with columns of ", r.table.FullName(), ": WHERE member.column = ", r.as, ".column AND ...")
	}
	return b.member(e.Pos(), left, items, e.Query, s, rest, member, depth)
}

// member makes the one form of a membership.
func (b *Binder) member(pos dialect.Pos, left []dialect.Expr, items []dialect.SelectItem, q *dialect.Query, s *dialect.Select, where dialect.Expr, member *relation, depth int) (dialect.Expr, error) {
	if where != nil {
		if err := b.ownColumns(where, member); err != nil {
			return nil, err
		}
		var err error
		if where, err = b.conditionTree(where, member, depth); err != nil {
			return nil, err
		}
	}
	body := *s
	body.Items, body.Where = items, where
	query := *q
	query.Body = &body
	in := dialect.NewIn(pos, left, &query)
	return in, nil
}

// ownColumns refuses columns in the condition of a membership that are not of its
// table. What stands in sub-queries of it is looked at with these.
func (b *Binder) ownColumns(x dialect.Expr, member *relation) error {
	var err error
	dialect.Walk(x, func(n dialect.Node) bool {
		switch n := n.(type) {
		case *dialect.Query:
			return false
		case *dialect.Column:
			if !owns(member, n.Name) && err == nil {
				err = b.fail(wire.CodeInvalidSQL, n.Pos(), "the condition of a membership is on ", member.table.FullName(), " alone, which has no column ", n.Name[len(n.Name)-1].Name,
					"; EXISTS compares columns of both tables as in member.column = row.column, joined with AND")
			}
		}
		return err == nil
	})
	return err
}

// owns reports whether a name means a column of r.
func owns(r *relation, name dialect.Name) bool {
	l := r.level()
	if len(name) > 1 && l.source(name) == nil {
		return false
	}
	return l.offers(name[len(name)-1].Name)
}

// conjuncts are the conditions that x joins with AND.
func conjuncts(x dialect.Expr) []dialect.Expr {
	if x == nil {
		return nil
	}
	if n, ok := x.(*dialect.Binary); ok && n.Op == "AND" {
		return append(conjuncts(n.L), conjuncts(n.R)...)
	}
	return []dialect.Expr{x}
}

// correlation is the sides of column = column of which one is of the membership's
// table and the other is not; nil for another condition.
func correlation(x dialect.Expr, member *relation) (outer, inner dialect.Expr) {
	n, ok := x.(*dialect.Binary)
	if !ok || n.Op != "=" {
		return nil, nil
	}
	l, lok := n.L.(*dialect.Column)
	r, rok := n.R.(*dialect.Column)
	switch {
	case !lok || !rok || owns(member, l.Name) == owns(member, r.Name):
		return nil, nil
	case owns(member, l.Name):
		return r, l
	}
	return l, r
}
