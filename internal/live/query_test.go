package live_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/watch"
	"github.com/kalamdb/kalam-go/wire"
)

// total is a live query of another sort than those of package watch: it reads two
// tables, keeps a state and sends two events for a change. Its one row is how
// many rows the tables have together.
type total struct {
	h       *hub
	sources []watch.Source

	mu sync.Mutex
	n  int64 // mu guards it
}

type totals struct{ h *hub }

func (b *totals) Bind(_ context.Context, who *identity.Principal, _, sql string, _ []wire.Value) (watch.Query, error) {
	q := &total{h: b.h}
	for _, name := range strings.Fields(sql) {
		t := b.h.db.Catalog().Table("app", name)
		if t == nil {
			return nil, wire.NewError(wire.CodeTableNotFound, "no ", name)
		}
		of := watch.Source{Table: t, Column: -1}
		if t.Kind == catalog.User {
			of.User = who.UserID
		}
		q.sources = append(q.sources, of)
	}
	return q, nil
}

func (q *total) Fields() []wire.Field {
	return []wire.Field{{Name: "n", Type: wire.Type{Kind: wire.BigInt}, Flags: wire.FlagPrimaryKey}}
}
func (q *total) Key() string             { return "total" + q.sources[1].User }
func (q *total) Sources() []watch.Source { return q.sources }
func (q *total) Position(ctx context.Context) (watch.Position, error) {
	return watch.New(q.h.db, q.h.engine, watch.Options{}).Position(ctx, "", q.sources)
}
func (q *total) Governed() bool                                             { return false }
func (q *total) Resumes(context.Context, store.Seq) (bool, error)           { return true, nil }
func (q *total) Turn(context.Context, *store.Change) ([]watch.Event, error) { return nil, nil }
func (q *total) Snapshot() watch.Snapshot                                   { return &totalSnapshot{q: q} }

// totalSnapshot is one page with the one row.
type totalSnapshot struct {
	q  *total
	at watch.Position
}

func (s *totalSnapshot) Next(ctx context.Context, _ int) (page watch.Page, err error) {
	s.at, err = s.q.Position(ctx)
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	return watch.Page{Rows: [][]wire.Value{{wire.IntValue(s.q.n)}}, Last: s.at.Newest}, err
}
func (s *totalSnapshot) Latest(ctx context.Context, n int) (watch.Page, error) { return s.Next(ctx, n) }
func (s *totalSnapshot) At() store.Seq                                         { return s.at.Newest }
func (s *totalSnapshot) Mark() store.Seq                                       { return s.at.Mark }
func (s *totalSnapshot) Ended() store.Seq                                      { return 0 }

func (q *total) Apply(_ context.Context, c *store.Change) ([]watch.Event, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	gone := watch.Event{Op: store.OpDelete, Row: []wire.Value{wire.IntValue(q.n)}}
	switch c.Op {
	case store.OpInsert:
		q.n++
	case store.OpDelete:
		q.n--
	default:
		return nil, nil
	}
	return []watch.Event{gone, {Op: store.OpInsert, Row: []wire.Value{wire.IntValue(q.n)}}}, nil
}

// TestTheHubServesAnyQuery writes to both tables of a query that is not of
// package watch.
func TestTheHubServesAnyQuery(t *testing.T) {
	b := new(totals)
	h := startHub(t, live.Options{Binder: b})
	b.h = h
	alice := h.subscribe("alice", "board mine")
	h.run("root", "INSERT INTO app.board VALUES (1, 'a'), (2, 'b')")
	h.run("alice", "INSERT INTO app.mine VALUES (1, 'a')")
	h.run("bob", "INSERT INTO app.mine VALUES (1, 'not hers')")
	h.run("root", "UPDATE app.board SET body = 'c' WHERE id = 1; DELETE FROM app.board WHERE id = 1")
	got := strings.Join(alice.changes(8), "\n")
	for i, n := range []string{"0", "1", "1", "2", "2", "3", "3", "2"} {
		kind := []string{"old_values", "rows"}[i%2]
		if frame := alice.got()[i]; !strings.Contains(frame, `"`+kind+`":[{"n":"`+n+`"`) {
			t.Errorf("frame %d is %s", i, frame)
		}
	}
	if len(alice.got()) != 8 {
		t.Errorf("got %s", got)
	}
	// When either table is altered, it starts again.
	h.run("root", "ALTER TABLE app.mine ADD COLUMN more INT")
	alice.wait(func() bool { return strings.Contains(alice.frames[len(alice.frames)-1], `"rows":[{"n":"0"`) })
	h.until(func() bool { return !strings.Contains(h.statuses(), "loading") })
	h.run("alice", "INSERT INTO app.mine VALUES (2, 'a', 3)")
	alice.wait(func() bool { return strings.Contains(alice.frames[len(alice.frames)-1], `"rows":[{"n":"1"`) })
}
