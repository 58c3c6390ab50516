//go:build js

package main

import (
	"context"
	"errors"
	"syscall/js"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
)

// provider makes a Provider of a function that gives a promise of credentials.
func provider(fn js.Value) auth.Provider {
	return auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
		abort := js.Global().Get("AbortController").New()
		r := auth.RequestOf(ctx)
		v, err := await(ctx, fn.Invoke(string(r.Reason), r.Rejected, abort.Get("signal")))
		if ctx.Err() != nil {
			abort.Call("abort")
		}
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

// await waits for a promise.
func await(ctx context.Context, promise js.Value) (js.Value, error) {
	type settled struct {
		value js.Value
		err   error
	}
	done := make(chan settled, 1)
	var then, failed js.Func
	release := func() {
		then.Release()
		failed.Release()
	}
	then = js.FuncOf(func(_ js.Value, args []js.Value) any {
		done <- settled{value: args[0]}
		release()
		return nil
	})
	failed = js.FuncOf(func(_ js.Value, args []js.Value) any {
		done <- settled{err: thrown(args[0])}
		release()
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
// permanent is true is a refusal for good; so is a call of the client that waits.
func thrown(v js.Value) error {
	if v.Type() != js.TypeObject {
		return errors.New("the provider failed")
	}
	if v.Get("code").Equal(js.ValueOf(string(client.CodeReentrant))) {
		return client.ErrReentrant
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
