package store

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/wire"
)

// SystemNamespace is the namespace of the server's own tables.
const SystemNamespace = "system"

// systemTables are the relations that administrators may read. Each is a view
// of the engine, made by the schema, with these columns in this order.
var systemTables = []*catalog.Table{
	systemTable("users", "sys_users",
		col("user_id", wire.Text, true), col("password_hash", wire.Text, true), col("role", wire.Text, true),
		col("email", wire.Text, false), col("auth_type", wire.Text, true), col("auth_data", wire.JSON, false),
		col("storage_mode", wire.Text, true), col("storage_id", wire.Text, false),
		col("failed_login_attempts", wire.Int, true), col("locked_until", wire.Timestamp, false),
		col("last_login_at", wire.Timestamp, false), col("created_at", wire.Timestamp, true),
		col("updated_at", wire.Timestamp, true), col("last_seen", wire.Timestamp, false), col("deleted_at", wire.Timestamp, false)),
	systemTable("namespaces", "sys_namespaces",
		col("namespace_id", wire.Text, true), col("name", wire.Text, true), col("created_at", wire.Timestamp, true),
		col("options", wire.JSON, false), col("table_count", wire.Int, true)),
	systemTable("tables", "sys_tables",
		col("namespace_id", wire.Text, true), col("table_name", wire.Text, true), col("table_type", wire.Text, true),
		col("storage_id", wire.Text, false), col("version", wire.BigInt, true), col("options", wire.Text, false),
		col("comment", wire.Text, false), col("updated_at", wire.Timestamp, true), col("created_at", wire.Timestamp, true)),
	systemTable("columns", "sys_columns",
		col("namespace_id", wire.Text, true), col("table_name", wire.Text, true), col("version", wire.BigInt, true),
		col("column_id", wire.BigInt, true), col("column_name", wire.Text, true), col("comment", wire.Text, false),
		col("data_type", wire.Text, true), col("default_value", wire.Text, false), col("ordinal", wire.BigInt, true),
		col("nullable", wire.Boolean, true), col("primary_key", wire.Boolean, true), col("primary_key_pos", wire.BigInt, false)),
}

func systemTable(name, view string, cols ...catalog.Column) *catalog.Table {
	return &catalog.Table{Namespace: SystemNamespace, Name: name, Kind: catalog.System, View: view, Version: 1, Columns: cols, Key: []int{0}}
}

func col(name string, k wire.Kind, notNull bool) catalog.Column {
	return catalog.Column{Name: name, Type: wire.Type{Kind: k}, NotNull: notNull}
}
