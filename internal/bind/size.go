package bind

import (
	"strconv"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// An engine writes the expressions of a sub-query where its columns are used, and
// a WITH query wherever it is named. So a short text can stand for a statement of
// any size: each level of x + x doubles it. The size is counted while the
// statement is bound, and what grows out of proportion is refused.

// spareSize is how many expressions a statement may have that is short.
const spareSize = 30_000

// measure counts what stands in a query, and refuses it when that is too much.
func (b *Binder) measure(s *Select, pos dialect.Pos) error {
	size := sizeOfBody(s.body)
	for _, o := range s.order {
		if o.position == 0 {
			size += sizeOf(o.node)
		}
	}
	for _, n := range []expr.Node{s.limit, s.offset} {
		if n != nil {
			size += sizeOf(n)
		}
	}
	if s.size = size; size > 2*b.nodes+spareSize {
		return b.fail(wire.CodeStatementTooLarge, pos, "the statement is too large once every sub-query stands where its columns are used: about ", strconv.Itoa(size), " expressions; use its columns less often, or nest fewer levels")
	}
	return nil
}

// Size implements expr.Sized.
func (s *Select) Size() int { return s.size }

func sizeOf(n expr.Node) int {
	size, _, _ := expr.Size(n)
	return size
}

func sizeOfAll(nodes []expr.Node) int {
	size := 0
	for _, n := range nodes {
		size += sizeOf(n)
	}
	return size
}

func sizeOfBody(b body) int {
	switch b := b.(type) {
	case *core:
		size := sizeOfAll(b.items) + sizeOfAll(b.groupBy) + 4*sizeOfAll(b.on)
		for _, o := range b.onOrder {
			size += 2 * sizeOf(o.node)
		}
		for _, n := range []expr.Node{b.where, b.having} {
			if n != nil {
				size += sizeOf(n)
			}
		}
		for _, s := range b.from {
			size += sizeOfSource(s)
		}
		return size
	case *setOp:
		return sizeOfBody(b.l) + sizeOfBody(b.r)
	case *values:
		size := 0
		for _, row := range b.rows {
			size += sizeOfAll(row)
		}
		return size
	case *Select:
		return b.size
	}
	return 0
}

func sizeOfSource(s source) int {
	switch s := s.(type) {
	case *derived:
		return s.query.size
	case *cteRef:
		return 1 + s.cte.size
	case *join:
		size := sizeOfSource(s.l) + sizeOfSource(s.r)
		if s.on != nil {
			size += sizeOf(s.on)
		}
		return size
	}
	return 1
}
