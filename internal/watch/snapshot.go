package watch

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	// ErrLogTrimmed means that the change log no longer reaches back to where a
	// live query stands: it has to begin again.
	ErrLogTrimmed = errors.New("the change log no longer reaches back")
	// ErrAltered means that the table has another definition than the live query
	// was bound to.
	ErrAltered = errors.New("the table was altered")
	// ErrTooSlow means that too many rows of a snapshot have changed while it was
	// read.
	ErrTooSlow = errors.New("too much has changed while the snapshot was read")
)

// pageBytes ends a page before its limit of rows, so that pages of large rows
// are no larger in memory than those of many small ones.
const pageBytes = 1 << 20

// Snapshot reads the rows of a live query as they were at one position, page by
// page, in the order of _seq. It holds no transaction between the pages: what
// has changed meanwhile it takes from the change log, as it was.
type Snapshot struct {
	w       *Watch
	at      store.Seq
	mark    store.Seq  // Positions.Mark of at
	now     time.Time  // of at
	ended   store.Seq  // rows of lower versions had lived their time at now
	after   store.Seq  // version of the last row that was read
	checked store.Seq  // changes up to here are accounted for
	old     []replaced // versions above after that are there no more, ascending

	pages *engine.Prepared // reads a page
}

type replaced struct{ version, by store.Seq }

// Page is one page of a snapshot.
type Page struct {
	Rows [][]wire.Value
	Last store.Seq // version of the last row, or the position of the snapshot
	More bool      // there are rows after Last
}

// Snapshot begins a snapshot at the position that its first page will see.
func (w *Watch) Snapshot() *Snapshot { return &Snapshot{w: w} }

// At is the position of the snapshot, once a page was read.
func (s *Snapshot) At() store.Seq { return s.at }

// Mark is the position of the snapshot as clients are told it; see Positions.
func (s *Snapshot) Mark() store.Seq { return s.mark }

// Ended is the version below which the snapshot has no rows, since they had
// lived their time; 0 where rows live for ever. The log tells of their end all
// the same.
func (s *Snapshot) Ended() store.Seq { return s.ended }

// Next reads the next page: limit rows at most, and fewer when they are large.
func (s *Snapshot) Next(ctx context.Context, limit int) (page Page, err error) {
	err = s.w.s.db.For(s.w.env.User).Read(ctx, func(tx *store.Tx) error {
		if err := s.look(tx); err != nil {
			return err
		}
		page, err = s.page(tx, limit)
		return err
	})
	return page, s.visible(ctx, err)
}

// Latest reads the newest rows as the only page: limit at most.
func (s *Snapshot) Latest(ctx context.Context, limit int) (page Page, err error) {
	err = s.w.s.db.For(s.w.env.User).Read(ctx, func(tx *store.Tx) error {
		if err := s.look(tx); err != nil {
			return err
		}
		page = Page{Last: s.at}
		return s.read(tx, true, limit, func(row []wire.Value) error {
			page.Rows = append(page.Rows, slices.Clone(row[:len(row)-1]))
			return nil
		})
	})
	slices.Reverse(page.Rows)
	return page, s.visible(ctx, err)
}

// visible keeps the errors that the caller acts on.
func (s *Snapshot) visible(ctx context.Context, err error) error {
	for _, known := range []error{ErrLogTrimmed, ErrAltered, ErrTooSlow} {
		if errors.Is(err, known) {
			return known
		}
	}
	return s.w.s.engine.Visible(ctx, err)
}

// look accounts for what has changed since the last page.
func (s *Snapshot) look(tx *store.Tx) error {
	newest, err := tx.Newest()
	if err != nil {
		return err
	}
	if s.at == 0 {
		s.at, s.checked, s.now = newest, newest, s.w.s.db.Now()
		if s.w.Table.Kind == catalog.Stream {
			s.ended = store.Ended(s.w.Table, s.now)
			s.after = s.ended - 1
		}
		s.mark, err = s.w.mark(tx, newest)
		return err
	}
	floor, err := tx.Floor()
	if err != nil {
		return err
	}
	if floor > s.checked {
		return ErrLogTrimmed
	}
	if t := s.w.s.db.Catalog().TableByID(s.w.Table.ID); t == nil || t.Version != s.w.Table.Version {
		return ErrAltered
	}
	most := s.w.s.options.MaxReplaced
	err = tx.Replaced(s.w.Table.ID, s.w.Scope, s.checked, newest, s.after, s.at, most-len(s.old)+1, func(seq, oldSeq store.Seq) {
		s.old = append(s.old, replaced{oldSeq, seq})
	})
	if err == nil && len(s.old) > most {
		err = ErrTooSlow
	}
	s.checked = newest
	slices.SortFunc(s.old, func(a, b replaced) int {
		if a.version < b.version {
			return -1
		}
		return 1
	})
	return err
}

// errPageFull ends the reading of a page.
var errPageFull = errors.New("the page is full")

// page merges the rows that are still there with those that are not.
func (s *Snapshot) page(tx *store.Tx, limit int) (Page, error) {
	type versioned struct {
		version store.Seq
		row     []wire.Value
	}
	var there []versioned
	size, upTo := 0, s.at
	err := s.read(tx, false, limit+1, func(row []wire.Value) error {
		if len(there) == limit || size >= pageBytes {
			upTo = there[len(there)-1].version
			return errPageFull
		}
		n := len(row) - 1
		there = append(there, versioned{row[n].Int(), slices.Clone(row[:n])})
		size += engine.SizeOf(row)
		return nil
	})
	if err != nil && !errors.Is(err, errPageFull) {
		return Page{}, err
	}
	page := Page{Last: upTo, More: upTo < s.at}
	size = 0
	for {
		before := store.Seq(math.MaxInt64)
		if len(s.old) > 0 && s.old[0].version <= upTo {
			before = s.old[0].version
		}
		var next versioned
		switch {
		case len(there) > 0 && there[0].version < before:
			next, there = there[0], there[1:]
		case before != math.MaxInt64:
			row, err := s.w.wasThere(tx, s.old[0])
			if err != nil {
				return Page{}, err
			}
			if row == nil {
				s.old = s.old[1:]
				continue
			}
			next = versioned{before, row}
		default:
			s.after = page.Last
			return page, nil
		}
		if len(page.Rows) == limit || size >= pageBytes {
			page.More = true
			s.after = page.Last
			return page, nil
		}
		if next.version == before {
			s.old = s.old[1:]
		}
		page.Rows = append(page.Rows, next.row)
		page.Last = next.version
		size += engine.SizeOf(next.row)
		if len(there) == 0 && (len(s.old) == 0 || s.old[0].version > upTo) {
			page.Last = upTo
		}
	}
}

// wasThere gives a row of the snapshot that has changed since as it was; nil
// when it was not of the filter.
func (w *Watch) wasThere(tx *store.Tx, r replaced) ([]wire.Value, error) {
	c, err := tx.Change(r.by)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, ErrLogTrimmed
	}
	if c.Version != w.Table.Version {
		return nil, ErrAltered
	}
	env := w.env
	env.Row = systemRow(c.Old, c.OldSeq)
	if ok, err := w.bound.Match(&env); !ok || err != nil {
		return nil, err
	}
	return w.bound.Project(&env)
}

// read runs the statement of the next page, or that of the newest rows.
func (s *Snapshot) read(tx *store.Tx, newest bool, limit int, row func([]wire.Value) error) error {
	env := s.w.env
	if s.pages == nil {
		s.pages = engine.Prepare(s.w.bound.PrintPage(s.w.s.db.Target(), len(env.Params), newest))
	}
	env.Now = s.now // every page is of one moment
	env.Params = append(slices.Clone(env.Params), wire.IntValue(s.after), wire.IntValue(s.at), wire.IntValue(int64(limit)))
	return tx.Query(s.pages.Stmt, s.pages.Values(&env), row)
}
