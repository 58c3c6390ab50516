package node

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
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
)

// Archive writes a tar archive of a data folder, whether a server runs on it or
// not: a consistent copy of its database, which is made in the folder work, its
// keys and its files.
func Archive(ctx context.Context, dir, work string, out io.Writer) error {
	// Before the copy is made: what its rows refer to must not go meanwhile.
	release, err := files.Hold(dir)
	if err != nil {
		return err
	}
	defer release()
	copied := filepath.Join(work, sqlite.FileName)
	if err := sqlite.BackupFile(ctx, dir, copied); err != nil {
		return err
	}
	t := tar.NewWriter(out)
	if err := addFile(t, copied, sqlite.FileName); err != nil {
		return err
	}
	if err := addFolder(t, filepath.Join(dir, "keys"), "keys"); err != nil {
		return err
	}
	if err := addFile(t, filepath.Join(dir, DemoMark), DemoMark); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
