-- +goose Up

-- Single values of the server: counters, keys.
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta(key, value) VALUES('table_id', CAST(0 AS BLOB));

CREATE TABLE namespaces(
	name       TEXT PRIMARY KEY,
	options    TEXT,
	created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO namespaces(name, created_at) VALUES('default', CAST(unixepoch('subsec') * 1000000 AS INTEGER));

-- One row for each table that users made; the definition is catalog.Table as
-- JSON, and the engine's table is called t<id>.
CREATE TABLE tables(
	id         INTEGER PRIMARY KEY,
	namespace  TEXT NOT NULL,
	name       TEXT NOT NULL,
	definition TEXT NOT NULL,
	UNIQUE(namespace, name)
) STRICT;

-- What every committed statement did to every row, in commit order. total is
-- the running sum of the sizes, so that the log's size costs nothing to know.
CREATE TABLE changes(
	seq     INTEGER PRIMARY KEY,
	tbl     INTEGER NOT NULL,
	usr     TEXT NOT NULL,
	ver     INTEGER NOT NULL,
	op      INTEGER NOT NULL,
	old_seq INTEGER NOT NULL,
	old     BLOB,
	new     BLOB,
	total   INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_scope ON changes(tbl, usr, seq);

-- All times are microseconds since 1970.
CREATE TABLE users(
	user_id       TEXT PRIMARY KEY,
	password_hash TEXT NOT NULL,
	role          TEXT NOT NULL,
	email         TEXT,
	auth_type     TEXT NOT NULL,
	auth_data     TEXT,
	disabled      INTEGER NOT NULL DEFAULT 0,
	epoch         INTEGER NOT NULL DEFAULT 0,
	created_at    INTEGER NOT NULL,
	updated_at    INTEGER NOT NULL,
	last_login_at INTEGER,
	deleted_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions(
	session_id    TEXT PRIMARY KEY,
	user_id       TEXT NOT NULL,
	auth_method   TEXT NOT NULL,
	generation    INTEGER NOT NULL,
	token_hash    BLOB NOT NULL,
	previous_hash BLOB,
	rotated_at    INTEGER NOT NULL,
	created_at    INTEGER NOT NULL,
	last_seen_at  INTEGER NOT NULL,
	expires_at    INTEGER NOT NULL,
	client_addr   TEXT,
	ended_at      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions(user_id);

-- What administrators read as system.*; the columns are those of
-- store.systemTables.
CREATE VIEW sys_users AS SELECT
	user_id, CASE WHEN password_hash = '' THEN '' ELSE '***' END AS password_hash, role, email, auth_type, auth_data,
	'table' AS storage_mode, NULL AS storage_id, 0 AS failed_login_attempts, NULL AS locked_until, last_login_at,
	created_at, updated_at, NULL AS last_seen, deleted_at
FROM users;

CREATE VIEW sys_namespaces AS SELECT
	name AS namespace_id, name, created_at, options,
	(SELECT count(*) FROM tables WHERE tables.namespace = namespaces.name) AS table_count
FROM namespaces;

CREATE VIEW sys_tables AS SELECT
	namespace AS namespace_id, name AS table_name,
	CASE definition ->> '$.kind' WHEN 1 THEN 'user' WHEN 2 THEN 'shared' ELSE 'stream' END AS table_type,
	'local' AS storage_id, definition ->> '$.version' AS version, definition -> '$.options' AS options, NULL AS comment,
	definition ->> '$.updated_at' AS updated_at, definition ->> '$.created_at' AS created_at
FROM tables;

CREATE VIEW sys_columns AS SELECT
	t.namespace AS namespace_id, t.name AS table_name, t.definition ->> '$.version' AS version,
	c.value ->> '$.id' AS column_id, c.value ->> '$.name' AS column_name, NULL AS comment,
	c.value ->> '$.sql_type' AS data_type, c.value ->> '$.default' AS default_value, c.key + 1 AS ordinal,
	coalesce(c.value ->> '$.not_null', 0) = 0 AS nullable,
	k.key IS NOT NULL AS primary_key, k.key + 1 AS primary_key_pos
FROM tables t, json_each(t.definition, '$.columns') c LEFT JOIN json_each(t.definition, '$.key') k ON k.value = c.key;

-- +goose Down
