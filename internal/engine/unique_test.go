package engine_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	zs "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// folder is a data folder that servers open one after the other.
type folder struct {
	t   *testing.T
	dir string
	log bytes.Buffer // of the server that is open
	e   *engine.Engine
	db  *store.DB
}

func newFolder(t *testing.T) *folder {
	f := &folder{t: t, dir: t.TempDir()}
	f.open()
	return f
}

func (f *folder) open() {
	f.t.Helper()
	driver, err := sqlite.Open(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	f.log.Reset()
	f.db, err = store.Open(f.t.Context(), driver, store.Options{Logger: slog.New(slog.NewTextHandler(&f.log, nil))})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { f.db.Close() })
	users, err := identity.New(f.db, identity.Options{KeyDir: f.dir})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { users.Close() })
	f.e = engine.New(f.db, users, engine.Options{})
}

// reopen restarts the server; meanwhile the statements run on the file itself.
func (f *folder) reopen(sql ...string) {
	f.t.Helper()
	if err := f.db.Close(); err != nil {
		f.t.Fatal(err)
	}
	if len(sql) > 0 {
		c, err := zs.OpenConn(filepath.Join(f.dir, "kalam.db"), zs.OpenReadWrite)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, s := range sql {
			if err := sqlitex.ExecuteTransient(c, s, nil); err != nil {
				f.t.Fatalf("%s: %v", s, err)
			}
		}
		if err := c.Close(); err != nil {
			f.t.Fatal(err)
		}
	}
	f.open()
}

// takes reports whether a statement succeeds, and fails the test when it fails
// for another reason than a violated UNIQUE constraint.
func (f *folder) takes(sql string) bool {
	f.t.Helper()
	_, err := f.e.Run(context.Background(), root, &wire.Request{SQL: sql})
	if e, ok := err.(*wire.Error); err != nil && (!ok || e.Code != wire.CodeUniqueViolation) {
		f.t.Errorf("%s: %v", sql, err)
	}
	return err == nil
}

var uniqueTables = map[string]string{
	"shared": "CREATE SHARED TABLE app.u (id INT PRIMARY KEY, a INT, b INT, c INT UNIQUE, UNIQUE (a, b))",
	"user":   "CREATE USER TABLE app.u (id INT PRIMARY KEY, a INT, b INT, c INT UNIQUE, CONSTRAINT u_a_b_key UNIQUE (a, b))",
	"stream": "CREATE STREAM TABLE app.u (id INT PRIMARY KEY, a INT, b INT, c INT UNIQUE, UNIQUE (a, b)) WITH (TTL_SECONDS = 1000)",
}

func TestUniqueHoldsInEachKindOfTableAfterARestartAndInABackup(t *testing.T) {
	for kind, create := range uniqueTables {
		t.Run(kind, func(t *testing.T) {
			f := newFolder(t)
			do(t, f.e, root, "CREATE NAMESPACE app")
			do(t, f.e, root, create)
			check := func(id string) {
				t.Helper()
				for _, row := range []string{"1, 1, 9", "2, 2, 1"} {
					if f.takes("INSERT INTO app.u VALUES (" + id + ", " + row + ")") {
						t.Errorf("a second row %s", row)
					}
				}
			}
			do(t, f.e, root, "INSERT INTO app.u VALUES (1, 1, 1, 1), (2, 1, NULL, NULL), (3, 1, NULL, NULL)")
			check("10")
			f.reopen()
			check("11")
			if kind != "shared" {
				do(t, f.e, alice, "INSERT INTO app.u VALUES (1, 1, 1, 1)")
			}
			copied := t.TempDir()
			if err := f.db.Backup(t.Context(), filepath.Join(copied, "kalam.db")); err != nil {
				t.Fatal(err)
			}
			f.db.Close()
			f.dir = copied
			f.open()
			check("12")
			if f.log.Len() > 0 {
				t.Errorf("log: %s", &f.log)
			}
		})
	}
}

// older makes of a folder what version 0.1 left: a column marked as unique, and
// no index for UNIQUE (a, b).
func older(sql ...string) []string {
	return append([]string{
		`UPDATE tables SET definition = json_set(json_remove(definition, '$.indexes'),
			'$.columns[3].unique', json('true'), '$.indexes', json('[{"name":"u_a_b_key","columns":[2,3],"unique":true}]'))`,
		"DROP INDEX t1_i_u_a_b_key", "DROP INDEX t1_i_u_c_key",
		"CREATE UNIQUE INDEX t1_u4 ON t1(" + "c4)",
	}, sql...)
}

func TestUniqueOfAnOlderFolderIsEnforced(t *testing.T) {
	f := newFolder(t)
	do(t, f.e, root, "CREATE NAMESPACE app")
	do(t, f.e, root, uniqueTables["shared"])
	do(t, f.e, root, "INSERT INTO app.u VALUES (1, 1, 1, 1), (2, 1, 2, 2)")
	f.reopen(older()...)
	if f.takes("INSERT INTO app.u VALUES (3, 1, 1, 3)") || f.takes("INSERT INTO app.u VALUES (3, 3, 3, 1)") {
		t.Error("an older table takes equal rows")
	}
	if res := do(t, f.e, root, "INSERT INTO app.u VALUES (3, 1, 1, 3) ON CONFLICT (a, b) DO UPDATE SET c = 7 RETURNING id, c"); len(res.Rows) != 1 || res.Rows[0][1].Int() != 7 {
		t.Errorf("ON CONFLICT: %v", res.Rows)
	}
	if f.log.Len() > 0 {
		t.Errorf("log: %s", &f.log)
	}
	do(t, f.e, root, "ALTER TABLE app.u DROP CONSTRAINT u_c_key")
	do(t, f.e, root, "ALTER TABLE app.u DROP CONSTRAINT u_a_b_key")
	if !f.takes("INSERT INTO app.u VALUES (3, 1, 1, 7)") {
		t.Error("a dropped constraint holds")
	}
}

func TestConflictingRowsOfAnOlderFolderAreLoggedAndNoneIsAdded(t *testing.T) {
	f := newFolder(t)
	do(t, f.e, root, "CREATE NAMESPACE app")
	do(t, f.e, root, uniqueTables["shared"])
	do(t, f.e, root, "INSERT INTO app.u VALUES (1, 41, 41, 1), (2, 41, 42, 2), (3, NULL, 1, 3), (4, NULL, 1, 4)")
	f.reopen(older("UPDATE t1 SET c3 = 41 WHERE c1 = 2")...)
	log := f.log.String()
	var versions []string
	for _, row := range do(t, f.e, root, "SELECT _seq FROM app.u WHERE a = 41").Rows {
		versions = append(versions, strconv.FormatInt(row[0].Int(), 10))
	}
	if !strings.Contains(log, "u_a_b_key") || len(versions) != 2 || !strings.Contains(log, versions[0]) || !strings.Contains(log, versions[1]) {
		t.Errorf("the log does not name the rows %v: %s", versions, log)
	}
	for _, sql := range []string{
		"INSERT INTO app.u VALUES (5, 41, 41, 5)",
		"UPDATE app.u SET a = 41, b = 41 WHERE id = 3",
		"UPDATE app.u SET id = 7 WHERE id = 1",
	} {
		if f.takes(sql) {
			t.Errorf("%s is taken", sql)
		}
	}
	for _, sql := range []string{
		"UPDATE app.u SET c = 11 WHERE id = 1", // what conflicts already may change elsewhere
		"INSERT INTO app.u VALUES (5, 41, 43, 5), (6, NULL, 1, 6)",
		"UPDATE app.u SET b = 1 WHERE id = 4",
		"DELETE FROM app.u WHERE id = 2",
		"UPDATE app.u SET id = 7 WHERE id = 1",
	} {
		if !f.takes(sql) {
			t.Errorf("%s is refused", sql)
		}
	}
	f.reopen()
	if f.log.Len() > 0 {
		t.Errorf("the rows are mended, and the log still says: %s", &f.log)
	}
	if f.takes("INSERT INTO app.u VALUES (8, 41, 41, 8)") {
		t.Error("an equal row after the rows were mended")
	}
	do(t, f.e, root, "ALTER TABLE app.u DROP CONSTRAINT u_a_b_key")
	if !f.takes("INSERT INTO app.u VALUES (8, 41, 41, 8)") {
		t.Error("a dropped constraint holds")
	}
}

func TestDroppingAGuardedConstraintLetsRowsIn(t *testing.T) {
	f := newFolder(t)
	do(t, f.e, root, "CREATE NAMESPACE app")
	do(t, f.e, root, uniqueTables["shared"])
	do(t, f.e, root, "INSERT INTO app.u VALUES (1, 1, 1, 1), (2, 1, 2, 2)")
	f.reopen(older("UPDATE t1 SET c3 = 1")...)
	do(t, f.e, root, "ALTER TABLE app.u DROP CONSTRAINT u_a_b_key")
	if !f.takes("INSERT INTO app.u VALUES (3, 1, 1, 3)") {
		t.Error("a dropped constraint holds")
	}
}

// TestNumericKeyDropsZerosAtItsEnd is a deliberate difference: equal numbers are
// one key whatever their scale, and the key is stored in the form that compares.
func TestNumericKeyDropsZerosAtItsEnd(t *testing.T) {
	e := open(t)
	do(t, e, root, "CREATE TABLE default.n (k NUMERIC PRIMARY KEY, v NUMERIC UNIQUE, w DECIMAL(5,2))")
	do(t, e, root, "INSERT INTO default.n VALUES (1.50, 1.50, 1.5)")
	for _, sql := range []string{"INSERT INTO default.n VALUES (1.5, 2, 2)", "INSERT INTO default.n VALUES (2, 1.500, 2)"} {
		if err := fails(t, e, root, &wire.Request{SQL: sql}); err.Code != wire.CodeUniqueViolation {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if got := answerIn(t, e, "SELECT k, v, w FROM default.n"); got != "1.5 | 1.50 | 1.50" {
		t.Errorf("got %s", got)
	}
}
