// Package watch holds what a live query means: its rows at one position of the
// change log, and what a change is to it. It knows nothing of subscriptions.
//
// One flow: package live binds a Query, sends its Snapshot, reads the Log of its
// sources from there, and asks what each change is to it.
package watch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Query is a live query bound for one user. It belongs to one subscription, or to
// the subscriptions of one group; changes are applied in order, by one goroutine at
// a time.
type Query interface {
	// Fields are those of every row that it sends.
	Fields() []wire.Field
	// Key is equal for queries that send the same.
	Key() string
	// Governed reports whether policies decide on what it shows: a frame of it that
	// is not sent yet may have to be taken back.
	Governed() bool
	// Sources are the parts of the change log that concern it, each once.
	Sources() []Source
	// Position reads where the change log stands for it.
	Position(ctx context.Context) (Position, error)
	// Snapshot begins a snapshot at the position that its first page will see.
	Snapshot() Snapshot
	// Resumes reports whether a client that has the rows of a position can go on from
	// there with the changes after it. It is asked after Position.
	Resumes(ctx context.Context, from store.Seq) (bool, error)
	// Apply returns what a change of one of its sources is to it: nothing, or events
	// that take the rows from before the change to those after it.
	Apply(ctx context.Context, c *store.Change) ([]Event, error)
	// Turn returns what becomes visible or hidden by a change, once it was applied. It
	// may read the database.
	Turn(ctx context.Context, c *store.Change) ([]Event, error)
}

// Source is a part of the change log: the changes of a table, as it was when the
// query was bound, that belong to a user.
type Source struct {
	Table *catalog.Table
	User  string // "" in a SHARED table

	// Column, when it is not negative, is a column of the table that every row
	// which concerns the query has at Value.
	Column int
	Value  wire.Value

	// Keys, when it is not nil, are values of columns of which every row that
	// concerns the query has one.
	Keys []expr.KeyValue

	// Decides says that a change of it may change the Keys of other sources. Those
	// that Sources then returns hold once the change was applied.
	Decides bool
}

// Altered reports whether a change was made under another definition of a source
// than the query was bound to.
func Altered(sources []Source, c *store.Change) bool {
	return slices.ContainsFunc(sources, func(s Source) bool { return s.Table.ID == c.Table && s.Table.Version != c.Version })
}

// Snapshot reads the rows of a live query as they were at one position, page by
// page.
type Snapshot interface {
	// Next reads the next page: limit rows at most, and fewer when they are large.
	Next(ctx context.Context, limit int) (Page, error)
	// Latest reads the newest rows as the only page: limit at most.
	Latest(ctx context.Context, limit int) (Page, error)
	// At is the position of the snapshot, once a page was read.
	At() store.Seq
	// Mark is the position of the snapshot as clients are told it; see Position.
	Mark() store.Seq
	// Ended is the version below which the snapshot has no rows, since they had
	// lived their time; 0 where rows live for ever. The log tells of their end all
	// the same.
	Ended() store.Seq
}

// Page is one page of a snapshot.
type Page struct {
	Rows [][]wire.Value
	Last store.Seq // version of the last row, or the position of the snapshot
	More bool      // there are rows after Last
}

// Event is a change of the rows of a live query.
type Event struct {
	Op  store.Op
	Row []wire.Value // by Fields: the new row, or for a delete the old one
	Old []wire.Value // by Fields: the replaced row of an update
	// Hidden says that a row, which is there, may not be seen any more.
	Hidden bool
}

// Position is where the change log stands for a live query.
type Position struct {
	Newest store.Seq // of the newest change of all
	Floor  store.Seq // how far the log has been trimmed
	// Mark is the newest position that a client is told. Everything of the scope
	// up to Newest has come up to Mark, so it is as good to resume from, but it
	// does not tell when others write.
	Mark store.Seq
}

// Options limit what a live query may use. The zero value works.
type Options struct {
	MaxMembership int // values of a membership of one user; default 100,000
	MaxReplaced   int // rows yet to be sent of a snapshot that may have changed; default 200,000, 16 bytes each
}

// Service binds live queries and reads the change log for them.
type Service struct {
	db      *store.DB
	engine  *engine.Engine
	options Options
}

// New makes a service on an open database.
func New(db *store.DB, e *engine.Engine, o Options) *Service {
	o.MaxMembership = cmp.Or(o.MaxMembership, 100_000)
	o.MaxReplaced = cmp.Or(o.MaxReplaced, 200_000)
	return &Service{db: db, engine: e, options: o}
}

// read runs fn on a snapshot for a user. What it returns may be seen by the user.
func (s *Service) read(ctx context.Context, user string, fn func(tx *store.Tx) error) error {
	err := s.db.For(user).Read(ctx, fn)
	for _, known := range []error{store.ErrLogTrimmed, ErrAltered, ErrTooSlow, ErrAgain} { // which the caller acts on
		if errors.Is(err, known) {
			return known
		}
	}
	return s.engine.Visible(ctx, err)
}

// Position reads for a user where the log stands for some sources.
func (s *Service) Position(ctx context.Context, user string, sources []Source) (p Position, err error) {
	err = s.read(ctx, user, func(tx *store.Tx) error {
		p, err = s.position(tx, sources)
		return err
	})
	return p, err
}

func (s *Service) position(tx *store.Tx, sources []Source) (p Position, err error) {
	if p.Newest, err = tx.Newest(); err != nil {
		return p, err
	}
	if p.Mark, err = s.mark(tx, sources, p.Newest); err != nil {
		return p, err
	}
	p.Floor, err = tx.Floor()
	return p, err
}

// mark is the Mark of a snapshot whose newest change of all is newest: the
// newest change of the sources, or the hour before the last one where that is
// later, so that whoever subscribes to what seldom changes does not fall behind
// the log. Since others can be seen by it only when nobody has written for an
// hour, and then to the hour, it keeps their secret.
func (s *Service) mark(tx *store.Tx, sources []Source, newest store.Seq) (store.Seq, error) {
	hour := store.TimeOf(min(newest, store.SeqAt(s.db.Now().Add(-time.Hour)))).Truncate(time.Hour)
	mark := store.SeqAt(hour)
	for _, of := range sources {
		own, err := tx.NewestOf(of.Table.ID, of.User)
		if err != nil {
			return 0, err
		}
		mark = max(mark, own)
	}
	return mark, nil
}

// Log reads for a user the changes of some sources with after < Seq <= upTo, in
// order: limit at most, and fewer when they are large. Then the last of them is
// returned as reached, else upTo. It fails with store.ErrLogTrimmed when the log
// no longer has all of them.
func (s *Service) Log(ctx context.Context, user string, sources []Source, after, upTo store.Seq, limit int) (out []*store.Change, reached store.Seq, err error) {
	err = s.read(ctx, user, func(tx *store.Tx) error {
		out, reached = nil, upTo
		if err := tx.Reaches(after); err != nil {
			return err
		}
		for _, of := range sources {
			changes, to, err := page(tx, of, after, reached, limit)
			if err != nil {
				return err
			}
			out, reached = append(out, changes...), to
		}
		return nil
	})
	if len(sources) > 1 {
		out = slices.DeleteFunc(out, func(c *store.Change) bool { return c.Seq > reached })
		slices.SortFunc(out, func(a, b *store.Change) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	return out, reached, err
}

// page reads the next changes of one source.
func page(tx *store.Tx, of Source, after, upTo store.Seq, limit int) (out []*store.Change, reached store.Seq, err error) {
	size := 0
	err = tx.Changes(of.Table.ID, of.User, after, upTo, limit, func(c *store.Change) error {
		if size >= pageBytes {
			return errPageFull
		}
		size += c.Size()
		out = append(out, c)
		return nil
	})
	full := errors.Is(err, errPageFull) || len(out) == limit
	if errors.Is(err, errPageFull) {
		err = nil
	}
	if full {
		return out, out[len(out)-1].Seq, err
	}
	return out, upTo, err
}
