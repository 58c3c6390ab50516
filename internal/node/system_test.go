package node_test

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// pairs runs a query of two text columns.
func pairs(t *testing.T, db *client.Client, sql string) map[string]string {
	t.Helper()
	rows, err := db.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	out := make(map[string]string)
	for _, row := range rows.Rows() {
		var name, value string
		if err := row.Scan(&name, &value); err != nil {
			t.Fatal(err)
		}
		out[name] = value
	}
	return out
}

// TestSettingsShowWhatHolds reads the settings of a server that was given some:
// what was set, the default of the rest, and no secret.
func TestSettingsShowWhatHolds(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) {
		c.Limits.MaxRows = 77
		c.Auth.JWTSecret = "a secret of thirty-two bytes or more"
		c.Security.CORS.AllowedOrigins = []string{"https://a.example", "https://b.example"}
	}})
	db, err := client.New(s.URL, auth.Static(auth.Basic("admin", servertest.Password)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()

	got := pairs(t, db, "SELECT name, value FROM system.settings")
	for name, want := range map[string]string{
		"limits.max_rows": "77", "limits.write_timeout": "5", "limits.statement_timeout": "30", "rate_limit.max_queries_per_sec": "0",
		"auth.jwt_secret": "***", "auth.root_password": "", "security.cors.allowed_origins": "https://a.example,https://b.example", "logging.level": "info",
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	for name, text := range pairs(t, db, "SELECT name, description FROM system.settings WHERE category <> ''") {
		if text == "" {
			t.Errorf("%s has no description", name)
		}
	}
}

func TestStatsMeasureTheServer(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	db, err := client.New(s.URL, auth.Static(auth.Basic("admin", servertest.Password)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got := pairs(t, db, "SELECT metric_name, metric_value FROM system.stats ORDER BY metric_name")
	for _, name := range strings.Fields(`server_version server_uptime_seconds server_uptime_human memory_usage_mb memory_rss_mb
		cpu_usage_percent total_users total_namespaces total_tables total_storages total_jobs jobs_running jobs_queued
		jobs_failed total_live_queries active_connections active_subscriptions websocket_sessions schema_cache_size
		plan_cache_size server_workers_effective max_connections thread_count open_files_total node_id cluster_mode pid`) {
		if got[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	for name, value := range map[string]string{"server_version": "test", "total_users": "4", "total_tables": "1"} {
		if got[name] != value {
			t.Errorf("%s is %s, want %s", name, got[name], value)
		}
	}
	if got["memory_rss_mb"] == "0" || got["open_files_total"] == "0" {
		t.Errorf("the process measures nothing: %v", got)
	}
}
