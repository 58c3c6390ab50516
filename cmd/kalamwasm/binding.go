//go:build js

package main

import (
	"context"
	"syscall/js"
	"time"

	"github.com/kalamdb/kalam-go/client"
)

// binding is a client as an object of JavaScript.
type binding struct {
	c      *client.Client
	object js.Value
	settle js.Value
	funcs  []js.Func

	// running holds what ends a call, by the number that JavaScript gave it.
	// Go runs on one thread here and gives way only when it waits, so it needs
	// no lock.
	running map[int]context.CancelFunc
	workers map[int]*worker // likewise
}

// calls adds a function that answers with settle(call, true, value) or
// settle(call, false, description of the error). Its first argument is the
// number of the call, for cancel.
func (b *binding) calls(name string, fn func(ctx context.Context, args []js.Value) (any, error)) {
	b.function(name, func(args []js.Value) {
		call := args[0].Int()
		ctx := b.begin(call)
		go func() {
			v, err := fn(ctx, args)
			b.cancelCall(call)
			if err != nil {
				b.settle.Invoke(call, false, describe(err))
				return
			}
			b.settle.Invoke(call, true, v)
		}()
	})
}

// function adds a function that returns at once.
func (b *binding) function(name string, fn func(args []js.Value)) {
	f := js.FuncOf(func(_ js.Value, args []js.Value) any {
		fn(args)
		return nil
	})
	b.funcs = append(b.funcs, f)
	b.object.Set(name, f)
}

// release lets JavaScript forget the functions. No call may follow.
func (b *binding) release() {
	for _, f := range b.funcs {
		f.Release()
	}
}

func (b *binding) begin(call int) context.Context {
	ctx, stop := context.WithCancel(context.Background())
	b.running[call] = stop
	return ctx
}

func (b *binding) cancel(args []js.Value) { b.cancelCall(args[0].Int()) }

func (b *binding) cancelCall(call int) {
	if stop := b.running[call]; stop != nil {
		delete(b.running, call)
		stop()
	}
}

// abortable gives a context whose end aborts the request at the host, if
// JavaScript may want that.
func abortable(ctx context.Context, args []js.Value, i int) context.Context {
	if i < len(args) && args[i].Truthy() {
		return client.WithAbort(ctx)
	}
	return ctx
}

func text(args []js.Value, i int) string {
	if i < len(args) && args[i].Type() == js.TypeString {
		return args[i].String()
	}
	return ""
}

func str(v js.Value, name string) string {
	if s := v.Get(name); s.Type() == js.TypeString {
		return s.String()
	}
	return ""
}

func millis(v js.Value) time.Duration {
	if v.Type() != js.TypeNumber {
		return 0
	}
	return time.Duration(v.Float()) * time.Millisecond
}
