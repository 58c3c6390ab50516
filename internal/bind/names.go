package bind

import (
	"slices"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// output is a column that an item of FROM offers.
type output struct {
	field  wire.Field
	column *expr.Column
}

// visible is an item of FROM as names with a qualifier see it.
type visible struct {
	name      string
	namespace string // of a table, "" for others
	table     string // its full name for messages, "" for others
	cols      []output
}

// level is the names of one query: its own and, behind them, those of the query
// around it. It implements expr.Names.
type level struct {
	sources []visible
	star    []output // what * and names without a qualifier see
	outer   *level
	taken   []*expr.Column                   // what was resolved in an outer level from here
	seen    func(dialect.Name, *expr.Column) // is told what names mean; nil: nobody asks

	allows     bool        // aggregates, in the clause that is being bound
	aggregates []expr.Node // of this query, in the order in which they were bound
	lifted     bool        // one of them stands in a sub-query
}

// Column resolves a name, from the inside out.
func (l *level) Column(name dialect.Name) (*expr.Column, error) {
	last := name[len(name)-1].Name
	for at := l; at != nil; at = at.outer {
		var cols []output
		if len(name) == 1 {
			cols = at.star
		} else {
			src := at.source(name)
			if src == nil {
				continue
			}
			cols = src.cols
		}
		var found *expr.Column
		for _, c := range cols {
			if c.field.Name != last {
				continue
			}
			if found != nil {
				return nil, wire.NewError(wire.CodeInvalidSQL, "column reference ", last, " is ambiguous; put the table's name in front")
			}
			found = c.column
		}
		if found != nil {
			if l.seen != nil {
				l.seen(name, found)
			}
			for in := l; in != at; in = in.outer {
				in.taken = append(in.taken, found)
			}
			return found, nil
		}
		if len(name) > 1 {
			return nil, at.unknown(last, cols)
		}
	}
	if len(name) > 1 {
		return nil, wire.NewError(wire.CodeInvalidSQL, "missing FROM-clause entry for table ", name[len(name)-2].Name)
	}
	return nil, l.unknown(last, l.star)
}

// source finds the item of FROM that a qualified name means.
func (l *level) source(name dialect.Name) *visible {
	qualifier := name[len(name)-2].Name
	for i := range l.sources {
		s := &l.sources[i]
		if s.name == qualifier && (len(name) < 3 || name[0].Name == s.namespace) {
			return s
		}
	}
	return nil
}

func (l *level) unknown(column string, cols []output) error {
	parts := []string{"No field named ", column}
	if len(l.sources) == 1 && l.sources[0].table != "" {
		parts = append(parts, ": ", l.sources[0].table, " has no such column")
	}
	e := wire.NewError(wire.CodeColumnNotFound, parts...)
	var known []string
	for _, c := range cols {
		known = append(known, c.field.Name)
	}
	e.Hint = nearest(column, known)
	return e
}

// nullable marks columns as possibly NULL: those of the weak side of an outer
// join.
func nullable(cols []output) {
	for i := range cols {
		cols[i].column.NotNull = false
		cols[i].field.Flags &^= wire.FlagNotNull
	}
}

// offers reports whether a name without a qualifier is a column of this level.
func (l *level) offers(name string) bool {
	return slices.ContainsFunc(l.star, func(o output) bool { return o.field.Name == name })
}

// owns reports whether a column is of this level's FROM.
func (l *level) owns(c *expr.Column) bool {
	for _, s := range l.sources {
		for i := range s.cols {
			if s.cols[i].column == c {
				return true
			}
		}
	}
	return l.output(c) != nil // one that USING made
}

// aggregate binds an aggregate that stands at l and finds the query that it is
// of: the innermost one whose columns, or whose aggregates, are in its arguments.
func (l *level) aggregate(bind func() (expr.Node, error), outside bool) (expr.Node, error) {
	type mark struct{ aggregates, taken int }
	var marks []mark
	for at := l; at != nil; at = at.outer {
		marks = append(marks, mark{len(at.aggregates), len(at.taken)})
	}
	n, err := bind()
	if err != nil {
		return nil, err
	}
	owner, depth := l, -1
	found := func(at *level, i int) {
		if depth < 0 || i < depth {
			owner, depth = at, i
		}
	}
	expr.Used(n, true, func(c *expr.Column) {
		i := 0
		for at := l; at != nil && !at.owns(c); at = at.outer {
			i++
		}
		if i < len(marks) {
			found(l.at(i), i)
		}
	})
	for i := range marks {
		if at := l.at(i); len(at.aggregates) > marks[i].aggregates {
			found(at, i)
		}
	}
	if depth < 0 && outside && l.outer != nil {
		owner = l.outer
	}
	switch {
	case depth >= 0 && len(owner.aggregates) > marks[depth].aggregates:
		return nil, expr.ErrNestedAggregate()
	case !owner.allows:
		return nil, expr.ErrNoAggregate()
	}
	owner.aggregates = append(owner.aggregates, n)
	owner.lifted = owner.lifted || owner != l
	// What the aggregate takes of its own query is not taken row by row.
	for i, at := 0, l; at != owner; i, at = i+1, at.outer {
		mine := slices.DeleteFunc(at.taken[marks[i].taken:], owner.owns)
		at.taken = at.taken[:marks[i].taken+len(mine)]
	}
	return n, nil
}

// at is the level i queries further out.
func (l *level) at(i int) *level {
	for ; i > 0; i-- {
		l = l.outer
	}
	return l
}
