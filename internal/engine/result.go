package engine

import (
	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// rowList collects rows within the limits of a result.
type rowList struct {
	e     *Engine
	rows  [][]wire.Value
	bytes int

	run     *run // whose budget the bytes are charged to; nil for none
	charged int
}

// smallResult is how many bytes of a result nobody counts.
const smallResult = 64 << 10

func (l *rowList) add(row []wire.Value) error {
	if len(l.rows) == l.e.options.MaxRows {
		return wire.NewError(wire.CodeResultTooLarge, "the result has more than ", itoa(l.e.options.MaxRows), " rows, which is the server's limit (limits.max_rows); narrow it with WHERE or LIMIT")
	}
	size := 0
	for _, v := range row {
		size += 32 + len(v.Raw())
	}
	l.bytes += size
	if more := l.bytes - l.charged; more > smallResult && l.run != nil {
		if err := l.run.budget.Charge(more); err != nil {
			return err
		}
		l.charged = l.bytes
	}
	if l.bytes > l.e.options.MaxBytes {
		return wire.NewError(wire.CodeResultTooLarge, "the result is larger than ", itoa(l.e.options.MaxBytes), " bytes, which is the server's limit (limits.max_result_bytes); narrow it with WHERE or LIMIT")
	}
	if l.run != nil {
		if err := l.run.hold.Add(size); err != nil {
			return err
		}
	}
	l.rows = append(l.rows, row)
	return nil
}

// end completes a result with the rows, unless reading them failed.
func (l *rowList) end(res wire.Result, err error) (wire.Result, error) {
	if err != nil {
		return wire.Result{}, err
	}
	res.Rows, res.RowCount = l.rows, len(l.rows)
	return res, nil
}

// returned collects the rows of RETURNING.
type returned struct {
	*bind.Returning
	asked *Prepared // computes the items that hold sub-queries; nil for none
	list  rowList
}

// returning is a bound RETURNING; nil where the statement has none.
type returning struct {
	*bind.Returning
	asked *Prepared
}

func bindReturning(ret *bind.Returning, target expr.Target) *returning {
	switch {
	case ret == nil:
		return nil
	case ret.Asked == nil:
		return &returning{Returning: ret}
	}
	return &returning{ret, Prepare(ret.Asked.Printed(target))}
}

// begin begins to collect rows.
func (ret *returning) begin(r *run) *returned {
	if ret == nil {
		return nil
	}
	return &returned{Returning: ret.Returning, asked: ret.asked, list: rowList{e: r.e, run: r}}
}

// ask computes the items that hold sub-queries on env.Row, which is not written
// yet.
func (ret *returned) ask(tx *store.Tx, env *expr.Env) (asked []wire.Value, err error) {
	if ret == nil || ret.asked == nil {
		return nil, nil
	}
	return ret.query(tx, env)
}

func (ret *returned) query(tx *store.Tx, env *expr.Env) (asked []wire.Value, err error) {
	err = ret.asked.Run(tx, env, func(row []wire.Value) error {
		asked = row
		return nil
	})
	return asked, err
}

// add evaluates the clause on env.Row, for which asked was computed.
func (ret *returned) add(env *expr.Env, asked []wire.Value) error {
	if ret == nil {
		return nil
	}
	row := make([]wire.Value, len(ret.Items))
	for i, n := range ret.Items {
		var err error
		if n == nil {
			row[i], asked = asked[0], asked[1:]
		} else if row[i], err = n.Eval(env); err != nil {
			return err
		}
	}
	return ret.list.add(row)
}

// result is that of a statement that changed n rows.
func (ret *returned) result(n int, did string, env *expr.Env) wire.Result {
	res := wire.Result{RowCount: n, Message: did + " " + itoa(n) + " row(s)", AsUser: env.User}
	if ret != nil {
		res.Schema, res.Rows = ret.Fields, ret.list.rows
	}
	return res
}

// SizeOf is what a row takes in memory, roughly.
func SizeOf(row []wire.Value) int {
	n := 0
	for _, v := range row {
		n += 16 + len(v.Raw())
	}
	return n
}
