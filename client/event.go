package client

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// EventType says what an Event reports.
type EventType string

// The types of events.
const (
	EventAck      EventType = "ack"      // the server accepted the query
	EventReset    EventType = "reset"    // forget the rows; a snapshot follows
	EventSnapshot EventType = "snapshot" // rows that are there already
	EventInsert   EventType = "insert"
	EventUpdate   EventType = "update"
	EventDelete   EventType = "delete"
)

// Event is something that a subscription saw.
type Event struct {
	Type EventType

	// Rows are the rows of a snapshot, or the new versions of changed ones.
	Rows []Row

	// Old are the rows before the change: of an update maybe only the key and
	// the changed cells, of a delete the row that is gone.
	Old []Row

	// Columns are the columns of the query.
	Columns []wire.Field

	// Ready reports that the snapshot is complete with this event.
	Ready bool

	// Position is where the subscription stands after this event: a later one
	// with From set to it goes on from here. It is 0 while there is none, as in a
	// snapshot that is not complete.
	Position int64
}

// String returns the event as text, for logs: its type, the rows that were, and
// those that are.
func (e Event) String() string {
	b := []byte(e.Type)
	if e.Old != nil {
		b = appendRows(append(b, ' '), e.Old)
	}
	if e.Old != nil && e.Rows != nil {
		b = append(b, " ->"...)
	}
	if e.Rows != nil {
		b = appendRows(append(b, ' '), e.Rows)
	}
	return string(b)
}

// SubscribeOptions choose what a subscription begins with.
type SubscribeOptions struct {
	Args        []any // for $1 to $n
	BatchSize   int   // rows of one snapshot event; 0: the server's 1000
	LastRows    int   // only the newest rows of the snapshot; 0: all
	From        int64 // no snapshot, but what changed after this position; 0: a snapshot
	ChangesOnly bool  // no snapshot, but what changes from now on
}

// Subscribe runs a live query and gives its events one by one. Lost connections
// are invisible: the query resumes after the last event, and only when the
// server cannot do that an EventReset and a new snapshot come. The loop ends
// when it is left, which lets go of the query, or with an error as the last
// pair: the context's, the server's refusal, ErrIdentityChanged or ErrClosed.
//
// The loop body may take its time: see Options.QueueSize.
func (c *Client) Subscribe(ctx context.Context, sql string, o SubscribeOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		sub, err := c.subscribe(ctx, sql, o)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer c.socket.remove(sub)
		var rows rowMaker
		for {
			it, err := sub.next(ctx)
			if err != nil {
				yield(Event{}, err)
				return
			}
			if it.last {
				c.socket.woken(sub)
			}
			e := Event{
				Type: it.kind, Columns: it.schema, Ready: it.ready, Position: it.position,
				Rows: rows.make(it.schema, it.rows), Old: rows.make(it.schema, it.old),
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (c *Client) subscribe(ctx context.Context, sql string, o SubscribeOptions) (*subscription, error) {
	if err := c.session.reentered(ctx); err != nil {
		return nil, err
	}
	params, err := toParams(o.Args)
	if err != nil {
		return nil, err
	}
	if err := c.mayTravel(); err != nil {
		return nil, err
	}
	sub := &subscription{
		sql: sql, params: params, namespace: c.namespace, born: time.Now(),
		batchSize: max(o.BatchSize, 0), lastRows: max(o.LastRows, 0), changesOnly: o.ChangesOnly,
		events: make(chan item, c.socket.queue), done: make(chan struct{}),
	}
	if sub.lastRows > cmp.Or(sub.batchSize, 1000) {
		sub.batchSize = sub.lastRows // they come in one batch
	}
	sub.reach(o.From)
	return sub, c.socket.add(sub)
}

// rowMaker makes Rows of the rows of frames. Rows of the same names share their
// columns.
type rowMaker struct {
	schema  []wire.Field
	names   []string
	columns *columns
}

func (m *rowMaker) make(schema []wire.Field, in []wire.Row) []Row {
	if len(in) == 0 {
		return nil
	}
	wire.TypeRows(schema, in)
	out := make([]Row, len(in))
	for i, r := range in {
		if m.columns == nil || !slices.Equal(m.names, r.Names) || !slices.Equal(m.schema, schema) {
			m.schema, m.names, m.columns = schema, r.Names, columnsOf(schema, r.Names)
		}
		out[i] = Row{m.columns, r.Values}
	}
	return out
}

// columnsOf describes the cells of a row that has the given names.
func columnsOf(schema []wire.Field, names []string) *columns {
	c := &columns{fields: make([]wire.Field, len(names))}
	for i, name := range names {
		f := wire.Field{Name: name}
		switch j := slices.IndexFunc(schema, func(f wire.Field) bool { return f.Name == name }); {
		case j >= 0:
			f = schema[j]
		case name == "_seq":
			f.Type.Kind = wire.BigInt
		case name == "_deleted":
			f.Type.Kind = wire.Boolean
		}
		f.Index = i
		c.fields[i] = f
	}
	return c
}
