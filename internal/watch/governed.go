package watch

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// ErrAgain means that so much has become visible or hidden at once that the live
// query starts again.
var ErrAgain = errors.New("many rows have become visible or hidden")

// mostShown is how many rows may become visible or hidden by one change of the
// memberships of a user and still be sent one by one.
const mostShown = 1000

// mostChanged is how many rows may have changed between a change of a membership
// and the moment when the sets are read anew.
const mostChanged = 10_000

// governed is a filter on a table under policies with memberships. It holds the
// sets of its user as they were at one moment, so its methods are called by one
// goroutine at a time and changes in order; no two subscriptions share one.
//
// A change of a table that a membership reads makes it read the sets anew, at a
// later moment than the change. From then on rows are shown by the new sets. The
// rows that these show and the old ones do not, and those the other way round, are
// sent as they were right after the change.
type governed struct {
	*filter
	sources []Source
	setsAt  store.Seq // everything up to here is in env.Members
	queries []*engine.Prepared
}

// govern makes a filter obey memberships; nil when its policies have none.
func (f *filter) govern() *governed {
	if len(f.bound.Members) == 0 {
		return nil
	}
	g := &governed{filter: f}
	for _, m := range f.bound.Members {
		g.queries = append(g.queries, engine.Prepare(m.Printed(f.s.db.Target())))
	}
	f.key += "#" + strconv.FormatInt(f.s.db.NextID(), 36)
	g.source()
	f.members = g
	return g
}

// source finds the parts of the log that concern the query: what its sets let in
// of the table, and what of the memberships is about the user.
func (g *governed) source() {
	g.sources = []Source{{Table: g.table(), Column: -1}}
	if g.env.Members != nil { // else nobody asks yet
		if keys, ok := g.bound.Cover(&g.env); ok {
			g.sources[0].Keys = keys
		}
	}
	for _, m := range g.bound.Members {
		for _, t := range m.Tables {
			of := Source{Table: t.Table, Column: -1, Decides: true}
			if t.Table.Kind.Private() {
				of.User = g.env.User
			}
			if column, value, ok := t.Equal(&g.env); ok {
				of.Column, of.Value = column, value
			}
			if i := slices.IndexFunc(g.sources, func(s Source) bool { return s.Table == of.Table }); i < 0 {
				g.sources = append(g.sources, of)
			} else if s := &g.sources[i]; i == 0 || s.Column != of.Column || s.Value != of.Value {
				s.Column, s.Value, s.Keys, s.Decides = -1, wire.Null, nil, true
			}
		}
	}
}

func (g *governed) Sources() []Source { return g.sources }

// member reports whether a change is one of a table that a membership reads.
func (g *governed) member(c *store.Change) bool {
	return c.Table != g.table().ID || slices.ContainsFunc(g.bound.Members, func(m *bind.Members) bool {
		return slices.ContainsFunc(m.Tables, func(t bind.MemberTable) bool { return t.Table.ID == c.Table })
	})
}

// load reads the sets as they are in tx.
func (g *governed) load(tx *store.Tx) (sets []*expr.MemberSet, at store.Seq, err error) {
	if at, err = tx.Newest(); err != nil {
		return nil, 0, err
	}
	env := g.env
	env.Budget = tx.Budget()
	for i, m := range g.bound.Members {
		var rows [][]wire.Value
		err := g.queries[i].Run(tx, &env, func(row []wire.Value) error {
			if len(rows) == g.s.options.MaxMembership {
				return wire.NewError(wire.CodeResultTooLarge, "a membership in the policies of ", g.table().FullName(), " has more than ", strconv.Itoa(g.s.options.MaxMembership),
					" values for you, which is the limit for live queries")
			}
			rows = append(rows, slices.Clone(row))
			return env.Budget.Charge(engine.SizeOf(row))
		})
		if err != nil {
			return nil, 0, err
		}
		set, err := m.Set(rows)
		if err != nil {
			return nil, 0, err
		}
		sets = append(sets, set)
	}
	return sets, at, nil
}

// begin takes the sets as they are in tx.
func (g *governed) begin(tx *store.Tx) error {
	sets, at, err := g.load(tx)
	if err != nil {
		return err
	}
	g.env.Members, g.setsAt = sets, at
	g.source()
	return nil
}

// Position reads where the log stands, and the sets there.
func (g *governed) Position(ctx context.Context) (Position, error) {
	var p Position
	err := g.s.read(ctx, g.env.User, func(tx *store.Tx) error {
		if err := g.begin(tx); err != nil {
			return err
		}
		var err error
		p, err = g.s.position(tx, g.sources)
		return err
	})
	return p, err
}

// Resumes reports whether the memberships and policies are the ones that there were
// at a position, so that a client can go on from there.
func (f *filter) Resumes(ctx context.Context, from store.Seq) (bool, error) {
	if !f.bound.Governed() {
		return true, nil
	}
	if from <= f.table().Governs {
		return false, nil
	}
	if f.members == nil {
		return true, nil
	}
	same := true
	err := f.s.read(ctx, f.env.User, func(tx *store.Tx) error {
		for _, m := range f.bound.Members {
			for _, t := range m.Tables {
				user := ""
				if t.Table.Kind.Private() {
					user = f.env.User
				}
				column, value, ok := t.Equal(&f.env)
				looked := 0
				err := tx.Changes(t.Table.ID, user, from, f.members.setsAt, resumeLooks+1, func(c *store.Change) error {
					if looked++; looked > resumeLooks {
						same = false
					}
					about := func(row []wire.Value) bool { return row != nil && (!ok || row[column] == value) }
					if c.Version != t.Table.Version || about(c.Old) || about(c.New) {
						same = false
					}
					return nil
				})
				if err != nil || !same {
					return err
				}
			}
		}
		return nil
	})
	return same, err
}

// resumeLooks is how many changes of a membership a resume looks through.
const resumeLooks = 10_000

// Apply computes what a change of the table is.
func (g *governed) Apply(ctx context.Context, c *store.Change) ([]Event, error) {
	if c.Table != g.table().ID {
		return nil, nil
	}
	return g.filter.Apply(ctx, c)
}

// Turn computes what a change of a membership is.
func (g *governed) Turn(ctx context.Context, c *store.Change) ([]Event, error) {
	if c.Seq <= g.setsAt || !g.member(c) {
		return nil, nil
	}
	return g.turn(ctx, c.Seq)
}

// Turn has nothing to say where no membership decides.
func (f *filter) Turn(context.Context, *store.Change) ([]Event, error) { return nil, nil }

// turn takes the sets as they are now, and returns the events that this makes of
// the rows as they were at a position.
func (g *governed) turn(ctx context.Context, at store.Seq) (events []Event, err error) {
	err = g.s.read(ctx, g.env.User, func(tx *store.Tx) error {
		before := g.env.Members
		after, newest, err := g.load(tx)
		if err != nil {
			return err
		}
		var differ []*expr.MemberSet
		any := false
		for i := range after {
			diff, _ := before[i].Differ(after[i])
			differ = append(differ, diff)
			any = any || diff.Len() > 0
		}
		if any {
			if events, err = g.shown(tx, at, newest, before, after, differ); err != nil {
				return err
			}
		}
		g.env.Members, g.setsAt = after, newest
		g.source()
		return nil
	})
	return events, err
}

// shown are the events of rows that are shown by one of two lists of sets.
func (g *governed) shown(tx *store.Tx, at, newest store.Seq, before, after, differ []*expr.MemberSet) (events []Event, err error) {
	look := func(row []wire.Value, seq store.Seq) error {
		if len(events) > mostShown {
			return ErrAgain
		}
		ev, err := g.difference(tx, systemRow(row, seq), at, before, after)
		events = append(events, ev...)
		return err
	}
	env := g.env
	env.Members = slices.Concat(after, differ)
	env.Params = append(slices.Clone(env.Params), wire.IntValue(at))
	env.Budget = tx.Budget()
	q := engine.Prepare(g.bound.PrintDiffering(g.s.db.Target(), len(g.env.Params), len(after)))
	err = q.Run(tx, &env, func(row []wire.Value) error {
		n := len(row) - 1
		return look(slices.Clone(row[:n]), row[n].Int())
	})
	if err != nil {
		return nil, err
	}
	if err := tx.Reaches(at); err != nil {
		return nil, err
	}
	looked := 0
	return events, tx.Changes(g.table().ID, "", at, newest, mostChanged+1, func(c *store.Change) error {
		if looked++; looked > mostChanged {
			return ErrAgain
		}
		if c.Old == nil || c.OldSeq > at {
			return nil // it was not there
		}
		if c.Version != g.table().Version {
			return ErrAgain
		}
		return look(c.Old, c.OldSeq)
	})
}

// difference is what becoming visible or hidden is for one row.
func (g *governed) difference(tx *store.Tx, row []wire.Value, at store.Seq, before, after []*expr.MemberSet) ([]Event, error) {
	env := g.env
	env.Row, env.Budget = row, tx.Budget()
	env.Members = before
	was, err := g.bound.Match(&env)
	if err != nil {
		return nil, err
	}
	env.Members = after
	is, err := g.bound.Match(&env)
	if err != nil || was == is {
		return nil, err
	}
	row[len(g.table().Columns)] = wire.IntValue(at)
	shown, err := g.bound.Project(&env)
	switch {
	case err != nil:
		return nil, err
	case is:
		return []Event{{Op: store.OpInsert, Row: shown}}, nil
	}
	return []Event{{Op: store.OpDelete, Row: g.bound.Gone(shown), Hidden: true}}, nil
}

// Governed reports whether policies decide on what the live query shows.
func (f *filter) Governed() bool { return f.bound.Governed() }
