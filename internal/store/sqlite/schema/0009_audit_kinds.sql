-- +goose Up

-- kind and n bound the audit: rows of a kind are numbered, and of each kind the
-- newest stay. A row without a kind, such as one about an administrator's act, is
-- kept for its time.
ALTER TABLE audit ADD COLUMN kind INTEGER;
ALTER TABLE audit ADD COLUMN n INTEGER;
CREATE INDEX audit_kind ON audit(kind, n) WHERE kind IS NOT NULL;

DROP TRIGGER audit_is_kept;

-- +goose StatementBegin
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
WHEN old.at > CAST(unixepoch('subsec') * 1000000 AS INTEGER) - 30 * 86400000000
	AND (old.kind IS NULL OR old.n > (SELECT max(n) FROM audit WHERE kind = old.kind) - 10000) BEGIN
	SELECT RAISE(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd

-- +goose Down
