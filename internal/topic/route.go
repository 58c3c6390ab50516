package topic

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Message is one message of a topic before it has an offset.
type Message struct {
	Topic     *catalog.Topic
	Partition int
	Op        store.Op
	User      string // whose row it is; in a SHARED table who changed it
	Key       string // the primary key as text
	HasKey    bool
	Payload   []byte // JSON
}

// Router turns changes into messages by the sources of one catalog. It is
// immutable and safe for concurrent use.
type Router struct {
	snapshot *catalog.Snapshot
	routes   map[routeKey][]route
	limit    int // bytes of a payload
}

type routeKey struct {
	table int64
	op    store.Op
}

type route struct {
	topic   *catalog.Topic
	table   *catalog.Table
	payload string
	filter  *bind.Predicate // nil: every change
	err     error           // the filter no longer binds
}

// NewRouter makes the router of a catalog. limit is the size of the largest
// payload in bytes.
func NewRouter(snapshot *catalog.Snapshot, limit int) *Router {
	r := &Router{snapshot: snapshot, routes: make(map[routeKey][]route), limit: limit}
	for _, t := range snapshot.Topics() {
		for _, s := range t.Sources {
			table := snapshot.TableByID(s.Table)
			if table == nil {
				continue
			}
			x := route{topic: t, table: table, payload: s.Payload}
			if s.Where != "" {
				x.filter, x.err = BindFilter(table, s.Where)
			}
			key := routeKey{s.Table, opOf(s.Op)}
			r.routes[key] = append(r.routes[key], x)
		}
	}
	return r
}

func opOf(name string) store.Op {
	for op := store.OpInsert; op <= store.OpDelete; op++ {
		if op.String() == name {
			return op
		}
	}
	return 0
}

// BindFilter binds the filter of a source, given as SQL text. Its errors have no
// place: the text may be older than the statement.
func BindFilter(t *catalog.Table, where string) (*bind.Predicate, error) {
	x, err := dialect.ParseExpr(where)
	if err != nil {
		return nil, err
	}
	b := &bind.Binder{Params: new(expr.Params), Source: where}
	p, err := b.Predicate(t, x, "the filter of a source")
	return p, fault.Change(err, func(e *wire.Error) { e.Line, e.Column = 0, 0 })
}

// Route gives the messages that follow from a change that actor made, now as
// the time of the statement.
func (r *Router) Route(c *store.Change, env *expr.Env) ([]Message, error) {
	var out []Message
	for _, x := range r.routes[routeKey{c.Table, c.Op}] {
		if x.err != nil {
			return nil, fmt.Errorf("filter of topic %s: %w", x.topic.FullName(), x.err)
		}
		row := c.New
		if c.Op == store.OpDelete {
			row = c.Old
		}
		if x.filter != nil {
			env.Row = append(slices.Clone(row), wire.IntValue(c.Seq), wire.BoolValue(c.Op == store.OpDelete))
			ok, err := x.filter.Match(env)
			if err != nil {
				return nil, inFilter(x.topic, err)
			}
			if !ok {
				continue
			}
		}
		m := Message{Topic: x.topic, Op: c.Op, User: c.User}
		if !x.table.Kind.Private() {
			m.User = env.User
		}
		m.Key, m.HasKey = keyText(x.table, row)
		m.Payload = x.appendPayload(nil, c)
		if len(m.Payload) > r.limit {
			return nil, wire.NewError(CodePayloadTooLarge, "the message for topic ", x.topic.FullName(), " would have ", strconv.Itoa(len(m.Payload)),
				" bytes; the limit is ", strconv.Itoa(r.limit), ": store less in the row, or let the source send payload = 'key'")
		}
		m.Partition = partition(x.topic.Partitions, &m)
		out = append(out, m)
	}
	return out, nil
}

// CodePayloadTooLarge refuses a change whose message would be too large.
const CodePayloadTooLarge wire.Code = "PAYLOAD_TOO_LARGE"

func inFilter(t *catalog.Topic, err error) error {
	return fault.In("filter of topic "+t.FullName(), err)
}

// partition is where a message goes: the same for all messages of a row.
func partition(n int, m *Message) int {
	if n == 1 {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(m.User))
	h.Write([]byte{0})
	if m.HasKey {
		h.Write([]byte(m.Key))
	} else {
		h.Write(m.Payload)
	}
	return int(h.Sum64() % uint64(n))
}

// keyText is the primary key as text: the cell itself, or for several columns a
// JSON object with the names in order. A table without a key has none.
func keyText(t *catalog.Table, row []wire.Value) (string, bool) {
	switch len(t.Key) {
	case 0:
		return "", false
	case 1:
		c := &t.Columns[t.Key[0]]
		v := row[t.Key[0]]
		if v.Tag() == wire.TagText {
			return v.Text(), true
		}
		text := string(wire.AppendCell(nil, c.Type, v))
		if len(text) > 1 && text[0] == '"' { // a number of 64 bits
			text = text[1 : len(text)-1]
		}
		return text, true
	}
	key := slices.Clone(t.Key)
	slices.SortFunc(key, func(a, b int) int {
		if t.Columns[a].Name < t.Columns[b].Name {
			return -1
		}
		return 1
	})
	o := object{b: []byte{'{'}}
	for _, k := range key {
		o.cell(&t.Columns[k], row[k])
	}
	return string(append(o.b, '}')), true
}

// object is a JSON object being written.
type object struct{ b []byte }

func (o *object) name(name string) {
	if len(o.b) > 0 && o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = wire.AppendString(o.b, name)
	o.b = append(o.b, ':')
}

func (o *object) cell(c *catalog.Column, v wire.Value) {
	o.name(c.Name)
	o.b = wire.AppendCell(o.b, c.Type, v)
}

// appendPayload writes what a source sends of a change: with key the key, with
// full the row, with diff the key and the columns that an update changed, and
// under _old what they were before.
func (x *route) appendPayload(dst []byte, c *store.Change) []byte {
	row := c.New
	if c.Op == store.OpDelete {
		row = c.Old
	}
	diff := x.payload == "diff" && c.Op == store.OpUpdate
	o := object{b: append(dst, '{')}
	for i := range x.table.Columns {
		if x.table.IsKey(i) || x.payload != "key" && (!diff || c.Old[i] != c.New[i]) {
			o.cell(&x.table.Columns[i], row[i])
		}
	}
	if x.payload != "key" {
		o.name(catalog.SeqColumn)
		o.b = wire.AppendCell(o.b, wire.Type{Kind: wire.BigInt}, wire.IntValue(c.Seq))
		o.name(catalog.DeletedColumn)
		o.b = strconv.AppendBool(o.b, c.Op == store.OpDelete)
		o.name("_table")
		o.b = wire.AppendString(o.b, x.table.FullName())
	}
	if diff {
		o.name("_old")
		old := object{b: append(o.b, '{')}
		for i := range x.table.Columns {
			if c.Old[i] != c.New[i] {
				old.cell(&x.table.Columns[i], c.Old[i])
			}
		}
		o.b = append(old.b, '}')
	}
	return append(o.b, '}')
}
