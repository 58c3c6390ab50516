-- +goose Up

-- The numbers that SERIAL columns have given, of each user where the table is
-- private.
CREATE TABLE counters(
	tbl   INTEGER NOT NULL,
	id    INTEGER NOT NULL,
	usr   TEXT NOT NULL,
	value INTEGER NOT NULL,
	PRIMARY KEY(tbl, id, usr)
) STRICT, WITHOUT ROWID;

-- +goose Down
