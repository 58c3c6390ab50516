package client

import (
	"context"
	"errors"
	"iter"
	"strconv"

	"github.com/kalamdb/kalam-go/wire"
)

// LiveOptions configure a live query.
type LiveOptions struct {
	Args  []any    // for $1 to $n
	Key   []string // columns that tell rows apart; default: the primary key, else id
	Limit int      // keep only the newest rows; 0: all

	BatchSize int   // rows of one message of the snapshot; 0: the server's 1000
	From      int64 // no snapshot, but what changed after this position; 0: a snapshot
}

// Live runs a query and gives all its rows, again and again: first when they
// are complete, then after every change, changes that came together at once.
// Each slice is new and may be kept; rows stand in the order in which they
// came. Leaving the loop lets go of the query. An error ends it, as with
// Subscribe.
func (c *Client) Live(ctx context.Context, sql string, o LiveOptions) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		err := c.live(ctx, sql, o, &rowSet{key: o.Key, limit: o.Limit, resumes: o.From > 0}, func(s *rowSet) bool { return yield(s.list(), nil) })
		if err != nil {
			yield(nil, err)
		}
	}
}

// live keeps a set of rows and calls show when it is complete and after every
// change, until show says false.
func (c *Client) live(ctx context.Context, sql string, o LiveOptions, set *rowSet, show func(*rowSet) bool) error {
	sub, err := c.subscribe(sql, SubscribeOptions{Args: o.Args, BatchSize: o.BatchSize, LastRows: o.Limit, From: o.From})
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
		if err != nil {
			return err
		}
		if set.complete && set.changed {
			set.changed = false
			if !show(set) {
				return nil
			}
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
	entries  []entry // in order of arrival; some are dead
	index    map[string]int
	dead     int
	complete bool // the snapshot is there
	changed  bool // since the last list

	position int64
	resumes  bool // it begins with a position of the caller
	record   bool // keep the following for a Patch
	slots    int
	cleared  bool
	touched  []int // slots that came, changed or went, maybe more than once
}

type entry struct {
	key  string
	row  Row
	slot int // counts the rows that came
	dead bool
}

var errNoKey = errors.New("a live query must select its key columns, or name others in LiveOptions.Key")

// apply makes the change that an event reports.
func (s *rowSet) apply(it item) error {
	switch it.kind {
	case EventAck, EventReset:
		s.describe(it.schema)
		s.entries, s.index, s.dead, s.complete = nil, map[string]int{}, 0, it.ready
		s.cleared, s.touched, s.slots = true, nil, 0
		if s.resumes && it.kind == EventAck {
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
	if it.ready {
		s.complete, s.changed = true, true
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
	if len(s.keyNames) == 1 {
		if v, ok := r.Lookup(s.keyNames[0]); ok && v.Tag() == wire.TagText {
			return v.Text(), true
		}
	}
	var b []byte
	for _, name := range s.keyNames {
		v, ok := r.Lookup(name)
		if !ok {
			return "", false
		}
		b = append(b, byte(v.Tag()))
		if v.Tag() == wire.TagInt {
			b = strconv.AppendInt(b, v.Int(), 10)
		} else {
			b = wire.AppendCell(b, wire.Type{Kind: wire.Double}, v)
		}
		b = append(b, ',')
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
	if i, ok := s.index[key]; ok {
		s.entries[i].row = r
		s.touch(s.entries[i].slot)
		return
	}
	s.index[key] = len(s.entries)
	s.entries = append(s.entries, entry{key: key, row: r, slot: s.slots})
	s.touch(s.slots)
	s.slots++
	for i := 0; s.limit > 0 && len(s.index) > s.limit; i++ {
		if !s.entries[i].dead {
			s.remove(s.entries[i].key)
		}
	}
}

func (s *rowSet) remove(key string) {
	i, ok := s.index[key]
	if !ok {
		return
	}
	s.changed = true
	delete(s.index, key)
	s.touch(s.entries[i].slot)
	s.entries[i] = entry{slot: s.entries[i].slot, dead: true}
	if s.dead++; s.dead <= 32 || s.dead <= len(s.entries)/2 {
		return
	}
	live := make([]entry, 0, len(s.index))
	for _, e := range s.entries {
		if !e.dead {
			s.index[e.key] = len(live)
			live = append(live, e)
		}
	}
	s.entries, s.dead = live, 0
}

// list gives the rows in order.
func (s *rowSet) list() []Row {
	out := make([]Row, 0, len(s.index))
	for _, e := range s.entries {
		if !e.dead {
			out = append(out, e.row)
		}
	}
	return out
}
