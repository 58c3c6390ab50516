package servertest

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/node"
)

// demo is a data folder with the demo data, made once for all tests of a
// process: hashing the passwords of its users takes long on purpose.
var demo folder

// folder is the content of a folder in memory.
type folder struct {
	once  sync.Once
	files map[string]file // by path
	err   error
}

type file struct {
	data []byte
	mode fs.FileMode
}

// write writes the content into dir.
func (f *folder) write(dir string) error {
	f.once.Do(func() { f.err = f.make() })
	if f.err != nil {
		return f.err
	}
	for path, file := range f.files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, file.data, file.mode); err != nil {
			return err
		}
	}
	return nil
}

// make lets a server make the demo data and reads what it has written.
func (f *folder) make() error {
	dir, err := os.MkdirTemp("", "kalam-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c := &config.Config{}
	c.Storage.DataPath = dir
	n, err := node.Start(context.Background(), c, node.Options{Demo: true})
	if err != nil {
		return err
	}
	if err := n.Close(context.Background()); err != nil {
		return err
	}
	f.files = make(map[string]file)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		f.files[name] = file{data, info.Mode().Perm()}
		return err
	})
}
