package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

const dataFile = "kalam.db"

// openFolder opens a data folder as the server does.
func openFolder(dir string) (*store.DB, error) {
	d, err := sqlite.Open(dir)
	if err != nil {
		return nil, err
	}
	return store.Open(context.Background(), d, store.Options{})
}

func mustOpen(t *testing.T, dir string) *store.DB {
	t.Helper()
	db, err := openFolder(dir)
	if err != nil {
		t.Fatalf("open %s: %v", dir, err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// filled makes a folder with a table of one row and closes it.
func filled(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	db := mustOpen(t, dir)
	write(t, db, func(tx *store.Tx) error {
		def := accounts()
		if err := tx.CreateTable(def); err != nil {
			return err
		}
		_, err := tx.Insert(def, "", []wire.Value{wire.IntValue(1), wire.IntValue(100)})
		return err
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func accounts() *catalog.Table {
	return &catalog.Table{
		Namespace: "default", Name: "accounts", Kind: catalog.Shared, Key: []int{0},
		Columns: []catalog.Column{
			{ID: 1, Name: "id", Type: wire.Type{Kind: wire.BigInt}, NotNull: true},
			{ID: 2, Name: "amount", Type: wire.Type{Kind: wire.BigInt}},
		},
	}
}

func write(t *testing.T, db *store.DB, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Write(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// balances reads id and amount of all accounts.
func balances(tx *store.Tx, db *store.DB) (map[int64]int64, error) {
	out := make(map[int64]int64)
	s := &store.Stmt{
		SQL:  "SELECT c1, c2 FROM " + db.Catalog().Table("default", "accounts").Physical(),
		Cols: []wire.Type{{Kind: wire.BigInt}, {Kind: wire.BigInt}},
	}
	return out, tx.Query(s, nil, func(row []wire.Value) error {
		out[row[0].Int()] = row[1].Int()
		return nil
	})
}

func TestFolderIsLocked(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	if _, err := openFolder(dir); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second open: %v, want ErrLocked with the folder", err)
	}
	if err := db.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.Newest(); return err }); err != nil {
		t.Errorf("the first one after the second's try: %v", err)
	}
	db.Close()
	mustOpen(t, dir)
}

func TestFolderIsPrivate(t *testing.T) {
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(parent, "new", "deeper"), parent} {
		db := mustOpen(t, dir)
		write(t, db, func(tx *store.Tx) error { return tx.CreateTable(accounts()) })
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.IsDir() {
				continue
			}
			if info, err := f.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("others can read %s: %v, %v", f.Name(), info.Mode(), err)
			}
		}
	}
}

// contents reads all files of a folder but the lock.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() == "LOCK" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name()] = string(b)
	}
	return out
}

// wantRefused checks that opening fails with an error that says so and leaves
// every file as it was.
func wantRefused(t *testing.T, dir string, words ...string) {
	t.Helper()
	before := contents(t, dir)
	db, err := openFolder(dir)
	if err == nil {
		db.Close()
		t.Fatal("the folder was opened")
	}
	for _, w := range append(words, dataFile) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
	after := contents(t, dir)
	for name := range before {
		if before[name] != after[name] {
			t.Errorf("%s was changed", name)
		}
		delete(after, name)
	}
	for name := range after {
		t.Errorf("%s was made", name)
	}
}

func TestGarbageIsRefused(t *testing.T) {
	for name, content := range map[string]string{
		"text":       "this is not a database, and it is long enough to be looked at\n" + strings.Repeat("x", 5000),
		"short":      "x",
		"binary":     strings.Repeat("\x00\xff", 8192),
		"bad header": "SQLite format 3\x00" + strings.Repeat("\xee", 8192),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, dataFile), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			wantRefused(t, dir)
		})
	}
	t.Run("a folder", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, dataFile), 0o700); err != nil {
			t.Fatal(err)
		}
		if db, err := openFolder(dir); err == nil || !strings.Contains(err.Error(), dataFile) {
			t.Errorf("got %v, %v", db, err)
		}
	})
}

// A write-ahead log without its database holds acknowledged writes: SQLite
// would delete it and begin anew.
func TestMissingDataFileBesideItsLogIsRefused(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, dataFile+"-wal")
	if err := os.WriteFile(log, bytes.Repeat([]byte{7}, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, dir, dataFile+"-wal")
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir) // an empty folder is a new one
}

// TestReadOnlyFileIsRefused runs itself as a user who may not write the file.
func TestReadOnlyFileIsRefused(t *testing.T) {
	if dir := os.Getenv("KALAM_TEST_READ_ONLY"); dir != "" {
		wantRefused(t, dir, "writable", "permission denied")
		return
	}
	dir := filled(t)
	file := filepath.Join(dir, dataFile)
	if err := os.Chmod(file, 0o444); err != nil {
		t.Fatal(err)
	}
	binary, args := os.Args[0], &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // root may write everything
		const nobody = 65534
		for _, err := range []error{
			os.Chown(dir, nobody, nobody), os.Chmod(filepath.Dir(dir), 0o755), os.Chown(filepath.Join(dir, "LOCK"), nobody, nobody),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		binary = filepath.Join(t.TempDir(), "store.test")
		if err := copyFile(binary, os.Args[0]); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(binary), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(filepath.Dir(binary)), 0o755); err != nil {
			t.Fatal(err)
		}
		args.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	cmd := exec.Command(binary, "-test.run=^TestReadOnlyFileIsRefused$")
	cmd.Env = append(os.Environ(), "KALAM_TEST_READ_ONLY="+dir)
	cmd.Dir, cmd.SysProcAttr = dir, args
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func TestCloseLeavesOneFile(t *testing.T) {
	dir := filled(t)
	var got []string
	for name := range contents(t, dir) {
		got = append(got, name)
	}
	if !slices.Equal(got, []string{dataFile}) {
		t.Errorf("files after Close: %v, want only %s", got, dataFile)
	}
}

// Money moves between accounts while a backup is made: the copy has all of it.
func TestBackupIsConsistentUnderWrites(t *testing.T) {
	db := mustOpen(t, t.TempDir())
	const people, each = 20, 100
	write(t, db, func(tx *store.Tx) error { return tx.CreateTable(accounts()) })
	tbl := db.Catalog().Table("default", "accounts")
	write(t, db, func(tx *store.Tx) error {
		for i := range int64(people) {
			if _, err := tx.Insert(tbl, "", []wire.Value{wire.IntValue(i), wire.IntValue(each)}); err != nil {
				return err
			}
		}
		return nil
	})
	move := func(tx *store.Tx, from, to int64) error {
		have, err := balances(tx, db)
		if err != nil {
			return err
		}
		for id, by := range map[int64]int64{from: -1, to: 1} {
			old := []wire.Value{wire.IntValue(id), wire.IntValue(have[id])}
			if _, err := tx.Update(tbl, "", 0, old, []wire.Value{wire.IntValue(id), wire.IntValue(have[id] + by)}); err != nil {
				return err
			}
		}
		return nil
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range int64(3) {
		wg.Go(func() {
			for i := w; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := db.Write(context.Background(), func(tx *store.Tx) error { return move(tx, i%people, (i+w+1)%people) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 5 {
		before := db.Newest()
		dir := t.TempDir()
		file := filepath.Join(dir, dataFile)
		if err := db.Backup(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of a backup: %v, %v", info.Mode(), err)
		}
		if err := db.Backup(t.Context(), file); err == nil || !strings.Contains(err.Error(), "exists") {
			t.Errorf("a backup over an existing file: %v", err)
		}
		copied := mustOpen(t, dir)
		err := copied.Read(t.Context(), func(tx *store.Tx) error {
			have, err := balances(tx, copied)
			sum := int64(0)
			for _, n := range have {
				sum += n
			}
			if sum != people*each || len(have) != people {
				return fmt.Errorf("backup %d has %d in %d accounts: %v", i, sum, len(have), err)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if copied.Newest() < before {
			t.Errorf("a backup lacks acknowledged writes: newest %d, want %d at least", copied.Newest(), before)
		}
		copied.Close()
	}
	close(stop)
	wg.Wait()
}

func TestBackupEndsWithItsContext(t *testing.T) {
	db := mustOpen(t, t.TempDir())
	write(t, db, func(tx *store.Tx) error {
		def := accounts()
		if err := tx.CreateTable(def); err != nil {
			return err
		}
		for i := range int64(5000) {
			if _, err := tx.Insert(def, "", []wire.Value{wire.IntValue(i), wire.IntValue(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	file := filepath.Join(t.TempDir(), "copy")
	if err := db.Backup(ctx, file); !errors.Is(err, why) {
		t.Errorf("a cancelled backup: %v, want the cause", err)
	}
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left a file: %v", err)
	}
}

func TestPathsMayHaveAnyCharacters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's 100% a#b?mode=ro&x é")
	db := mustOpen(t, dir)
	write(t, db, func(tx *store.Tx) error { return tx.CreateTable(accounts()) })
	copied := filepath.Join(dir, "it's 'a' copy?")
	if err := db.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{copied, filepath.Join(dir, dataFile)} {
		if info, err := os.Stat(f); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", f, err)
		}
	}
}
