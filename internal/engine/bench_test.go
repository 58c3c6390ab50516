package engine_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/wire"
)

func filled(b *testing.B, n int) *engine.Engine {
	e := open(b)
	do(b, e, root, "CREATE NAMESPACE chat")
	do(b, e, root, "CREATE USER TABLE chat.messages (id BIGINT PRIMARY KEY, room TEXT NOT NULL, body TEXT NOT NULL)")
	for i := 0; i < n; i += 500 {
		sql := "INSERT INTO chat.messages VALUES "
		for k := range 500 {
			if k > 0 {
				sql += ","
			}
			sql += fmt.Sprintf("(%d,'general','a message of an ordinary length')", i+k)
		}
		do(b, e, alice, sql)
	}
	return e
}

func BenchmarkPointSelect(b *testing.B) {
	e := filled(b, 10_000)
	b.ResetTimer()
	b.ReportAllocs()
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, err := e.Run(context.Background(), alice, &wire.Request{
				SQL: "SELECT id, room, body FROM chat.messages WHERE id = $1", Params: []wire.Value{wire.IntValue(next.Add(1) % 10_000)}})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkInsert(b *testing.B) {
	e := filled(b, 500)
	b.ResetTimer()
	b.ReportAllocs()
	b.SetParallelism(8)
	var next atomic.Int64
	next.Store(1_000_000)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, err := e.Run(context.Background(), alice, &wire.Request{
				SQL:    "INSERT INTO chat.messages (id, room, body) VALUES ($1, $2, $3)",
				Params: []wire.Value{wire.IntValue(next.Add(1)), wire.TextValue("general"), wire.TextValue("a message of an ordinary length")}})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What a statement allocates is most of what it costs in Go. The bounds are a
// little above what was measured: 22 for an INSERT that is alone in its commit, 12
// for a point SELECT.
func TestStatementsAllocateLittle(t *testing.T) {
	e := open(t)
	do(t, e, root, "CREATE NAMESPACE chat")
	do(t, e, root, "CREATE USER TABLE chat.messages (id BIGINT PRIMARY KEY, room TEXT NOT NULL, body TEXT NOT NULL)")
	id := int64(0)
	insert := func() {
		id++
		do(t, e, alice, "INSERT INTO chat.messages (id, room, body) VALUES ($1, $2, $3)", wire.IntValue(id), wire.TextValue("general"), wire.TextValue("a message"))
	}
	read := func() {
		do(t, e, alice, "SELECT id, room, body FROM chat.messages WHERE id = $1", wire.IntValue(id))
	}
	insert()
	read()
	for what, c := range map[string]struct {
		run   func()
		bound float64
	}{"INSERT": {insert, 25}, "SELECT": {read, 14}} {
		if n := testing.AllocsPerRun(200, c.run); n > c.bound {
			t.Errorf("%s allocates %.0f times, more than %.0f", what, n, c.bound)
		}
	}
}
