// Package watch holds what a live query means: its rows at one position of the
// change log, and what a change is to it. It knows nothing of subscriptions.
//
// One flow: package live binds a query, sends its snapshot, and asks of each
// change of its scope what Event it is.
package watch

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Watch is a live query bound for one user. It is safe for concurrent use.
type Watch struct {
	Fields []wire.Field   // of every row that it sends
	Table  *catalog.Table // what it watches
	Scope  string         // whose changes it sees; "" in a SHARED table
	Key    string         // equal for live queries of a scope that send the same

	// Column, when it is not negative, is a column of the table that every row of
	// the filter has at Value.
	Column int
	Value  wire.Value

	s     *Service
	bound *bind.Watch
	env   expr.Env // template: user, role and parameters
}

// Options limit what a live query may use. The zero value works.
type Options struct {
	MaxReplaced int // rows yet to be sent of a snapshot that may have changed; default 200,000, 16 bytes each
}

// Service binds live queries.
type Service struct {
	db      *store.DB
	engine  *engine.Engine
	options Options
}

// New makes a service on an open database.
func New(db *store.DB, e *engine.Engine, o Options) *Service {
	o.MaxReplaced = cmp.Or(o.MaxReplaced, 200_000)
	return &Service{db: db, engine: e, options: o}
}

// Bind binds a live query for who. A table that is named without a namespace is
// in the given one; with none, that is refused.
func (s *Service) Bind(ctx context.Context, who *identity.Principal, namespace, sql string, params []wire.Value) (*Watch, error) {
	bound, env, err := s.engine.BindLive(ctx, who, namespace, sql, params)
	if err != nil {
		return nil, err
	}
	w := &Watch{Fields: bound.Fields, Table: bound.Table(), s: s, bound: bound, env: *env}
	if w.Table.Kind.Private() {
		w.Scope = who.UserID
	}
	w.env.Budget = nil // that of the binding
	w.Column = -1
	if column, value, ok := bound.Equal(env); ok {
		w.Column, w.Value = column, value
	}
	w.Key = watchKey(who, bound.UsesCaller, namespace, sql, env.Params)
	return w, nil
}

func watchKey(who *identity.Principal, usesCaller bool, namespace, sql string, params []wire.Value) string {
	var b strings.Builder
	words := []string{namespace, sql}
	if usesCaller {
		words = append(words, who.UserID, who.Role)
	}
	for _, s := range words {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	for _, v := range params {
		b.WriteByte(byte('0' + v.Tag()))
		text := string(wire.AppendCell(nil, wire.Type{Kind: wire.Text}, v))
		if v.Tag() != wire.TagText {
			text = strconv.Itoa(int(v.Int())) + wireBits(v)
		}
		b.WriteString(strconv.Itoa(len(text)))
		b.WriteByte(':')
		b.WriteString(text)
	}
	return b.String()
}

// wireBits distinguishes floats and booleans in a key.
func wireBits(v wire.Value) string {
	return string(wire.AppendCell(nil, wire.Type{Kind: wire.Double}, wire.FloatValue(v.Float()))) + string(wire.AppendCell(nil, wire.Type{Kind: wire.Boolean}, wire.BoolValue(v.Bool()))) + v.Raw()
}

// Positions are where the change log stands for a live query.
type Positions struct {
	Newest store.Seq // of the newest change of all
	Floor  store.Seq // how far the log has been trimmed
	// Mark is the newest position that a client is told. Everything of the scope
	// up to Newest has come up to Mark, so it is as good to resume from, but it
	// does not tell when others write.
	Mark store.Seq
}

// Positions reads where the log stands.
func (w *Watch) Positions(ctx context.Context) (p Positions, err error) {
	err = w.s.db.For(w.env.User).Read(ctx, func(tx *store.Tx) error {
		if p.Newest, err = tx.Newest(); err != nil {
			return err
		}
		if p.Mark, err = w.mark(tx, p.Newest); err != nil {
			return err
		}
		p.Floor, err = tx.Floor()
		return err
	})
	return p, w.s.engine.Visible(ctx, err)
}

// mark is the Mark of a snapshot whose newest change of all is newest: the
// newest change of the scope, or the hour before the last one where that is
// later, so that whoever subscribes to what seldom changes does not fall behind
// the log. Since others can be seen by it only when nobody has written for an
// hour, and then to the hour, it keeps their secret.
func (w *Watch) mark(tx *store.Tx, newest store.Seq) (store.Seq, error) {
	own, err := tx.NewestOf(w.Table.ID, w.Scope)
	hour := store.TimeOf(min(newest, store.SeqAt(w.s.db.Now().Add(-time.Hour)))).Truncate(time.Hour)
	return max(own, store.SeqAt(hour)), err
}

// Floor reads how far the log has been trimmed.
func (w *Watch) Floor(ctx context.Context) (floor store.Seq, err error) {
	err = w.s.db.For(w.env.User).Read(ctx, func(tx *store.Tx) error {
		floor, err = tx.Floor()
		return err
	})
	return floor, w.s.engine.Visible(ctx, err)
}

// Log reads the changes of the watched table and scope with after < Seq <=
// upTo: limit at most, and fewer when they are large. Then the last of them is
// returned as reached, else upTo.
func (w *Watch) Log(ctx context.Context, after, upTo store.Seq, limit int) (out []*store.Change, reached store.Seq, err error) {
	err = w.s.db.For(w.env.User).Read(ctx, func(tx *store.Tx) error {
		size := 0
		return tx.Changes(w.Table.ID, w.Scope, after, upTo, limit, func(c *store.Change) error {
			if size >= pageBytes {
				return errPageFull
			}
			size += c.Size()
			out = append(out, c)
			return nil
		})
	})
	full := errors.Is(err, errPageFull) || len(out) == limit
	if errors.Is(err, errPageFull) {
		err = nil
	}
	if reached = upTo; full {
		reached = out[len(out)-1].Seq
	}
	return out, reached, w.s.engine.Visible(ctx, err)
}

// Event is what a change means to a live query.
type Event struct {
	Op  store.Op
	Row []wire.Value // by Fields: the new row, or for a delete the old one
	Old []wire.Value // by Fields: the replaced row of an update
}

// Event computes what a change of the watched table and scope means: a row that
// enters the filter is an insert, one that leaves it a delete. ok is false when
// it means nothing.
func (w *Watch) Event(c *store.Change) (ev Event, ok bool, err error) {
	defer func() {
		// A bug in an expression ends the live queries that use it and no more.
		if p := recover(); p != nil {
			err = w.s.engine.Panicked("a live query", p)
		}
	}()
	// One allocation for both.
	of := &struct {
		env    expr.Env
		budget budget.Budget
	}{env: w.env}
	env := &of.env
	env.Budget = &of.budget
	env.Budget.Start(context.Background(), time.Now().Add(eventTime), w.s.db.Account())
	env.Budget.Limit(eventSteps)
	defer env.Budget.End()
	defer func() {
		if errors.Is(err, budget.ErrStopped) {
			err = wire.NewError(wire.CodeStatementTimeout, "the live query takes too long for one change: its filter and its columns have ", strconv.Itoa(eventSteps/1000), "k steps; make them simpler and subscribe again")
		}
	}()
	var before, after bool
	var old, row []wire.Value
	if c.Old != nil {
		env.Row = systemRow(c.Old, c.OldSeq)
		if before, err = w.bound.Match(env); err != nil {
			return ev, false, err
		}
		if before {
			if c.New == nil {
				// A deleted row goes out with the position of its end.
				env.Row = systemRow(c.Old, c.Seq)
			}
			if old, err = w.bound.Project(env); err != nil {
				return ev, false, err
			}
		}
	}
	if c.New != nil {
		env.Row = systemRow(c.New, c.Seq)
		if after, err = w.bound.Match(env); err != nil {
			return ev, false, err
		}
		if after {
			if row, err = w.bound.Project(env); err != nil {
				return ev, false, err
			}
		} else if before {
			env.Row = systemRow(c.Old, c.Seq)
			if old, err = w.bound.Project(env); err != nil {
				return ev, false, err
			}
		}
	}
	switch {
	case before && after:
		return Event{Op: store.OpUpdate, Row: row, Old: old}, true, nil
	case after:
		return Event{Op: store.OpInsert, Row: row}, true, nil
	case before:
		return Event{Op: store.OpDelete, Row: old}, true, nil
	}
	return ev, false, nil
}

// eventSteps and eventTime bound what one change may cost a live query, which
// others wait behind. The time is for a busy machine and seldom counts.
const (
	eventSteps = 2_000_000
	eventTime  = 5 * time.Second
)

// systemRow is a row with its system columns.
func systemRow(row []wire.Value, seq store.Seq) []wire.Value {
	out := make([]wire.Value, len(row)+2)
	copy(out, row)
	out[len(row)] = wire.IntValue(seq)
	out[len(row)+1] = wire.BoolValue(false)
	return out
}
