//go:build js

package main

import (
	"context"
	"errors"
	"strconv"
	"syscall/js"
	"time"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/consumer"
	"github.com/kalamdb/kalam-go/wire"
)

// worker is a consumer of a topic that hands its messages to JavaScript.
type worker struct {
	x         *consumer.Consumer
	onMessage js.Value
	auto      bool
	messages  map[int]*handed // that JavaScript has not handled or may still settle, by number
	last      int
}

// handed is a message that JavaScript has.
type handed struct {
	m       *consumer.Message
	done    chan error // of 1: what became of the handler
	handled bool
	settled bool
}

// topics adds the functions for topics.
func (b *binding) topics() {
	b.calls("consume", b.consume)
	b.calls("acknowledge", b.acknowledge)
	b.calls("flush", func(ctx context.Context, args []js.Value) (any, error) {
		if w := b.workers[args[1].Int()]; w != nil {
			return nil, w.x.Flush(ctx)
		}
		return nil, errEnded
	})
	b.function("work", b.work)
	b.function("handled", b.handled)
	b.function("settleMessage", b.settleMessage)
}

var errEnded = errors.New("the consumer has ended and given back what was not acknowledged")

// consume(call, body, abortable) asks once for messages, with the body of the
// route, and gives {messages, next_offset, has_more}.
func (b *binding) consume(ctx context.Context, args []js.Value) (any, error) {
	r, bad := wire.DecodeConsumeRequest([]byte(text(args, 1)))
	if bad != nil {
		return nil, bad
	}
	resp, err := b.c.Consume(abortable(ctx, args, 2), r)
	if err != nil {
		return nil, err
	}
	out := []byte(`{"messages":[`)
	for i := range resp.Messages {
		w := &resp.Messages[i]
		if i > 0 {
			out = append(out, ',')
		}
		out = appendMessage(out, &consumer.Message{
			Topic: w.Topic, Partition: w.Partition, Offset: w.Offset, Key: w.Key, User: w.User, Op: w.Op,
			Time: time.UnixMilli(w.TimestampMS), Payload: []byte(w.Payload), Deliveries: w.Deliveries,
		})
	}
	out = append(out, `],"next_offset":`...)
	out = strconv.AppendInt(out, resp.Next, 10)
	out = append(out, `,"has_more":`...)
	return string(append(strconv.AppendBool(out, resp.HasMore), '}')), nil
}

// acknowledge(call, body) acknowledges up to an offset, with the body of the
// route.
func (b *binding) acknowledge(ctx context.Context, args []js.Value) (any, error) {
	r, bad := wire.DecodeAckRequest([]byte(text(args, 1)))
	if bad != nil {
		return nil, bad
	}
	resp, err := b.c.Ack(ctx, r)
	if err != nil {
		return nil, err
	}
	return string(wire.AppendAckResponse(nil, resp)), nil
}

// work(call, options, onMessage, onEnd) consumes a topic until cancel(call).
// options is the JSON {topic, group, earliest, offset, batch, partition,
// timeout, concurrency, auto}. onMessage(number, message) gets each message and
// answers with handled(call, number, good); one that is not acknowledged by then
// stays with this consumer when auto is false. One that was not handled well comes
// again as consumer.Run has it. onEnd(failure) is called last.
func (b *binding) work(args []js.Value) {
	call, v, onEnd := args[0].Int(), js.Global().Get("JSON").Call("parse", args[1]), args[3]
	ctx := client.WithAbort(b.begin(call)) // a poll that goes on would take messages with it
	o := consumer.Options{
		Topic: str(v, "topic"), Group: str(v, "group"), BatchSize: number(v, "batch"), Concurrency: number(v, "concurrency"),
		PollTimeout: time.Duration(number(v, "timeout")) * time.Second,
		ManualAck:   !v.Get("auto").Truthy(),
	}
	switch offset := str(v, "offset"); {
	case offset != "":
		n, _ := strconv.ParseInt(offset, 10, 64)
		o.Start = consumer.Offset(n)
	case v.Get("earliest").Truthy():
		o.Start = consumer.Earliest
	}
	if p := v.Get("partition"); p.Type() == js.TypeNumber {
		n := p.Int()
		o.Partition = &n
	}
	x, err := consumer.On(b.c, o)
	if err != nil {
		onEnd.Invoke(describe(err))
		return
	}
	w := &worker{x: x, onMessage: args[2], auto: !o.ManualAck, messages: map[int]*handed{}}
	b.workers[call] = w
	go func() {
		err := x.Run(ctx, w.handle)
		if e := x.Close(); err == nil && ctx.Err() == nil {
			err = e
		}
		delete(b.workers, call)
		b.cancelCall(call)
		if err != nil {
			onEnd.Invoke(describe(err))
			return
		}
		onEnd.Invoke()
	}()
}

// handle gives a message to JavaScript and waits until it is handled there. One
// that failed comes again under another number.
func (w *worker) handle(ctx context.Context, m *consumer.Message) error {
	w.last++
	n, h := w.last, &handed{m: m, done: make(chan error, 1), settled: w.auto}
	w.messages[n] = h
	w.onMessage.Invoke(n, string(appendMessage(nil, m)))
	var err error
	select {
	case err = <-h.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		delete(w.messages, n)
	}
	return err
}

// with calls fn with a message by the number of its consumer and its own, and
// forgets it when JavaScript has handled and settled it.
func (b *binding) with(args []js.Value, fn func(h *handed)) {
	w, n := b.workers[args[0].Int()], args[1].Int()
	if w == nil || w.messages[n] == nil {
		return
	}
	h := w.messages[n]
	if fn(h); h.handled && h.settled {
		delete(w.messages, n)
	}
}

var errHandler = errors.New("the handler failed")

// handled(call, number, good) says what became of a handler.
func (b *binding) handled(args []js.Value) {
	b.with(args, func(h *handed) {
		if h.handled {
			return
		}
		h.handled = true
		if args[2].Truthy() {
			h.done <- nil
		} else {
			h.done <- errHandler
		}
	})
}

// settleMessage(call, number, delay) acknowledges a message, or gives it back
// after milliseconds.
func (b *binding) settleMessage(args []js.Value) {
	b.with(args, func(h *handed) {
		h.settled = true
		if delay := args[2].Float(); delay >= 0 {
			h.m.Nack(time.Duration(delay) * time.Millisecond)
		} else {
			h.m.Ack()
		}
	})
}

// appendMessage appends a message as {topic, partition_id, offset, key, op,
// timestamp_ms, user, payload, deliveries}; the payload is JSON in a string.
func appendMessage(dst []byte, m *consumer.Message) []byte {
	dst = append(dst, `{"topic":`...)
	dst = wire.AppendString(dst, m.Topic)
	dst = append(dst, `,"partition_id":`...)
	dst = strconv.AppendInt(dst, int64(m.Partition), 10)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, m.Offset, 10)
	for _, f := range [...]struct{ name, value string }{{`,"key":`, m.Key}, {`,"op":`, m.Op}, {`,"user":`, m.User}} {
		if f.value != "" {
			dst = append(dst, f.name...)
			dst = wire.AppendString(dst, f.value)
		}
	}
	dst = append(dst, `,"timestamp_ms":`...)
	dst = strconv.AppendInt(dst, m.Time.UnixMilli(), 10)
	dst = append(dst, `,"deliveries":`...)
	dst = strconv.AppendInt(dst, int64(m.Deliveries), 10)
	dst = append(dst, `,"payload":`...)
	dst = wire.AppendString(dst, string(m.Payload))
	return append(dst, '}')
}
