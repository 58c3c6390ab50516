package expr

// Leakproof reports whether nothing can be learnt of a row by evaluating n on it
// but the value of n: it cannot fail, and calls no function. Conditions that are
// may be tested before it is known whether the row may be seen, so that an index
// serves them.
func Leakproof(n Node) bool {
	return !contains(n, func(n Node) bool {
		switch n.(type) {
		case *constant, *param, *column, *environment, *comparison, *junction, *not, *is, *in, *let, *slot, *exists, *inQuery, *member:
			return false
		}
		return true
	})
}

// Conjuncts are the conditions that n joins with AND.
func Conjuncts(n Node) []Node {
	if n == nil {
		return nil
	}
	j, ok := n.(*junction)
	if !ok || j.op != "AND" {
		return []Node{n}
	}
	var out []Node
	for _, x := range j.args {
		out = append(out, Conjuncts(x)...)
	}
	return out
}

// Or joins conditions of which one is enough; nil for none.
func Or(conditions ...Node) Node {
	switch len(conditions) {
	case 0:
		return nil
	case 1:
		return conditions[0]
	}
	return &junction{"OR", conditions}
}
