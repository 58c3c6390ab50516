-- +goose Up

-- As 0013, by a function that every engine has.
CREATE INDEX users_id_lower ON users(lower(user_id));
DROP INDEX users_id_nocase;

-- +goose Down
