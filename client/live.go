package client

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// LiveOptions configure a live query.
type LiveOptions struct {
	Args []any    // for $1 to $n
	Key  []string // columns that tell rows apart; default: the primary key, else id

	// Limit keeps the newest rows only, by _seq: those that were inserted or
	// changed last. When one of them goes, the next older one is shown again. 0: all.
	Limit int

	BatchSize int   // rows of one message of the snapshot; 0: the server's 1000
	From      int64 // no snapshot, but what changed after this position; 0: a snapshot
}

// Live runs a query and gives all its rows, again and again: first when they
// are complete, then after every change, changes that came together at once.
// Each slice is new and may be kept. Rows stand in the order of their primary
// key, or of the columns of LiveOptions.Key, as ORDER BY puts them; an update
// does not move a row. Leaving the loop lets go of the query. An error ends it,
// as with Subscribe.
func (c *Client) Live(ctx context.Context, sql string, o LiveOptions) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		err := c.live(ctx, sql, o, newRowSet(o), func(s *rowSet) bool { return yield(s.list(), nil) })
		if err != nil {
			yield(nil, err)
		}
	}
}

// live keeps a set of rows and calls show when it is complete and after every
// change, until show says false.
func (c *Client) live(ctx context.Context, sql string, o LiveOptions, set *rowSet, show func(*rowSet) bool) error {
	sub, err := c.subscribe(ctx, sql, SubscribeOptions{Args: o.Args, BatchSize: o.BatchSize, LastRows: o.Limit, From: o.From})
	if err != nil {
		return err
	}
	defer c.socket.remove(sub)
	for {
		it, err := sub.next(ctx)
		for err == nil {
			if it.last {
				c.socket.woken(sub)
			}
			set.position = it.position
			if err = set.apply(it); err != nil || len(sub.events) == 0 {
				break
			}
			it, err = sub.next(ctx)
		}
		switch {
		case err != nil:
			return err
		case !set.complete || !set.changed:
			continue
		case set.window():
			// What is to be shown now went long ago. The rows stay as they are
			// until the server has sent them anew.
			set.complete = false
			c.socket.again(sub)
			continue
		}
		set.changed = false
		if !show(set) {
			return nil
		}
	}
}

// rowSet is the rows of a live query by their keys.
type rowSet struct {
	key   []string // given by the caller
	limit int

	schema   []wire.Field
	columns  *columns
	maker    rowMaker
	keyNames []string
	entries  []*entry // in the order of their keys, once complete; some are gone
	index    map[string]*entry
	gone     int
	complete bool // the snapshot is there
	changed  bool // since the last list
	loaded   int  // rows of the snapshot
	older    bool // there may be rows that are older than all of these

	position int64
	resumes  bool // it begins with a position of the caller
	record   bool // keep the following for a Patch
	slots    int
	cleared  bool
	touched  []*entry // that came, changed or went
}

type entry struct {
	key    string // as appendKey makes it
	row    Row
	seq    int64 // with a limit: the version of the row
	slot   int   // counts the rows that came
	gone   bool
	hidden bool // beyond the limit

	shown   bool // in the last Patch
	touched bool // since then
}

func newRowSet(o LiveOptions) *rowSet {
	return &rowSet{key: o.Key, limit: max(o.Limit, 0), resumes: o.From > 0}
}

var errNoKey = errors.New("a live query must select its key columns, or name others in LiveOptions.Key")

// apply makes the change that an event reports.
func (s *rowSet) apply(it item) error {
	switch it.kind {
	case EventAck, EventReset:
		s.describe(it.schema)
		s.entries, s.index, s.gone, s.complete = nil, map[string]*entry{}, 0, it.ready
		s.cleared, s.touched, s.slots, s.loaded, s.older = true, nil, 0, 0, false
		if s.resumes = s.resumes && it.kind == EventAck; s.resumes {
			s.complete, s.changed = true, true // there is no snapshot to wait for
		}
		return nil
	case EventDelete:
		for _, r := range s.maker.make(it.schema, it.old) {
			if k, ok := s.keyOf(r); ok {
				s.remove(k)
			}
		}
		return nil
	}
	if it.kind == EventUpdate {
		for i, r := range s.maker.make(it.schema, it.old) {
			k, ok := s.keyOf(r)
			if !ok || i >= len(it.rows) {
				continue
			}
			wire.TypeRows(it.schema, it.rows[i:i+1])
			if now, ok := s.keyOf(Row{columnsOf(it.schema, it.rows[i].Names), it.rows[i].Values}); ok && now != k {
				s.remove(k)
			}
		}
	}
	for _, r := range s.maker.make(it.schema, it.rows) {
		k, ok := s.keyOf(r)
		if !ok {
			return errNoKey
		}
		s.put(k, s.whole(r))
	}
	if it.kind == EventSnapshot {
		s.loaded += len(it.rows)
	}
	if it.ready {
		slices.SortFunc(s.entries, func(a, b *entry) int { return strings.Compare(a.key, b.key) })
		s.complete, s.changed = true, true
		s.older = s.older || s.limit > 0 && s.loaded >= s.limit
	}
	return nil
}

func (s *rowSet) describe(schema []wire.Field) {
	s.schema, s.columns, s.keyNames = schema, nil, s.key
	if len(s.key) > 0 {
		return
	}
	s.keyNames = nil
	for _, f := range schema {
		if f.Flags&wire.FlagPrimaryKey != 0 {
			s.keyNames = append(s.keyNames, f.Name)
		}
	}
	if s.keyNames == nil {
		s.keyNames = []string{"id"}
	}
}

// keyOf joins the key cells of a row; false when it lacks one.
func (s *rowSet) keyOf(r Row) (string, bool) {
	var b []byte
	for _, name := range s.keyNames {
		i := r.columns.index(name)
		if i < 0 {
			return "", false
		}
		t, v := r.columns.fields[i].Type, r.values[i]
		if len(s.keyNames) == 1 && v.Tag() == wire.TagText && t.Kind != wire.Decimal {
			return v.Text(), true
		}
		b = appendKey(b, t, v)
	}
	return string(b), true
}

// whole gives a row the columns of the query in their order. A cell that the
// server left out is NULL.
func (s *rowSet) whole(r Row) Row {
	fits := len(r.values) == len(s.schema)
	for i := 0; fits && i < len(s.schema); i++ {
		fits = r.columns.fields[i].Name == s.schema[i].Name
	}
	if fits || len(s.schema) == 0 {
		return r
	}
	if s.columns == nil {
		s.columns = &columns{fields: s.schema}
	}
	values := make([]wire.Value, len(s.schema))
	for i := range s.schema {
		values[i] = r.Value(s.schema[i].Name)
	}
	return Row{s.columns, values}
}

func (s *rowSet) put(key string, r Row) {
	s.changed = true
	e := s.index[key]
	if e == nil {
		e = &entry{key: key, slot: s.slots}
		s.slots++
		s.index[key] = e
		s.entries = append(s.entries, e)
		if last := len(s.entries) - 1; s.complete && last > 0 && s.entries[last-1].key > key {
			i := s.search(key)
			copy(s.entries[i+1:], s.entries[i:])
			s.entries[i] = e
		}
	}
	e.row = r
	s.touch(e)
	if s.limit > 0 {
		e.seq = r.Int("_seq")
		if len(s.index) >= 3*s.limit+1000 {
			s.window()
		}
	}
}

// search finds the first entry with a key or one behind it.
func (s *rowSet) search(key string) int {
	i, _ := slices.BinarySearchFunc(s.entries, key, func(e *entry, key string) int { return strings.Compare(e.key, key) })
	return i
}

func (s *rowSet) remove(key string) {
	e, ok := s.index[key]
	if !ok {
		return
	}
	s.changed = true
	delete(s.index, key)
	e.gone, e.row = true, Row{}
	s.touch(e)
	if s.gone++; s.gone > 32 && s.gone > len(s.entries)/2 {
		s.entries = slices.DeleteFunc(s.entries, func(e *entry) bool { return e.gone })
		s.gone = 0
	}
}

// window hides the rows beyond the limit. As many as the limit are kept for when
// newer ones go; when even these are used up and the server has more, it reports
// that they are missing.
func (s *rowSet) window() (missing bool) {
	if s.limit == 0 {
		return false
	}
	newest := make([]*entry, 0, len(s.index))
	for _, e := range s.entries {
		if !e.gone {
			newest = append(newest, e)
		}
	}
	slices.SortFunc(newest, func(a, b *entry) int { return cmp.Or(cmp.Compare(b.seq, a.seq), b.slot-a.slot) })
	for i, e := range newest {
		if hidden := i >= s.limit; hidden != e.hidden {
			e.hidden = hidden
			s.touch(e)
		}
		if i >= 2*s.limit {
			s.remove(e.key)
			s.older = !s.resumes // what lies before the caller's position is not asked for
		}
	}
	return s.older && len(newest) < s.limit
}

// list gives the rows in order.
func (s *rowSet) list() []Row {
	out := make([]Row, 0, len(s.index))
	for _, e := range s.entries {
		if !e.gone && !e.hidden {
			out = append(out, e.row)
		}
	}
	return out
}
