//go:build js

package main

import (
	"context"
	"errors"
	"syscall/js"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/wire"
)

// promise runs fn beside JavaScript and gives a promise of what it returns.
func promise(fn func() (any, error)) js.Value {
	var executor js.Func
	executor = js.FuncOf(func(_ js.Value, args []js.Value) any {
		executor.Release()
		resolve, reject := args[0], args[1]
		go func() {
			v, err := fn()
			if err != nil {
				reject.Invoke(failure(err))
				return
			}
			resolve.Invoke(v)
		}()
		return nil
	})
	return js.Global().Get("Promise").New(executor)
}

// failure makes a JavaScript Error with a code.
func failure(err error) js.Value {
	e := js.Global().Get("Error").New(err.Error())
	var w *wire.Error
	if errors.As(err, &w) {
		e.Set("code", string(w.Code))
		if w.Statement > 0 {
			e.Set("statement", w.Statement)
		}
		if w.Line > 0 {
			e.Set("line", w.Line)
			e.Set("column", w.Column)
		}
	}
	return e
}

// provider makes a Provider of a function that gives a promise of credentials.
func provider(fn js.Value) auth.Provider {
	return auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
		v, err := await(ctx, js.Global().Get("Promise").Call("resolve", fn.Invoke()))
		if err != nil {
			return auth.Auth{}, err
		}
		if v.Type() != js.TypeObject {
			return auth.Auth{}, nil
		}
		switch str(v, "type") {
		case "basic":
			return auth.Basic(str(v, "user"), str(v, "password")), nil
		case "jwt":
			return auth.JWT(str(v, "token")), nil
		}
		return auth.Auth{}, nil
	})
}

func str(v js.Value, name string) string {
	if s := v.Get(name); s.Type() == js.TypeString {
		return s.String()
	}
	return ""
}

// await waits for a promise.
func await(ctx context.Context, promise js.Value) (js.Value, error) {
	type settled struct {
		value js.Value
		err   error
	}
	done := make(chan settled, 1)
	var then, failed js.Func
	then = js.FuncOf(func(_ js.Value, args []js.Value) any {
		done <- settled{value: args[0]}
		then.Release()
		failed.Release()
		return nil
	})
	failed = js.FuncOf(func(_ js.Value, args []js.Value) any {
		done <- settled{err: thrown(args[0])}
		then.Release()
		failed.Release()
		return nil
	})
	promise.Call("then", then, failed)
	select {
	case s := <-done:
		return s.value, s.err
	case <-ctx.Done():
		return js.Undefined(), ctx.Err()
	}
}

// thrown makes an error of what a provider threw. An Error whose property
// permanent is true is a refusal for good.
func thrown(v js.Value) error {
	if v.Type() != js.TypeObject {
		return errors.New("the provider failed")
	}
	err := errors.New("the provider failed")
	if m := v.Get("message"); m.Type() == js.TypeString {
		err = errors.New(m.String())
	}
	if v.Get("permanent").Truthy() {
		return auth.Permanent(err)
	}
	return err
}
