//go:build !js

package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

func keys(rows []client.Row) string {
	var out []string
	for _, r := range rows {
		out = append(out, r.Text("id"))
	}
	return strings.Join(out, " ")
}

// watchKeys runs a live query and sends the keys of each set of rows.
func watchKeys(ctx context.Context, t *testing.T, c *client.Client, sql string, o client.LiveOptions) <-chan string {
	t.Helper()
	sets := make(chan string, 10_000)
	go func() {
		defer close(sets)
		for rows, err := range c.Live(ctx, sql, o) {
			if err != nil {
				if ctx.Err() == nil && !errors.Is(err, client.ErrClosed) {
					t.Errorf("live: %v", err)
				}
				return
			}
			sets <- keys(rows)
		}
	}()
	return sets
}

func TestLimitIsAWindowOverTheNewestRows(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	const sql = "SELECT id FROM chat.messages WHERE room = 'window'"
	before := watchKeys(ctx, t, c, sql, client.LiveOptions{Limit: 2})
	until(ctx, t, before, "")
	for id := 1; id <= 3; id++ {
		mustExec(t, ctx, c, "INSERT INTO chat.messages (id, room, body) VALUES ($1, 'window', 'x')", id)
	}
	until(ctx, t, before, "2 3")
	after := watchKeys(ctx, t, c, sql, client.LiveOptions{Limit: 2})
	until(ctx, t, after, "2 3")
	for _, step := range []struct{ sql, want string }{
		{"DELETE FROM chat.messages WHERE id = 3", "1 2"},
		{"UPDATE chat.messages SET body = 'y' WHERE id = 1", "1 2"},
		{"INSERT INTO chat.messages (id, room, body) VALUES (4, 'window', 'x')", "1 4"},
		{"UPDATE chat.messages SET room = 'elsewhere' WHERE id = 4", "1 2"},
		{"UPDATE chat.messages SET room = 'window' WHERE id = 4", "1 4"},
		{"DELETE FROM chat.messages WHERE id = 2", "1 4"},
		{"DELETE FROM chat.messages WHERE id = 1", "4"},
	} {
		mustExec(t, ctx, c, step.sql)
		for name, sets := range map[string]<-chan string{"before": before, "after": after} {
			t.Log(name, step.sql)
			if step.want != "1 4" || strings.HasPrefix(step.sql, "INSERT") {
				until(ctx, t, sets, step.want)
			}
		}
		until(ctx, t, watchKeys(ctx, t, c, sql, client.LiveOptions{Limit: 2}), step.want)
	}
}

// TestWindowHoldsThroughChangesAndReconnects compares a live query with a limit,
// rows and patches, with the newest rows of the table after each of many random
// changes, while connections are cut.
func TestWindowHoldsThroughChangesAndReconnects(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	p := newCutter(t, s.URL)
	reader, writer := signIn(t, p.URL, "alice"), signIn(t, s.URL, "alice")
	reader.SetReconnect(client.ReconnectPolicy{FirstDelay: time.Millisecond, MaxDelay: 20 * time.Millisecond})
	const sql = "SELECT id FROM chat.messages WHERE room = 'random'"
	for _, limit := range []int{1, 3, 20} {
		ctx, stop := context.WithCancel(ctx)
		rows := watchKeys(ctx, t, reader, sql, client.LiveOptions{Limit: limit})
		mirrored := make(chan string, 10_000)
		go mirror(ctx, t, reader, sql, client.LiveOptions{Limit: limit}, mirrored)
		rng := rand.New(rand.NewPCG(uint64(limit), 7))
		for i := range 150 {
			id := 1 + rng.IntN(3*limit)
			switch rng.IntN(5) {
			case 0, 1:
				mustExec(t, ctx, writer, "DELETE FROM chat.messages WHERE id = $1", id)
			case 2:
				mustExec(t, ctx, writer, "DELETE FROM chat.messages WHERE id BETWEEN $1 AND $2", id, id+rng.IntN(limit+1))
			default:
				mustExec(t, ctx, writer, "INSERT INTO chat.messages (id, room, body) VALUES ($1, 'random', 'x') ON CONFLICT (id) DO UPDATE SET body = $2", id, fmt.Sprint(i))
			}
			if i%40 == 39 {
				p.cut()
			}
			if i%10 == 9 {
				// A change that is seen for certain.
				mustExec(t, ctx, writer, "INSERT INTO chat.messages (id, room, body) VALUES ($1, 'random', 'x')", 1000+i)
				want := newest(ctx, t, writer, limit)
				until(ctx, t, rows, want)
				until(ctx, t, mirrored, want)
			}
		}
		mustExec(t, ctx, writer, "DELETE FROM chat.messages WHERE room = 'random'")
		until(ctx, t, rows, "")
		until(ctx, t, mirrored, "")
		stop()
	}
}

func newest(ctx context.Context, t *testing.T, c *client.Client, limit int) string {
	t.Helper()
	r, err := c.Query(ctx, "SELECT id FROM (SELECT id FROM chat.messages WHERE room = 'random' ORDER BY _seq DESC LIMIT $1) q ORDER BY id", limit)
	if err != nil {
		t.Fatal(err)
	}
	return keys(r.Rows())
}

// mirror keeps the rows of a live query by its patches alone, in their order.
func mirror(ctx context.Context, t *testing.T, c *client.Client, sql string, o client.LiveOptions, sets chan<- string) {
	type row struct {
		slot int
		id   string
	}
	var rows []row
	at := func(slot int) int { return slices.IndexFunc(rows, func(r row) bool { return r.slot == slot }) }
	for p, err := range c.LivePatches(ctx, sql, o) {
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("live: %v", err)
			}
			return
		}
		if p.Reset {
			rows = nil
		}
		for _, slot := range p.Removed {
			i := at(slot)
			rows = slices.Delete(rows, i, i+1)
		}
		for _, e := range p.Put {
			now := row{e.Slot, e.Row.Text("id")}
			switch {
			case e.Before == client.InPlace:
				rows[at(e.Slot)] = now
			case e.Before == client.AtEnd:
				rows = append(rows, now)
			default:
				rows = slices.Insert(rows, at(e.Before), now)
			}
		}
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.id)
		}
		sets <- strings.Join(ids, " ")
	}
}

// TestRowsStandInTheOrderOfTheirKey: also after an update, and for whoever asks
// anew; as ORDER BY has it, for every type that a key may have.
func TestRowsStandInTheOrderOfTheirKey(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	admin, c := signIn(t, s.URL, "admin"), signIn(t, s.URL, "alice")
	for i, k := range []struct {
		columns, key string
		values       []string
	}{
		{"id INT PRIMARY KEY", "id", []string{"3", "-7", "20", "0"}},
		{"id BIGINT PRIMARY KEY", "id", []string{"9007199254740993", "10", "9", "-9007199254740993"}},
		{"id TEXT PRIMARY KEY", "id", []string{"'b'", "'a'", "'B'", "'ab'", "'é'", "'🎉'"}},
		{"id DECIMAL(12,3) PRIMARY KEY", "id", []string{"10.5", "9.25", "-10.5", "-9.25", "0", "0.125", "-0.125", "100"}},
		{"id DOUBLE PRIMARY KEY", "id", []string{"1e10", "-1.5", "-2.5", "0", "0.5"}},
		{"id TIMESTAMP PRIMARY KEY", "id", []string{"'2024-01-02 00:00:00'", "'1969-01-01 00:00:00'", "'2023-05-05 01:02:03'"}},
		{"id UUID PRIMARY KEY", "id", []string{"'f195f6a0-7c1e-7000-8000-000000000000'", "'0195f6a0-7c1e-7000-8000-000000000000'"}},
		{"a TEXT, id INT, PRIMARY KEY (a, id)", "a, id", []string{"'b', 1", "'a', 2", "'a', 10", "'a', -1", "'ab', 1"}},
	} {
		table := fmt.Sprintf("chat.keys%d", i)
		mustExec(t, ctx, admin, "CREATE TABLE "+table+" ("+k.columns+", note TEXT) WITH (TYPE = 'USER')")
		query := "SELECT " + k.key + ", note FROM " + table
		sets := watchKeys(ctx, t, c, query, client.LiveOptions{})
		for _, v := range k.values {
			mustExec(t, ctx, c, "INSERT INTO "+table+" ("+k.key+") VALUES ("+v+")")
		}
		r, err := c.Query(ctx, query+" ORDER BY "+k.key)
		if err != nil {
			t.Fatal(err)
		}
		want := keys(r.Rows())
		until(ctx, t, sets, want)
		mustExec(t, ctx, c, "UPDATE "+table+" SET note = 'changed' WHERE ("+k.key+") = ("+k.values[0]+")")
		until(ctx, t, sets, want)
		until(ctx, t, watchKeys(ctx, t, c, query, client.LiveOptions{}), want)
		until(ctx, t, watchKeys(ctx, t, c, "SELECT note FROM "+table, client.LiveOptions{}), want)
	}
}
