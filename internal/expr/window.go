package expr

import (
	"strings"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// ordering is an item of ORDER BY.
type ordering struct {
	n                Node
	desc, nullsFirst bool
}

// orderings binds ORDER BY in a window or an aggregate, where a number is a
// constant and no position.
func (b *binder) orderings(list []dialect.OrderItem) ([]ordering, error) {
	var out []ordering
	for _, item := range list {
		n, err := b.bind(item.X)
		if err == nil {
			n, err = settle(n)
		}
		if err != nil {
			return nil, place(err, item.X.Pos())
		}
		o := ordering{n: n, desc: item.Desc, nullsFirst: item.Desc}
		if item.NullsFirst != nil {
			o.nullsFirst = *item.NullsFirst
		}
		out = append(out, o)
	}
	return out, nil
}

// orderBy says where NULLs go, unless there can be none: an index serves only
// what says nothing.
func (p *Printer) orderBy(list []ordering) {
	for i, o := range list {
		if i == 0 {
			p.Raw(" ORDER BY ")
		} else {
			p.Raw(", ")
		}
		p.Key(o.n)
		if o.desc {
			p.Raw(" DESC")
		}
		switch c := AsColumn(o.n); {
		case c != nil && c.NotNull:
		case o.nullsFirst:
			p.Raw(" NULLS FIRST")
		default:
			p.Raw(" NULLS LAST")
		}
	}
}

// windowCall is a function over a window. It only prints.
type windowCall struct {
	agg       *aggregateCall // nil: name and args
	name      string
	args      []Node
	partition []Node
	order     []ordering
	frame     string
	t         wire.Type
}

// windowFunctions are those that need OVER, with the kind of their result;
// Unknown is that of the argument.
var windowFunctions = map[string]wire.Kind{
	"row_number": wire.BigInt, "rank": wire.BigInt, "dense_rank": wire.BigInt,
	"percent_rank": wire.Double, "cume_dist": wire.Double, "ntile": wire.Int,
	"lag": wire.Unknown, "lead": wire.Unknown,
	"first_value": wire.Unknown, "last_value": wire.Unknown, "nth_value": wire.Unknown,
}

func (b *binder) bindWindow(name string, x *dialect.Call) (Node, error) {
	switch {
	case b.window:
		return nil, wire.NewError(wire.CodeInvalidSQL, "window function calls cannot be nested")
	case b.aggregate:
		return nil, wire.NewError(wire.CodeInvalidSQL, "aggregate function calls cannot contain window function calls")
	case !b.o.Windows:
		return nil, wire.NewError(wire.CodeInvalidSQL, "window functions are not allowed here")
	case x.Distinct:
		return nil, unsupported("DISTINCT in window functions")
	case len(x.OrderBy) > 0:
		return nil, unsupported("ORDER BY in the arguments of window functions")
	}
	b.window = true
	defer func() { b.window = false }()
	w := &windowCall{name: name}
	var err error
	if isAggregate(name) {
		if w.agg, err = b.aggregateCall(name, x); err == nil {
			w.t = w.agg.t
		}
	} else {
		err = b.windowArgs(w, x)
	}
	if err != nil {
		return nil, err
	}
	return w, b.over(w, x.Over)
}

// windowArgs types the arguments of a function that is no aggregate.
func (b *binder) windowArgs(w *windowCall, x *dialect.Call) error {
	result, ok := windowFunctions[w.name]
	switch {
	case !ok:
		return wire.NewError(wire.CodeInvalidSQL, "OVER specified, but ", w.name, " is not a window function nor an aggregate function")
	case x.Filter != nil:
		return unsupported("FILTER for window functions that are no aggregates")
	}
	args, err := b.bindAll(x.Args)
	if err != nil {
		return err
	}
	low, high := 0, 0
	switch w.name {
	case "ntile", "first_value", "last_value":
		low, high = 1, 1
	case "nth_value":
		low, high = 2, 2
	case "lag", "lead":
		low, high = 1, 3
	}
	if x.Star || len(args) < low || len(args) > high {
		return errNoFunction(w.name, args, false)
	}
	w.t = typeOf(result)
	number := func(i int) error {
		args[i], err = convert(args[i], typeOf(wire.Int), implicit)
		return err
	}
	switch {
	case w.name == "ntile":
		err = number(0)
	case len(args) == 3:
		if err = number(1); err != nil {
			return err
		}
		var both []Node
		if both, w.t, err = unify([]Node{args[0], args[2]}, strings.ToUpper(w.name)); err == nil {
			args[0], args[2] = both[0], both[1]
		}
	case len(args) > 0:
		if args[0], err = settle(args[0]); err != nil {
			return err
		}
		w.t = args[0].Type()
		if len(args) == 2 {
			err = number(1)
		}
	}
	w.args = args
	return err
}

// over binds the window itself.
func (b *binder) over(w *windowCall, o *dialect.Window) error {
	if o.Name != nil {
		named := b.o.NamedWindows[o.Name.Name]
		if named == nil {
			return errAt(o.Name.Pos, wire.CodeInvalidSQL, "window ", o.Name.Name, " does not exist")
		}
		o = named
	}
	partition, err := b.bindAll(o.PartitionBy)
	if err != nil {
		return err
	}
	for i, n := range partition {
		if partition[i], err = settle(n); err != nil {
			return err
		}
	}
	if w.order, err = b.orderings(o.OrderBy); err != nil {
		return err
	}
	w.partition, w.frame = partition, o.Frame
	return checkFrame(o.Frame, w.order)
}

// checkFrame refuses frames that mean nothing, as PostgreSQL does.
func checkFrame(frame string, order []ordering) error {
	if frame == "" {
		return nil
	}
	frame, _, _ = strings.Cut(frame, " EXCLUDE ")
	mode, bounds, _ := strings.Cut(frame, " ")
	start, end := bounds, "CURRENT ROW"
	if both, ok := strings.CutPrefix(bounds, "BETWEEN "); ok {
		start, end, _ = strings.Cut(both, " AND ")
	}
	bad := func(parts ...string) error { return wire.NewError(wire.CodeInvalidSQL, parts...) }
	switch {
	case start == "UNBOUNDED FOLLOWING":
		return bad("frame start cannot be UNBOUNDED FOLLOWING")
	case end == "UNBOUNDED PRECEDING":
		return bad("frame end cannot be UNBOUNDED PRECEDING")
	case start == "CURRENT ROW" && strings.HasSuffix(end, "PRECEDING"):
		return bad("frame starting from current row cannot have preceding rows")
	case strings.HasSuffix(start, "FOLLOWING") && !strings.HasSuffix(end, "FOLLOWING"):
		return bad("frame starting from following row cannot have preceding rows")
	case mode == "GROUPS" && len(order) == 0:
		return bad("GROUPS mode requires an ORDER BY clause")
	}
	for _, bound := range []string{start, end} {
		n, _, _ := strings.Cut(bound, " ")
		if n == "UNBOUNDED" || n == "CURRENT" {
			continue
		}
		if mode != "RANGE" {
			if !digitsOnly(n) {
				return wire.NewError(wire.CodeTypeMismatch, "argument of ", mode, " must be type BIGINT")
			}
			continue
		}
		if len(order) != 1 {
			return bad("RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column")
		}
		if k := order[0].n.Type().Kind; !isInt(k) && !isFloat(k) {
			return wire.NewError(wire.CodeUnsupported, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type ", TypeName(order[0].n.Type()))
		}
	}
	return nil
}

// moving reports whether rows leave the frame while it moves.
func (w *windowCall) moving() bool {
	return w.frame != "" && !strings.Contains(w.frame, "BETWEEN UNBOUNDED PRECEDING") &&
		!strings.Contains(w.frame, " UNBOUNDED PRECEDING")
}

func (w *windowCall) Type() wire.Type { return w.t }

func (w *windowCall) Eval(*Env) (wire.Value, error) {
	return wire.Null, wire.NewError(wire.CodeInternal, "a window function has no value on one row")
}

func (w *windowCall) print(p *Printer) {
	if w.agg != nil {
		w.agg.printFor(p, w.moving())
	} else {
		p.Raw(w.name + "(")
		for i, a := range w.args {
			if i > 0 {
				p.Raw(", ")
			}
			w.printArg(p, i, a)
		}
		p.Raw(")")
	}
	p.Raw(" OVER (")
	for i, n := range w.partition {
		if i == 0 {
			p.Raw("PARTITION BY ")
		} else {
			p.Raw(", ")
		}
		p.Key(n)
	}
	p.orderBy(w.order)
	if w.frame != "" {
		p.Raw(" " + w.frame)
	}
	p.Raw(")")
}

// printArg guards what the engine treats otherwise: numbers that must be
// positive, and an offset that is NULL, which has no default.
func (w *windowCall) printArg(p *Printer, i int, a Node) {
	switch {
	case !p.target.Registers():
	case w.name == "ntile":
		p.Raw(posFunction + "(")
		p.Node(a)
		p.Raw(")")
		return
	case w.name == "nth_value" && i == 1:
		p.Raw(posFunction + "(coalesce(")
		p.Node(a)
		p.Raw(", 9223372036854775807))")
		return
	case i == 2:
		if _, ok := w.args[1].(*constant); !ok {
			p.Raw(givenFunction + "(")
			p.Node(w.args[1])
			p.Raw(", ")
			p.Node(a)
			p.Raw(")")
			return
		}
	}
	p.Node(a)
}

// HasWindow reports whether n holds a window function, and so has no Eval.
func HasWindow(n Node) bool {
	return contains(n, func(n Node) bool {
		_, ok := n.(*windowCall)
		return ok
	})
}
