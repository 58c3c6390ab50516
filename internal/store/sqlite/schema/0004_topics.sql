-- +goose Up

-- One row for each topic; the definition is catalog.Topic as JSON.
CREATE TABLE topics(
	id         INTEGER PRIMARY KEY,
	namespace  TEXT NOT NULL,
	name       TEXT NOT NULL,
	definition TEXT NOT NULL,
	UNIQUE(namespace, name)
) STRICT;

-- Messages with an offset below floor are gone or about to go. The rows of a
-- topic that was dropped stay until its messages have been removed.
CREATE TABLE topic_parts(
	topic INTEGER NOT NULL,
	part  INTEGER NOT NULL,
	floor INTEGER NOT NULL,
	PRIMARY KEY(topic, part)
) STRICT, WITHOUT ROWID;

-- The messages of a partition are numbered without gaps. total is the running
-- sum of their sizes, so that a partition's size costs nothing to know. at is
-- in milliseconds since 1970.
CREATE TABLE messages(
	topic   INTEGER NOT NULL,
	part    INTEGER NOT NULL,
	off     INTEGER NOT NULL,
	at      INTEGER NOT NULL,
	op      INTEGER NOT NULL,
	usr     TEXT NOT NULL,
	key     TEXT,
	total   INTEGER NOT NULL,
	payload TEXT NOT NULL,
	PRIMARY KEY(topic, part, off)
) STRICT, WITHOUT ROWID;

-- How far a consumer group is in a partition: everything from next on was never
-- delivered to it; of what is below, only its claims are not acknowledged.
-- dropped counts messages that retention removed before they were acknowledged.
CREATE TABLE topic_groups(
	topic      INTEGER NOT NULL,
	grp        TEXT NOT NULL,
	part       INTEGER NOT NULL,
	next       INTEGER NOT NULL,
	dropped    INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	PRIMARY KEY(topic, grp, part)
) STRICT, WITHOUT ROWID;

-- Runs of offsets that were delivered, or passed over, and are not
-- acknowledged. held: with owner until then; else anybody may take them after
-- until, in milliseconds since 1970.
CREATE TABLE topic_claims(
	topic      INTEGER NOT NULL,
	grp        TEXT NOT NULL,
	part       INTEGER NOT NULL,
	first      INTEGER NOT NULL,
	last       INTEGER NOT NULL,
	owner      TEXT NOT NULL,
	held       INTEGER NOT NULL,
	until      INTEGER NOT NULL,
	deliveries INTEGER NOT NULL,
	PRIMARY KEY(topic, grp, part, first)
) STRICT, WITHOUT ROWID;

-- The offsets of the oldest message of a partition and of the next one.
CREATE VIEW topic_ends AS SELECT
	topic, part, floor,
	max(floor, coalesce((SELECT max(off) + 1 FROM messages m WHERE m.topic = p.topic AND m.part = p.part), 0)) AS head
FROM topic_parts p;

-- +goose Down
