-- +goose Up

-- What STORAGE FLUSH and COMPACT have done, the newest last.
CREATE TABLE jobs (
	number      INTEGER PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE,
	type        TEXT NOT NULL,
	parameters  TEXT NOT NULL, -- JSON
	message     TEXT NOT NULL,
	started_at  INTEGER NOT NULL, -- microseconds
	finished_at INTEGER NOT NULL
) STRICT;

-- +goose Down
