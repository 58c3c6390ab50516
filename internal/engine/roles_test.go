package engine_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// rolesUnderTest are the columns of the matrix below. Nobody may sign in with
// the last one; a principal that has it all the same may do nothing.
var rolesUnderTest = []string{"system", "dba", "service", "user", "anonymous"}

// cells are the rows of the role matrix. may has a letter for each role: y may,
// n may not. @ in the SQL is a number of the cell's own; prepare is run by root
// before.
var cells = []struct{ may, sql, prepare string }{
	{"yynnn", "CREATE NAMESPACE n@", ""},
	{"yynnn", "DROP NAMESPACE n@", "CREATE NAMESPACE n@"},
	{"yynnn", "ALTER NAMESPACE n@ SET OPTIONS (a = 'b')", "CREATE NAMESPACE n@"},
	{"yynnn", "CREATE USER u@ WITH PASSWORD 'correct-horse' ROLE user", ""},
	{"yynnn", "ALTER USER u@ SET EMAIL 'a@b.c'", "CREATE USER u@ WITH PASSWORD 'correct-horse' ROLE user"},
	{"yynnn", "DROP USER u@", "CREATE USER u@ WITH PASSWORD 'correct-horse' ROLE user"},
	{"yynnn", "EXPLAIN SELECT 1", ""},
	{"yynnn", "EXPLAIN ANALYZE SELECT * FROM app.private", ""},
	{"yynnn", "DESCRIBE app.public", ""},
	{"yynnn", "SHOW COLUMNS FROM app.public", ""},

	{"yynnn", "CREATE TOPIC app.topic@", ""},
	{"yynnn", "ALTER TOPIC app.topic@ ADD SOURCE app.mine ON INSERT", "CREATE TOPIC app.topic@"},
	{"yynnn", "DROP TOPIC app.topic@", "CREATE TOPIC app.topic@"},
	{"yynnn", "CLEAR TOPIC app.topic@", "CREATE TOPIC app.topic@"},
	{"yynnn", "RESET CONSUMER GROUP 'g' ON app.topic@ TO 0", "CREATE TOPIC app.topic@"},
	{"yynnn", "GRANT CONSUME ON TOPIC app.topic@ TO ROLE service", "CREATE TOPIC app.topic@"},
	{"yynnn", "REVOKE CONSUME ON TOPIC app.topic@ FROM ROLE dba", "CREATE TOPIC app.topic@; GRANT CONSUME ON TOPIC app.topic@ TO ROLE dba"},
	// Of the role service, who was granted it.
	{"yynnn", "CONSUME FROM app.topic@", "CREATE TOPIC app.topic@"},
	{"yyynn", "CONSUME FROM app.topic@", "CREATE TOPIC app.topic@; GRANT CONSUME ON TOPIC app.topic@ TO ROLE service"},
	{"yyynn", "CONSUME FROM app.topic@ GROUP 'g'", "CREATE TOPIC app.topic@; GRANT CONSUME ON TOPIC app.topic@ TO ROLE service"},
	{"yyynn", "ACK app.topic@ GROUP 'g' UPTO OFFSET 0", "CREATE TOPIC app.topic@; ALTER TOPIC app.topic@ ADD SOURCE app.mine ON INSERT; " +
		"GRANT CONSUME ON TOPIC app.topic@ TO ROLE service; INSERT INTO app.mine VALUES (-@, 'x'); CONSUME FROM app.topic@ GROUP 'g' FROM EARLIEST"},

	{"yyynn", "STORAGE FLUSH TABLE app.mine", ""},
	{"yyynn", "STORAGE COMPACT ALL IN app", ""},

	{"yyyyn", "SHOW NAMESPACES", ""},
	{"yyyyn", "SHOW TABLES IN app", ""},
	{"yyyyn", "USE app", ""},
	{"yyyyn", "BEGIN; COMMIT", ""},
	{"yyyyn", "SELECT 1", ""},
	{"yyyyn", "DESCRIBE TABLE app.mine", ""},
	{"yyyyn", "DESCRIBE TABLE app.public", ""},
	{"yyynn", "DESCRIBE TABLE app.private", ""},
	{"yynnn", "DESCRIBE TABLE app.dba", ""},
	{"yynnn", "DESCRIBE TABLE system.users", ""},

	{"yyyyn", "CREATE USER TABLE app.t@ (id INT PRIMARY KEY)", ""},
	{"yyyyn", "CREATE STREAM TABLE app.t@ (id INT PRIMARY KEY) WITH (TTL_SECONDS = 60)", ""},
	{"yyynn", "CREATE SHARED TABLE app.t@ (id INT PRIMARY KEY)", ""},
	{"yyynn", "CREATE TABLE app.t@ (id INT PRIMARY KEY) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'PUBLIC')", ""},

	// The rows of private tables are each user's own.
	{"yyyyn", "SELECT * FROM app.mine", ""},
	{"yyyyn", "INSERT INTO app.mine VALUES (@, 'x')", ""},
	{"yyyyn", "INSERT INTO app.mine VALUES (1, 'x') ON CONFLICT DO NOTHING", ""},
	{"yyyyn", "UPDATE app.mine SET v = 'y'", ""},
	{"yyyyn", "DELETE FROM app.mine", ""},
	{"yyyyn", "SELECT * FROM app.stream", ""},
	{"yyyyn", "INSERT INTO app.stream VALUES (@, 'x')", ""},
	{"yyyyn", "DELETE FROM app.stream", ""},

	// SHARED tables by their access level.
	{"yyyyn", "SELECT * FROM app.public", ""},
	{"yyynn", "INSERT INTO app.public VALUES (@, 'x')", ""},
	{"yyynn", "UPDATE app.public SET v = 'y'", ""},
	{"yyynn", "DELETE FROM app.public WHERE id > 100", ""},
	{"yyynn", "SELECT * FROM app.private", ""},
	{"yyynn", "INSERT INTO app.private VALUES (@, 'x')", ""},
	{"yyynn", "UPDATE app.private SET v = 'y'", ""},
	{"yyynn", "DELETE FROM app.private", ""},
	{"yyynn", "SELECT * FROM app.restricted", ""},
	{"yyynn", "INSERT INTO app.restricted VALUES (@, 'x')", ""},
	{"yynnn", "SELECT * FROM app.dba", ""},
	{"yynnn", "INSERT INTO app.dba VALUES (@, 'x')", ""},
	{"yynnn", "UPDATE app.dba SET v = 'y'", ""},
	{"yynnn", "DELETE FROM app.dba", ""},

	// However a table is reached.
	{"yyynn", "SELECT 1 WHERE EXISTS (SELECT 1 FROM app.private)", ""},
	{"yyynn", "WITH x AS (SELECT * FROM app.private) SELECT * FROM x", ""},
	{"yyynn", "SELECT * FROM app.mine m JOIN app.private p ON m.id = p.id", ""},
	{"yyynn", "SELECT id FROM app.mine UNION SELECT id FROM app.private", ""},
	{"yyynn", "INSERT INTO app.mine SELECT id + 1000 * @, v FROM app.private", ""},
	{"yyynn", "UPDATE app.mine SET v = p.v FROM app.private p WHERE p.id = mine.id", ""},
	{"yyynn", "DELETE FROM app.mine WHERE id IN (SELECT id FROM app.private)", ""},
	{"yyyyn", "INSERT INTO app.mine SELECT id + 1000 * @, v FROM app.public", ""},
	{"yynnn", "INSERT INTO app.mine SELECT 1000 * @, user_id FROM system.users LIMIT 1", ""},
	{"yynnn", "SELECT * FROM system.users", ""},
	{"yynnn", "SELECT * FROM information_schema.columns", ""},
	{"yynnn", "SELECT (SELECT count(*) FROM system.tables)", ""},
	{"yynnn", "SELECT * FROM app.mine m LEFT JOIN system.users u ON u.user_id = m.v", ""},

	// Nobody writes the server's own tables.
	{"nnnnn", "INSERT INTO system.namespaces (name) VALUES ('x')", ""},
	{"nnnnn", "UPDATE system.users SET role = 'dba'", ""},
	{"nnnnn", "DELETE FROM information_schema.tables", ""},
	{"nnnnn", "ALTER TABLE system.users ADD COLUMN x INT", ""},
	{"nnnnn", "DROP TABLE system.users", ""},
	{"nnnnn", "CREATE TABLE system.t@ (id INT PRIMARY KEY)", ""},

	// Definitions of a private table that root made.
	{"yyynn", "ALTER TABLE app.t@ ADD COLUMN x INT", "CREATE USER TABLE app.t@ (id INT PRIMARY KEY)"},
	{"yyynn", "CREATE INDEX i@ ON app.t@ (v)", "CREATE USER TABLE app.t@ (id INT PRIMARY KEY, v INT)"},
	{"yyynn", "DROP INDEX app.i@", "CREATE USER TABLE app.t@ (id INT PRIMARY KEY, v INT); CREATE INDEX i@ ON app.t@ (v)"},
	{"yyynn", "DROP TABLE app.t@", "CREATE USER TABLE app.t@ (id INT PRIMARY KEY)"},
	{"yyynn", "ALTER TABLE app.t@ ADD COLUMN x INT", "CREATE STREAM TABLE app.t@ (id INT PRIMARY KEY) WITH (TTL_SECONDS = 60)"},
	{"yyynn", "DROP TABLE app.t@", "CREATE STREAM TABLE app.t@ (id INT PRIMARY KEY) WITH (TTL_SECONDS = 60)"},
	// And of SHARED tables.
	{"yyynn", "ALTER TABLE app.t@ SET ACCESS LEVEL public", "CREATE SHARED TABLE app.t@ (id INT PRIMARY KEY)"},
	{"yyynn", "ALTER TABLE app.t@ ADD COLUMN x INT", "CREATE SHARED TABLE app.t@ (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'PUBLIC')"},
	{"yyynn", "CREATE UNIQUE INDEX i@ ON app.t@ (v)", "CREATE SHARED TABLE app.t@ (id INT PRIMARY KEY, v INT)"},
	{"yyynn", "DROP TABLE app.t@", "CREATE SHARED TABLE app.t@ (id INT PRIMARY KEY)"},
	{"yynnn", "ALTER TABLE app.t@ SET ACCESS LEVEL public", "CREATE SHARED TABLE app.t@ (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'DBA')"},
	{"yynnn", "DROP TABLE app.t@", "CREATE SHARED TABLE app.t@ (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'DBA')"},

	// As oneself everybody, as another by the roles of both; SHARED tables never.
	{"yyynn", "EXECUTE AS USER 'target' (SELECT * FROM app.mine)", ""},
	{"yyynn", "EXECUTE AS USER 'target' (INSERT INTO app.mine VALUES (@, 'x'))", ""},
	{"yynnn", "EXECUTE AS USER 'boss' (SELECT * FROM app.mine)", ""},
	{"ynnnn", "EXECUTE AS USER 'root' (SELECT * FROM app.mine)", ""},
	{"nnnnn", "EXECUTE AS USER 'nobody-of-that-name' (SELECT * FROM app.mine)", ""},
	{"nnnnn", "EXECUTE AS USER 'target' (SELECT * FROM system.users)", ""},
}

// TestRoleMatrix tries every cell: the statement runs, or is refused for want
// of a right and for nothing else.
func TestRoleMatrix(t *testing.T) {
	e := open(t)
	do(t, e, root, `CREATE NAMESPACE app;
		CREATE USER "the-system" WITH INTERNAL ROLE system; CREATE USER "the-dba" WITH INTERNAL ROLE dba;
		CREATE USER target WITH PASSWORD 'correct-horse' ROLE user; CREATE USER boss WITH PASSWORD 'correct-horse' ROLE dba;
		CREATE USER TABLE app.mine (id INT PRIMARY KEY, v TEXT);
		CREATE STREAM TABLE app.stream (id INT PRIMARY KEY, v TEXT) WITH (TTL_SECONDS = 600)`)
	for _, level := range []string{"public", "private", "restricted", "dba"} {
		do(t, e, root, "CREATE SHARED TABLE app."+level+" (id INT PRIMARY KEY, v TEXT) WITH (ACCESS_LEVEL = '"+level+"')")
		do(t, e, root, "INSERT INTO app."+level+" VALUES (1, 'one')")
	}
	n := 1000
	for _, cell := range cells {
		for i, role := range rolesUnderTest {
			n++
			number := strings.NewReplacer("@b", "@b", "@", strconv.Itoa(n))
			if cell.prepare != "" {
				do(t, e, root, number.Replace(cell.prepare))
			}
			who := &identity.Principal{UserID: "the-" + role, Role: role, Issuer: identity.Issuer}
			_, err := e.Run(context.Background(), who, &wire.Request{SQL: number.Replace(cell.sql)})
			var coded *wire.Error
			denied := errors.As(err, &coded) && coded.Code == wire.CodePermissionDenied
			switch may := cell.may[i] == 'y'; {
			case may && err != nil:
				t.Errorf("%s: %s: %v, but the role may", role, cell.sql, err)
			case !may && !denied:
				t.Errorf("%s: %s: got %v, want a refusal", role, cell.sql, err)
			}
		}
	}
}

// TestOwnerDefinesUntilOthersUse lets the user who made a table change it while
// nobody else has a row in it.
func TestOwnerDefinesUntilOthersUse(t *testing.T) {
	const userTable = "CREATE USER TABLE app.t (id INT PRIMARY KEY, v INT); CREATE INDEX old ON app.t (v)"
	const stream = "CREATE STREAM TABLE app.t (id INT PRIMARY KEY, v INT) WITH (TTL_SECONDS = 600)"
	for create, list := range map[string][]string{
		userTable: {"ALTER TABLE app.t ADD COLUMN x INT", "CREATE INDEX i ON app.t (v)", "DROP INDEX app.old", "DROP TABLE app.t"},
		stream:    {"ALTER TABLE app.t ADD COLUMN x INT", "DROP TABLE app.t"},
	} {
		for _, sql := range list {
			e := open(t)
			do(t, e, root, "CREATE NAMESPACE app")
			do(t, e, alice, create)
			do(t, e, alice, "INSERT INTO app.t VALUES (1, 1)")
			req := &wire.Request{SQL: "INSERT INTO app.t VALUES (7, 7); " + sql}
			if err := fails(t, e, bob, &wire.Request{SQL: sql}); err.Code != wire.CodePermissionDenied {
				t.Errorf("bob, %s: %v", sql, err)
			}
			do(t, e, bob, "INSERT INTO app.t VALUES (1, 1)")
			if err := fails(t, e, alice, req); err.Code != wire.CodePermissionDenied {
				t.Errorf("alice beside bob, %s: %v", sql, err)
			}
			if res := do(t, e, alice, "SELECT count(*) FROM app.t"); res.Rows[0][0].Int() != 1 {
				t.Errorf("%s: a statement of a batch ran before another one was refused", sql)
			}
			do(t, e, bob, "DELETE FROM app.t")
			do(t, e, alice, sql)
		}
	}
}

// TestBatchIsAuthorisedBeforeItRuns puts each refused statement behind one that
// writes.
func TestBatchIsAuthorisedBeforeItRuns(t *testing.T) {
	e := open(t)
	do(t, e, root, `CREATE NAMESPACE app; CREATE USER TABLE app.mine (id INT PRIMARY KEY, v TEXT);
		CREATE SHARED TABLE app.private (id INT PRIMARY KEY, v TEXT); CREATE INDEX i ON app.private (v)`)
	for _, sql := range []string{
		"CREATE NAMESPACE x", "DROP NAMESPACE app", "CREATE USER x WITH PASSWORD 'correct-horse'", "EXPLAIN SELECT 1", "SET a = 1",
		"SHOW COLUMNS FROM app.mine", "CREATE SHARED TABLE app.x (id INT PRIMARY KEY)", "SELECT * FROM app.private",
		"INSERT INTO app.private VALUES (1, 'x')", "SELECT * FROM app.mine WHERE v IN (SELECT v FROM app.private)",
		"ALTER TABLE app.mine ADD COLUMN x INT", "DROP TABLE app.private", "CREATE INDEX j ON app.private (v)", "DROP INDEX app.i",
		"SELECT * FROM system.users", "EXECUTE AS USER 'bob' (SELECT * FROM app.mine)",
	} {
		err := fails(t, e, alice, &wire.Request{SQL: "INSERT INTO app.mine VALUES (1, 'x'); " + sql})
		if err.Code != wire.CodePermissionDenied || err.Statement != 2 {
			t.Errorf("%s: %v (statement %d)", sql, err, err.Statement)
		}
		if err := fails(t, e, alice, &wire.Request{SQL: "INSERT INTO app.mine VALUES (1, 'x'); SELEC 1"}); err.Code != wire.CodeInvalidSQL {
			t.Errorf("a batch that does not parse: %v", err)
		}
	}
	if res := do(t, e, alice, "SELECT * FROM app.mine"); len(res.Rows) > 0 {
		t.Errorf("statements before a refused one have run: %v", res.Rows)
	}
}
