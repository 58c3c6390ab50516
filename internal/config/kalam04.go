package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// oldKey is what becomes of keys of KalamDB 0.4's server.toml that are not keys
// here. docs/compatibility.md lists them for people.
type oldKey struct {
	section string
	keys    string // their names; * is any, in sections below too
	ours    string // the key that takes their place; "" where none is needed

	// convert makes a value of ours from a value of theirs; without it they are
	// noted and have no effect.
	convert func(value string) (string, error)
}

var oldKeys = []oldKey{
	{section: "", keys: "transaction_timeout_secs", ours: "limits.write_timeout"},
	{section: "", keys: "max_transaction_buffer_bytes", ours: "security.max_request_body_size"},
	{section: "server", keys: "workers enable_http2 api_version ui_path"},
	{section: "storage", keys: "shared_tables_template user_tables_template"},
	{section: "storage.remote_timeouts", keys: "request_timeout_secs connect_timeout_secs"},
	{section: "storage.rocksdb", keys: "*"},
	{section: "datafusion", keys: "memory_limit", ours: "limits.max_memory"},
	{section: "datafusion", keys: "query_parallelism max_partitions batch_size"},
	{section: "flush", keys: "default_row_limit default_time_interval flush_batch_size check_interval_seconds"},
	{section: "manifest_cache", keys: "eviction_interval_seconds max_entries eviction_ttl_days user_table_weight_factor"},
	{section: "retention", keys: "default_deleted_retention_hours", ours: "storage.log_max_age_hours"},
	{section: "retention", keys: "enable_dba_stats dba_stats_retention_days"},
	{section: "stream", keys: "default_ttl_seconds default_max_buffer eviction_interval_seconds"},
	{section: "topics", keys: "retention_batch_size"},
	{section: "limits", keys: "max_message_size", ours: "security.max_ws_message_size"},
	{section: "limits", keys: "max_query_limit default_query_limit", ours: "limits.max_rows"},
	{section: "logging", keys: "logs_path log_to_console format slow_query_threshold_ms"},
	{section: "logging.targets", keys: "*"},
	{section: "logging.otlp", keys: "enabled endpoint protocol service_name timeout_ms"},
	{section: "performance", keys: "max_connections", ours: "websocket.max_connections"},
	{section: "performance", keys: "request_timeout keepalive_timeout backlog tokio_worker_threads worker_max_blocking_threads client_request_timeout client_disconnect_timeout max_header_size"},
	{section: "rate_limit", keys: "request_body_limit_bytes", ours: "security.max_request_body_size"},
	{section: "rate_limit", keys: "max_connections_per_ip max_requests_per_ip_per_sec", ours: "websocket.max_unauthenticated_per_ip"},
	{section: "rate_limit", keys: "ban_duration_seconds enable_connection_protection cache_max_entries cache_ttl_seconds"},
	{section: "security", keys: "trusted_proxy_ranges", ours: "security.trusted_proxies", convert: same},
	{section: "security", keys: "allowed_ws_origins", ours: "security.cors.allowed_origins"},
	{section: "security", keys: "strict_ws_origin_check"},
	{section: "security.cors", keys: "allowed_methods allowed_headers expose_headers allow_credentials max_age allow_private_network"},
	{section: "auth", keys: "jwt_expiry_hours", ours: "auth.jwt_expiry_minutes", convert: hoursToMinutes},
	{section: "auth", keys: "jwt_trusted_issuers", ours: "auth.issuers"},
	{section: "auth", keys: "cookie_secure bcrypt_cost max_password_length enforce_password_complexity max_failed_attempts lockout_duration_minutes pg_auth_token"},
	{section: "auth.local", keys: "enabled", ours: "auth.no_password_login", convert: opposite},
	{section: "auth.oidc", keys: "*", ours: "auth.issuers"},
	{section: "oauth", keys: "*", ours: "auth.issuers"},
	{section: "user_management", keys: "deletion_grace_period_days cleanup_job_schedule"},
	{section: "shutdown.flush", keys: "timeout"},
	{section: "jobs", keys: "max_concurrent max_retries retry_backoff_ms wal_cleanup_interval_seconds"},
	{section: "execution", keys: "handler_timeout_seconds", ours: "limits.statement_timeout", convert: same},
	{section: "execution", keys: "max_parameters max_parameter_size_bytes sql_plan_cache_max_entries sql_plan_cache_ttl_seconds"},
	{section: "files", keys: "staging_path"},
	{section: "cluster", keys: "peers", convert: noPeers},
	{section: "cluster", keys: `cluster_id node_id rpc_addr api_addr user_shards shared_shards heartbeat_interval_ms election_timeout_ms snapshot_policy
		max_snapshots_to_keep replication_timeout_ms reconnect_interval_ms peer_wait_max_retries peer_wait_initial_delay_ms peer_wait_max_delay_ms`},
	{section: "rpc_tls", keys: "enabled ca_cert server_cert server_key require_client_cert"},
	{section: "postgres_wire", keys: "enabled host port pg_catalog_enabled"},
}

// oldNames are the variables of KalamDB 0.4 that are neither named after a key
// nor in shortNames.
var oldNames = map[string]string{
	"KALAMDB_LOGS_DIR":                               "logging.logs_path",
	"KALAMDB_LOG_TO_CONSOLE":                         "logging.log_to_console",
	"KALAMDB_LOG_FORMAT":                             "logging.format",
	"KALAMDB_SLOW_QUERY_THRESHOLD_MS":                "logging.slow_query_threshold_ms",
	"KALAMDB_OTLP_ENABLED":                           "logging.otlp.enabled",
	"KALAMDB_OTLP_ENDPOINT":                          "logging.otlp.endpoint",
	"KALAMDB_OTLP_PROTOCOL":                          "logging.otlp.protocol",
	"KALAMDB_OTLP_SERVICE_NAME":                      "logging.otlp.service_name",
	"KALAMDB_OTLP_TIMEOUT_MS":                        "logging.otlp.timeout_ms",
	"KALAMDB_JWT_TRUSTED_ISSUERS":                    "auth.jwt_trusted_issuers",
	"KALAMDB_JWT_EXPIRY_HOURS":                       "auth.jwt_expiry_hours",
	"KALAMDB_COOKIE_SECURE":                          "auth.cookie_secure",
	"KALAMDB_PG_AUTH_TOKEN":                          "auth.pg_auth_token",
	"KALAMDB_TRUSTED_PROXY_RANGES":                   "security.trusted_proxy_ranges",
	"KALAMDB_TOKIO_WORKER_THREADS":                   "performance.tokio_worker_threads",
	"KALAMDB_CLUSTER_ID":                             "cluster.cluster_id",
	"KALAMDB_NODE_ID":                                "cluster.node_id",
	"KALAMDB_TOPIC_DEFAULT_RETENTION_SECONDS":        "topics.default_retention_seconds",
	"KALAMDB_TOPIC_DEFAULT_RETENTION_MAX_BYTES":      "topics.default_retention_max_bytes",
	"KALAMDB_TOPIC_RETENTION_CHECK_INTERVAL_SECONDS": "topics.retention_check_interval_seconds",
	"KALAMDB_TOPIC_RETENTION_BATCH_SIZE":             "topics.retention_batch_size",
	"KALAMDB_ENABLE_PGWIRE":                          "postgres_wire.enabled",
	"KALAMDB_PGWIRE_HOST":                            "postgres_wire.host",
	"KALAMDB_PGWIRE_PORT":                            "postgres_wire.port",
	"KALAMDB_AUTH_OIDC_ENABLED":                      "auth.oidc.enabled",
	"KALAMDB_AUTH_OIDC_DISPLAY_NAME":                 "auth.oidc.display_name",
	"KALAMDB_AUTH_OIDC_ISSUER":                       "auth.oidc.issuer",
	"KALAMDB_AUTH_OIDC_CLIENT_ID":                    "auth.oidc.client_id",
	"KALAMDB_AUTH_OIDC_CLIENT_SECRET":                "auth.oidc.client_secret",
	"KALAMDB_AUTH_OIDC_AUDIENCE":                     "auth.oidc.audience",
	"KALAMDB_AUTH_OIDC_SCOPES":                       "auth.oidc.scopes",
	"KALAMDB_AUTH_OIDC_AUTO_PROVISION":               "auth.oidc.auto_provision",
	"KALAMDB_AUTH_OIDC_DEFAULT_ROLE":                 "auth.oidc.default_role",
}

// sampleSecrets are the token secrets that KalamDB 0.4 and its sample file have
// where nobody has set one.
var sampleSecrets = []string{"CHANGE_ME_IN_PRODUCTION", "your-secret-key-at-least-32-chars-change-me-in-production"}

func isSample(secret string) bool { return slices.Contains(sampleSecrets, secret) }

// oldKeyOf finds the entry of a key of KalamDB 0.4, by its dotted name; nil when
// 0.4 had none. A section without keys is one of 0.4's where its keys are.
func oldKeyOf(key string) *oldKey {
	for i := range oldKeys {
		o := &oldKeys[i]
		if key == o.section {
			return &oldKey{section: o.section}
		}
		name, below := strings.CutPrefix("."+key, strings.TrimSuffix("."+o.section, ".")+".")
		if !below {
			continue
		}
		name, _, _ = strings.Cut(name, ".") // a table in a list has keys of its own
		if names := strings.Fields(o.keys); names[0] == "*" || slices.Contains(names, name) {
			return o
		}
	}
	return nil
}

// oldVariables are the variables of KalamDB 0.4's keys.
func oldVariables() map[string]string {
	out := make(map[string]string)
	for _, o := range oldKeys {
		for _, name := range strings.Fields(o.keys) {
			key := strings.TrimPrefix(o.section+"."+name, ".")
			out[variable(key)] = key
		}
	}
	for name, key := range oldNames {
		out[name] = key
	}
	return out
}

func same(value string) (string, error) { return value, nil }

func opposite(value string) (string, error) {
	b, err := parseBool(value)
	return strconv.FormatBool(!b), err
}

func hoursToMinutes(value string) (string, error) {
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil {
		return "", fmt.Errorf("%q is not a whole number", value)
	}
	return strconv.FormatInt(n*60, 10), nil
}

// noPeers refuses a cluster: each of its nodes would be a database of its own.
func noPeers(value string) (string, error) {
	if value != "" {
		return "", errors.New("this server is one node, and several would be several databases: remove the peers and serve from one")
	}
	return "", nil
}
