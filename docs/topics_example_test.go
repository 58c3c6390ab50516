package docs_test

import (
	"context"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/consumer"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// order inserts an order once a group waits for it.
func order(t *testing.T, admin *client.Client, group string, id int) {
	eventually(t, "group "+group, func() bool {
		row, err := admin.QueryRow(t.Context(), "SELECT count(*) AS n FROM system.topic_offsets WHERE group_id = $1", group)
		return err == nil && row.Int("n") > 0
	})
	if _, err := admin.Exec(t.Context(), "INSERT INTO shop.orders (id, paid) VALUES ($1, false)", id); err != nil {
		t.Error(err)
	}
}

// TestTopicsInGo runs what topics.md shows in Go.
func TestTopicsInGo(t *testing.T) {
	server := servertest.Start(t, servertest.Options{})
	url, admin := server.URL, shop(t, server.URL)
	provider := auth.Static(auth.Basic("mailer", servertest.Password))

	t.Run("handler", func(t *testing.T) {
		ctx, leave := context.WithTimeout(t.Context(), time.Minute)
		defer leave()
		sent := ""
		send := func(_ context.Context, payload []byte) error {
			sent = string(payload)
			leave()
			return nil
		}
		go order(t, admin, "mailer", 1)

		c, err := consumer.New(url, provider, consumer.Options{Topic: "shop.events", Group: "mailer"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		err = c.Run(ctx, func(ctx context.Context, m *consumer.Message) error {
			return send(ctx, m.Payload) // nil: acknowledged; an error: tried again
		})

		if sent == "" || err != nil {
			t.Errorf("sent %q: %v", sent, err)
		}
	})

	t.Run("loop", func(t *testing.T) {
		c, err := consumer.New(url, provider, consumer.Options{Topic: "shop.events", Group: "packer"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, leave := context.WithTimeout(t.Context(), time.Minute)
		defer leave()
		handled := 0
		handle := func(*consumer.Message) error {
			handled++
			leave()
			return nil
		}
		go order(t, admin, "packer", 2)
		err = func() error {
			for m, err := range c.Messages(ctx) {
				if err != nil {
					return err // one that does not pass: others are waited out
				}
				if err := handle(m); err != nil {
					m.Nack(time.Minute)
					continue
				}
				m.Ack()
			}
			return nil
		}()
		if handled != 1 || err != nil {
			t.Errorf("handled %d: %v", handled, err)
		}
	})
}
