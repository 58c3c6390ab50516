package client

import (
	"context"
	"errors"
	"strconv"
	"syscall/js"
	"time"
)

// Native holds the options of this platform.
type Native struct {
	// WebSocket is the constructor of sockets. Default: the global one.
	WebSocket js.Value
	// Request does a request: it is called with (id, url, method, token, body,
	// signal, done) and must call done(id, status, body, retryAfter) or done(id,
	// error). Default: fetch.
	Request js.Value
}

type fetchTransport struct{}

func newPlatform(o *Options) (transport, dialer) {
	if o.Native.Request.Type() == js.TypeFunction {
		return newHostTransport(o.Native.Request), socketDialer{o.Native.WebSocket}
	}
	return fetchTransport{}, socketDialer{o.Native.WebSocket}
}

// Do implements transport with fetch, without cookies and redirects.
func (fetchTransport) Do(ctx context.Context, r *request) (*response, error) {
	abort := js.Global().Get("AbortController").New()
	headers := map[string]any{}
	if r.Token != "" {
		headers["Authorization"] = "Bearer " + r.Token
	}
	init := map[string]any{
		"method": r.Method, "redirect": "error", "credentials": "omit", "cache": "no-store",
		"signal": abort.Get("signal"), "headers": headers,
	}
	if len(r.Body) > 0 {
		headers["Content-Type"] = "application/json"
		init["body"] = string(r.Body)
	}
	resp, err := await(ctx, js.Global().Call("fetch", r.URL, init))
	if err != nil {
		abort.Call("abort")
		return nil, err
	}
	text, err := await(ctx, resp.Call("text"))
	if err != nil {
		abort.Call("abort")
		return nil, err
	}
	out := &response{Status: resp.Get("status").Int(), Body: []byte(text.String())}
	if v := resp.Get("headers").Call("get", "Retry-After"); v.Type() == js.TypeString {
		if n, err := strconv.Atoi(v.String()); err == nil && n > 0 {
			out.RetryAfter = time.Duration(min(n, 3600)) * time.Second
		}
	}
	return out, nil
}

// Close implements transport.
func (fetchTransport) Close() {}

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
		release()
		done <- settled{value: args[0]}
		return nil
	})
	failed = js.FuncOf(func(_ js.Value, args []js.Value) any {
		release()
		done <- settled{err: jsError(args[0])}
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

// jsError makes an error of what was thrown.
func jsError(v js.Value) error {
	if v.Type() == js.TypeObject {
		v = v.Get("message")
	}
	if v.Type() != js.TypeString {
		return errors.New("unknown error")
	}
	return errors.New(v.String())
}
