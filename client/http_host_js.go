package client

import (
	"context"
	"errors"
	"syscall/js"
	"time"
)

// hostTransport does requests with a function of the host, which costs one call
// there and one back. Doing the same from here takes a dozen.
type hostTransport struct {
	request js.Value
	done    js.Func
	waiting map[int]chan<- hostAnswer // Go runs on one thread here, so no lock
	last    int
	open    int // requests that the host has not answered
	closed  bool
}

type hostAnswer struct {
	response *response
	err      error
}

type abortKey struct{}

// WithAbort gives a context whose end aborts requests at the host, too. Without
// it a request that is not waited for any longer goes on there, which costs
// less: an AbortController makes a query a third more expensive.
func WithAbort(ctx context.Context) context.Context {
	return context.WithValue(ctx, abortKey{}, true)
}

func newHostTransport(request js.Value) *hostTransport {
	t := &hostTransport{request: request, waiting: map[int]chan<- hostAnswer{}}
	t.done = js.FuncOf(func(_ js.Value, args []js.Value) any {
		t.open--
		defer t.release()
		id := args[0].Int()
		answer := t.waiting[id]
		delete(t.waiting, id)
		if answer == nil {
			return nil // nobody waits any more
		}
		if args[1].Type() == js.TypeString {
			answer <- hostAnswer{err: errors.New(args[1].String())}
			return nil
		}
		answer <- hostAnswer{response: &response{
			Status: args[1].Int(), Body: []byte(args[2].String()), RetryAfter: time.Duration(args[3].Int()) * time.Second,
		}}
		return nil
	})
	return t
}

// Do implements transport. The host calls done(id, status, body, retryAfter),
// or done(id, error).
func (t *hostTransport) Do(ctx context.Context, r *request) (*response, error) {
	t.last++
	t.open++
	id := t.last
	answer := make(chan hostAnswer, 1)
	t.waiting[id] = answer
	var abort, signal js.Value
	abortable := ctx.Value(abortKey{}) != nil
	if abortable {
		abort = js.Global().Get("AbortController").New()
		signal = abort.Get("signal")
	}
	t.request.Invoke(id, r.URL, r.Method, r.Token, string(r.Body), signal, t.done)
	select {
	case a := <-answer:
		return a.response, a.err
	case <-ctx.Done():
		delete(t.waiting, id)
		if abortable {
			abort.Call("abort")
		}
		return nil, ctx.Err()
	}
}

// Close implements transport.
func (t *hostTransport) Close() {
	t.closed = true
	t.release()
}

// release lets the host forget done when it will not be called again.
func (t *hostTransport) release() {
	if t.closed && t.open == 0 {
		t.done.Release()
	}
}
