//go:build js

// Command kalamwasm is the client for JavaScript: compiled to WebAssembly it
// leaves one function, kalamClient, in the global object that wasm_exec.js was
// given. What crosses between the two worlds are strings of JSON, one for each
// call, because a call costs more than the parsing.
//
// It holds no logic of its own; see package client. What a page sees is made by
// the package in ts/client.
package main

import (
	"context"
	"errors"
	"syscall/js"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

func main() {
	js.Global().Set("kalamClient", js.FuncOf(newClient))
	select {}
}

// newClient(url, options, host) gives an object with the functions below, or one
// with the description of an error under "failure".
//
// options is {namespace, allowInsecureCredentials, ping, authTimeout, attempts,
// backoff, maxBackoff}: the last three are of the provider, times in milliseconds.
// host is {settle, provider, request, WebSocket, onAuth}: settle(call, good,
// value) takes the answer of a call; provider(reason, rejected, signal) gives a
// promise of {type: 'basic', user, password} or {type: 'jwt', token}; request
// and WebSocket are those of client.Native; onAuth(state, user, refresh, failure)
// is told how the session stands and which refresh token is its newest.
func newClient(_ js.Value, args []js.Value) any {
	host := args[2]
	o := client.Options{
		Namespace:                str(args[1], "namespace"),
		AllowInsecureCredentials: args[1].Get("allowInsecureCredentials").Truthy(),
		PingInterval:             millis(args[1].Get("ping")),
		AuthTimeout:              millis(args[1].Get("authTimeout")),
		ProviderRetry: client.ProviderRetry{
			Attempts: number(args[1], "attempts"), First: millis(args[1].Get("backoff")), Max: millis(args[1].Get("maxBackoff")),
		},
		Native: client.Native{WebSocket: host.Get("WebSocket"), Request: host.Get("request")},
	}
	if onAuth := host.Get("onAuth"); onAuth.Type() == js.TypeFunction {
		o.OnAuth = func(e client.AuthEvent) {
			if e.Err != nil {
				onAuth.Invoke(string(e.State), e.User, e.RefreshToken(), describe(e.Err))
				return
			}
			onAuth.Invoke(string(e.State), e.User, e.RefreshToken())
		}
	}
	c, err := client.New(args[0].String(), provider(host.Get("provider")), o)
	if err != nil {
		return map[string]any{"failure": describe(err)}
	}
	b := &binding{c: c, running: map[int]context.CancelFunc{}, workers: map[int]*worker{}, object: js.Global().Get("Object").New(), settle: host.Get("settle")}
	b.calls("send", b.send)
	b.calls("upload", b.upload)
	b.calls("sign", func(ctx context.Context, args []js.Value) (any, error) {
		link, err := c.SignFile(ctx, text(args, 1), time.Duration(args[2].Float()*float64(time.Second)))
		if err != nil {
			return nil, err
		}
		return link.URL, nil
	})
	b.calls("prime", func(ctx context.Context, _ []js.Value) (any, error) {
		cred, err := c.Prime(ctx)
		switch {
		case auth.IsBasic(cred):
			return "basic", err
		case auth.IsJWT(cred):
			return "jwt", err
		}
		return nil, err
	})
	b.calls("login", func(ctx context.Context, _ []js.Value) (any, error) { return loginJSON(c.Login(ctx)) })
	b.calls("refresh", func(ctx context.Context, args []js.Value) (any, error) {
		return loginJSON(c.RefreshToken(ctx, text(args, 1)))
	})
	b.calls("auth", b.auth)
	b.calls("connect", func(ctx context.Context, _ []js.Value) (any, error) { return nil, c.Connect(ctx) })
	b.calls("close", func(context.Context, []js.Value) (any, error) {
		err := c.Close()
		b.release()
		return nil, err
	})
	b.topics()
	b.function("cancel", b.cancel)
	b.function("live", b.live)
	b.function("subscribe", b.subscribe)
	b.function("disconnect", func([]js.Value) { c.Disconnect() })
	b.function("wake", func([]js.Value) { c.Wake() })
	b.function("reconnect", b.reconnect)
	return b.object
}

// send(call, body, abortable) posts a body of /v1/api/sql and gives the answer's text.
func (b *binding) send(ctx context.Context, args []js.Value) (any, error) {
	answer, err := b.c.Send(abortable(ctx, args, 2), []byte(text(args, 1)))
	return string(answer), err
}

// auth(call, method, path, body, asUser, abortable) sends a request to an auth route
// and returns the text of the response, which may be empty.
func (b *binding) auth(ctx context.Context, args []js.Value) (any, error) {
	answer, err := b.c.SendAuth(abortable(ctx, args, 5), text(args, 1), text(args, 2), []byte(text(args, 3)), args[4].Truthy())
	return string(answer), err
}

// upload(call, post) has post(token) send a form to /v1/api/sql and gives the
// answer's text. post gives a promise of [status, text].
func (b *binding) upload(ctx context.Context, args []js.Value) (any, error) {
	answer, err := b.c.Upload(ctx, func(ctx context.Context, token string) (int, []byte, error) {
		v, err := await(ctx, args[1].Invoke(token))
		if err != nil {
			return 0, nil, err
		}
		return v.Index(0).Int(), []byte(v.Index(1).String()), nil
	})
	return string(answer), err
}

// live(call, sql, options, onPatch, onEnd) begins a live query. options is the
// JSON {params, limit, key, batch_size, from}. onPatch gets {reset, slots,
// rows, before, removed, position} as JSON: slots, rows and before side by side. onEnd gets what
// ended the query. cancel(call) ends it.
func (b *binding) live(args []js.Value) {
	call, sql, onPatch, onEnd := args[0].Int(), args[1].String(), args[3], args[4]
	ctx := b.begin(call)
	go func() {
		defer b.cancelCall(call)
		o, err := decodeLive(args[2].String())
		if err == nil {
			var out []byte
			for p, e := range b.c.LivePatches(ctx, sql, o) {
				if err = e; err == nil {
					out = appendPatch(out[:0], &p)
					onPatch.Invoke(string(out))
				}
			}
		}
		b.ended(ctx, err, onEnd)
	}()
}

// subscribe(call, sql, options, onEvent, onEnd) begins a live query of which
// every event is given, as the JSON of the protocol's message and the position
// after it. options is {params, batch_size, last_rows, from, changes_only}.
func (b *binding) subscribe(args []js.Value) {
	call, sql, onEvent, onEnd := args[0].Int(), args[1].String(), args[3], args[4]
	ctx := b.begin(call)
	go func() {
		defer b.cancelCall(call)
		o, err := decodeSubscribe(args[2].String())
		if err == nil {
			batch := 0
			for event, e := range b.c.Subscribe(ctx, sql, o) {
				if err = e; err == nil {
					onEvent.Invoke(string(appendEvent(nil, &event, &batch)))
				}
			}
		}
		b.ended(ctx, err, onEnd)
	}()
}

// ended tells JavaScript why a live query ended, unless it wanted that itself.
func (b *binding) ended(ctx context.Context, err error, onEnd js.Value) {
	if err != nil && ctx.Err() == nil {
		onEnd.Invoke(describe(err))
	}
}

// reconnect(off, firstDelay, maxDelay, maxAttempts) sets the policy, times in
// milliseconds.
func (b *binding) reconnect(args []js.Value) {
	b.c.SetReconnect(client.ReconnectPolicy{
		Off: args[0].Truthy(), FirstDelay: millis(args[1]), MaxDelay: millis(args[2]), MaxAttempts: args[3].Int(),
	})
}

func loginJSON(l *wire.LoginResponse, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return string(wire.AppendLoginResponse(nil, l)), nil
}

// describe makes {code, message, status, retryable} of an error, and {details,
// hint, statement, line, column} where the server said so.
func describe(err error) map[string]any {
	d := client.Describe(err)
	out := map[string]any{"code": string(d.Code), "message": d.Message, "status": d.Status, "retryable": d.Retryable,
		"auth": errors.Is(err, client.ErrUnauthenticated) || errors.Is(err, client.ErrInsecureTransport)}
	if a := d.Answer; a != nil {
		out["server"] = true
		for name, s := range map[string]string{"details": a.Details, "hint": a.Hint} {
			if s != "" {
				out[name] = s
			}
		}
		for name, n := range map[string]int{"statement": a.Statement, "line": a.Line, "column": a.Column} {
			if n > 0 {
				out[name] = n
			}
		}
	}
	return out
}
