package expr

import (
	"strings"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// Row values are written as the comparisons of their parts that they stand for.

// tuples gives the items of two row values of one length; ok is false if
// neither side is a row value.
func tuples(l, r dialect.Expr) (a, b []dialect.Expr, ok bool, err error) {
	x, left := l.(*dialect.Tuple)
	y, right := r.(*dialect.Tuple)
	if !left && !right {
		return nil, nil, false, nil
	}
	if !left || !right {
		return nil, nil, true, unsupported("a row value beside something else")
	}
	if len(x.Items) != len(y.Items) {
		return nil, nil, true, wire.NewError(wire.CodeInvalidSQL, "unequal number of entries in row expressions")
	}
	return x.Items, y.Items, true, nil
}

func (b *binder) compareTuples(op string, l, r []dialect.Expr) (Node, error) {
	ln, err := b.bindAll(l)
	if err != nil {
		return nil, err
	}
	rn, err := b.bindAll(r)
	if err != nil {
		return nil, err
	}
	return tupleComparison(op, ln, rn)
}

func tupleComparison(op string, l, r []Node) (Node, error) {
	switch op {
	case "=", "IS", "<>", "IS NOT":
		parts := make([]Node, len(l))
		for i := range l {
			c, err := newComparison(op, l[i], r[i])
			if err != nil {
				return nil, err
			}
			parts[i] = c
		}
		if op == "<>" || op == "IS NOT" {
			return &junction{"OR", parts}, nil
		}
		return And(parts...), nil
	}
	// (a, b) < (c, d) is a < c OR a = c AND b < d.
	last := len(l) - 1
	refs, wrap := once(append(l[:last:last], r[:last]...)...)
	out, err := newComparison(op, l[last], r[last])
	if err != nil {
		return nil, err
	}
	n := Node(out)
	for i := last - 1; i >= 0; i-- {
		a, b := refs[i], refs[last+i]
		strict, err := newComparison(strings.TrimSuffix(op, "="), a, b)
		if err != nil {
			return nil, err
		}
		equal, err := newComparison("=", a, b)
		if err != nil {
			return nil, err
		}
		n = &junction{"OR", []Node{strict, And(equal, n)}}
	}
	return wrap(n, noNative), nil
}

// bindInTuples is (a, b) IN ((1, 2), ...).
func (b *binder) bindInTuples(x *dialect.In, left *dialect.Tuple) (Node, error) {
	nodes, err := b.bindAll(left.Items)
	if err != nil {
		return nil, err
	}
	refs, wrap := once(nodes...)
	j := &junction{op: "OR"}
	for _, item := range x.List {
		_, r, _, err := tuples(left, item)
		if err != nil {
			return nil, place(err, item.Pos())
		}
		items, err := b.bindAll(r)
		if err != nil {
			return nil, place(err, item.Pos())
		}
		n, err := tupleComparison("=", refs, items)
		if err != nil {
			return nil, place(err, item.Pos())
		}
		j.args = append(j.args, n)
	}
	if len(j.args) == 1 {
		return negate(wrap(j.args[0], noNative), x.Not), nil
	}
	return negate(wrap(j, noNative), x.Not), nil
}
