//go:build !js

package consumer_test

import (
	"context"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/consumer"
	"github.com/kalamdb/kalam-go/internal/node"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// patience bounds waiting for what comes soon on a machine that is not busy.
const patience = 60 * time.Second

// world is a server with the table shop.orders and the topic shop.events of it.
type world struct {
	*servertest.Server
	t     testing.TB
	admin *client.Client
}

func newWorld(t testing.TB, partitions string, visibility int) *world {
	s := servertest.Start(t, servertest.Options{Config: func(c *node.Config) { c.Topics.VisibilityTimeoutSecs = visibility }})
	w := &world{Server: s, t: t}
	w.admin = w.client("admin")
	w.exec("CREATE NAMESPACE shop")
	w.exec("CREATE SHARED TABLE shop.orders (id BIGINT PRIMARY KEY, item TEXT, n INT)")
	w.exec("CREATE TOPIC shop.events PARTITIONS " + partitions)
	w.exec("ALTER TOPIC shop.events ADD SOURCE shop.orders ON INSERT")
	w.exec("ALTER TOPIC shop.events ADD SOURCE shop.orders ON UPDATE")
	return w
}

func provider(user string) auth.Provider {
	return auth.Static(auth.Basic(user, servertest.Password))
}

func (w *world) client(user string) *client.Client {
	c, err := client.New(w.URL, provider(user), client.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.admin.Exec(w.ctx(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) consumer(o consumer.Options) *consumer.Consumer {
	if o.Topic == "" {
		o.Topic = "shop.events"
	}
	if o.Group == "" {
		o.Group = "g"
	}
	x, err := consumer.New(w.URL, provider("admin"), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { x.Close() })
	return x
}

func TestMessagesComeAndAreAcknowledged(t *testing.T) {
	w := newWorld(t, "1", 60)
	x := w.consumer(consumer.Options{Start: consumer.Earliest})
	w.exec("INSERT INTO shop.orders VALUES (1, 'tea', 2), (2, 'milk', 1)")
	n := 0
	for m, err := range x.Messages(w.ctx()) {
		if err != nil {
			t.Fatal(err)
		}
		t.Log(m.Offset, m.Key, m.Op, string(m.Payload))
		m.Ack()
		if n++; n == 2 {
			w.exec("UPDATE shop.orders SET n = 3 WHERE id = 1")
		}
		if n == 3 {
			break
		}
	}
	if err := x.Flush(w.ctx()); err != nil {
		t.Fatal(err)
	}
	r, err := w.admin.QueryRow(w.ctx(), "SELECT last_acked_offset, lag FROM system.topic_offsets")
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", x.Stats())
}
