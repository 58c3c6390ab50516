package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// live follows a live query until the context ends, which is its regular end.
func (x *executor) live(ctx context.Context, query string) error {
	var err error
	switch x.format {
	case "csv":
		return &usageError{"a live query prints a table or, with --format json, events"}
	case "json":
		err = x.events(ctx, query)
	default:
		err = x.tables(ctx, query)
	}
	if ctx.Err() != nil {
		return nil
	}
	return x.failure(err, query, 0)
}

// connectionNotes tells a person once when the rows that they see may be old,
// and when they are not any more.
func connectionNotes(w io.Writer) func(lost error) {
	connected, down := false, false
	return func(lost error) {
		switch {
		case lost == nil && down:
			fmt.Fprintln(w, "Connected again.")
		case lost != nil && connected && !down:
			fmt.Fprintf(w, "Disconnected, what you see may be old: %s. Trying again ...\n", printable(lost.Error()))
		}
		connected, down = connected || lost == nil, lost != nil
	}
}

// tables prints all rows, and again after every change.
func (x *executor) tables(ctx context.Context, query string) error {
	fmt.Fprintln(x.s.err, "Live until Ctrl-C.")
	// The first event has the columns, which an empty row set lacks.
	var columns []wire.Field
	for event, err := range x.c.Subscribe(ctx, query, client.SubscribeOptions{ChangesOnly: true}) {
		if err != nil {
			return err
		}
		columns = event.Columns
		break
	}
	for rows, err := range x.c.Live(ctx, query, client.LiveOptions{}) {
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			columns = rows[0].Columns()
		}
		out := bufio.NewWriter(x.s.out)
		fmt.Fprintln(out, time.Now().Format("15:04:05"))
		x.writeTable(out, columns, rows)
		fmt.Fprintln(out)
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// events prints one JSON object per event and line.
func (x *executor) events(ctx context.Context, query string) error {
	for event, err := range x.c.Subscribe(ctx, query, client.SubscribeOptions{}) {
		if err != nil {
			return err
		}
		if _, err := x.s.out.Write(append(appendEvent(nil, event), '\n')); err != nil {
			return err
		}
	}
	return nil
}

func appendEvent(b []byte, e client.Event) []byte {
	b = append(b, `{"event":`...)
	b = wire.AppendString(b, string(e.Type))
	b = append(b, `,"position":"`...)
	b = strconv.AppendInt(b, e.Position, 10)
	b = append(b, '"')
	if e.Type == client.EventSnapshot {
		b = append(b, `,"ready":`...)
		b = strconv.AppendBool(b, e.Ready)
	}
	b = appendRows(b, "rows", e.Rows)
	b = appendRows(b, "old", e.Old)
	return append(b, '}')
}

func appendRows(b []byte, name string, rows []client.Row) []byte {
	if len(rows) == 0 {
		return b
	}
	b = append(b, `,"`+name+`":[`...)
	for i, r := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRow(b, r)
	}
	return append(b, ']')
}
