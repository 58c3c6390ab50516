-- +goose Up

-- The files whose content is kept. Content without a row here is left over from
-- an upload that came to nothing.
CREATE TABLE files(
	id         INTEGER PRIMARY KEY,
	sub        TEXT NOT NULL,
	name       TEXT NOT NULL,
	size       INTEGER NOT NULL,
	mime       TEXT NOT NULL,
	sha256     TEXT NOT NULL,
	owner      TEXT NOT NULL,
	created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX files_owner ON files(owner, size);

-- How many cells of a table's rows, of one user where the table is private,
-- refer to a file. A file that none refers to goes with the transaction that
-- took the last one.
CREATE TABLE file_refs(
	file INTEGER NOT NULL,
	tbl  INTEGER NOT NULL,
	usr  TEXT NOT NULL,
	n    INTEGER NOT NULL,
	PRIMARY KEY(file, tbl, usr)
) STRICT, WITHOUT ROWID;

CREATE INDEX file_refs_table ON file_refs(tbl, file);

-- +goose Down
