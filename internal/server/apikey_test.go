package server_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// makeKey runs CREATE API KEY and returns the key.
func makeKey(t testing.TB, s *servertest.Server, token, sql string) string {
	t.Helper()
	var in struct {
		Results []struct {
			Schema []struct{ Name string }
			Rows   [][]string
		}
	}
	a := run(t, s, token, sql)
	if err := json.Unmarshal([]byte(a.body), &in); err != nil || len(in.Results) != 1 || len(in.Results[0].Rows) != 1 {
		t.Fatalf("%s: %s (%v)", sql, a.body, err)
	}
	r := in.Results[0]
	if len(r.Schema) != 2 || r.Schema[0].Name != "name" || r.Schema[1].Name != "key" {
		t.Errorf("columns %v", r.Schema)
	}
	return r.Rows[0][1]
}

func TestAPIKeyIsABearer(t *testing.T) {
	s := start(t)
	alice, admin := mint(t, "alice"), mint(t, "admin")
	key := makeKey(t, s, alice, "CREATE API KEY ci")
	if len(key) != 63 || !strings.HasPrefix(key, "kalam_") {
		t.Errorf("the key is %q", key)
	}
	run(t, s, key, "INSERT INTO chat.messages (id, room, body) VALUES (7, 'r', 'by key')")
	if got := compact(t, rows(t, run(t, s, alice, "SELECT body FROM chat.messages WHERE room = 'r'"))); got != `[["by key"]]` {
		t.Error(got)
	}
	k := dial(t, s, "")
	k.authenticate(key, "{}")
	if f := k.want("auth_success"); f.User != "alice" {
		t.Errorf("signed in as %s", f.User)
	}
	k.subscribe("a", "SELECT body FROM chat.messages WHERE room = 'r'", "{}")
	k.snapshot("a")
	if k, resp, err := tryDial(t, s, "", "Authorization", "Bearer "+key); err != nil {
		t.Errorf("%v %v", err, resp)
	} else {
		k.want("auth_success")
	}
	if a := get(t, s, key, "/v1/api/auth/me"); a.status != 200 || user(a.json(t))["id"] != "alice" {
		t.Errorf("me: %d %s", a.status, a.body)
	}
	// Nothing that opens anything is shown or stored.
	for _, sql := range []string{"SELECT * FROM system.api_keys", "SELECT * FROM system.audit_log"} {
		if a := run(t, s, admin, sql); strings.Contains(a.body, key[14:]) {
			t.Errorf("%s shows the key", sql)
		}
	}
	if names := found(t, s.Dir, key[14:57]); len(names) > 0 {
		t.Errorf("the key is in %v", names)
	}
	audited := func() string {
		return compact(t, rows(t, run(t, s, admin, `SELECT action, actor_user_id, target, method, session_id FROM system.audit_log
			WHERE action = 'CREATE_API_KEY' OR method = 'api_key' ORDER BY audit_id`)))
	}
	if got := audited(); !strings.Contains(got, `["CREATE_API_KEY","alice","api_key:`+key[6:14]+`","token"`) {
		t.Errorf("audit %s", got)
	}
	// The first use is recorded while its answer is on the way.
	wait(t, func() bool {
		return strings.Contains(audited(), `["LOGIN","alice","user:alice","api_key","api_key:`+key[6:14]+`"]`)
	})
}

func TestAPIKeyRefusals(t *testing.T) {
	s := start(t)
	alice, admin := mint(t, "alice"), mint(t, "admin")
	key := makeKey(t, s, alice, "CREATE API KEY ci")
	typo := strings.Replace(key, key[20:21], map[bool]string{true: "b", false: "a"}[key[20] == 'a'], 1)
	const whole = "no whole API key"
	for name, c := range map[string]struct{ token, code, text string }{
		"a typo":                    {typo, "INVALID_CREDENTIALS", whole},
		"cut off":                   {key[:62], "INVALID_CREDENTIALS", whole},
		"longer":                    {key + "x", "INVALID_CREDENTIALS", whole},
		"the mark":                  {"kalam_", "INVALID_CREDENTIALS", whole},
		"lower":                     {strings.ToLower(key), "INVALID_CREDENTIALS", whole},
		"no bytes":                  {"kalam_" + strings.Repeat("\xff", 57), "INVALID_CREDENTIALS", whole},
		"long":                      {"kalam_" + strings.Repeat("a", 7000), "INVALID_CREDENTIALS", whole},
		"unknown":                   {sumUp("kalam_abcdefgh" + strings.Repeat("a", 43)), "INVALID_CREDENTIALS", "Invalid credentials"},
		"known, but another secret": {sumUp(key[:14] + strings.Repeat("a", 43)), "INVALID_CREDENTIALS", "Invalid credentials"},
	} {
		a := query(t, s, c.token, "SELECT 1")
		wantError(t, a, 401, c.code, c.text)
		if !strings.Contains(a.header.Get("Www-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: challenge %q", name, a.header.Get("Www-Authenticate"))
		}
		k := dial(t, s, "")
		k.authenticate(c.token, "{}")
		k.wantEnd(c.code)
	}
	// With Basic, in a cookie and in the URL it is nothing.
	if a := do(t, "POST", s.URL+"/v1/api/sql", strings.NewReader(`{"sql":"SELECT 1"}`), "Content-Type", jsonType, "Authorization", "Basic "+key); a.status != 401 {
		t.Errorf("basic: %d", a.status)
	}
	if a := do(t, "POST", s.URL+"/v1/api/sql?access_token="+key, strings.NewReader(`{"sql":"SELECT 1"}`), "Content-Type", jsonType, "Cookie", "kalamdb_refresh="+key); a.status != 401 {
		t.Errorf("cookie: %d", a.status)
	}
	run(t, s, key, "SELECT 1")
	run(t, s, admin, "DROP API KEY ci FOR USER alice")
	wantError(t, query(t, s, key, "SELECT 1"), 401, "INVALID_CREDENTIALS", "Invalid credentials")
}

func TestExpiredAPIKey(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	key := makeKey(t, s, alice, "CREATE API KEY soon EXPIRES IN '2 seconds'")
	k := dial(t, s, "")
	k.authenticate(key, renew)
	if f := k.want("auth_success"); f.ExpiresIn == nil || *f.ExpiresIn > 2 {
		t.Errorf("the socket expires in %v", f.ExpiresIn)
	}
	eventually(t, "the key expires", func() bool { return query(t, s, key, "SELECT 1").status == 401 })
	wantError(t, query(t, s, key, "SELECT 1"), 401, "TOKEN_EXPIRED", "")
	if got := compact(t, rows(t, run(t, s, alice, "SELECT state FROM system.api_keys"))); got != `[["expired"]]` {
		t.Error(got)
	}
	for sql, text := range map[string]string{
		"CREATE API KEY a EXPIRES IN '-1 day'":      "expired already",
		"CREATE API KEY a EXPIRES IN '0 days'":      "expired already",
		"CREATE API KEY a EXPIRES IN 'ninety days'": "INTERVAL",
		"CREATE API KEY a EXPIRES IN ''":            "INTERVAL",
	} {
		if a := query(t, s, alice, sql); a.status != 400 || !strings.Contains(a.body, text) {
			t.Errorf("%s: %d %s", sql, a.status, a.body)
		}
	}
}

// TestAPIKeyNarrows tries each key at everything that leads to a table or a
// topic. alice, bob and svc may do all of it without a key.
func TestAPIKeyNarrows(t *testing.T) {
	s := start(t)
	admin := withTopic(t, s)
	for _, sql := range []string{
		"CREATE USER svc WITH PASSWORD 'Secret123!' ROLE service", "CREATE NAMESPACE app", docs,
		"CREATE TOPIC app.jobs", "ALTER TOPIC app.jobs ADD SOURCE chat.messages ON INSERT",
		"GRANT CONSUME ON TOPIC shop.log TO ROLE service", "GRANT CONSUME ON TOPIC app.jobs TO ROLE service",
		"CREATE USER TABLE app.copies (id BIGINT PRIMARY KEY, body FILE)", "CREATE USER TABLE chat.copies (id BIGINT PRIMARY KEY, body FILE)",
		"INSERT INTO shop.orders (id, item) VALUES (1, 'tea')",
	} {
		run(t, s, admin, strings.Replace(sql, "CREATE NAMESPACE app;", "", 1))
	}
	svc := mint(t, "svc")
	f := putFile(t, s, svc, "1", formPart{content: "hello"})
	cell := refCell(t, s, svc)
	run(t, s, svc, "CONSUME FROM shop.log GROUP 'g' LIMIT 1") // what is acknowledged below
	consume(t, s, svc, `{"topic_id":"shop.log","group_id":"h"}`)
	// Each returns "" when it was allowed, else the refusal.
	sql := func(text string, params ...any) func(token string) string {
		return func(token string) string {
			if a := query(t, s, token, text, params...); a.status != 200 {
				return a.body
			}
			return ""
		}
	}
	status := func(a answer) string {
		if a.status == 200 {
			return ""
		}
		return a.body
	}
	live := func(text string) func(token string) string {
		return func(token string) string {
			k := dial(t, s, "")
			k.authenticate(token, "{}")
			k.want("auth_success")
			k.subscribe("a", text, "")
			if f := k.next(); f.Type != "subscription_ack" {
				return f.Code + f.Message
			}
			return ""
		}
	}
	n := 100
	actions := map[string]func(token string) string{
		"read chat":    sql("SELECT * FROM chat.messages"),
		"read app":     sql("SELECT id FROM app.docs"),
		"read shop":    sql("SELECT * FROM shop.orders"),
		"read me":      sql("SELECT * FROM system.me"),
		"read nothing": sql("SELECT CURRENT_USER()"),
		"sub-query":    sql("SELECT (SELECT max(id) FROM shop.orders)"),
		"with":         sql("WITH o AS (SELECT * FROM shop.orders) SELECT * FROM o"),
		"exists":       sql("SELECT 1 WHERE EXISTS (SELECT 1 FROM chat.messages m JOIN shop.orders o ON o.id = m.id)"),
		"explain":      sql("SELECT 1"),
		"as alice":     sql("EXECUTE AS USER 'alice' (SELECT * FROM chat.messages)"),
		"as alice app": sql("EXECUTE AS USER 'alice' (SELECT id FROM app.docs)"),
		"write app": func(token string) string {
			n++
			return sql("INSERT INTO app.docs (id) VALUES ($1)", n)(token)
		},
		"write app, read shop": func(token string) string {
			n++
			return sql("INSERT INTO app.docs (id) SELECT id + $1 FROM shop.orders", 100_000+n)(token)
		},
		"returning shop": func(token string) string {
			n++
			return sql("INSERT INTO app.docs (id) VALUES ($1) RETURNING (SELECT max(id) FROM shop.orders)", n)(token)
		},
		"write as alice": func(token string) string {
			n++
			return sql("EXECUTE AS USER 'alice' (INSERT INTO app.docs (id) VALUES ($1))", n)(token)
		},
		"update shop": sql("UPDATE shop.orders SET item = 'tea' WHERE id = 1"),
		"batch": func(token string) string {
			return status(post(t, s.URL+"/v1/api/sql", token, `{"statements":[{"sql":"SELECT id FROM app.docs"},{"sql":"DELETE FROM shop.orders WHERE id = 99"}]}`))
		},
		"text": sql("SELECT id FROM app.docs; UPDATE shop.orders SET item = 'tea' WHERE id = 1"),
		"define": func(token string) string {
			n++
			return sql(fmt.Sprintf("CREATE USER TABLE app.t%d (id BIGINT PRIMARY KEY)", n))(token)
		},
		"define shop": func(token string) string {
			n++
			return sql(fmt.Sprintf("CREATE USER TABLE shop.t%d (id BIGINT PRIMARY KEY)", n))(token)
		},
		"alter shop": func(token string) string {
			n++
			return sql(fmt.Sprintf("ALTER TABLE shop.orders ADD COLUMN c%d INT", n))(token)
		},
		"index shop": func(token string) string {
			n++
			return sql(fmt.Sprintf("CREATE INDEX i%d ON shop.orders (n)", n))(token)
		},
		"describe shop": sql("DESCRIBE TABLE shop.orders"),
		"stats of shop": sql("SHOW STATS FOR TABLE shop.orders"),
		"tables of app": sql("SHOW TABLES IN app"),
		"tables":        sql("SHOW TABLES"),
		"namespaces":    sql("SHOW NAMESPACES"),
		"flush":         sql("STORAGE FLUSH TABLE app.docs"),
		"live chat":     live("SELECT * FROM chat.messages"),
		"live app":      live("SELECT id FROM app.docs"),
		"consume shop":  sql("CONSUME FROM shop.log GROUP 'g' LIMIT 1"),
		"peek shop":     sql("CONSUME FROM shop.log LIMIT 1"),
		"consume app":   sql("CONSUME FROM app.jobs GROUP 'g' LIMIT 1"),
		"ack shop":      sql("ACK shop.log GROUP 'g' PARTITION 0 UPTO OFFSET 0"),
		"http shop": func(token string) string {
			return status(topicPost(t, s, token, "consume", `{"topic_id":"shop.log","group_id":"h"}`))
		},
		"http app": func(token string) string {
			return status(topicPost(t, s, token, "consume", `{"topic_id":"app.jobs","group_id":"h"}`))
		},
		"http ack shop": func(token string) string {
			return status(topicPost(t, s, token, "ack", `{"topic_id":"shop.log","group_id":"h","partition_id":0,"upto_offset":0}`))
		},
		"download": func(token string) string { return status(get(t, s, token, f.path("app.docs"))) },
		"sign":     func(token string) string { _, a := signed(t, s, token, f.path("app.docs"), 60); return status(a) },
		"upload": func(token string) string {
			n++
			return status(upload(t, s, token, formPart{name: "sql", content: fmt.Sprintf("INSERT INTO app.docs (id, body) VALUES (%d, FILE('a'))", n)}, formPart{name: "file:a", content: "x"}))
		},
		"copy a file": func(token string) string {
			n++
			defer run(t, s, svc, "DELETE FROM chat.copies") // or the key may read the file there
			return sql("INSERT INTO chat.copies (id, body) VALUES ($1, $2)", n, cell)(token)
		},
	}
	writes := []string{"write app", "write app, read shop", "returning shop", "write as alice", "update shop", "batch", "text", "define", "define shop",
		"alter shop", "index shop", "flush", "consume shop", "peek shop", "consume app", "ack shop", "http shop", "http app", "http ack shop", "upload", "copy a file"}
	outsideApp := []string{"read chat", "read shop", "read me", "sub-query", "with", "exists", "as alice", "write app, read shop", "returning shop", "update shop",
		"batch", "text", "define shop", "alter shop", "index shop", "describe shop", "stats of shop", "tables", "namespaces", "flush",
		"live chat", "consume shop", "peek shop", "ack shop", "http shop", "http ack shop", "copy a file"}
	for name, c := range map[string]struct {
		clauses string
		refused [][]string
	}{
		"everything": {"", nil},
		"reading":    {"READ ONLY", [][]string{writes}},
		"app":        {"NAMESPACES (app)", [][]string{outsideApp}},
		"reads app":  {"NAMESPACES (app) READ ONLY", [][]string{writes, outsideApp}},
		"a topic":    {"TOPICS (shop.log)", [][]string{{"consume app", "http app"}}},
		"no files": {"NAMESPACES (chat)", [][]string{{"read app", "read shop", "read me", "sub-query", "with", "exists", "as alice app", "write app", "write app, read shop", "returning shop",
			"write as alice", "update shop", "batch", "text", "define", "define shop", "alter shop", "index shop", "describe shop", "stats of shop", "tables of app", "tables", "namespaces", "flush",
			"live app", "consume shop", "peek shop", "consume app", "ack shop", "http shop", "http app", "http ack shop", "download", "sign", "upload", "copy a file"}}},
	} {
		key := makeKey(t, s, svc, `CREATE API KEY "`+name+`" `+c.clauses)
		refused := map[string]bool{}
		for _, list := range c.refused {
			for _, action := range list {
				if actions[action] == nil {
					t.Fatalf("there is no %s", action)
				}
				refused[action] = true
			}
		}
		for action, do := range actions {
			why := do(key)
			switch {
			case refused[action] && !strings.Contains(why, "this API key") && action != "copy a file":
				t.Errorf("key %q, %s: %q, want a refusal", name, action, why)
			case refused[action] && why == "", !refused[action] && why != "":
				t.Errorf("key %q, %s: %q", name, action, why)
			}
		}
	}
}

// TestAPIKeyMakesNoMoreOfItself: whoever finds a key cannot turn it into a
// session, a password, another key or an account, even if it is a dba's.
func TestAPIKeyMakesNoMoreOfItself(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	key := makeKey(t, s, admin, "CREATE API KEY robot")
	for _, sql := range []string{
		"CREATE API KEY more", "CREATE API KEY more FOR USER alice", "DROP API KEY robot", "CREATE USER eve WITH PASSWORD 'Secret123!' ROLE dba",
		"ALTER USER admin SET PASSWORD 'Another456!'", "ALTER USER alice SET ROLE dba", "DROP USER alice",
	} {
		wantError(t, query(t, s, key, sql), 403, "PERMISSION_DENIED", "sign in")
	}
	for route, body := range map[string]string{
		"GET sessions": "", "DELETE sessions": "", "DELETE sessions/x": "", "POST password": `{"current":"` + servertest.Password + `","new":"Another456!"}`,
		"PATCH me": `{"name":"x"}`, "DELETE me": `{"password":"` + servertest.Password + `"}`, "POST upgrade": `{"user":"x","password":"Another456!"}`,
		"POST invites": `{"role":"service"}`, "GET invites": "", "DELETE invites/x": "",
		"POST code/redeem": `{"email":"a@example.com","code":"123456","purpose":"verify"}`,
	} {
		method, path, _ := strings.Cut(route, " ")
		a := do(t, method, s.URL+"/v1/api/auth/"+path, strings.NewReader(body), "Content-Type", jsonType, "Authorization", "Bearer "+key)
		wantAuthError(t, a, 403, "forbidden", "an API key cannot do this")
	}
	if a := post(t, s.URL+"/v1/api/auth/refresh", key, "{}"); a.status != 401 {
		t.Errorf("refresh: %d %s", a.status, a.body)
	}
	// Neither logout nor a login beside it ends the key.
	post(t, s.URL+"/v1/api/auth/logout", key, "{}")
	post(t, s.URL+"/v1/api/auth/login", key, `{"user":"admin","password":"`+servertest.Password+`"}`)
	run(t, s, key, "SELECT * FROM system.users")
}

func TestAPIKeysAreManagedByTheirOwners(t *testing.T) {
	s := start(t)
	alice, bob, admin, root := mint(t, "alice"), mint(t, "bob"), mint(t, "admin"), mint(t, "root")
	makeKey(t, s, alice, "CREATE API KEY ci")
	makeKey(t, s, bob, "CREATE API KEY ci FOR USER 'bob' EXPIRES IN '90 days'")
	makeKey(t, s, admin, "CREATE API KEY cron FOR USER alice READ ONLY NAMESPACES (chat)")
	makeKey(t, s, root, "CREATE API KEY backup")
	list := func(token string) string {
		return compact(t, rows(t, run(t, s, token, "SELECT user_id, name, read_only, namespaces, created_by FROM system.api_keys ORDER BY user_id, name")))
	}
	const ofAlice = `["alice","ci",false,null,"alice"],["alice","cron",true,"[\"chat\"]","admin"]`
	if got := list(alice); got != "["+ofAlice+"]" {
		t.Error(got)
	}
	if got := list(admin); got != "["+ofAlice+`,["bob","ci",false,null,"bob"],["root","backup",false,null,"root"]]` {
		t.Error(got)
	}
	for _, c := range []struct {
		token, sql, code string
	}{
		{alice, "CREATE API KEY x FOR USER bob", "PERMISSION_DENIED"},
		{alice, "CREATE API KEY x FOR USER nobody", "PERMISSION_DENIED"},
		{alice, "DROP API KEY ci FOR USER bob", "PERMISSION_DENIED"},
		{alice, "DROP API KEY nothing FOR USER nobody", "PERMISSION_DENIED"},
		{admin, "CREATE API KEY x FOR USER root", "PERMISSION_DENIED"},
		{admin, "DROP API KEY backup FOR USER root", "PERMISSION_DENIED"},
		{admin, "CREATE API KEY x FOR USER nobody", "USER_NOT_FOUND"},
		{alice, "CREATE API KEY ci", "ALREADY_EXISTS"},
		{alice, "DROP API KEY nothing", "NOT_FOUND"},
		{alice, "CREATE API KEY ''", "INVALID_INPUT"},
		{alice, "CREATE API KEY ' x'", "INVALID_INPUT"},
		{alice, "CREATE API KEY x NAMESPACES (wombat)", "NAMESPACE_NOT_FOUND"},
		{alice, "CREATE API KEY x TOPICS (chat.wombat)", "TOPIC_NOT_FOUND"},
		{alice, "EXECUTE AS USER 'alice' (CREATE API KEY x)", "UNSUPPORTED_STATEMENT"},
		{alice, "BEGIN; CREATE API KEY x; COMMIT", "UNSUPPORTED_STATEMENT"},
	} {
		a := query(t, s, c.token, c.sql)
		if _, code, _ := failure(t, a); code != c.code {
			t.Errorf("%s: %d %s, want %s", c.sql, a.status, a.body, c.code)
		}
	}
	run(t, s, alice, "DROP API KEY IF EXISTS nothing")
	run(t, s, alice, "DROP API KEY cron")
	run(t, s, admin, "DROP API KEY $1 FOR USER $2", "ci", "alice")
	if got := list(alice); got != "[]" {
		t.Error(got)
	}
	for i := range 100 {
		makeKey(t, s, alice, fmt.Sprintf("CREATE API KEY k%d", i))
	}
	if _, code, _ := failure(t, query(t, s, alice, "CREATE API KEY k100")); code != "QUOTA_EXCEEDED" {
		t.Errorf("the 101st: %s", code)
	}
}

func TestAPIKeyEndsWithItsUser(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	key := makeKey(t, s, admin, "CREATE API KEY ci FOR USER alice")
	const sql = "SELECT CURRENT_ROLE()"
	run(t, s, key, sql)
	run(t, s, admin, "ALTER USER alice SET ROLE service") // it acts with the role that its user has
	if got := compact(t, rows(t, run(t, s, key, sql))); got != `[["service"]]` {
		t.Error(got)
	}
	run(t, s, admin, "ALTER USER alice SET PASSWORD 'Another456!'")
	run(t, s, key, sql)
	run(t, s, admin, "ALTER USER alice DISABLE")
	wantError(t, query(t, s, key, sql), 401, "INVALID_CREDENTIALS", "Invalid credentials")
	run(t, s, admin, "ALTER USER alice ENABLE")
	run(t, s, key, sql)
	run(t, s, admin, "DROP USER alice")
	wantError(t, query(t, s, key, sql), 401, "INVALID_CREDENTIALS", "Invalid credentials")
	if got := compact(t, rows(t, run(t, s, admin, "SELECT count(*) FROM system.api_keys"))); got != `[["0"]]` {
		t.Errorf("%s keys are left", got)
	}
}

// TestSignedURLEndsWithItsAPIKey: what a key has signed opens as long as the key.
func TestSignedURLEndsWithItsAPIKey(t *testing.T) {
	s := start(t)
	run(t, s, mint(t, "admin"), docs)
	alice := mint(t, "alice")
	f := putFile(t, s, alice, "1", formPart{content: "hello"})
	key := makeKey(t, s, alice, "CREATE API KEY ci EXPIRES IN '30 seconds'")
	url, a := signed(t, s, key, f.path("app.docs"), 600)
	if a.status != 200 || !strings.Contains(a.body, `"expires_at"`) {
		t.Fatal(a.body)
	}
	if got := get(t, s, "", url); got.status != 200 || got.body != "hello" {
		t.Errorf("%d %s", got.status, got.body)
	}
	var out struct {
		ExpiresAt int64 `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || time.Until(time.Unix(out.ExpiresAt, 0)) > 30*time.Second {
		t.Errorf("%s outlives the key (%v)", a.body, err)
	}
	run(t, s, alice, "DROP API KEY ci")
	if got := get(t, s, "", url); got.status == 200 {
		t.Error("the URL outlives the key")
	}
}

// TestSocketKeepsItsAPIKey: live queries of one key do not go on under another.
func TestSocketKeepsItsAPIKey(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	wide, narrow := makeKey(t, s, alice, "CREATE API KEY wide"), makeKey(t, s, alice, "CREATE API KEY narrow NAMESPACES (system)")
	for _, next := range []string{narrow, alice} {
		k := dial(t, s, "")
		k.authenticate(wide, renew)
		k.want("auth_success")
		k.subscribe("a", "SELECT * FROM chat.messages", "{}")
		k.snapshot("a")
		k.authenticate(next, renew)
		k.wantEnd("IDENTITY_CHANGED")
	}
}

func TestEverybodyReadsThemselves(t *testing.T) {
	s := start(t)
	const columns = "id, name, email, email_verified, role, created_at IS NOT NULL"
	for user, role := range map[string]string{"alice": "user", "bob": "user", "admin": "dba"} {
		token := mint(t, user)
		email := map[string]string{"alice": `"alice@example.com"`, "bob": `"bob@example.com"`, "admin": "null"}[user]
		want := `[["` + user + `",null,` + email + `,false,"` + role + `",true]]`
		for _, sql := range []string{
			"SELECT " + columns + " FROM system.me", "SELECT " + columns + " FROM system.me WHERE true OR id = 'root'",
			"SELECT " + columns + " FROM (SELECT * FROM system.me) m", "SELECT m.id, m.name, m.email, m.email_verified, m.role, true FROM system.me m LEFT JOIN system.me n ON true",
		} {
			if got := compact(t, rows(t, run(t, s, token, sql))); got != want {
				t.Errorf("%s: %s, want %s", sql, got, want)
			}
		}
		if a := query(t, s, token, "UPDATE system.me SET role = 'dba'"); a.status == 200 {
			t.Errorf("%s changed themselves: %s", user, a.body)
		}
	}
	if got := compact(t, rows(t, run(t, s, mint(t, "admin"), "EXECUTE AS USER 'alice' (SELECT id FROM system.me)"))); got != `[["alice"]]` {
		t.Error(got)
	}
}

// sumUp adds the checksum to what goes before it in a key.
func sumUp(key string) string {
	text := new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(key)))).Text(62)
	return key + strings.Repeat("0", 6-len(text)) + text
}
