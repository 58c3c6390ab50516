-- +goose Up

-- Finds the sessions that are over by their age: those of a login when nobody has
-- refreshed them for long, those of a token that was minted elsewhere and logged
-- out when the token has ended.
CREATE INDEX sessions_seen ON sessions(last_seen_at) WHERE auth_method <> 'token';
CREATE INDEX sessions_token ON sessions(expires_at) WHERE auth_method = 'token';

-- +goose Down
