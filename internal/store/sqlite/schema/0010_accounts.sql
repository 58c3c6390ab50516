-- +goose Up

ALTER TABLE users ADD COLUMN name TEXT;
ALTER TABLE users ADD COLUMN email_verified INTEGER NOT NULL DEFAULT 0;

CREATE INDEX users_anonymous ON users(last_login_at) WHERE auth_type = 'anonymous' AND deleted_at IS NULL;

-- What an account signs in with, beside its id: a verified address or a user
-- name, folded so that names that look the same are the same.
CREATE TABLE credentials(
	method     TEXT NOT NULL, -- email or user
	subject    TEXT NOT NULL,
	user_id    TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY(method, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX credentials_user ON credentials(user_id);

-- Codes that were sent and are not redeemed, one for each address and purpose.
CREATE TABLE codes(
	address_key   BLOB NOT NULL,
	purpose       TEXT NOT NULL, -- verify, login or reset
	address       TEXT NOT NULL, -- as it was typed
	user_id       TEXT NOT NULL, -- '' where redeeming the code makes the account, or where there is none
	hash          BLOB NOT NULL,
	link          BLOB NOT NULL, -- hash of the link's token
	flow          BLOB NOT NULL, -- hash of the cookie of the browser that asked
	tries         INTEGER NOT NULL,
	expires_at    INTEGER NOT NULL,
	password_hash TEXT NOT NULL, -- of a sign-up or an upgrade
	name          TEXT NOT NULL,
	role          TEXT NOT NULL,
	invite        TEXT NOT NULL, -- id of the invitation that is used up
	redirect_to   TEXT NOT NULL,
	PRIMARY KEY(address_key, purpose)
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_link ON codes(link);
CREATE INDEX codes_expiry ON codes(expires_at);
CREATE INDEX codes_user ON codes(user_id);

CREATE TABLE invites(
	id         TEXT NOT NULL PRIMARY KEY,
	hash       BLOB NOT NULL UNIQUE,
	email      TEXT NOT NULL, -- '' for anybody
	role       TEXT NOT NULL,
	created_by TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_by    TEXT,
	used_at    INTEGER
) STRICT, WITHOUT ROWID;

-- Mails to be sent; see package mail.
CREATE TABLE mail(
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	purpose     TEXT NOT NULL,
	recipient   TEXT NOT NULL, -- '' once it is done
	masked      TEXT NOT NULL,
	address_key BLOB NOT NULL,
	user_id     TEXT NOT NULL,
	code        TEXT NOT NULL, -- '' once it is done
	link        TEXT NOT NULL, -- '' once it is done
	state       TEXT NOT NULL, -- queued, sending, sent, failed or unknown
	tries       INTEGER NOT NULL,
	created_at  INTEGER NOT NULL,
	next_at     INTEGER NOT NULL,
	last_error  TEXT
) STRICT;
CREATE INDEX mail_due ON mail(next_at) WHERE state = 'queued';
CREATE INDEX mail_address ON mail(address_key, created_at);
CREATE INDEX mail_user ON mail(user_id) WHERE user_id <> '';

-- +goose Down
