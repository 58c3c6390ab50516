package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/node"
)

type backupCmd struct {
	File   string `arg:"" help:"The archive to write, which must not be there yet; - is the standard output."`
	Data   string `placeholder:"DIR" help:"Data folder of the server (default ./data)."`
	Config string `placeholder:"FILE" help:"Configuration file of the server, which may name the folder."`
}

// Help is what kalam backup --help says beside the flags.
func (backupCmd) Help() string {
	return `Writes one .tar file with a consistent copy of everything in a data folder: the
database, the keys and the files. It runs on the server's machine, while the server runs or
not; nobody waits for it, and every write that was answered before it began is in the
copy. Who has the file has all the data and can sign tokens: keep it safe.

To restore, unpack it into a new folder and serve that:

    kalam backup --data ./data kalam-monday.tar
    mkdir restored && tar -xf kalam-monday.tar -C restored
    kalam serve --data restored

    kalam backup - | ssh elsewhere 'cat > kalam-monday.tar'

To the standard output the database is first copied into the folder for temporary
files, TMPDIR.`
}

func (c *backupCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	config, err := (&serveCmd{Data: c.Data, Config: c.Config}).config()
	if err != nil {
		return err
	}
	if c.File == "-" {
		if isTerminal(s.out) {
			return &usageError{"the archive is no text for a terminal: kalam backup - | ..., or name a file"}
		}
		work, err := os.MkdirTemp("", "kalam-backup-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(work)
		return node.Archive(ctx, config.Storage.DataPath, work, s.out)
	}
	size, err := writeBackup(ctx, config, c.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Copied %s to %s (%.1f MB).\n", config.Storage.DataPath, c.File, float64(size)/1e6)
	return err
}

// writeBackup writes the archive beside its final name and gives it that name
// when all of it is on disk.
func writeBackup(ctx context.Context, config *config.Config, path string) (size int64, err error) {
	dir := config.Storage.DataPath
	if _, err := os.Lstat(path); err == nil {
		return 0, fmt.Errorf("%s is there already", path)
	}
	work, err := os.MkdirTemp(filepath.Dir(path), ".kalam-backup-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(work)
	f, err := os.OpenFile(filepath.Join(work, "backup.tar"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := errors.Join(node.Archive(ctx, dir, work, f), f.Sync()); err != nil {
		return 0, err
	}
	if size, err = f.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	// Link, unlike Rename, replaces nothing.
	if err := os.Link(f.Name(), path); err != nil {
		return 0, err
	}
	return size, syncFolder(filepath.Dir(path))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
