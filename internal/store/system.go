package store

import (
	"context"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// AddSystem makes tables of the server's own visible; whoever has their rows
// calls it once. One that has the name of another takes its place.
func (db *DB) AddSystem(ctx context.Context, tables ...*catalog.Table) error {
	for _, t := range tables {
		named(t)
	}
	return db.Write(ctx, func(tx *Tx) error {
		for _, t := range tables {
			tx.defined(catalog.Definition{Table: t})
		}
		return nil
	})
}

// named writes the types of a system table's columns.
func named(t *catalog.Table) *catalog.Table {
	for i := range t.Columns {
		t.Columns[i].SQLType = expr.TypeName(t.Columns[i].Type)
	}
	return t
}

// ownTables are the tables of the server's own about what the store holds.
func (db *DB) ownTables() []*catalog.Table {
	col, target := catalog.Col, db.Target()
	list := []*catalog.Table{
		catalog.NewSystem(catalog.SystemNamespace, "users", []catalog.Column{
			col("user_id", wire.Text, true), col("password_hash", wire.Text, true), col("role", wire.Text, true),
			col("email", wire.Text, false), col("auth_type", wire.Text, true), col("auth_data", wire.JSON, false),
			col("storage_mode", wire.Text, true), col("storage_id", wire.Text, false),
			col("failed_login_attempts", wire.Int, true), col("locked_until", wire.Timestamp, false),
			col("last_login_at", wire.Timestamp, false), col("created_at", wire.Timestamp, true),
			col("updated_at", wire.Timestamp, true), col("last_seen", wire.Timestamp, false), col("deleted_at", wire.Timestamp, false),
		}, `SELECT user_id, CASE WHEN password_hash = '' THEN '' ELSE '***' END AS password_hash, role, email, auth_type, auth_data,
			'table' AS storage_mode, NULL AS storage_id, 0 AS failed_login_attempts, NULL AS locked_until, last_login_at,
			created_at, updated_at, NULL AS last_seen, deleted_at FROM users`, nil),
		catalog.NewSystem(catalog.SystemNamespace, "namespaces", []catalog.Column{
			col("namespace_id", wire.Text, true), col("name", wire.Text, true), col("created_at", wire.Timestamp, true),
			col("options", wire.JSON, false), col("table_count", wire.Int, true),
		}, `SELECT name AS namespace_id, name, created_at, options,
			(SELECT count(*) FROM tables WHERE tables.namespace = namespaces.name) AS table_count FROM namespaces`, nil),
		catalog.NewSystem(catalog.SystemNamespace, "tables", []catalog.Column{
			col("namespace_id", wire.Text, true), col("table_name", wire.Text, true), col("table_type", wire.Text, true),
			col("storage_id", wire.Text, false), col("version", wire.BigInt, true), col("options", wire.Text, false),
			col("comment", wire.Text, false), col("updated_at", wire.Timestamp, true), col("created_at", wire.Timestamp, true),
		}, target.Definitions("tables"), db.systemTables),
		catalog.NewSystem(catalog.SystemNamespace, "columns", []catalog.Column{
			col("namespace_id", wire.Text, true), col("table_name", wire.Text, true), col("version", wire.BigInt, true),
			col("column_id", wire.BigInt, true), col("column_name", wire.Text, true), col("comment", wire.Text, false),
			col("data_type", wire.Text, true), col("default_value", wire.Text, false), col("ordinal", wire.BigInt, true),
			col("nullable", wire.Boolean, true), col("primary_key", wire.Boolean, true), col("primary_key_pos", wire.BigInt, false),
		}, target.Definitions("columns"), db.systemColumns),
		catalog.NewSystem(catalog.SystemNamespace, "schemas", []catalog.Column{
			col("table_id", wire.Text, true), col("table_name", wire.Text, true), col("namespace_id", wire.Text, true),
			col("table_type", wire.Text, true), col("created_at", wire.Timestamp, true), col("schema_version", wire.Int, true),
			col("columns", wire.JSON, true), col("table_comment", wire.Text, false), col("updated_at", wire.Timestamp, true),
			col("options", wire.JSON, false), col("access_level", wire.Text, false), col("is_latest", wire.Boolean, true),
			col("storage_id", wire.Text, false), col("use_user_storage", wire.Boolean, false), col("indexes", wire.JSON, false),
		}, target.Definitions("schemas"), db.systemSchemas),
		catalog.NewSystem(catalog.SystemNamespace, "policies", []catalog.Column{
			col("namespace_id", wire.Text, true), col("table_name", wire.Text, true), col("policy_name", wire.Text, true),
			col("permissive", wire.Boolean, true), col("command", wire.Text, true), col("roles", wire.JSON, true),
			col("using_expression", wire.Text, false), col("check_expression", wire.Text, false),
		}, "", db.systemPolicies),
	}
	list[0].Key, list[1].Key = []int{0}, []int{0}
	list = append(list, db.information()...)
	list = append(list, topicTables(target)...)
	list = append(list, jobTables()...)
	for _, t := range list {
		named(t)
	}
	return list
}
