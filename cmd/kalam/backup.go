package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kalamdb/kalam-go/internal/files"
	"github.com/kalamdb/kalam-go/internal/node"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
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
		return archive(ctx, config.Storage.DataPath, work, s.out)
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
func writeBackup(ctx context.Context, config *node.Config, path string) (size int64, err error) {
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
	if err := errors.Join(archive(ctx, dir, work, f), f.Sync()); err != nil {
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

// archive writes the archive of a data folder, with the copy of its database in a
// folder for its work.
func archive(ctx context.Context, dir, work string, out io.Writer) error {
	// Before the copy is made: what its rows refer to must not go meanwhile.
	release, err := files.Hold(dir)
	if err != nil {
		return err
	}
	defer release()
	copied := filepath.Join(work, "kalam.db")
	if err := sqlite.BackupFile(ctx, dir, copied); err != nil {
		return err
	}
	t := tar.NewWriter(out)
	if err := addFile(t, copied, "kalam.db"); err != nil {
		return err
	}
	if err := addFolder(t, filepath.Join(dir, "keys"), "keys"); err != nil {
		return err
	}
	if err := addFile(t, filepath.Join(dir, node.DemoMark), node.DemoMark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // a copy of a demo is one too
	}
	if err := addContents(t, copied, dir); err != nil {
		return err
	}
	return t.Close()
}

// addFolder adds the files of a folder; without the folder, nothing.
func addFolder(t *tar.Writer, dir, name string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := addDir(t, name); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			if err := addFile(t, filepath.Join(dir, e.Name()), name+"/"+e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func addDir(t *tar.Writer, name string) error {
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o700, ModTime: time.Now().Truncate(time.Second)})
}

// addContents adds the contents of the files that the copied database knows.
func addContents(t *tar.Writer, copied, dir string) error {
	made := make(map[string]bool)
	return sqlite.EachFile(copied, func(f *store.File) error {
		for _, name := range []string{files.Folder, files.Folder + "/" + f.Sub} {
			if !made[name] {
				made[name] = true
				if err := addDir(t, name); err != nil {
					return err
				}
			}
		}
		name := files.Folder + "/" + f.Key()
		if err := addFile(t, filepath.Join(dir, filepath.FromSlash(name)), name); err != nil {
			return fmt.Errorf("file %s: %w", f.Key(), err)
		}
		return nil
	})
}

func addFile(t *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime().Truncate(time.Second)}
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
