package expr

// How what is true or false binds: AND and OR, IS, IN, BETWEEN, LIKE and CASE.

import (
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// bindJunction flattens a chain of one operator, which parses to the left and
// may be long.
func (b *binder) bindJunction(x *dialect.Binary) (Node, error) {
	var chain []dialect.Expr
	var left dialect.Expr = x
	for {
		y, ok := left.(*dialect.Binary)
		if !ok || y.Op != x.Op {
			break
		}
		chain = append(chain, y.R)
		left = y.L
	}
	chain = append(chain, left)
	j := &junction{op: x.Op, args: make([]Node, len(chain))}
	for i, c := range chain {
		n, err := b.condition(c, x.Op)
		if err != nil {
			return nil, err
		}
		j.args[len(chain)-1-i] = n
	}
	return j, nil
}

func (b *binder) condition(x dialect.Expr, what string) (Node, error) {
	n, err := b.bind(x)
	if err != nil {
		return nil, err
	}
	if n, err = Condition(n, what); err != nil {
		return nil, place(err, x.Pos())
	}
	return n, nil
}

func (b *binder) bindIs(x *dialect.Is) (Node, error) {
	if x.What == "DISTINCT FROM" {
		if l, r, ok, err := tuples(x.X, x.R); ok {
			if err != nil {
				return nil, err
			}
			return b.compareTuples(distinctFrom(x.Not), l, r)
		}
		l, err := b.bind(x.X)
		if err != nil {
			return nil, err
		}
		r, err := b.bind(x.R)
		if err != nil {
			return nil, err
		}
		c, err := newComparison(distinctFrom(x.Not), l, r)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	if x.What == "NULL" {
		n, err := b.bind(x.X)
		if err == nil {
			n, err = settle(n)
		}
		if err != nil {
			return nil, err
		}
		return &is{n, x.Not, "NULL"}, nil
	}
	n, err := b.condition(x.X, "IS "+x.What)
	if err != nil {
		return nil, err
	}
	if x.What == "UNKNOWN" {
		return &is{n, x.Not, "NULL"}, nil
	}
	return &is{n, x.Not, x.What}, nil
}

func distinctFrom(not bool) string {
	if not {
		return "IS"
	}
	return "IS NOT"
}

// bindIn keeps the list as one where the left side compares with every item as
// it is, and is a chain of OR otherwise.
func (b *binder) bindIn(x *dialect.In) (Node, error) {
	if x.Query != nil {
		return b.bindInQuery(x)
	}
	if t, ok := x.X.(*dialect.Tuple); ok {
		return b.bindInTuples(x, t)
	}
	left, err := b.bind(x.X)
	if err != nil {
		return nil, err
	}
	items, err := b.bindAll(x.List)
	if err != nil {
		return nil, err
	}
	if isOpen(left) {
		t, err := CommonType(items, "IN")
		if err != nil {
			return nil, err
		}
		if left, err = resolve(left, bare(t)); err != nil {
			return nil, err
		}
	}
	tests := make([]*comparison, len(items))
	asOne := true
	refs, wrap := once(left)
	for i, item := range items {
		c, err := newComparison("=", refs[0], item)
		if err != nil {
			return nil, place(err, x.List[i].Pos())
		}
		tests[i] = c
		asOne = asOne && c.l == refs[0]
	}
	if asOne {
		return negate(&in{left, tests}, x.Not), nil
	}
	if len(tests) == 1 {
		return negate(wrap(tests[0], noNative), x.Not), nil
	}
	j := &junction{op: "OR", args: make([]Node, len(tests))}
	for i, c := range tests {
		j.args[i] = c
	}
	return negate(wrap(j, noNative), x.Not), nil
}

// bindBetween writes BETWEEN as the comparisons that it stands for.
func (b *binder) bindBetween(x *dialect.Between) (Node, error) {
	nodes, err := b.bindAll([]dialect.Expr{x.X, x.Lo, x.Hi})
	if err != nil {
		return nil, err
	}
	if isOpen(nodes[0]) {
		t, err := CommonType(nodes[1:], "BETWEEN")
		if err != nil {
			return nil, err
		}
		if nodes[0], err = resolve(nodes[0], bare(t)); err != nil {
			return nil, err
		}
	}
	if !x.Symmetric {
		refs, wrap := once(nodes[0])
		n, err := within(refs[0], nodes[1], nodes[2])
		if err != nil {
			return nil, err
		}
		return negate(wrap(n, nativeBetween), x.Not), nil
	}
	refs, wrap := once(nodes...)
	up, err := within(refs[0], refs[1], refs[2])
	if err != nil {
		return nil, err
	}
	down, err := within(refs[0], refs[2], refs[1])
	if err != nil {
		return nil, err
	}
	return negate(wrap(&junction{"OR", []Node{up, down}}, noNative), x.Not), nil
}

// within is x >= lo AND x <= hi.
func within(x, lo, hi Node) (Node, error) {
	l, err := newComparison(">=", x, lo)
	if err != nil {
		return nil, err
	}
	h, err := newComparison("<=", x, hi)
	if err != nil {
		return nil, err
	}
	return And(l, h), nil
}

func (b *binder) bindLike(x *dialect.Like) (Node, error) {
	list := []dialect.Expr{x.X, x.Pattern}
	if x.Escape != nil {
		list = append(list, x.Escape)
	}
	args, err := b.bindAll(list)
	if err != nil {
		return nil, err
	}
	f := likeFunction(x.Insensitive, x.Escape != nil)
	for i, a := range args {
		if k := kindOf(a); k != wire.Unknown && categoryOf(k) != catString {
			op := "LIKE"
			if x.Insensitive {
				op = "ILIKE"
			}
			return nil, errNoOperator(op, []Node{args[0], args[max(i, 1)]}, false)
		}
	}
	n, err := newCall(f, args)
	if err != nil {
		return nil, err
	}
	return negate(n, x.Not), nil
}

func (b *binder) bindCase(x *dialect.Case) (Node, error) {
	c := &choice{}
	var operand Node
	wrap := func(body Node, _ nativeForm) Node { return body }
	if x.Operand != nil {
		n, err := b.bind(x.Operand)
		if err != nil {
			return nil, err
		}
		var refs []Node
		refs, wrap = once(n)
		operand = refs[0]
	}
	for _, w := range x.Whens {
		cond, err := b.when(operand, w.Cond)
		if err != nil {
			return nil, err
		}
		then, err := b.bind(w.Then)
		if err != nil {
			return nil, err
		}
		c.conds, c.thens = append(c.conds, cond), append(c.thens, then)
	}
	results := c.thens
	if x.Else != nil {
		n, err := b.bind(x.Else)
		if err != nil {
			return nil, err
		}
		results = append(results[:len(results):len(results)], n)
	}
	results, t, err := unify(results, "CASE")
	if err != nil {
		return nil, err
	}
	c.t, c.thens = t, results[:len(x.Whens)]
	if x.Else != nil {
		c.other = results[len(x.Whens)]
	}
	return wrap(c, nativeCase), nil
}

func (b *binder) when(operand Node, x dialect.Expr) (Node, error) {
	if operand == nil {
		return b.condition(x, "CASE/WHEN")
	}
	v, err := b.bind(x)
	if err != nil {
		return nil, err
	}
	c, err := newComparison("=", operand, v)
	if err != nil {
		return nil, place(err, x.Pos())
	}
	return c, nil
}
