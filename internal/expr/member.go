package expr

import (
	"strconv"

	"github.com/kalamdb/kalam-go/wire"
)

// MemberSet is the rows of a membership for one user: what columns are compared
// with. It does not change.
type MemberSet struct {
	rows map[string][]wire.Value
	json string
}

// member is x IN (set N of Env.Members), or (x, ...) IN that set.
type member struct {
	n     int
	tests []*comparison // the left sides are of the row at hand, the right ones columns of the query
}

// Membership is the query that a member was made of.
type Membership struct {
	Query Query
	tests []*comparison
}

// Memberships makes n one that can be evaluated on a row: in place of each x IN
// (query) under AND and OR stands a look-up in Env.Members, by the index of its
// Membership. ok is false for values that are equal without being the same, such
// as those of DOUBLE.
func Memberships(n Node) (out Node, list []Membership, ok bool) {
	ok = true
	var rewrite func(n Node) Node
	rewrite = func(n Node) Node {
		switch n := n.(type) {
		case *junction:
			args := make([]Node, len(n.args))
			for i, x := range n.args {
				args[i] = rewrite(x)
			}
			return &junction{n.op, args}
		case *inQuery:
			for _, t := range n.tests {
				ok = ok && looksUp(t.class)
			}
			list = append(list, Membership{n.q, n.tests})
			return &member{len(list) - 1, n.tests}
		}
		return n
	}
	if n != nil {
		out = rewrite(n)
	}
	return out, list, ok
}

// looksUp reports whether values of a class are equal exactly when they are equal
// in Go.
func looksUp(class wire.Kind) bool {
	switch class {
	case wire.BigInt, wire.Text, wire.Boolean, wire.Date, wire.Timestamp, wire.UUID:
		return true
	}
	return false
}

// Set makes the set of the rows that the query gave. A row with a NULL is in no
// set, since nothing is equal to it.
func (m Membership) Set(rows [][]wire.Value) (*MemberSet, error) {
	s := &MemberSet{rows: make(map[string][]wire.Value, len(rows))}
	for _, row := range rows {
		env := &Env{Row: row}
		values := make([]wire.Value, len(m.tests))
		null := false
		for i, t := range m.tests {
			var err error
			if values[i], err = t.r.Eval(env); err != nil {
				return nil, err
			}
			null = null || values[i].IsNull()
		}
		if !null {
			s.rows[keyOf(values)] = values
		}
	}
	s.json = setJSON(s.rows)
	return s, nil
}

func keyOf(values []wire.Value) string {
	var b []byte
	for _, v := range values {
		var text string
		if v.Tag() == wire.TagText || v.Tag() == wire.TagBytes {
			text = v.Raw()
		} else if v.Tag() == wire.TagBool {
			text = strconv.FormatBool(v.Bool())
		} else {
			text = strconv.FormatInt(v.Int(), 10)
		}
		b = strconv.AppendInt(b, int64(len(text)), 10)
		b = append(append(b, ':'), text...)
	}
	return string(b)
}

// setJSON is the rows as a target reads rows from memory.
func setJSON(rows map[string][]wire.Value) string {
	b := []byte{'['}
	for _, row := range rows {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, '[')
		for i, v := range row {
			if i > 0 {
				b = append(b, ',')
			}
			switch v.Tag() {
			case wire.TagBool:
				b = strconv.AppendInt(b, int64(boolInt(v.Bool())), 10)
			case wire.TagInt:
				b = strconv.AppendInt(b, v.Int(), 10)
			default:
				b = wire.AppendCell(b, typeOf(wire.Text), v)
			}
		}
		b = append(b, ']')
	}
	return string(append(b, ']'))
}

// Len is how many rows the set has.
func (s *MemberSet) Len() int { return len(s.rows) }

// Differ is the rows that are in one of two sets, and whether some are in s alone.
func (s *MemberSet) Differ(now *MemberSet) (diff *MemberSet, lost bool) {
	diff = &MemberSet{rows: make(map[string][]wire.Value)}
	for k, row := range s.rows {
		if now.rows[k] == nil {
			diff.rows[k], lost = row, true
		}
	}
	for k, row := range now.rows {
		if s.rows[k] == nil {
			diff.rows[k] = row
		}
	}
	diff.json = setJSON(diff.rows)
	return diff, lost
}

func (m *member) Type() wire.Type { return boolean }

func (m *member) Eval(env *Env) (wire.Value, error) {
	if err := env.Budget.Spend(len(m.tests)); err != nil {
		return wire.Null, err
	}
	values := make([]wire.Value, len(m.tests))
	for i, t := range m.tests {
		var err error
		if values[i], err = t.l.Eval(env); err != nil || values[i].IsNull() {
			return wire.BoolValue(false), err
		}
	}
	return wire.BoolValue(env.Members[m.n].rows[keyOf(values)] != nil), nil
}

func (m *member) print(p *Printer) { p.member(m.n, m.tests) }

// member writes the test of whether values are in set n of Env.Members.
func (p *Printer) member(n int, tests []*comparison) {
	fields := make([]wire.Field, len(tests))
	p.Raw("(")
	if len(tests) > 1 {
		p.Raw("(")
	}
	for i, t := range tests {
		fields[i] = wire.Field{Name: "m" + strconv.Itoa(i+1), Type: typeOf(t.class)}
		if i > 0 {
			p.Raw(", ")
		}
		p.Key(t.l)
	}
	if len(tests) > 1 {
		p.Raw(")")
	}
	p.Raw(" IN (" + p.target.Rows(fields, p.Placeholder(Arg{Kind: ArgMembers, N: n, Type: typeOf(wire.Text)})) + "))")
}

// PrintIn writes the test of whether the left sides of the membership are in set n
// of Env.Members.
func (m Membership) PrintIn(p *Printer, n int) { p.member(n, m.tests) }

// KeyValue is a value of a column of the row at hand.
type KeyValue struct {
	Column int
	Value  wire.Value
}

// Cover finds values of columns of which a row must have one for n to hold. ok is
// false where any row may pass.
func Cover(n Node, env *Env) (keys []KeyValue, ok bool) {
	switch n := n.(type) {
	case *junction:
		for _, x := range n.args {
			found, known := Cover(x, env)
			switch {
			case n.op == "AND" && known && (!ok || len(found) < len(keys)):
				keys, ok = found, true
			case n.op == "OR" && !known:
				return nil, false
			case n.op == "OR":
				keys, ok = append(keys, found...), true
			}
		}
		return keys, ok
	case *member:
		keys = []KeyValue{}
		for i, t := range n.tests {
			c := AsColumn(t.l)
			if c == nil {
				continue
			}
			seen := make(map[wire.Value]bool)
			for _, row := range env.Members[n.n].rows {
				if !seen[row[i]] {
					seen[row[i]] = true
					keys = append(keys, KeyValue{c.Index, row[i]})
				}
			}
			return keys, true
		}
		return nil, false
	case *constant:
		return []KeyValue{}, !n.v.IsNull() && n.v.Tag() == wire.TagBool && !n.v.Bool()
	case *comparison:
		EqualTo(n, func(c *Column, value Node) {
			if v, err := value.Eval(env); err == nil && !v.IsNull() {
				keys, ok = []KeyValue{{c.Index, v}}, true
			}
		})
	}
	return keys, ok
}
