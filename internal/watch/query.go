package watch

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// filter is the Query on one table: its rows that pass a filter, each by itself.
type filter struct {
	s      *Service
	bound  *bind.Watch
	env    expr.Env // template: user, role and parameters
	source [1]Source
	key    string

	members *governed // the query that this is part of; nil where no membership decides
}

// Bind binds a live query for who. A table that is named without a namespace is
// in the given one; with none, that is refused.
func (s *Service) Bind(ctx context.Context, who *identity.Principal, namespace, sql string, params []wire.Value) (Query, error) {
	bound, env, err := s.engine.BindLive(ctx, who, namespace, sql, params)
	if err != nil {
		return nil, err
	}
	f := &filter{s: s, bound: bound, env: *env, source: [1]Source{{Table: bound.Table(), Column: -1}}}
	of := &f.source[0]
	if of.Table.Kind.Private() {
		of.User = who.UserID
	}
	f.env.Budget = nil // that of the binding
	if column, value, ok := bound.Equal(env); ok {
		of.Column, of.Value = column, value
	}
	if of.Column < 0 && bound.Governed() && len(bound.Members) == 0 {
		of.Keys, _ = bound.Cover(env)
	}
	f.key = watchKey(of, who, bound.UsesCaller, namespace, sql, env.Params)
	if g := f.govern(); g != nil {
		return g, nil
	}
	return f, nil
}

func (f *filter) Fields() []wire.Field  { return f.bound.Fields }
func (f *filter) Key() string           { return f.key }
func (f *filter) Sources() []Source     { return f.source[:] }
func (f *filter) table() *catalog.Table { return f.source[0].Table }

func (f *filter) Position(ctx context.Context) (Position, error) {
	return f.s.Position(ctx, f.env.User, f.Sources())
}

// watchKey is the key of a query on a source: the definition of the table and
// whose rows it reads, and what it says.
func watchKey(of *Source, who *identity.Principal, usesCaller bool, namespace, sql string, params []wire.Value) string {
	var b strings.Builder
	words := []string{strconv.FormatInt(of.Table.ID, 36), strconv.Itoa(of.Table.Version), of.User, namespace, sql}
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

// Apply computes what a change is: a row that enters the filter is an insert, one
// that leaves it a delete.
func (f *filter) Apply(ctx context.Context, c *store.Change) (events []Event, err error) {
	defer func() {
		// A bug in an expression ends the live queries that use it and no more.
		if p := recover(); p != nil {
			err = f.s.engine.Panicked("a live query", p)
		}
	}()
	// One allocation for both.
	of := &struct {
		env    expr.Env
		budget budget.Budget
	}{env: f.env}
	env := &of.env
	env.Budget = &of.budget
	env.Budget.Start(ctx, time.Now().Add(eventTime), f.s.db.Account())
	env.Budget.Limit(eventSteps)
	defer env.Budget.End()
	defer func() {
		if errors.Is(err, budget.ErrStopped) && ctx.Err() == nil {
			err = wire.NewError(wire.CodeStatementTimeout, "the live query takes too long for one change: its filter and its columns have ", strconv.Itoa(eventSteps/1000), "k steps; make them simpler and subscribe again")
		}
	}()
	var before, after bool
	var old, row []wire.Value
	if c.Old != nil {
		env.Row = systemRow(c.Old, c.OldSeq)
		if before, err = f.bound.Match(env); err != nil {
			return nil, err
		}
		if before {
			if c.New == nil {
				// A deleted row goes out with the position of its end.
				env.Row = systemRow(c.Old, c.Seq)
			}
			if old, err = f.bound.Project(env); err != nil {
				return nil, err
			}
		}
	}
	if c.New != nil {
		env.Row = systemRow(c.New, c.Seq)
		if after, err = f.bound.Match(env); err != nil {
			return nil, err
		}
		if after {
			if row, err = f.bound.Project(env); err != nil {
				return nil, err
			}
		} else if before {
			env.Row = systemRow(c.Old, c.Seq)
			if old, err = f.bound.Project(env); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case before && after:
		return []Event{{Op: store.OpUpdate, Row: row, Old: old}}, nil
	case after:
		return []Event{{Op: store.OpInsert, Row: row}}, nil
	case before:
		return []Event{{Op: store.OpDelete, Row: old}}, nil
	}
	return nil, nil
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
