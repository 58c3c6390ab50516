package expr

import (
	"strconv"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// Query is a bound query inside an expression.
type Query interface {
	// Types are those of its columns.
	Types() []wire.Type
	// Print appends the query without parentheses.
	Print(p *Printer)
}

// Correlated is a Query that knows what it takes from the query around it and
// how many rows it gives. A Query that is none may be run for too many rows
// before it is refused, and is trusted in a grouped query.
type Correlated interface {
	Query
	// Outer calls fn for each reference to a column of a query around it.
	Outer(fn func(*Column))
	// Single reports that it never gives more than one row.
	Single() bool
}

// Sized is a Query that knows its size.
type Sized interface {
	// Size is how many expressions the query has, once each of its columns is
	// written out.
	Size() int
}

func errQuery() error {
	return wire.NewError(wire.CodeUnsupported, "a sub-query needs the engine")
}

func (b *binder) query(q *dialect.Query) (Query, []wire.Type, error) {
	if b.o.Query == nil {
		return nil, nil, unsupported("sub-queries")
	}
	bound, err := b.o.Query(q)
	if err != nil {
		return nil, nil, err
	}
	types := append([]wire.Type(nil), bound.Types()...)
	for i := range types {
		if types[i].Kind == wire.Unknown {
			types[i] = typeOf(wire.Text)
		}
	}
	return bound, types, nil
}

// scalarQuery is the value of the one column of at most one row.
type scalarQuery struct {
	q Query
	t wire.Type
}

func (b *binder) bindScalar(x *dialect.Scalar) (Node, error) {
	q, types, err := b.query(x.Query)
	if err != nil {
		return nil, err
	}
	if len(types) != 1 {
		return nil, wire.NewError(wire.CodeInvalidSQL, "a sub-query that stands for a value must have one column, not ", strconv.Itoa(len(types)))
	}
	return &scalarQuery{q, types[0]}, nil
}

func (s *scalarQuery) Type() wire.Type               { return s.t }
func (s *scalarQuery) Eval(*Env) (wire.Value, error) { return wire.Null, errQuery() }

// print lets the engine count the rows where there may be more than one, of
// which it would take the first without a word.
func (s *scalarQuery) print(p *Printer) {
	form := p.target.Single()
	if c, ok := s.q.(Correlated); ok && c.Single() {
		form = "($1)"
	}
	p.form(form, func(int) { s.q.Print(p) })
}

// exists is EXISTS (query).
type exists struct{ q Query }

func (b *binder) bindExists(x *dialect.Exists) (Node, error) {
	q, _, err := b.query(x.Query)
	if err != nil {
		return nil, err
	}
	return &exists{q}, nil
}

func (e *exists) Type() wire.Type               { return boolean }
func (e *exists) Eval(*Env) (wire.Value, error) { return wire.Null, errQuery() }

func (e *exists) print(p *Printer) {
	p.Raw("EXISTS (")
	e.q.Print(p)
	p.Raw(")")
}

// inQuery is x IN (query), or (x, ...) IN (query): in each test the left side
// is of x and the right side a column of the query.
type inQuery struct {
	tests []*comparison
	q     Query
	plain bool // the columns of the query compare as they are
}

func (b *binder) bindInQuery(x *dialect.In) (Node, error) {
	list := []dialect.Expr{x.X}
	if t, ok := x.X.(*dialect.Tuple); ok {
		list = t.Items
	}
	left, err := b.bindAll(list)
	if err != nil {
		return nil, err
	}
	q, types, err := b.query(x.Query)
	if err != nil {
		return nil, err
	}
	if len(types) != len(left) {
		few := "few"
		if len(types) > len(left) {
			few = "many"
		}
		return nil, wire.NewError(wire.CodeInvalidSQL, "the sub-query of IN has too ", few, " columns")
	}
	n := &inQuery{q: q, plain: true, tests: make([]*comparison, len(left))}
	for i, l := range left {
		c := &column{&Column{Index: i, T: types[i], SQL: "c" + strconv.Itoa(i+1)}}
		if n.tests[i], err = newComparison("=", l, c); err != nil {
			return nil, err
		}
		n.plain = n.plain && n.tests[i].r == Node(c) && types[i] != ownDecimal
	}
	return negate(n, x.Not), nil
}

func (n *inQuery) Type() wire.Type               { return boolean }
func (n *inQuery) Eval(*Env) (wire.Value, error) { return wire.Null, errQuery() }

func (n *inQuery) print(p *Printer) {
	p.Raw("(")
	if len(n.tests) > 1 {
		p.Raw("(")
	}
	for i, t := range n.tests {
		if i > 0 {
			p.Raw(", ")
		}
		p.Key(t.l)
	}
	if len(n.tests) > 1 {
		p.Raw(")")
	}
	p.Raw(" IN (")
	if n.plain {
		n.q.Print(p)
		p.Raw("))")
		return
	}
	p.Raw("WITH kq(")
	for i := range n.tests {
		if i > 0 {
			p.Raw(", ")
		}
		p.Raw("c" + strconv.Itoa(i+1))
	}
	p.Raw(") AS (")
	n.q.Print(p)
	p.Raw(") SELECT ")
	for i, t := range n.tests {
		if i > 0 {
			p.Raw(", ")
		}
		p.Key(t.r)
	}
	p.Raw(" FROM kq))")
}

// queryOf gives the query that n itself holds, or nil.
func queryOf(n Node) Query {
	switch n := n.(type) {
	case *scalarQuery:
		return n.q
	case *exists:
		return n.q
	case *inQuery:
		return n.q
	}
	return nil
}

// Queries are the sub-queries that stand in n, but not those inside of them.
func Queries(n Node) (list []Query) {
	if n == nil {
		return nil
	}
	contains(n, func(n Node) bool {
		if q := queryOf(n); q != nil {
			list = append(list, q)
		}
		return false
	})
	return list
}

// HasQuery reports whether n holds a sub-query, and so has no Eval.
func HasQuery(n Node) bool {
	return contains(n, func(n Node) bool { return queryOf(n) != nil })
}
