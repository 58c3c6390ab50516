package store

import (
	"context"
	"strconv"

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
	col := catalog.Col
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
		}, `SELECT namespace AS namespace_id, name AS table_name, `+kindSQL+` AS table_type,
			'local' AS storage_id, definition->>'version' AS version, definition->'options' AS options, NULL AS comment,
			definition->>'updated_at' AS updated_at, definition->>'created_at' AS created_at FROM tables`, db.systemTables),
		catalog.NewSystem(catalog.SystemNamespace, "columns", []catalog.Column{
			col("namespace_id", wire.Text, true), col("table_name", wire.Text, true), col("version", wire.BigInt, true),
			col("column_id", wire.BigInt, true), col("column_name", wire.Text, true), col("comment", wire.Text, false),
			col("data_type", wire.Text, true), col("default_value", wire.Text, false), col("ordinal", wire.BigInt, true),
			col("nullable", wire.Boolean, true), col("primary_key", wire.Boolean, true), col("primary_key_pos", wire.BigInt, false),
		}, `SELECT t.namespace AS namespace_id, t.name AS table_name, t.definition->>'version' AS version,
			c.value->>'id' AS column_id, c.value->>'name' AS column_name, NULL AS comment,
			c.value->>'sql_type' AS data_type, c.value->>'default' AS default_value, c.key + 1 AS ordinal,
			coalesce(c.value->>'not_null', 0) = 0 AS nullable, k.key IS NOT NULL AS primary_key, k.key + 1 AS primary_key_pos
			FROM tables t, json_each(t.definition, '$.columns') c LEFT JOIN json_each(t.definition, '$.key') k ON k.value = c.key`, db.systemColumns),
		catalog.NewSystem(catalog.SystemNamespace, "schemas", []catalog.Column{
			col("table_id", wire.Text, true), col("table_name", wire.Text, true), col("namespace_id", wire.Text, true),
			col("table_type", wire.Text, true), col("created_at", wire.Timestamp, true), col("schema_version", wire.Int, true),
			col("columns", wire.JSON, true), col("table_comment", wire.Text, false), col("updated_at", wire.Timestamp, true),
			col("options", wire.JSON, false), col("access_level", wire.Text, false), col("is_latest", wire.Boolean, true),
			col("storage_id", wire.Text, false), col("use_user_storage", wire.Boolean, false), col("indexes", wire.JSON, false),
		}, `SELECT (definition->>'namespace') || ':' || (definition->>'name') AS table_id, definition->>'name' AS table_name,
			definition->>'namespace' AS namespace_id, `+kindSQL+` AS table_type, definition->>'created_at' AS created_at, version AS schema_version,
			(SELECT json_group_array(json_object('column_name', c.value->>'name', 'column_id', c.value->>'id', 'ordinal_position', c.key + 1,
				'data_type', json(`+dataTypeSQL()+`), 'is_nullable', json(iif(coalesce(c.value->>'not_null', 0), 'false', 'true')),
				'is_primary_key', json(iif(EXISTS (SELECT 1 FROM json_each(definition, '$.key') k WHERE k.value = c.key), 'true', 'false')),
				'is_partition_key', json('false'), 'default_value', json(`+defaultSQL+`), 'column_default', c.value->>'default',
				'column_comment', NULL) ORDER BY c.key) FROM json_each(definition, '$.columns') c) AS columns,
			NULL AS table_comment, definition->>'updated_at' AS updated_at,
			json_patch(coalesce(definition->'options', '{}'), json_object('table_type', `+kindSQL+`,
				'ttl_seconds', nullif(coalesce(definition->>'ttl', 0), 0), 'access_level', definition->>'access')) AS options,
			definition->>'access' AS access_level, version = max(version) OVER (PARTITION BY table_id) AS is_latest,
			'local' AS storage_id, 0 AS use_user_storage,
			(SELECT json_group_array(json_object('name', i.value->>'name', 'unique', json(iif(coalesce(i.value->>'unique', 0), 'true', 'false')),
				'columns', json((SELECT json_group_array(c.value->>'name') FROM json_each(i.value, '$.columns') x
					JOIN json_each(definition, '$.columns') c ON c.value->>'id' = x.value)))) FROM json_each(definition, '$.indexes') i) AS indexes
			FROM table_versions`, db.systemSchemas),
	}
	list[0].Key, list[1].Key = []int{0}, []int{0}
	list = append(list, db.information()...)
	list = append(list, topicTables()...)
	list = append(list, jobTables()...)
	for _, t := range list {
		named(t)
	}
	return list
}

// kindSQL is the kind of a definition as catalog.Kind writes it.
const kindSQL = "CASE definition->>'kind' WHEN 1 THEN 'user' WHEN 2 THEN 'shared' ELSE 'stream' END"

// dataTypeSQL is the type of column c of a definition as a result writes it:
// "BigInt", {"Embedding":384}.
func dataTypeSQL() string {
	b := []byte("CASE c.value->'type'->>'Kind'")
	for k := wire.Boolean; k <= wire.File; k++ {
		b = append(strconv.AppendInt(append(b, " WHEN "...), int64(k), 10), " THEN "...)
		switch k {
		case wire.Decimal:
			b = append(b, `json_object('Decimal', json_object('precision', c.value->'type'->>'Precision', 'scale', c.value->'type'->>'Scale'))`...)
		case wire.Embedding:
			b = append(b, `json_object('Embedding', c.value->'type'->>'Dim')`...)
		default:
			b = append(wire.AppendType(append(b, '\''), wire.Type{Kind: k}), '\'')
		}
	}
	return string(append(b, " END"...))
}

// defaultSQL is the default of column c of a definition as KalamDB 0.4 writes
// it: "None", {"Literal":...} or {"FunctionCall":{"name":...,"args":[]}}.
const defaultSQL = `CASE WHEN c.value->>'default' IS NULL THEN '"None"'
	WHEN c.value->>'default' LIKE '%(%)' THEN json_object('FunctionCall', json_object(
		'name', upper(substr(c.value->>'default', 1, instr(c.value->>'default', '(') - 1)), 'args', json_array()))
	WHEN c.value->>'default' IN ('TRUE', 'FALSE') OR c.value->>'default' GLOB '[0-9-]*' AND json_valid(c.value->>'default')
		THEN json_object('Literal', json(lower(c.value->>'default')))
	ELSE json_object('Literal', replace(trim(c.value->>'default', ''''), '''''', '''')) END`
