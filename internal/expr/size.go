package expr

// nodeBytes is what a node of a bound expression takes, roughly.
const nodeBytes = 96

// Size counts the nodes of n, with those that stand behind its columns and
// sub-queries: what an engine that writes them out has to do with. own counts
// the nodes alone, and bytes is what they and their constants take.
func Size(n Node) (size, own, bytes int) {
	size, own, bytes = 1, 1, nodeBytes
	switch n := n.(type) {
	case *column:
		size = max(1, n.c.Size)
	case *constant:
		bytes += len(n.v.Raw())
	case *untyped:
		bytes += len(n.text)
	}
	if q, ok := queryOf(n).(Sized); ok {
		size += q.Size()
	}
	for _, c := range children(n) {
		s, o, b := Size(c)
		size, own, bytes = size+s, own+o, bytes+b
	}
	return size, own, bytes
}
