package expr

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// constant is a value that is known when the statement is bound.
type constant struct {
	v wire.Value
	t wire.Type
}

// Const makes a constant.
func Const(v wire.Value, t wire.Type) Node { return &constant{v, t} }

func (c *constant) Type() wire.Type               { return c.t }
func (c *constant) Eval(*Env) (wire.Value, error) { return c.v, nil }

// untyped is a text literal whose type its context has not decided. Where
// nothing decides it is TEXT.
type untyped struct{ text string }

func (u *untyped) Type() wire.Type               { return typeOf(wire.Text) }
func (u *untyped) Eval(*Env) (wire.Value, error) { return wire.TextValue(u.text), nil }

// param is $n. Its type is in Params, because a later context may decide it.
type param struct {
	n  int
	ps *Params
}

func (p *param) Type() wire.Type {
	t := p.ps.Types[p.n-1]
	if t.Kind == wire.Unknown {
		return typeOf(wire.Text)
	}
	return t
}

func (p *param) Eval(env *Env) (wire.Value, error) { return env.Params[p.n-1], nil }

// isFixed reports whether a context has decided the type of $n.
func (p *Params) isFixed(n int) bool { return n <= len(p.fixed) && p.fixed[n-1] }

func (p *Params) fix(n int, t wire.Type) {
	for len(p.fixed) < len(p.Types) {
		p.fixed = append(p.fixed, false)
	}
	p.fixed[n-1] = true
	p.Types[n-1] = t
}

// upload is FILE("name"): the file of that name which came with the statement.
type upload struct{ name string }

// Upload makes the value of FILE("name").
func Upload(name string) Node { return &upload{name} }

func (u *upload) Type() wire.Type                   { return typeOf(wire.File) }
func (u *upload) Eval(env *Env) (wire.Value, error) { return env.Files[u.name], nil }

// column is a reference to a column of the row.
type column struct{ c *Column }

// Ref makes a reference to a column.
func Ref(c *Column) Node { return &column{c} }

func (c *column) Type() wire.Type                   { return c.c.T }
func (c *column) Eval(env *Env) (wire.Value, error) { return env.Row[c.c.Index], nil }

// isOpen reports whether the type of n is still to be decided by its context.
func isOpen(n Node) bool {
	switch n := n.(type) {
	case *untyped:
		return true
	case *constant:
		return n.t.Kind == wire.Unknown
	case *param:
		return !n.ps.isFixed(n.n)
	}
	return false
}

// IsOpen reports whether the type of n is still to be decided by its context.
func IsOpen(n Node) bool { return isOpen(n) }

// kindOf is the kind of n for choosing an overload: Unknown while it is open.
func kindOf(n Node) wire.Kind {
	if isOpen(n) {
		return wire.Unknown
	}
	return n.Type().Kind
}

// resolve gives an open node the type t; any other is returned as it is.
func resolve(n Node, t wire.Type) (Node, error) {
	switch x := n.(type) {
	case *untyped:
		v, err := parseInput(x.text, t)
		if err != nil {
			return nil, err
		}
		return &constant{v, t}, nil
	case *constant:
		if x.t.Kind == wire.Unknown {
			return &constant{x.v, t}, nil
		}
	case *param:
		if !x.ps.isFixed(x.n) {
			x.ps.fix(x.n, t)
		}
	}
	return n, nil
}

// Settle decides the type of a node that nothing else has decided, as the
// columns of a query must. The error is a *wire.Error.
// An INTERVAL, which no result and no column holds, becomes its TEXT.
func Settle(n Node) (Node, error) {
	n, err := settle(n)
	if err == nil && n.Type().Kind == Interval {
		return convert(n, typeOf(wire.Text), explicit)
	}
	return n, err
}

// settle gives an open node the type it has without a context: a parameter
// that of its value, a text literal and a bare NULL that of text.
func settle(n Node) (Node, error) {
	if p, ok := n.(*param); ok {
		return resolve(n, p.Type())
	}
	return resolve(n, typeOf(wire.Text))
}

// maxDecimalDigits bounds a number on either side of its point.
const maxDecimalDigits = 1000

// bindNumber types a numeric literal: INT if it fits, else BIGINT, else
// DECIMAL; DECIMAL with a point or an exponent. A minus sign before it is part
// of it.
func bindNumber(x *dialect.Number, sign string) (Node, error) {
	text := strings.ReplaceAll(x.Text, "_", "")
	if len(text) > 2 && text[0] == '0' && strings.ContainsRune("xXoObB", rune(text[1])) {
		n, err := strconv.ParseInt(sign+text, 0, 64)
		if err != nil {
			return nil, errAt(x.Pos(), wire.CodeNumericOutOfRange, "integer ", cut(text), " is out of range")
		}
		return intConst(n), nil
	}
	text = sign + text
	if !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return intConst(n), nil
		}
	}
	d, err := parseDecimal(text)
	if err != nil {
		return nil, place(err, x.Pos())
	}
	return decimalConst(d), nil
}

func intConst(n int64) Node {
	if n == int64(int32(n)) {
		return &constant{wire.IntValue(n), typeOf(wire.Int)}
	}
	return &constant{wire.IntValue(n), typeOf(wire.BigInt)}
}

// checkText refuses text that no TEXT may hold.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return wire.NewError(wire.CodeInvalidText, "invalid byte sequence for encoding UTF8")
	}
	if strings.IndexByte(s, 0) >= 0 {
		return wire.NewError(wire.CodeInvalidText, "text must not hold the character NUL")
	}
	return nil
}
