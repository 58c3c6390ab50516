package sqlite

import (
	"strconv"

	"github.com/kalamdb/kalam-go/wire"
)

// Definitions reads the documents with ->> and json_each.
func (Target) Definitions(table string) string {
	switch table {
	case "tables":
		return tablesSQL
	case "columns":
		return columnsSQL
	case "schemas":
		return schemasSQL
	case "topics":
		return topicsSQL
	}
	panic("sqlite: no query of definitions for system." + table)
}

// View returns the query: the types of a column's values are those of the query.
func (Target) View(_ []wire.Field, sql string) string { return sql }

// Micros asks the clock of the engine.
func (Target) Micros() string { return "CAST(unixepoch('subsec') * 1000000 AS INTEGER)" }

const tablesSQL = `SELECT namespace AS namespace_id, name AS table_name, ` + kindSQL + ` AS table_type,
	'local' AS storage_id, definition->>'version' AS version, definition->'options' AS options, NULL AS comment,
	definition->>'updated_at' AS updated_at, definition->>'created_at' AS created_at FROM tables`

const columnsSQL = `SELECT t.namespace AS namespace_id, t.name AS table_name, t.definition->>'version' AS version,
	c.value->>'id' AS column_id, c.value->>'name' AS column_name, NULL AS comment,
	c.value->>'sql_type' AS data_type, c.value->>'default' AS default_value, c.key + 1 AS ordinal,
	coalesce(c.value->>'not_null', 0) = 0 AS nullable, k.key IS NOT NULL AS primary_key, k.key + 1 AS primary_key_pos
	FROM tables t, json_each(t.definition, '$.columns') c LEFT JOIN json_each(t.definition, '$.key') k ON k.value = c.key`

var schemasSQL = `SELECT (definition->>'namespace') || ':' || (definition->>'name') AS table_id, definition->>'name' AS table_name,
	definition->>'namespace' AS namespace_id, ` + kindSQL + ` AS table_type, definition->>'created_at' AS created_at, version AS schema_version,
	(SELECT json_group_array(json_object('column_name', c.value->>'name', 'column_id', c.value->>'id', 'ordinal_position', c.key + 1,
		'data_type', json(` + dataTypeSQL() + `), 'is_nullable', json(iif(coalesce(c.value->>'not_null', 0), 'false', 'true')),
		'is_primary_key', json(iif(EXISTS (SELECT 1 FROM json_each(definition, '$.key') k WHERE k.value = c.key), 'true', 'false')),
		'is_partition_key', json('false'), 'default_value', json(` + defaultSQL + `), 'column_default', c.value->>'default',
		'column_comment', NULL) ORDER BY c.key) FROM json_each(definition, '$.columns') c) AS columns,
	NULL AS table_comment, definition->>'updated_at' AS updated_at,
	json_patch(coalesce(definition->'options', '{}'), json_object('table_type', ` + kindSQL + `,
		'ttl_seconds', nullif(coalesce(definition->>'ttl', 0), 0), 'access_level', definition->>'access')) AS options,
	definition->>'access' AS access_level, version = max(version) OVER (PARTITION BY table_id) AS is_latest,
	'local' AS storage_id, 0 AS use_user_storage,
	(SELECT json_group_array(json_object('name', i.value->>'name', 'unique', json(iif(coalesce(i.value->>'unique', 0), 'true', 'false')),
		'columns', json((SELECT json_group_array(c.value->>'name') FROM json_each(i.value, '$.columns') x
			JOIN json_each(definition, '$.columns') c ON c.value->>'id' = x.value)))) FROM json_each(definition, '$.indexes') i) AS indexes
	FROM table_versions`

const topicsSQL = `SELECT id, namespace || '.' || name AS name, definition->>'partitions' AS partitions,
	definition->>'retention_seconds' AS retention_seconds, definition->>'retention_max_bytes' AS retention_max_bytes,
	(SELECT json_group_array(json_object(
		'table_id', (SELECT b.namespace || ':' || b.name FROM tables b WHERE b.id = s.value->>'table_id'),
		'op', s.value->>'op', 'filter', s.value->>'where', 'payload', s.value->>'payload') ORDER BY s.key)
		FROM json_each(definition, '$.sources') s) AS routes,
	definition->>'created_at' AS created_at, definition->>'updated_at' AS updated_at,
	coalesce(definition->'grants', '[]') AS grants FROM topics`

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
