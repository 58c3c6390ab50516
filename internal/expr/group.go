package expr

import (
	"slices"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// fingerprint is what tells expressions apart: equal ones print the same.
type fingerprint struct {
	t    wire.Type
	sql  string
	args []Arg
}

func fingerprintOf(n Node) fingerprint {
	p := NewPrinter(canonicalTarget{})
	p.Node(n)
	return fingerprint{n.Type(), p.SQL(), p.Args()}
}

func (f fingerprint) equal(g fingerprint) bool {
	return f.t == g.t && f.sql == g.sql && slices.Equal(f.args, g.args)
}

// Equal reports whether a and b are the same expression.
func Equal(a, b Node) bool { return fingerprintOf(a).equal(fingerprintOf(b)) }

// Ungrouped returns a column of n that a query grouped by keys may not use: one
// of its own that stands neither in an aggregate nor in a part of n that is one
// of the keys. It returns nil if there is none. A table whose primary key is
// among the keys determines all its columns, which the caller adds to the keys.
// A column that is not own, of a query around this one, is the same in all rows.
func Ungrouped(n Node, keys []Node, own func(*Column) bool) *Column {
	prints := make([]fingerprint, len(keys))
	for i, k := range keys {
		prints[i] = fingerprintOf(k)
	}
	return ungrouped(n, prints, own)
}

func ungrouped(n Node, keys []fingerprint, own func(*Column) bool) *Column {
	switch n.(type) {
	case *aggregateCall, *constant, *param, *slot:
		return nil
	}
	if len(keys) > 0 {
		f := fingerprintOf(n)
		if slices.ContainsFunc(keys, f.equal) {
			return nil
		}
	}
	if c, ok := n.(*column); ok {
		if own(c.c) {
			return c.c
		}
		return nil
	}
	if q, ok := queryOf(n).(Correlated); ok {
		var found *Column
		q.Outer(func(c *Column) {
			if found == nil {
				found = ungrouped(&column{c}, keys, own)
			}
		})
		if found != nil {
			return found
		}
	}
	for _, c := range children(n) {
		if found := ungrouped(c, keys, own); found != nil {
			return found
		}
	}
	return nil
}

// Keyed prepares expressions that stand in one column of what is made distinct:
// SELECT DISTINCT, or the branches of UNION, INTERSECT and EXCEPT. The engine
// compares the stored bytes of a computed DECIMAL, scale included, so values
// that may differ in scale alone take the least scale that shows them, and
// intervals the one form of their length. Others are returned as they are.
func Keyed(nodes ...Node) []Node {
	if len(nodes) == 0 || nodes[0].Type() != ownDecimal && nodes[0].Type().Kind != Interval {
		return nodes
	}
	first, known := scaleOf(nodes[0])
	for _, n := range nodes[1:] {
		scale, ok := scaleOf(n)
		known = known && ok && scale == first
	}
	if known && nodes[0].Type() == ownDecimal {
		return nodes
	}
	out := make([]Node, len(nodes))
	for i, n := range nodes {
		out[i] = &natural{n}
	}
	return out
}

// scaleOf is the scale that every value of a computed DECIMAL has, if that is
// known.
func scaleOf(n Node) (int, bool) {
	switch n := n.(type) {
	case *own:
		return int(n.x.Type().Scale), true
	case *constant:
		if n.v.IsNull() {
			return 0, false
		}
		_, frac, _ := strings.Cut(n.v.Text(), ".")
		return len(frac), true
	case *call:
		return n.scale()
	case *choice:
		list := n.thens
		if n.other != nil {
			list = append(list[:len(list):len(list)], n.other)
		}
		return oneScale(list)
	case *coalesce:
		return oneScale(n.args)
	case *let:
		return scaleOf(n.body)
	case *slot:
		return scaleOf(n.node())
	case *aggregateCall:
		switch {
		case n.a.name == "min", n.a.name == "max", n.a.name == "sum" && n.a.arg == wire.Decimal:
			return scaleOf(n.args[0])
		case n.a.name == "sum":
			return 0, true
		}
	}
	return 0, false
}

func oneScale(list []Node) (int, bool) {
	first, ok := -1, true
	for _, n := range list {
		if c, null := n.(*constant); null && c.v.IsNull() {
			continue
		}
		scale, known := scaleOf(n)
		ok = ok && known && (first < 0 || scale == first)
		first = scale
	}
	return first, ok && first >= 0
}

// scale follows the rules of decimal.go.
func (c *call) scale() (int, bool) {
	if c.f.result != wire.Decimal {
		return 0, false
	}
	if len(c.args) == 1 {
		switch {
		case isInt(c.f.args[0]), c.f.name == "ceil", c.f.name == "ceiling", c.f.name == "floor",
			c.f.name == "round", c.f.name == "trunc", c.f.name == "sign":
			return 0, true
		case c.f.name == "-", c.f.name == "+", c.f.name == "abs":
			return scaleOf(c.args[0])
		}
		return 0, false
	}
	if c.f.name == "round" || c.f.name == "trunc" {
		if n, ok := c.args[1].(*constant); ok {
			return int(min(max(n.v.Int(), 0), maxDecimalDigits)), true
		}
		return 0, false
	}
	l, lok := scaleOf(c.args[0])
	if len(c.args) != 2 || !lok {
		return 0, false
	}
	r, rok := scaleOf(c.args[1])
	switch {
	case !rok:
		return 0, false
	case c.f.name == "*" && l+r <= maxDecimalDigits:
		return l + r, true
	case c.f.name == "+", c.f.name == "-", c.f.name == "%", c.f.name == "mod":
		return max(l, r), true
	case (c.f.name == "greatest" || c.f.name == "least") && l == r:
		return l, true
	}
	return 0, false
}

// natural is a computed DECIMAL without zeros at its end, or an interval in
// days and time: 30 days for 1 mon.
type natural struct{ x Node }

func (n *natural) Type() wire.Type { return n.x.Type() }

func (n *natural) Eval(env *Env) (wire.Value, error) {
	v, err := n.x.Eval(env)
	if err != nil || v.IsNull() {
		return v, err
	}
	return naturalValue(v), nil
}

func naturalValue(v wire.Value) wire.Value {
	if v.Tag() != wire.TagBytes {
		return wire.TextValue(naturalText(v.Text()))
	}
	s := spanOf(v)
	if whole, err := makeSpan(0, int64(s.months)*30+int64(s.days), s.us); err == nil {
		if whole, err = whole.justifyHours(); err == nil {
			return whole.value()
		}
	}
	return v
}

func (n *natural) print(p *Printer) {
	if !p.target.Registers() {
		p.Node(n.x)
		return
	}
	if n.x.Type().Kind == Interval {
		p.Raw(spanFunction + "(")
	} else {
		p.Raw(natFunction + "(")
	}
	p.Node(n.x)
	p.Raw(")")
}

func naturalText(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
