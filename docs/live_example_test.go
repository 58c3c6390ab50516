package docs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestLiveQueriesInGo runs what live.md shows in Go, as it stands there.
func TestLiveQueriesInGo(t *testing.T) {
	server := servertest.Start(t, servertest.Options{})
	connect := func(user string) *client.Client {
		c, err := client.New(server.URL, auth.Static(auth.Basic(user, servertest.Password)), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	if _, err := connect("admin").Run(t.Context(), "CREATE NAMESPACE app; CREATE USER TABLE app.tasks (id INT PRIMARY KEY, title TEXT, done BOOLEAN NOT NULL DEFAULT false)"); err != nil {
		t.Fatal(err)
	}
	c := connect("alice")
	insert := func(id int) {
		if _, err := c.Exec(t.Context(), "INSERT INTO app.tasks (id, title) VALUES ($1, 'x')", id); err != nil {
			t.Error(err)
		}
	}

	t.Run("rows", func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		shown := 0
		show := func(rows []client.Row) {
			if shown = len(rows); shown == 0 {
				insert(1)
			} else {
				leave()
			}
		}
		err := func() error {
			for rows, err := range c.Live(ctx, "SELECT id, title FROM app.tasks WHERE done = false", client.LiveOptions{}) {
				if err != nil {
					return err
				}
				show(rows) // all rows, again after every change
			}
			return nil
		}()
		if !errors.Is(err, context.Canceled) || shown != 1 {
			t.Errorf("%d rows, %v", shown, err)
		}
	})

	t.Run("going on", func(t *testing.T) {
		const sql = "SELECT id FROM app.tasks"
		var position int64
		var seen []int64
		load := func() int64 { return position }
		follow := func(n int) error {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			apply := func(ev client.Event) {
				for _, row := range ev.Rows {
					seen = append(seen, row.Int("id"))
				}
			}
			save := func(p int64) {
				if p > 0 {
					position = p
				}
				if len(seen) >= n && position > 0 {
					leave()
				}
			}
			for ev, err := range c.Subscribe(ctx, sql, client.SubscribeOptions{From: load()}) {
				if err != nil {
					return err
				}
				apply(ev)         // EventReset: forget what you have
				save(ev.Position) // 0 while a snapshot is not complete
			}
			return nil
		}
		for n := 1; n <= 2; n++ { // the second time it begins where it was
			if err := follow(n); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			insert(n + 1)
		}
		if len(seen) != 2 || seen[0] != 1 || seen[1] != 2 {
			t.Errorf("saw %v", seen)
		}
	})
}
