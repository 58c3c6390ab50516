package node

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
)

// SetPassword sets the password of a user in the data folder of a server that
// does not run, and ends the user's sessions.
func SetPassword(ctx context.Context, c *config.Config, user, password string) (err error) {
	driver, err := sqlite.Open(c.Storage.DataPath)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, driver, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	users, err := identity.New(db, identity.Options{
		KeyDir: filepath.Join(c.Storage.DataPath, "keys"), JWTSecret: c.Auth.JWTSecret, MinPasswordLength: c.Auth.MinPasswordLength, CommonPasswords: c.Auth.CommonPasswords,
		Loopback: true, // nobody reaches it
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer users.Close()
	return users.ResetPassword(ctx, user, password)
}
