-- +goose Up

-- ref is what a session is called outside: in lists, in the audit.
ALTER TABLE sessions ADD COLUMN ref TEXT;
CREATE INDEX sessions_ref ON sessions(ref);

-- auth_data finds the user of a token of another issuer.
CREATE INDEX users_auth_data ON users(auth_data) WHERE auth_data IS NOT NULL;

-- What happened to identities. Rows are added; they are changed by nothing, and
-- removed by nothing before they are 30 days old.
CREATE TABLE audit(
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	at          INTEGER NOT NULL,
	action      TEXT NOT NULL,
	outcome     TEXT NOT NULL,
	actor       TEXT,
	subject     TEXT,
	target      TEXT NOT NULL,
	method      TEXT,
	client_addr TEXT,
	session     TEXT,
	details     TEXT
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
	SELECT RAISE(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
WHEN old.at > CAST(unixepoch('subsec') * 1000000 AS INTEGER) - 30 * 86400000000 BEGIN
	SELECT RAISE(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd

-- +goose Down
