package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kalamdb/kalam-go/internal/store"
)

// Backup writes a compact, consistent copy of the database to a new file.
func (d *Driver) Backup(ctx context.Context, path string) error {
	return BackupFile(ctx, d.dir, path)
}

// BackupFile is Backup for a data folder that another process may serve: it
// takes no lock. The copy holds every write that was acknowledged before the
// call. It is made with VACUUM INTO, through a connection of its own, and
// synced; writers do not wait for it.
func BackupFile(ctx context.Context, dir, path string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("backup: %w", context.Cause(ctx))
	}
	from := filepath.Join(dir, FileName)
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backup: %s is no data folder: it has no %s", dir, FileName)
	}
	c, err := openConn(from, false, keptPages)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer c.close()
	if err := c.run("PRAGMA query_only=OFF"); err != nil { // VACUUM counts as a write
		return fmt.Errorf("backup: %w", err)
	}
	// VACUUM takes an empty file for none; ours is readable for this user only.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("backup: %s already exists", path)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { close(c.kill) })
	defer stop()
	err = c.run("VACUUM INTO '" + strings.ReplaceAll(path, "'", "''") + "'")
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		os.Remove(path)
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// EachFile calls fn for every file that the rows of a copy refer to.
func EachFile(copied string, fn func(*store.File) error) error {
	c, err := openConn(copied, false, keptPages)
	if err != nil {
		return err
	}
	c.write = true // without the snapshots of a pool
	return errors.Join(store.EachFile(c, fn), c.close())
}
