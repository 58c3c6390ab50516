//go:build js

// Command kalamwasm is the client for JavaScript: compiled to WebAssembly it
// leaves one factory function, kalamNewClient, in the global object. What it
// gives to JavaScript are strings of JSON, one for each call, because a call
// between the two worlds costs more than the parsing.
//
// It holds no logic of its own; see package client.
package main

import (
	"context"
	"errors"
	"syscall/js"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

func main() {
	js.Global().Set("kalamNewClient", js.FuncOf(newClient))
	select {}
}

// newClient(url, provider) gives {query, live, login, refreshToken, close}.
// provider() gives a promise of {type: 'basic', user, password} or {type:
// 'jwt', token}.
func newClient(_ js.Value, args []js.Value) any {
	if len(args) < 2 || args[0].Type() != js.TypeString || args[1].Type() != js.TypeFunction {
		return failure(errors.New("kalamNewClient needs a url and a provider"))
	}
	c, err := client.New(args[0].String(), provider(args[1]), client.Options{})
	if err != nil {
		return failure(err)
	}
	return map[string]any{
		"query": js.FuncOf(func(_ js.Value, args []js.Value) any {
			return promise(func() (any, error) { return query(c, args) })
		}),
		"live": js.FuncOf(func(_ js.Value, args []js.Value) any { return live(c, args) }),
		"login": js.FuncOf(func(js.Value, []js.Value) any {
			return promise(func() (any, error) { return loginJSON(c.Login(context.Background())) })
		}),
		"refreshToken": js.FuncOf(func(_ js.Value, args []js.Value) any {
			return promise(func() (any, error) {
				return loginJSON(c.RefreshToken(context.Background(), text(args, 0)))
			})
		}),
		"close": js.FuncOf(func(js.Value, []js.Value) any {
			return promise(func() (any, error) { return nil, c.Close() })
		}),
	}
}

// query(sql, paramsJSON) gives a promise of the answer's JSON.
func query(c *client.Client, args []js.Value) (any, error) {
	params, err := params(text(args, 1))
	if err != nil {
		return nil, err
	}
	results, err := c.Run(context.Background(), text(args, 0), params...)
	if err != nil {
		return nil, err
	}
	out := []byte{'['}
	for i, r := range results {
		if i > 0 {
			out = append(out, ',')
		}
		res := wire.Result{Schema: r.Columns(), RowCount: r.RowCount, Message: r.Message, AsUser: r.AsUser}
		for _, row := range r.Rows() {
			res.Rows = append(res.Rows, cells(row))
		}
		out = wire.AppendResult(out, &res)
	}
	return string(append(out, ']')), nil
}

// live(sql, paramsJSON, onRows, onError) begins a live query and gives a
// function that ends it. onRows gets the JSON of all rows, as objects.
func live(c *client.Client, args []js.Value) any {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		params, err := params(text(args, 1))
		if err == nil {
			for rows, e := range c.Live(ctx, text(args, 0), client.LiveOptions{Args: params}) {
				if err = e; err == nil {
					args[2].Invoke(rowsJSON(rows))
				}
			}
		}
		if err != nil && ctx.Err() == nil && len(args) > 3 {
			args[3].Invoke(failure(err))
		}
	}()
	var end js.Func
	end = js.FuncOf(func(js.Value, []js.Value) any {
		stop()
		end.Release()
		return nil
	})
	return end
}

func rowsJSON(rows []client.Row) string {
	out := make([]wire.Row, len(rows))
	var schema []wire.Field
	var names []string
	for i, r := range rows {
		if f := r.Columns(); len(names) != len(f) || schema == nil || &schema[0] != &f[0] {
			schema, names = f, make([]string, len(f))
			for j := range f {
				names[j] = f[j].Name
			}
		}
		out[i] = wire.Row{Names: names, Values: cells(r)}
	}
	return string(wire.AppendRows(nil, schema, out))
}

func cells(r client.Row) []wire.Value {
	out := make([]wire.Value, r.Len())
	for i := range out {
		out[i] = r.At(i)
	}
	return out
}

func loginJSON(l *wire.LoginResponse, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return string(wire.AppendLoginResponse(nil, l)), nil
}

// params reads the JSON array of parameters.
func params(json string) ([]any, error) {
	if json == "" {
		return nil, nil
	}
	r, err := wire.DecodeRequest([]byte(`{"sql":"","params":` + json + `}`))
	if err != nil {
		return nil, err
	}
	out := make([]any, len(r.Params))
	for i, v := range r.Params {
		out[i] = v
	}
	return out, nil
}

func text(args []js.Value, i int) string {
	if i < len(args) && args[i].Type() == js.TypeString {
		return args[i].String()
	}
	return ""
}
