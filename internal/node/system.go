package node

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/mail"
	"github.com/kalamdb/kalam-go/wire"
)

// addSystem makes the tables of the server's own that are not the store's.
func (n *Node) addSystem(ctx context.Context, c *config.Config, o Options) error {
	settings := settings(c)
	text := func(name string) catalog.Column { return catalog.Col(name, wire.Text, true) }
	tables := append(append(n.users.System(), mail.System()), n.storageTables(c.Storage.DataPath)...)
	tables = append(tables, n.clusterTables(o.Version)...)
	tables = append(tables, emptyTables()...)
	return n.db.AddSystem(ctx, append(tables, datatypes(), n.hub.System(),
		catalog.NewSystem(catalog.SystemNamespace, "settings",
			[]catalog.Column{text("name"), text("value"), text("description"), text("category")}, "",
			func() [][]wire.Value { return settings }),
		catalog.NewSystem(catalog.SystemNamespace, "stats",
			[]catalog.Column{text("metric_name"), text("metric_value")},
			"SELECT 'total_users' AS metric_name, CAST(count(*) AS TEXT) AS metric_value FROM users WHERE deleted_at IS NULL "+
				"UNION ALL SELECT 'total_jobs', CAST(count(*) AS TEXT) FROM jobs",
			func() [][]wire.Value { return n.stats(o.Version) }))...)
}

// settings lists what an operator can set, as it is. Secrets are masked.
func settings(c *config.Config) [][]wire.Value {
	var rows [][]wire.Value
	c.Each(func(name string, f reflect.Value, tags reflect.StructTag) {
		value := fmt.Sprint(f.Interface())
		switch list := f.Interface().(type) {
		case []string:
			value = strings.Join(list, ",")
		case []config.IssuerConfig:
			names := make([]string, len(list))
			for i := range list {
				names[i] = list[i].Issuer
			}
			value = strings.Join(names, ",")
		}
		switch {
		case !f.IsZero() && tags.Get("secret") != "":
			value = "***"
		}
		rows = append(rows, textRow(name, value, tags.Get("doc"), name[:strings.LastIndexByte(name, '.')]))
	})
	return rows
}

func textRow(values ...string) []wire.Value {
	row := make([]wire.Value, len(values))
	for i, v := range values {
		row[i] = wire.TextValue(v)
	}
	return row
}

// stats measures the server. Megabytes are of 1,048,576 bytes.
func (n *Node) stats(version string) [][]wire.Value {
	var rows [][]wire.Value
	add := func(name string, value any) {
		rows = append(rows, textRow(name, fmt.Sprint(value)))
	}
	up := time.Since(n.started)
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	rss, threads, files := process()
	snapshot := n.db.Catalog()
	tables := 0
	for _, t := range snapshot.All() {
		if t.Kind != catalog.System {
			tables++
		}
	}
	plans := n.engine.Plans()
	sockets := n.edge.Sockets()
	add("server_version", version)
	add("server_uptime_seconds", int64(up.Seconds()))
	add("server_uptime_human", up.Truncate(time.Second))
	add("server_workers_effective", runtime.GOMAXPROCS(0))
	add("pid", os.Getpid())
	add("node_id", 1)
	add("cluster_mode", "standalone")
	add("memory_usage_mb", mem.HeapAlloc>>20)
	add("memory_rss_mb", rss>>20)
	add("cpu_usage_percent", fmt.Sprintf("%.1f", cpuTime().Seconds()/up.Seconds()*100)) // of one core, since the start
	add("thread_count", threads)
	add("goroutine_count", runtime.NumGoroutine())
	add("open_files_total", files)
	add("max_connections", maxFiles())
	add("total_namespaces", len(snapshot.Namespaces()))
	add("total_tables", tables)
	add("total_storages", 1)
	for _, name := range []string{"jobs_running", "jobs_queued", "jobs_failed"} {
		add(name, 0)
	}
	add("schema_cache_size", len(snapshot.All()))
	add("schema_registry_size", len(snapshot.All()))
	add("plan_cache_size", plans)
	add("running_requests", n.engine.Running())
	refused := n.users.RefusedTokens()
	total := int64(0)
	for _, reason := range slices.Sorted(maps.Keys(refused)) {
		total += refused[reason]
		add("tokens_refused_"+reason, refused[reason])
	}
	add("tokens_refused_total", total)
	add("active_connections", sockets)
	add("websocket_sessions", sockets)
	live := n.hub.Len()
	add("active_subscriptions", live)
	add("total_live_queries", live)
	add("newest_change", n.db.Newest())
	return rows
}

// process asks the system about this process: bytes in memory, threads, open
// files; zeros where it does not tell.
func process() (rss, threads, files int) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range bytes.Lines(status) {
		f := strings.Fields(string(line))
		if len(f) < 2 {
			continue
		}
		v, _ := strconv.Atoi(f[1])
		switch f[0] {
		case "VmRSS:":
			rss = v << 10
		case "Threads:":
			threads = v
		}
	}
	list, _ := os.ReadDir("/proc/self/fd")
	return rss, threads, len(list)
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// maxFiles is how many files, sockets included, the process may have open.
func maxFiles() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return l.Cur
}
