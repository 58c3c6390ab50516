-- +goose Up

-- A user name that somebody takes at sign-up must not read like the id of
-- another user.
CREATE INDEX users_id_nocase ON users(user_id COLLATE NOCASE);
