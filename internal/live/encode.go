package live

import (
	"slices"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/watch"
	"github.com/kalamdb/kalam-go/wire"
)

func (s *Subscription) ack(control wire.BatchControl, reset bool) *Frame {
	return newFrame(&wire.ServerFrame{
		Type: "subscription_ack", SubscriptionID: s.ID, BatchControl: control, Schema: s.query.Fields(), Reset: reset,
	})
}

func (s *Subscription) batch(rows [][]wire.Value, control wire.BatchControl) *Frame {
	return newFrame(&wire.ServerFrame{
		Type: "initial_data_batch", SubscriptionID: s.ID, BatchControl: control,
		Schema: s.query.Fields(), Rows: named(s.query.Fields(), rows...),
	})
}

// changeHead is the part of a change frame that differs between the
// subscriptions of a group.
func (s *Subscription) changeHead() []byte {
	return append([]byte(`{"type":"change","subscription_id":`), wire.AppendString(nil, s.ID)...)
}

// named gives rows the names of their cells.
func named(fields []wire.Field, rows ...[]wire.Value) []wire.Row {
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].Name
	}
	out := make([]wire.Row, len(rows))
	for i, row := range rows {
		out[i] = wire.Row{Names: names, Values: row}
	}
	return out
}

// changeTail encodes what follows the id in a change frame. An insert carries
// the new row; an update the new row and, of the old one, its key, its _seq and
// what changed; a delete the old row with the _seq of its end and _deleted true.
func changeTail(fields []wire.Field, ev watch.Event) []byte {
	b := append([]byte(`,"change_type":"`), ev.Op.String()...)
	b = append(b, '"')
	schema := fields
	switch ev.Op {
	case store.OpDelete:
		row := named(fields, ev.Row)[0]
		schema, row = deleted(schema, row)
		b = append(b, `,"old_values":`...)
		b = wire.AppendRows(b, schema, []wire.Row{row})
	default:
		b = append(b, `,"rows":`...)
		b = wire.AppendRows(b, schema, named(fields, ev.Row))
		if ev.Op == store.OpUpdate {
			schema, row := replaced(fields, ev)
			b = append(b, `,"old_values":`...)
			b = wire.AppendRows(b, schema, []wire.Row{row})
		}
	}
	return append(b, '}')
}

// deleted marks a row as deleted.
func deleted(schema []wire.Field, row wire.Row) ([]wire.Field, wire.Row) {
	i := slices.Index(row.Names, catalog.DeletedColumn)
	if i < 0 {
		f := wire.Field{Name: catalog.DeletedColumn, Type: wire.Type{Kind: wire.Boolean}, Index: len(schema)}
		return append(schema[:len(schema):len(schema)], f), wire.Row{
			Names:  append(slices.Clone(row.Names), catalog.DeletedColumn),
			Values: append(slices.Clone(row.Values), wire.BoolValue(true)),
		}
	}
	row.Values = slices.Clone(row.Values)
	row.Values[i] = wire.BoolValue(true)
	return schema, row
}

// replaced is the old row of an update, without what stayed the same.
func replaced(fields []wire.Field, ev watch.Event) ([]wire.Field, wire.Row) {
	var schema []wire.Field
	var row wire.Row
	for i, f := range fields {
		same := ev.Old[i] == ev.Row[i]
		key := f.Flags&wire.FlagPrimaryKey != 0 || f.Name == catalog.SeqColumn
		if same && !key || f.Name == catalog.DeletedColumn {
			continue
		}
		f.Index = len(schema)
		schema = append(schema, f)
		row.Names = append(row.Names, f.Name)
		row.Values = append(row.Values, ev.Old[i])
	}
	return schema, row
}
