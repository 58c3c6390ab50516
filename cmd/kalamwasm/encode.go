//go:build js

package main

import (
	"strconv"
	"syscall/js"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// appendPatch appends a patch as {reset, slots, rows, before, removed, position}.
func appendPatch(dst []byte, p *client.Patch) []byte {
	dst = append(dst, `{"reset":`...)
	dst = strconv.AppendBool(dst, p.Reset)
	dst = append(dst, `,"slots":[`...)
	rows := make([]client.Row, len(p.Put))
	for i := range p.Put {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(p.Put[i].Slot), 10)
		rows[i] = p.Put[i].Row
	}
	dst = append(dst, `],"rows":`...)
	dst = appendRows(dst, rows)
	dst = append(dst, `,"before":[`...)
	for i := range p.Put {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(p.Put[i].Before), 10)
	}
	dst = append(dst, `],"removed":[`...)
	for i, slot := range p.Removed {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(slot), 10)
	}
	dst = append(dst, ']')
	dst = appendPosition(dst, p.Position)
	return append(dst, '}')
}

// appendEvent appends an event as the message of the protocol that it stands
// for, and the position after it.
func appendEvent(dst []byte, e *client.Event, batch *int) []byte {
	control := func(more bool) {
		dst = append(dst, `,"batch_control":{"batch_num":`...)
		dst = strconv.AppendInt(dst, int64(*batch), 10)
		dst = append(dst, `,"has_more":`...)
		dst = strconv.AppendBool(dst, more)
		switch {
		case !more:
			dst = append(dst, `,"status":"ready"`...)
		case *batch == 0:
			dst = append(dst, `,"status":"loading"`...)
		default:
			dst = append(dst, `,"status":"loading_batch"`...)
		}
		dst = append(dst, '}')
	}
	switch e.Type {
	case client.EventAck, client.EventReset:
		*batch = 0
		dst = append(dst, `{"type":"subscription_ack","total_rows":0`...)
		control(!e.Ready)
		dst = append(dst, `,"schema":`...)
		dst = wire.AppendSchema(dst, e.Columns)
		if e.Type == client.EventReset {
			dst = append(dst, `,"reset":true`...)
		}
	case client.EventSnapshot:
		dst = append(dst, `{"type":"initial_data_batch","rows":`...)
		dst = appendRows(dst, e.Rows)
		control(!e.Ready)
		*batch++
	default:
		dst = append(dst, `{"type":"change","change_type":"`...)
		dst = append(dst, e.Type...)
		dst = append(dst, '"')
		if e.Rows != nil {
			dst = append(dst, `,"rows":`...)
			dst = appendRows(dst, e.Rows)
		}
		if e.Old != nil {
			dst = append(dst, `,"old_values":`...)
			dst = appendRows(dst, e.Old)
		}
	}
	dst = appendPosition(dst, e.Position)
	return append(dst, '}')
}

// appendPosition appends a position as a string, since JavaScript rounds large
// numbers.
func appendPosition(dst []byte, n int64) []byte {
	if n <= 0 {
		return dst
	}
	dst = append(dst, `,"position":"`...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '"')
}

// appendRows appends rows as objects.
func appendRows(dst []byte, rows []client.Row) []byte {
	out := make([]wire.Row, len(rows))
	var schema, last []wire.Field
	var names []string
	for i, r := range rows {
		f := r.Columns()
		if len(f) == 0 {
			continue
		}
		if last == nil || &f[0] != &last[0] {
			last, names = f, make([]string, len(f))
			for j := range f {
				names[j] = f[j].Name
			}
		}
		if len(schema) < len(f) {
			schema = f
		}
		values := make([]wire.Value, r.Len())
		for j := range values {
			values[j] = r.At(j)
		}
		out[i] = wire.Row{Names: names, Values: values}
	}
	return wire.AppendRows(dst, schema, out)
}

// decodeLive reads {params, limit, key, batch_size, from}. The decoder of
// JavaScript does it: options are small and rare.
func decodeLive(json string) (o client.LiveOptions, err error) {
	v := js.Global().Get("JSON").Call("parse", json)
	if o.Args, err = params(v); err != nil {
		return o, err
	}
	o.Limit, o.BatchSize, o.From = number(v, "limit"), number(v, "batch_size"), position(v)
	if key := v.Get("key"); key.Type() == js.TypeObject {
		for i := range key.Length() {
			o.Key = append(o.Key, key.Index(i).String())
		}
	}
	return o, nil
}

// decodeSubscribe reads {params, batch_size, last_rows, from, changes_only}.
func decodeSubscribe(json string) (o client.SubscribeOptions, err error) {
	v := js.Global().Get("JSON").Call("parse", json)
	if o.Args, err = params(v); err != nil {
		return o, err
	}
	o.BatchSize, o.LastRows, o.From = number(v, "batch_size"), number(v, "last_rows"), position(v)
	o.ChangesOnly = v.Get("changes_only").Truthy()
	return o, nil
}

func number(v js.Value, name string) int {
	if n := v.Get(name); n.Type() == js.TypeNumber {
		return n.Int()
	}
	return 0
}

func position(v js.Value) int64 {
	n, _ := strconv.ParseInt(str(v, "from"), 10, 64)
	return n
}

// params reads the JSON of the parameters, which is in a string of its own so
// that integers of 64 bits stay whole.
func params(v js.Value) ([]any, error) {
	json := str(v, "params")
	if json == "" {
		return nil, nil
	}
	r, err := wire.DecodeRequest([]byte(`{"sql":"","params":` + json + `}`))
	if err != nil {
		return nil, err
	}
	out := make([]any, len(r.Params))
	for i, v := range r.Params {
		out[i] = v
	}
	return out, nil
}
