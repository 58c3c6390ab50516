package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	zs "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	queryRows  = flag.Int("query-rows", 1_000_000, "rows of all users in the tables of -only queries")
	queryUsers = flag.Int("query-users", 10_000, "users among whom these rows are")
	queryOwn   = flag.Int("query-own", 100_000, "rows of the user who asks")
)

// handWritten is a query of ours and what a person would write for SQLite on
// the same file.
type handWritten struct{ name, ours, theirs string }

var handWrittenQueries = []handWritten{
	{"aggregate over all rows of a user",
		"SELECT kind, count(*), sum(amount), max(amount) FROM bench.orders GROUP BY kind ORDER BY kind",
		"SELECT c2, count(*), sum(c3), max(c3) FROM %[1]s WHERE _user = 'me' GROUP BY c2 ORDER BY c2"},
	{"the same with a condition",
		"SELECT count(*), avg(amount * 1.0::double precision) FROM bench.orders WHERE amount > 500 AND kind <> 7",
		"SELECT count(*), avg(c3 * 1.0) FROM %[1]s WHERE _user = 'me' AND c3 > 500 AND c2 <> 7"},
	{"exact sum of a BIGINT",
		"SELECT sum(id) FROM bench.orders",
		"SELECT sum(c1) FROM %[1]s WHERE _user = 'me'"},
	{"join of two tables",
		"SELECT count(*), sum(i.qty) FROM bench.orders o JOIN bench.items i ON i.order_id = o.id WHERE o.kind < 50",
		"SELECT count(*), sum(i.c3) FROM %[1]s o JOIN %[2]s i ON i._user = 'me' AND i.c1 = o.c1 WHERE o._user = 'me' AND o.c2 < 50"},
	{"join for 100 rows",
		"SELECT o.id, o.amount, i.qty FROM bench.orders o JOIN bench.items i ON i.order_id = o.id WHERE o.id BETWEEN 5000 AND 5099 ORDER BY o.id",
		"SELECT o.c1, o.c3, i.c3 FROM %[1]s o JOIN %[2]s i ON i._user = 'me' AND i.c1 = o.c1 WHERE o._user = 'me' AND o.c1 BETWEEN 5000 AND 5099 ORDER BY o.c1"},
	{"scan by a secondary index",
		"SELECT id, amount FROM bench.orders WHERE kind = 42",
		"SELECT c1, c3 FROM %[1]s WHERE _user = 'me' AND c2 = 42 ORDER BY c1"},
}

// measureQueries compares queries of one user among many with plain SQLite: the
// engine in this process, no HTTP, and the same file through one connection.
func measureQueries() error {
	dir, err := os.MkdirTemp("", "kalam-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	_, end, err := openQueries(dir)
	if err != nil {
		return err
	}
	if err := end(); err != nil { // the tables are there; now the rows
		return err
	}
	began := time.Now()
	if err := fillQueries(filepath.Join(dir, "kalam.db")); err != nil {
		return err
	}
	e, end, err := openQueries(dir)
	if err != nil {
		return err
	}
	defer end()
	plain, err := zs.OpenConn(filepath.Join(dir, "kalam.db"), zs.OpenReadOnly|zs.OpenWAL)
	if err != nil {
		return err
	}
	defer plain.Close()
	for _, p := range []string{"PRAGMA cache_size=-8000", "PRAGMA mmap_size=1073741824"} {
		if err := sqlitex.ExecuteTransient(plain, p, nil); err != nil {
			return err
		}
	}
	fmt.Printf("\n%s rows of %s users, %s of them of the one who asks, made in %.0f s; time of the best of %d\n\n",
		human(*queryRows), human(*queryUsers), human(*queryOwn), time.Since(began).Seconds(), queryRounds)
	fmt.Printf("%-36s %10s %10s %7s\n", "query", "kalam ms", "sqlite ms", "ratio")
	for _, q := range handWrittenQueries {
		if err := q.measure(e, plain); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	return nil
}

const queryRounds = 15

var me = &identity.Principal{UserID: "me", Role: identity.RoleUser, Issuer: identity.Issuer}

func (q handWritten) measure(e *engine.Engine, plain *zs.Conn) error {
	theirs := fmt.Sprintf(q.theirs, "t1", "t2")
	var ours, hand []time.Duration
	rows, handRows := 0, 0
	for range queryRounds { // in turn, so that a noisy moment meets both
		began := time.Now()
		results, err := e.Run(context.Background(), me, &wire.Request{SQL: q.ours})
		if err != nil {
			return err
		}
		ours = append(ours, time.Since(began))
		rows = len(results[0].Rows)
		began = time.Now()
		handRows = 0
		var kept [][]any // as a program would keep them
		err = sqlitex.Execute(plain, theirs, &sqlitex.ExecOptions{ResultFunc: func(st *zs.Stmt) error {
			row := make([]any, st.ColumnCount())
			for i := range row {
				row[i] = st.ColumnInt64(i)
			}
			kept = append(kept, row)
			return nil
		}})
		if err != nil {
			return err
		}
		hand = append(hand, time.Since(began))
		handRows = len(kept)
	}
	if rows != handRows {
		return fmt.Errorf("%d rows, SQLite has %d", rows, handRows)
	}
	a, b := slices.Min(ours).Seconds()*1000, slices.Min(hand).Seconds()*1000
	fmt.Printf("%-36s %10.3f %10.3f %7.2f\n", q.name, a, b, a/b)
	return nil
}

// openQueries opens an engine on a folder, with the tables made when they are
// not there.
func openQueries(dir string) (*engine.Engine, func() error, error) {
	driver, err := sqlite.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(context.Background(), driver, store.Options{})
	if err != nil {
		return nil, nil, err
	}
	users, err := identity.New(db, identity.Options{KeyDir: dir})
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	end := func() error {
		users.Close()
		return db.Close()
	}
	e := engine.New(db, users, engine.Options{})
	root := &identity.Principal{UserID: "root", Role: identity.RoleSystem, Issuer: identity.Issuer}
	for _, sql := range []string{
		"CREATE NAMESPACE IF NOT EXISTS bench",
		"CREATE USER TABLE IF NOT EXISTS bench.orders (id BIGINT PRIMARY KEY, kind INT NOT NULL, amount INT NOT NULL, note TEXT)",
		"CREATE USER TABLE IF NOT EXISTS bench.items (order_id BIGINT, pos INT, qty INT NOT NULL, PRIMARY KEY (order_id, pos))",
		"CREATE INDEX IF NOT EXISTS orders_kind ON bench.orders (kind)",
	} {
		if _, err := e.Run(context.Background(), root, &wire.Request{SQL: sql}); err != nil {
			end()
			return nil, nil, fmt.Errorf("%s: %w", sql, err)
		}
	}
	return e, end, nil
}

// fillQueries writes the rows into the engine's tables, t1 and t2, in the order
// of their keys: through the server it would take much longer.
func fillQueries(path string) (err error) {
	c, err := zs.OpenConn(path, zs.OpenReadWrite|zs.OpenWAL)
	if err != nil {
		return err
	}
	defer c.Close()
	defer sqlitex.Transaction(c)(&err)
	seq := int64(1) << 40
	each := (*queryRows - *queryOwn) / max(1, *queryUsers-1)
	for u := range *queryUsers {
		user, n := fmt.Sprintf("user%07d", u), each
		if u == 0 {
			user, n = "me", *queryOwn
		}
		for i := range n {
			seq++
			err := sqlitex.Execute(c, "INSERT INTO t1 (_user, c1, c2, c3, c4, _seq) VALUES (?, ?, ?, ?, 'a note of an ordinary length', ?)",
				&sqlitex.ExecOptions{Args: []any{user, i, i * 7919 % 100, i * 31 % 1000, seq}})
			if err == nil && i%2 == 0 {
				err = sqlitex.Execute(c, "INSERT INTO t2 (_user, c1, c2, c3, _seq) VALUES (?, ?, 1, ?, ?)", &sqlitex.ExecOptions{Args: []any{user, i, i % 9, seq}})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
