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

// snapshot reads the rows of a filter in the order of _seq. It holds no
// transaction between the pages: what has changed meanwhile it takes from the
// change log, as it was.
type snapshot struct {
	of      *filter
	at      store.Seq
	mark    store.Seq  // Position.Mark of at
	now     time.Time  // of at
	ended   store.Seq  // rows of lower versions had lived their time at now
	after   store.Seq  // version of the last row that was read
	checked store.Seq  // changes up to here are accounted for
	old     []replaced // versions above after that are there no more, ascending

	pages *engine.Prepared // reads a page
}

type replaced struct{ version, by store.Seq }

// sourcesNow are the sources of the query that f is, or is part of.
func (f *filter) sourcesNow() []Source {
	if f.members != nil {
		return f.members.sources
	}
	return f.Sources()
}

func (f *filter) Snapshot() Snapshot { return &snapshot{of: f} }

func (s *snapshot) At() store.Seq    { return s.at }
func (s *snapshot) Mark() store.Seq  { return s.mark }
func (s *snapshot) Ended() store.Seq { return s.ended }

func (s *snapshot) Next(ctx context.Context, limit int) (page Page, err error) {
	err = s.of.s.read(ctx, s.of.env.User, func(tx *store.Tx) error {
		if err := s.look(tx); err != nil {
			return err
		}
		page, err = s.page(tx, limit)
		return err
	})
	return page, err
}

func (s *snapshot) Latest(ctx context.Context, limit int) (page Page, err error) {
	err = s.of.s.read(ctx, s.of.env.User, func(tx *store.Tx) error {
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
	return page, err
}

// look accounts for what has changed since the last page.
func (s *snapshot) look(tx *store.Tx) error {
	newest, err := tx.Newest()
	if err != nil {
		return err
	}
	if s.at == 0 {
		if g := s.of.members; g != nil {
			if err := g.begin(tx); err != nil {
				return err
			}
		}
		s.at, s.checked, s.now = newest, newest, s.of.s.db.Now()
		if s.of.table().Kind == catalog.Stream {
			s.ended = store.Ended(s.of.table(), s.now)
			s.after = s.ended - 1
		}
		s.mark, err = s.of.s.mark(tx, s.of.sourcesNow(), newest)
		return err
	}
	if err := tx.Reaches(s.checked); err != nil {
		return err
	}
	if t := s.of.s.db.Catalog().TableByID(s.of.table().ID); t == nil || t.Version != s.of.table().Version {
		return ErrAltered
	}
	most := s.of.s.options.MaxReplaced
	err = tx.Replaced(s.of.table().ID, s.of.source[0].User, s.checked, newest, s.after, s.at, most-len(s.old)+1, func(seq, oldSeq store.Seq) {
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
func (s *snapshot) page(tx *store.Tx, limit int) (Page, error) {
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
			row, err := s.of.wasThere(tx, s.old[0])
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
func (f *filter) wasThere(tx *store.Tx, r replaced) ([]wire.Value, error) {
	c, err := tx.Change(r.by)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, store.ErrLogTrimmed
	}
	if c.Version != f.table().Version {
		return nil, ErrAltered
	}
	env := f.env
	env.Row = systemRow(c.Old, c.OldSeq)
	if ok, err := f.bound.Match(&env); !ok || err != nil {
		return nil, err
	}
	return f.bound.Project(&env)
}

// read runs the statement of the next page, or that of the newest rows.
func (s *snapshot) read(tx *store.Tx, newest bool, limit int, row func([]wire.Value) error) error {
	env := s.of.env
	if s.pages == nil {
		s.pages = engine.Prepare(s.of.bound.PrintPage(s.of.s.db.Target(), len(env.Params), newest))
	}
	env.Now = s.now // every page is of one moment
	env.Params = append(slices.Clone(env.Params), wire.IntValue(s.after), wire.IntValue(s.at), wire.IntValue(int64(limit)))
	return tx.Query(s.pages.Stmt, s.pages.Values(&env), row)
}
