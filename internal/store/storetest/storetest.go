// Package storetest is what every engine of the store must pass. An engine's
// own tests call Run with a function that opens it; the cases are grouped by
// what they are about, and those that hold an invariant of the design say so.
package storetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Open opens the engine on a folder. A folder that was closed may be opened
// again and has its data then; so may a copy of it.
type Open func(t *testing.T, dir string) store.Driver

// Run runs the suite. Each case has a folder of its own.
func Run(t *testing.T, open Open) {
	s := suite{open, t.TempDir()}
	(&harness{t: t, suite: s, dir: s.fresh}).start().Close()
	t.Run("commit", s.commit)
	t.Run("dropped", s.dropped)
	t.Run("savepoint", s.savepoint)
	t.Run("notice", s.notice)
	t.Run("seq", s.seq)
	t.Run("changes", s.changes)
	t.Run("feed", s.feed)
	t.Run("trim", s.trim)
	t.Run("expire", s.expire)
	t.Run("catalog", s.catalog)
	t.Run("rows", s.rows)
	t.Run("files", s.files)
	t.Run("close", s.close)
}

type suite struct {
	open  Open
	fresh string // a folder with nothing but the schema, which takes time to make
}

// folder makes a folder of a case's own.
func (s suite) folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(s.fresh)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// testCase is one case of a group.
type testCase struct {
	name string
	run  func(t *testing.T, h *harness)
}

// each runs the cases beside each other, on databases with the options o.
func (s suite) each(t *testing.T, o store.Options, cases ...testCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := &harness{t: t, suite: s, dir: s.folder(t), options: o}
			h.start()
			c.run(t, h)
		})
	}
}

// steps runs the cases with a clock that the case moves, and with
// synctest.Wait to know that everybody waits.
func (s suite) steps(t *testing.T, o store.Options, cases ...testCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := s.folder(t)
			synctest.Test(t, func(t *testing.T) {
				h := &harness{t: t, suite: s, dir: dir, options: o}
				if h.options.Now == nil {
					h.options.Now = func() time.Time { return time.Now().AddDate(26, 0, 0) }
				}
				h.start()
				c.run(t, h)
			})
		})
	}
}

// harness is one database of a case.
type harness struct {
	*store.DB
	t       *testing.T
	suite   suite
	dir     string
	options store.Options
	wrap    func(store.Driver) store.Driver

	released *store.Listener // of files
}

// start opens the database; it is closed with the test.
func (h *harness) start() *harness {
	h.t.Helper()
	driver := h.suite.open(h.t, h.dir)
	if h.wrap != nil {
		driver = h.wrap(driver)
	}
	db, err := store.Open(context.Background(), driver, h.options)
	if err != nil {
		h.t.Fatalf("open: %v", err)
	}
	h.DB, h.released = db, db.Listen(store.AboutFiles)
	h.t.Cleanup(func() { db.Close() })
	return h
}

// reopen closes the database and opens it again.
func (h *harness) reopen() {
	h.t.Helper()
	if err := h.Close(); err != nil {
		h.t.Fatalf("close: %v", err)
	}
	h.start()
}

// write is DB.Write that must succeed.
func (h *harness) write(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.Write(context.Background(), fn); err != nil {
		h.t.Fatalf("write: %v", err)
	}
}

// read is DB.Read that must succeed.
func (h *harness) read(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.Read(context.Background(), fn); err != nil {
		h.t.Fatalf("read: %v", err)
	}
}

// definition is a table with the columns id BIGINT PRIMARY KEY and body TEXT.
func definition(name string, kind catalog.Kind) *catalog.Table {
	return &catalog.Table{
		Namespace: "default", Name: name, Kind: kind, Key: []int{0},
		Columns: []catalog.Column{
			{ID: 1, Name: "id", Type: wire.Type{Kind: wire.BigInt}, SQLType: "BIGINT", NotNull: true},
			{ID: 2, Name: "body", Type: wire.Type{Kind: wire.Text}, SQLType: "TEXT"},
		},
	}
}

// create creates a table and returns it as the catalog has it.
func (h *harness) create(def *catalog.Table) *catalog.Table {
	h.t.Helper()
	h.write(func(tx *store.Tx) error { return tx.CreateTable(def) })
	t := h.Catalog().Table(def.Namespace, def.Name)
	if t == nil {
		h.t.Fatalf("%s is not in the catalog after CreateTable", def.FullName())
	}
	return t
}

// shared creates a SHARED table of that name.
func (h *harness) shared(name string) *catalog.Table {
	return h.create(definition(name, catalog.Shared))
}

// pair is a row of a table made by definition.
func pair(id int64, body string) []wire.Value {
	return []wire.Value{wire.IntValue(id), wire.TextValue(body)}
}

// insert is a write that inserts one row.
func insert(t *catalog.Table, user string, row []wire.Value) func(tx *store.Tx) error {
	return func(tx *store.Tx) error {
		_, err := tx.Insert(t, user, row)
		return err
	}
}

// version is one stored row.
type version struct {
	User string
	Row  []wire.Value
	Seq  store.Seq
}

// versions reads the rows of a table in the order of their versions.
func versions(tx *store.Tx, t *catalog.Table) ([]version, error) {
	sql, s := "SELECT ", &store.Stmt{}
	if t.Kind.Private() {
		sql += "_user, "
	} else {
		sql += "'', "
	}
	s.Cols = append(s.Cols, wire.Type{Kind: wire.Text})
	for i := range t.Columns {
		sql += t.Columns[i].Physical() + ", "
		s.Cols = append(s.Cols, t.Columns[i].Type)
	}
	s.SQL = sql + "_seq FROM " + t.Physical() + " ORDER BY _seq"
	s.Cols = append(s.Cols, wire.Type{Kind: wire.BigInt})
	var out []version
	err := tx.Query(s, nil, func(row []wire.Value) error {
		n := len(row) - 1
		out = append(out, version{User: row[0].Text(), Row: slices.Clone(row[1:n]), Seq: row[n].Int()})
		return nil
	})
	return out, err
}

// stored is versions in a snapshot of its own.
func (h *harness) stored(t *catalog.Table) []version {
	h.t.Helper()
	var out []version
	h.read(func(tx *store.Tx) (err error) {
		out, err = versions(tx, t)
		return err
	})
	return out
}

// ids are the first columns of the rows of a table, ascending.
func (h *harness) ids(t *catalog.Table) []int64 {
	h.t.Helper()
	var out []int64
	for _, v := range h.stored(t) {
		out = append(out, v.Row[0].Int())
	}
	slices.Sort(out)
	return out
}

// wantIDs compares the first columns of the rows of a table, in any order.
func (h *harness) wantIDs(t *catalog.Table, want ...int64) {
	h.t.Helper()
	slices.Sort(want)
	if got := h.ids(t); !slices.Equal(got, want) {
		h.t.Errorf("rows of %s: %v, want %v", t.Name, got, want)
	}
}

// newest is a position above everything.
const newest = store.Seq(1<<63 - 1)

// logged reads the change log of a scope from disk.
func (h *harness) logged(t *catalog.Table, user string) []*store.Change {
	h.t.Helper()
	var out []*store.Change
	h.read(func(tx *store.Tx) error {
		return tx.Changes(t.ID, user, 0, newest, 1<<30, func(c *store.Change) error {
			out = append(out, c)
			return nil
		})
	})
	return out
}

// follow reads the change log of all tables above pos with DB.Changes until
// there is none left.
func (h *harness) follow(pos store.Seq, page int) []*store.Change {
	h.t.Helper()
	var out []*store.Change
	for {
		list, wait, err := h.Changes(context.Background(), pos, page)
		if err != nil {
			h.t.Fatalf("changes above %d: %v", pos, err)
		}
		if wait != nil {
			return out
		}
		if len(list) == 0 || len(list) > page {
			h.t.Fatalf("changes above %d: %d of at most %d", pos, len(list), page)
		}
		out = append(out, list...)
		pos = list[len(list)-1].Seq
	}
}

// ascending checks that positions only grow.
func ascending(t *testing.T, changes []*store.Change) {
	t.Helper()
	for i := 1; i < len(changes); i++ {
		if changes[i].Seq <= changes[i-1].Seq {
			t.Fatalf("change %d has position %d after %d", i, changes[i].Seq, changes[i-1].Seq)
		}
	}
}

// agree is Agree on the database of the case.
func (h *harness) agree(t *catalog.Table, users ...string) {
	h.t.Helper()
	if err := Agree(h.DB, t, users...); err != nil {
		h.t.Error(err)
	}
}

// Agree checks that the change log of a table's scopes, applied to nothing,
// gives exactly the rows of the table: every change is there once, in order. The
// scopes are those of the users, "" for a SHARED table, and the log has not been
// trimmed.
func Agree(db *store.DB, t *catalog.Table, users ...string) error {
	return db.Read(context.Background(), func(tx *store.Tx) error {
		rows, err := versions(tx, t)
		if err != nil {
			return err
		}
		var want []version
		for _, user := range users {
			live := make(map[store.Seq][]wire.Value)
			var last store.Seq
			err := tx.Changes(t.ID, user, 0, newest, 1<<30, func(c *store.Change) error {
				if c.Seq <= last || c.User != user || c.Table != t.ID || c.Version != t.Version {
					return fmt.Errorf("change %+v after position %d", c, last)
				}
				last = c.Seq
				if c.Op != store.OpInsert {
					old, ok := live[c.OldSeq]
					if !ok || !slices.Equal(old, c.Old) {
						return fmt.Errorf("%s at %d replaces version %d %v, but that is %v", c.Op, c.Seq, c.OldSeq, c.Old, old)
					}
					delete(live, c.OldSeq)
				} else if c.Old != nil || c.OldSeq != 0 {
					return fmt.Errorf("insert at %d has an old row", c.Seq)
				}
				if c.Op != store.OpDelete {
					live[c.Seq] = c.New
				} else if c.New != nil {
					return fmt.Errorf("delete at %d has a new row", c.Seq)
				}
				return nil
			})
			if err != nil {
				return err
			}
			for seq, row := range live {
				want = append(want, version{user, row, seq})
			}
		}
		slices.SortFunc(want, func(a, b version) int { return int(min(max(a.Seq-b.Seq, -1), 1)) })
		if d := cmp.Diff(want, rows, valueEqual); d != "" {
			return fmt.Errorf("the log and the rows of %s differ (-log +rows):\n%s", t.Name, d)
		}
		return nil
	})
}

// valueEqual compares values by form and content.
var valueEqual = cmp.Comparer(func(a, b wire.Value) bool { return a == b })

// results collects what callers of DB.Write got.
type results struct {
	mu   sync.Mutex
	errs map[string]error // mu guards errs
	wg   sync.WaitGroup
}

// write calls DB.Write in a goroutine of its own.
func (r *results) write(ctx context.Context, db *store.DB, name string, fn func(tx *store.Tx) error) {
	r.wg.Go(func() {
		err := db.Write(ctx, fn)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.errs == nil {
			r.errs = make(map[string]error)
		}
		r.errs[name] = err
	})
}

// answered returns how many have been answered.
func (r *results) answered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.errs)
}

// of returns what a caller got, once all were answered.
func (r *results) of(name string) error {
	r.wg.Wait()
	return r.errs[name]
}

// held makes the writer wait in a write of its own until the function that it
// returns is called. In a case of steps all writes called meanwhile are queued
// in the order of the calls when each is followed by synctest.Wait.
func (h *harness) held(r *results) (release func()) {
	gate := make(chan struct{})
	r.write(context.Background(), h.DB, "held", func(*store.Tx) error {
		<-gate
		return nil
	})
	synctest.Wait()
	release = sync.OnceFunc(func() { close(gate) })
	h.t.Cleanup(release) // a case that fails meanwhile must not hang in Close
	return release
}

// queue adds a write behind those that wait.
func (h *harness) queue(r *results, ctx context.Context, name string, fn func(tx *store.Tx) error) {
	r.write(ctx, h.DB, name, fn)
	synctest.Wait()
}
