package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Blobs keeps contents by their keys, which look like "f0001/123". A key is
// written once and never again.
type Blobs interface {
	// Put keeps what write writes. When it returns nil the content is there for
	// good, also after a loss of power; when it fails nothing of it is left.
	Put(key string, write func(w io.Writer) error) error
	// Open reads a content, or fails with fs.ErrNotExist. A reader goes on to
	// the end when the content is deleted meanwhile.
	Open(key string) (io.ReadSeekCloser, error)
	// Delete removes a content; that there is none is no error. It fails with
	// ErrHeld while a backup reads the contents.
	Delete(key string) error
	// List calls fn for every key, folder by folder in the order of their names.
	List(fn func(key string) error) error
}

// ErrHeld means that contents are not deleted now because a backup is made.
var ErrHeld = errors.New("files: a backup holds the contents")

// Folder is the part of a data folder that holds contents.
const Folder = "files"

// local keeps each content as a file of its own.
type local struct {
	dir  string
	mu   sync.Mutex
	made map[string]bool // folders that are there for good; guarded by mu
}

// Local keeps contents in a folder, which it makes if there is none.
func Local(dir string) (Blobs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of files: %w", err)
	}
	return &local{dir: dir, made: make(map[string]bool)}, syncFolder(filepath.Dir(dir))
}

func (l *local) path(key string) string { return filepath.Join(l.dir, filepath.FromSlash(key)) }

func (l *local) Put(key string, write func(w io.Writer) error) error {
	folder := filepath.Dir(l.path(key))
	if err := l.makeFolder(folder); err != nil {
		return err
	}
	f, err := os.OpenFile(l.path(key), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err = write(&early{f: f}); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = syncFolder(folder)
	}
	if err != nil {
		return errors.Join(err, os.Remove(l.path(key)))
	}
	return nil
}

// early writes a file and has the disk begin before all of it is there, so that
// the sync at the end finds little left to do.
type early struct {
	f           *os.File
	size, begun int64
}

const earlyStep = 8 << 20

func (e *early) Write(p []byte) (int, error) {
	n, err := e.f.Write(p)
	if e.size += int64(n); e.size-e.begun >= earlyStep {
		writeback(e.f, e.begun, e.size-e.begun)
		e.begun = e.size
	}
	return n, err
}

// makeFolder makes a folder that outlives a loss of power.
func (l *local) makeFolder(folder string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made[folder] {
		return nil
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncFolder(l.dir); err != nil {
		return err
	}
	l.made[folder] = true
	return nil
}

func (l *local) Open(key string) (io.ReadSeekCloser, error) { return os.Open(l.path(key)) }

func (l *local) Delete(key string) error {
	unlock, err := flock(l.dir, syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(l.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Hold keeps the contents of a data folder from being deleted, by this process
// or the server's, until release is called.
func Hold(dataFolder string) (release func(), err error) {
	dir := filepath.Join(dataFolder, Folder)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	return flock(dir, syscall.LOCK_SH)
}

// flock locks the folder of contents.
func flock(dir string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrHeld
		}
		return nil, err
	}
	return func() { f.Close() }, nil
}

func (l *local) List(fn func(key string) error) error {
	folders, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if !folder.IsDir() || !strings.HasPrefix(folder.Name(), "f") {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(l.dir, folder.Name()))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := fn(folder.Name() + "/" + e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
