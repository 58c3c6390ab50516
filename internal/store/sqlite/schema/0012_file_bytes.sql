-- +goose Up

-- What the files of each user come to, so that an upload need not add them up.
CREATE TABLE file_bytes(
	owner TEXT PRIMARY KEY,
	bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO file_bytes SELECT owner, sum(size) FROM files GROUP BY owner;
DROP INDEX files_owner;

-- +goose Down
