package postgres

import (
	_ "embed"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

// Schema creates the server's own tables.
//
//go:embed schema.sql
var Schema string

// View casts each column to the type that it has in the system table.
func (target Target) View(cols []wire.Field, sql string) string {
	var casts, names []string
	for _, c := range cols {
		name := sqlgen.Quoted(c.Name)
		names = append(names, name)
		switch c.Type.Kind {
		case wire.Timestamp:
			name = "timestamp 'epoch' + CAST(" + name + " AS bigint) * interval '1 microsecond' AS " + name
		case wire.Boolean:
			name = "CAST(CAST(" + name + " AS integer) AS boolean) AS " + name
		default:
			name = "CAST(" + name + " AS " + target.Type(c.Type) + ") AS " + name
		}
		casts = append(casts, name)
	}
	return "SELECT " + strings.Join(casts, ",") + " FROM (" + sql + ") AS v(" + strings.Join(names, ",") + ")"
}

// Micros asks the clock of the server.
func (Target) Micros() string {
	return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
}

// Indexes reads the server's catalog; those of tables of users are named after
// them.
func (Target) Indexes() string {
	return "SELECT CAST(indexname AS text) FROM pg_indexes WHERE schemaname = current_schema() AND tablename ~ '^t[0-9]+$'"
}

// Guard returns nothing: no table was ever made without its indexes.
func (Target) Guard(*catalog.Table, *catalog.Index) []string { return nil }

// Unguard returns nothing.
func (Target) Unguard(*catalog.Table, *catalog.Index) []string { return nil }

// Definitions reads the documents as jsonb.
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
	panic("postgres: no query of definitions for system." + table)
}

const tablesSQL = `SELECT d.namespace AS namespace_id, d.name AS table_name, ` + kindSQL + ` AS table_type,
	'local' AS storage_id, doc->>'version' AS version, doc->>'options' AS options, NULL AS comment,
	doc->>'updated_at' AS updated_at, doc->>'created_at' AS created_at
	FROM (SELECT namespace, name, CAST(definition AS jsonb) AS doc FROM tables) AS d`

const columnsSQL = `SELECT d.namespace AS namespace_id, d.name AS table_name, doc->>'version' AS version,
	c.value->>'id' AS column_id, c.value->>'name' AS column_name, NULL AS comment,
	c.value->>'sql_type' AS data_type, c.value->>'default' AS default_value, c.n AS ordinal,
	coalesce(c.value->>'not_null', 'false') = 'false' AS nullable, k.n IS NOT NULL AS primary_key, k.n AS primary_key_pos
	FROM (SELECT namespace, name, CAST(definition AS jsonb) AS doc FROM tables) AS d
	CROSS JOIN LATERAL jsonb_array_elements(doc->'columns') WITH ORDINALITY AS c(value, n)
	LEFT JOIN LATERAL jsonb_array_elements(` + keySQL + `) WITH ORDINALITY AS k(value, n) ON k.value = to_jsonb(c.n - 1)`

var schemasSQL = `SELECT (doc->>'namespace') || ':' || (doc->>'name') AS table_id, doc->>'name' AS table_name,
	doc->>'namespace' AS namespace_id, ` + kindSQL + ` AS table_type, doc->>'created_at' AS created_at, version AS schema_version,
	(SELECT jsonb_agg(jsonb_build_object('column_name', c.value->>'name', 'column_id', c.value->'id', 'ordinal_position', c.n,
		'data_type', ` + dataTypeSQL() + `, 'is_nullable', coalesce(c.value->>'not_null', 'false') = 'false',
		'is_primary_key', (` + keySQL + `) @> to_jsonb(c.n - 1),
		'is_partition_key', FALSE, 'default_value', ` + defaultSQL + `, 'column_default', c.value->>'default',
		'column_comment', NULL) ORDER BY c.n) FROM jsonb_array_elements(doc->'columns') WITH ORDINALITY AS c(value, n)) AS columns,
	NULL AS table_comment, doc->>'updated_at' AS updated_at,
	jsonb_strip_nulls(coalesce(doc->'options', '{}') || jsonb_build_object('table_type', ` + kindSQL + `,
		'ttl_seconds', nullif(coalesce(doc->'ttl', '0'), '0'), 'access_level', doc->>'access')) AS options,
	doc->>'access' AS access_level, version = max(version) OVER (PARTITION BY table_id) AS is_latest,
	'local' AS storage_id, 0 AS use_user_storage,
	coalesce((SELECT jsonb_agg(jsonb_build_object('name', i.value->>'name', 'unique', coalesce(i.value->'unique', 'false'),
		'columns', (SELECT jsonb_agg(c.value->>'name' ORDER BY x.n) FROM jsonb_array_elements(i.value->'columns') WITH ORDINALITY AS x(value, n)
			JOIN jsonb_array_elements(doc->'columns') AS c(value) ON c.value->'id' = x.value)) ORDER BY i.n)
		FROM jsonb_array_elements(doc->'indexes') WITH ORDINALITY AS i(value, n)), '[]') AS indexes
	FROM (SELECT table_id, version, CAST(definition AS jsonb) AS doc FROM table_versions) AS d`

const topicsSQL = `SELECT id, namespace || '.' || name AS name, doc->>'partitions' AS partitions,
	doc->>'retention_seconds' AS retention_seconds, doc->>'retention_max_bytes' AS retention_max_bytes,
	coalesce((SELECT jsonb_agg(jsonb_build_object(
		'table_id', (SELECT b.namespace || ':' || b.name FROM tables b WHERE to_jsonb(b.id) = s.value->'table_id'),
		'op', s.value->>'op', 'filter', s.value->>'where', 'payload', s.value->>'payload') ORDER BY s.n)
		FROM jsonb_array_elements(doc->'sources') WITH ORDINALITY AS s(value, n)), '[]') AS routes,
	doc->>'created_at' AS created_at, doc->>'updated_at' AS updated_at,
	coalesce(doc->'grants', '[]') AS grants FROM (SELECT id, namespace, name, CAST(definition AS jsonb) AS doc FROM topics) AS d`

// kindSQL is the kind of a definition as catalog.Kind writes it.
const kindSQL = "CASE doc->>'kind' WHEN '1' THEN 'user' WHEN '2' THEN 'shared' ELSE 'stream' END"

// keySQL is the key of a definition, which is null where a table has none.
const keySQL = "CASE jsonb_typeof(doc->'key') WHEN 'array' THEN doc->'key' ELSE '[]' END"

// dataTypeSQL is the type of column c of a definition as a result writes it.
func dataTypeSQL() string {
	b := []byte("CASE c.value->'type'->>'Kind'")
	for k := wire.Boolean; k <= wire.File; k++ {
		b = append(strconv.AppendInt(append(b, " WHEN '"...), int64(k), 10), "' THEN "...)
		switch k {
		case wire.Decimal:
			b = append(b, `jsonb_build_object('Decimal', jsonb_build_object('precision', c.value->'type'->'Precision', 'scale', c.value->'type'->'Scale'))`...)
		case wire.Embedding:
			b = append(b, `jsonb_build_object('Embedding', c.value->'type'->'Dim')`...)
		default:
			b = append(wire.AppendType(append(b, "CAST('"...), wire.Type{Kind: k}), "' AS jsonb)"...)
		}
	}
	return string(append(b, " END"...))
}

// defaultSQL is the default of column c of a definition as KalamDB 0.4 writes
// it.
const defaultSQL = `CASE WHEN c.value->>'default' IS NULL THEN CAST('"None"' AS jsonb)
	WHEN c.value->>'default' LIKE '%(%)' THEN jsonb_build_object('FunctionCall', jsonb_build_object(
		'name', upper(split_part(c.value->>'default', '(', 1)), 'args', jsonb_build_array()))
	WHEN c.value->>'default' IN ('TRUE', 'FALSE') OR c.value->>'default' ~ '^-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$'
		THEN jsonb_build_object('Literal', CAST(lower(c.value->>'default') AS jsonb))
	ELSE jsonb_build_object('Literal', replace(trim(BOTH '''' FROM c.value->>'default'), '''''', '''')) END`
