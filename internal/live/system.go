package live

import (
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Len is how many live queries there are.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

// System is the table system.live: a row for each live query there is.
//
// Its lag is lag_bytes, what waits for the client to read, and lag_ms, since
// when the first of that waits. position is the last change that was queued.
func (h *Hub) System() *catalog.Table {
	text := func(name string) catalog.Column { return catalog.Col(name, wire.Text, true) }
	number := func(name string) catalog.Column { return catalog.Col(name, wire.BigInt, true) }
	return catalog.NewSystem(catalog.SystemNamespace, "live", []catalog.Column{
		text("live_id"), text("connection_id"), text("subscription_id"), text("namespace_id"), text("table_name"),
		text("user_id"), text("query"), catalog.Col("options", wire.JSON, false), text("status"),
		catalog.Col("created_at", wire.Timestamp, true), catalog.Col("last_update", wire.Timestamp, true),
		number("changes"), number("node_id"), catalog.Col("last_ping_at", wire.Timestamp, true),
		catalog.Col("position", wire.BigInt, false), number("lag_bytes"), number("lag_ms"),
	}, "", h.rows)
}

// seen is a live query as it was at a moment.
type seen struct {
	*Subscription
	active   bool
	position store.Seq
}

// look copies what the hub's mu guards of each live query.
func (h *Hub) look() []seen {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]seen, 0, len(h.subs))
	for _, sub := range h.subs {
		// The goroutine of a subscription that is not in a group owns most of it.
		out = append(out, seen{sub, sub.group != nil, sub.position})
	}
	return out
}

func (h *Hub) rows() [][]wire.Value {
	h.catchUp() // an answered KILL LIVE QUERY is seen here
	subs := h.look()
	now := time.Now()
	out := make([][]wire.Value, 0, len(subs))
	for _, sub := range subs {
		w := sub.outlet.Waiting(sub.Subscription)
		status, position, updated := "loading", wire.Null, sub.since
		if sub.active {
			status, position = "active", wire.IntValue(sub.position)
			if last := store.TimeOf(sub.position); last.After(updated) {
				updated = last
			}
		}
		lag := int64(0)
		if !w.Oldest.IsZero() {
			lag = now.Sub(w.Oldest).Milliseconds()
		}
		out = append(out, []wire.Value{
			wire.TextValue(strconv.FormatInt(sub.Number, 10)), wire.TextValue(w.Socket), wire.TextValue(sub.ID),
			wire.TextValue(sub.table[0]), wire.TextValue(sub.table[1]), wire.TextValue(sub.who.UserID),
			wire.TextValue(sub.sql), options(sub.option), wire.TextValue(status),
			wire.IntValue(sub.since.UnixMicro()), wire.IntValue(updated.UnixMicro()),
			wire.IntValue(sub.changes.Load()), wire.IntValue(1), wire.IntValue(w.LastSeen.UnixMicro()),
			position, wire.IntValue(int64(w.Bytes)), wire.IntValue(lag),
		})
	}
	return out
}

// options gives the options of a subscribe message as JSON.
func options(o *wire.SubscribeOptions) wire.Value {
	if o == nil {
		return wire.Null
	}
	b := []byte{'{'}
	add := func(name string, n int64) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(wire.AppendString(b, name), ':')
		b = strconv.AppendInt(b, n, 10)
	}
	if o.BatchSize > 0 {
		add("batch_size", int64(o.BatchSize))
	}
	if o.LastRows > 0 {
		add("last_rows", int64(o.LastRows))
	}
	if o.HasFrom {
		add("from", o.From)
	}
	return wire.TextValue(string(append(b, '}')))
}

// kill ends the live query of that number and tells its client.
func (h *Hub) kill(number int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sub := h.subs[number]
	if sub == nil {
		return
	}
	sub.cancel()
	h.leave(sub)
	sub.fail(wire.NewError(wire.CodeLiveQueryKilled, "an administrator ended the live query"), wire.CodeLiveQueryKilled)
}
