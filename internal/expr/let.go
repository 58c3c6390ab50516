package expr

import (
	"slices"
	"strconv"

	"github.com/kalamdb/kalam-go/wire"
)

// let names values that an expression uses several times. Each of them is
// bound, evaluated and printed once, and body refers to it by a slot. So what an
// expression costs grows with its text, however its parts are nested, and an
// operand that gives another value at each call is one value.
type let struct {
	values []Node
	body   Node
	native nativeForm
}

// nativeForm says that an engine has a form of its own for a let of one value.
type nativeForm uint8

const (
	noNative      nativeForm = iota
	nativeBetween            // slot >= a AND slot <= b
	nativeCase               // CASE WHEN slot = a THEN ... END, where only the conditions use the slot
)

// slot refers to a value of a let around it.
type slot struct {
	of *let
	i  int
}

// once returns what stands for nodes in the body of the let that wrap makes.
// What costs nothing to repeat stands for itself.
func once(nodes ...Node) (refs []Node, wrap func(body Node, form nativeForm) Node) {
	l := &let{}
	refs = make([]Node, len(nodes))
	for i, n := range nodes {
		refs[i] = n
		if !repeatable(n) {
			refs[i] = &slot{l, len(l.values)}
			l.values = append(l.values, n)
		}
	}
	return refs, func(body Node, form nativeForm) Node {
		if len(l.values) == 0 {
			return body
		}
		l.body, l.native = body, form
		return l
	}
}

// repeatable reports whether n may stand in several places: it is a leaf whose
// value is the same in all of them.
func repeatable(n Node) bool {
	switch n := n.(type) {
	case *constant, *untyped, *param, *column, *slot, *upload:
		return true
	case *environment:
		return n.kind != ArgNextID
	}
	return false
}

func (l *let) Type() wire.Type { return l.body.Type() }

func (l *let) Eval(env *Env) (wire.Value, error) {
	before := env.lets
	// The values are evaluated outside the let's own frame.
	values := make([]wire.Value, len(l.values))
	for i, n := range l.values {
		var err error
		if values[i], err = n.Eval(env); err != nil {
			return wire.Null, err
		}
	}
	env.lets = &frameOf{l, values, before}
	defer func() { env.lets = before }()
	return l.body.Eval(env)
}

// frameOf holds the values of a let while its body is evaluated.
type frameOf struct {
	let    *let
	values []wire.Value
	outer  *frameOf
}

func (s *slot) node() Node { return s.of.values[s.i] }

func (s *slot) Type() wire.Type { return s.node().Type() }

func (s *slot) Eval(env *Env) (wire.Value, error) {
	f := env.lets
	for f.let != s.of {
		f = f.outer
	}
	return f.values[s.i], nil
}

// print numbers the values by how many are in force around them, so that equal
// expressions print the same. The condition of the CASE always holds.
func (l *let) print(p *Printer) {
	if l.printNative(p) {
		return
	}
	if !p.target.Registers() {
		if slices.ContainsFunc(l.values, HasWindow) {
			l.printRepeated(p)
		} else {
			l.printDerived(p)
		}
		return
	}
	first := p.slots
	p.slots += len(l.values)
	defer func() { p.slots = first }()
	p.Raw("CASE WHEN ")
	for i, n := range l.values {
		if i > 0 {
			p.Raw(" AND ")
		}
		p.Raw(letFunction + "(" + strconv.Itoa(first+i) + ", ")
		p.Node(n)
		p.Raw(")")
	}
	p.Raw(" THEN ")
	if p.lets == nil {
		p.lets = make(map[*let]int)
	}
	p.lets[l] = first
	p.Node(l.body)
	delete(p.lets, l)
	p.Raw(" END")
}

// printDerived writes the let as a sub-query of one row, which has the values
// as its columns.
func (l *let) printDerived(p *Printer) {
	first := p.slots
	p.slots += len(l.values)
	defer func() { p.slots = first }()
	if p.lets == nil {
		p.lets = make(map[*let]int)
	}
	p.lets[l] = first
	p.Raw("(SELECT ")
	p.Node(l.body)
	delete(p.lets, l)
	p.Raw(" FROM (SELECT ")
	for i, n := range l.values {
		if i > 0 {
			p.Raw(", ")
		}
		p.Node(n)
		p.Raw(" AS " + slotColumn(first+i))
	}
	// Without OFFSET the sub-query would be merged into the query around it, and
	// its values computed at each place.
	p.Raw(" OFFSET 0) AS kl" + strconv.Itoa(first) + ")")
}

// printRepeated writes each value wherever it is taken: a window function would
// see one row alone in a sub-query, and has one value however often it is computed.
func (l *let) printRepeated(p *Printer) {
	if p.lets == nil {
		p.lets = make(map[*let]int)
	}
	p.lets[l] = repeated
	p.Node(l.body)
	delete(p.lets, l)
}

// repeated is the number of a let whose values are written where they are taken.
const repeated = -1

func slotColumn(n int) string { return "kv" + strconv.Itoa(n) }

// printNative writes the let in a form of the engine that evaluates the value
// once, if every comparison takes it as it is.
func (l *let) printNative(p *Printer) bool {
	switch l.native {
	case nativeBetween:
		both := l.body.(*junction)
		low, high := both.args[0].(*comparison), both.args[1].(*comparison)
		if !isSlot(low.l) || !isSlot(high.l) {
			return false
		}
		p.Raw("(")
		p.Key(l.values[0])
		p.Raw(" BETWEEN ")
		p.Key(low.r)
		p.Raw(" AND ")
		p.Key(high.r)
		p.Raw(")")
		return true
	case nativeCase:
		c := l.body.(*choice)
		for _, cond := range c.conds {
			if !isSlot(cond.(*comparison).l) {
				return false
			}
		}
		p.Raw("CASE ")
		p.Key(l.values[0])
		c.printWhens(p, func(cond Node) { p.Key(cond.(*comparison).r) })
		return true
	}
	return false
}

func isSlot(n Node) bool {
	_, ok := n.(*slot)
	return ok
}

func (s *slot) print(p *Printer) {
	if p.lets[s.of] == repeated {
		p.Node(s.of.values[s.i])
		return
	}
	if !p.target.Registers() {
		p.Raw(slotColumn(p.lets[s.of] + s.i))
		return
	}
	p.Raw(slotFunction + "(" + strconv.Itoa(p.lets[s.of]+s.i) + ")")
}
