package client

import (
	"context"
	"errors"
	"sync"
	"syscall/js"
)

// pings tells whether conn.Ping waits for an answer.
const pings = false

type socketDialer struct{ ctor js.Value }

// Dial implements dialer with the WebSocket of the host.
func (d socketDialer) Dial(ctx context.Context, url string) (conn, error) {
	ctor := d.ctor
	if ctor.IsUndefined() {
		ctor = js.Global().Get("WebSocket")
	}
	if ctor.Type() != js.TypeFunction {
		return nil, errors.New("the host has no WebSocket")
	}
	ws, err := construct(ctor, url)
	if err != nil {
		return nil, err
	}
	c := &jsConn{ws: ws, arrived: make(chan struct{}, 1), closed: make(chan struct{})}
	c.ws.Set("binaryType", "arraybuffer")
	opened := make(chan struct{})
	c.on("open", func(js.Value) { close(opened) })
	c.on("message", func(e js.Value) { c.push(e.Get("data")) })
	c.on("error", func(js.Value) { c.drop(errors.New("the connection failed")) })
	c.on("close", func(e js.Value) {
		c.drop(&closeError{Code: e.Get("code").Int(), Reason: e.Get("reason").String()})
	})
	select {
	case <-opened:
		return c, nil
	case <-c.closed:
		return nil, c.err
	case <-ctx.Done():
		c.Close(0, "")
		return nil, ctx.Err()
	}
}

// construct returns what the constructor throws, as browsers do for a socket
// that a policy of the page forbids, as an error.
func construct(ctor js.Value, url string) (ws js.Value, err error) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case js.Error:
			err = thrown
		default:
			panic(thrown)
		}
	}()
	return ctor.New(url), nil
}

// jsConn is a WebSocket of the host. The host reads ahead whatever we do, so
// messages wait in a list; it is what the server was let to send.
type jsConn struct {
	ws      js.Value
	funcs   []js.Func
	names   []string
	arrived chan struct{}
	closed  chan struct{}
	once    sync.Once
	err     error // set before closed closes

	mu   sync.Mutex // guards list
	list []message
}

type message struct {
	data   []byte
	binary bool
}

func (c *jsConn) on(event string, fn func(js.Value)) {
	f := js.FuncOf(func(_ js.Value, args []js.Value) any {
		fn(args[0])
		return nil
	})
	c.funcs, c.names = append(c.funcs, f), append(c.names, event)
	c.ws.Call("addEventListener", event, f)
}

// push takes a message over from the host.
func (c *jsConn) push(data js.Value) {
	var m message
	if data.Type() == js.TypeString {
		m.data = []byte(data.String())
	} else {
		bytes := js.Global().Get("Uint8Array").New(data)
		m = message{make([]byte, bytes.Get("length").Int()), true}
		js.CopyBytesToGo(m.data, bytes)
	}
	c.mu.Lock()
	c.list = append(c.list, m)
	c.mu.Unlock()
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

func (c *jsConn) drop(err error) {
	c.once.Do(func() {
		c.err = err
		for i, f := range c.funcs {
			c.ws.Call("removeEventListener", c.names[i], f)
		}
		for _, f := range c.funcs {
			f.Release()
		}
		close(c.closed)
	})
}

// Read implements conn.
func (c *jsConn) Read(ctx context.Context) ([]byte, bool, error) {
	for {
		c.mu.Lock()
		if len(c.list) > 0 {
			m := c.list[0]
			c.list[0] = message{}
			c.list = c.list[1:]
			c.mu.Unlock()
			return m.data, m.binary, nil
		}
		c.mu.Unlock()
		select {
		case <-c.arrived:
			continue
		default:
		}
		select {
		case <-c.arrived:
		case <-c.closed:
			return nil, false, c.err
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// Write implements conn.
func (c *jsConn) Write(_ context.Context, b []byte) error {
	const open = 1
	if c.ws.Get("readyState").Int() != open {
		return errors.New("the socket is not open")
	}
	c.ws.Call("send", string(b))
	return nil
}

// Ping implements conn: a browser cannot ping, but the server wants to hear
// something from time to time.
func (c *jsConn) Ping(ctx context.Context) error {
	return c.Write(ctx, []byte(`{"type":"ping"}`))
}

// Close implements conn.
func (c *jsConn) Close(code int, reason string) {
	if code == 0 {
		code = 1000
	}
	c.drop(errors.New("closed"))
	c.ws.Call("close", code, reason)
}
