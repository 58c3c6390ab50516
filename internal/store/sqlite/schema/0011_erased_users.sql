-- +goose Up

-- erased_at says of a dropped user that their rows are to go: 0 while that is
-- under way, then when it was done. A user without it has left their rows.
ALTER TABLE users ADD COLUMN erased_at INTEGER;
CREATE INDEX users_erasing ON users(user_id) WHERE erased_at = 0;

-- +goose Down
