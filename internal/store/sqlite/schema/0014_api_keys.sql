-- +goose Up

-- Keys of machines. Of the key itself there is a hash alone.
CREATE TABLE api_keys(
	prefix       TEXT NOT NULL PRIMARY KEY, -- the public part
	user_id      TEXT NOT NULL,
	name         TEXT NOT NULL,
	hash         BLOB NOT NULL,
	read_only    INTEGER NOT NULL,
	namespaces   TEXT, -- a JSON list, NULL for all
	topics       TEXT, -- a JSON list, NULL for all
	created_by   TEXT NOT NULL,
	created_at   INTEGER NOT NULL,
	expires_at   INTEGER,
	last_used_at INTEGER,
	UNIQUE(user_id, name)
) STRICT, WITHOUT ROWID;

-- +goose Down
