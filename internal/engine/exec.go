package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

func errRevoked() error {
	return wire.NewError(wire.CodeInvalidCredentials, "Invalid credentials: the session has ended meanwhile, and nothing was written")
}

// exec runs a plan in a transaction. Whoever was dropped or disabled since the
// request began writes nothing any more, and nobody writes for them.
func (r *run) exec(tx *store.Tx, p *plan, params []wire.Value) (wire.Result, error) {
	if r.e.users.Revoked(r.who) {
		return wire.Result{}, errRevoked()
	}
	if user := p.subject(params); user != "" && user != r.who.UserID {
		if may, err := identity.MayActAs(tx, r.who, user); err != nil || !may {
			return wire.Result{}, r.mayNotActAs(p.source, p.as.Pos(), err)
		}
		r.e.users.Impersonated(r.trail, r.who, user, r.addr, dialect.Redact(p.source))
	}
	if p.other != nil {
		return p.other(r, tx, p)
	}
	env, err := r.env(p, params)
	if err != nil {
		return wire.Result{}, err
	}
	if err := r.addFiles(tx, p, env); err != nil {
		return wire.Result{}, err
	}
	var res wire.Result
	switch {
	case p.query != nil:
		res, err = r.query(p, env, tx.Query)
	case p.in != nil:
		env.Serial = func(id int) (int64, error) { return tx.NextSerial(p.table, owner(p.table, env), id) }
		res, err = r.insert(tx, p, env)
	case len(p.ch.Set) > 0:
		res, err = r.update(tx, p, env)
	default:
		res, err = r.delete(tx, p, env)
	}
	res.AsUser = env.User
	return res, err
}

// querier runs one statement of the engine.
type querier func(s *store.Stmt, args []wire.Value, row func([]wire.Value) error) error

// query runs a SELECT.
func (r *run) query(p *plan, env *expr.Env, query querier) (wire.Result, error) {
	if err := p.query.Check(env); err != nil {
		return wire.Result{}, err
	}
	res := wire.Result{Schema: p.query.Fields(), AsUser: env.User}
	out := rowList{e: r.e, run: r, width: len(res.Schema)}
	if err := query(p.rows, p.values(env), out.add); err != nil {
		return wire.Result{}, err
	}
	res.Rows, res.RowCount = out.rows, len(out.rows)
	return res, nil
}

// rowList collects rows within the limits of a result.
type rowList struct {
	e     *Engine
	width int
	rows  [][]wire.Value
	slab  []wire.Value // room for the next rows
	bytes int

	run     *run // whose budget the bytes are charged to; nil for none
	charged int
}

// smallResult is how many bytes of a result nobody counts.
const smallResult = 64 << 10

// charge counts bytes of a result, which are held until the request has ended.
func (r *run) charge(bytes int) error {
	if r.budget == nil {
		r.budget = r.e.db.Budget(context.Background())
	}
	return r.budget.Charge(bytes)
}

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
		if err := l.run.charge(more); err != nil {
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
	if len(l.slab) < l.width {
		l.slab = make([]wire.Value, l.width*min(max(1, len(l.rows)), 256))
	}
	own := l.slab[:l.width:l.width]
	l.slab = l.slab[l.width:]
	copy(own, row)
	l.rows = append(l.rows, own)
	return nil
}

// returned collects the rows of RETURNING.
type returned struct {
	*bind.Returning
	p    *plan
	list rowList
}

func (r *run) returning(p *plan, ret *bind.Returning) *returned {
	if ret == nil {
		return nil
	}
	return &returned{Returning: ret, p: p, list: rowList{e: r.e, run: r, width: len(ret.Items)}}
}

// ask computes the items that hold sub-queries on env.Row, which is not written
// yet.
func (ret *returned) ask(tx *store.Tx, env *expr.Env) (asked []wire.Value, err error) {
	if ret == nil || ret.p.asked == nil {
		return nil, nil
	}
	err = tx.Query(ret.p.asked, resolve(ret.p.askedArgs, env), func(row []wire.Value) error {
		asked = slices.Clone(row)
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

func (ret *returned) result(n int, message string) wire.Result {
	res := wire.Result{RowCount: n, Message: message + " " + itoa(n) + " row(s)"}
	if ret != nil {
		res.Schema, res.Rows = ret.Fields, ret.list.rows
	}
	return res
}

// owner is whose rows the statement writes.
func owner(t *catalog.Table, env *expr.Env) string {
	if t.Kind.Private() {
		return env.User
	}
	return ""
}

// system fills in the system columns of a row.
func system(t *catalog.Table, row []wire.Value, seq store.Seq) {
	row[len(t.Columns)] = wire.IntValue(seq)
	row[len(t.Columns)+1] = wire.BoolValue(false)
}

// touched is a row that an UPDATE or DELETE found.
type touched struct {
	old []wire.Value // with the system columns
	seq store.Seq
	set []wire.Value // what the query computed for SET
	new []wire.Value
	// others are the columns of FROM or USING that RETURNING sees.
	others []wire.Value
	asked  []wire.Value // of RETURNING
}

// shown is what RETURNING sees of a row.
func (t *touched) shown(row []wire.Value) []wire.Value {
	if len(t.others) == 0 {
		return row
	}
	return slices.Concat(row, t.others)
}

// touch reads the rows that a change is about. With FROM or USING a row may
// match several times: the first counts.
func (r *run) touch(tx *store.Tx, p *plan, env *expr.Env) ([]touched, error) {
	n := len(p.table.Columns)
	var rows []touched
	seen := make(map[store.Seq]bool)
	bytes := 0
	err := r.found(tx, p, env, func(row []wire.Value) error {
		seq := row[n].Int()
		if seen[seq] {
			return nil
		}
		seen[seq] = true
		if bytes += sizeOf(row); bytes > 4*r.e.options.MaxBytes {
			return wire.NewError(wire.CodeResultTooLarge, "the statement changes more rows than fit the server's limit (four times limits.max_result_bytes); split it into several with a narrower WHERE")
		}
		if err := env.Budget.Charge(sizeOf(row)); err != nil {
			return err
		}
		own := make([]wire.Value, n+2)
		copy(own, row)
		system(p.table, own, seq)
		rest := slices.Clone(row[n+1:])
		k := p.ch.Others()
		rows = append(rows, touched{old: own, seq: seq, others: rest[:k], set: rest[k:]})
		return nil
	})
	return rows, err
}

func (r *run) update(tx *store.Tx, p *plan, env *expr.Env) (wire.Result, error) {
	t, n := p.table, len(p.table.Columns)
	rows, err := r.touch(tx, p, env)
	if err != nil {
		return wire.Result{}, err
	}
	ret := r.returning(p, p.ch.Returning)
	for i := range rows {
		row := &rows[i]
		env.Row = row.old
		held := env.Budget.Held()
		next := slices.Clone(row.old)
		for _, a := range p.ch.Set {
			if a.InQuery {
				next[a.Column], row.set = row.set[0], row.set[1:]
			} else if next[a.Column], err = a.Value.Eval(env); err != nil {
				return wire.Result{}, inColumn(t, a.Column, err)
			}
		}
		if err := r.takeFiles(tx, t, env, row.old, next); err != nil {
			return wire.Result{}, err
		}
		env.Row = next
		if err := p.ch.Check(env); err != nil {
			return wire.Result{}, err
		}
		env.Budget.Release(held)
		if err := env.Budget.Charge(sizeOf(next)); err != nil {
			return wire.Result{}, err
		}
		row.new = next
		env.Row = row.shown(next)
		if row.asked, err = ret.ask(tx, env); err != nil {
			return wire.Result{}, err
		}
	}
	// Rows that change their key leave first, so that keys may swap.
	moves := func(row *touched) bool {
		return slices.ContainsFunc(t.Key, func(k int) bool { return row.new[k] != row.old[k] })
	}
	user := owner(t, env)
	for i := range rows {
		if row := &rows[i]; moves(row) {
			if err := tx.Delete(t, user, row.seq, row.old[:n:n]); err != nil {
				return wire.Result{}, err
			}
		}
	}
	for i := range rows {
		row := &rows[i]
		seq := row.seq
		switch {
		case moves(row):
			seq, err = tx.Insert(t, user, row.new[:n:n])
		case !slices.Equal(row.new, row.old): // else it is counted, and not announced
			seq, err = tx.Update(t, user, row.seq, row.old[:n:n], row.new[:n:n])
		}
		if err != nil {
			return wire.Result{}, r.conflict(t, err)
		}
		system(t, row.new, seq)
		env.Row = row.shown(row.new)
		if err := ret.add(env, row.asked); err != nil {
			return wire.Result{}, err
		}
	}
	return ret.result(len(rows), "Updated"), nil
}

func (r *run) delete(tx *store.Tx, p *plan, env *expr.Env) (wire.Result, error) {
	t, n := p.table, len(p.table.Columns)
	rows, err := r.touch(tx, p, env)
	if err != nil {
		return wire.Result{}, err
	}
	ret := r.returning(p, p.ch.Returning)
	for i := range rows {
		row := &rows[i]
		env.Row = row.shown(row.old)
		if row.asked, err = ret.ask(tx, env); err != nil {
			return wire.Result{}, err
		}
	}
	for _, row := range rows {
		if err := tx.Delete(t, owner(t, env), row.seq, row.old[:n:n]); err != nil {
			return wire.Result{}, err
		}
		env.Row = row.shown(row.old)
		if err := ret.add(env, row.asked); err != nil {
			return wire.Result{}, err
		}
	}
	return ret.result(len(rows), "Deleted"), nil
}

// inColumn says in an error which column the value was for.
func inColumn(t *catalog.Table, i int, err error) error {
	e, ok := err.(*wire.Error)
	if !ok || e.Code == wire.CodeInternal {
		return err
	}
	out := *e
	out.Message = "column " + t.Columns[i].Name + ": " + e.Message
	return &out
}

// conflict words a violated key or unique index.
func (r *run) conflict(t *catalog.Table, err error) error {
	column, ok := r.e.db.Conflict(t, err)
	switch {
	case !ok:
		return err
	case column != "":
		return wire.NewError(wire.CodeUniqueViolation, "unique constraint violation: a row with this value of ", column, " already exists in ", t.FullName())
	}
	names := ""
	for i, k := range t.Key {
		if i > 0 {
			names += ", "
		}
		names += t.Columns[k].Name
	}
	return wire.NewError(wire.CodeUniqueViolation, "Primary key violation: a row with this ", names, " already exists in ", t.FullName())
}

// visible turns an error into one that the caller may see: what is not coded
// is logged under an id and hidden.
func (e *Engine) visible(err error, write bool) error {
	if err == nil {
		return nil
	}
	var coded *wire.Error
	switch {
	case errors.As(err, &coded):
		return coded
	case errors.Is(err, store.ErrYielded):
		return wire.NewError(wire.CodeStatementTimeout, "the write made others wait for longer than a tenth of a second and was rolled back, each time that it was tried; split it into several, each with some thousand rows, or send it when fewer others write")
	case errors.Is(err, store.ErrTimeout) && write:
		return wire.NewError(wire.CodeStatementTimeout, "the write took longer than the server allows (limits.write_timeout) and was rolled back, because other writes wait for it; split it into several, each with a part of the rows: WHERE id BETWEEN 1 AND 10000, and so on")
	case errors.Is(err, store.ErrTimeout):
		return wire.NewError(wire.CodeStatementTimeout, "the statement ran longer than the server allows (limits.statement_timeout) and was cancelled; narrow it with WHERE, or use an index")
	case errors.Is(err, store.ErrMemory):
		return wire.NewError(wire.CodeResultTooLarge, "the statement needed more memory than the server allows (limits.max_memory) and was cancelled; sort, group or join fewer rows with a narrower WHERE")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return wire.NewError(wire.CodeStatementTimeout, "the request was cancelled; a write that was under way has been rolled back")
	case errors.Is(err, store.ErrClosed):
		return wire.NewError(wire.CodeUnavailable, "the server is shutting down")
	}
	id := itoa(int(e.db.NextID()))
	e.options.Logger.Error("statement failed", "id", id, "error", err)
	return wire.NewError(wire.CodeInternal, "internal error; the server's log has it under id ", id)
}
