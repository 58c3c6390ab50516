package node

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/wire"
)

// storageTables are system.storages and system.storage_health: the one storage
// there is, the data folder.
func (n *Node) storageTables(dir string) []*catalog.Table {
	col := catalog.Col
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	since := wire.IntValue(n.started.UnixMicro())
	if info, err := os.Stat(filepath.Join(abs, "LOCK")); err == nil { // made with the folder, and never written
		since = wire.IntValue(info.ModTime().UnixMicro())
	}
	storages := catalog.NewSystem(catalog.SystemNamespace, "storages", []catalog.Column{
		col("storage_id", wire.Text, true), col("storage_name", wire.Text, true), col("description", wire.Text, false),
		col("storage_type", wire.Text, true), col("base_directory", wire.Text, true), col("credentials", wire.JSON, false),
		col("config_json", wire.JSON, false), col("shared_tables_template", wire.Text, true), col("user_tables_template", wire.Text, true),
		col("created_at", wire.Timestamp, true), col("updated_at", wire.Timestamp, true),
	}, "", func() [][]wire.Value {
		return [][]wire.Value{{
			wire.TextValue("local"), wire.TextValue("Data folder"), wire.TextValue("The data folder of this server"),
			wire.TextValue("filesystem"), wire.TextValue(abs), wire.Null, wire.Null, wire.TextValue(""), wire.TextValue(""), since, since,
		}}
	})
	storages.Key = []int{0}
	health := catalog.NewSystem(catalog.SystemNamespace, "storage_health", []catalog.Column{
		col("storage_id", wire.Text, true), col("status", wire.Text, true), col("readable", wire.Boolean, true),
		col("writable", wire.Boolean, true), col("listable", wire.Boolean, true), col("deletable", wire.Boolean, true),
		col("latency_ms", wire.BigInt, true), col("total_bytes", wire.BigInt, false), col("used_bytes", wire.BigInt, false),
		col("error", wire.Text, false), col("tested_at", wire.Timestamp, true),
	}, "", func() [][]wire.Value { return [][]wire.Value{storageHealth(abs)} })
	health.Key = []int{0}
	return []*catalog.Table{storages, health}
}

// storageHealth tries what the server does in its data folder, on a file of its
// own.
func storageHealth(dir string) []wire.Value {
	began := time.Now()
	file := filepath.Join(dir, "check-"+began.UTC().Format("20060102T150405.000000000"))
	writeErr := os.WriteFile(file, []byte("ok"), 0o600)
	_, readErr := os.ReadFile(file)
	_, listErr := os.ReadDir(dir)
	deleteErr := os.Remove(file)
	took := time.Since(began)

	status, why := "healthy", wire.Null
	if err := errors.Join(writeErr, readErr, listErr, deleteErr); err != nil {
		status, why = "degraded", wire.TextValue(err.Error())
		if readErr != nil && listErr != nil {
			status = "unreachable"
		}
	}
	total, used := diskSize(dir)
	return []wire.Value{
		wire.TextValue("local"), wire.TextValue(status), wire.BoolValue(readErr == nil), wire.BoolValue(writeErr == nil),
		wire.BoolValue(listErr == nil), wire.BoolValue(deleteErr == nil), wire.IntValue(took.Milliseconds()), total, used,
		why, wire.IntValue(began.UnixMicro()),
	}
}

// diskSize is the size of the file system behind dir, and how much of it is
// used; NULL where the system does not tell.
func diskSize(dir string) (total, used wire.Value) {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return wire.Null, wire.Null
	}
	size := int64(s.Blocks) * int64(s.Bsize)
	return wire.IntValue(size), wire.IntValue(size - int64(s.Bfree)*int64(s.Bsize))
}

// clusterTables are system.cluster and system.cluster_groups as clients of
// KalamDB 0.4 know them: one node, which leads, and no groups.
func (n *Node) clusterTables(version string) []*catalog.Table {
	col := catalog.Col
	text := func(name string, notNull bool) catalog.Column { return col(name, wire.Text, notNull) }
	number := func(name string, notNull bool) catalog.Column { return col(name, wire.BigInt, notNull) }
	cluster := catalog.NewSystem(catalog.SystemNamespace, "cluster", []catalog.Column{
		text("cluster_id", true), number("node_id", true), text("role", true), text("status", true), text("rpc_addr", true),
		text("api_addr", true), col("is_self", wire.Boolean, true), col("is_leader", wire.Boolean, true),
		col("groups_leading", wire.Int, true), col("total_groups", wire.Int, true), number("current_term", false),
		number("last_applied_log", false), number("leader_last_log_index", false), number("snapshot_index", false),
		col("catchup_progress_pct", wire.SmallInt, false), number("replication_lag", false), text("hostname", false),
		text("version", false), number("memory_mb", false), number("memory_usage_mb", false), col("cpu_usage_percent", wire.Float, false),
		number("uptime_seconds", false), text("uptime_human", false), text("os", false), text("arch", false),
	}, "", func() [][]wire.Value {
		host, _ := os.Hostname()
		up := time.Since(n.started)
		rss, _, _ := process()
		null := wire.Null
		return [][]wire.Value{{
			wire.TextValue("standalone"), wire.IntValue(1), wire.TextValue("leader"), wire.TextValue("active"), wire.TextValue(""),
			wire.TextValue(n.listeners[0].Addr().String()), wire.BoolValue(true), wire.BoolValue(true), wire.IntValue(0), wire.IntValue(0),
			null, null, null, null, null, null, wire.TextValue(host), wire.TextValue(version), null, wire.IntValue(int64(rss >> 20)),
			wire.FloatValue(cpuTime().Seconds() / up.Seconds() * 100), wire.IntValue(int64(up.Seconds())),
			wire.TextValue(up.Truncate(time.Second).String()), wire.TextValue(runtime.GOOS), wire.TextValue(runtime.GOARCH),
		}}
	})
	groups := nothing("cluster_groups", number("group_id", true), text("cluster_id", true), number("node_id", true), text("group_type", true),
		number("current_term", false), col("vote", wire.JSON, false), number("last_log_index", false), number("last_applied", false),
		number("snapshot", false), number("purged", false), number("committed", false), text("state", false),
		number("current_leader", false), number("millis_since_quorum_ack", false))
	return []*catalog.Table{cluster, groups}
}

// nothing is a table of KalamDB 0.4 about something that this server does not
// have: queries on it work and find no row.
func nothing(name string, cols ...catalog.Column) *catalog.Table {
	return catalog.NewSystem(catalog.SystemNamespace, name, cols, "", func() [][]wire.Value { return nil })
}

// emptyTables are the other tables of KalamDB 0.4 that have no row here: this
// server keeps no manifests, writes its log to standard error, and runs a
// transaction within one request.
func emptyTables() []*catalog.Table {
	col := catalog.Col
	text := func(name string, notNull bool) catalog.Column { return col(name, wire.Text, notNull) }
	number := func(name string) catalog.Column { return col(name, wire.BigInt, true) }
	return []*catalog.Table{
		nothing("manifest", text("cache_key", true), text("namespace_id", true), text("table_name", true), text("scope", true),
			text("etag", false), col("last_refreshed", wire.Timestamp, true), col("last_accessed", wire.Timestamp, true),
			col("in_memory", wire.Boolean, true), text("sync_state", true), col("manifest_json", wire.JSON, true)),
		nothing("server_logs", text("timestamp", true), text("level", true), text("thread", false), text("target", false),
			col("line", wire.BigInt, false), text("message", true)),
		nothing("transactions", text("transaction_id", true), text("owner_id", true), text("origin", true), text("state", true),
			number("age_ms"), number("idle_ms"), number("write_count"), number("write_bytes"), number("touched_tables_count"),
			number("snapshot_commit_seq")),
	}
}
