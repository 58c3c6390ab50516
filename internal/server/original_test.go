package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// These tests speak as the clients and scripts of KalamDB 0.4 do.

// TestConsumeWithoutAConsumerDoesNotWait: the client gives up when the server
// would be done waiting.
func TestConsumeWithoutAConsumerDoesNotWait(t *testing.T) {
	s := start(t)
	admin := withTopic(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	body := `{"topic_id":"shop.log","group_id":"old","start":"Earliest","limit":10,"partition_id":0,"timeout_seconds":30}`
	r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/v1/api/topics/consume", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+admin)
	r.Header.Set("Content-Type", jsonType)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal("no answer before the client's own time is over:", err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	var c consumed
	if err := json.Unmarshal(b, &c); err != nil || resp.StatusCode != 200 || len(c.Messages) != 0 || c.HasMore {
		t.Errorf("%d %s: %v", resp.StatusCode, b, err)
	}
}

// originalTables are the tables of system as KalamDB 0.4 has them. Some of ours
// have more columns behind these.
var originalTables = map[string]string{
	"users": "user_id password_hash role email auth_type auth_data storage_mode storage_id failed_login_attempts locked_until " +
		"last_login_at created_at updated_at last_seen deleted_at",
	"namespaces": "namespace_id name created_at options table_count",
	"storages": "storage_id storage_name description storage_type base_directory credentials config_json shared_tables_template " +
		"user_tables_template created_at updated_at",
	"schemas": "table_id table_name namespace_id table_type created_at schema_version columns table_comment updated_at options " +
		"access_level is_latest storage_id use_user_storage",
	"jobs": "job_id job_type status leader_status parameters message exception_trace idempotency_key queue priority retry_count " +
		"max_retries memory_used cpu_used created_at updated_at started_at finished_at node_id leader_node_id",
	"job_nodes":     "job_id node_id status error_message created_at started_at finished_at updated_at",
	"audit_log":     "audit_id timestamp actor_user_id action target details ip_address subject_user_id",
	"topics":        "topic_id name alias partitions retention_seconds retention_max_bytes routes created_at updated_at",
	"topic_offsets": "topic_id group_id partition_id last_acked_offset updated_at",
	"manifest":      "cache_key namespace_id table_name scope etag last_refreshed last_accessed in_memory sync_state manifest_json",
	"live": "live_id connection_id subscription_id namespace_id table_name user_id query options status created_at last_update " +
		"changes node_id last_ping_at",
	"stats":       "metric_name metric_value",
	"settings":    "name value description category",
	"server_logs": "timestamp level thread target line message",
	"transactions": "transaction_id owner_id origin state age_ms idle_ms write_count write_bytes touched_tables_count " +
		"snapshot_commit_seq",
	"cluster": "cluster_id node_id role status rpc_addr api_addr is_self is_leader groups_leading total_groups current_term " +
		"last_applied_log leader_last_log_index snapshot_index catchup_progress_pct replication_lag hostname version memory_mb " +
		"memory_usage_mb cpu_usage_percent uptime_seconds uptime_human os arch",
	"cluster_groups": "group_id cluster_id node_id group_type current_term vote last_log_index last_applied snapshot purged committed " +
		"state current_leader millis_since_quorum_ack",
	"tables": "namespace_id table_name table_type storage_id version options comment updated_at created_at",
	"columns": "namespace_id table_name version column_id column_name comment data_type default_value ordinal nullable " +
		"primary_key primary_key_pos",
	"datatypes": "arrow_type kalam_type sql_name description",
}

func TestSystemTablesOfTheOriginal(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	listed := columnOf(run(t, s, admin, "SHOW TABLES").json(t), "table_id")
	inSchemas := columnOf(run(t, s, admin, "SELECT table_id FROM system.schemas WHERE is_latest AND table_type = 'system'").json(t), "table_id")
	for name, columns := range originalTables {
		want := strings.Fields(columns)
		got := run(t, s, admin, "SELECT * FROM system."+name+" LIMIT 5").json(t)
		names := fieldNames(got)
		if len(names) < len(want) || !slices.Equal(names[:len(want)], want) {
			t.Errorf("system.%s has the columns %v, want %v", name, names, want)
		}
		if !slices.Contains(listed, "system:"+name) {
			t.Errorf("SHOW TABLES does not list system.%s", name)
		}
		if !slices.Contains(inSchemas, "system:"+name) {
			t.Errorf("system.schemas does not list system:%s", name)
		}
		described := columnOf(run(t, s, admin, "SELECT column_name FROM system.columns WHERE namespace_id = 'system' AND table_name = $1 ORDER BY ordinal", name).json(t), "column_name")
		if !slices.Equal(described, names) {
			t.Errorf("system.columns says that system.%s has %v, want %v", name, described, names)
		}
	}
	for _, sql := range []string{
		"SELECT count(*) FROM system.jobs WHERE updated_at > TIMESTAMP '1970-01-01 00:00:00'",
		"SELECT metric_value FROM system.stats WHERE metric_name = 'schema_registry_size'",
		"SELECT role FROM system.cluster WHERE is_self AND is_leader AND status = 'active'",
		"SELECT sql_name FROM system.datatypes WHERE kalam_type = '\"BigInt\"'",
	} {
		if n := len(rowsOf(run(t, s, admin, sql).json(t))); n != 1 {
			t.Errorf("%s has %d rows", sql, n)
		}
	}
	for name := range originalTables {
		if a := query(t, s, mint(t, "alice"), "SELECT count(*) FROM system."+name); a.status != 403 {
			t.Errorf("alice reads system.%s: %d %s", name, a.status, a.body)
		}
	}
}

// TestColumnsOfSchemasAsTheOriginal: generators of the original read types and
// defaults from the JSON of system.schemas.
func TestColumnsOfSchemasAsTheOriginal(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, `CREATE NAMESPACE gen; CREATE SHARED TABLE gen.all (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), doc JSON,
		file FILE, vector EMBEDDING(768), price DECIMAL(10, 2) NOT NULL DEFAULT 1.5, name TEXT DEFAULT 'it''s', done BOOLEAN DEFAULT false,
		n INT DEFAULT -3, at TIMESTAMP DEFAULT NOW())`)
	got := columnOf(run(t, s, admin, "SELECT columns FROM system.schemas WHERE table_id = 'gen:all' AND is_latest").json(t), "columns")
	if len(got) != 1 {
		t.Fatal(got)
	}
	var list []struct {
		Name    string          `json:"column_name"`
		Type    json.RawMessage `json:"data_type"`
		Null    bool            `json:"is_nullable"`
		Key     bool            `json:"is_primary_key"`
		Default json.RawMessage `json:"default_value"`
	}
	if err := json.Unmarshal([]byte(got[0]), &list); err != nil {
		t.Fatal(err)
	}
	want := [][3]string{
		{"id", `"BigInt"`, `{"FunctionCall":{"name":"SNOWFLAKE_ID","args":[]}}`},
		{"doc", `"Json"`, `"None"`},
		{"file", `"File"`, `"None"`},
		{"vector", `{"Embedding":768}`, `"None"`},
		{"price", `{"Decimal":{"precision":10,"scale":2}}`, `{"Literal":1.5}`},
		{"name", `"Text"`, `{"Literal":"it's"}`},
		{"done", `"Boolean"`, `{"Literal":false}`},
		{"n", `"Int"`, `{"Literal":-3}`},
		{"at", `"Timestamp"`, `{"FunctionCall":{"name":"NOW","args":[]}}`},
	}
	for i, w := range want {
		if c := list[i]; c.Name != w[0] || string(c.Type) != w[1] || string(c.Default) != w[2] || c.Key != (i == 0) || c.Null != (i != 0 && w[0] != "price") {
			t.Errorf("column %s: type %s, default %s, null %v, key %v; want %v", c.Name, c.Type, c.Default, c.Null, c.Key, w)
		}
	}
}

var jobID = regexp.MustCompile(`Job IDs?: \[?((?:FL|CO)-[0-9A-Za-z]+)`)

// TestFlushLeavesACompletedJob: a script flushes, reads the id of the job from
// the message and polls system.jobs until the job is completed.
func TestFlushLeavesACompletedJob(t *testing.T) {
	s := start(t)
	admin := mint(t, "admin")
	run(t, s, admin, `CREATE NAMESPACE cold; CREATE USER TABLE cold.a (id INT PRIMARY KEY); CREATE SHARED TABLE cold.b (id INT PRIMARY KEY);
		INSERT INTO cold.a VALUES (1); INSERT INTO cold.b VALUES (1)`)
	for sql, want := range map[string][2]string{
		"STORAGE FLUSH TABLE cold.a":   {"flush started", "Flush completed"},
		"STORAGE FLUSH ALL IN cold":    {"flush started for 2 table(s)", "Flush completed"},
		"STORAGE COMPACT TABLE cold.b": {"compaction started", "Compaction completed"},
		"STORAGE COMPACT ALL IN cold":  {"compaction started for 2 table(s)", "Compaction completed"},
	} {
		a := run(t, s, admin, sql)
		found := jobID.FindStringSubmatch(a.body)
		if found == nil || !strings.Contains(a.body, want[0]) {
			t.Errorf("%s: %s", sql, a.body)
			continue
		}
		job := run(t, s, admin, "SELECT status, message, parameters FROM system.jobs WHERE job_id = $1", found[1])
		if rows := rowsOf(job.json(t)); len(rows) != 1 || rows[0][0] != "completed" || !strings.Contains(rows[0][1].(string), want[1]) {
			t.Errorf("%s: the job is %s", sql, job.body)
		}
		if n := len(rowsOf(run(t, s, admin, "SELECT 1 FROM system.job_nodes WHERE job_id = $1 AND status = 'completed'", found[1]).json(t))); n != 1 {
			t.Errorf("%s: the job has %d nodes", sql, n)
		}
	}
	run(t, s, admin, "SELECT id FROM cold.b")
}

func TestShowAndCheckStorages(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	a := run(t, s, admin, "SHOW STORAGES")
	rows := rowsOf(a.json(t))
	if len(rows) != 1 || rows[0][0] != "local" || rows[0][3] != "filesystem" || rows[0][4] == "" || rows[0][4] == "***" {
		t.Errorf("SHOW STORAGES: %s", a.body)
	}
	if rows := rowsOf(run(t, s, alice, "SHOW STORAGES").json(t)); len(rows) != 1 || rows[0][4] != "***" {
		t.Errorf("alice sees where the data are: %v", rows)
	}
	for sql, extended := range map[string]bool{"STORAGE CHECK local": false, "STORAGE CHECK local EXTENDED": true} {
		a := run(t, s, admin, sql)
		names := fieldNames(a.json(t))
		if got := strings.Join(names, " "); got != "storage_id status readable writable listable deletable latency_ms total_bytes used_bytes error tested_at" {
			t.Errorf("%s has the columns %s", sql, got)
		}
		row := rowsOf(a.json(t))[0]
		if row[1] != "healthy" || row[2] != true || row[3] != true || row[4] != true || row[5] != true || row[9] != nil || (row[7] != nil) != extended || (row[8] != nil) != extended {
			t.Errorf("%s: %v", sql, row)
		}
	}
	if rows := rowsOf(run(t, s, admin, "SHOW MANIFEST").json(t)); len(rows) != 0 {
		t.Errorf("SHOW MANIFEST: %v", rows)
	}
}

// first is the first result of an answer.
func first(answer map[string]any) map[string]any {
	list, _ := answer["results"].([]any)
	if len(list) == 0 {
		return nil
	}
	out, _ := list[0].(map[string]any)
	return out
}

func fieldNames(answer map[string]any) (names []string) {
	fields, _ := first(answer)["schema"].([]any)
	for _, f := range fields {
		names = append(names, f.(map[string]any)["name"].(string))
	}
	return names
}

func rowsOf(answer map[string]any) (rows [][]any) {
	list, _ := first(answer)["rows"].([]any)
	for _, r := range list {
		rows = append(rows, r.([]any))
	}
	return rows
}

// columnOf is the texts of a column of the first result.
func columnOf(answer map[string]any, name string) (out []string) {
	i := slices.Index(fieldNames(answer), name)
	for _, row := range rowsOf(answer) {
		text, _ := row[i].(string)
		out = append(out, text)
	}
	return out
}
