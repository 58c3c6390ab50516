package expr

// Volatile reports whether n gives another value for each row even when nothing
// of the row is in it: new ids and random numbers.
func Volatile(n Node) bool {
	return contains(n, func(n Node) bool {
		switch n := n.(type) {
		case *environment:
			return n.kind == ArgNextID
		case *call:
			return n.f.volatile
		}
		return false
	})
}
