-- +goose Up

-- Every version of the definition of every table that exists.
CREATE TABLE table_versions(
	table_id   INTEGER NOT NULL,
	version    INTEGER NOT NULL,
	definition TEXT NOT NULL,
	PRIMARY KEY(table_id, version)
) STRICT, WITHOUT ROWID;
INSERT INTO table_versions(table_id, version, definition) SELECT id, definition->>'$.version', definition FROM tables;

DROP VIEW sys_users;
DROP VIEW sys_namespaces;
DROP VIEW sys_tables;
DROP VIEW sys_columns;

-- +goose Down
