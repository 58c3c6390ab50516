package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/store"
)

// sendMsgpack sends a message that is written as JSON here, in MessagePack.
func (k *sock) sendMsgpack(text string, packed bool) {
	k.t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		k.t.Fatal(err)
	}
	b, err := msgpack.Marshal(numbers(v))
	if err != nil {
		k.t.Fatal(err)
	}
	if packed {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(b)
		w.Close()
		b = z.Bytes()
	}
	k.sendBytes(b)
}

func (k *sock) sendBytes(b []byte) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	if err := k.c.Write(ctx, websocket.MessageBinary, b); err != nil {
		k.t.Fatal(err)
	}
}

// numbers gives JSON numbers the types that MessagePack has for them.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

// nextMsgpack reads a binary message and says whether it was compressed.
func (k *sock) nextMsgpack() (m map[string]any, packed bool) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	kind, b, err := k.c.Read(ctx)
	if err != nil || kind != websocket.MessageBinary {
		k.t.Fatalf("got %v %.300s, %v; want a binary message", kind, b, err)
	}
	if packed = bytes.HasPrefix(b, []byte{0x1f, 0x8b}); packed {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err == nil {
			b, err = io.ReadAll(z)
		}
		if err != nil {
			k.t.Fatal(err)
		}
	}
	if err := msgpack.Unmarshal(b, &m); err != nil {
		k.t.Fatalf("%v in %x", err, b)
	}
	return m, packed
}

// TestMsgpackByQueryString does what the native Rust client does: the token in
// the header of the upgrade, the notation in the URL.
func TestMsgpackByQueryString(t *testing.T) {
	t.Parallel()
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (5, $1)", strings.Repeat("long ", 300))
	k := dial(t, s, "?serialization=msgpack", "Authorization", "Bearer "+alice)
	if f := k.want("auth_success"); f.binary || f.Protocol["serialization"] != "msgpack" || f.Protocol["compression"] != "gzip" {
		t.Fatalf("got %s", f.raw)
	}
	k.sendMsgpack(`{"type":"subscribe","subscription":{"id":"a","sql":"SELECT id, body FROM chat.messages WHERE id BETWEEN $1 AND $2","params":[-3,100],"options":{"batch_size":10}}}`, false)
	ack, _ := k.nextMsgpack()
	control, _ := ack["batch_control"].(map[string]any)
	if ack["type"] != "subscription_ack" || ack["subscription_id"] != "a" || control["status"] != "ready" || control["last_seq_id"] != nil {
		t.Fatalf("got %v", ack)
	}
	batch, packed := k.nextMsgpack()
	all, _ := batch["rows"].([]any)
	if !packed || len(all) != 1 {
		t.Fatalf("compressed: %v, got %v", packed, batch)
	}
	if row := all[0].(map[string]any); row["id"] != "5" || row["_seq"] == nil {
		t.Errorf("got %v", row)
	}
	if control := batch["batch_control"].(map[string]any); control["last_seq_id"].(uint64) < 1<<40 {
		t.Errorf("got %v", control)
	}
	run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (6, 'short')")
	change, packed := k.nextMsgpack()
	if packed || change["change_type"] != "insert" {
		t.Errorf("compressed: %v, got %v", packed, change)
	}
	// Text is understood too, and so is a compressed message.
	k.send(`{"type":"ping"}`)
	k.sendMsgpack(`{"type":"unsubscribe","subscription_id":"a"}`, true)
	k.sendMsgpack(`{"type":"subscribe","subscription":{"id":"","sql":"SELECT 1"}}`, true)
	if f := k.wantError("invalid_subscription", "INVALID_SUBSCRIPTION_ID"); f.binary {
		t.Error("an error is no text")
	}
	// Without compression.
	k = dial(t, s, "?serialization=msgpack&compression=none", "Authorization", "Bearer "+alice)
	if f := k.want("auth_success"); f.Protocol["compression"] != "none" {
		t.Fatalf("got %s", f.raw)
	}
	k.sendMsgpack(`{"type":"subscribe","subscription":{"id":"a","sql":"SELECT body FROM chat.messages","options":{}}}`, false)
	k.nextMsgpack()
	if _, packed := k.nextMsgpack(); packed {
		t.Error("a large frame is compressed")
	}
	// By message, and only then: the query string speaks for the header.
	k = dial(t, s, "?serialization=msgpack")
	k.authenticate(alice, `{"serialization":"json"}`)
	if f := k.want("auth_success"); f.Protocol["serialization"] != "json" {
		t.Fatalf("got %s", f.raw)
	}
	k = dial(t, s, "")
	k.authenticate(alice, `{"serialization":"msgpack","compression":"gzip"}`)
	if f := k.want("auth_success"); f.Protocol["serialization"] != "msgpack" {
		t.Fatalf("got %s", f.raw)
	}
	k.sendMsgpack(`{"type":"subscribe","subscription":{"id":"a","sql":"SELECT body FROM chat.messages"}}`, false)
	if ack, _ := k.nextMsgpack(); ack["type"] != "subscription_ack" {
		t.Errorf("got %v", ack)
	}
}

func TestBinaryMessagesThatAreBroken(t *testing.T) {
	t.Parallel()
	s := startEdge(t, store.Options{}, live.Options{}, server.Options{MaxMessage: 100_000}).Server
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(make([]byte, 50_000_000))
	z.Close()
	k := dial(t, s, "?serialization=msgpack", "Authorization", "Bearer "+mint(t, "alice"))
	k.want("auth_success")
	for name, b := range map[string][]byte{
		"no gzip":              {0x1f, 0x8b, 1, 2, 3},
		"gzip cut off":         bomb.Bytes()[:40],
		"gzip bomb":            bomb.Bytes(),
		"nothing":              {},
		"not msgpack":          {0xc1},
		"cut off":              {0x82, 0xa4, 't', 'y', 'p', 'e'},
		"more than one":        {0x80, 0x80},
		"claims 2^32 entries":  {0xdd, 0xff, 0xff, 0xff, 0xff},
		"claims a long string": {0xdb, 0xff, 0xff, 0xff, 0xff, 'x'},
		"nested too deep":      bytes.Repeat([]byte{0x91}, 90_000),
		"a name is no string":  {0x81, 0x01, 0x01},
		"an extension":         {0xd4, 0x01, 0x01},
	} {
		t.Run(name, func(t *testing.T) {
			k.t = t
			k.sendBytes(b)
			k.wantError("protocol", "UNSUPPORTED_DATA")
		})
	}
	k.t = t
	k.sendMsgpack(`{"type":"subscribe","subscription":{"id":"a","sql":"SELECT body FROM chat.messages"}}`, false)
	if ack, _ := k.nextMsgpack(); ack["type"] != "subscription_ack" {
		t.Errorf("got %v", ack)
	}
	k.sendMsgpack(`{"type":"what"}`, false)
	k.wantError("protocol", "PROTOCOL")
	k.wantClose(1011, "")
}
