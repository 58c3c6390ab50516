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
	funcs  []js.Func

	// running holds what ends a call, by the number that JavaScript gave it.
	// Go runs on one thread here and gives way only when it waits, so it needs
	// no lock.
	running map[int]context.CancelFunc
}

// promises adds a function that gives a promise. The first argument is the
// number of the call, for cancel.
func (b *binding) promises(name string, fn func(ctx context.Context, args []js.Value) (any, error)) {
	b.add(name, func(args []js.Value) any {
		call := args[0].Int()
		ctx := b.begin(call)
		return promise(func() (any, error) {
			defer b.cancelCall(call)
			return fn(ctx, args)
		})
	})
}

// function adds a function that returns at once.
func (b *binding) function(name string, fn func(args []js.Value)) {
	b.add(name, func(args []js.Value) any { fn(args); return nil })
}

func (b *binding) add(name string, fn func(args []js.Value) any) {
	f := js.FuncOf(func(_ js.Value, args []js.Value) any { return fn(args) })
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

// promise runs fn beside JavaScript and gives a promise of what it returns. It
// is rejected with the description of an error.
func promise(fn func() (any, error)) js.Value {
	var executor js.Func
	executor = js.FuncOf(func(_ js.Value, args []js.Value) any {
		executor.Release()
		resolve, reject := args[0], args[1]
		go func() {
			v, err := fn()
			if err != nil {
				reject.Invoke(describe(err))
				return
			}
			resolve.Invoke(v)
		}()
		return nil
	})
	return js.Global().Get("Promise").New(executor)
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
