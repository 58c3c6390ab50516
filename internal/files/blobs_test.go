package files_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kalamdb/kalam-go/internal/files"
)

// open opens a store of contents in a data folder.
func open(t *testing.T, data string) files.Blobs {
	t.Helper()
	b, err := files.Local(filepath.Join(data, files.Folder))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(b files.Blobs, key, content string) error {
	return b.Put(key, func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	})
}

func list(t *testing.T, b files.Blobs) (keys []string) {
	t.Helper()
	if err := b.List(func(key string) error {
		keys = append(keys, key)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestBlobs checks what the interface promises.
func TestBlobs(t *testing.T) {
	data := t.TempDir()
	b := open(t, data)
	for key, content := range map[string]string{"f0002/1": "one", "f0001/20": "", "f0001/3": "three"} {
		if err := put(b, key, content); err != nil {
			t.Fatal(err)
		}
	}
	if keys := list(t, b); !slices.Equal(keys, []string{"f0001/20", "f0001/3", "f0002/1"}) {
		t.Errorf("keys %q", keys)
	}
	if err := put(b, "f0001/3", "again"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key was written twice: %v", err)
	}
	failed := errors.New("on purpose")
	err := b.Put("f0003/4", func(w io.Writer) error {
		io.WriteString(w, "half")
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("a failed content: %v", err)
	}
	if keys := list(t, b); len(keys) != 3 {
		t.Errorf("a failed content is left: %q", keys)
	}
	b = open(t, data) // as the next server does
	r, err := b.Open("f0001/3")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Seek(2, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is none
		if err := b.Delete("f0001/3"); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if rest, err := io.ReadAll(r); err != nil || string(rest) != "ree" {
		t.Errorf("a reader of what was deleted got %q: %v", rest, err)
	}
	if _, err := b.Open("f0001/3"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was deleted opens: %v", err)
	}
}

// TestHoldKeepsContents: two backups may hold them, and the last to let go
// counts.
func TestHoldKeepsContents(t *testing.T) {
	data := t.TempDir()
	if release, err := files.Hold(data); err != nil {
		t.Errorf("hold a folder without files: %v", err)
	} else {
		release()
	}
	b := open(t, data)
	if err := put(b, "f0001/1", "one"); err != nil {
		t.Fatal(err)
	}
	first, err := files.Hold(data)
	if err != nil {
		t.Fatal(err)
	}
	second, err := files.Hold(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range []func(){first, second} {
		if err := b.Delete("f0001/1"); !errors.Is(err, files.ErrHeld) {
			t.Errorf("delete while it is held: %v", err)
		}
		if err := put(b, "f0001/"+filepath.Base(t.TempDir()), "more"); err != nil {
			t.Errorf("put while they are held: %v", err)
		}
		release()
	}
	if err := b.Delete("f0001/1"); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(filepath.Join(data, files.Folder))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v %v", info.Mode(), err)
	}
}
