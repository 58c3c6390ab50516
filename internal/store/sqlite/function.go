package sqlite

import (
	"fmt"

	zs "zombiezen.com/go/sqlite"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// register makes the functions of package expr known to a connection. The
// library loses the error of a function and goes on with its text as the value
// (v1.4.2, Context.resultError), so the first one is kept on the connection, and
// Query returns it after the step.
func register(c *conn) error {
	sq := c.sq
	for _, f := range expr.Functions() {
		err := sq.CreateFunction(f.Name, &zs.FunctionImpl{
			NArgs: len(f.Args), Deterministic: !f.Volatile,
			Scalar: func(_ zs.Context, args []zs.Value) (zs.Value, error) {
				in := make([]wire.Value, len(args))
				for i, a := range args {
					v, err := fromArg(a, f.Args[i])
					if err != nil {
						return zs.Value{}, err
					}
					in[i] = v
				}
				out, err := f.Eval(in)
				if err != nil {
					c.raise(err)
					return zs.Value{}, nil
				}
				return toResult(out, f.Result), nil
			},
		})
		if err != nil {
			return fmt.Errorf("register %s: %w", f.Name, err)
		}
	}
	for _, a := range expr.Aggregates() {
		err := sq.CreateFunction(a.Name, &zs.FunctionImpl{
			NArgs: len(a.Args), Deterministic: true,
			MakeAggregate: func(zs.Context) (zs.AggregateFunction, error) {
				return &aggregate{c: c, spec: a, acc: a.New()}, nil
			},
		})
		if err != nil {
			return fmt.Errorf("register %s: %w", a.Name, err)
		}
	}
	return nil
}

type aggregate struct {
	c    *conn
	spec expr.Aggregate
	acc  expr.Accumulator
}

func (a *aggregate) Step(_ zs.Context, args []zs.Value) error {
	a.pass(args, a.acc.Step)
	return nil
}

func (a *aggregate) WindowInverse(_ zs.Context, args []zs.Value) error {
	a.pass(args, a.acc.Inverse)
	return nil
}

func (a *aggregate) pass(args []zs.Value, to func([]wire.Value) error) {
	in := make([]wire.Value, len(args))
	for i, arg := range args {
		v, err := fromArg(arg, a.spec.Args[i])
		if err != nil {
			a.c.raise(err)
			return
		}
		in[i] = v
	}
	if err := to(in); err != nil {
		a.c.raise(err)
	}
}

func (a *aggregate) WindowValue(zs.Context) (zs.Value, error) {
	v, err := a.acc.Final()
	if err != nil {
		a.c.raise(err)
		return zs.Value{}, nil
	}
	return toResult(v, a.spec.Result), nil
}

func (a *aggregate) Finalize(zs.Context) {}

// raise keeps the error of a function for the statement that called it.
func (c *conn) raise(err error) {
	if c.raised == nil {
		c.raised = err
	}
}

func fromArg(a zs.Value, t wire.Type) (wire.Value, error) {
	switch a.Type() {
	case zs.TypeNull:
		return wire.Null, nil
	case zs.TypeInteger:
		if t.Kind == wire.Boolean {
			return wire.BoolValue(a.Int64() != 0), nil
		}
		if t.Kind == wire.Double || t.Kind == wire.Float {
			return wire.FloatValue(a.Float()), nil
		}
		return wire.IntValue(a.Int64()), nil
	case zs.TypeFloat:
		return wire.FloatValue(a.Float()), nil
	case zs.TypeText:
		return wire.TextValue(a.Text()), nil
	}
	if t.Kind == wire.Decimal {
		text, err := expr.DecodeDecimal(a.Blob(), t.Scale)
		return wire.TextValue(text), err
	}
	return wire.BytesValue(a.Blob()), nil
}

func toResult(v wire.Value, t wire.Type) zs.Value {
	switch v.Tag() {
	case wire.TagBool:
		if v.Bool() {
			return zs.IntegerValue(1)
		}
		return zs.IntegerValue(0)
	case wire.TagInt:
		return zs.IntegerValue(v.Int())
	case wire.TagFloat:
		return zs.FloatValue(v.Float())
	case wire.TagBytes:
		return zs.BlobValue(v.Bytes())
	case wire.TagText:
		if t.Kind == wire.Decimal {
			return zs.BlobValue(expr.EncodeDecimal(v.Text()))
		}
		return zs.TextValue(v.Text())
	}
	return zs.Value{}
}
