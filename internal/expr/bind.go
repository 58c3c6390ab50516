package expr

import (
	"strconv"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// maxDepth bounds how deep expressions nest; the engine's own bound is 1000.
const maxDepth = 400

// Bind resolves the names and types of x. The error is a *BindError.
//
// The type of a bare text literal or parameter that o.Expect says nothing of
// stays open until Assign or Convert decides it; it reads as TEXT, or as the
// type of the parameter's value.
func Bind(x dialect.Expr, o BindOptions) (Node, error) {
	b := &binder{o: o}
	n, err := b.bind(x)
	if err == nil && o.Expect.Kind != wire.Unknown {
		n, err = resolve(n, o.Expect)
	}
	if err != nil {
		return nil, place(err, x.Pos())
	}
	return n, nil
}

type binder struct {
	o         BindOptions
	depth     int
	aggregate bool // inside the arguments of an aggregate
	window    bool // inside a window function
}

// bind gives every error the place of the innermost node it arose in.
func (b *binder) bind(x dialect.Expr) (Node, error) {
	b.depth++
	defer func() { b.depth-- }()
	if b.depth > maxDepth {
		return nil, errAt(x.Pos(), wire.CodeInvalidSQL, "expression nests deeper than ", strconv.Itoa(maxDepth), " levels")
	}
	if err := b.o.Budget.Spend(stepsToBind); err != nil {
		return nil, err
	}
	n, err := b.bindNode(x)
	if err != nil {
		return nil, place(err, x.Pos())
	}
	return n, nil
}

// stepsToBind is what binding a node costs, beside the evaluation of constants.
const stepsToBind = 32

func (b *binder) bindNode(x dialect.Expr) (Node, error) {
	switch x := x.(type) {
	case *dialect.Null:
		return &constant{}, nil
	case *dialect.Bool:
		return &constant{wire.BoolValue(x.Value), boolean}, nil
	case *dialect.Number:
		return bindNumber(x, "")
	case *dialect.String:
		return &untyped{x.Value}, checkText(x.Value)
	case *dialect.Typed:
		return b.bindTyped(x)
	case *dialect.Param:
		return b.bindParam(x)
	case *dialect.Column:
		return b.bindColumn(x)
	case *dialect.Unary:
		return b.bindUnary(x)
	case *dialect.Binary:
		return b.bindBinary(x)
	case *dialect.Is:
		return b.bindIs(x)
	case *dialect.In:
		return b.bindIn(x)
	case *dialect.Between:
		return b.bindBetween(x)
	case *dialect.Like:
		return b.bindLike(x)
	case *dialect.Case:
		return b.bindCase(x)
	case *dialect.Cast:
		return b.bindCast(x)
	case *dialect.Call:
		return b.bindCall(x)
	case *dialect.Scalar:
		return b.bindScalar(x)
	case *dialect.Quantified:
		return b.bind(x.Plain())
	case *dialect.Exists:
		return b.bindExists(x)
	case *dialect.Tuple:
		return nil, unsupported("row values")
	case *dialect.FileRef:
		return nil, wire.NewError(wire.CodeInvalidInput, `FILE("name") stands only where a column of type FILE gets its value, in INSERT ... VALUES and in SET`)
	case *dialect.Default:
		return nil, wire.NewError(wire.CodeInvalidSQL, "DEFAULT is not allowed in this context")
	}
	return nil, unsupported("this expression")
}

func unsupported(what string) error {
	return wire.NewError(wire.CodeUnsupported, what, " are not supported here")
}

func (b *binder) bindAll(list []dialect.Expr) ([]Node, error) {
	out := make([]Node, len(list))
	for i, x := range list {
		n, err := b.bind(x)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

func (b *binder) bindParam(x *dialect.Param) (Node, error) {
	ps := b.o.Params
	if ps == nil {
		return nil, wire.NewError(wire.CodeParameterCount, "parameters are not allowed here")
	}
	if x.N < 1 || x.N > len(ps.Types) {
		return nil, wire.NewError(wire.CodeParameterCount, "parameter $", strconv.Itoa(x.N), " has no value: ",
			strconv.Itoa(len(ps.Types)), " given")
	}
	ps.Used = max(ps.Used, x.N)
	return &param{x.N, ps}, nil
}

func (b *binder) bindColumn(x *dialect.Column) (Node, error) {
	if b.o.Names == nil {
		return nil, wire.NewError(wire.CodeColumnNotFound, "No field named ", x.Name[len(x.Name)-1].Name)
	}
	c, err := b.o.Names.Column(x.Name)
	if err != nil {
		return nil, err
	}
	return &column{c}, nil
}

// bindTyped reads DATE '2024-01-31' and the like.
func (b *binder) bindTyped(x *dialect.Typed) (Node, error) {
	t, m, err := castType(x.Type)
	if err != nil {
		return nil, err
	}
	n, err := resolve(&untyped{x.Value}, t)
	if err != nil {
		return nil, err
	}
	return withModifier(n, m, true)
}

func (b *binder) bindCast(x *dialect.Cast) (Node, error) {
	n, err := b.bind(x.X)
	if err != nil {
		return nil, err
	}
	t, m, err := castType(x.Type)
	if err != nil {
		return nil, err
	}
	if n, err = convert(n, t, explicit); err != nil {
		return nil, err
	}
	return withModifier(n, m, true)
}

// castType is ParseType with the modifier, for what is no type of a column: an
// interval is one, and a serial is not.
func castType(name dialect.TypeName) (t wire.Type, m Modifier, err error) {
	if IsSerial(name.Name) {
		return t, 0, errAt(name.Pos, wire.CodeInvalidSQL, `type "`, name.Name, `" does not exist`)
	}
	t = typeOf(Interval)
	if name.Name != "interval" {
		if t, err = ParseType(name); err != nil {
			return t, 0, err
		}
	}
	m, err = ParseModifier(name, t)
	return t, m, err
}

func (b *binder) bindUnary(x *dialect.Unary) (Node, error) {
	if x.Op == "NOT" {
		n, err := b.condition(x.X, "NOT")
		if err != nil {
			return nil, err
		}
		return &not{n}, nil
	}
	if number, sign := signed(x, ""); number != nil {
		return bindNumber(number, sign)
	}
	n, err := b.bind(x.X)
	if err != nil {
		return nil, err
	}
	return b.operator(x.Op, n)
}

// signed takes the minus signs before a literal into it, as PostgreSQL does;
// nil if x is anything else.
func signed(x *dialect.Unary, sign string) (*dialect.Number, string) {
	if x.Op != "-" {
		return nil, ""
	}
	if sign == "" {
		sign = "-"
	} else {
		sign = ""
	}
	switch y := x.X.(type) {
	case *dialect.Number:
		return y, sign
	case *dialect.Unary:
		return signed(y, sign)
	}
	return nil, ""
}

// operator binds an operator of the table.
func (b *binder) operator(op string, args ...Node) (Node, error) {
	f, many := choose(operators[op], kindsOf(args))
	if many {
		f, many = choose(likeValues(operators[op], args), openKinds(args))
	}
	if f == nil {
		return nil, errNoOperator(op, args, many)
	}
	return newCall(f, args)
}

// kindsOf are the kinds of the arguments for choosing an overload. Where
// all are open, a parameter counts as what its value is.
func kindsOf(args []Node) []wire.Kind {
	kinds := make([]wire.Kind, len(args))
	open := true
	for i, a := range args {
		kinds[i] = kindOf(a)
		open = open && kinds[i] == wire.Unknown
	}
	if !open {
		return kinds
	}
	for i, a := range args {
		if p, ok := a.(*param); ok {
			kinds[i] = p.ps.Types[p.n-1].Kind
		}
	}
	return kinds
}

// likeValues are the candidates that take each open parameter for what its
// value is, a number or a text.
func likeValues(candidates []*function, args []Node) []*function {
	var out []*function
	for _, f := range candidates {
		like := len(f.args) == len(args)
		for i, a := range args {
			if p, ok := a.(*param); ok && like && isOpen(a) {
				like = categoryOf(f.args[i]) == categoryOf(p.Type().Kind)
			}
		}
		if like {
			out = append(out, f)
		}
	}
	return out
}

func errNoOperator(op string, args []Node, many bool) error {
	what := op + " " + openName(args[0])
	if len(args) == 2 {
		what = openName(args[0]) + " " + op + " " + openName(args[1])
	}
	if many {
		return wire.NewError(wire.CodeTypeMismatch, "operator is not unique: ", what)
	}
	return wire.NewError(wire.CodeTypeMismatch, "operator does not exist: ", what)
}

func openName(n Node) string {
	if isOpen(n) {
		return kindSQL[wire.Unknown]
	}
	return TypeName(n.Type())
}

func (b *binder) bindBinary(x *dialect.Binary) (Node, error) {
	switch x.Op {
	case "AND", "OR":
		return b.bindJunction(x)
	case "=", "<>", "<", "<=", ">", ">=":
		if l, r, ok, err := tuples(x.L, x.R); ok {
			if err != nil {
				return nil, err
			}
			return b.compareTuples(x.Op, l, r)
		}
	}
	l, err := b.bind(x.L)
	if err != nil {
		return nil, err
	}
	r, err := b.bind(x.R)
	if err != nil {
		return nil, err
	}
	switch x.Op {
	case "=", "<>", "<", "<=", ">", ">=":
		c, err := newComparison(x.Op, l, r)
		if err != nil {
			return nil, err
		}
		return c, nil
	case "||":
		return b.concat(l, r)
	case "->", "->>", "?", "#>", "#>>", "?|", "?&":
		if l, r, err = jsonOperands(x.Op, l, r); err != nil {
			return nil, err
		}
	}
	return b.operator(x.Op, l, r)
}

// concat is ||: of BYTES, or of anything with a text.
func (b *binder) concat(l, r Node) (Node, error) {
	lk, rk := kindOf(l), kindOf(r)
	if lk == wire.JSON && (rk == wire.JSON || rk == wire.Unknown) || rk == wire.JSON && lk == wire.Unknown {
		return b.operator("||", l, r)
	}
	if lk == wire.Bytes && categoryOf(rk) != catString || rk == wire.Bytes && categoryOf(lk) != catString {
		return b.operator("||", l, r)
	}
	if categoryOf(lk) != catString && categoryOf(rk) != catString && lk != wire.Unknown && rk != wire.Unknown {
		return nil, errNoOperator("||", []Node{l, r}, false)
	}
	return joinText(l, r)
}

// joinText converts both to TEXT and joins them.
func joinText(l, r Node) (Node, error) {
	l, err := convert(l, typeOf(wire.Text), explicit)
	if err != nil {
		return nil, err
	}
	if r, err = convert(r, typeOf(wire.Text), explicit); err != nil {
		return nil, err
	}
	return newCall(concatText, []Node{l, r})
}
